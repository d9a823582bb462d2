"""The room's end of one enclave: has it started, holds its session, and again after it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from saferoom.channel import connect
from saferoom.endorsement import Endorsed
from saferoom.logs import trace
from saferoom.place import LaunchOrder, LinkState, Place, Running
from saferoom.register import Register
from saferoom.session import Office, Session, told
from saferoom.switchboard import OwnEnd
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.verification import PinnedCharter

FIRST_PAUSE_SECONDS: Final = 0.2
STEADY_SECONDS: Final = 60.0
"""After a run as long as this the pause begins small again."""


class Link:
    """One owner's enclave as the room sees it, through all its runs.

    Args:
        owner: whose.
        folder: the enclave's own.
        place: where it runs.
        own: the room's end of the connection.
        register: gives the owner's charter in force.
        office: what sessions work with.
        changed: called with every new state.
    """

    def __init__(
        self,
        owner: str,
        folder: Path,
        *,
        place: Place,
        own: OwnEnd,
        register: Register,
        office: Office,
        changed: Callable[[str, LinkState], None],
    ) -> None:
        self.owner: Final = owner
        self.state = place.waiting
        self._folder: Final = folder
        self._place: Final = place
        self._own: Final = own
        self._register: Final = register
        self._office: Final = office
        self._changed: Final = changed
        self._session: Session | None = None
        self._endorsed: Endorsed | None = None
        """The last session's: the same enclave may come back after its connection was cut."""
        self._again: Final = asyncio.Event()
        self.fault = ""
        """Why the last run ended, until the enclave serves again."""

    @property
    def session(self) -> Session | None:
        """The run under way; none while the enclave is down or starting."""
        return self._session

    def serving(self) -> Session:
        """Give the session if the enclave serves.

        Raises:
            SafeRoomError: `LOCKED` if it waits for its key, `UNAVAILABLE` if it is down.
        """
        if self._session is not None and self.state is LinkState.SERVING:
            return self._session
        locked = self.state is LinkState.LOCKED
        reason = Reason.LOCKED if locked else Reason.UNAVAILABLE
        raise SafeRoomError(reason, f"the enclave of {self.owner} is {self.state}")

    def restart(self) -> None:
        """Have the enclave started anew: its charter changed."""
        self._again.set()

    async def run(self) -> None:
        """Keep the enclave running until cancelled."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            self._again.clear()
            began = time.monotonic()
            try:
                await self._once()
            except SafeRoomError as error:
                self.fault = told(error)
                self._office.log.warning(
                    "enclave down", owner=self.owner, reason=str(error.reason), detail=error.detail
                )
            except Exception as error:  # noqa: BLE001 - whatever failed, it is started again
                # Not `exception`: an error's message could quote a value.
                self._office.log.error("enclave down", owner=self.owner, trace=trace(error))  # noqa: TRY400
            finally:
                if self._session is not None:
                    # A session that was cut before it began says nothing of the ones before.
                    self._endorsed = self._session.endorsed or self._endorsed
                self._session = None
                self._enter(LinkState.DOWN)
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._again.wait()
            pause = min(2 * pause, self._place.longest_pause_seconds)

    async def _once(self) -> None:
        """Go through one run of the enclave: until it ends, fails, or its charter changes."""
        self._enter(self._place.waiting)
        held = self._register.charter_statement(self.owner)
        order = LaunchOrder(self.owner, self._folder, held.envelope, self._own.statement)
        async with (
            self._place.launched(order) as running,
            connect(running.door, self._own.pair) as channel,
        ):
            self._office.log.info(
                "enclave listens", owner=self.owner, sandbox_level=running.sandbox_level
            )
            charter = PinnedCharter(held.says, held.digest)
            self._session = Session(
                charter, running, channel, self._office, self._serving, earlier=self._endorsed
            )
            self._enter(LinkState.LOCKED)
            await self._until_first(self._session, running)

    async def _until_first(self, session: Session, running: Running) -> None:
        """Wait for whatever ends the run first, and end the rest."""
        run = asyncio.create_task(session.run())
        ended = asyncio.create_task(running.ended())
        again = asyncio.create_task(self._again.wait())
        tasks = (run, ended, again)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if ended.done() and not ended.cancelled():
            raise SafeRoomError(Reason.UNAVAILABLE, ended.result())
        if not run.cancelled():
            run.result()

    def _serving(self, serves: bool) -> None:
        self._enter(LinkState.SERVING if serves else LinkState.LOCKED)

    def _enter(self, state: LinkState) -> None:
        if state is LinkState.SERVING:
            self.fault = ""
        if state is not self.state:
            self.state = state
            self._office.log.info("enclave", owner=self.owner, state=str(state))
            self._changed(self.owner, state)
