"""Jobs of joint training in the room: passed to the enclave that has them, their words recorded.

The room sees sizes and times of messages, no more; it cannot alter, repeat, reorder or leave out
one without the two sides noticing (`saferoom_proto.job_channel`). It keeps nothing of a job but its
request and its enclave's words. The enclave knows how each job stands, and is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final, Protocol

from saferoom.archive import Archive
from saferoom.checks import Checks
from saferoom.evidence import Approved, Caller, Recorded, Role
from saferoom.exchange import Judged, OutboxEntry
from saferoom.gist import JobGist, job_gist
from saferoom.job_pieces import ENDED, JobAnswer, JobPiece, JobStatus, JobTold, joined
from saferoom.limits import Limits
from saferoom.notary import Notary
from saferoom.outbox import Outbox
from saferoom.refusals import Refusals
from saferoom.register import Register
from saferoom.state.rows import AnswerRow, RequestRow, Row, UseRow
from saferoom.undisturbed import Undisturbed
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import JobAdmission, JobCancel, JobRelease, load

LOOK_SECONDS: Final = 0.5
"""How often a job is looked at for those who watch it; a round takes a second or so."""


class JobWork(Protocol):
    """What an enclave does for jobs."""

    async def begin_job(self, request: Envelope) -> Judged:
        """Let a job begin, or refuse it."""
        ...

    def work_on_job(self, pieces: AsyncIterator[JobPiece]) -> AsyncGenerator[JobTold]:
        """Carry a job's messages."""
        ...

    async def tell_jobs(self, owner: str, job: str) -> Sequence[JobStatus]:
        """Tell how a job stands, or all of them."""
        ...

    async def end_job(self, cancel: Envelope) -> OutboxEntry:
        """End a job."""
        ...

    async def outbox(self, start: int) -> Sequence[OutboxEntry]:
        """Give entries of its chain that lack a proof, from one on."""
        ...


class Enclave(Protocol):
    """An enclave that serves, as far as jobs need it."""

    @property
    def outbox(self) -> Outbox:
        """Its own chain, as far as it stands in the room's log."""
        ...

    @property
    def jobs(self) -> JobWork:
        """Its work on jobs."""
        ...


class Enclaves(Protocol):
    """The enclaves."""

    def serving(self, owner: str) -> Enclave:
        """Give an owner's enclave, or refuse with `LOCKED` or `UNAVAILABLE`."""
        ...


class Jobs:
    """Passes jobs to enclaves and records what becomes of them.

    Args:
        checks: authorises.
        enclaves: the enclaves.
        register: knows the owners.
        notary: records.
        archive: finds earlier words.
        refusals: makes the room's own.
        limits: how many label sides may take part at once.
    """

    def __init__(
        self,
        *,
        checks: Checks,
        enclaves: Enclaves,
        register: Register,
        notary: Notary,
        archive: Archive,
        refusals: Refusals,
        limits: Limits,
    ) -> None:
        self._checks: Final = checks
        self._enclaves: Final = enclaves
        self._register: Final = register
        self._notary: Final = notary
        self._archive: Final = archive
        self._refusals: Final = refusals
        self._limits: Final = limits
        self._recording: Final = Undisturbed()

    async def submit(self, caller: Caller, envelope: Envelope) -> Recorded[bytes]:
        """Ask for a job.

        Returns:
            The enclave's recorded word; what it says is the channel's secret, sealed to the asker,
            and empty for a refusal.

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
        owner = await self._owner(caller.organisation, joined(first))
        with self._limits.place(caller.organisation):
            enclave = self._enclaves.serving(owner)
            async with aclosing(enclave.jobs.work_on_job(_after(first, pieces))) as told:
                async for each in told:
                    if isinstance(each, JobAnswer):
                        yield each
                    else:
                        ended = self._ended(owner, joined(first), each, enclave)
                        yield await self._recording.run(ended)

    async def watch(self, caller: Caller, job: str) -> AsyncGenerator[JobStatus]:
        """Tell how a job stands, and again whenever that changed, until it has ended.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` for a job that does not concern the caller.
        """
        owner = await self._owner(caller.organisation, job)
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
            found += [each for each in told if own or each.institution == name]
        return sorted(found, key=lambda each: each.began, reverse=True)

    async def cancel(self, caller: Caller, envelope: Envelope) -> Recorded[None]:
        """End a job of the caller's institution.

        Returns:
            How it ended: by this, or before.

        Raises:
            SafeRoomError: `NOT_ALLOWED` for another institution's word; what the enclave refuses
                with.
        """
        cancel = load(envelope, JobCancel)
        if cancel.institution != caller.organisation:
            raise SafeRoomError(Reason.NOT_ALLOWED, "another institution's word")
        owner = await self._owner(caller.organisation, cancel.job)
        return await self._recording.run(self._cancelled(owner, cancel.job, envelope))

    async def drain(self, seconds: float) -> None:
        """Wait until every word that is under way is recorded, and no longer than this."""
        await self._recording.drain(seconds)

    async def _submitted(self, approved: Approved, request: JobGist) -> Recorded[bytes]:
        try:
            return await self._begun(_only_owner(approved), approved)
        except SafeRoomError as error:
            raise await self._refusals.record(
                error, institution=request.institution, question=approved.envelope, owner=None
            ) from error

    async def _begun(self, owner: str, approved: Approved) -> Recorded[bytes]:
        enclave = self._enclaves.serving(owner)
        begun = await enclave.jobs.begin_job(approved.envelope)
        statement, job = begun.entry.statement, approved.envelope.digest
        kind = JobAdmission if begun.sealed else JobRelease
        word = await enclave.outbox.verified(statement, kind)
        institution = approved.request.institution
        if (word.owner, word.request, word.institution) != (owner, job, institution):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"{owner}'s word is on another job")
        # A repeat, and what came by way of the outbox after a crash, is given back as it stands.
        earlier = enclave.outbox.is_recorded(begun.entry.chain_index)
        rows = _rows(owner, approved, begun)
        recorded = await self._notary.record(
            kind, begun.sealed, statement, salt=begun.entry.salt, rows=rows
        )
        if earlier:
            await self._notary.keep(*_rows(owner, approved, begun, recorded.index))
        enclave.outbox.recorded(begun.entry.chain_index, recorded.index)
        return recorded

    async def _cancelled(self, owner: str, job: str, envelope: Envelope) -> Recorded[None]:
        enclave = self._enclaves.serving(owner)
        entry = await enclave.jobs.end_job(envelope)
        return await self._ended(owner, job, entry, enclave)

    async def _ended(
        self, owner: str, job: str, entry: OutboxEntry, enclave: Enclave
    ) -> Recorded[None]:
        """Verify an enclave's last word on a job, and record it."""
        outbox = enclave.outbox
        # That it took the job up after a start it said to nobody: that stands before this.
        missing = outbox.first_missing(entry.chain_index)
        for said in () if missing is None else await enclave.jobs.outbox(missing):
            again = said.statement.payload_type == JobAdmission.payload_type()
            if again and not outbox.is_recorded(said.chain_index):
                await outbox.take(said)
        release = await outbox.verified(entry.statement, JobRelease)
        if (release.owner, release.request) != (owner, job):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"{owner}'s word is on another job")
        await outbox.take_cancel(entry)
        recorded = await self._notary.record(
            JobRelease, None, entry.statement, salt=entry.salt, rows=(UseRow(owner, job),)
        )
        outbox.recorded(entry.chain_index, recorded.index)
        return recorded

    async def _status(self, owner: str, job: str) -> JobStatus:
        told = await self._enclaves.serving(owner).jobs.tell_jobs(owner, job)
        if not told:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "the enclave knows no such job")
        return told[0]

    async def _owner(self, organisation: str, job: str) -> str:
        """Find whose enclave has a job that concerns an organisation.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` if there is none.
        """
        for answer in await self._archive.answers(job):
            if organisation in (answer.institution, answer.owner):
                return answer.owner
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no job of yours")


def _only_owner(approved: Approved) -> str:
    if len(approved.owners) != 1:
        rule = "a job trains with the columns of one owner, so far"
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("template", rule)])
    return approved.owners[0]


async def _after(first: JobPiece, pieces: AsyncIterator[JobPiece]) -> AsyncIterator[JobPiece]:
    yield first
    async for piece in pieces:
        yield piece


def _rows(
    owner: str, approved: Approved, begun: Judged, entry_idx: int | None = None
) -> tuple[Row, ...]:
    """Give what is kept beside the word on a request: the request, and the sealed secret."""
    institution, job = approved.request.institution, approved.envelope.digest
    digest = begun.entry.statement.digest
    return (
        RequestRow(institution, approved.envelope),
        AnswerRow(job, owner, institution, digest, begun.sealed, entry_idx),
    )
