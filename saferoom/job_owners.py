"""Jobs of several owners: what their enclaves ask of each other is carried, and ends are spread.

The room sees lengths and times. It brings each enclave the other's endorsement, which the enclaves
hold to the charters that their approvals pin. That a job has ended at one owner's enclave it tells
the others; should it not, the host hears it before its next answer, for it asks every other owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

from saferoom.archive import Archive
from saferoom.job_pieces import (
    ENDED,
    AskPart,
    GivenPart,
    JobAnswer,
    JobHeard,
    JobPiece,
    JobTold,
    OwnerPapers,
)
from saferoom.job_words import Enclaves, JobWords
from saferoom.register import Register
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import JobAdmission, JobOutcome, JobRelease, load
from saferoom_proto.v1 import job_pb2

LOOK_SECONDS: Final = 3.0
"""How often it is looked whether a job of several owners has ended at one of them."""
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


class JobOwners:
    """Carries between the enclaves of jobs of several owners.

    Args:
        enclaves: the enclaves.
        register: knows charters and templates.
        archive: finds recorded words.
        words: records them.
    """

    def __init__(
        self, enclaves: Enclaves, register: Register, archive: Archive, words: JobWords
    ) -> None:
        self._enclaves: Final = enclaves
        self._register: Final = register
        self._archive: Final = archive
        self._words: Final = words
        self._looking: Final[dict[str, asyncio.Task[None]]] = {}

    def sides(self, template: str) -> Sides:
        """Tell whose enclaves take part in a job of a template.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT`; `NOT_ALLOWED` for a template of another kind.
        """
        training = self._register.template(template).says.training
        if training is None:
            raise SafeRoomError(Reason.NOT_ALLOWED, "the template trains nothing")
        host = training.hosted_by
        return Sides(host, tuple(each for each in training.owners if each != host))

    def sides_by(self, word: Envelope) -> Sides:
        """Tell whose enclaves take part in a job, by a word on it."""
        kind = JobRelease if word.payload_type == JobRelease.payload_type() else JobAdmission
        return self.sides(load(word, kind).template)

    def papers(self, owner: str) -> OwnerPapers:
        """Give what an owner's enclave is to be known by.

        Raises:
            SafeRoomError: `LOCKED`, `UNAVAILABLE`.
        """
        endorsed = self._enclaves.serving(owner).endorsed
        if endorsed is None:
            raise SafeRoomError(Reason.LOCKED, f"the enclave of {owner} has no keys yet")
        return OwnerPapers(owner, endorsed.statement)

    async def carry(
        self, sides: Sides, first: JobPiece, pieces: AsyncIterator[JobPiece]
    ) -> AsyncGenerator[JobTold]:
        """Carry a job's messages, and what its host asks of the givers meanwhile."""
        carried = _Carried(self, self._enclaves, sides)
        async with aclosing(carried.told(first, pieces)) as told:
            async for each in told:
                yield each

    async def spread(self, sides: Sides, job: str, owner: str, release: Envelope) -> None:
        """Have a job that ended at one owner's enclave end at the others'.

        With a model they have ended it themselves, each with its part: what they said is recorded.
        """
        said = load(release, JobRelease)
        if said.outcome is JobOutcome.RELEASED:
            for other in sides.givers:
                await self._recorded(other, job)
            return
        cancel = None if said.cancel is None else await self._archive.find(said.cancel)
        for other in sides.in_order:
            if other == owner:
                continue
            # Where it did not begin there is nothing to end. An enclave that is down hears of it
            # when the host asks, or at the end of the job's window.
            with suppress(SafeRoomError):
                jobs = self._enclaves.serving(other).jobs
                if cancel is not None:
                    entry = await jobs.end_job(cancel.envelope)
                else:
                    entry = await jobs.end_job_as(await self._papers_of(said), release)
                await self._words.ended(other, job, entry)

    async def _papers_of(self, said: JobRelease) -> OwnerPapers:
        """Give what the enclave that said this was to be known by then."""
        endorsement = await self._archive.find(said.endorsement)
        if endorsement is None:
            raise SafeRoomError(Reason.BAD_ENDORSEMENT, "an endorsement that is not recorded")
        return OwnerPapers(said.owner, endorsement.envelope)

    async def _recorded(self, owner: str, job: str) -> None:
        # An enclave that is down is asked for all that it said when it is back.
        with suppress(SafeRoomError):
            (status,) = await self._enclaves.serving(owner).jobs.tell_jobs(owner, job)
            if status.state in ENDED:
                await self._words.last(owner, status.release)

    def look_after(self, sides: Sides, job: str) -> None:
        """Look, from now on, whether a job ends at one owner, so that it ends at all."""
        if not sides.givers or job in self._looking:
            return
        task = asyncio.create_task(self._look(sides, job), name=f"job {job}")
        self._looking[job] = task
        task.add_done_callback(lambda _: self._looking.pop(job, None))

    async def close(self) -> None:
        """Look after no job any more."""
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, sides: Sides, job: str) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            over = 0
            for owner in sides.in_order:
                with suppress(SafeRoomError):
                    (status,) = await self._enclaves.serving(owner).jobs.tell_jobs(owner, job)
                    if status.state not in ENDED:
                        continue
                    over += 1
                    if status.state == job_pb2.JOB_STATE_RELEASED:
                        continue
                    word = await self._words.last(owner, status.release)
                    if word is not None:
                        await self.spread(sides, job, owner, word)
                        return
            if over == len(sides.in_order):
                return


class _Carried:
    """One label side's line to a host's enclave, and what that asks of others."""

    def __init__(self, owners: JobOwners, enclaves: Enclaves, sides: Sides) -> None:
        self._owners: Final = owners
        self._enclaves: Final = enclaves
        self._sides: Final = sides
        self._heard: Final = asyncio.Queue[JobHeard | None](_WAITING)
        self._asks: Final[dict[str, asyncio.Queue[bytes | None]]] = {}
        self._work: Final[set[asyncio.Task[None]]] = set()
        self._owed = 0
        """Messages of the label side's that were not answered yet."""
        self._left = False

    async def told(
        self, first: JobPiece, pieces: AsyncIterator[JobPiece]
    ) -> AsyncGenerator[JobTold]:
        """Give what the host tells its label side."""
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

    async def _hear(self, first: JobPiece, pieces: AsyncIterator[JobPiece]) -> None:
        await self._heard.put(first)
        for giver in self._sides.givers:
            # Without them the host says whose enclave it waits for, once it needs it.
            with suppress(SafeRoomError):
                await self._heard.put(self._owners.papers(giver))
        async for piece in pieces:
            self._owed += piece.message.last
            await self._heard.put(piece)
        self._left = True
        await self._end_unless_owed()

    async def _answered(self, said: JobTold) -> None:
        if isinstance(said, JobAnswer) and said.piece.message.last:
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
            papers = self._owners.papers(self._sides.host)
            async with aclosing(giver.jobs.give_to_job(papers, pieces())) as given:
                async for data in given:
                    await self._heard.put(GivenPart(owner, data, last=False))
        except SafeRoomError as error:
            rule = f"the enclave of {owner} gives nothing now: {error.words.what}"
            fields = error.fields or [FieldFault("owner", rule)]
            raise SafeRoomError(error.reason, f"{owner}: {error.detail}", fields) from error
        await self._heard.put(GivenPart(owner, b"", last=True))
