"""The published attacks on scores of several owners, against three enclaves in this process."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from saferoom_attacks.attack import Chance, Verdict
from saferoom_attacks.report import row
from saferoom_attacks.score_attacks import PART, SCORE_ATTACKS, OpenSums, SumOracle
from saferoom_attacks.wager import Wager, Wagered
from tests.attacks.simulated_sums import SimSums, simulated_sums

CHANCE = Chance(1, 0)


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimSums]:
    with simulated_sums(tmp_path_factory.mktemp("sums")) as made:
        yield made


@pytest.mark.parametrize("attack", SCORE_ATTACKS, ids=lambda attack: attack.name)
def test_no_sum_tells_more_of_a_part_than_its_owner_allows(
    sums: SimSums, attack: Wager[SumOracle]
) -> None:
    before = sums.asked
    told = attack.run(sums, CHANCE)
    control = attack.run(attack.control(CHANCE), CHANCE)
    found = Wagered(attack.bet, told, control, math.log2(PART), sums.asked - before, 1.0)
    assert found.verdict is Verdict.HELD, row(found)
    # The part is told in its own bands, no finer: what its owner charges it with, alone.
    assert told.right == pytest.approx(PART)
    assert attack.run(OpenSums(), CHANCE).accuracy == 1
