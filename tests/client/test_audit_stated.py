"""The auditor counts stated values by what they cost: so many a day, so many ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from saferoom_client.audit.accounts import Accounts, Charged
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.statements import Absent, Charge, Charter, FeatureKind, load
from saferoom_proto.statements.feature import StatedForm, StatedRule
from tests.client.made import NOTHING, feature
from tests.client.story import Story

RULE = StatedRule(form=StatedForm.DIGITS, per_day=2, for_life=4)
PHONE = feature("tax", "phone", FeatureKind.STATED, level=3, stated=RULE, absent=Absent.UNKNOWN)
DAY = timedelta(days=1)
BEGAN = datetime(2026, 11, 26, tzinfo=UTC)


class Log:
    """What groups of one owner's banks stated, as its enclave charged it."""

    def __init__(self) -> None:
        self.accounts = Accounts()
        self.charter = load(Story().tax.charters[0], Charter)

    def stated(
        self, before: int, after: int, day: int, *, epoch: int = 1, group: str = "one"
    ) -> int:
        """Charge a question, and count what is wrong with it."""
        charge = Charge(feature=PHONE.full_name, cells_before=before, cells_after=after)
        asked = Charged(
            account=("tax", group, "S"),
            linked=("one", "two"),
            epoch=epoch,
            moment=BEGAN + day * DAY,
            charter=self.charter,
            charges=(charge,),
            features={PHONE.full_name: (PHONE, PinnedFeature(PHONE, NOTHING).shape)},
            asked=None,
        )
        return len(list(self.accounts.charge(asked)))


def test_so_many_values_a_day_of_all_groups_that_share_what_they_learn() -> None:
    log = Log()
    assert log.stated(1, 2, 0) == 0  # is anything held? that is no value
    assert log.stated(2, 3, 0) == 0
    assert log.stated(3, 3, 0) == 0  # the same value again
    assert log.stated(3, 4, 0, group="two") == 0
    assert log.stated(4, 5, 0) == 1
    assert log.stated(5, 6, 1) == 0


def test_so_many_values_ever_whatever_was_loaded_meanwhile() -> None:
    log = Log()
    for epoch in range(1, RULE.for_life + 1):
        assert log.stated(1, 3, epoch, epoch=epoch) == 0
    assert log.stated(1, 3, 9, epoch=9) == 1
