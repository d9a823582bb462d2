from __future__ import annotations

import asyncio

import pytest

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
