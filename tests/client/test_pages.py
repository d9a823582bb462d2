"""A list that comes in pages is whole and in its order, or refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from saferoom_client.pages import all_pages
from saferoom_proto.reasons import Reason, SafeRoomError


@dataclass(frozen=True)
class Said:
    index: int


async def listed(pages: dict[int, tuple[tuple[int, ...], int]]) -> list[int]:
    """Fetch pages, by the entry before which they lie."""

    async def page(before: int) -> tuple[list[Said], int]:
        some, following = pages[before]
        return [Said(each) for each in some], following

    return [each.index for each in await all_pages(page)]


async def test_pages_come_together_in_the_order_of_the_log() -> None:
    assert await listed({0: ((), 0)}) == []
    assert await listed({0: ((7, 9), 7), 7: ((3, 4), 3), 3: ((1,), 0)}) == [1, 3, 4, 7, 9]
    assert await listed({0: ((7, 9), 7), 7: ((), 0)}) == [7, 9]


@pytest.mark.parametrize(
    "pages",
    [
        {0: ((9, 7), 0)},
        {0: ((7, 7), 0)},
        {0: ((7, 9), 7), 7: ((3, 8), 0)},
        {0: ((7, 9), 7), 7: ((7,), 7)},  # without end
        {0: ((7, 9), 5), 5: ((1,), 0)},  # what lies between is left out
        {0: ((7, 9), 9), 9: ((8,), 0)},
        {0: ((), 5), 5: ((), 5)},
    ],
)
async def test_a_list_out_of_order_or_with_a_gap_between_pages_is_refused(
    pages: dict[int, tuple[tuple[int, ...], int]],
) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        await listed(pages)
    assert refusal.value.reason is Reason.BAD_PROOF
