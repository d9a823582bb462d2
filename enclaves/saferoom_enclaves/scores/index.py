"""Every subject's band of a score, as a child made them; and what it is told to make them of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.children.jobs import NO_BAND, ModelTold
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_proto.answer import REASONS_BYTES, Band, Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.score import ScorePart
from saferoom_proto.uscc import SUBJECT_BYTES


class BandIndex:
    """Every subject's band of one score. Immutable; any thread may read it.

    Args:
        content: the subjects' codes, ascending and behind each other; a byte for each, its band;
            and the band of everybody else; where reasons are told, these in the bands' order.
        subjects: how many there are.
        part: the score.

    Raises:
        SafeRoomError: `MALFORMED` unless the content has exactly that form.
    """

    def __init__(self, content: memoryview, subjects: int, part: ScorePart) -> None:
        lost_bytes = REASONS_BYTES if part.reasons else 0
        if len(content) != subjects * SUBJECT_BYTES + (subjects + 1) * (1 + lost_bytes):
            raise SafeRoomError(Reason.MALFORMED, "bands have another length than they say")
        self._codes: Final = content[: subjects * SUBJECT_BYTES]
        self._subjects: Final = np.frombuffer(self._codes, dtype=f"S{SUBJECT_BYTES}")
        end = subjects * (SUBJECT_BYTES + 1) + 1
        self._bands: Final = content[subjects * SUBJECT_BYTES : end]
        self._lost: Final = content[end:] if part.reasons else None
        if not (self._subjects[:-1] < self._subjects[1:]).all():
            raise SafeRoomError(Reason.MALFORMED, "bands name their subjects out of order")
        allowed = [*range(part.bands)] + ([NO_BAND] if part.silent else [])
        if bytes(self._bands).translate(None, bytes(allowed)):
            raise SafeRoomError(Reason.MALFORMED, "a band that the score does not have")
        if self._lost is not None:
            _require_reasons(self._lost, self._bands, part)

    def band(self, subject: str) -> Truth | Band:
        """Give a subject's band, or that nothing is known of it."""
        code = subject.encode()
        row = int(self._subjects.searchsorted(code)) if len(code) == SUBJECT_BYTES else -1
        start = row * SUBJECT_BYTES
        # Read through memory views: an array would make a scalar object of every element.
        held = row >= 0 and bytes(self._codes[start : start + SUBJECT_BYTES]) == code
        found = self._bands[row if held else len(self._subjects)]
        if found == NO_BAND:
            return Truth.NOT_FOUND
        if self._lost is None:
            return Band(found + 1)
        at = REASONS_BYTES * (row if held else len(self._subjects))
        lost = bytes(self._lost[at : at + REASONS_BYTES])
        return Band(found + 1, int.from_bytes(lost, "big"))

    def bands_of(self, subjects: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Give the bands of many subjects, from 0 on; `NO_BAND` where nothing is known.

        Args:
            subjects: their codes, 18 bytes each.

        Returns:
            The bands; and their reasons, of shape (subjects, 8), or (subjects, 0) where none are
            told.
        """
        wanted = np.frombuffer(subjects, dtype=f"S{SUBJECT_BYTES}")
        everybody = len(self._subjects)
        rows, last = self._subjects.searchsorted(wanted), max(everybody - 1, 0)
        held = np.zeros(len(wanted), np.bool_)
        if everybody:
            held = self._subjects[np.minimum(rows, last)] == wanted
        at = np.where(held, rows, everybody)
        told = np.frombuffer(self._bands, dtype=np.uint8)[at]
        if self._lost is None:
            return told, np.zeros((len(told), 0), np.uint8)
        return told, np.frombuffer(self._lost, np.uint8).reshape(-1, REASONS_BYTES)[at]


def _require_reasons(lost: memoryview, bands: memoryview, part: ScorePart) -> None:
    """Refuse sets of reasons that the score does not have, or that stand beside no band."""
    sets = np.frombuffer(lost, dtype=">u8")
    named = np.unpackbits(np.frombuffer(lost, np.uint8).reshape(-1, REASONS_BYTES), axis=1)
    beside_none = sets[np.frombuffer(bands, np.uint8) == NO_BAND].any()
    most = int(named.sum(axis=1).max())
    if beside_none or most > part.reasons or int(sets.max()) >> part.features:
        raise SafeRoomError(Reason.MALFORMED, "reasons that the score does not have")


@dataclass(frozen=True, slots=True)
class ScoreOrder:
    """A score as it is computed."""

    part: ScorePart
    features: tuple[FeatureDefinition, ...]
    model: ModelTold
