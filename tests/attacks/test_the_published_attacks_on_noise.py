"""`saferoom attack` on tables with noise: epsilon bounds it, and too little noise is found."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from saferoom_attacks.attack import Chance, Verdict
from saferoom_attacks.blurred import NoiseOracle, blurred_rows
from saferoom_attacks.noise_attacks import NOISE_ATTACKS
from saferoom_attacks.report import row
from saferoom_attacks.suite import Scale, Suite
from saferoom_attacks.wager import Gained, Guess, Wager, Wagered, gained, posterior
from tests.attacks.simulated_noise import SimNoise

SUITE = Suite((), Scale(seed=1, copies=1, rounds=8))


def one(name: str) -> Wager[NoiseOracle]:
    (attack,) = (each for each in NOISE_ATTACKS if each.name == name)
    return attack


def test_attacks_on_noise_stay_within_epsilon_one_after_the_other() -> None:
    room = SimNoise(blurred_rows(1))
    for attack in NOISE_ATTACKS:
        found = SUITE.attack_noise(attack, room)
        assert found.verdict is Verdict.HELD, row(found)
        assert row(found)[0] == attack.name
        assert found.charged is not None
        # Groups apart pool more than either was charged, and never more than the plans add up to.
        assert found.room.bits <= attack.bet.bits + 1e-9
        if attack.name != "noise-groups":
            assert found.room.bits <= found.charged + 1e-9
    # The cap held: no group was charged more, though ever more was asked.
    assert max(room.charged.values()) == Decimal(3)


@pytest.mark.parametrize("attack", NOISE_ATTACKS, ids=lambda attack: attack.name)
def test_noise_that_protects_too_little_is_found_and_a_silent_control_fails(
    attack: Wager[NoiseOracle],
) -> None:
    control = SUITE.control_of(attack)
    found = Wagered(attack.bet, control, control, None, 1, 0.1)
    assert found.verdict is Verdict.OVER_BOUND, row(found)
    silent = gained([Guess(0.5, 0.0)] * 50, 0.5)
    assert Wagered(attack.bet, silent, silent, None, 1, 0.1).verdict is Verdict.CONTROL_FAILED


def test_noise_that_is_made_anew_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    room = SimNoise(blurred_rows(1))
    monkeypatch.setattr(SimNoise, "keeps", False)
    found = SUITE.attack_noise(one("noise-averaging"), room)
    assert (found.verdict, found.room.accuracy > 0.9) == (Verdict.OVER_BOUND, True)


def test_a_ledger_that_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = Suite((), Scale(seed=1, copies=1, rounds=40))
    monkeypatch.setattr(SimNoise, "remembers", False)
    found = suite.attack_noise(one("noise-splitting"), SimNoise(blurred_rows(1)))
    assert found.verdict is Verdict.OVER_BOUND


def test_what_a_guess_may_gain_is_reckoned_from_the_odds() -> None:
    assert posterior(math.log(3), 0.5) == pytest.approx(0.75)
    sure = gained([Guess(1.0, math.log(3)), Guess(0.0, 0.0)], 0.5)
    assert (sure.accuracy, sure.bits) == (0.5, pytest.approx(math.log2(1.5)))
    by_count = gained([Guess(1.0)] * 3 + [Guess(0.0)], 0.5)
    assert by_count.bits == pytest.approx(math.log2(1.5))
    # 40 of 40 at 0.7: chance 0.7 ** 40 = 6e-7; 38 of 38 is 1.3e-6.
    assert Gained(40, 40.0, 0.5, None).beats(0.7)
    assert not Gained(38, 38.0, 0.5, None).beats(0.7)
    assert not Gained(40, 27.0, 0.5, None).beats(0.7)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_rooms_with_noise_pass_no_bound(seed: int) -> None:
    suite = Suite((), Scale(seed=seed, copies=1, rounds=40))
    room = SimNoise(blurred_rows(seed))
    found = [suite.attack_noise(attack, room) for attack in NOISE_ATTACKS]
    assert {each.verdict for each in found} == {Verdict.HELD}, list(map(row, found))


@pytest.mark.soak
def test_over_many_rooms_no_guess_is_right_more_often_than_epsilon_allows() -> None:
    """Of 22,400 targets chance is within 0.03: noise that is too narrow shows."""
    attack = one("noise-averaging")
    rooms = [attack.run(SimNoise(blurred_rows(seed)), Chance(seed, 8)) for seed in range(400)]
    total = Gained(
        sum(each.targets for each in rooms), sum(each.right for each in rooms), 0.5, None
    )
    assert not total.beats(attack.bet.allowed)
    # And it is right more often than a coin, or there would be nothing to bound.
    assert total.beats(0.55)
