"""Commands about handing a charter root over: the owner's two roots sign, and others follow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.options import (
    InputFile,
    JsonOption,
    NewFile,
    ProfileOption,
    RoomCardOption,
    group,
    public_key,
)
from saferoom_client.cli.output import mapping, moment, show
from saferoom_client.drafts import read_root_handover, write_draft
from saferoom_client.files import (
    PUBLIC_FILE,
    bad_file,
    read_file,
    read_model,
    read_private,
    refuse_existing,
    write_file,
)
from saferoom_client.profile import RoomCard
from saferoom_client.room import Room
from saferoom_client.root_handovers import FollowedRoot
from saferoom_client.tongue import say
from saferoom_proto.dsse import Envelope, add_signature
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.roots import verify_root_handover
from saferoom_proto.statements import RootHandover, load, seal_statement

app = group("Hand a charter root over.")

RootKey = Annotated[
    Path,
    typer.Option("--root", help="The charter root's key file.", dir_okay=False),
]


@app.command("hand-over")
def hand_over(
    owner: Annotated[str, typer.Argument(help="The data owner.")],
    to: Annotated[
        str,
        typer.Option("--to", parser=public_key, metavar="KEY", help="The new root's public key."),
    ],
    profile: ProfileOption,
    out: NewFile,
    as_json: JsonOption = False,
) -> None:
    """Write the draft by which an owner's charter root is handed over to a new one."""
    refuse_existing(out)
    with Room.open(profile) as room:
        says = room.draft_root_handover(owner, to)
    write_file(out, write_draft(says).encode(), PUBLIC_FILE)
    show(
        as_json,
        {"file": str(out), **says.model_dump(mode="json")},
        *plainly(says),
        say(
            "next, at each of the two roots: saferoom charter sign-over {out} --root KEY"
            " --room CARD --out SIGNED",
            out=out,
        ),
    )


@app.command("sign-over")
def sign_over(
    file: InputFile,
    root: RootKey,
    room: RoomCardOption,
    out: NewFile,
    as_json: JsonOption = False,
) -> None:
    """Sign a root's handover where one of the two roots is kept: this needs no connection."""
    refuse_existing(out)
    key, origin = read_root(root), read_model(room, RoomCard).origin
    statement = _signed(file, key, root, origin)
    write_file(out, statement.to_json() + b"\n", PUBLIC_FILE)
    says = load(statement, RootHandover)
    signed = {one.keyid for one in statement.signatures}
    whole = len(signed) > 1
    show(
        as_json,
        {"file": str(out), "handover": statement.digest, "signatures": len(signed)},
        *plainly(says),
        say("signed {digest}, in {out}", digest=statement.digest, out=out),
        say("next, as one of the owner's members: saferoom charter put {out}", out=out)
        if whole
        else say(
            "next, at the other root: saferoom charter sign-over {out} --root KEY --room CARD"
            " --out SIGNED",
            out=out,
        ),
    )


def put_handover(statement: Envelope, profile: Path, *, as_json: bool) -> None:
    """Hand in a handover that both roots signed, and follow it in the member's own folder."""
    says = load(statement, RootHandover)
    with Room.open(profile) as room:
        recorded = room.hand_over_root(statement)
        room.follow_root(says.owner)
    digest = recorded.statement.digest
    show(
        as_json,
        {"owner": says.owner, "version": says.version, "handover": digest},
        say(
            "recorded the handover of the root of {owner}: {digest}",
            owner=says.owner,
            digest=digest,
        ),
        *plainly(says),
        say("next, at the owner's: saferoom agent follow AGENT FILE"),
        say(
            "and everybody who pinned the former root: saferoom trust follow {owner}",
            owner=says.owner,
        ),
    )


def show_followed(followed: FollowedRoot, *, as_json: bool) -> None:
    """Show by which root a member goes now, and what changed."""
    lines = [line for says in followed.handovers for line in plainly(says)]
    show(
        as_json,
        {
            "owner": followed.owner,
            "root": followed.root,
            "followed": [says.model_dump(mode="json") for says in followed.handovers],
            "charters_of_before": followed.former,
        },
        *(lines or [say("the root that you pinned signs the next charter")]),
        say("charter root of {owner}: {root}", owner=followed.owner, root=followed.root),
        say("charters of former roots that count still: {count}", count=followed.former),
    )


def show_pinned(says: RootHandover, *, as_json: bool) -> None:
    """Show that a folder of the owner's goes by another root now."""
    show(
        as_json,
        says.model_dump(mode="json"),
        say("goes by the new charter root of {owner}", owner=says.owner),
        *plainly(says),
    )


def plainly(says: RootHandover) -> list[str]:
    """Say in plain words what a handover changes."""
    return mapping(
        {
            "owner": says.owner,
            "former root": says.former,
            "new root": says.following,
            "signs from": say("version {version} on", version=says.version),
            "last charter before": says.previous,
            "signed on": moment(says.time),
        }
    )


def read_handover(file: Path) -> Envelope:
    """Read a handover that was signed."""
    try:
        statement = Envelope.from_json(read_file(file))
        load(statement, RootHandover)
    except SafeRoomError as error:
        rule = say("not a signed handover of a root: saferoom charter sign-over makes one")
        raise bad_file(file, rule) from error
    return statement


def read_root(path: Path) -> SigningKey:
    """Read a charter root's key."""
    data = read_private(path)
    try:
        return SigningKey.from_pem(data)
    except SafeRoomError as error:
        raise bad_file(path, error.detail) from error


def _signed(file: Path, key: SigningKey, root: Path, room: str) -> Envelope:
    """Sign a draft, or what the other root signed already."""
    if read_file(file).lstrip().startswith(b"{"):
        statement = read_handover(file)
        says = load(statement, RootHandover)
    else:
        statement, says = None, read_root_handover(file, room)
    if says.room != room:
        raise bad_file(file, f"a handover in the room {says.room}")
    if key.verify_key.public not in (says.former, says.following):
        raise bad_file(file, f"neither of its roots is the key in {root}")
    if statement is None:
        return seal_statement(says, key)
    signed = add_signature(statement, key)
    if len({one.keyid for one in signed.signatures}) > 1:
        verify_root_handover(signed, room, says.owner)
    return signed
