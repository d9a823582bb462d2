"""Commands about disputes: a subject opens them, and the owner they go to lists them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from saferoom_client.cli.narrow import folded
from saferoom_client.cli.options import JsonOption, ProfileOption, group
from saferoom_client.cli.output import moment, show
from saferoom_client.disputes import OpenedDispute
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_client.use import Use
from saferoom_proto.reasons import Reason, SafeRoomError

app = group("Say that a use or a record is wrong.")


@app.command(name="open")
def open_(
    profile: ProfileOption,
    *,
    words: Annotated[str, typer.Option(help="What is wrong, in your words.")],
    use: Annotated[
        int | None,
        typer.Option(help="A use, by its entry of the log: see 'saferoom mine'."),
    ] = None,
    field: Annotated[
        str | None, typer.Option(help="A held field, TABLE.COLUMN; with --owner.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Who holds the field.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Dispute a use, or something that is held about you: signed, recorded, sent to its owner."""
    if (use is None) == (field is None) or (field is None) == (owner is not None):
        raise typer.BadParameter(later("give --use, or --owner and --field"))
    with Room.open(profile) as room:
        found = None if use is None else _use(room, use)
        to = found.owner if found is not None else owner
        if to is None:
            raise SafeRoomError(
                Reason.UNKNOWN_STATEMENT, "the room itself refused; no owner has it"
            )
        digest = None if found is None else found.digest
        recorded = room.open_dispute(to, words, use=digest, field=field)
    show(
        as_json,
        {"dispute": recorded.statement.digest, "owner": to, "use": digest, "field": field},
        say("recorded, and {to} sees it: {digest}", to=to, digest=recorded.statement.digest),
        say("the room does not handle disputes yet: the owner answers you itself"),
    )


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List your own disputes, or those made to your organisation."""
    with Room.open(profile) as room:
        disputes = room.list_disputes()
    lines = [line for each in reversed(disputes) for line in _lines(each)]
    show(as_json, [_document(each) for each in disputes], *(lines or [say("none")]))


def _use(room: Room, entry: int) -> Use:
    """Find a use of the caller's by its entry of the log."""
    for found in room.list_uses(before=entry + 1, limit=1).uses:
        if found.index == entry:
            return found
    raise SafeRoomError(Reason.UNKNOWN_STATEMENT, f"entry {entry} is no use of yours")


def _lines(opened: OpenedDispute) -> Iterator[str]:
    dispute = opened.dispute
    about = (
        say("the use {use}", use=dispute.use)
        if dispute.field is None
        else say("the field {field}", field=dispute.field)
    )
    yield from folded(say("entry {index}, {moment}", index=opened.index, moment=moment(dispute.at)))
    yield from folded(
        say(
            "{subject} to {owner}, about {about}",
            subject=dispute.subject,
            owner=dispute.owner,
            about=about,
        ),
        1,
    )
    yield from folded(dispute.words, 1)


def _document(opened: OpenedDispute) -> dict[str, object]:
    return {
        "digest": opened.digest,
        "entry": opened.index,
        **opened.dispute.model_dump(mode="json", exclude={"certificate"}),
    }
