"""The owner's supervisor: starts the enclave as its child, and again after it ends.

1  the order: charter and room's certificate, verified under the root that the owner pinned
2  the enclave, told over the inherited pipe what the server would tell a child of its own
3  its word that it started it, signed, for the key agent
4  the door, for the relay, until the enclave ends or the order changes

It has no network, and nobody but its owner tells it to stop.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Final

from saferoom_client.events import Event, Happening, Tell, ignore_events
from saferoom_client.premises.exchange import DoorFile
from saferoom_client.premises.home import Home, Verified
from saferoom_client.session import Clock, utc_now
from saferoom_proto.dsse import Envelope
from saferoom_proto.measure import measure_code, measure_dependencies
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.starting import LaunchDocument, Started, memory_lent, started
from saferoom_proto.statements import Launch, seal_statement
from saferoom_proto.statements.base import whole_milliseconds

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 60.0
"""After a run as long as this the pause begins small again."""
LOOK_SECONDS: Final = 0.25
"""How often it looks for a new order: no event tells of files everywhere, and a charter is rare."""


async def supervise(
    home: Home,
    *,
    on_event: Tell = ignore_events,
    clock: Clock = utc_now,
) -> None:
    """Keep an owner's enclave running until cancelled.

    Args:
        home: the supervisor's folder.
        on_event: is told what happens.
        clock: gives the present instant.

    Raises:
        SafeRoomError: `NOT_INSTALLED` where the enclave's software is not.
    """
    orders, pause = _Orders(home, on_event), FIRST_PAUSE_SECONDS
    home.exchange.close_door()
    while True:
        order = await orders.first()
        began = time.monotonic()
        try:
            await _Run(home, order, on_event, clock).through(orders)
            pause = 0.0
        except SafeRoomError as error:
            on_event(Event(Happening.ENDED, f"{error.reason}: {error.detail}"))
        if time.monotonic() - began > STEADY_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        await orders.changed(order, pause)
        pause = min(max(2 * pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)


class _Orders:
    """What the enclave is to be started with, looked for again and again."""

    def __init__(self, home: Home, on_event: Tell) -> None:
        self._home: Final = home
        self._on_event: Final = on_event
        self._told: str | None = None

    def newest(self) -> Verified | None:
        """Give the newest order; what the relay hands in and does not count is told once."""
        return self._home.verified(self._refuse)

    def _refuse(self, error: SafeRoomError) -> None:
        self._tell(Happening.REFUSED, f"what the relay hands in: {error.reason}: {error.detail}")

    async def first(self) -> Verified:
        """Wait for an order."""
        while (order := self.newest()) is None:
            brings = f"saferoom relay run {self._home.exchange.folder} -p PROFILE"
            self._tell(Happening.WAITING, f"for the order, which the relay brings: {brings}")
            await asyncio.sleep(LOOK_SECONDS)
        return order

    async def changed(self, order: Verified, seconds: float | None = None) -> None:
        """Wait until the order is another, for so long at most."""
        end = math.inf if seconds is None else time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            newest = self.newest()
            if newest is not None and newest.order != order.order:
                return
            await asyncio.sleep(min(LOOK_SECONDS, left))

    def _tell(self, what: Happening, detail: str) -> None:
        if self._told != detail:
            self._told = detail
            self._on_event(Event(what, detail))


class _Run:
    """One enclave from its start to its end."""

    def __init__(self, home: Home, order: Verified, on_event: Tell, clock: Clock) -> None:
        self._home: Final = home
        self._order: Final = order
        self._on_event: Final = on_event
        self._clock: Final = clock

    async def through(self, orders: _Orders) -> None:
        """Start it, and wait until the order changes; then it is ended.

        Raises:
            SafeRoomError: `UNAVAILABLE` if it does not start, or ends by itself.
        """
        home, config, order = self._home, self._home.config, self._order
        version = order.charter.charter.version
        self._on_event(Event(Happening.STARTING, f"under version {version} of the charter"))
        # Measured first: whatever is put in the code's place from now on measures otherwise.
        measured = measured_here()
        socket = home.exchange.open_socket_folder()
        with memory_lent(home.scratch, home.state) as memory:
            document = LaunchDocument(
                config.owner,
                home.state,
                socket,
                order.order.charter,
                order.order.switchboard,
                memory,
                config.max_memory_mib,
                config.sandbox,
                home.broker,
            )
            try:
                async with started(document, seconds=config.start_seconds) as one:
                    self._show(one, measured)
                    await self._until_first(one, orders)
            finally:
                home.exchange.close_door()

    def _show(self, one: Started, measured: tuple[str, str]) -> None:
        greeting, order = one.greeting, self._order
        self._home.exchange.open_door(
            DoorFile(
                certificate=greeting.certificate,
                charter=order.charter.digest,
                switchboard=order.switchboard.digest,
                sandbox_level=greeting.sandbox_level,
                sandbox_missing=greeting.sandbox_missing,
                launch=self._launch(one, measured).to_json().decode(),
            )
        )
        detail = f"process {one.process.pid}, sandbox level {greeting.sandbox_level}"
        self._on_event(Event(Happening.LISTENING, detail))

    def _launch(self, one: Started, measured: tuple[str, str]) -> Envelope:
        charter = self._order.charter
        says = Launch(
            room=charter.charter.room,
            owner=charter.charter.owner,
            identity=one.greeting.identity,
            sealing=one.greeting.sealing,
            tls=one.tls,
            charter=charter.digest,
            code=measured[0],
            dependencies=measured[1],
            time=whole_milliseconds(self._clock()),
        )
        return seal_statement(says, self._home.key)

    async def _until_first(self, one: Started, orders: _Orders) -> None:
        ended = asyncio.create_task(one.process.wait())
        changed = asyncio.create_task(orders.changed(self._order))
        try:
            await asyncio.wait((ended, changed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            await asyncio.gather(changed, return_exceptions=True)
            if not ended.done():
                ended.cancel()
        if ended.done() and not ended.cancelled():
            detail = f"the enclave ended with {ended.result()}: see its log"
            raise SafeRoomError(Reason.UNAVAILABLE, detail)


def measured_here() -> tuple[str, str]:
    """Measure the code and what it needs, as installed here.

    Raises:
        SafeRoomError: `NOT_INSTALLED` in a light client.
    """
    try:
        return measure_code(), measure_dependencies()
    except SafeRoomError as error:
        raise SafeRoomError(Reason.NOT_INSTALLED, error.detail) from error
