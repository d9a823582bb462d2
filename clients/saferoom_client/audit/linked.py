"""Which groups of institutions an enclave had linked by a word of its own, from the log alone.

An enclave links groups by every agreement that it keeps, asked under or not. Which those are
follows from the agreements of its owner, in the order of the log, and from how far it had heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from saferoom_proto.collusion import CollusionGroups
from saferoom_proto.verification import PinnedAgreement


@dataclass(frozen=True, slots=True)
class Learners:
    """Who learns what an institution is told.

    Attributes:
        group: the institution's own.
        linked: the groups that share what they learn with it, itself among them.
    """

    group: str
    linked: Sequence[str]


@dataclass(slots=True)
class Linked:
    """One owner's agreements as its enclave keeps them: none beside another that is in force."""

    _kept: list[tuple[int, PinnedAgreement]] = field(
        default_factory=list[tuple[int, PinnedAgreement]]
    )
    _ended: set[str] = field(default_factory=set[str])

    def take(self, entry: int, pinned: PinnedAgreement) -> None:
        """Take the next agreement, unless the enclave refuses it."""
        agreement = pinned.agreement
        gone = {*self._ended, agreement.replaces}
        for _, other in self._kept:
            apart = (
                other.agreement.valid_to <= agreement.valid_from
                or agreement.valid_to <= other.agreement.valid_from
            )
            theirs = other.agreement.institution == agreement.institution
            if theirs and other.digest not in gone and not apart:
                return
        if agreement.replaces is not None:
            self._ended.add(agreement.replaces)
        self._kept.append((entry, pinned))

    def end(self, agreement: str) -> None:
        """An agreement was ended: another may be in force beside it."""
        self._ended.add(agreement)

    def groups(self, heard: int) -> CollusionGroups:
        """Give the groups as the agreements up to an entry of the log link them."""
        groups = CollusionGroups()
        for entry, pinned in self._kept:
            if entry <= heard:
                groups.take(pinned.agreement.institution, pinned.agreement.group)
        return groups
