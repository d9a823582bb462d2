"""How far the log was recomputed, in the room's signed words: from there the next start goes on.

A mark stands beside the database, and only an audit of the whole log writes one, or the ledger that
wrote every later entry itself. It says nothing that is not checked against the log again: the
subtrees at its size must lead to its root, and the log's newest checkpoint must follow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import Field

from saferoom.durably import replace_file
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import Digest, Payload, Usage, load, seal_statement
from saferoom_proto.statements.base import Base64, Part

SUFFIX: Final = ".audited"


class MarkedStream(Part):
    """Where an owner's stream stood."""

    sequence: Annotated[int, Field(ge=1)]
    running: Digest


class Mark(Payload):
    """All entries before a size are as they were signed. It never leaves the room's folder."""

    KIND: ClassVar[str] = "audit-mark"
    SIGNED_BY: ClassVar[Usage] = Usage.ROOM

    size: Annotated[int, Field(ge=1)]
    root: Base64
    streams: dict[str, MarkedStream]

    @property
    def root_hash(self) -> bytes:
        """The root of the tree of that size."""
        return unb64(self.root)


def make_mark(room: str, size: int, root: bytes, streams: dict[str, MarkedStream]) -> Mark:
    """Make a mark of what was recomputed."""
    return Mark(room=room, size=size, root=b64(root), streams=streams)


def read_mark(database: Path, origin: str, key: VerifyKey) -> Mark | None:
    """Read a database's mark; none if there is none, or none that this room signed."""
    try:
        envelope = Envelope.from_json(_beside(database).read_bytes())
        envelope.verify([key])
        mark = load(envelope, Mark)
    except (OSError, SafeRoomError):
        return None
    return mark if mark.room == origin else None


def write_mark(database: Path, mark: Mark, key: SigningKey) -> None:
    """Put a mark in place of the one before."""
    replace_file(_beside(database), seal_statement(mark, key).to_json())


def drop_mark(database: Path) -> None:
    """Have the next start recompute everything."""
    _beside(database).unlink(missing_ok=True)


def _beside(database: Path) -> Path:
    return database.with_name(f"{database.name}{SUFFIX}")
