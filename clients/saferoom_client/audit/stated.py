"""Stated values, counted: so many a day and so many ever, whatever was loaded meanwhile.

Each of them costs one possibility more, so the charges show that another value was stated, and
never which. No batch states any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Absent, Charge, Feature


class Stated:
    """When each group stated another value of a subject's feature, as the log shows it."""

    def __init__(self) -> None:
        self._on: Final[dict[tuple[str, str, str, str], list[date]]] = {}

    def take(
        self,
        account: tuple[str, str, str],
        linked: Sequence[str],
        moment: datetime,
        charge: Charge,
        feature: Feature,
    ) -> Iterator[SafeRoomError]:
        """Count a value if another was stated; give what is wrong with it.

        Args:
            account: the owner, the collusion group and the subject.
            linked: the groups that share what they learn with it, itself among them.
            moment: when it was stated.
            charge: what it cost.
            feature: of which.
        """
        rule, name = feature.stated, charge.feature
        # Whether anything is held may be asked by itself: that is no value.
        nothing = 2 if feature.absent is Absent.UNKNOWN else 1
        if rule is None or charge.cells_after <= max(charge.cells_before, nothing):
            return
        owner, group, subject = account
        today = moment.date()
        self._on.setdefault((owner, group, subject, name), []).append(today)
        days = [day for each in linked for day in self._on.get((owner, each, subject, name), ())]
        if (on_it := days.count(today)) > rule.per_day:
            detail = f"{name}: {on_it} values were stated in a day, of {rule.per_day}"
            yield SafeRoomError(Reason.OVER_BUDGET, detail)
        if (ever := len(days)) > rule.for_life:
            detail = f"{name}: {ever} values were stated, of {rule.for_life} ever"
            yield SafeRoomError(Reason.OVER_BUDGET, detail)
