"""Commands about the room's own keys: the operator changes them, and members follow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, cast

import typer

from saferoom_client.cli.options import JsonOption, ProfileOption, group
from saferoom_client.cli.output import mapping, moment, show
from saferoom_client.cli.software import of_room
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_proto.statements import KeyUse

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from saferoom_proto.handover import Handover

app = group("Change a room's keys.")

_Folder = Annotated[Path, typer.Argument(help="The room's folder.", file_okay=False)]


class _Card(Protocol):
    """The room's own card: its software's type is not a light client's to name."""

    ledger_key: str
    heads_key: str


@app.command("rotate-key")
def rotate_key(
    folder: _Folder,
    use: Annotated[KeyUse, typer.Argument(help="What the key signs.")],
    *,
    finish: Annotated[bool, typer.Option("--finish", help="End the former key.")] = False,
    at_once: Annotated[
        bool,
        typer.Option("--at-once", help="It is stolen: end it, whatever charters name it."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Hand one of the room's keys over to a new one, while the room runs.

    First both sign. Members follow, and owners' next charters name the new key; then the former
    one is ended.
    """
    if at_once and not finish:
        raise typer.BadParameter(later("--at-once goes with --finish"))
    if finish:
        call = of_room("saferoom.rotation", "finish")
        card = cast("_Card", call(folder, use, at_once=at_once))
        key = card.ledger_key if use is KeyUse.LEDGER else card.heads_key
        show(
            as_json,
            {"use": use, "key": key},
            say("the former {use} key is gone; the room's card names the new one", use=use),
            say("next: back the room up anew: older backups hold the former key"),
        )
        return
    says = cast("Handover", of_room("saferoom.rotation", "begin")(folder, use)).says
    show(
        as_json,
        {"use": use, "former": says.former, "following": says.following},
        say("both {use} keys sign, as soon as the room has seen it", use=use),
        *mapping({"former": says.former, "following": says.following}),
        say("next: members follow (saferoom room follow), owners sign a charter that names it"),
        say("then: saferoom room rotate-key {folder} {use} --finish", folder=folder, use=use),
    )


@app.command("renew-tls")
def renew_tls(folder: _Folder, as_json: JsonOption = False) -> None:
    """Make the server a new TLS key and certificate; new connections get it, the room runs on."""
    made = cast("Certificate", of_room("saferoom.rotation", "renew_server")(folder))
    show(
        as_json,
        {"valid_to": made.not_valid_after_utc.isoformat()},
        say("a new server certificate, until {end}", end=moment(made.not_valid_after_utc)),
    )


@app.command()
def follow(
    profile: ProfileOption,
    *,
    stolen: Annotated[
        bool, typer.Option("--stolen", help="Trust the former keys in nothing any more.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Go over to the room's new keys, where the ones that you pinned signed that."""
    with Room.open(profile) as room:
        followed = room.follow(stolen=stolen)
    lines: Sequence[str] = [
        say(
            "the {use} key is {key} now",
            use=each.says.use,
            key=each.says.following,
        )
        for each in followed.handovers
    ]
    show(
        as_json,
        {
            "ledger_key": followed.ledger_key,
            "heads_key": followed.heads_key,
            "followed": [each.envelope.digest for each in followed.handovers],
        },
        *(lines or [say("the keys that you pinned are the room's newest")]),
    )
