"""The rows of one chunk of a batch: admitted, charged, answered and let out, all together."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np

from saferoom_enclaves.admit import Rules
from saferoom_enclaves.approved import ApprovedUse
from saferoom_enclaves.batches.admit import (
    AskedBatch,
    Wanted,
    admit_rows,
    allowed_use,
    identify_batch,
)
from saferoom_enclaves.batches.charge import charge_rows
from saferoom_enclaves.batches.gate import CellRows, ChunkGate, ReleasedRows, execute_rows
from saferoom_enclaves.batches.rows import groups, places_of
from saferoom_enclaves.gate import Moment
from saferoom_enclaves.judge import PASSING
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.scores.bands import Bands
from saferoom_enclaves.scores.index import BandIndex
from saferoom_enclaves.spending import Spending
from saferoom_proto.batch import CODES, ROW_BYTES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Span


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that follow each other.

    Attributes:
        first: index of the first one in the batch.
        rows: packed.
        repeated: indexes of the batch's rows that stand earlier in it, too.
    """

    first: int
    rows: bytes
    repeated: AbstractSet[int]

    @property
    def count(self) -> int:
        """How many rows."""
        return len(self.rows) // ROW_BYTES

    def row(self, place: int) -> bytes:
        """Give a row's 20 bytes."""
        return self.rows[place * ROW_BYTES : (place + 1) * ROW_BYTES]


@dataclass(frozen=True, slots=True)
class _Allowed:
    """A batch that is allowed as a whole, and what its rows are judged by."""

    asked: AskedBatch
    use: ApprovedUse
    index: CellRows | BandIndex
    moment: Moment
    chunk: Chunk


class ChunkJudge:
    """Judges the rows of chunks, within the transaction under way.

    Args:
        rules: what questions are held to.
        spending: the leakage ledger.
        index: the features of the store; refuses with `NO_DATA` while there is none.
        bands: the bands of scores.
        log: the operator's.
    """

    def __init__(
        self,
        rules: Rules,
        spending: Spending,
        index: Callable[[], CellRows],
        bands: Bands,
        log: Log,
    ) -> None:
        self._rules: Final = rules
        self._spending: Final = spending
        self._index: Final = index
        self._bands: Final = bands
        self._log: Final = log

    def judge(self, batch: AskedBatch, chunk: Chunk, moment: Moment) -> tuple[ReleasedRows, Span]:
        """Judge a chunk; tell what became of its rows, and on which grounds.

        Raises:
            SafeRoomError: `NO_DATA` or `STORE_DAMAGED`, which say nothing about the rows.
        """
        # Step 3: what is asked of the batch as a whole is looked at for each chunk anew.
        try:
            asked = identify_batch(batch.envelope, self._rules.standing, moment.now)
            use = allowed_use(asked, self._rules, moment.now)
        except SafeRoomError as refusal:
            if refusal.reason in PASSING:
                raise
            return self._refused(batch, chunk, refusal.reason, moment)
        index = self._require_there(use)
        reasoned = use.part.score is not None and use.part.score.reasons > 0
        gate = ChunkGate(
            chunk.count,
            len(use.part.charged),
            shared=use.hiding is not None,
            reasoned=reasoned,
        )
        repeated = places_of(chunk.repeated, chunk.first, chunk.count)
        gate.refuse_all(repeated, Reason.ROW_REPEATED)
        for turn, wanted in enumerate(groups(chunk.rows, frozenset(repeated.tolist()))):
            name = f"{asked.request_id} {chunk.first} {turn}"
            self._group(_Allowed(asked, use, index, moment, chunk), wanted, name, gate)
        return gate.close(), _span(asked, chunk, moment, use.approvals)

    def _require_there(self, use: ApprovedUse) -> CellRows | BandIndex:
        """Give what is computed of the store, if what is asked about is in it."""
        index = self._index()
        use.require_computed(index.features)
        return index if use.part.score is None else self._bands.of(use, use.part.score)

    def _refused(
        self, batch: AskedBatch, chunk: Chunk, reason: Reason, moment: Moment
    ) -> tuple[ReleasedRows, Span]:
        """Refuse all rows of a chunk: something that allowed the batch allows it no more."""
        gate = ChunkGate(chunk.count, 0)
        gate.refuse_all(np.arange(chunk.count), reason if reason in CODES else Reason.NO_AGREEMENT)
        return gate.close(), _span(batch, chunk, moment, ())

    def _group(self, allowed: _Allowed, wanted: Wanted, name: str, gate: ChunkGate) -> None:
        asked, moment = allowed.asked, allowed.moment
        admitted, refused = admit_rows(asked, allowed.use, wanted, self._rules, moment.now)
        gate.refuse(refused)
        # Step 4: the price, before a record is looked at.
        charged, unpaid = charge_rows(
            admitted,
            self._spending,
            self._rules,
            name=name,
            epoch=moment.grounds.epoch,
            now=moment.now,
        )
        gate.refuse(unpaid)
        # Steps 5 and 6: the answers under seal, and out through the gate.
        try:
            gate.release(charged, execute_rows(charged, allowed.index, allowed.chunk))
        except Exception as error:  # noqa: BLE001 - what depends on records says the same
            self._log.error("withheld", request=asked.request_id, places=places(error))
            gate.withhold(charged)


def _span(asked: AskedBatch, chunk: Chunk, moment: Moment, approvals: tuple[str, ...]) -> Span:
    return Span(
        rows=chunk.count,
        charter=moment.grounds.charter,
        agreement=asked.agreement.digest,
        approvals=approvals,
        store=moment.grounds.store,
        stream=moment.grounds.stream,
    )
