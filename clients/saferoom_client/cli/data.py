"""Commands about an owner's data: loading it, its versions, and going back to an earlier one."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from saferoom_client.cli.faults import fault_lines
from saferoom_client.cli.link_words import (
    counted,
    left_lines,
    left_out_next,
    link_lines,
    links_document,
)
from saferoom_client.cli.options import (
    JsonOption,
    ProfileOption,
    WhyOption,
    digest_of,
    group,
    pairs,
)
from saferoom_client.cli.output import moment, progress_of, saying_how_to_go_on, show
from saferoom_client.cli.page_options import FormerReport, PageOption, page_file
from saferoom_client.cli.rules_said import say_rule
from saferoom_client.cli.tables import table
from saferoom_client.files import require_writable, write_file
from saferoom_client.loading import Earlier
from saferoom_client.records.collecting import Collected, Rejects, collected, require_apart
from saferoom_client.records.faults import Fault
from saferoom_client.records.report import read_report, write_report
from saferoom_client.records.sources import ENCODINGS
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_client.values import LoadReport, StoreVersion
from saferoom_proto.load import Change
from saferoom_proto.load_faults import LinkCount
from saferoom_proto.load_links import require_linked_anew
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Schema, Snapshot

app = group("Load an owner's data, and go back to an earlier load.")

REFUSED_ROWS = 1
_CHANGE_RULE = "replace, delete or whole; a table without a file is kept"
MOST_SHOWN = 50
"""Faults that a terminal shows; a file takes all of them, and so does JSON up to a thousand."""


FilesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="TABLE=FILE...",
        help="Each table's file: CSV, Excel (FILE.xlsx#SHEET), Parquet or Arrow.",
    ),
]
EncodingOption = Annotated[
    str | None,
    typer.Option(help="Of CSV files: utf-8 or gb18030; found out where it is not said."),
]
RejectsOption = Annotated[
    Path | None,
    typer.Option(help="A CSV file for the bad rows, with the rule of each.", dir_okay=False),
]
AgainstOption = Annotated[
    Path | None,
    typer.Option(help="An earlier report: tell what has drifted.", dir_okay=False, exists=True),
]
LeaveOption = Annotated[
    bool,
    typer.Option(
        "--leave-unlinked",
        help="Leave out the rows whose number leads to no subject, or to two; else nothing is"
        " loaded.",
    ),
]


@dataclass(frozen=True, slots=True)
class _Wishes:
    """How files are read, and what is written about them."""

    encoding: str | None
    rejects: Path | None
    report: Path | None
    against: Path | None
    whole: bool = True
    leaves: bool = False

    def __post_init__(self) -> None:
        if self.encoding is not None and self.encoding not in ENCODINGS:
            rule = f"it is {' or '.join(ENCODINGS)}"
            raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--encoding", rule)])
        require_writable(self.rejects)


@contextmanager
def _held(
    room: Room, schema: Schema, files: Mapping[str, str], wishes: _Wishes, *, quiet: bool
) -> Generator[Collected]:
    """Hold files to the tables of a schema, and write what is wished for about them."""
    require_apart((wishes.rejects, wishes.report), files)
    before = read_report(wishes.against) if wishes.against else {}
    headings = (say("TABLE"), say("LINE"), say("COLUMN"), say("RULE"))
    rejects = Rejects(wishes.rejects, say_rule, headings)
    bar, move = progress_of("checking", quiet=quiet)
    read = 0

    def count(rows: int) -> None:
        nonlocal read
        read += rows
        move(read, 0)

    with bar, ExitStack() as stack:
        found = stack.enter_context(
            collected(
                schema.tables,
                files,
                rejects,
                encoding=wishes.encoding,
                whole=wishes.whole,
                leaves=wishes.leaves,
                progress=count,
            )
        )
        bar.stop()
        if wishes.report is not None:
            counted = [each.quality for each in found.held.values()]
            write_file(wishes.report, write_report(counted, before, room.session.clock()))
        yield found


@app.command()
def check(
    files: FilesArgument,
    profile: ProfileOption,
    *,
    encoding: EncodingOption = None,
    rejects: RejectsOption = None,
    out: PageOption = None,
    former: FormerReport = None,
    against: AgainstOption = None,
    leave_unlinked: LeaveOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hold files to your newest tables and the catalogue; nothing is sent."""
    wishes = _Wishes(encoding, rejects, page_file(out, former), against, leaves=leave_unlinked)
    given = pairs(files, "TABLE=FILE")
    with Room.open(profile) as room:
        newest = room.get_schema()
        if newest is None:
            owner = room.profile.member.organisation
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, f"{owner} has no tables yet")
        with _held(room, newest[0], given, wishes, quiet=as_json) as found:
            if found.bad:
                _show_bad(found.bad, found.told, wishes, as_json=as_json)
            rows = {name: each.quality.rows for name, each in found.held.items()}
            left = found.left
    told = ", ".join(_rows(name, count) for name, count in rows.items())
    document: dict[str, object] = {"rows": rows, "bad_row_count": 0, "bad_rows": (), "left": left}
    good = say("no row is bad: {told}", told=told) if left else None
    show(
        as_json,
        document,
        good or say("every row is good: {told}", told=told),
        *left_lines(left, wishes.rejects),
    )


@app.command()
def load(
    files: FilesArgument,
    profile: ProfileOption,
    schema: Annotated[str, typer.Option(help="The digest that `schema put` gave.")],
    *,
    encoding: EncodingOption = None,
    rejects: RejectsOption = None,
    out: PageOption = None,
    former: FormerReport = None,
    against: AgainstOption = None,
    change: Annotated[
        Change | None,
        typer.Option(
            help="Change the records in use: replace or delete the rows about the subjects named,"
            " and keep the others."
        ),
    ] = None,
    leave_unlinked: LeaveOption = False,
    as_json: JsonOption = False,
) -> None:
    """Seal files to your own enclave and load them: all or nothing."""
    if change is Change.KEEP:
        raise SafeRoomError(Reason.MALFORMED, "", [FieldFault("--change", _CHANGE_RULE)])
    whole = change in {None, Change.WHOLE}
    report = page_file(out, former)
    wishes = _Wishes(encoding, rejects, report, against, whole=whole, leaves=leave_unlinked)
    given = pairs(files, "TABLE=FILE")
    digest = digest_of(schema, "--schema", "schema show")
    with Room.open(profile) as room:
        newest = room.get_schema()
        if newest is None or newest[1] != digest:
            raise _of_older_tables()
        tables = newest[0].tables
        kept = {} if whole else {each.name: Change.KEEP for each in tables}
        changes = {**kept, **dict.fromkeys(given, change or Change.WHOLE)}
        require_linked_anew(tables, changes)
        linked = {each.name for each in tables if each.link is not None and each.name in given}
        leaves = linked if leave_unlinked else set[str]()
        with _held(room, newest[0], given, wishes, quiet=as_json) as found:
            if found.bad:
                _show_bad(found.bad, found.told, wishes, as_json=as_json)
            bar, move = progress_of("loading", quiet=as_json)
            heard: list[Earlier] = []

            def earlier(what: Earlier, sent: int) -> None:
                heard.append(what)
                if not as_json:
                    typer.echo(say(_EARLIER[what], megabytes=sent / 1e6), err=True)

            with saying_how_to_go_on(), bar:
                try:
                    loaded = room.load_data(
                        digest,
                        found.files,
                        changes=changes,
                        leaves=leaves,
                        progress=move,
                        earlier=earlier,
                    )
                except SafeRoomError as refusal:
                    # As by a load whose sender was killed when all of it had arrived.
                    if refusal.reason is Reason.CONFLICT:
                        refusal.add_note("saferoom data versions")
                    raise
    if loaded.snapshot is None:
        rows = [(row.table, Fault(row.line, row.column, row.rule)) for row in loaded.bad_rows]
        _show_bad(loaded.bad_row_count, rows, wishes, as_json=as_json, links=loaded.links)
    _show_loaded(loaded, loaded.snapshot, heard, linked, as_json=as_json)


def _of_older_tables() -> SafeRoomError:
    rule = "not your newest tables"
    refusal = SafeRoomError(Reason.CONFLICT, rule, [FieldFault("--schema", rule)])
    refusal.add_note("saferoom schema show")
    return refusal


_EARLIER = {
    Earlier.GOES_ON: later("this load broke off before: {megabytes:,.1f} MB are there, it goes on"),
    Earlier.CHANGED: later("another load broke off before, of other files: this one begins anew"),
    Earlier.TAKEN: later("this load broke off when all of it was there: it is loaded already"),
}


def _show_loaded(
    loaded: LoadReport,
    snapshot: Snapshot,
    heard: Sequence[Earlier],
    linked: Collection[str],
    *,
    as_json: bool,
) -> None:
    store = snapshot.store
    rows = ", ".join(_rows(name, count) for name, count in snapshot.rows.items())
    show(
        as_json,
        {
            "epoch": store.epoch,
            "store": store.digest,
            "rows": snapshot.rows,
            "earlier": heard[-1] if heard else None,
            "links": links_document(loaded),
        },
        say("loaded {rows}; the store is at epoch {epoch}", rows=rows, epoch=store.epoch),
        *link_lines(loaded, linked),
    )


def _show_bad(
    count: int,
    told: Sequence[tuple[str, Fault]],
    wishes: _Wishes,
    *,
    as_json: bool,
    links: Sequence[LinkCount] = (),
) -> NoReturn:
    """Show the rows for which nothing was loaded, and end."""
    bad = [{"table": name, **fault._asdict()} for name, fault in told]
    shown = told[:MOST_SHOWN]
    rows = [(name, str(one.line), one.column, say_rule(one.rule)) for name, one in shown]
    more = [say("... and more: name a file with --rejects")] if len(told) > len(shown) else []
    written = [say("the bad rows are in {path}", path=wishes.rejects)] if wishes.rejects else more
    show(
        as_json,
        {"bad_row_count": count, "bad_rows": bad},
        say("nothing was loaded: {bad_row_count:,} rows break the schema", bad_row_count=count),
        *table(("TABLE", "LINE", "COLUMN", "RULE"), rows),
        *written,
        *counted(links),
        say("next: correct the files and load them again"),
        *left_out_next(fault.rule for _, fault in told),
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
