"""`saferoom attack` on sums over owners: what an owner has is not told, and who tells is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from saferoom_attacks.attack import Verdict
from saferoom_attacks.offices import SumOracle
from saferoom_attacks.report import row
from saferoom_attacks.suite import Scale, Suite
from saferoom_attacks.sum_attacks import SUM_ATTACKS
from saferoom_attacks.wager import Guess, Wager, Wagered, gained
from saferoom_enclaves.pairing import Hiding
from saferoom_proto.shares import MODULUS, Share
from tests.attacks.simulated_owners import SimOwners, simulated_owners

SUITE = Suite((), Scale(seed=1, copies=1, rounds=8))


@pytest.fixture(scope="module")
def owners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimOwners]:
    with simulated_owners(tmp_path_factory.mktemp("owners"), seed=1) as made:
        yield made


def test_attacks_on_sums_learn_what_the_total_tells_one_after_the_other(owners: SimOwners) -> None:
    for attack in SUM_ATTACKS:
        found = SUITE.attack_sums(attack, owners)
        assert found.verdict is Verdict.HELD, row(found)
        assert row(found)[0] == attack.name
        # What the total tells, it is told: the attack is no blank.
        assert found.room.accuracy > attack.bet.prior


@pytest.mark.parametrize("attack", SUM_ATTACKS, ids=lambda attack: attack.name)
def test_a_gate_that_tells_an_owner_s_own_is_found_and_a_silent_control_fails(
    attack: Wager[SumOracle],
) -> None:
    control = SUITE.control_of(attack)
    assert Wagered(attack.bet, control, control, None, 1, 0.1).verdict is Verdict.OVER_BOUND
    silent = gained([Guess(attack.bet.prior)] * 50, attack.bet.prior)
    assert Wagered(attack.bet, silent, silent, None, 1, 0.1).verdict is Verdict.CONTROL_FAILED


def test_enclaves_that_hide_nothing_are_found(
    owners: SimOwners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the shares are the owner's numbers, and still add up to the total."""

    def bare(_: Hiding, number: int, __: bytes) -> Share:
        return Share(number % MODULUS)

    monkeypatch.setattr(Hiding, "part", bare)
    found = SUITE.attack_sums(SUM_ATTACKS[0], owners)
    assert (found.verdict, found.room.accuracy > 0.9) == (Verdict.OVER_BOUND, True)


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(SUM_ATTACKS[1], id="sum-alone"),
        pytest.param(SUM_ATTACKS[2], id="sum-fewer", marks=pytest.mark.soak),
    ],
)
def test_enclaves_that_tell_an_owner_alone_or_other_owners_are_found(
    owners: SimOwners, monkeypatch: pytest.MonkeyPatch, attack: Wager[SumOracle]
) -> None:
    """Planted: no sum is held to what was told before."""

    def unheld(*_: object) -> None:
        """Hold it to nothing."""

    monkeypatch.setattr("saferoom_enclaves.tables.charge._parts", unheld)
    found = SUITE.attack_sums(attack, owners)
    assert found.verdict is Verdict.OVER_BOUND, row(found)
