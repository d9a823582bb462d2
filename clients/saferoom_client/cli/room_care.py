"""Commands with which an operator keeps a room: backups, and what a restored one lacks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Protocol, cast

import typer

from saferoom_client.cli.options import JsonOption, group
from saferoom_client.cli.output import moment, show
from saferoom_client.cli.software import of_room
from saferoom_client.files import refuse_existing, write_file
from saferoom_client.session import utc_now
from saferoom_client.tongue import later, say

app = group("Keep a room.")

_Folder = Annotated[Path, typer.Argument(help="The room's folder.", file_okay=False)]
_Seen = Annotated[
    list[Path] | None,
    typer.Option(
        help="What somebody saw: a receipt, a checkpoint, a member's log.json.",
        exists=True,
        dir_okay=False,
    ),
]


class _Manifest(Protocol):
    room: str
    made: datetime
    version: str
    size: int
    streams: dict[str, int]
    files: Sequence[object]


class _Backup(Protocol):
    path: Path
    manifest: _Manifest


class _Held(Protocol):
    index: int
    what: str
    where: Path


class _Behind(Protocol):
    size: int
    seen: int | None
    held: Sequence[_Held]
    entries: int


class _Restored(Protocol):
    manifest: _Manifest
    behind: _Behind


class _Audit(Protocol):
    size: int
    checkpoint: str
    streams: dict[str, int]


@app.command()
def audit(folder: _Folder, as_json: JsonOption = False) -> None:
    """Recompute the room's whole log from its entries, while it runs or not."""
    found = cast("_Audit", of_room("saferoom.whole", "audit_room")(folder))
    show(
        as_json,
        {
            "entries": found.size,
            "checkpoint": found.checkpoint,
            "streams": dict(found.streams),
        },
        say("{size} entries, as they were signed", size=found.size),
        *(
            say("{count} statements in the stream of {owner}", count=count, owner=owner)
            for owner, count in found.streams.items()
        ),
    )


@app.command("backup-key")
def backup_key(
    out: Annotated[Path, typer.Option("--out", "-o", help="The private half's file.")],
    as_json: JsonOption = False,
) -> None:
    """Make a key that opens backups; keep its file away from the room's host."""
    refuse_existing(out)
    private, public = cast("tuple[str, str]", of_room("saferoom.backup", "new_backup_key")())
    write_file(out, f"# opens backups that are sealed to {public}\n{private}\n".encode())
    show(
        as_json,
        {"key": str(out), "recipient": public},
        say(
            "wrote {out}: whoever has it opens the backups; keep it away from the room's host",
            out=out,
        ),
        say("seal backups to: {public}", public=public),
    )


@app.command()
def backup(
    folder: _Folder,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="A new file, or a folder.")],
    to: Annotated[list[str], typer.Option(help="An age public key that may open it.")],
    as_json: JsonOption = False,
) -> None:
    """Back the room up while it runs: its log whole and verified, its configuration, its keys.

    Enclaves' folders are their owners' and not in it.
    """
    made = cast(
        "_Backup", of_room("saferoom.backup", "backup_room")(folder, out, tuple(to), utc_now())
    )
    manifest = made.manifest
    show(
        as_json,
        {"file": str(made.path), **_document(manifest)},
        say(
            "backed {room} up to {path}: {size} entries, verified",
            room=manifest.room,
            path=made.path,
            size=manifest.size,
        ),
        say("it holds the room's keys, sealed to whom you named"),
    )


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="The backup.", exists=True, dir_okay=False)],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", file_okay=False)],
    *,
    card: Annotated[
        Path,
        typer.Option(
            help="The room's card, as a member holds it.",
            exists=True,
            dir_okay=False,
        ),
    ],
    key: Annotated[
        Path,
        typer.Option(help="The key that opens the backup.", exists=True, dir_okay=False),
    ],
    seen: _Seen = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup back, verified, and tell what was lost since and what everybody does next."""
    restored = cast(
        "_Restored",
        of_room("saferoom.restore", "restore_room")(archive, folder, card, key, tuple(seen or ())),
    )
    manifest, behind = restored.manifest, restored.behind
    document = {"folder": str(folder), **_document(manifest), "lost": _lost(behind)}
    show(as_json, document, *_told(folder, manifest, behind))


@app.command()
def confirm(
    folder: _Folder,
    *,
    seen: _Seen = None,
    nobody_saw_more: Annotated[
        bool,
        typer.Option("--nobody-saw-more", help="You asked, and nobody has more."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a restored room be served: nobody saw more of its log than it has."""
    manifest = cast(
        "_Manifest",
        of_room("saferoom.restore", "confirm_restored")(
            folder, tuple(seen or ()), nobody_saw_more=nobody_saw_more
        ),
    )
    show(
        as_json,
        {"folder": str(folder), **_document(manifest)},
        say("{room} may be served with its {size} entries", room=manifest.room, size=manifest.size),
        say("next: saferoom room serve {folder}", folder=folder),
    )


def _document(manifest: _Manifest) -> dict[str, object]:
    return {
        "room": manifest.room,
        "made": manifest.made,
        "version": manifest.version,
        "entries": manifest.size,
        "streams": dict(manifest.streams),
    }


def _lost(behind: _Behind) -> dict[str, object]:
    return {
        "entries": behind.entries,
        "newest_seen": behind.seen,
        "held": [
            {"index": one.index, "what": one.what, "where": str(one.where)} for one in behind.held
        ],
    }


def _told(folder: Path, manifest: _Manifest, behind: _Behind) -> list[str]:
    """Tell people what was put back, what was lost, what is refused now, and what to do."""
    first = say(
        "restored {room} to {folder} as of {moment}:",
        room=manifest.room,
        folder=folder,
        moment=moment(manifest.made),
    )
    lines = [
        first,
        say("  {size} entries, recomputed up to the room's signed checkpoint", size=manifest.size),
        *(
            say("  {count} statements for {owner}", count=count, owner=owner)
            for owner, count in manifest.streams.items()
        ),
        say("  no enclave's folder: those are their owners', who keep using them as they are"),
    ]
    if behind.entries:
        last = manifest.size + behind.entries - 1
        return [
            *lines,
            say(
                "LOST: entries {size} to {last} ({entries}), which others have seen:",
                size=manifest.size,
                last=last,
                entries=behind.entries,
            ),
            *(
                say(
                    "  entry {index}: {what}, in {where}",
                    index=one.index,
                    what=one.what,
                    where=one.where,
                )
                for one in behind.held
            ),
            *map(say, _AFTER_A_LOSS),
        ]
    if behind.seen is None:
        lines.append(say("lost: unknown, for nothing that others have seen was shown (--seen)"))
    else:
        lines.append(
            say(
                "lost: nothing that was shown; the newest seen has {seen} entries", seen=behind.seen
            )
        )
    return [
        *lines,
        *map(say, _BEFORE_SERVING),
        say("next: saferoom room confirm {folder} --seen FILE", folder=folder),
    ]


_AFTER_A_LOSS = (
    later(
        "refused from now on, and rightly: enclaves and members that saw those entries take no log"
    ),
    later("that lacks them (BROKEN_STREAM, BAD_PROOF), and nobody can agree that away. So:"),
    later("  operator  do not serve this folder; find a newer copy (an old disk, a later backup),"),
    later(
        "            and restore that. If there is none, the log ends here: keep this folder for an"
    ),
    later("            auditor, make a new room under a new name, and hand its card out."),
    later(
        "  owners    keep enclaves' folders and key agents as evidence. In a new room each owner"
    ),
    later("            signs a charter with its root, and its approvers hand everything in again."),
    later("  banks     keep your receipts: they verify for ever, also of entries that were lost."),
    later(
        "  subjects  consents and revocations name the room: those for a new room are signed anew."
    ),
    later("  auditor   gets this folder's log, the receipts and checkpoints shown, and this text."),
)
_BEFORE_SERVING = (
    later("before it is served, ask for what was seen since the backup:"),
    later("  owners    the size their enclave follows: saferoom room status, or the enclave's log"),
    later(
        "  members   their log.json and newest receipts; every one with more entries shows a loss"
    ),
    later("  witnesses the seen.json in their folder"),
    later("an enclave that has seen more refuses this log (BROKEN_STREAM) and answers nothing."),
)
