"""How much may be under way: for one organisation, and in all.

A limit in all alone lets one slow caller lock out the rest. So each organisation has its own, and
beyond that may hold at most an eighth of what is free: of any number of greedy callers each takes
a ninth of what the ones before it left, and whoever holds nothing yet is let in to the last place.

Source of the second rule: Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
packet switches", IEEE/ACM Transactions on Networking 6(2), 1998, with the factor 1/8.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from saferoom_proto.quota import Quota, QuotaError
from saferoom_proto.reasons import Reason, SafeRoomError

_SHARE: Final = 8
RETRY_SECONDS: Final = 0.25
"""After which a refused caller may try again: a few dozen checks end within it."""


class Limits:
    """Counts what is under way. Used in one event loop.

    Args:
        in_all: the most under way at once.
        per_caller: the most of one caller's.
        what: is counted, for its callers to read.
    """

    def __init__(self, in_all: int, per_caller: int, what: str = "calls") -> None:
        if not 1 <= per_caller <= in_all:
            raise SafeRoomError(Reason.BAD_CONFIG, "a caller's limit is from 1 to that in all")
        self._in_all: Final = in_all
        self._free = in_all
        self._per_caller: Final = per_caller
        self._held: Final[dict[str, int]] = {}
        self._what: Final = what

    @property
    def in_use(self) -> int:
        """How many places are held."""
        return self._in_all - self._free

    @contextmanager
    def place(self, caller: str) -> Generator[Quota]:
        """Hold a place for one call while it is under way.

        Args:
            caller: the organisation, or a subject's code.

        Yields:
            The caller's own quota with this place taken: what others hold shows in no number.

        Raises:
            QuotaError: `TOO_MANY_REQUESTS`, at once: nobody waits for a place.
        """
        held = self._held.get(caller, 0)
        quota = Quota(self._per_caller, self._per_caller - held)
        if held >= self._per_caller:
            raise QuotaError(quota, self._what, RETRY_SECONDS, f"{caller} has {held} under way")
        if held * _SHARE >= self._free:
            detail = f"{held} under way, {self._free} free"
            raise QuotaError(quota, self._what, RETRY_SECONDS, detail)
        self._held[caller] = held + 1
        self._free -= 1
        try:
            yield Quota(self._per_caller, self._per_caller - held - 1)
        finally:
            self._free += 1
            if self._held[caller] == 1:
                del self._held[caller]
            else:
                self._held[caller] -= 1
