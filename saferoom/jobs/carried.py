"""A job of several owners on its way: what its host asks of the givers is carried, sealed.

The label side's messages and the givers' answers come to the host by one stream, in order: it reads
either when it waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final, Protocol

from saferoom.exchange import Judged
from saferoom.jobs.pieces import (
    AskPart,
    FitPiece,
    GivenPart,
    JobAnswer,
    JobHeard,
    JobPiece,
    JobTold,
    OwnerPapers,
)
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError


class Talking(Protocol):
    """What an enclave says and hears in a job."""

    def work_on_job(self, pieces: AsyncIterator[JobHeard]) -> AsyncGenerator[JobTold]:
        """Carry a job's messages."""
        ...

    def give_to_job(self, papers: OwnerPapers, ask: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """Answer what another owner's enclave asks."""
        ...


class Enclave(Protocol):
    """An enclave that serves, as far as it is carried to."""

    @property
    def jobs(self) -> Talking:
        """Its work on jobs."""
        ...


class Enclaves(Protocol):
    """The enclaves."""

    def serving(self, owner: str) -> Enclave:
        """Give an owner's enclave, or refuse with `LOCKED` or `UNAVAILABLE`."""
        ...


_WAITING: Final = 16
"""Pieces that wait for the host's enclave, of 256 KiB each."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Whose enclaves take part in a job.

    Attributes:
        host: has the room's side.
        givers: the other owners.
    """

    host: str
    givers: tuple[str, ...]

    @property
    def in_order(self) -> tuple[str, ...]:
        """All of them, the host last: it begins what the others have let begin."""
        return (*self.givers, self.host)


class Carried:
    """One label side's line to a host's enclave, and what that asks of others.

    Args:
        enclaves: the enclaves.
        papers: tells what an owner's is to be known by.
        sides: whose have part in the job.
    """

    def __init__(
        self, enclaves: Enclaves, papers: Callable[[str], OwnerPapers], sides: Sides
    ) -> None:
        self._papers: Final = papers
        self._enclaves: Final = enclaves
        self._sides: Final = sides
        self._heard: Final = asyncio.Queue[JobHeard | None](_WAITING)
        self._asks: Final[dict[str, asyncio.Queue[bytes | None]]] = {}
        self._work: Final[set[asyncio.Task[None]]] = set()
        self._owed = 0
        """Messages of the label side's that were not answered yet."""
        self._left = False

    async def told(
        self, first: JobPiece | FitPiece, pieces: AsyncIterator[JobPiece]
    ) -> AsyncGenerator[JobTold]:
        """Give what the host tells its label side, or whoever asked for a training in the room."""
        host = self._enclaves.serving(self._sides.host)
        self._do(self._hear(first, pieces))
        told = host.jobs.work_on_job(self._said())
        following = asyncio.ensure_future(anext(told, None))
        try:
            while True:
                await asyncio.wait({following, *self._work}, return_when=asyncio.FIRST_COMPLETED)
                self._require_well()
                if not following.done():
                    continue
                if (said := following.result()) is None:
                    return
                if isinstance(said, AskPart):
                    self._carry(said)
                else:
                    yield said
                    await self._answered(said)
                following = asyncio.ensure_future(anext(told, None))
        finally:
            for task in (following, *self._work):
                task.cancel()
            await asyncio.gather(following, *self._work, return_exceptions=True)
            await told.aclose()

    def _do(self, work: Coroutine[object, object, None]) -> None:
        self._work.add(asyncio.create_task(work))

    def _require_well(self) -> None:
        """Raise what ended any of the work that goes on beside."""
        for task in [each for each in self._work if each.done()]:
            self._work.discard(task)
            task.result()

    async def _hear(self, first: JobPiece | FitPiece, pieces: AsyncIterator[JobPiece]) -> None:
        fits = isinstance(first, FitPiece)
        if not fits:
            await self._heard.put(first)
        for giver in self._sides.givers:
            # Without them the host says whose enclave it waits for, once it needs it.
            with suppress(SafeRoomError):
                await self._heard.put(self._papers(giver))
        if fits:  # it is one question, and owed one answer
            self._owed += 1
            await self._heard.put(first)
        async for piece in pieces:
            self._owed += piece.message.last
            await self._heard.put(piece)
        self._left = True
        await self._end_unless_owed()

    async def _answered(self, said: JobTold) -> None:
        if isinstance(said, Judged) or (isinstance(said, JobAnswer) and said.piece.message.last):
            self._owed -= 1
            await self._end_unless_owed()

    async def _end_unless_owed(self) -> None:
        """End the host's line once the label side has left it and is owed nothing."""
        if self._left and self._owed <= 0:
            await self._heard.put(None)

    async def _said(self) -> AsyncGenerator[JobHeard]:
        while (each := await self._heard.get()) is not None:
            yield each

    def _carry(self, part: AskPart) -> None:
        owner = part.owner
        if owner not in self._sides.givers:
            raise SafeRoomError(Reason.INTERNAL, "the host asks an owner of another job")
        if owner not in self._asks:
            self._asks[owner] = asyncio.Queue()
            self._do(self._give(owner, self._asks[owner]))
        self._asks[owner].put_nowait(part.data)
        if part.last:
            self._asks.pop(owner).put_nowait(None)

    async def _give(self, owner: str, ask: asyncio.Queue[bytes | None]) -> None:
        async def pieces() -> AsyncGenerator[bytes]:
            while (piece := await ask.get()) is not None:
                yield piece

        try:
            giver = self._enclaves.serving(owner)
            papers = self._papers(self._sides.host)
            async with aclosing(giver.jobs.give_to_job(papers, pieces())) as given:
                async for data in given:
                    await self._heard.put(GivenPart(owner, data, last=False))
        except SafeRoomError as error:
            rule = f"the enclave of {owner} gives nothing now: {error.words.what}"
            fields = error.fields or [FieldFault("owner", rule)]
            raise SafeRoomError(error.reason, f"{owner}: {error.detail}", fields) from error
        await self._heard.put(GivenPart(owner, b"", last=True))
