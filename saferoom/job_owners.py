"""Jobs of several owners: what their enclaves ask of each other is carried, and ends are spread.

The room sees lengths and times. It brings each enclave the other's endorsement, which the enclaves
hold to the charters that their approvals pin. That a job has ended at one owner's enclave it tells
the others; should it not, the host hears it before its next answer, for it asks every other owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Final

from saferoom.archive import Archive
from saferoom.job_carried import Carried, Sides
from saferoom.job_pieces import ENDED, JobPiece, JobTold, OwnerPapers
from saferoom.job_words import Enclaves, JobWords
from saferoom.register import Register
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobAdmission, JobOutcome, JobRelease, load
from saferoom_proto.v1 import job_pb2

LOOK_SECONDS: Final = 3.0
"""How often it is looked whether a job of several owners has ended at one of them."""


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

    def sides_by(self, word: Envelope) -> Sides | None:
        """Tell whose enclaves take part in a job, by a word on it; none if it is on no job."""
        for kind in (JobAdmission, JobRelease):
            if word.payload_type == kind.payload_type():
                return self.sides(load(word, kind).template)
        return None

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
        carried = Carried(self._enclaves, self.papers, sides)
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
