"""What goes into the ledger and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from saferoom.state.rows import AnswerRow, Row, StatementRow
from saferoom_proto.chain import genesis
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import check_digest
from saferoom_proto.entry import SALT_BYTES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A statement to be committed to, and what is written in the same transaction.

    Attributes:
        kind: of the statement; the server's own note, the leaf does not hold it.
        statement_digest: what the leaf commits to.
        salt: 32 random bytes that open the commitment, used for this entry alone.
        rows: written beside the entry, all or nothing. A statement or an answer among them is the
            one that the entry commits to.
        backlog: earlier statements, which the streams that get this one get after it: what a new
            owner's enclave has to know of the time before.
    """

    kind: str
    statement_digest: str
    salt: bytes
    rows: tuple[Row, ...] = ()
    backlog: tuple[Envelope, ...] = ()

    def __post_init__(self) -> None:
        check_digest(self.statement_digest)
        if not self.kind:
            raise SafeRoomError(Reason.MALFORMED, "an entry names its statement's kind")
        if len(self.salt) != SALT_BYTES:
            raise SafeRoomError(Reason.MALFORMED, f"an entry's salt has {SALT_BYTES} bytes")
        for row in self.rows:
            match row:
                case StatementRow(kind, envelope):
                    fits = (kind, envelope.digest) == (self.kind, self.statement_digest)
                case AnswerRow():
                    fits = row.release_digest == self.statement_digest
                case _:
                    fits = True
            if not fits:
                detail = f"a {type(row).__name__} is not of the entry's statement"
                raise SafeRoomError(Reason.MALFORMED, detail)


@dataclass(frozen=True, slots=True)
class NewRows:
    """Rows that belong to no entry: what the room keeps without proving it to anybody."""

    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        if any(isinstance(row, StatementRow) and row.owners for row in self.rows):
            detail = "a statement that enclaves follow stands in the ledger"
            raise SafeRoomError(Reason.MALFORMED, detail)


@dataclass(frozen=True, slots=True)
class Position:
    """Where an entry stands, and a signed checkpoint that covers it.

    Attributes:
        index: of the entry, from 0.
        size: leaves under the checkpoint.
        note: the checkpoint.
    """

    index: int
    size: int
    note: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the room holds it; outsiders are shown the commitment only.

    Attributes:
        index: from 0.
        kind: of the statement; like the instant, nothing in the log vouches for it.
        accepted_at: the instant of its commit.
        commitment: what the leaf holds.
        statement_digest: what the commitment opens to.
        salt: what opens it; None once erased.
        statement: the statement itself, if the room holds it.
    """

    index: int
    kind: str
    accepted_at: datetime
    commitment: bytes
    statement_digest: str
    salt: bytes | None
    statement: Envelope | None


@dataclass(frozen=True, slots=True)
class StreamHead:
    """How far an owner's stream of statements has come: 0 and `chain.genesis` before the first."""

    sequence: int
    running: str

    @classmethod
    def first(cls, suite: Suite) -> Self:
        """Give the head of a stream that has no statement yet."""
        return cls(0, genesis(suite))


@dataclass(frozen=True, slots=True)
class Tip:
    """The ledger after a commit: its newest checkpoint and the head of every stream.

    One value, so that a stream head is never read beside a checkpoint that does not cover it.
    """

    size: int
    note: str
    streams: Mapping[str, StreamHead]
    suite: Suite = Suite.INTERNATIONAL

    def stream(self, owner: str) -> StreamHead:
        """Give the head of an owner's stream."""
        return self.streams.get(owner, StreamHead.first(self.suite))
