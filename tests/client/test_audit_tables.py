"""The auditor holds tables to each other: what left of the same records, and of others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from saferoom_client.audit.tables import Together
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import StoreState, TableRelease
from saferoom_proto.tables.rules import MOST_ANSWERS
from tests.proto.golden_tables import words_on_tables

DAY = timedelta(days=1)


def release(request: str, epoch: int = 1, **changes: object) -> TableRelease:
    """An enclave's word on a request for tables, as the golden one but for some fields."""
    said = words_on_tables()["table-release"]
    assert isinstance(said, TableRelease)
    store = StoreState(epoch=epoch, digest=sha256_digest(b"snapshot"))
    fields = {"request": sha256_digest(request.encode()), "store": store, "together": 1}
    return said.model_copy(update=fields | changes)


def found(together: Together, said: TableRelease, days: int = 30) -> list[Reason]:
    return [each.reason for each in together.take(said, days)]


BEGINNING = release("first").time
OWNER = release("first").owner


@pytest.mark.parametrize(
    ("before", "now", "passed", "reasons"),
    [
        (30, 30, 30 * DAY, []),
        (30, 30, 30 * DAY - timedelta(seconds=1), [Reason.OVER_BUDGET]),
        (60, 30, 59 * DAY, [Reason.OVER_BUDGET]),
        (30, 60, 59 * DAY, [Reason.OVER_BUDGET]),
        (60, 60, 60 * DAY, []),
    ],
)
def test_tables_of_other_records_wait_as_long_as_the_stricter_plan_says(
    before: int, now: int, passed: timedelta, reasons: list[Reason]
) -> None:
    together = Together()
    assert found(together, release("first"), before) == []
    assert found(together, release("then", 2, time=BEGINNING + passed), now) == reasons


def test_the_strictest_plan_of_the_same_records_counts_and_the_last_that_was_told() -> None:
    together = Together()
    assert found(together, release("first"), 90) == []
    assert found(together, release("again", time=BEGINNING + 10 * DAY, together=2), 30) == []
    then = release("then", 2, time=BEGINNING + 99 * DAY)
    assert found(together, then, 30) == [Reason.OVER_BUDGET]
    assert found(together, release("later", 2, time=BEGINNING + 101 * DAY), 30) == []


def test_an_owner_that_goes_back_to_earlier_records_has_their_account() -> None:
    together = Together()
    assert found(together, release("first", together=3)) == []
    together.same_records(OWNER, 2, 1)
    together.same_records(OWNER, 3, 2)
    at = BEGINNING + DAY
    assert found(together, release("then", 3, time=at, together=3)) == []
    forgets = release("forgets", 3, time=at, together=1)
    assert found(together, forgets) == [Reason.STORE_ROLLED_BACK]


def test_what_an_older_copy_forgot_counts_as_told_when_it_went_on() -> None:
    together = Together()
    assert found(together, release("first"), 90) == []
    together.close(OWNER, 1, BEGINNING + 5 * DAY)
    soon = release("soon", 2, time=BEGINNING + 34 * DAY)
    assert found(together, soon) == [Reason.OVER_BUDGET]
    # The days of what it forgot are not known to it: there the asking plan's hold.
    assert found(together, release("late", 3, time=BEGINNING + 70 * DAY), 30) == []


def test_another_owners_tables_wait_for_nobody_elses() -> None:
    together = Together()
    assert found(together, release("first")) == []
    assert found(together, release("other", 2, owner="court", time=BEGINNING + DAY)) == []


def test_tables_that_were_told_too_often_are_found() -> None:
    together = Together()
    for time in range(MOST_ANSWERS):
        assert found(together, release(f"{time}")) == []
    assert found(together, release("other bank", institution="bank-z")) == []
    assert found(together, release("once more")) == [Reason.OVER_BUDGET]
