"""The auditor replays what was charged for records of a source, each period by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from saferoom_client.audit.accounts import Accounts, Charged
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.statements import Charge, Charter, Source, load
from saferoom_proto.statements.source import ended_by, is_period, opened
from simulator.fetching import SOURCE, arrears_features
from tests.client.made import NOTHING
from tests.client.story import Story

FLAG = arrears_features()[0]
BEGAN = datetime(2026, 11, 26, tzinfo=UTC)
"""The first instant of a period of seven days."""


def faults(accounts: Accounts, moment: datetime, before: int, after: int) -> int:
    """Replay an answer, and count what is wrong with it."""
    charter = load(Story().tax.charters[0], Charter)
    charge = Charge(feature=FLAG.full_name, cells_before=before, cells_after=after)
    asked = Charged(
        account=("tax", "bank-a", "S"),
        linked=("bank-a",),
        epoch=1,
        moment=moment,
        charter=charter,
        charges=(charge,),
        features={FLAG.full_name: (FLAG, PinnedFeature(FLAG, NOTHING).shape)},
        asked=None,
    )
    return len(list(accounts.charge(asked)))


def test_a_period_of_a_source_begins_on_its_day_whatever_the_store() -> None:
    accounts = Accounts()
    assert faults(accounts, BEGAN, 1, 2) == 0
    assert faults(accounts, BEGAN + timedelta(days=6, hours=23), 2, 2) == 0
    # The next day it is charged anew; an account that is set back within a period is found.
    assert faults(accounts, BEGAN + timedelta(days=7), 1, 2) == 0
    assert faults(accounts, BEGAN + timedelta(days=8), 1, 2) == 1


def test_a_source_that_is_asked_period_after_period_comes_to_its_familys_cap() -> None:
    accounts = Accounts()
    told = [faults(accounts, BEGAN + timedelta(days=7 * week), 1, 2) for week in range(14)]
    assert told == [0] * 12 + [1, 1]


def test_what_a_copy_forgot_of_a_source_is_charged_to_nobody_anew() -> None:
    accounts = Accounts()
    accounts.close("tax", 1, BEGAN + timedelta(days=2))
    assert faults(accounts, BEGAN + timedelta(days=3), 1, 2) == 1
    assert faults(accounts, BEGAN + timedelta(days=3), 2, 2) == 0
    assert faults(accounts, BEGAN + timedelta(days=7), 1, 2) == 0


def test_periods_are_the_same_for_everybody_and_follow_each_other() -> None:
    assert SOURCE.period(BEGAN) == 20261126
    assert SOURCE.period(BEGAN - timedelta(milliseconds=1)) == 20261119
    last = BEGAN + timedelta(days=8)
    assert SOURCE.periods(BEGAN - timedelta(days=1), last, 9) == (20261119, 20261126, 20261203)
    assert SOURCE.periods(BEGAN - timedelta(days=900), last, 2) == (20261126, 20261203)
    assert SOURCE.periods(last, last, 9) == (20261203,)
    assert opened(20261126) == BEGAN
    assert is_period(19_700_101)
    assert not is_period(9_999_999)
    assert ended_by(20261126, BEGAN + timedelta(days=31))
    assert not ended_by(20261126, BEGAN + timedelta(days=30))


@pytest.mark.parametrize("days", [0, 32])
def test_a_source_is_held_for_a_month_at_most(days: int) -> None:
    with pytest.raises(ValueError, match="days"):
        Source(name="gateway", days=days)
