"""The published attack on banks that train together, against the library that they use."""

from __future__ import annotations

import pytest

from saferoom_attacks.attack import Chance, Verdict
from saferoom_attacks.federated_attacks import (
    FEDERATED_ATTACKS,
    SERIES_ATTACKS,
    SeriesOracle,
    thrice,
)
from saferoom_attacks.report import row
from saferoom_attacks.wager import Wagered, gained
from saferoom_client.federating import view
from saferoom_models.horizontal import course
from tests.attacks.simulated_federations import SimFederations, SimSeries

CHANCE = Chance(1, 0)


def found() -> Wagered:
    (attack,) = FEDERATED_ATTACKS
    banks = SimFederations()
    told = attack.run(banks, CHANCE)
    control = attack.run(attack.control(CHANCE), CHANCE)
    return Wagered(attack.bet, told, control, None, banks.asked, 1.0)


def test_a_bank_that_is_lost_after_a_sum_is_not_told_by_the_next_one() -> None:
    finding = found()
    assert finding.verdict is Verdict.HELD, row(finding)
    assert finding.room.accuracy > finding.attack.prior


def test_a_library_that_goes_on_without_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def go_on(*_: object, **__: object) -> None:
        """Open any sum."""

    monkeypatch.setattr(course, "check_set", go_on)
    finding = found()
    assert (finding.verdict, finding.room.accuracy) == (Verdict.OVER_BOUND, 1.0)


def twice(series: SeriesOracle) -> Wagered:
    (attack,) = SERIES_ATTACKS
    told = attack.run(series, CHANCE)
    control = attack.run(attack.control(CHANCE), CHANCE)
    return Wagered(attack.bet, told, control, None, series.asked, 1.0)


def test_a_training_without_a_bank_is_not_subtracted_from_one_with_it() -> None:
    finding = twice(SimSeries())
    assert finding.verdict is Verdict.HELD, row(finding)
    assert finding.room.accuracy > finding.attack.prior


def test_banks_that_train_in_any_set_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "LEAST_APART", 0)
    assert twice(SimSeries()).verdict is Verdict.OVER_BOUND


@pytest.mark.soak
def test_three_trainings_tell_a_bank_and_nothing_bounds_them() -> None:
    """What docs/attacks.md leaves open: no two of the three are near."""
    assert gained(thrice(SimSeries(), CHANCE), 1 / 16).accuracy == 1
