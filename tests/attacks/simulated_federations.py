"""Banks that train together by the library that they use, and a server that loses one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saferoom_attacks.federated_attacks import BANKS, TARGET
from saferoom_models.horizontal.masks import Words
from saferoom_models.horizontal.messages import Kind
from saferoom_models.horizontal.sums import read_moments
from saferoom_models.refusals import JointTrainingError, Refusal
from tests.models.federated import Federation, draw_rows, make_terms, name_of

ROWS = 300
KNOWN = 40
"""Events of every bank that everybody knows of."""


@dataclass
class SimFederations:
    """Runs a training past its first sum, and goes on without the target for as long as it may."""

    asked: int = 0

    def sums(self, events: Sequence[int]) -> Mapping[frozenset[int], int]:
        self.asked += 1
        terms = make_terms(BANKS)
        rows = {name_of(at): draw_rows(ROWS, at) for at in range(BANKS)}
        for at, (_, labels) in enumerate(rows.values()):
            labels[:] = 0
            labels[: KNOWN + events[at]] = 1
        made = Federation(terms, rows)
        opened: dict[frozenset[int], int] = {}
        course = made.aggregator._course
        take = course.take

        def taken(banks: int, total: Words) -> None:
            those = frozenset(at for at in range(BANKS) if banks >> at & 1)
            if not opened:
                moments = read_moments(terms, total, len(those))
                opened[those] = moments.events - KNOWN * len(those)
            # A later sum is of other numbers; over other banks it tells theirs as well.
            opened.setdefault(those, sum(events[at] for at in those))
            take(banks, total)

        course.take = taken
        made.until(1, Kind.MASKED)
        del made.banks[name_of(TARGET)]
        made.send()
        try:
            made.aggregator.close()
            made.receive()
            made.until(2, Kind.KEYS)
        except JointTrainingError as refused:
            assert refused.reason is Refusal.NEAR_SETS
        return opened
