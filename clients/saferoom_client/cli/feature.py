"""Commands about the tables and features of an owner."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.limits_words import learnable
from saferoom_client.cli.options import InputFile, JsonOption, NewFile, ProfileOption, group
from saferoom_client.cli.output import mapping, show
from saferoom_client.cli.tables import table
from saferoom_client.drafts import read_feature, read_schema, write_draft
from saferoom_client.files import PUBLIC_FILE, refuse_existing, write_file
from saferoom_client.records.annex import catalogue
from saferoom_client.records.drafting import OWN_COLUMN, draft_tables
from saferoom_client.room import Room
from saferoom_client.tongue import say, titled
from saferoom_proto.formula import FeatureRef
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Feature, FeatureKind, Schema
from saferoom_proto.verdict import FEWEST

app = group("Try, add and list features.")
schema_app = group("Hand in the tables of a store.")


@schema_app.callback()
def schemas() -> None:
    """Hand in the tables of a store."""


@schema_app.command(name="put")
def put_schema(draft: InputFile, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Sign a draft of tables and hand it in."""
    with Room.open(profile) as room:
        schema = read_schema(draft, room.profile)
        recorded = room.put_schema(schema)
    digest = recorded.statement.digest
    show(
        as_json,
        {"owner": schema.owner, "version": schema.version, "schema": digest},
        say(
            "recorded version {version} of the tables of {owner}: {digest}",
            version=schema.version,
            owner=schema.owner,
            digest=digest,
        ),
        say("next: saferoom data load --schema {digest} TABLE=FILE.csv", digest=digest),
    )


@schema_app.command(name="draft")
def draft(
    types: Annotated[
        list[str],
        typer.Argument(metavar="TYPE...", help="Numbers of information types, as 3.4."),
    ],
    profile: ProfileOption,
    out: NewFile,
    *,
    add: Annotated[
        list[str] | None,
        typer.Option(help="A column of your own: " + OWN_COLUMN + ".", metavar="COLUMN"),
    ] = None,
    table_names: Annotated[
        list[str] | None, typer.Option("--table", help="Only these tables of the types.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draft your store's tables from the catalogue: those it has, and those of the types."""
    known = catalogue()
    forms = [form for number in types for form in known.type(number).tables]
    names = [form.name for form in forms]
    if wrong := set(table_names or ()) - set(names):
        rule = f"{', '.join(sorted(wrong))}: no table of these types; they have {', '.join(names)}"
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--table", rule)])
    chosen = [form for form in forms if not table_names or form.name in table_names]
    with Room.open(profile) as room:
        found = room.get_schema()
        owner, origin = room.profile.member.organisation, room.profile.card.origin
    kept, version = (found[0].tables, found[0].version + 1) if found else ((), 1)
    tables = draft_tables(chosen, add or (), kept)
    schema = Schema(room=origin, owner=owner, version=version, tables=tables)
    refuse_existing(out)
    write_file(out, write_draft(schema).encode(), PUBLIC_FILE)
    document = {"file": str(out), "version": version, "tables": [one.name for one in tables]}
    rows = [(one.name, str(len(one.columns)), titled(one.title)) for one in tables]
    show(
        as_json,
        document,
        say("drafted version {version} of the tables of {owner}", version=version, owner=owner),
        *table(("TABLE", "COLUMNS", "NAME"), rows),
        say("next: read it, then saferoom schema put {out}", out=out),
    )


@schema_app.command(name="show")
def show_schema(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Show the newest tables of your owner's store, and their digest."""
    with Room.open(profile) as room:
        found = room.get_schema()
        owner = room.profile.member.organisation
    if found is None:
        show(
            as_json,
            None,
            say("{owner} has no tables yet; next: saferoom schema put SCHEMA.yaml", owner=owner),
        )
        return
    schema, digest = found
    rows = [
        (
            each.name,
            column.name,
            column.type,
            say("level {level}", level=column.level),
            titled(column.title),
        )
        for each in schema.tables
        for column in each.columns
    ]
    show(
        as_json,
        {"schema": digest, **schema.model_dump(mode="json")},
        say(
            "version {version} of the tables of {owner}: {digest}",
            version=schema.version,
            owner=owner,
            digest=digest,
        ),
        *table(("TABLE", "COLUMN", "TYPE", "LEVEL", "TITLE"), rows),
    )


@app.command()
def add(draft: InputFile, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Have your enclave check a feature's draft, then sign it and hand it in."""
    with Room.open(profile) as room:
        feature = read_feature(draft, room.profile)
        with _of_file(draft):
            recorded = room.add_feature(feature)
        learned = _learned(room, feature)
        stopped = _approved_before(room, feature)
    digest = recorded.statement.digest
    show(
        as_json,
        {
            "feature": feature.full_name,
            "version": feature.version,
            "digest": digest,
            "approve_anew": stopped,
        },
        say(
            "recorded version {version} of {full_name}: {digest}",
            version=feature.version,
            full_name=feature.full_name,
            digest=digest,
        ),
        learned,
        *(
            say(
                "{name} was approved with an earlier version: nothing is answered by it until it"
                " is approved anew; next: saferoom template show {name}",
                name=name,
            )
            for name in stopped
        ),
    )


@app.command(name="try")
def try_(draft: InputFile, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Have your enclave try a draft over your records: who would fall into which cell."""
    with Room.open(profile) as room:
        feature = read_feature(draft, room.profile)
        verdict = room.try_feature(feature)
        learned = _learned(room, feature)
    if verdict.fault is not None:
        fault = FieldFault(f"{draft}: sql", verdict.fault)
        raise SafeRoomError(Reason.MALFORMED_SQL, f"{draft}: sql", [fault])
    document = {"feature": feature.full_name, **verdict.model_dump(mode="json")}
    if verdict.counted is None:
        show(
            as_json,
            document,
            say(
                "{full_name} can be computed; no records are loaded yet",
                full_name=feature.full_name,
            ),
            learned,
        )
        return
    counted = verdict.counted
    names = [*cell_names(feature), say('unknown, answered "not found"')]
    counts = [*counted.cells, counted.unknown]
    rows = [(name, _how_many(count)) for name, count in zip(names, counts, strict=True)]
    lines = table(("CELL", "SUBJECTS"), rows)
    if counted.suggested:
        grid = ", ".join(str(each) for each in counted.suggested)
        lines.append(say("about as many subjects in each cell: grid: [{grid}]", grid=grid))
    show(as_json, document, *lines, learned)


def _approved_before(room: Room, feature: Feature) -> list[str]:
    """Name the templates that were approved with an earlier version of a feature."""
    if feature.version == 1:
        return []
    ref = FeatureRef.parse(feature.full_name)
    return [
        each.template.name
        for each in room.survey_templates()
        if each.view is not None
        and each.view.changed
        and each.view.approvals
        and ref in each.view.features
    ]


def _learned(room: Room, feature: Feature) -> str:
    charter = room.get_charter(feature.owner).charter
    return say("a bank can learn: {words}", words=learnable(feature, charter))


@app.command(name="list")
def list_(
    profile: ProfileOption,
    owner: Annotated[str, typer.Argument(help="Of one owner.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the newest features of the owners whose root is pinned."""
    with Room.open(profile) as room:
        features = room.list_features(owner)
    rows = [
        (
            each.definition.full_name,
            say("level {level}", level=each.definition.level),
            points(each.definition),
            titled(each.definition.title),
        )
        for each in features
    ]
    show(
        as_json,
        [_document(each) for each in features],
        *table(("FEATURE", "LEVEL", "MAY BE ASKED", "TITLE"), rows),
    )


@app.command(name="show")
def show_(
    name: Annotated[str, typer.Argument(help="OWNER.FEATURE.")],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Show a feature: its meaning, its grid, and how it is computed."""
    with Room.open(profile) as room:
        owner = name.partition(".")[0]
        features = room.list_features(owner)
        charter = room.get_charter(owner).charter if features else None
    found = [each for each in features if each.definition.full_name == name]
    if not found or charter is None:
        raise SafeRoomError(Reason.UNKNOWN_FEATURE, name)
    feature = found[0].definition
    lines = mapping(
        {
            "feature": f"{feature.full_name}  {titled(feature.title)}",
            "version": feature.version,
            "digest": found[0].digest,
            "level": feature.level,
            "family": feature.family,
            "as of": feature.as_of,
            "may be asked": points(feature),
            "nothing held": say("means no")
            if feature.absent == "false"
            else say('is answered "not found"'),
            "budget": say("{budget_bits} bits a period", budget_bits=feature.budget_bits),
            "a bank can learn": learnable(feature, charter),
            "SQL": feature.sql.strip(),
        }
    )
    show(as_json, _document(found[0]), *lines)


def points(feature: Feature) -> str:
    """Say in words what a feature may be compared with."""
    match feature.kind:
        case FeatureKind.ORDERED:
            return say(
                ">= or < {grid} {unit}",
                grid=", ".join(str(one) for one in feature.grid),
                unit=feature.unit,
            ).strip()
        case FeatureKind.FLAG:
            return say("true or false")
        case FeatureKind.CLASSES:
            return say("in {classes}", classes=", ".join(cell.name for cell in feature.classes))
        case FeatureKind.STATED:
            rule = feature.stated
            if rule is None:
                raise SafeRoomError(Reason.INTERNAL, f"{feature.full_name} has no rule")
            return say(
                "whether it is what is stated; {per_day} values a day, {for_life} ever",
                per_day=rule.per_day,
                for_life=rule.for_life,
            )


def cell_names(feature: Feature) -> list[str]:
    """Name a feature's cells in words, in their order."""
    match feature.kind:
        case FeatureKind.ORDERED:
            inner = [
                say("{low} to below {high}", low=low, high=high)
                for low, high in pairwise(feature.grid)
            ]
            return [
                say("below {grid}", grid=feature.grid[0]),
                *inner,
                say("{grid} or more", grid=feature.grid[-1]),
            ]
        case FeatureKind.FLAG:
            return [say("false"), say("true")]
        case FeatureKind.CLASSES:
            return [cell.name for cell in feature.classes]
        case FeatureKind.STATED:
            return [say("held")]


def _how_many(count: int | None) -> str:
    return (
        say("fewer than {fewest}", fewest=FEWEST)
        if count is None
        else say("about {count:,}", count=count)
    )


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
