from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from saferoom.one_by_one import OneByOne
from saferoom.turns import Turns


async def test_who_is_alone_meets_nobody_and_is_not_kept_waiting_for_ever() -> None:
    turns, inside, met = Turns(), set[str](), list[set[str]]()

    async def together(name: str) -> None:
        async with turns.together():
            inside.add(name)
            await asyncio.sleep(0.01)
            assert "alone" not in inside
            inside.remove(name)

    async def alone() -> None:
        async with turns.alone():
            met.append(set(inside))
            inside.add("alone")
            await asyncio.sleep(0.01)
            inside.remove("alone")

    first = [asyncio.create_task(together(f"early {number}")) for number in range(3)]
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(alone()) for _ in range(2)]
    await asyncio.sleep(0)
    late = [asyncio.create_task(together(f"late {number}")) for number in range(3)]
    async with asyncio.timeout(5):
        await asyncio.gather(*first, *waiting, *late)
    assert met == [set(), set()]


async def test_many_work_together() -> None:
    turns, most, inside = Turns(), 0, 0

    async def together() -> None:
        nonlocal most, inside
        async with turns.together():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(together() for _ in range(5)))
    assert most == 5


async def test_a_failure_gives_the_turn_back() -> None:
    turns = Turns()
    for turn in (turns.alone, turns.together):
        with pytest.raises(ZeroDivisionError):
            async with turn():
                raise ZeroDivisionError
    async with asyncio.timeout(1), turns.alone():
        assert turns._inside == 0


async def test_who_leaves_gives_up_no_turn_and_who_waited_is_not_served() -> None:
    """Counting and adding go together: one that leaves in between would have both count as one."""
    turns, added, going = OneByOne(), list[str](), asyncio.Event()

    def adding(name: str) -> Callable[[], Coroutine[object, object, list[str]]]:
        async def add() -> list[str]:
            before = list(added)
            await going.wait()
            added.append(name)
            return before

        return add

    names = ("leaves", "leaves while it waits", "stays")
    first, second, third = (asyncio.create_task(turns.run("one", adding(each))) for each in names)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    assert (first.cancelled(), second.cancelled(), third.done()) == (True, True, False)
    going.set()
    async with asyncio.timeout(5):
        assert await third == ["leaves"], "it counts what the first one added"
    assert added == ["leaves", "stays"]
