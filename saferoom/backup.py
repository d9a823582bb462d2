"""A backup of a room, made while it runs: one file, sealed to whoever may restore it.

    1  the database as of one instant, by SQLite's own backup
    2  that copy recomputed whole, up to its signed checkpoint: what is damaged is not kept as good
    3  beside it the configuration, the card, the issuers' certificates, and the room's keys
    4  a manifest with every file's digest, signed by the room
    5  all of it in a tar, sealed with age to one or more recipients

The room's keys stand in its folder, so they stand in its backup, and it is never written unsealed
(docs/adr/0011). Enclaves' folders are their owners', and no older copy of one is ever of use.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, ClassVar, Final

import pyrage
from pydantic import Field, StringConstraints

from saferoom.config import CONFIG_FILE
from saferoom.ledger.audit import audit
from saferoom.room import CARD_FILE, Room
from saferoom.scratch import BACKUP, scratch
from saferoom.state.database import Database
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Instant, Payload, Usage, seal_statement
from saferoom_proto.statements.base import OutsideDigest, Part, whole_milliseconds

MANIFEST: Final = "manifest.json"
STATE: Final = "state.db"
SUFFIX: Final = ".tar.age"
_KEPT: Final = (
    CONFIG_FILE,
    CARD_FILE,
    "keys/*.pem",
    "keys/*.json",
    "tls/*.pem",
    "tls/*.key",
    "issuers/*.pem",
)


class KeptFile(Part):
    """A file of a backup."""

    path: Annotated[str, StringConstraints(pattern=r"^[a-z]+/?[A-Za-z0-9._-]+$", max_length=200)]
    size: Annotated[int, Field(ge=0)]
    digest: OutsideDigest


class Manifest(Payload):
    """What a backup holds, in the room's own words. It never leaves the backup."""

    KIND: ClassVar[str] = "backup"
    SIGNED_BY: ClassVar[Usage] = Usage.ROOM

    made: Instant
    version: Annotated[str, StringConstraints(max_length=100)]
    """Of the program that made it."""
    size: Annotated[int, Field(ge=0)]
    """Entries of the ledger."""
    checkpoint: Annotated[str, StringConstraints(max_length=131_072)]
    streams: dict[str, int]
    """How many statements each owner's enclave has been given, or is still to be given."""
    files: Annotated[tuple[KeptFile, ...], Field(max_length=10_000)]


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made."""

    path: Path
    manifest: Manifest


def backup_room(folder: Path, out: Path, recipients: Sequence[str], now: datetime) -> Backup:
    """Make a backup of a room, whether it runs or not.

    Args:
        folder: the room's.
        out: a new file, or a folder in which it gets a name of its own.
        recipients: age public keys, `age1...`; each of them opens it.
        now: the instant.

    Raises:
        SafeRoomError: `BAD_CONFIG` for a recipient that is none or a file that is there;
            `BAD_PROOF` or `STORE_DAMAGED` if the room's log is not what its key signed.
    """
    sealed_to = [_recipient(each) for each in recipients]
    if not sealed_to:
        fault = FieldFault("--to", "a backup holds the room's keys: name who may open it")
        raise SafeRoomError(Reason.BAD_CONFIG, fault.rule, [fault])
    room = Room.open(folder)
    path = out / f"{_name(room, now)}{SUFFIX}" if out.is_dir() else out
    if path.exists():
        raise SafeRoomError(Reason.BAD_CONFIG, f"{path} is there already")
    # In the room's own folder: nobody else enters it, and what is secret stays on its disk.
    with scratch(folder, BACKUP) as work:
        # Step 1: the database.
        copy_database(room.state_file, work / STATE)
        # Step 2: what it holds.
        files = [(STATE, work / STATE), *_beside(folder)]
        manifest = _manifest(room, work / STATE, files, now)
        # Steps 3 and 4: all files behind their signed manifest.
        signed = seal_statement(manifest, *room.heads.signing).to_json()
        (work / MANIFEST).write_bytes(signed)
        _pack(work / "plain.tar", [(MANIFEST, work / MANIFEST), *files])
        # Step 5: sealed, whole, and on the disk before it has its name.
        _seal(work / "plain.tar", path, sealed_to)
    return Backup(path, manifest)


def new_backup_key() -> tuple[str, str]:
    """Make a key that opens backups: the private half, and the public one to seal them to."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as of one instant; whoever writes it goes on meanwhile.

    Raises:
        SafeRoomError: `BAD_CONFIG` if there is none.
    """
    target.touch(mode=0o600)
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing)
    except sqlite3.Error as error:
        detail = f"{source} can't be copied: {error}; a room that never ran has none"
        raise SafeRoomError(Reason.BAD_CONFIG, detail) from error


def digest_of(path: Path) -> str:
    """Give a file's digest."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _manifest(
    room: Room, state: Path, files: Sequence[tuple[str, Path]], now: datetime
) -> Manifest:
    with Database.open(state) as database, database.read() as connection:
        tip = audit(connection, room.config.origin, room.ledger_key.verify_key)
    if tip is None:
        raise SafeRoomError(Reason.BAD_CONFIG, "the room has never run: there is nothing to keep")
    state.with_name(f"{state.name}.lock").unlink()
    return Manifest(
        room=room.config.origin,
        made=whole_milliseconds(now),
        version=version("saferoom"),
        size=tip.size,
        checkpoint=tip.note,
        streams={owner: head.sequence for owner, head in sorted(tip.streams.items())},
        files=tuple(
            KeptFile(path=name, size=path.stat().st_size, digest=digest_of(path))
            for name, path in files
        ),
    )


def _beside(folder: Path) -> Iterator[tuple[str, Path]]:
    for pattern in _KEPT:
        for path in sorted(folder.glob(pattern)):
            yield str(path.relative_to(folder)), path


def _pack(target: Path, files: Sequence[tuple[str, Path]]) -> None:
    target.touch(mode=0o600)
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in files:
            tar.add(path, name, recursive=False, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out whose file it was on this host."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _seal(plain: Path, path: Path, recipients: Sequence[pyrage.x25519.Recipient]) -> None:
    part = path.with_name(f".{path.name}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with plain.open("rb") as reading, os.fdopen(handle, "wb") as writing:
            pyrage.encrypt_io(reading, writing, recipients)
            writing.flush()
            os.fsync(writing.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _recipient(text: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        fault = FieldFault("--to", "not an age public key (age1...)")
        raise SafeRoomError(Reason.BAD_CONFIG, fault.rule, [fault]) from error


def _name(room: Room, now: datetime) -> str:
    return f"{room.config.origin.replace('/', '-')}-{now:%Y%m%dT%H%M%SZ}"
