"""How far a batch is, and what became of its rows: sealed rows, written with each chunk."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from saferoom_enclaves.rowform import pack, read_part, unpack
from saferoom_enclaves.state import Row, State
from saferoom_proto.batch import CHUNK_ROWS, JudgedRows
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Span
from saferoom_proto.statements.base import Base64, Part
from saferoom_proto.suite import Suite
from saferoom_proto.tree import Tree

_CHUNK_PARTS: Final = 3


class Progress(Part):
    """How far a batch is.

    Attributes:
        secret: its secret, made when it began.
        sealed: the secret as it is sealed to the asker.
        judged: how many rows were judged.
        answered: how many of them were answered.
        spans: on which grounds.
        roots: the root over each chunk's outcomes.
    """

    secret: Base64
    sealed: Base64
    judged: Annotated[int, Field(ge=0)] = 0
    answered: Annotated[int, Field(ge=0)] = 0
    spans: tuple[Span, ...] = ()
    roots: tuple[Base64, ...] = ()

    def after(self, rows: Span, answered: int, root: str) -> Progress:
        """Give the progress after one more chunk."""
        *before, last = (*self.spans, rows)
        if before and _same_grounds(before[-1], last):
            joined = before.pop().rows + last.rows
            last = last.model_copy(update={"rows": joined})
        return self.model_copy(
            update={
                "judged": self.judged + rows.rows,
                "answered": self.answered + answered,
                "spans": (*before, last),
                "roots": (*self.roots, root),
            }
        )

    def tree(self, suite: Suite) -> Tree:
        """Give the tree over the chunks' roots: its root is that over all outcomes."""
        return Tree([unb64(root) for root in self.roots], suite)


class ProgressRows:
    """Keeps the progress of batches, and their chunks.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state

    def read(self, request_id: str) -> Progress | None:
        """Give a batch's progress; none if it has not begun."""
        row = self._row(request_id)
        if row is None:
            return None
        return read_part(row.content, Progress)

    def write(self, request_id: str, progress: Progress) -> None:
        """Keep a batch's progress."""
        key = self._state.cipher.find("batch", request_id)
        content = progress.model_dump_json().encode()
        self._state.put("batch", key, content, self._row(request_id))

    def judged(self, request_id: str, number: int) -> JudgedRows:
        """Give the rows of a chunk and what became of them."""
        row = self._state.get("chunk", self._chunk_key(request_id, number))
        if row is None:
            raise SafeRoomError(Reason.STORE_DAMAGED, f"a batch lacks its chunk {number}")
        when, records, rows = unpack(row.content, _CHUNK_PARTS)
        return JudgedRows(number * CHUNK_ROWS, rows, when, records)

    def write_chunk(self, request_id: str, chunk: JudgedRows) -> None:
        """Keep a chunk."""
        key = self._chunk_key(request_id, chunk.first // CHUNK_ROWS)
        self._state.put("chunk", key, pack(chunk.when, chunk.records, chunk.rows))

    def _row(self, request_id: str) -> Row | None:
        return self._state.get("batch", self._state.cipher.find("batch", request_id))

    def _chunk_key(self, request_id: str, number: int) -> bytes:
        return self._state.cipher.find("chunk", request_id, str(number))


def _same_grounds(one: Span, other: Span) -> bool:
    return (one.charter, one.agreement, one.approvals, one.store) == (
        other.charter,
        other.agreement,
        other.approvals,
        other.store,
    )
