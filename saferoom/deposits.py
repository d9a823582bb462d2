"""Each call puts down a deposit, and gets it back unless it was refused for its caller's own fault.

A bad request costs the room as much as a good one: its signature is verified, its refusal is
written down for good. So a caller has so many deposits, and one that was kept grows back with time.
While a caller behaves it notices nothing. Who keeps sending bad requests runs out; its calls then
wait for a deposit each, in their order, and go on no faster than deposits grow. What waits costs no
processor time, and holds up nobody else. A call that waited too long is refused unread and told
when to come again.

Source: the token bucket as a shaper: Turner, "New directions in communications", IEEE
Communications Magazine 24(10), 1986. Deposits that come back make it one of bad requests only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from saferoom.refusals import RequestRefusedError
from saferoom_proto.reasons import CATALOGUE, Reason, SafeRoomError, TryLaterError

LONGEST_WAIT_SECONDS: Final = 10.0
"""A third of the time that a call has by default."""
MOST_WAITING: Final = 4096
"""Calls of all callers that wait, at some 10 KB each; beyond them nobody waits."""

_KEPT: Final = 1024
"""Accounts kept before those that are whole again are looked for."""

_ROOMS_OWN: Final = frozenset(
    {"UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "DATA_LOSS", "ABORTED"}
)
"""Statuses of refusals that a caller can do nothing about."""


def is_callers_fault(error: SafeRoomError) -> bool:
    """Tell whether a refusal is the caller's own fault, and no state of the room or an enclave."""
    if isinstance(error, RequestRefusedError) and error.reason is Reason.TOO_MANY_REQUESTS:
        return False  # an enclave is full, of others' requests maybe
    return CATALOGUE[error.reason].status not in _ROOMS_OWN


@dataclass(slots=True)
class _Account:
    """One caller's deposits."""

    left: float
    counted_at: float
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque["asyncio.Future[None]"])
    timer: asyncio.TimerHandle | None = None


class Deposits:
    """Keeps every caller's deposits. Used in one event loop.

    Args:
        at_once: how many a caller has.
        per_second: how many grow back.
        clock: counts seconds; the event loop's own when left out.
    """

    def __init__(
        self, at_once: int, per_second: float, clock: Callable[[], float] | None = None
    ) -> None:
        self._at_once: Final = at_once
        self._per_second: Final = per_second
        self._clock: Final = clock or (lambda: asyncio.get_running_loop().time())
        self._accounts: Final[dict[str, _Account]] = {}
        self._waiting = 0
        self._swept_at = _KEPT

    @property
    def waiting(self) -> int:
        """How many calls wait for a deposit."""
        return self._waiting

    @property
    def callers_waiting(self) -> int:
        """How many callers' calls wait for a deposit."""
        return sum(1 for account in self._accounts.values() if account.waiting)

    @asynccontextmanager
    async def deposit(self, caller: str, *, for_good: bool = True) -> AsyncGenerator[None]:
        """Put down a deposit while a call is under way.

        Args:
            caller: the organisation, or a subject's code.
            for_good: whether who leaves without waiting for an answer loses it.

        Raises:
            SafeRoomError: `TOO_MANY_REQUESTS` with the time after which to try again.
        """
        await self._take(caller)
        try:
            yield
        except SafeRoomError as error:
            if not is_callers_fault(error):
                self._give_back(caller)
            raise
        except asyncio.CancelledError:
            if not for_good:
                self._give_back(caller)
            raise
        except BaseException:
            self._give_back(caller)
            raise
        self._give_back(caller)

    async def _take(self, caller: str) -> None:
        account = self._counted(caller)
        if account.left >= 1 and not account.waiting:
            account.left -= 1
            return
        if self._waiting >= MOST_WAITING:
            raise self._later(caller, account)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        account.waiting.append(turn)
        self._waiting += 1
        self._let_through(caller, account)
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                await turn
        except TimeoutError:
            raise self._later(caller, self._counted(caller)) from None
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(caller)  # its turn came as it left
            raise
        finally:
            self._waiting -= 1

    def _give_back(self, caller: str) -> None:
        account = self._counted(caller)
        account.left = min(self._at_once, account.left + 1)
        self._let_through(caller, account)

    def _counted(self, caller: str) -> _Account:
        """Give a caller's account, with what has grown back since it was looked at last."""
        now = self._clock()
        account = self._accounts.get(caller)
        if account is None:
            self._forget(now)
            account = self._accounts[caller] = _Account(float(self._at_once), now)
        grown = max(0.0, now - account.counted_at) * self._per_second
        account.left = min(self._at_once, account.left + grown)
        account.counted_at = now
        return account

    def _forget(self, now: float) -> None:
        """Forget, once there are many, whoever has all of its deposits by now."""
        if len(self._accounts) < self._swept_at:
            return
        whole = [
            caller
            for caller, account in self._accounts.items()
            if not account.waiting
            and account.left + (now - account.counted_at) * self._per_second >= self._at_once
        ]
        for caller in whole:
            del self._accounts[caller]
        self._swept_at = max(_KEPT, 2 * len(self._accounts))

    def _let_through(self, caller: str, account: _Account) -> None:
        """Let those through whose turn it is, and look again when the next deposit has grown."""
        while account.waiting and (account.left >= 1 or account.waiting[0].done()):
            turn = account.waiting.popleft()
            if not turn.done():  # or its caller has left
                account.left -= 1
                turn.set_result(None)
        if account.timer is not None:
            account.timer.cancel()
            account.timer = None
        if account.waiting:
            seconds = max(0.0, 1 - account.left) / self._per_second
            loop = asyncio.get_running_loop()
            account.timer = loop.call_later(seconds, self._look_again, caller, account)
        elif account.left >= self._at_once:
            del self._accounts[caller]  # as good as new

    def _look_again(self, caller: str, account: _Account) -> None:
        account.timer = None
        self._counted(caller)
        self._let_through(caller, account)

    def _later(self, caller: str, account: _Account) -> SafeRoomError:
        ahead = sum(1 for turn in account.waiting if not turn.done())
        seconds = max(1.0, (ahead + 1 - account.left) / self._per_second)
        detail = f"{caller} has had too many bad requests"
        return TryLaterError(Reason.TOO_MANY_REQUESTS, detail, seconds)
