"""Asks a source for one subject: within its limits, again where that may help, and in time."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from saferoom_client.broker.config import SourceConfig
from saferoom_client.broker.guards import Breaker, Rate
from saferoom_client.broker.provider import Outcome, Reply, get, tls_of
from saferoom_client.session import Clock, utc_now

FIRST_PAUSE_SECONDS: Final = 0.2
_LEAST_SECONDS: Final = 0.1
"""What a try needs at least; with less left there is none."""

Get = Callable[[SourceConfig, ssl.SSLContext, str, float], Reply]
Sleep = Callable[[float], Awaitable[None]]


class Source:
    """A source, as it is asked. Used in one event loop.

    Args:
        folder: that its files are looked for in.
        config: whom it asks, and how much.
        pool: the threads in which requests are made.
        ask: makes a request.
        clock: gives the instant, for the day's limit.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming a file that cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        config: SourceConfig,
        pool: ThreadPoolExecutor,
        ask: Get = get,
        clock: Clock = utc_now,
    ) -> None:
        self._config: Final = config
        self._tls: Final = tls_of(folder, config)
        self._pool: Final = pool
        self._get: Final = ask
        self._breaker: Final = Breaker(time.monotonic)
        self._rate: Final = Rate(config.per_second, config.per_day, time.monotonic, clock)

    async def ask(self, subject: str) -> Reply:
        """Ask for one subject's record; never raises for what a provider does."""
        if not self._breaker.lets_through():
            return Reply(Outcome.UNAVAILABLE, "it failed lately and is left alone for a while")
        try:
            reply, made = await self._tries(subject)
        except BaseException:
            # The line ended, say: else the one request that is let through would never be over.
            self._breaker.given_up()
            raise
        if not made:
            self._breaker.given_up()
        elif reply.outcome is Outcome.UNAVAILABLE:
            self._breaker.failed(subject)
        else:
            self._breaker.succeeded()
        return reply

    async def _tries(self, subject: str) -> tuple[Reply, bool]:
        """Ask until there is an answer, or no time or try is left; tells whether it asked."""
        end = time.monotonic() + self._config.seconds
        reply, made = Reply(Outcome.UNAVAILABLE, "no time"), False
        for tried in range(self._config.tries):
            if not self._rate.take():
                return reply if made else Reply(Outcome.UNAVAILABLE, "its limit is reached"), made
            reply, made = await self._once(subject, end - time.monotonic()), True
            # Each pause is drawn, so that questions that failed together do not come together.
            pause = FIRST_PAUSE_SECONDS * 2**tried * random.uniform(1.0, 1.5)  # noqa: S311 - no secret
            if not reply.again or time.monotonic() + pause + _LEAST_SECONDS > end:
                break
            await asyncio.sleep(pause)
        return reply, made

    async def _once(self, subject: str, seconds: float) -> Reply:
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(
            self._pool, self._get, self._config, self._tls, subject, seconds
        )
        try:
            # A name that is looked up has its own time, and no socket to be shut.
            return await asyncio.wait_for(call, seconds + _LEAST_SECONDS)
        except TimeoutError:
            return Reply(Outcome.UNAVAILABLE, "no answer in time")
