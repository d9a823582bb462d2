"""Which groups of institutions an enclave had linked by a word of its own, from the log alone.

An enclave links groups by every agreement of its owner's, asked under or not, in force or not. So
they follow from the log, and from how far it had heard.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from saferoom_proto.collusion import CollusionGroups
from saferoom_proto.statements import Agreement


@dataclass(frozen=True, slots=True)
class Learners:
    """Who learns what an institution is told.

    Attributes:
        group: the institution's own.
        linked: the groups that share what they learn with it, itself among them.
        institutions: those that were ever in any of these groups.
    """

    group: str
    linked: Sequence[str]
    institutions: frozenset[str]


class Linked:
    """One owner's agreements, in the order of the log: each counts, in force or not."""

    def __init__(self) -> None:
        self._entries: Final[list[int]] = []
        self._agreed: Final[list[Agreement]] = []
        self._groups: Final[dict[int, CollusionGroups]] = {}
        """Of the first so many agreements, as they were needed."""

    def take(self, entry: int, agreement: Agreement) -> None:
        """Take the next agreement."""
        self._entries.append(entry)
        self._agreed.append(agreement)

    def groups(self, heard: int) -> CollusionGroups:
        """Give the groups as the agreements up to an entry of the log link them."""
        count = bisect_right(self._entries, heard)
        found = self._groups.get(count)
        if found is None:
            found = self._groups[count] = CollusionGroups()
            for each in self._agreed[:count]:
                found.take(each.institution, each.group)
        return found
