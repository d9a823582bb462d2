"""Tables held to each other: none is forgotten, and those of other records wait.

A table that is protected without one that left before could be subtracted from it. Its enclave says
how many plans it protected together: never fewer than it let out of these records by then. Tables
of records that a few changed between could be subtracted, too: so many days lie between them as the
strictest rules of either say (ADR 31). Which records a period has follows from the orders in the
log: those of an earlier one, where its owner went back to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Outcome, TableRelease
from saferoom_proto.statements.aggregate import FEWEST_DAYS
from saferoom_proto.tables.rules import MOST_ANSWERS

Records = tuple[str, int]
"""Whose, and the first period that has them."""


@dataclass(slots=True)
class _Told:
    """What was let out about the same records.

    Attributes:
        plans: by their certificates.
        most: the most that an enclave said to have protected together.
        at: when it was last.
        days: how long the strictest of the plans has others wait.
        times: how often each institution was told each plan's tables.
    """

    plans: set[str] = field(default_factory=set[str])
    most: int = 0
    at: datetime | None = None
    days: int = FEWEST_DAYS
    times: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])


class Together:
    """What each owner's enclave let out, by records, in the order of its chain."""

    def __init__(self) -> None:
        self._told: Final[dict[Records, _Told]] = {}
        self._records: Final[dict[tuple[str, int], int]] = {}
        self._answered: Final[set[tuple[str, str]]] = set()
        self._closed: Final[dict[str, int]] = {}
        self._forgotten: Final[dict[str, datetime]] = {}

    def close(self, owner: str, epoch: int, at: datetime) -> None:
        """An older copy of an enclave went on: nobody knows what it let out up to this period."""
        self._closed[owner] = max(epoch, self._closed.get(owner, 0))
        self._forgotten[owner] = max(at, self._forgotten.get(owner, at))
        # The copy does not know how long those that it forgot have others wait.
        for records, told in self._told.items():
            if records[0] == owner:
                told.days = FEWEST_DAYS

    def same_records(self, owner: str, epoch: int, earlier: int) -> None:
        """A period has the records of an earlier one."""
        self._records[owner, epoch] = self._records.get((owner, earlier), earlier)

    def records(self, owner: str, epoch: int) -> Records:
        """Name the records of a period."""
        return owner, self._records.get((owner, epoch), epoch)

    def take(self, said: TableRelease, days: int) -> Iterator[SafeRoomError]:
        """Take an enclave's next word on tables; give what is wrong with it.

        Args:
            said: the word.
            days: how long its plan waits after tables of other records, and has others wait.
        """
        if said.outcome is not Outcome.ANSWERED or said.store is None or said.together is None:
            return
        request = (said.owner, said.request)
        if request in self._answered:
            yield SafeRoomError(Reason.CONFLICT, "the same request for tables was answered anew")
        self._answered.add(request)
        records = self.records(said.owner, said.store.epoch)
        if records[1] <= self._closed.get(said.owner, 0):
            yield SafeRoomError(Reason.OVER_BUDGET, "of a period that its owner closed")
        yield from self._waited(said, records, days)
        told = self._told.setdefault(records, _Told())
        told.plans.add(said.certificate)
        least = max(len(told.plans), told.most)
        if said.together < least:
            detail = f"protected with {said.together} plans, and {least} had been let out by then"
            yield SafeRoomError(Reason.STORE_ROLLED_BACK, detail)
        who = (said.institution, said.certificate)
        told.times[who] = told.times.get(who, 0) + 1
        if told.times[who] > MOST_ANSWERS:
            detail = f"the same tables were told to {said.institution} {told.times[who]} times"
            yield SafeRoomError(Reason.OVER_BUDGET, detail)
        told.most, told.at = max(least, said.together), said.time
        told.days = max(told.days, days)

    def _waited(self, said: TableRelease, records: Records, days: int) -> Iterator[SafeRoomError]:
        others = [
            (told.at, max(days, told.days))
            for other, told in self._told.items()
            if other[0] == said.owner and other != records and told.at is not None
        ]
        if (forgotten := self._forgotten.get(said.owner)) is not None:
            others.append((forgotten, days))
        for at, wait in others:
            if said.time < at + timedelta(days=wait):
                detail = f"tables of other records were told at {at:%Y-%m-%d}, and wait {wait} days"
                yield SafeRoomError(Reason.OVER_BUDGET, detail)
                return
