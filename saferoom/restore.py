"""Puts a backup back into an empty folder, verified, and tells what it lacks.

    1  opened with the key of whoever it was sealed to
    2  its manifest is signed by the key in the room's card, which members hold too
    3  every file has the digest that the manifest gives it, and there is no other
    4  the log is recomputed whole: it leads to the manifest's signed checkpoint
    5  what others have seen of the room is held against it (`seen.py`)

A restored room is not served before `confirm_restored`: whoever serves a log that others have seen
longer signs a second history, and every member can prove it.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import pyrage

from saferoom.backup import MANIFEST, STATE, Manifest, digest_of
from saferoom.ledger.audit import audit
from saferoom.room import RESTORED, Room, read_card
from saferoom.scratch import RESTORE, scratch
from saferoom.seen import Behind, compare
from saferoom.state.database import Database
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import load

_MANIFEST_BYTES: Final = 4 << 20
_PIECE: Final = 1 << 20
_FOLDERS: Final = ("keys", "tls", "issuers", "enclaves", "run")


@dataclass(frozen=True, slots=True)
class Restored:
    """A room that was put back.

    Attributes:
        manifest: what the backup said of itself.
        behind: what others have seen and the backup lacks.
    """

    manifest: Manifest
    behind: Behind


def restore_room(
    archive: Path, folder: Path, card: Path, key: Path, seen: Sequence[Path] = ()
) -> Restored:
    """Put a backup back.

    Args:
        archive: the backup.
        folder: a new or empty one.
        card: the room's card, as its members hold it.
        key: a file with the age key that opens the backup.
        seen: what members have seen: receipts, checkpoints, their `log.json`.

    Raises:
        SafeRoomError: `BAD_CONFIG` for a folder or key that won't do, `BAD_SEAL` if the key does
            not open the backup, `BAD_SIGNATURE` or `BAD_PROOF` if it is not the room's, or damaged.
            Nothing is left in the folder.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SafeRoomError(Reason.BAD_CONFIG, f"{folder} is not empty")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with scratch(folder.parent, RESTORE) as work:
        _open(archive, work / "plain.tar", key)
        manifest = _unpack(work / "plain.tar", work / "room", card)
        room = Room.open(work / "room")
        _require_card(room, card)
        behind = _audited(room, manifest, seen)
        marked = work / "room" / RESTORED
        marked.touch(mode=0o600)
        marked.write_bytes(manifest.to_bytes())
        if folder.exists():
            folder.rmdir()
        (work / "room").rename(folder)
    return Restored(manifest, behind)


def confirm_restored(folder: Path, seen: Sequence[Path], *, nobody_saw_more: bool) -> Manifest:
    """Let a restored room be served, once nobody is known to have seen more of its log.

    Args:
        folder: the room's.
        seen: what members have seen.
        nobody_saw_more: the operator asked, and nobody has anything to show.

    Raises:
        SafeRoomError: `BAD_CONFIG` if it was not restored, or nothing is shown; `BAD_PROOF` if
            somebody saw more, or another history.
    """
    path = folder / RESTORED
    if not path.exists():
        raise SafeRoomError(Reason.BAD_CONFIG, f"{folder} waits for no confirmation")
    if not seen and not nobody_saw_more:
        fault = FieldFault(
            "--seen",
            "show what members and enclaves' owners have seen, or say "
            "--nobody-saw-more once you have asked them",
        )
        raise SafeRoomError(Reason.BAD_CONFIG, fault.rule, [fault])
    manifest = Manifest.model_validate_json(path.read_bytes())
    room = Room.open(folder)
    with Database.open(room.state_file) as database:
        behind = compare(database, room.config.origin, room.ledger_key.verify_key, seen)
    if behind.entries:
        refusal = SafeRoomError(
            Reason.BAD_PROOF, f"{behind.entries} entries were seen and are lost"
        )
        refusal.add_note("Restore a newer copy; this one is not served (docs/operators.md).")
        raise refusal
    path.unlink()
    return manifest


def _open(archive: Path, plain: Path, key: Path) -> None:
    identity = _identity(key)
    plain.touch(mode=0o600)
    try:
        with archive.open("rb") as reading, plain.open("wb") as writing:
            pyrage.decrypt_io(reading, writing, [identity])
    except (pyrage.DecryptError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        detail = f"{archive}: {key} does not open it, or it is damaged"
        refusal = SafeRoomError(Reason.BAD_SEAL, detail)
        refusal.add_note("Give the key that it was sealed to, and the backup as it was made.")
        raise refusal from error


def _identity(path: Path) -> pyrage.x25519.Identity:
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    try:
        (key,) = keys
        return pyrage.x25519.Identity.from_str(key)
    except (ValueError, pyrage.IdentityError) as error:
        fault = FieldFault(str(path), "not one age key (AGE-SECRET-KEY-1...)")
        raise SafeRoomError(Reason.BAD_CONFIG, fault.rule, [fault]) from error


def _unpack(plain: Path, target: Path, card: Path) -> Manifest:
    """Unpack what the manifest names, each file as it says; refuse anything else."""
    target.mkdir(mode=0o700)
    for part in _FOLDERS:
        (target / part).mkdir(mode=0o700)
    try:
        with tarfile.open(plain, "r:") as tar:
            manifest = _read_manifest(tar, card)
            expected = {each.path: each for each in manifest.files}
            for member in tar:
                if member.name == MANIFEST:
                    continue
                kept = expected.pop(member.name, None)
                content = tar.extractfile(member) if member.isreg() else None
                if kept is None or content is None or member.size != kept.size:
                    raise _damaged(member.name, "the manifest names no such file")
                path = target / kept.path
                _write(path, content)
                if digest_of(path) != kept.digest:
                    raise _damaged(kept.path, "it has another digest than in the manifest")
    except tarfile.TarError as error:
        raise _damaged(MANIFEST, "what was sealed is no archive") from error
    if expected:
        raise _damaged(next(iter(expected)), "it is missing")
    return manifest


def _read_manifest(tar: tarfile.TarFile, card: Path) -> Manifest:
    first = tar.next()
    content = None if first is None or first.name != MANIFEST else tar.extractfile(first)
    if content is None:
        raise _damaged(MANIFEST, "it does not come first")
    envelope = Envelope.from_json(content.read(_MANIFEST_BYTES))
    pinned = read_card(card)
    envelope.verify([VerifyKey.from_public(pinned.heads_key)])
    manifest = load(envelope, Manifest)
    if manifest.room != pinned.origin:
        raise _damaged(MANIFEST, f"it is of the room {manifest.room}")
    return manifest


def _write(path: Path, content: IO[bytes]) -> None:
    path.touch(mode=0o600, exist_ok=False)
    with path.open("wb") as file:
        while piece := content.read(_PIECE):
            file.write(piece)


def _require_card(room: Room, card: Path) -> None:
    """Refuse keys that are not those which members pinned."""
    pinned, own = read_card(card), room.card()
    for name in ("origin", "tls_root", "ledger_key", "heads_key"):
        if getattr(pinned, name) != getattr(own, name):
            raise _damaged(name, f"the backup's is another than in {card}")


def _audited(room: Room, manifest: Manifest, seen: Sequence[Path]) -> Behind:
    origin, key = room.config.origin, room.ledger_key.verify_key
    with Database.open(room.folder / STATE) as database:
        with database.read() as connection:
            tip = audit(connection, origin, key)
        if tip is None or tip.note != manifest.checkpoint:
            raise _damaged(STATE, "it does not lead to the manifest's checkpoint")
        return compare(database, origin, key, seen)


def _damaged(place: str, what: str) -> SafeRoomError:
    return SafeRoomError(Reason.BAD_PROOF, f"{place}: {what}", [FieldFault(place, what)])
