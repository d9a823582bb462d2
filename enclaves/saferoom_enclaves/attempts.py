"""How often a value was stated of a subject's feature: so many times a day, and so many ever.

Counted by the values that were stated, whatever was answered: a value that was stated before in the
same period of the same feature is no new attempt. What linked groups stated counts together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Final

from pydantic import Field

from saferoom_enclaves.rowform import read_part
from saferoom_enclaves.state import State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Feature
from saferoom_proto.statements.base import Part

_TABLE: Final = "attempts"


class _Count(Part):
    day: date
    today: Annotated[int, Field(ge=0)]
    ever: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Lost:
    """How many values count as stated in periods that the enclave forgot."""

    today: int
    ever: int


class Attempts:
    """Counts stated values, by institution group, subject and feature.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state

    def tag(self, subject: str, feature: Feature, stated: str) -> str:
        """Name a stated value for accounts, so that they hold none: the same only for one subject.

        Args:
            subject: of whom it is stated.
            feature: of which.
            stated: the value in its form.
        """
        return self._state.cipher.find(_TABLE, subject, feature.full_name, stated).hex()

    def require(
        self,
        groups: Sequence[str],
        subject: str,
        feature: Feature,
        now: datetime,
        lost: Lost,
    ) -> None:
        """Refuse another value where as many were stated as may be.

        Args:
            groups: the groups that share what they learn.
            subject: of whom it is stated.
            feature: of which.
            now: the instant.
            lost: what counts as stated beside what was counted.

        Raises:
            SafeRoomError: `OVER_BUDGET`.
        """
        rule = feature.stated
        if rule is None:
            raise SafeRoomError(Reason.INTERNAL, f"{feature.full_name} is not of stated values")
        counts = [self._of(group, subject, feature) for group in groups]
        today = sum(each.today for each in counts if each is not None and each.day == now.date())
        if lost.today + today >= rule.per_day:
            detail = f"{feature.full_name}: {rule.per_day} values a day were stated"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)
        if lost.ever + sum(each.ever for each in counts if each is not None) >= rule.for_life:
            detail = f"{feature.full_name}: all {rule.for_life} values were stated"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)

    def count(self, group: str, subject: str, feature: Feature, now: datetime) -> None:
        """Count a value that is stated now."""
        key = self._state.cipher.find(_TABLE, group, subject, feature.full_name)
        row = self._state.get(_TABLE, key)
        before = self._of(group, subject, feature)
        today, ever = 0, 0
        if before is not None:
            today, ever = before.today if before.day == now.date() else 0, before.ever
        after = _Count(day=now.date(), today=today + 1, ever=ever + 1)
        self._state.put(_TABLE, key, after.model_dump_json().encode(), row)

    def _of(self, group: str, subject: str, feature: Feature) -> _Count | None:
        row = self._state.get(
            _TABLE, self._state.cipher.find(_TABLE, group, subject, feature.full_name)
        )
        if row is None:
            return None
        return read_part(row.content, _Count)
