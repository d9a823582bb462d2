"""Banks that train together by the library that they use, and a server that loses one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saferoom_attacks.federated_attacks import BANKS, HONEST, TARGET
from saferoom_client.federating.view import told_apart
from saferoom_models.horizontal.masks import Words
from saferoom_models.horizontal.messages import Kind
from saferoom_models.horizontal.sums import read_moments
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_proto.statements import FederationProposal
from tests.models.federated import Federation, draw_rows, make_terms, name_of
from tests.proto.golden_federation import words_on_federations

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


@dataclass
class SimSeries:
    """Has banks train one time after the other; those that do not help refuse as their client does.

    Whoever helps the server joins whatever it is asked to.
    """

    asked: int = 0

    def series(self, events: Sequence[int], sets: Sequence[frozenset[int]]) -> Sequence[int | None]:
        told, trained = list[int | None](), list[FederationProposal]()
        proposed = words_on_federations()["federation-proposal"]
        assert isinstance(proposed, FederationProposal)
        for those in sets:
            self.asked += 1
            now = proposed.model_copy(update={"banks": tuple(map(name_of, sorted(those)))})
            # A bank is shown the trainings that named it.
            seen = (each for each in trained if {*each.banks} & {*now.banks} & HONEST_BANKS)
            if any(told_apart(each, now) for each in seen):
                told.append(None)
                continue
            trained.append(now)
            told.append(_first_sum(events, sorted(those)))
        return told


ROWS_OF_THREE = 400
"""Three banks bring enough together."""
HONEST_BANKS = {name_of(HONEST), name_of(TARGET)}


def _first_sum(events: Sequence[int], those: Sequence[int]) -> int:
    """Train up to the first sum, and read the events beyond those that everybody knows of."""
    terms, opened = make_terms(len(those)), list[int]()
    rows = {name_of(at): draw_rows(ROWS_OF_THREE, bank) for at, bank in enumerate(those)}
    for bank, (_, labels) in zip(those, rows.values(), strict=True):
        labels[:] = 0
        labels[: KNOWN + events[bank]] = 1
    made = Federation(terms, rows)
    take = made.aggregator._course.take

    def taken(banks: int, total: Words) -> None:
        opened.append(read_moments(terms, total, len(those)).events)
        take(banks, total)

    made.aggregator._course.take = taken
    made.until(1, Kind.KEYS)
    return opened[0] - KNOWN * len(those)
