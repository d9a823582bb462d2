"""Commands about the tables and features of an owner."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.options import InputFile, JsonOption, ProfileOption, group
from saferoom_client.cli.output import mapping, show, table
from saferoom_client.drafts import read_feature, read_schema
from saferoom_client.room import Room
from saferoom_proto.certificate import PinnedFeature
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Feature, FeatureKind
from saferoom_proto.verdict import FEWEST

app = group("Try, add and list features. 特征指标。")
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


@schema_app.command(name="show")
def show_schema(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Show the newest tables of your owner's store, and their digest.

    查看表结构。
    """
    with Room.open(profile) as room:
        found = room.get_schema()
        owner = room.profile.member.organisation
    if found is None:
        show(as_json, None, f"{owner} has no tables yet; next: saferoom schema put SCHEMA.yaml")
        return
    schema, digest = found
    rows = [
        (each.name, column.name, column.type, f"level {column.level}", column.title.en)
        for each in schema.tables
        for column in each.columns
    ]
    show(
        as_json,
        {"schema": digest, **schema.model_dump(mode="json")},
        f"version {schema.version} of the tables of {owner}: {digest}",
        *table(("TABLE", "COLUMN", "TYPE", "LEVEL", "TITLE"), rows),
    )


@app.command()
def add(draft: InputFile, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Have your enclave check a feature's draft, then sign it and hand it in.

    校验、签署并提交特征指标。
    """
    with Room.open(profile) as room:
        feature = read_feature(draft, room.profile)
        with _of_file(draft):
            recorded = room.add_feature(feature)
    digest = recorded.statement.digest
    show(
        as_json,
        {"feature": feature.full_name, "version": feature.version, "digest": digest},
        f"recorded version {feature.version} of {feature.full_name}: {digest}",
    )


@app.command(name="try")
def try_(draft: InputFile, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Have your enclave try a draft over your records: who would fall into which cell.

    试算特征指标草稿 (结果只有本人能看到)。
    """
    with Room.open(profile) as room:
        feature = read_feature(draft, room.profile)
        verdict = room.try_feature(feature)
    if verdict.fault is not None:
        fault = FieldFault(f"{draft}: sql", verdict.fault)
        raise SafeRoomError(Reason.MALFORMED_SQL, f"{draft}: sql", [fault])
    document = {"feature": feature.full_name, **verdict.model_dump(mode="json")}
    if verdict.counted is None:
        show(as_json, document, f"{feature.full_name} can be computed; no records are loaded yet")
        return
    counted = verdict.counted
    names = [*cell_names(feature), 'unknown, answered "not found"']
    counts = [*counted.cells, counted.unknown]
    rows = [(name, _how_many(count)) for name, count in zip(names, counts, strict=True)]
    lines = table(("CELL", "SUBJECTS"), rows)
    if counted.suggested:
        grid = ", ".join(str(each) for each in counted.suggested)
        lines.append(f"about as many subjects in each cell: grid: [{grid}]")
    show(as_json, document, *lines)


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


def cell_names(feature: Feature) -> list[str]:
    """Name a feature's cells in words, in their order."""
    match feature.kind:
        case FeatureKind.ORDERED:
            inner = [f"{low} to below {high}" for low, high in pairwise(feature.grid)]
            return [f"below {feature.grid[0]}", *inner, f"{feature.grid[-1]} or more"]
        case FeatureKind.FLAG:
            return ["false", "true"]
        case FeatureKind.CLASSES:
            return [cell.name for cell in feature.classes]


def _how_many(count: int | None) -> str:
    return f"fewer than {FEWEST}" if count is None else f"about {count:,}"


@contextmanager
def _of_file(draft: Path) -> Generator[None]:
    """Name the file in what is wrong with the SQL in it."""
    try:
        yield
    except SafeRoomError as error:
        if error.reason is not Reason.MALFORMED_SQL:
            raise
        faults = [FieldFault(f"{draft}: {each.field}", each.rule) for each in error.fields]
        raise SafeRoomError(error.reason, error.detail, faults) from error


def _document(feature: PinnedFeature) -> dict[str, object]:
    return {"digest": feature.digest, **feature.definition.model_dump(mode="json")}
