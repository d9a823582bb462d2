"""Jobs of joint training in the room: passed to the enclave that has them, their words recorded.

The room sees sizes and times of messages, no more; it cannot alter, repeat, reorder or leave out
one without the two sides noticing (`saferoom_proto.job_channel`). It keeps nothing of a job but its
request and its enclave's words. The enclave knows how each job stands, and is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

from saferoom.archive import Archive
from saferoom.checks import Checks
from saferoom.evidence import Approved, Caller, Recorded, Role
from saferoom.exchange import OutboxEntry
from saferoom.gist import JobGist, job_gist
from saferoom.jobs.carried import Sides
from saferoom.jobs.fits import FitEnds
from saferoom.jobs.owners import JobOwners
from saferoom.jobs.pieces import ENDED, JobAnswer, JobPiece, JobStatus, JobTold, joined
from saferoom.jobs.words import Enclaves, JobWords, is_refusal
from saferoom.limits import Limits
from saferoom.refusals import Refusals
from saferoom.register import Register
from saferoom.undisturbed import Undisturbed
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobCancel, load

LOOK_SECONDS: Final = 0.5
"""How often a job is looked at for those who watch it; a round takes a second or so."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What enclaves said to a request for a job.

    Attributes:
        word: of the one that has the room's side; what it says is the channel's secret, sealed to
            the asker. Or of the one that refused.
        others: the admissions of the other owners.
    """

    word: Recorded[bytes]
    others: tuple[Recorded[bytes], ...]


class Jobs:
    """Passes jobs to enclaves and records what becomes of them.

    Args:
        checks: authorises.
        enclaves: the enclaves.
        register: knows the owners.
        words: records what enclaves say.
        owners: knows the jobs of several.
        archive: finds earlier words.
        refusals: makes the room's own.
        limits: how many label sides may take part at once.
        fits: ends trainings in the room.
    """

    def __init__(
        self,
        *,
        checks: Checks,
        enclaves: Enclaves,
        register: Register,
        words: JobWords,
        owners: JobOwners,
        archive: Archive,
        refusals: Refusals,
        limits: Limits,
        fits: FitEnds,
    ) -> None:
        self._checks: Final = checks
        self._enclaves: Final = enclaves
        self._register: Final = register
        self._words: Final = words
        self._owners: Final = owners
        self._archive: Final = archive
        self._refusals: Final = refusals
        self._limits: Final = limits
        self._fits: Final = fits
        self._recording: Final = Undisturbed()

    async def submit(self, caller: Caller, envelope: Envelope) -> Submitted:
        """Ask for a job.

        Returns:
            The recorded word of the enclave that has the room's side, with those of the other
            owners'; or of the one that refused.

        Raises:
            RequestRefusedError: the room or the enclave refused without a word, recorded.
            SafeRoomError: `MALFORMED` for what is no such request.
        """
        request = job_gist(envelope)
        approved = await self._checks.authorise(caller, envelope, request, "Training")
        return await self._recording.run(self._submitted(approved, request))

    async def take_part(
        self, caller: Caller, pieces: AsyncIterator[JobPiece]
    ) -> AsyncGenerator[JobAnswer | Recorded[None]]:
        """Carry a job's messages between its label side and its enclave.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` for a job that is not the caller's;
                `TOO_MANY_REQUESTS`; what the enclave refuses with.
        """
        first = await anext(pieces, None)
        if first is None:
            raise SafeRoomError(Reason.MALFORMED, "taking part begins with the job's name")
        job = joined(first)
        owner, sides = await self._taking(caller.organisation, job, takes_part=True)
        with self._limits.place(caller.organisation):
            self._owners.look_after(sides, job)
            async with aclosing(self._told(sides, first, pieces)) as told:
                async for each in told:
                    if isinstance(each, JobAnswer):
                        yield each
                    elif isinstance(each, OutboxEntry):
                        yield await self._recording.run(self._ended(sides, owner, job, each))

    async def watch(self, caller: Caller, job: str) -> AsyncGenerator[JobStatus]:
        """Tell how a job stands, and again whenever that changed, until it has ended.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` for a job that does not concern the caller.
        """
        owner = await self._telling(caller.organisation, job)
        status = await self._status(owner, job)
        yield status
        while status.state not in ENDED:
            await asyncio.sleep(LOOK_SECONDS)
            before, status = status, await self._status(owner, job)
            if status != before:
                yield status

    async def list(self, caller: Caller) -> Sequence[JobStatus]:
        """List the jobs of the caller's institution, or at the caller's own enclave.

        Enclaves that do not serve now are left out: they alone know how their jobs stand.
        """
        name = caller.organisation
        found: list[JobStatus] = []
        for owner in self._register.owners:
            try:
                told = await self._enclaves.serving(owner).jobs.tell_jobs(owner, "")
            except SafeRoomError as error:
                if error.reason not in {Reason.LOCKED, Reason.UNAVAILABLE}:
                    raise
                continue
            own = Role.OWNER in caller.roles and owner == name
            found += [each for each in told if own or self._is_of(name, owner, each)]
        return sorted(found, key=lambda each: each.began, reverse=True)

    async def cancel(self, caller: Caller, envelope: Envelope) -> Recorded[object]:
        """End a job of the caller's institution, or a training in the room.

        Returns:
            How it ended: by this, or before.

        Raises:
            SafeRoomError: `NOT_ALLOWED` for another institution's word; `UNKNOWN_STATEMENT` for
                what is not under way; what the enclave refuses with.
        """
        cancel = load(envelope, JobCancel)
        if cancel.institution != caller.organisation:
            raise SafeRoomError(Reason.NOT_ALLOWED, "another institution's word")
        try:
            _, sides = await self._taking(caller.organisation, cancel.job, takes_part=True)
        except SafeRoomError as error:
            if error.reason is not Reason.UNKNOWN_STATEMENT:
                raise
            return await self._fits.cancel(cancel, envelope)
        return await self._recording.run(self._cancelled(sides, cancel.job, envelope))

    async def drain(self, seconds: float) -> None:
        """Wait until every word that is under way is recorded, and no longer than this."""
        await asyncio.gather(self._recording.drain(seconds), self._fits.drain(seconds))
        await self._owners.close()

    async def _submitted(self, approved: Approved, request: JobGist) -> Submitted:
        sides, words = self._owners.sides(request.template), list[Recorded[bytes]]()
        owner = sides.host
        try:
            # All serve, before any counts a run.
            for owner in sides.in_order:
                self._enclaves.serving(owner)
            for owner in sides.in_order:
                words.append(await self._words.begun(owner, approved))
                if is_refusal(words[-1].statement):
                    await self._owners.spread(
                        sides, approved.envelope.digest, owner, words[-1].statement
                    )
                    return Submitted(words[-1], ())
        except SafeRoomError as error:
            raise await self._refusals.record(
                error,
                institution=request.institution,
                question=approved.envelope,
                owner=owner if sides.givers else None,
            ) from error
        self._owners.look_after(sides, approved.envelope.digest)
        return Submitted(words[-1], tuple(words[:-1]))

    def _told(
        self, sides: Sides, first: JobPiece, pieces: AsyncIterator[JobPiece]
    ) -> AsyncGenerator[JobTold]:
        if sides.givers:
            return self._owners.carry(sides, first, pieces)
        return self._enclaves.serving(sides.host).jobs.work_on_job(_after(first, pieces))

    async def _cancelled(self, sides: Sides, job: str, envelope: Envelope) -> Recorded[None]:
        """End a job at its host; where it began at givers only, at one of them."""
        for owner in (sides.host, *sides.givers):
            try:
                entry = await self._enclaves.serving(owner).jobs.end_job(envelope)
            except SafeRoomError as error:
                if error.reason is not Reason.UNKNOWN_STATEMENT:
                    raise
            else:
                return await self._ended(sides, owner, job, entry)
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no enclave knows the job")

    async def _ended(
        self, sides: Sides, owner: str, job: str, entry: OutboxEntry
    ) -> Recorded[None]:
        recorded = await self._words.ended(owner, job, entry)
        await self._owners.spread(sides, job, owner, entry.statement)
        return recorded

    async def _status(self, owner: str, job: str) -> JobStatus:
        told = await self._enclaves.serving(owner).jobs.tell_jobs(owner, job)
        if not told:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "the enclave knows no such job")
        return told[0]

    async def _telling(self, organisation: str, job: str) -> str:
        """Find whose enclave tells an organisation of a job.

        Of a training in the room the room keeps nothing before its end: enclaves are asked.

        Raises:
            SafeRoomError: as `_taking`.
        """
        with suppress(SafeRoomError):
            return (await self._taking(organisation, job))[0]
        for owner in self._register.owners:
            with suppress(SafeRoomError):  # it serves nobody now, or knows no such job
                status = await self._status(owner, job)
                if organisation == owner or self._is_of(organisation, owner, status):
                    return owner
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no job of yours")

    def _is_of(self, institution: str, owner: str, status: JobStatus) -> bool:
        """Tell whether a job is an institution's, and told by the enclave that has it."""
        if status.institution != institution:
            return False
        return self._owners.sides(status.template).host == owner

    async def _taking(
        self, organisation: str, job: str, *, takes_part: bool = False
    ) -> tuple[str, Sides]:
        """Find whose enclave tells an organisation of a job, and all enclaves that have part in it.

        Args:
            organisation: its institution, or one of its owners.
            job: the job.
            takes_part: only its institution does.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` if there is none that concerns it.
        """
        for answer in await self._archive.answers(job):
            sides = self._owners.sides_by(answer.release.envelope)
            if sides is None:
                break  # a request of another kind
            if organisation == answer.institution:
                return sides.host, sides
            if organisation == answer.owner and not takes_part:
                return answer.owner, sides
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no job of yours")


async def _after(first: JobPiece, pieces: AsyncIterator[JobPiece]) -> AsyncIterator[JobPiece]:
    yield first
    async for piece in pieces:
        yield piece
