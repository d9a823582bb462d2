"""Tables of the same records, held to each other: none is forgotten when the next one is made.

A table that is protected without one that left before could be subtracted from it. Its enclave says
how many plans it protected together: never fewer than it let out in that period by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Outcome, TableRelease


class Together:
    """Which plans each owner's enclave let out, period by period, in the order of its chain."""

    def __init__(self) -> None:
        self._plans: Final[dict[tuple[str, int], set[str]]] = {}
        self._most: Final[dict[tuple[str, int], int]] = {}
        self._answered: Final[set[tuple[str, str]]] = set()
        self._closed: Final[dict[str, int]] = {}

    def close(self, owner: str, epoch: int) -> None:
        """An older copy of an enclave went on: nobody knows what it let out up to this period."""
        self._closed[owner] = max(epoch, self._closed.get(owner, 0))

    def take(self, said: TableRelease) -> Iterator[SafeRoomError]:
        """Take an enclave's next word on tables; give what is wrong with it."""
        if said.outcome is not Outcome.ANSWERED or said.store is None or said.together is None:
            return
        request = (said.owner, said.request)
        if request in self._answered:
            yield SafeRoomError(Reason.CONFLICT, "the same request for tables was answered anew")
        self._answered.add(request)
        if said.store.epoch <= self._closed.get(said.owner, 0):
            yield SafeRoomError(Reason.OVER_BUDGET, "of a period that its owner closed")
        period = (said.owner, said.store.epoch)
        plans = self._plans.setdefault(period, set())
        plans.add(said.certificate)
        least = max(len(plans), self._most.get(period, 0))
        if said.together < least:
            detail = f"protected with {said.together} plans, and {least} had been let out by then"
            yield SafeRoomError(Reason.STORE_ROLLED_BACK, detail)
        self._most[period] = max(least, said.together)
