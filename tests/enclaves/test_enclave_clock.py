"""The enclave's time never runs back, and heads cannot push it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_enclaves.clock import MOST_AHEAD, EnclaveClock, SystemClock
from saferoom_proto.reasons import SafeRoomError
from simulator import START, SimClock

MOVES = st.lists(
    st.tuples(st.sampled_from(["advance", "turn", "head"]), st.integers(-5000, 5000)), max_size=20
)


@given(MOVES)
def test_whatever_is_done_to_the_host_the_time_never_runs_back(
    moves: list[tuple[str, int]],
) -> None:
    host = SimClock()
    clock = EnclaveClock(host)
    last = clock.now()
    for what, seconds in moves:
        if what == "advance":
            host.advance(abs(seconds))
        elif what == "turn":
            host.turn(seconds)
        else:
            clock.advance_to(host.utc() + timedelta(seconds=seconds))
        now = clock.now()
        assert now >= last
        last = now


def test_the_time_goes_on_after_the_host_was_set_back() -> None:
    host = SimClock()
    clock = EnclaveClock(host)
    host.turn(-3600)
    host.advance(10)
    assert clock.now() == START + timedelta(seconds=10)


def test_a_head_is_held_against_the_host_not_against_other_heads() -> None:
    host = SimClock()
    clock = EnclaveClock(host)
    clock.require_not_ahead(START + MOST_AHEAD)
    clock.advance_to(START + MOST_AHEAD)
    with pytest.raises(SafeRoomError, match="HEAD_FROM_FUTURE"):
        clock.require_not_ahead(START + MOST_AHEAD + timedelta(milliseconds=1))


def test_the_systems_clocks_go_forward() -> None:
    system = SystemClock()
    assert system.boot_seconds() <= system.boot_seconds()
    assert system.utc() <= system.utc()
    assert system.utc().tzinfo is not None
