from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom.limits import Limits
from saferoom_proto.quota import QuotaError
from saferoom_proto.reasons import Reason, SafeRoomError


def take_all(limits: Limits, stack: ExitStack, caller: str) -> int:
    """Take as many places as a caller gets."""
    taken = 0
    try:
        while True:
            stack.enter_context(limits.place(caller))
            taken += 1
    except SafeRoomError as error:
        assert error.reason is Reason.TOO_MANY_REQUESTS
    return taken


def test_a_caller_holds_no_more_than_its_own_limit() -> None:
    limits = Limits(in_all=100, per_caller=3)
    with ExitStack() as stack:
        assert take_all(limits, stack, "bank-a") == 3
        assert take_all(limits, stack, "bank-b") == 3


@given(greedy=st.integers(1, 30), in_all=st.integers(512, 4096))
def test_however_many_are_greedy_a_place_is_left_for_whoever_comes_next(
    greedy: int, in_all: int
) -> None:
    limits = Limits(in_all, per_caller=in_all)
    with ExitStack() as stack:
        taken = [take_all(limits, stack, f"bank-{number}") for number in range(greedy)]
        assert taken[0] <= in_all // 9 + 1
        assert sorted(taken, reverse=True) == taken
        assert take_all(limits, stack, "another") >= 1


def test_a_refusal_tells_a_caller_s_own_numbers_and_none_that_depends_on_others() -> None:
    told: set[str] = set()
    for others in (1, 4):
        limits = Limits(in_all=16, per_caller=8, what="streams")
        with ExitStack() as stack:
            for number in range(others):
                take_all(limits, stack, f"bank-{number}")
            take_all(limits, stack, "bank-x")
            with pytest.raises(QuotaError) as refusal:
                stack.enter_context(limits.place("bank-x"))
            told.add(refusal.value.told.replace(str(refusal.value.quota.held), "N"))
    assert told == {"You have N streams under way; there is no place for more now."}


def test_the_last_place_is_for_somebody_who_has_none() -> None:
    limits = Limits(in_all=2, per_caller=2)
    with ExitStack() as stack:
        assert take_all(limits, stack, "bank-a") == 1
        assert take_all(limits, stack, "bank-b") == 1
        assert take_all(limits, stack, "bank-c") == 0


def test_a_place_is_given_back_whatever_became_of_the_call() -> None:
    limits = Limits(in_all=2, per_caller=1)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), limits.place("bank-a"):
            raise ZeroDivisionError
    with limits.place("bank-a"), pytest.raises(SafeRoomError), limits.place("bank-a"):
        pass


@pytest.mark.parametrize(("in_all", "per_caller"), [(0, 0), (1, 2), (5, 0), (-1, -1)])
def test_limits_that_make_no_sense_are_refused(in_all: int, per_caller: int) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        Limits(in_all, per_caller)
    assert refusal.value.reason is Reason.BAD_CONFIG
