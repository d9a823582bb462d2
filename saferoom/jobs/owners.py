"""Jobs of several owners: what their enclaves ask of each other is carried, and ends are spread.

The room sees lengths and times. It brings each enclave the other's endorsement, which the enclaves
hold to the charters that their approvals pin. That a job has ended at one owner's enclave it tells
the others, until all have heard it; should it not, the host hears it before its next answer, for it
asks every other owner, and a giver's part of a model stays none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, suppress
from typing import Final

from saferoom.archive import Archive
from saferoom.jobs.carried import Carried, Sides
from saferoom.jobs.pieces import ENDED, FitPiece, JobPiece, JobStatus, JobTold, OwnerPapers
from saferoom.jobs.words import Enclaves, JobWords
from saferoom.register import Register
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, JobAdmission, JobRelease, load

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
        says = self._register.template(template).says
        training = says.training
        if says.fit is not None:
            return Sides(says.fit.hosted_by, says.fit.givers)  # at its host it is over at once
        if training is None:
            raise SafeRoomError(Reason.NOT_ALLOWED, "the template trains nothing")
        host = training.hosted_by
        return Sides(host, tuple(each for each in training.owners if each != host))

    def sides_by(self, word: Envelope) -> Sides | None:
        """Tell whose enclaves take part in a job, by a word on it; none if it is on no job.

        Nor of a training in the room: nobody takes part in one, and its asker waits for it.
        """
        for kind in (JobAdmission, JobRelease):
            if word.payload_type == kind.payload_type():
                template = load(word, kind).template
                is_fit = self._register.template(template).says.fit is not None
                return None if is_fit else self.sides(template)
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
        self, sides: Sides, first: JobPiece | FitPiece, pieces: AsyncIterator[JobPiece]
    ) -> AsyncGenerator[JobTold]:
        """Carry a job's messages, and what its host asks of the givers meanwhile.

        Of a training in the room its request is the first, and there are no messages.
        """
        carried = Carried(self._enclaves, self.papers, sides)
        async with aclosing(carried.told(first, pieces)) as told:
            async for each in told:
                yield each

    async def spread(self, sides: Sides, job: str, owner: str, release: Envelope) -> None:
        """Have a job that ended at one owner's enclave end at the others'.

        With a model too: each has its part, and says so once it hears that its host did.
        """
        await self._end(job, release, [each for each in sides.in_order if each != owner])
        self.look_after(sides, job, release)

    async def _end(self, job: str, release: Envelope, owners: Iterable[str]) -> None:
        said = _last_word(release)
        cancel = None if said.cancel is None else await self._archive.find(said.cancel)
        for owner in owners:
            # Where it did not begin there is nothing to end. One that is down is told later, by
            # `_look`, or hears of it when it asks.
            with suppress(SafeRoomError):
                jobs = self._enclaves.serving(owner).jobs
                if cancel is not None:
                    entry = await jobs.end_job(cancel.envelope)
                else:
                    entry = await jobs.end_job_as(await self._papers_of(said), release)
                await self._words.ended(owner, job, entry)

    async def _papers_of(self, said: JobRelease | FitRelease) -> OwnerPapers:
        """Give what the enclave that said this was to be known by then."""
        endorsement = await self._archive.find(said.endorsement)
        if endorsement is None:
            raise SafeRoomError(Reason.BAD_ENDORSEMENT, "an endorsement that is not recorded")
        return OwnerPapers(said.owner, endorsement.envelope)

    def look_after(self, sides: Sides, job: str, release: Envelope | None = None) -> None:
        """Look, from now on, whether a job ends at one owner, until it has ended at all.

        Args:
            sides: whose enclaves have part in it.
            job: the job.
            release: the word by which it has ended at one already.
        """
        if not sides.givers or job in self._looking:
            return
        task = asyncio.create_task(self._look(sides, job, release), name=f"job {job}")
        self._looking[job] = task
        task.add_done_callback(lambda _: self._looking.pop(job, None))

    async def take_up(self) -> None:
        """Look after the jobs that began everywhere or ended anywhere, but did not end everywhere.

        Of a job that waits for its host to let it begin, nobody has anything to hear.
        """
        began, ended = dict[str, set[str]](), dict[str, set[str]]()
        sides, release = dict[str, Sides](), dict[str, Envelope]()
        kinds = (JobAdmission.KIND, JobRelease.KIND, FitRelease.KIND)
        for word in await self._archive.of_kinds(kinds):
            over = word.payload_type != JobAdmission.payload_type()
            said = _last_word(word) if over else load(word, JobAdmission)
            with suppress(SafeRoomError):  # a word that is on no job keeps no room shut
                host = sides.setdefault(said.request, self.sides(said.template)).host
                (ended if over else began).setdefault(said.request, set()).add(said.owner)
                if over and (said.request not in release or said.owner == host):
                    release[said.request] = word
        for job, owners in began.items():
            everywhere = sides[job].host in owners
            if owners - ended.get(job, set()) and (everywhere or job in release):
                self.look_after(sides[job], job, release.get(job))

    async def close(self) -> None:
        """Look after no job any more."""
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, sides: Sides, job: str, release: Envelope | None) -> None:
        waits_for = set(sides.in_order)
        while waits_for:
            await asyncio.sleep(LOOK_SECONDS)
            for owner in sorted(waits_for):
                with suppress(SafeRoomError):  # down now: it is looked at again
                    status = await self._stands(owner, job)
                    if status is None:
                        waits_for.discard(owner)
                    elif status.state in ENDED:
                        word = await self._words.last(owner, status.release)
                        if word is not None:
                            # That there is a model its host alone tells.
                            release = word if owner == sides.host else release or word
                            waits_for.discard(owner)
            if release is not None:
                await self._end(job, release, sorted(waits_for))

    async def _stands(self, owner: str, job: str) -> JobStatus | None:
        """Ask how a job stands at an owner's enclave; none where it never began."""
        try:
            (status,) = await self._enclaves.serving(owner).jobs.tell_jobs(owner, job)
        except SafeRoomError as error:
            if error.reason is Reason.UNKNOWN_STATEMENT:
                return None
            raise
        return status


def _last_word(word: Envelope) -> JobRelease | FitRelease:
    """Read an enclave's last word on a job: of a training in the room its host's is a fit's."""
    fits = word.payload_type == FitRelease.payload_type()
    return load(word, FitRelease if fits else JobRelease)
