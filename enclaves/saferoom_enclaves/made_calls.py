"""What is made of many records over gRPC, tables or a model: one at a time, beside the work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Final, Generic, Protocol, TypeVar

from saferoom_enclaves.enclave import Enclave
from saferoom_enclaves.journal import Judged
from saferoom_enclaves.places import Turns
from saferoom_enclaves.worker import Worker, to_its_end
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import FitRequest, TableRequest

WAITING: Final = 16
"""How many requests may wait for their turn, of an institution one: a minute or two."""


class _Asked(Protocol):
    """A request whose asker is known."""

    @property
    def request(self) -> TableRequest | FitRequest:
        """What is asked."""
        ...


class _Begun(Protocol):
    """A request that may be carried out; it holds the store open."""

    def close(self) -> None:
        """Let the store go."""
        ...


A_co = TypeVar("A_co", bound=_Asked, covariant=True)
B = TypeVar("B", bound=_Begun)
S_contra = TypeVar("S_contra", contravariant=True)
S = TypeVar("S")
Making = Callable[[B], Awaitable[S | None]]
"""Makes what is asked for."""


class Desk(Protocol[A_co, B, S_contra]):
    """Goes the steps of a request."""

    def expect(self, envelope: Envelope) -> Judged | A_co:
        """Tell who asks."""
        ...

    def begin(self, envelope: Envelope) -> Judged | B:
        """Let it be made, or refuse it."""
        ...

    def finish(self, begun: B, sealed: S_contra | None) -> Judged:
        """Let out what was made."""
        ...


class MadeCalls(Generic[B, S]):
    """Serves requests.

    Args:
        worker: has the enclave do one thing at a time.
        tick: waits for the next release tick.
        desk: goes their steps.
        make: makes what is asked for, in any thread.
        what: they are about.
    """

    def __init__(
        self,
        worker: Worker,
        tick: Callable[[], Awaitable[None]],
        desk: Callable[[Enclave], Desk[_Asked, B, S]],
        make: Callable[[B], S | None],
        what: str,
    ) -> None:
        self._worker: Final = worker
        self._tick: Final = tick
        self._desk: Final = desk
        self._make: Final = make
        self._turns: Final = Turns(1, WAITING, what)

    async def answer(self, asked: Envelope, make: Making[B, S] | None = None) -> Judged:
        """Answer a request.

        Args:
            asked: the request.
            make: makes what is asked for, where that takes more than a thread.

        Raises:
            SafeRoomError: a plain refusal.
        """
        expected = await self._worker.run(lambda own: self._desk(own).expect(asked))
        if isinstance(expected, Judged):
            pass
        elif expected.request.price:
            # Nothing is made: it waits for nobody else's turn.
            expected = await to_its_end(self._made(asked, make))
        else:
            async with self._turns.turn(expected.request.institution):
                # What waits holds no store open; what begins comes to its end.
                expected = await to_its_end(self._made(asked, make))
        await self._tick()
        return expected

    async def _made(self, asked: Envelope, make: Making[B, S] | None) -> Judged:
        begun = await self._worker.run(lambda own: self._desk(own).begin(asked))
        if isinstance(begun, Judged):
            return begun
        with closing(begun):
            made = asyncio.to_thread(self._make, begun) if make is None else make(begun)
            sealed = await made
            return await self._worker.run(lambda own: self._desk(own).finish(begun, sealed))
