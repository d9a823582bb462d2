"""Commands about an owner's data: loading it, its versions, and going back to an earlier one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from saferoom_client.cli.faults import fault_lines
from saferoom_client.cli.options import (
    JsonOption,
    ProfileOption,
    WhyOption,
    digest_of,
    group,
    pairs,
)
from saferoom_client.cli.output import moment, progress_of, show
from saferoom_client.cli.rules_met import say_rule
from saferoom_client.cli.tables import table
from saferoom_client.room import Room
from saferoom_client.tongue import say
from saferoom_client.values import StoreVersion
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

app = group("Load an owner's data, and go back to an earlier load.")

REFUSED_ROWS = 1


def _require_tables(room: Room, digest: str, tables: Mapping[str, str]) -> None:
    """Name a table that the schema has not, before a file is read; the enclave knows other ones."""
    newest = room.get_schema()
    if newest is None or newest[1] != digest:
        return
    known = {each.name for each in newest[0].tables}
    rule = f"no table of the schema; it has {', '.join(sorted(known))}"
    if faults := [FieldFault(name, rule) for name in tables if name not in known]:
        raise SafeRoomError(Reason.MALFORMED, rule, faults)


@app.command()
def load(
    files: Annotated[
        list[str], typer.Argument(metavar="TABLE=FILE.csv...", help="Each table's file.")
    ],
    profile: ProfileOption,
    schema: Annotated[str, typer.Option(help="The digest that `schema put` gave.")],
    as_json: JsonOption = False,
) -> None:
    """Seal CSV files to your own enclave and load them: all or nothing."""
    tables = pairs(files, "TABLE=FILE")
    bar, move = progress_of("loading", quiet=as_json)
    digest = digest_of(schema, "--schema", "schema show")
    with Room.open(profile) as room, bar:
        _require_tables(room, digest, tables)
        report = room.load_data(digest, tables, progress=move)
    if report.snapshot is not None:
        store = report.snapshot.store
        counts = report.snapshot.rows.items()
        rows = ", ".join(_rows(name, count) for name, count in counts)
        document = {
            "epoch": store.epoch,
            "store": store.digest,
            "rows": report.snapshot.rows,
        }
        show(
            as_json,
            document,
            say("loaded {rows}; the store is at epoch {epoch}", rows=rows, epoch=store.epoch),
        )
        return
    bad = [
        {"table": row.table, "line": row.line, "column": row.column, "rule": row.rule}
        for row in report.bad_rows
    ]
    rows = [(row.table, str(row.line), row.column, say_rule(row.rule)) for row in report.bad_rows]
    show(
        as_json,
        {"bad_row_count": report.bad_row_count, "bad_rows": bad},
        say(
            "nothing was loaded: {bad_row_count:,} rows break the schema",
            bad_row_count=report.bad_row_count,
        ),
        *table(("TABLE", "LINE", "COLUMN", "RULE"), rows),
        say("next: correct the files and load them again"),
    )
    raise typer.Exit(REFUSED_ROWS)


@app.command()
def versions(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List what was loaded when and by whom, and which of it answers come from."""
    with Room.open(profile) as room:
        listed = room.list_versions()
        owner = room.profile.member.organisation
        own = [each for each in room.describe().enclaves if each.owner == owner]
    rows = [
        (
            str(each.snapshot.store.epoch),
            moment(each.snapshot.time),
            f"{each.approver}: {_came_about(each, listed)}",
            ", ".join(f"{name} {count:,}" for name, count in each.snapshot.rows.items()),
            say("in use") if each.in_use else say("kept") if each.kept else say("gone"),
            each.snapshot.store.digest,
            each.snapshot.schema_digest,
        )
        for each in listed
    ]
    show(
        as_json,
        [_version(each) for each in listed],
        *table(("EPOCH", "SINCE", "ORDERED BY", "ROWS", "STATE", "DIGEST", "SCHEMA"), rows),
        *fault_lines(own),
    )


@app.command()
def rollback(
    version: Annotated[str, typer.Argument(help="Its epoch or digest, from `data versions`.")],
    profile: ProfileOption,
    why: WhyOption,
    as_json: JsonOption = False,
) -> None:
    """Go back to an earlier load that is still kept, as one of your owner's approvers."""
    with Room.open(profile) as room:
        found = [
            each
            for each in room.list_versions()
            if version in (str(each.snapshot.store.epoch), each.snapshot.store.digest)
        ]
        if not found:
            raise SafeRoomError(Reason.SNAPSHOT_GONE, f"there never was a version {version}")
        made = room.roll_back(found[0].snapshot.store.digest, why)
    before, now = found[0].snapshot.store.epoch, made.snapshot.store.epoch
    show(
        as_json,
        _version(made),
        say(
            "went back to the records of epoch {before}; the store is at epoch {now}",
            before=before,
            now=now,
        ),
        say("budgets of one period begin anew; those of 36 months go on"),
    )


def _came_about(version: StoreVersion, listed: Sequence[StoreVersion]) -> str:
    if version.rollback is None:
        return say("load")
    to = version.rollback.to
    epochs = [each.snapshot.store.epoch for each in listed if each.snapshot.store.digest == to]
    return say(
        "back to {epoch}: {why}", epoch=epochs[0] if epochs else to, why=version.rollback.why
    )


def _rows(table: str, count: int) -> str:
    if count == 1:
        return say("{table} (1 row)", table=table)
    return say("{table} ({count:,} rows)", table=table, count=count)


def _version(version: StoreVersion) -> dict[str, object]:
    snapshot, back = version.snapshot, version.rollback
    return {
        "epoch": snapshot.store.epoch,
        "digest": snapshot.store.digest,
        "schema": snapshot.schema_digest,
        "rows": snapshot.rows,
        "time": snapshot.time,
        "approver": version.approver,
        "rolled_back_to": None if back is None else back.to,
        "why": None if back is None else back.why,
        "in_use": version.in_use,
        "kept": version.kept,
    }
