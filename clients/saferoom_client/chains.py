"""The enclaves' own chains, as the log shows them: each has one history, or was turned back.

Whoever holds an enclave's folder can put an older copy of it in its place, and have budgets spent a
second time. The enclave does not know; but what it says then stands at places of its chain that
were taken before, and the log, which only grows, keeps both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from saferoom_proto import chain
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.spoken import open_spoken
from saferoom_proto.statements import Recovered


@dataclass(slots=True)
class Chains:
    """What every enclave said, by the place in its chain at which it said it."""

    _digests: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    _previous: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    _entries: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    _recovered: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])

    def take(self, statement: Envelope, entry: int = 0) -> None:
        """Take note of a statement of the log, if it is an enclave's.

        Raises:
            SafeRoomError: `STORE_ROLLED_BACK` if its place in the chain was taken by another.
        """
        said = open_spoken(statement)
        if said is None:
            return
        place = (said.owner, said.chain.index)
        if self._digests.setdefault(place, statement.digest) != statement.digest:
            raise _two_histories(*place)
        self._previous[place] = said.chain.previous
        if isinstance(said, Recovered):
            self._recovered.add(place)
        self._entries.setdefault(place, entry)

    def require_linked(self) -> None:
        """Refuse with `STORE_ROLLED_BACK` a word that follows another than the one before it."""
        for _, broken in self.breaks():
            raise broken

    def breaks(self) -> Iterator[tuple[int, SafeRoomError]]:
        """Give the words that follow another than the one before them, by their entries."""
        for (owner, index), previous in self._previous.items():
            before = (owner, index - 1)
            if before not in self._digests:
                continue  # not recorded yet, or erased
            if chain.extend(self._previous[before], self._digests[before]) != previous:
                yield self._entries[owner, index], _two_histories(owner, index)

    def gaps(self) -> Iterator[tuple[int, SafeRoomError]]:
        """Give the words before which one is missing: said, and not in the log."""
        for owner, index in self._previous:
            if (owner, index) in self._recovered:
                continue  # where its approvers let an older copy go on, which they answer for
            if index and (owner, index - 1) not in self._digests:
                detail = f"entry {index - 1} of the chain of {owner} is not in the log"
                yield self._entries[owner, index], SafeRoomError(Reason.BAD_PROOF, detail)

    def missing(self) -> int:
        """Count the places between these words' own that none of them takes."""
        places: dict[str, list[int]] = {}
        for owner, index in self._digests:
            places.setdefault(owner, []).append(index)
        return sum(max(taken) - min(taken) + 1 - len(taken) for taken in places.values())


def _two_histories(owner: str, index: int) -> SafeRoomError:
    detail = f"the enclave of {owner} has two histories from entry {index} of its chain on"
    return SafeRoomError(Reason.STORE_ROLLED_BACK, detail)
