"""Steps 5 and 6 of a batch: rows are answered under seal, and let out in one way only.

A formula is a function of its features' cells, so it is evaluated once for each combination of
cells that occurs, and not once for each row; of a score each row's band is looked up. What becomes
of a row goes into its record, and the records leave the enclave sealed to the asker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import Final, Protocol, final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.batches.admit import NotAdmitted, Places
from saferoom_enclaves.batches.charge import ChargedRows
from saferoom_enclaves.children.jobs import NO_BAND
from saferoom_enclaves.consent_index import Digests
from saferoom_enclaves.evidence import Evidence, Hidden, Right
from saferoom_enclaves.pairing import ShareContext
from saferoom_enclaves.scores.index import BandIndex
from saferoom_proto.answer import Band, Truth, truth_of
from saferoom_proto.batch import (
    ANSWERED,
    BANDED,
    CHARGE_BYTES,
    CODES,
    REASONED,
    SHARED,
    record_bytes,
)
from saferoom_proto.formula import FeatureRef, evaluate
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import SHARE_BYTES
from saferoom_proto.statements.score import ScorePart

_CONSENT: Final = slice(1, record_bytes(0))
_CHARGES: Final = record_bytes(0)
_NO_CODE: Final = 255
_LOWEST: Final = BANDED[Band(1)]


def _table(codes: Mapping[int, int]) -> NDArray[np.uint8]:
    """Give the code of each band, by its number in an index."""
    told = {number - 1: code for number, code in codes.items()} | {NO_BAND: CODES[Truth.NOT_FOUND]}
    return np.array([told.get(at, _NO_CODE) for at in range(256)], np.uint8)


_BAND_CODES: Final = _table({band.number: code for band, code in BANDED.items()})
_REASONED_CODES: Final = _table(REASONED)
_MOST_RADIX: Final = 1 << 62
"""Combinations of cells are numbered in 64 bits: nineteen features of seven thresholds."""


class CellRows(Protocol):
    """The materialised features of the snapshot in force, for many subjects at once."""

    @property
    def features(self) -> frozenset[FeatureRef]:
        """Which features there are."""
        ...

    def cells_of(self, subjects: bytes, names: Sequence[FeatureRef]) -> NDArray[np.int8]:
        """Give the subjects' cells, of shape (subjects, features); -1 is unknown."""
        ...


class ChunkRows(Protocol):
    """The rows of a chunk as they were asked, by their place in it."""

    @property
    def first(self) -> int:
        """The index of the first one in the batch."""
        ...

    def row(self, place: int) -> bytes:
        """Give a row's 20 bytes."""
        ...


class _Execution(Right):
    __slots__ = ()


class _Releasing(Right):
    __slots__ = ()


_ROWS_EXECUTED: Final = _Execution()
_ROWS_RELEASED: Final = _Releasing()


@final
class SealedRows(Hidden):
    """Answers that depend on records. They cannot be shown, compared, tested, kept or copied."""

    __slots__ = ("_behind", "_codes")

    def __init__(
        self, right: _Execution, codes: NDArray[np.uint8], behind: NDArray[np.uint8]
    ) -> None:
        _ROWS_EXECUTED.require(right)
        self._codes: Final = codes
        self._behind: Final = behind

    def open(self, right: _Releasing) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Give the answers' codes, and what stands behind charges, to the gate and nobody else."""
        _ROWS_RELEASED.require(right)
        return self._codes, self._behind


@final
@dataclass(frozen=True, slots=True, eq=False)
class ReleasedRows(Evidence):
    """A chunk's records, one for each row, as they are sealed to the asker.

    Attributes:
        records: packed.
        answered: how many rows were answered; the others were refused.
    """

    right: InitVar[_Releasing]
    records: bytes
    answered: int

    def __post_init__(self, right: _Releasing) -> None:
        _ROWS_RELEASED.require(right)


def execute_rows(charged: ChargedRows, index: CellRows | BandIndex, chunk: ChunkRows) -> SealedRows:
    """Answer a question about many subjects' records; of a whole give this owner's shares."""
    (codes, behind), use = _answers(charged, index), charged.admitted.use
    if use.hiding is None:
        return SealedRows(_ROWS_EXECUTED, codes, behind)
    context, hiding = ShareContext(charged.admitted.asked.request_id), use.hiding
    places = (context.of_row(chunk.first + at, chunk.row(at)) for at in charged.places.tolist())
    # One by one, and as long for a row that holds as for one that does not.
    if use.part.score is None:
        holds = (codes == CODES[Truth.YES]).tolist()
        given = [hiding.share(*each) for each in zip(holds, places, strict=True)]
    else:
        if (codes < _LOWEST).any():
            raise SafeRoomError(Reason.INTERNAL, "a part of a sum lies in a band")
        numbers = (codes - _LOWEST).tolist()
        given = [hiding.part(*each) for each in zip(numbers, places, strict=True)]
    shares = b"".join(each.to_bytes() for each in given)
    packed = np.frombuffer(shares, np.uint8).reshape(len(codes), SHARE_BYTES)
    return SealedRows(_ROWS_EXECUTED, np.full_like(codes, SHARED), packed)


def _answers(
    charged: ChargedRows, index: CellRows | BandIndex
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Give the rows' codes, and what stands behind their charges: of a score the reasons."""
    formula, names = charged.admitted.bound.formula, tuple(charged.admitted.use.features)
    if isinstance(formula, ScorePart) or isinstance(index, BandIndex):
        if not (isinstance(formula, ScorePart) and isinstance(index, BandIndex)):
            raise SafeRoomError(Reason.INTERNAL, "a score is read from its bands, and no check is")
        bands, lost = index.bands_of(charged.subjects)
        return (_REASONED_CODES if formula.reasons else _BAND_CODES)[bands], lost
    cells = index.cells_of(charged.subjects, names)
    nothing = np.zeros((len(cells), 0), np.uint8)
    if not len(cells):
        return np.zeros(0, np.uint8), nothing
    met, at = _combinations(cells)
    codes = np.zeros(len(met), np.uint8)
    for number, combination in enumerate(met.tolist()):
        known = {
            name: None if cell < 0 else cell for name, cell in zip(names, combination, strict=True)
        }
        codes[number] = CODES[truth_of(evaluate(formula, known))]
    return codes[at], nothing


class ChunkGate:
    """Lets the rows of one chunk out, each in its place.

    Args:
        rows: how many there are.
        charged: how many features are charged.
        shared: whether answers are shares.
        reasoned: whether they have reasons.
    """

    def __init__(
        self, rows: int, charged: int, *, shared: bool = False, reasoned: bool = False
    ) -> None:
        width = record_bytes(charged, shared=shared, reasoned=reasoned)
        self._records: Final = np.zeros((rows, width), dtype=np.uint8)
        self._done: Final = np.zeros(rows, dtype=np.bool_)

    def refuse(self, refused: NotAdmitted) -> None:
        """Refuse some rows."""
        self._records[refused.places, 0] = refused.codes
        self._done[refused.places] = True

    def refuse_all(self, places: Places, reason: Reason) -> None:
        """Refuse some rows for one reason."""
        self._records[places, 0] = CODES[reason]
        self._done[places] = True

    def release(self, charged: ChargedRows, sealed: SealedRows) -> None:
        """Let answers out."""
        codes, behind = sealed.open(_ROWS_RELEASED)
        self._write(charged, codes, charged.consents)
        if width := behind.shape[1]:
            self._records[charged.places, -width:] = behind

    def withhold(self, charged: ChargedRows) -> None:
        """Say of charged rows what is said of whatever depends on records; they stay paid."""
        codes = np.full(len(charged.places), CODES[Reason.WITHHELD], np.uint8)
        self._write(charged, codes, np.zeros_like(charged.consents))

    def close(self) -> ReleasedRows:
        """Give the chunk's records; every row has one."""
        if not self._done.all():
            raise AssertionError("a row of the chunk has no record")
        answered = int(np.isin(self._records[:, 0], list(ANSWERED)).sum())
        return ReleasedRows(_ROWS_RELEASED, self._records.tobytes(), answered)

    def _write(self, charged: ChargedRows, codes: NDArray[np.uint8], consents: Digests) -> None:
        places, rows = charged.places, len(charged.places)
        self._records[places, 0] = codes
        self._records[places, _CONSENT] = consents
        cells = charged.cells.astype(">u2").view(np.uint8)
        charges = slice(_CHARGES, _CHARGES + CHARGE_BYTES * charged.cells.shape[1])
        self._records[places, charges] = cells.reshape(rows, -1) if rows else 0
        self._done[places] = True


def _combinations(cells: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Give the combinations of cells that occur, and which of them each row has."""
    number, radix = np.zeros(len(cells), np.int64), 1
    for column in cells.T:
        width = int(column.max()) + 2
        if radix * width > _MOST_RADIX:
            # Too many for one number: those met so far are numbered anew.
            _, number = np.unique(number, return_inverse=True)
            radix = int(number.max()) + 1
        number = number * width + column + 1
        radix *= width
    _, first, at = np.unique(number, return_index=True, return_inverse=True)
    return cells[first], at
