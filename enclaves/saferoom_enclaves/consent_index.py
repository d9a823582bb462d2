"""The newest consent of each subject to each institution, in columns, for looking up many at once.

Only what decides most cases is here, 62 bytes a consent in the columns and more in the dictionary
that leads to them; the sealed rows behind it (`consents`) decide the others. Built when the enclave
opens, and kept up with every consent that comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import repeat
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.state import State
from saferoom_proto.batch import CONSENT_BYTES
from saferoom_proto.encoding import digest_bytes

Digests = NDArray[np.uint8]
_ABSENT: Final = -1
_FIRST: Final = 1024
_GROWTH: Final = 1.25
"""Columns are at most a quarter larger than they need to be."""
_FINGERPRINT: Final = 8
"""Bytes of a fingerprint that are compared; one that agrees in them is looked at in its row."""

_COLUMNS: Final = np.dtype(
    [
        ("digest", np.uint8, (CONSENT_BYTES,)),
        ("fingerprint", np.uint64),
        ("begins", np.int64),
        ("ends", np.int64),
        ("scope", np.int32),
        ("older", np.bool_),
        ("revoked", np.bool_),
    ]
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What consents of the same wording cover: many subjects sign the same.

    Attributes:
        charter: the charter they were verified under.
        purposes: as consented to.
        features: likewise.
        information_types: likewise.
        limited: whether they have a number of uses.
    """

    charter: str
    purposes: tuple[str, ...]
    features: tuple[str, ...]
    information_types: tuple[str, ...]
    limited: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """What the index keeps of a consent.

    Attributes:
        digest: names it.
        fingerprint: its signer's certificate.
        begins: when both consent and certificate are valid, in milliseconds.
        ends: until when they are, exclusive.
        scope: what it covers.
        older: whether the subject gave this institution others before that still count.
        revoked: whether it was taken back.
    """

    digest: str
    fingerprint: str
    begins: int
    ends: int
    scope: Scope
    older: bool
    revoked: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The newest consent of each of some subjects to one institution.

    Attributes:
        there: whether there is one, of shape (subjects,), like the others.
        digests: of shape (subjects, 32).
        scopes: numbers of their scopes.
        live: whether it is valid now and was not taken back.
        older: whether there are others before it.
        suspect: whether its signer's certificate may have been revoked.
    """

    there: NDArray[np.bool_]
    digests: Digests
    scopes: NDArray[np.int32]
    live: NDArray[np.bool_]
    older: NDArray[np.bool_]
    suspect: NDArray[np.bool_]


class ConsentIndex:
    """The newest consents.

    Args:
        state: within whose transactions consents come; what fails is undone here, too.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state
        self._columns = np.zeros(_FIRST, dtype=_COLUMNS)
        self._count = 0
        self._places: Final[dict[str, dict[bytes, int]]] = {}
        self._numbers: Final[dict[Scope, int]] = {}
        self.scopes: Final[list[Scope]] = []

    def put(self, institution: str, subject: bytes, summary: Summary) -> None:
        """Take the newest consent of a subject to an institution; within a transaction."""
        places = self._of(institution)
        before = places.get(subject, _ABSENT)
        self._state.undoing(partial(places.__setitem__, subject, before))
        self.load(institution, subject, summary)

    def load(self, institution: str, subject: bytes, summary: Summary) -> None:
        """Take a consent that was committed before the start."""
        if self._count == len(self._columns):
            grown = np.zeros(int(self._count * _GROWTH), dtype=_COLUMNS)
            grown[: self._count] = self._columns
            self._columns = grown
        place, self._count = self._count, self._count + 1
        self._columns[place] = (
            np.frombuffer(digest_bytes(summary.digest), np.uint8),
            _prefix(summary.fingerprint),
            summary.begins,
            summary.ends,
            self._scope(summary.scope),
            summary.older,
            summary.revoked,
        )
        self._of(institution)[subject] = place

    def revoke(self, subject: bytes, digest: str) -> None:
        """Take a consent back, if it is a newest one; within a transaction."""
        taken = digest_bytes(digest)
        for places in self._places.values():
            place = places.get(subject, _ABSENT)
            if place != _ABSENT and self._columns["digest"][place].tobytes() == taken:
                self._state.undoing(partial(self._set_revoked, place, revoked=False))
                self._set_revoked(place, revoked=True)

    def find(
        self,
        institution: str,
        subjects: Sequence[bytes],
        now: datetime,
        revoked_certificates: Sequence[str],
    ) -> Found:
        """Find the newest consents of many subjects."""
        places = self._places.get(institution, {})
        at = np.fromiter(
            map(places.get, subjects, repeat(_ABSENT)), dtype=np.int64, count=len(subjects)
        )
        there = at != _ABSENT
        rows = self._columns[np.where(there, at, 0)]
        moment = milliseconds(now)
        live = (rows["begins"] <= moment) & (moment < rows["ends"]) & ~rows["revoked"]
        revoked = np.array([_prefix(each) for each in revoked_certificates], dtype=np.uint64)
        suspect = np.isin(rows["fingerprint"], revoked)
        return Found(there, rows["digest"], rows["scope"], live, rows["older"], suspect)

    def _set_revoked(self, place: int, *, revoked: bool) -> None:
        self._columns["revoked"][place] = revoked

    def _of(self, institution: str) -> dict[bytes, int]:
        return self._places.setdefault(institution, {})

    def _scope(self, scope: Scope) -> int:
        number = self._numbers.get(scope)
        if number is None:
            number = self._numbers[scope] = len(self.scopes)
            self.scopes.append(scope)
        return number


def milliseconds(moment: datetime) -> int:
    """Give an instant in whole milliseconds."""
    return round(moment.timestamp() * 1000)


def _prefix(fingerprint: str) -> int:
    return int.from_bytes(digest_bytes(fingerprint)[:_FINGERPRINT], "big")
