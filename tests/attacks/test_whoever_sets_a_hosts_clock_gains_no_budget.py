"""Whoever runs an enclave's host and shares what a bank learns sets its date, ahead or back.

A family's cap looks back 36 months and attempts count by the day, so a later date would forget
what was asked, and an earlier one would bring a consent or an agreement back that is over.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest

from saferoom_proto.reasons import Reason, SafeRoomError
from simulator import EnclaveHarness, Sample
from simulator.sample import VAT_GRID
from tests.attacks.test_no_budget_is_had_twice import again, told

FORTY_MONTHS: Final = timedelta(days=40 * 31).total_seconds()
DAY: Final = timedelta(days=1).total_seconds()
TWO_CUTS: Final = Decimal("2.322")


@pytest.fixture
def spent(room: Sample, enclave: EnclaveHarness) -> Sample:
    """Give a room in which a bank has spent a feature's budget."""
    spent = again(room, budget_bits=TWO_CUTS)
    enclave.follow()
    for threshold in (3, 1):
        told(enclave, spent, VAT_GRID[threshold])
    assert told(enclave, spent, VAT_GRID[2]) is Reason.OVER_BUDGET
    return spent


def test_a_host_set_ahead_says_nothing_since_its_owner_endorsed_it_for_a_day(
    spent: Sample, enclave: EnclaveHarness
) -> None:
    question = spent.question(1, VAT_GRID[2])
    spent.world.clock.turn(FORTY_MONTHS)
    for asked in (question, spent.question(1, VAT_GRID[2])):
        with pytest.raises(SafeRoomError) as refusal:
            enclave.ask(asked)
        assert refusal.value.reason in {Reason.LOCKED, Reason.EXPIRED, Reason.STALE_HEAD}
    spent.world.clock.turn(-FORTY_MONTHS)
    with pytest.raises(SafeRoomError):  # its time never runs back while it is open
        enclave.ask(spent.question(1, VAT_GRID[2]))


def test_a_host_set_back_has_the_time_that_it_had(spent: Sample, enclave: EnclaveHarness) -> None:
    at_the_true_time = spent.question(1, VAT_GRID[2])
    spent.world.clock.turn(-DAY)
    assert told(enclave, spent, VAT_GRID[2]) is Reason.EXPIRED  # of the host's date, long ago
    assert enclave.ask(at_the_true_time).reason is Reason.OVER_BUDGET


def test_what_was_taken_in_at_a_date_ahead_locks_it_until_then(
    spent: Sample, enclave: EnclaveHarness
) -> None:
    spent.world.clock.turn(2 * DAY)
    enclave.follow()
    spent.world.clock.turn(-2 * DAY)
    enclave.restart()
    with pytest.raises(SafeRoomError, match="LOCKED"):
        enclave.ask(spent.question(1, VAT_GRID[2]))


def test_a_date_that_was_wrong_for_a_while_leaves_the_budget_spent(
    spent: Sample, enclave: EnclaveHarness
) -> None:
    spent.world.clock.turn(FORTY_MONTHS)
    with pytest.raises(SafeRoomError):
        enclave.ask(spent.question(1, VAT_GRID[2]))
    spent.world.clock.turn(-FORTY_MONTHS)
    enclave.restart()
    assert told(enclave, spent, VAT_GRID[2]) is Reason.OVER_BUDGET
