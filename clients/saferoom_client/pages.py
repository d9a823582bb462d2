"""Lists that the room gives a page at a time, the newest page first, each in its own order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Protocol, TypeVar

from saferoom_proto.reasons import Reason, SafeRoomError


class Placed(Protocol):
    """Something that stands in the log."""

    @property
    def index(self) -> int:
        """Its entry, proven."""
        ...


T = TypeVar("T", bound=Placed)


async def all_pages(page: Callable[[int], Awaitable[tuple[Sequence[T], int]]]) -> tuple[T, ...]:
    """Fetch a whole list, in its order.

    Args:
        page: gives what lies before an entry (all, for zero), verified; and the next such entry,
            or zero at the end.

    Raises:
        SafeRoomError: `BAD_PROOF`: the room lists them out of their order, or would leave some out
            between two pages.
    """
    found: list[T] = []
    before = 0
    while True:
        some, following = await page(before)
        together = [*some, *found[:1]]
        if any(one.index >= other.index for one, other in pairwise(together)):
            raise SafeRoomError(Reason.BAD_PROOF, "the room lists entries out of their order")
        if following and not (some and following == some[0].index):
            raise SafeRoomError(Reason.BAD_PROOF, "the room would leave out what is between pages")
        found[:0] = some
        if not following:
            return tuple(found)
        before = following
