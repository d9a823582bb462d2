"""The command of a subject that wants to see what is held about it, and who used it for what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer

from saferoom_client.cli.answer_words import in_document
from saferoom_client.cli.holdings_words import describe_held, describe_learned, describe_use
from saferoom_client.cli.narrow import folded, heading
from saferoom_client.cli.options import JsonOption, ProfileOption
from saferoom_client.cli.output import error_document, progress_of, show
from saferoom_client.cli.use_receipt import write_receipts
from saferoom_client.cli.who_may import require_subject
from saferoom_client.files import make_folder
from saferoom_client.holdings import OwnHoldings
from saferoom_client.room import Room
from saferoom_client.tongue import say
from saferoom_client.use import Use
from saferoom_client.uses import UsesPage
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Template

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
"""Refusals of one owner that say nothing about the others; what does not verify is none of them."""


@dataclass(slots=True)
class _Mine:
    """What was gathered.

    Attributes:
        subject: whose.
        held: what each owner holds.
        refused: owners that show nothing now, and why.
        unpinned: owners whose charter root is not pinned here.
        uses: every use, the newest first.
        templates: those that the uses name.
    """

    subject: str
    held: dict[str, OwnHoldings] = field(default_factory=dict[str, OwnHoldings])
    refused: dict[str, SafeRoomError] = field(default_factory=dict[str, SafeRoomError])
    unpinned: set[str] = field(default_factory=set[str])
    uses: list[Use] = field(default_factory=list[Use])
    templates: dict[str, Template] = field(default_factory=dict[str, Template])


def mine(
    profile: ProfileOption,
    *,
    owner: Annotated[
        list[str], typer.Option("--owner", help="Only this data owner; repeat it.")
    ] = [],  # noqa: B006 - Typer copies it
    uses_only: Annotated[
        bool,
        typer.Option("--uses-only", help="Only who asked what: no records, batches or lists."),
    ] = False,
    receipts: Annotated[
        Path | None,
        typer.Option(help="A folder to write each use's receipt to.", file_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """See all that is held about you, by every owner, and every use of it: free of charge."""
    bar, move = progress_of("owners", quiet=as_json)
    with Room.open(profile) as room:
        gathered = _Mine(room.profile.member.organisation)
        require_subject(room)
        with bar:
            owners = sorted(owner or (each.owner for each in room.describe().enclaves))
            for done, name in enumerate(owners):
                move(done, len(owners) + 1)
                _ask(room, gathered, name, uses_only=uses_only)
            move(len(owners), len(owners) + 1)
            _list(room, gathered, owner)
        if receipts is not None:
            write_receipts(room, gathered.uses, make_folder(receipts), quiet=as_json)
    show(as_json, _document(gathered), *_lines(gathered, uses_only=uses_only))


def _ask(room: Room, gathered: _Mine, owner: str, *, uses_only: bool) -> None:
    """Ask one owner; one that cannot show anything now does not stop the others."""
    if owner not in room.profile.trust.charter_roots:
        gathered.unpinned.add(owner)
    elif not uses_only:
        try:
            gathered.held[owner] = own = room.get_holdings(owner)
            gathered.uses += (*own.rows, *own.lists)
        except SafeRoomError as error:
            if error.reason not in _PASSING:
                raise
            gathered.refused[owner] = error


def _list(room: Room, gathered: _Mine, owners: list[str]) -> None:
    page: UsesPage | None = None
    while page is None or page.next is not None:
        page = room.list_uses(before=None if page is None else page.next)
        gathered.unpinned |= page.unpinned.keys() & set(owners or page.unpinned)
        gathered.uses += [each for each in page.uses if not owners or each.owner in owners]
    gathered.uses.sort(key=lambda use: use.index, reverse=True)
    for use in gathered.uses:
        if use.template is not None and use.template not in gathered.templates:
            gathered.templates[use.template] = room.template_of(use.template)


def _lines(gathered: _Mine, *, uses_only: bool) -> Iterator[str]:
    yield say("about {subject}", subject=gathered.subject)
    for owner, own in gathered.held.items():
        yield from heading(say("held by {owner}", owner=owner))
        yield from describe_held(own)
    for owner, error in gathered.refused.items():
        yield from heading(say("held by {owner}", owner=owner))
        yield from folded(
            say("not shown now, {reason}: {why}", reason=error.reason, why=_why(error)), 1
        )
    for owner in sorted(gathered.unpinned):
        yield from heading(say("held by {owner}", owner=owner))
        yield from folded(
            say(
                "not shown: its charter root is not pinned. Ask {owner} for it, then:", owner=owner
            ),
            1,
        )
        yield from folded(f"saferoom trust pin {owner} ROOT", 2)
    if not uses_only:
        yield from heading(say("what others could have learned"))
        told = [line for own in gathered.held.values() for line in describe_learned(own)]
        unseen = [*gathered.refused, *sorted(gathered.unpinned)]
        told += [say("  of {owner}: not shown now", owner=owner) for owner in unseen]
        yield from told or [say("  nothing that was charged")]
    yield from heading(say("uses: {count}, the newest first", count=len(gathered.uses)))
    for use in gathered.uses:
        template = None if use.template is None else gathered.templates.get(use.template)
        yield from describe_use(use, template)
    if uses_only:
        yield from folded(
            say("rows of batches, and lists, are shown with the records: without --uses-only")
        )
    yield from _beyond(gathered)
    yield ""
    yield from folded(say("wrong? saferoom dispute open --use ENTRY --words '...'"))
    if any(use.row is not None for use in gathered.uses):
        yield from folded(say("of a batch, with your row too: --row ROW --owner OWNER"))


def _beyond(gathered: _Mine) -> Iterator[str]:
    """Tell of batches and lists that are not among the uses."""
    for owner, own in gathered.held.items():
        if earlier := own.holdings.earlier:
            yield from folded(
                say("{owner}: in {earlier:,} earlier batches, too", owner=owner, earlier=earlier)
            )
        if earlier := own.holdings.earlier_lists:
            yield from folded(
                say("{owner}: on {earlier:,} earlier lists, too", owner=owner, earlier=earlier)
            )
        if own.unproven:
            yield from folded(
                say(
                    "{owner}: in {count:,} batches or lists that the log lacks; ask the auditor",
                    owner=owner,
                    count=own.unproven,
                )
            )


def _why(error: SafeRoomError) -> str:
    match error.reason:
        case Reason.TOO_MANY_REQUESTS:
            return say("it showed you all of it three times in the last day; ask again tomorrow.")
        case Reason.WITHHELD:
            return say("ask the owner itself; its enclave cannot show it all at once.")
        case Reason.NO_DATA:
            return say("it has loaded no data, so it holds nothing.")
        case _:
            return f"{say(error.words.what)} {say(error.words.next_step)}"


def _document(gathered: _Mine) -> dict[str, object]:
    return {
        "subject": gathered.subject,
        "held": {
            owner: {
                "entry": own.index,
                "disclosure": own.disclosure.statement.digest,
                "unproven": own.unproven,
                **own.holdings.model_dump(mode="json"),
            }
            for owner, own in gathered.held.items()
        },
        "refused": {owner: error_document(error) for owner, error in gathered.refused.items()},
        "unpinned": sorted(gathered.unpinned),
        "uses": [use_document(use) for use in gathered.uses],
    }


def use_document(use: Use) -> dict[str, object]:
    """Write a use for a program."""
    return {
        "entry": use.index,
        "use": use.digest,
        "kind": use.kind,
        "row": None if use.row is None else use.row.row.index,
        "answer": in_document(use.answer),
        "params": dict(use.params),
        "time": use.time.isoformat(),
        "owner": use.owner,
        "institution": use.institution,
        "request_id": use.request_id,
        "template": use.template,
        "outcome": "answered" if use.answered else "refused",
        "reason": use.reason,
        "bits": round(use.bits, 3),
        "charges": [each.model_dump(mode="json") for each in use.charges],
        "consent": use.consent,
        "question": None if use.request is None else use.request.model_dump(mode="json"),
    }
