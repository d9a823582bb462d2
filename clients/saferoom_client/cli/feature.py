"""Commands about the tables and features of an owner."""

from __future__ import annotations

from typing import Annotated

import typer

from saferoom_client.cli.options import InputFile, JsonOption, ProfileOption, group
from saferoom_client.cli.output import mapping, show, table
from saferoom_client.drafts import read_feature, read_schema
from saferoom_client.room import Room
from saferoom_proto.certificate import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Feature, FeatureKind

app = group("Hand in and list features. 特征指标。")
schema_app = group("Hand in the tables of a store. 表结构。")


@schema_app.callback()
def schemas() -> None:
    """Hand in the tables of a store."""


@schema_app.command(name="put")
def put_schema(draft: InputFile, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Sign a draft of tables and hand it in.

    签署并提交表结构。
    """
    with Room.open(profile) as room:
        schema = read_schema(draft, room.profile)
        recorded = room.put_schema(schema)
    digest = recorded.statement.digest
    show(
        as_json,
        {"owner": schema.owner, "version": schema.version, "schema": digest},
        f"recorded version {schema.version} of the tables of {schema.owner}: {digest}",
        f"next: saferoom data load --schema {digest} TABLE=FILE.csv",
    )


@app.command()
def put(draft: InputFile, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Sign a feature's draft and hand it in.

    签署并提交特征指标。
    """
    with Room.open(profile) as room:
        feature = read_feature(draft, room.profile)
        recorded = room.put_feature(feature)
    digest = recorded.statement.digest
    show(
        as_json,
        {"feature": feature.full_name, "version": feature.version, "digest": digest},
        f"recorded version {feature.version} of {feature.full_name}: {digest}",
    )


@app.command(name="list")
def list_(
    profile: ProfileOption,
    owner: Annotated[str, typer.Argument(help="Of one owner. 某一数源单位。")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the newest features of the owners whose root is pinned.

    列出特征指标。
    """
    with Room.open(profile) as room:
        features = room.list_features(owner)
    rows = [
        (
            each.definition.full_name,
            f"level {each.definition.level}",
            points(each.definition),
            each.definition.title.en,
            each.definition.title.zh,
        )
        for each in features
    ]
    show(
        as_json,
        [_document(each) for each in features],
        *table(("FEATURE", "LEVEL", "MAY BE ASKED", "TITLE", "名称"), rows),
    )


@app.command(name="show")
def show_(
    name: Annotated[str, typer.Argument(help="OWNER.FEATURE. 特征全名。")],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Show a feature: its meaning, its grid, and how it is computed.

    查看特征指标。
    """
    with Room.open(profile) as room:
        features = room.list_features(name.partition(".")[0])
    found = [each for each in features if each.definition.full_name == name]
    if not found:
        raise SafeRoomError(Reason.UNKNOWN_FEATURE, name)
    feature = found[0].definition
    lines = mapping(
        {
            "feature": f"{feature.full_name}  {feature.title.en}  {feature.title.zh}",
            "version": feature.version,
            "digest": found[0].digest,
            "level": feature.level,
            "family": feature.family,
            "as of": feature.as_of,
            "may be asked": points(feature),
            "nothing held": "means no" if feature.absent == "false" else 'is answered "not found"',
            "budget": f"{feature.budget_bits} bits a period",
            "SQL": feature.sql.strip(),
        }
    )
    show(as_json, _document(found[0]), *lines)


def points(feature: Feature) -> str:
    """Say in words what a feature may be compared with."""
    match feature.kind:
        case FeatureKind.ORDERED:
            return f">= or < {', '.join(str(one) for one in feature.grid)} {feature.unit}".strip()
        case FeatureKind.FLAG:
            return "true or false"
        case FeatureKind.CLASSES:
            return f"in {', '.join(cell.name for cell in feature.classes)}"


def _document(feature: PinnedFeature) -> dict[str, object]:
    return {"digest": feature.digest, **feature.definition.model_dump(mode="json")}
