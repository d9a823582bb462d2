"""Sums over owners, replayed: of three others at least, and none that another leaves bare (ADR 54).

An enclave's word says about which period its part is, and to which request it is an answer. So
whose parts a request's sum adds up is known once all of its owners answered; a request that one
did not answer told nobody anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from saferoom_client.audit.linked import Learners
from saferoom_client.audit.tables import Records
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Aggregate, Outcome, TableRelease
from saferoom_proto.statements.aggregate import FEWEST_SUMMED

_Parts = frozenset[tuple[str, int]]
"""Owners, each with the period that its cells are about."""


@dataclass(slots=True)
class _Request:
    """What owners gave to one request.

    Attributes:
        periods: of each owner that answered.
        told_to: the asker's group as each of them knew it, and those linked with it then.
    """

    periods: dict[str, int] = field(default_factory=dict[str, int])
    told_to: dict[str, Learners] = field(default_factory=dict[str, Learners])


class Sums:
    """What owners gave their cells to, in the order of each enclave's chain."""

    def __init__(self) -> None:
        self._owners: Final[dict[Records, tuple[str, ...]]] = {}
        self._requests: Final[dict[str, _Request]] = {}
        self._told: Final[dict[str, list[tuple[str, _Parts]]]] = {}

    def take(
        self,
        said: TableRelease,
        records: Records,
        aggregate: Aggregate,
        by: Learners,
    ) -> Iterator[SafeRoomError]:
        """Take an enclave's next word on tables; give what is wrong with it.

        Args:
            said: the word.
            records: what its tables are about.
            aggregate: what its plan asks.
            by: who learns what its asker is told, as the enclave had heard by then.
        """
        if said.outcome is not Outcome.ANSWERED or said.store is None:
            return
        if self._owners.setdefault(records, aggregate.owners) != aggregate.owners:
            detail = "of the same records alone and in a sum, or in sums of other owners"
            yield SafeRoomError(Reason.CONFLICT, detail)
        if not aggregate.owners:
            return
        if len(others := {*aggregate.owners} - by.institutions) < FEWEST_SUMMED:
            known = ", ".join(sorted({*aggregate.owners} - others))
            detail = f"{known} or who shares what it learns asked: {len(others)} others are left"
            yield SafeRoomError(Reason.NOT_ALLOWED, detail)
        if records[1] != said.store.epoch:
            detail = "a sum of records that its owner went back to, which others take for new ones"
            yield SafeRoomError(Reason.CONFLICT, detail)
        request = self._requests.setdefault(said.request, _Request())
        request.periods[said.owner] = said.store.epoch
        request.told_to[said.owner] = by
        if request.periods.keys() == {*aggregate.owners}:
            yield from self._complete(request)

    def _complete(self, request: _Request) -> Iterator[SafeRoomError]:
        """Hold a sum to those that its owners gave to the same groups before."""
        parts = frozenset(request.periods.items())
        alone: set[str] = set()
        for owner, by in request.told_to.items():
            told = self._told.setdefault(owner, [])
            for other, earlier in told:
                differing = {each for each, _ in parts ^ earlier}
                if other in by.linked and 0 < len(differing) < FEWEST_SUMMED:
                    alone |= differing
            if (by.group, parts) not in told:
                told.append((by.group, parts))
        if alone:
            named = ", ".join(sorted(alone))
            detail = f"beside an earlier sum told to the same group it tells of {named} alone"
            yield SafeRoomError(Reason.CONFLICT, detail)
