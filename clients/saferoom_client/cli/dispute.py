"""Commands about disputes: a subject opens them, and the owner they go to answers."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.narrow import folded
from saferoom_client.cli.options import JsonOption, ProfileOption, group
from saferoom_client.cli.output import moment, show
from saferoom_client.cli.receipt_kinds import naming
from saferoom_client.disputes import OpenedDispute
from saferoom_client.files import read_file
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_client.tongue import later, say
from saferoom_client.use import Use
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Dispute, DisputeAnswer, Finding
from saferoom_proto.use_receipt import UseReceipt, verify_use_receipt

app = group("Say that a use or a record is wrong, and answer.")

FINDINGS = (later("corrected"), later("stands"), later("passed-on"))
"""What comes of a dispute, listed for translation."""

EntryArgument = Annotated[
    int, typer.Argument(min=0, help="The dispute, by its entry of the log: see 'dispute list'.")
]


@app.command(name="open")
def open_(
    profile: ProfileOption,
    *,
    words: Annotated[str, typer.Option(help="What is wrong, in your words.")],
    use: Annotated[
        int | None,
        typer.Option(help="A use, by its entry of the log: see 'saferoom mine'."),
    ] = None,
    row: Annotated[
        int | None,
        typer.Option(min=1, help="Your row of it, if it is a batch; with --use and --owner."),
    ] = None,
    receipt: Annotated[
        Path | None,
        typer.Option(
            help="A use or a row, by its file of 'saferoom mine --receipts'.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    field: Annotated[
        str | None, typer.Option(help="A held field, TABLE.COLUMN; with --owner.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Who holds the field.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Dispute a use, or something that is held about you: signed, recorded, sent to its owner."""
    _require_one_thing(use, row, receipt, field, owner)
    with Room.open(profile) as room:
        if receipt is not None:
            about = _of_receipt(receipt, room)
        elif use is not None:
            about = _of_use(room, use, row, owner)
        else:
            about = _About(owner or "", field=field)
        recorded = room.open_dispute(
            about.owner, words, use=about.use, row=about.row, field=about.field
        )
    show(
        as_json,
        {
            "dispute": recorded.statement.digest,
            "owner": about.owner,
            "use": about.use,
            "row": about.row,
            "field": about.field,
        },
        say(
            "recorded, and {to} sees it: {digest}", to=about.owner, digest=recorded.statement.digest
        ),
        say("what comes of it: saferoom dispute list"),
    )


@app.command()
def answer(
    entry: EntryArgument,
    profile: ProfileOption,
    *,
    finding: Annotated[
        Finding,
        typer.Option(help="What came of it; 'passed-on' leaves it open until you answer again."),
    ],
    words: Annotated[str, typer.Option(help="What you tell the subject.")],
    epoch: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="The epoch from which on it is answered correctly: see 'saferoom data versions'.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a dispute with your organisation, as an approver of your owner's charter."""
    if epoch is not None and finding is not Finding.CORRECTED:
        raise typer.BadParameter(later("--epoch goes with --finding corrected"))
    with Room.open(profile) as room, _saying_where():
        found = _dispute(room, entry)
        recorded = room.answer_dispute(found.digest, finding, words, epoch=epoch)
    show(
        as_json,
        {
            "answer": recorded.statement.digest,
            "dispute": found.digest,
            "finding": finding,
            "epoch": epoch,
        },
        say(
            "recorded, and {subject} sees it: {finding}",
            subject=found.dispute.subject,
            finding=say(finding),
        ),
    )


@app.command()
def withdraw(entry: EntryArgument, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Take a dispute of yours back, if its owner has not settled it."""
    with Room.open(profile) as room, _saying_where():
        found = _dispute(room, entry)
        recorded = room.withdraw_dispute(found.digest)
    show(
        as_json,
        {"withdrawal": recorded.statement.digest, "dispute": found.digest},
        say("taken back, and {to} sees it", to=found.dispute.owner),
    )


@app.command(name="list")
def list_(
    profile: ProfileOption,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are open.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List your own disputes, or those made to your organisation, and what came of them."""
    with Room.open(profile) as room:
        disputes = [each for each in room.list_disputes() if each.is_open or not only_open]
        of_subject = room.profile.member.is_subject
    lines = [line for each in reversed(disputes) for line in _lines(each)]
    if any(each.is_open for each in disputes):
        lines += ["", *folded(_next(of_subject=of_subject))]
    show(as_json, [_document(each) for each in disputes], *(lines or [say("none")]))


@dataclass(frozen=True, slots=True)
class _About:
    """What a dispute is about, and to whom it goes."""

    owner: str
    use: str | None = None
    row: int | None = None
    field: str | None = None


def _require_one_thing(
    use: int | None, row: int | None, receipt: Path | None, field: str | None, owner: str | None
) -> None:
    given = [each for each in (use, receipt, field) if each is not None]
    needs_owner = field is not None or row is not None
    if len(given) != 1 or needs_owner != (owner is not None) or (row is not None and use is None):
        raise typer.BadParameter(
            later("give --use (of a batch: --row, --owner), or --receipt, or --owner and --field")
        )


def _of_use(room: Room, entry: int, row: int | None, owner: str | None) -> _About:
    """Find a use of the caller's by its entry of the log; a row of a batch, at its owner."""
    if row is not None and owner is not None:
        uses: Sequence[Use] = room.get_holdings(owner).rows
        found = [use for use in uses if use.row is not None and use.row.row.index == row - 1]
    else:
        found = list(room.list_uses(before=entry + 1, limit=1).uses)
    for use in found:
        if use.index == entry and use.owner is not None:
            return _About(use.owner, use=use.digest, row=None if row is None else row - 1)
        if use.index == entry:
            raise SafeRoomError(
                Reason.UNKNOWN_STATEMENT, "the room itself refused; no owner has it"
            )
    raise SafeRoomError(Reason.UNKNOWN_STATEMENT, f"entry {entry} is no use of yours")


def _of_receipt(path: Path, room: Room) -> _About:
    """Read what a use's receipt shows, once it verifies."""
    try:
        receipt = UseReceipt.from_json(read_file(path))
    except SafeRoomError as error:
        rule = later("not the receipt of a use")
        refusal = SafeRoomError(error.reason, rule, [FieldFault(str(path), rule)])
        refusal.add_note("saferoom mine --receipts FOLDER")
        raise refusal from error
    with naming(path, room.profile.folder):
        verified = verify_use_receipt(receipt, room.profile.trust)
    row = None if verified.row is None else verified.row.row.index
    return _About(verified.word.owner, use=Envelope.from_text(receipt.word).digest, row=row)


@contextmanager
def _saying_where() -> Generator[None]:
    """Say where it stands what the other side did first."""
    try:
        yield
    except SafeRoomError as refusal:
        if refusal.reason is Reason.CONFLICT:
            refusal.add_note("saferoom dispute list")
        raise


def _dispute(room: Room, entry: int) -> OpenedDispute:
    for found in room.list_disputes():
        if found.index == entry:
            return found
    rule = f"entry {entry} is no dispute of yours"
    refusal = SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("ENTRY", rule)])
    refusal.add_note("saferoom dispute list")
    raise refusal


def _next(*, of_subject: bool) -> str:
    if of_subject:
        return say("to take one back: saferoom dispute withdraw ENTRY")
    return say(
        "to answer: saferoom dispute answer ENTRY --finding {findings} --words '...'",
        findings="|".join(Finding),
    )


def _lines(opened: OpenedDispute) -> Iterator[str]:
    dispute = opened.dispute
    yield from folded(say("entry {index}, {moment}", index=opened.index, moment=moment(dispute.at)))
    yield from folded(
        say(
            "{subject} to {owner}, about {about}",
            subject=dispute.subject,
            owner=dispute.owner,
            about=_about(dispute),
        ),
        1,
    )
    yield from folded(dispute.words, 1)
    for said in opened.answers:
        yield from _answered(said)
    if opened.withdrawal is not None:
        at = moment(opened.withdrawal.at)
        yield from folded(say("taken back, {moment}", moment=at), 1)
    elif opened.is_overdue(utc_now()):
        yield from folded(say("open, and was due by {moment}", moment=moment(dispute.due)), 1)
    elif opened.is_open:
        yield from folded(say("open, due by {moment}", moment=moment(dispute.due)), 1)


def _about(dispute: Dispute) -> str:
    if dispute.field is not None:
        return say("the field {field}", field=dispute.field)
    if dispute.row is not None:
        return say("row {number:,} of the batch {use}", number=dispute.row + 1, use=dispute.use)
    return say("the use {use}", use=dispute.use)


def _answered(said: DisputeAnswer) -> Iterator[str]:
    yield from folded(
        say(
            "{approver} of {owner}, {moment}: {finding}",
            approver=said.approver,
            owner=said.owner,
            moment=moment(said.at),
            finding=say(said.finding),
        ),
        1,
    )
    if said.epoch is not None:
        yield from folded(say("answered correctly from epoch {epoch} on", epoch=said.epoch), 2)
    yield from folded(said.words, 2)


def _document(opened: OpenedDispute) -> dict[str, object]:
    withdrawal = opened.withdrawal
    return {
        "digest": opened.digest,
        "entry": opened.index,
        "open": opened.is_open,
        "due": opened.dispute.due.isoformat(),
        "overdue": opened.is_overdue(utc_now()),
        **opened.dispute.model_dump(mode="json", exclude={"certificate"}),
        "answers": [each.model_dump(mode="json") for each in opened.answers],
        "withdrawn": None if withdrawal is None else withdrawal.at.isoformat(),
    }
