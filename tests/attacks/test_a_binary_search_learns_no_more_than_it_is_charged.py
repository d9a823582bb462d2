"""An asker who chooses each threshold by the last answer: what it finds out, and what it pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason
from tests.attacks.bands import FIRMS, GRID, VALUES, Bands, bands

Strategy = Callable[[Callable[[int], Truth | Reason]], None]
"""Asks for cuts of the grid by their place, and stops when it likes."""


def halving(ask: Callable[[int], Truth | Reason]) -> None:
    low, high = 0, len(GRID)
    while low < high:
        middle = (low + high) // 2
        match ask(middle):
            case Truth.YES:
                low = middle + 1
            case Truth.NO:
                high = middle
            case _:
                return


def upwards(ask: Callable[[int], Truth | Reason]) -> None:
    for place in range(len(GRID)):
        if ask(place) is not Truth.YES:
            return


def downwards(ask: Callable[[int], Truth | Reason]) -> None:
    for place in reversed(range(len(GRID))):
        if ask(place) is not Truth.NO:
            return


def everything(ask: Callable[[int], Truth | Reason]) -> None:
    for place in (3, 3, 1, 5, 0, 6, 2, 4):
        ask(place)


def searched(room: Bands, serial: int, strategy: Strategy) -> tuple[list[object], int]:
    """Let a strategy search for a firm's cell: what it was told, and the cells it was charged."""
    told: list[object] = []
    charged = [1]

    def ask(place: int) -> Truth | Reason:
        verdict = room.ask(serial, GRID[place])
        charged.extend(each.cells_after for each in verdict.release.charges)
        said = verdict.truth or verdict.reason or Reason.INTERNAL
        told.append((place, said))
        return said

    strategy(ask)
    return told, max(charged)


@pytest.mark.parametrize("strategy", [halving, upwards, downwards, everything])
@pytest.mark.parametrize("bits", ["1.585", "2.322", "3.170"])
def test_a_search_tells_no_more_cells_apart_than_the_budget_and_the_charge(
    tmp_path: Path, bits: str, strategy: Strategy
) -> None:
    with bands(tmp_path, bits) as room:
        found = [searched(room, serial, strategy) for serial in FIRMS]
    told_apart = {tuple(told) for told, _ in found}
    assert len(told_apart) <= max(charged for _, charged in found)
    assert len(told_apart) <= 2 ** Decimal(bits)


def test_with_the_whole_grid_in_its_budget_halving_finds_the_cell_and_pays_all_of_it(
    tmp_path: Path,
) -> None:
    with bands(tmp_path, "3.170") as room:
        found = [searched(room, serial, halving) for serial in FIRMS]
    assert len({tuple(told) for told, _ in found}) == len(VALUES)  # all that the grid holds
    assert {charged for _, charged in found[:-1]} == {len(VALUES)}


def narrowed(ask: Callable[[int], bool | None], low: int, high: int) -> Iterator[tuple[int, int]]:
    """Halve an interval that holds a value until it is one wide, or nobody answers."""
    while high - low > 1:
        middle = (low + high) // 2
        match ask(middle):
            case True:
                low = middle
            case False:
                high = middle
            case None:
                return
        yield low, high


def test_without_the_gate_the_same_search_finds_the_value_itself() -> None:
    value = 765_432
    steps = list(narrowed(lambda threshold: value >= threshold, 0, 1 << 30))
    assert steps[-1] == (value, value + 1)
    assert len(steps) <= 30


def test_through_the_gate_thresholds_of_its_own_tell_nothing_and_cost_nothing(
    tmp_path: Path,
) -> None:
    with bands(tmp_path, "3.170") as room:
        asked: list[Reason | None] = []

        def ask(threshold: int) -> bool | None:
            verdict = room.ask(5, str(threshold))
            asked.append(verdict.reason)
            assert verdict.release.charges == ()
            return None if verdict.truth is None else verdict.truth is Truth.YES

        assert list(narrowed(ask, 0, 1 << 30)) == []
        assert asked == [Reason.OFF_GRID]
        (charge,) = room.ask(5, GRID[0]).release.charges
        assert charge.cells_before == 1


def combined(rooms: Sequence[tuple[object, ...]]) -> int:
    """Count the firms that askers together can tell apart."""
    return len(set(rooms))


def test_eight_banks_of_one_group_learn_what_one_may(tmp_path: Path) -> None:
    with bands(tmp_path, "2.322") as room:
        banks = room.join([f"ally-{each}" for each in range(8)], group="allies")
        told: list[tuple[object, ...]] = []
        for serial in FIRMS:
            asked = zip(banks, (3, 1, 5, 0, 6, 2, 4, 3), strict=True)
            told.append(tuple(room.told(serial, GRID[place], bank) for bank, place in asked))
    assert combined(told) <= 5  # 2.322 bits
    refusals = {tuple(each is Reason.OVER_BUDGET for each in one) for one in told}
    assert refusals == {(False, False, True, True, True, True, True, False)}


def test_eight_banks_of_eight_groups_learn_the_grid_and_never_more(tmp_path: Path) -> None:
    with bands(tmp_path, "1.585") as room:
        banks = room.join([f"rival-{each}" for each in range(8)])
        told: list[tuple[object, ...]] = []
        for serial in FIRMS:
            asked = zip(banks, (3, 1, 5, 0, 6, 2, 4, 3), strict=True)
            told.append(tuple(room.told(serial, GRID[place], bank) for bank, place in asked))
        # Nobody is refused because another asked; what they pool is the grid that all can see.
        assert all(isinstance(each, Truth) for one in told for each in one)
        assert combined(told) == len(VALUES)
        # The next question of each is over its own budget, and off the grid there is nothing.
        for bank, place in zip(banks, (0, 2, 3, 1, 5, 4, 6, 0), strict=True):
            assert room.told(5, GRID[place], bank) is Reason.OVER_BUDGET
            assert room.told(5, "700000", bank) is Reason.OFF_GRID
