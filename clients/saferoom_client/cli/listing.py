"""Commands about lists: who of a district or an industry stands on a public register."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from saferoom_client.cli.next_steps import Asked, next_steps, saying_next
from saferoom_client.cli.options import InputFile, JsonOption, ProfileOption, group
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
from saferoom_client.files import PUBLIC_FILE, read_file, require_writable, write_file
from saferoom_client.profile import pinned_trust
from saferoom_client.receipt_kinds import Kind
from saferoom_client.report.content import plain
from saferoom_client.report.list_page import firm_table, list_document, list_page, list_summary
from saferoom_client.report.listing import FIRST_PAGE
from saferoom_client.report.page import mark_words
from saferoom_client.room import Room
from saferoom_client.templates import ListedTemplate
from saferoom_client.tongue import later, say, titled
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.list_receipt import ListReceipt, VerifiedList, verify_list_receipt
from saferoom_proto.reports.listed import OwnerList
from saferoom_proto.statements.listing import MOST_PAGES

app = group("Ask who of a district or an industry stands on a public register.")

STEPS: Final = {
    Reason.NOT_ALLOWED: later(
        "A column of it is not public by its owner's schema any more: ask for a template without."
    ),
    Reason.WITHHELD: later("Its records could not be read, or are too many to be told."),
    Reason.NO_DATA: later("Its owner has no records of these tables and columns, so far."),
    Reason.TOO_MANY_REQUESTS: later("A page of yours is under way at that owner: wait for it."),
    Reason.OVER_BUDGET: later(
        "It was told so often, or so many lists were: the receipts hold them until the next load."
    ),
}
"""What is advised where an enclave refuses a list."""


@app.command()
def ask(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its digest, or its name.")],
    profile: ProfileOption,
    code: Annotated[
        str, typer.Option(help="Of the district or the industry, or how it begins, as C26.")
    ],
    purpose: Annotated[str, typer.Option(help="What the list is for.")],
    *,
    page: Annotated[
        int, typer.Option(min=FIRST_PAGE, max=MOST_PAGES, help="Which page of it.")
    ] = FIRST_PAGE,
    out: OutOption = None,
    receipt: Annotated[
        Path | None, typer.Option(help="Write the receipt here.", dir_okay=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the owner's enclave for a page of a list, verify it, and print it."""
    require_page_kind(out)
    require_writable(out, receipt)
    asked = Asked(profile, template, steps=STEPS)
    working = Console(stderr=True, quiet=as_json).status(say("the list is put together"))
    with Room.open(profile) as room, saying_next(asked), working:
        answer = room.ask_list(template, code=code, purpose=purpose, page=page)
    if receipt is not None:
        write_file(receipt, answer.receipt.to_json(), PUBLIC_FILE)
    if answer.refused is not None:
        refusal = SafeRoomError(answer.refused, say("its enclave refused; its word is recorded"))
        for step in next_steps(answer.refused, asked):
            refusal.add_note(step)
        raise refusal
    told = _told(answer.verified)
    following = say("the next page: --page {page}", page=told.page + 1)
    more = [following] if told.page < told.pages else []
    _show(answer.verified, told, out, as_json, *more, *proof_in(receipt))


@app.command(name="show")
def show_(
    file: InputFile,
    profile: ProfileOption,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the page of a list that a receipt holds, once it verifies; the room is not asked."""
    require_page_kind(out)
    require_writable(out)
    data = read_file(file)
    require_kind(file, data, Kind.LIST)
    with naming(file, profile):
        trust = pinned_trust(profile)
        verified = verify_list_receipt(ListReceipt.from_json(data), trust)
        told = _told(verified)
    _show(verified, told, out, as_json)


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List the templates of lists, and who has approved each."""
    with Room.open(profile) as room:
        listed = [each for each in room.survey_templates() if each.template.listing is not None]
    headings = (
        later("NAME"),
        later("PROPOSED BY"),
        later("APPROVED"),
        later("REGISTER"),
        later("DIGEST"),
    )
    show(
        as_json,
        [listed_document(each) for each in listed],
        *table(headings, [_row(each) for each in listed]),
    )


def _told(verified: VerifiedList) -> OwnerList:
    """Give what was told; a refusal is told nothing."""
    if verified.told is None:
        reason = verified.said.release.reason or Reason.INTERNAL
        raise SafeRoomError(reason, say("its enclave refused; its word is recorded"))
    return verified.told


def _show(
    verified: VerifiedList, told: OwnerList, out: Path | None, as_json: bool, *more: str
) -> None:
    if out is not None:
        write_page(out, list_document(verified), list_page(verified, told), told.at)
    show(as_json, list_document(verified), *_lines(verified, told), *written_to(out), *more)


def _lines(verified: VerifiedList, told: OwnerList) -> Iterator[str]:
    yield titled(verified.said.template.title)
    yield f"  {list_summary(told)}"
    headings = [later("FIRM"), *(titled(each.title) for each in told.columns)]
    rows: list[tuple[str, ...]] = []
    marks: list[str] = []
    for firm in told.listed:
        content = firm_table(told, firm)
        marked = [
            f"  {firm.subject}: {titled(column.title)} {mark_words(column.mark)}"
            for column in content.columns
            if column.mark is not None
        ]
        star = " *" if marked else ""
        marks += marked
        rows += [
            (f"{firm.subject}{star}", *(plain(value or "") for value in row))
            for row in content.rows
        ]
    yield from (f"  {line}" for line in table(headings, rows))
    yield from marks
    yield say(
        "  {moment}, period {epoch}, entry {index} of the log",
        moment=moment(told.at),
        epoch=told.store.epoch,
        index=verified.said.index,
    )


def _row(listed: ListedTemplate) -> tuple[str, ...]:
    name, proposer, approved, _, _, digest = listed_row(listed)
    listing = listed.template.listing
    register = "" if listing is None else f"{listing.owner}.{listing.table}"
    return (name, proposer, approved, register, digest)
