"""Commands about reports: what is public by law about one subject."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from saferoom_client.cli.narrow import folded, heading
from saferoom_client.cli.next_steps import Asked, saying_next
from saferoom_client.cli.options import (
    InputFile,
    JsonOption,
    NewFile,
    ProfileOption,
    PurposeOption,
    SubjectOption,
    group,
)
from saferoom_client.cli.output import moment, show
from saferoom_client.cli.page_file import (
    OutOption,
    proof_in,
    require_page_kind,
    write_page,
    written_to,
)
from saferoom_client.cli.plainly import listed_document, listed_row
from saferoom_client.cli.receipt_kinds import naming, require_kind
from saferoom_client.cli.tables import table
from saferoom_client.cli.who_may import require_subject
from saferoom_client.files import PUBLIC_FILE, read_file, require_writable, write_file
from saferoom_client.holdings import OwnHoldings
from saferoom_client.profile import pinned_trust
from saferoom_client.question import read_purpose
from saferoom_client.receipt_kinds import Kind
from saferoom_client.report.content import (
    Content,
    ContentTable,
    document,
    of_answer,
    of_holdings,
    of_receipt,
    plain,
)
from saferoom_client.report.draft import SOURCE, public_of, written
from saferoom_client.report.page import mark_words, page_of
from saferoom_client.room import Room
from saferoom_client.templates import ListedTemplate
from saferoom_client.tongue import later, say, titled
from saferoom_client.yaml_text import write_yaml
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.receipt import ReportReceipt, verify_report_receipt
from saferoom_proto.statements import Title

app = group("Ask for what is public by law about one subject, as one report.")

STEPS: Final = {
    Reason.NOT_ALLOWED: later(
        "A column of it is not public by its owner's schema any more: ask for a template without."
    ),
    Reason.WITHHELD: later("Its records could not be read, or are too many to be told."),
    Reason.NO_DATA: later("Its owner has no records of these tables and columns, so far."),
    Reason.TOO_MANY_REQUESTS: later("One report of yours is under way at that owner: wait for it."),
}
"""What is advised where an enclave refuses a report."""
_PASSING: Final = frozenset(
    {
        Reason.NO_DATA,
        Reason.LOCKED,
        Reason.UNAVAILABLE,
        Reason.STALE_HEAD,
        Reason.NOT_WITNESSED,
        Reason.OUTBOX_WAITING,
        Reason.DEADLINE,
        Reason.TOO_MANY_REQUESTS,
        Reason.WITHHELD,
    }
)
"""Refusals of one owner that say nothing about the others."""


@app.command()
def ask(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its digest, or its name.")],
    profile: ProfileOption,
    subject: SubjectOption,
    purpose: Annotated[str, typer.Option(help="What the report is for.")],
    *,
    out: OutOption = None,
    receipt: Annotated[
        Path | None, typer.Option(help="Write the receipt here.", dir_okay=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask every owner's enclave that a template names, verify each part, and print the report."""
    require_page_kind(out)
    require_writable(out, receipt)
    asked = Asked(profile, template, subject, purpose, steps=STEPS)
    working = Console(stderr=True, quiet=as_json).status(say("the report is put together"))
    with Room.open(profile) as room, saying_next(asked), working:
        answer = room.ask_report(template, subject=subject, purpose=purpose)
    content = of_answer(answer)
    if receipt is not None:
        write_file(receipt, answer.receipt.to_json(), PUBLIC_FILE)
    _write(content, out)
    show(as_json, document(content), *_lines(content), *written_to(out), *proof_in(receipt))


@app.command(name="show")
def show_(
    file: InputFile,
    profile: ProfileOption,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the report that a receipt holds, once it verifies; the room is not asked."""
    require_page_kind(out)
    require_writable(out)
    data = read_file(file)
    require_kind(file, data, Kind.REPORT)
    with naming(file, profile):
        trust = pinned_trust(profile)
        content = of_receipt(verify_report_receipt(ReportReceipt.from_json(data), trust))
    _write(content, out)
    show(as_json, document(content), *_lines(content), *written_to(out))


@app.command()
def own(
    profile: ProfileOption,
    *,
    owner: Annotated[
        list[str], typer.Option("--owner", help="Only this data owner; repeat it.")
    ] = [],  # noqa: B006 - Typer copies it
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """See, as a subject, what every owner holds about you that is public: free of charge.

    It is read with your own key, as `saferoom mine` does, and takes one of the day's readings.
    """
    require_page_kind(out)
    require_writable(out)
    working = Console(stderr=True, quiet=as_json).status(say("the report is put together"))
    with Room.open(profile) as room, working:
        content = _own(room, owner)
    _write(content, out)
    show(as_json, document(content), *_lines(content), *written_to(out))


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List the templates of reports, and who has approved each."""
    with Room.open(profile) as room:
        listed = [each for each in room.survey_templates() if each.template.report is not None]
    headings = (
        later("NAME"),
        later("PROPOSED BY"),
        later("APPROVED"),
        later("COLUMNS"),
        later("DIGEST"),
    )
    show(
        as_json,
        [listed_document(each) for each in listed],
        *table(headings, [_row(each) for each in listed]),
    )


@app.command()
def draft(
    sources: Annotated[
        list[str],
        typer.Argument(metavar=SOURCE, help="An owner, and a type of the catalogue that it keeps."),
    ],
    out: NewFile,
    purpose: PurposeOption,
    *,
    name: Annotated[str, typer.Option(help="The template's name.")] = "public-report",
    title_en: Annotated[str, typer.Option(help="Its title.")] = "Public credit report",
    title_zh: Annotated[
        str, typer.Option(help="Its title, in Chinese.", show_default=False)
    ] = "公共信用报告",
    as_json: JsonOption = False,
) -> None:
    """Draft a template of all columns that the catalogue calls public."""
    require_writable(out)
    tables = public_of(sources)
    purposes = [read_purpose(each) for each in purpose]
    drafted = written(name, Title(en=title_en, zh=title_zh), purposes, tables)
    write_file(out, write_yaml(drafted).encode(), PUBLIC_FILE)
    columns = sum(len(each.columns) for each in tables)
    show(
        as_json,
        {"file": str(out), **drafted},
        say(
            "drafted {columns:,} columns of {tables:,} tables in {out}",
            columns=columns,
            tables=len(tables),
            out=out,
        ),
        say("next: saferoom template propose {out}", out=out),
    )


def _own(room: Room, owners: list[str]) -> Content:
    require_subject(room)
    held: dict[str, OwnHoldings] = {}
    missing: dict[str, Reason] = {}
    for owner in sorted(owners or (each.owner for each in room.describe().enclaves)):
        if owner not in room.profile.trust.charter_roots:
            missing[owner] = Reason.BAD_CHARTER
            continue
        try:
            held[owner] = room.get_holdings(owner)
        except SafeRoomError as error:
            if error.reason not in _PASSING:
                raise
            missing[owner] = error.reason
    return of_holdings(room.profile.member.organisation, room.profile.card.origin, held, missing)


def _write(content: Content, out: Path | None) -> None:
    if out is not None:
        write_page(out, document(content), page_of(content), _latest(content))


def _latest(content: Content) -> datetime:
    return max((part.at for part in content.parts), default=datetime.now(UTC))


def _lines(content: Content) -> Iterator[str]:
    yield say("what is public by law about {subject}", subject=content.subject)
    for part in content.parts:
        yield from heading(part.owner if part.title is None else titled(part.title))
        for one in part.tables:
            yield f"  {titled(one.title)}"
            yield from _table(one)
        if not part.tables:
            yield say("  nothing that is public")
        yield say(
            "  {moment}, period {epoch}, entry {index} of the log",
            moment=moment(part.at),
            epoch=part.epoch,
            index=part.index,
        )
    for owner, reason in content.missing.items():
        yield from heading(owner)
        step = say(STEPS[reason]) if reason in STEPS else ""
        yield from folded(say("missing, {reason}: {step}", reason=reason, step=step), 1)


def _table(one: ContentTable) -> Iterator[str]:
    headings = [
        titled(column.title) + ("" if column.mark is None else " *") for column in one.columns
    ]
    rows = [tuple(plain(value or "") for value in row) for row in one.rows]
    yield from (f"  {line}" for line in table(headings, rows))
    for column in one.columns:
        if column.mark is not None:
            yield f"  {titled(column.title)} {mark_words(column.mark)}"


def _row(listed: ListedTemplate) -> tuple[str, ...]:
    name, proposer, approved, _, _, digest = listed_row(listed)
    report = listed.template.report
    columns = 0 if report is None else len(report.columns)
    return (name, proposer, approved, f"{columns:,}", digest)
