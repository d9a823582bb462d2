"""What enclaves say of jobs, verified and recorded before anybody is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from saferoom import uses
from saferoom.archive import Archive
from saferoom.endorsement import Endorsed
from saferoom.evidence import Approved, Recorded
from saferoom.exchange import Judged, OutboxEntry
from saferoom.jobs.carried import Talking
from saferoom.jobs.pieces import JobStatus, OwnerPapers
from saferoom.notary import Notary
from saferoom.outbox import Outbox
from saferoom.state.rows import AnswerRow, RequestRow, Row
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobAdmission, JobRelease


class JobWork(Talking, Protocol):
    """What an enclave does for jobs."""

    async def begin_job(self, request: Envelope) -> Judged:
        """Let a job begin, or refuse it."""
        ...

    async def tell_jobs(self, owner: str, job: str) -> Sequence[JobStatus]:
        """Tell how a job stands, or all of them."""
        ...

    async def end_job(self, cancel: Envelope) -> OutboxEntry:
        """End a job."""
        ...

    async def end_job_as(self, papers: OwnerPapers, release: Envelope) -> OutboxEntry:
        """End a job as it ended at another owner's enclave."""
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
    def endorsed(self) -> Endorsed | None:
        """The endorsement in force; none while the enclave is locked."""
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


class JobWords:
    """Records enclaves' words on jobs.

    Args:
        enclaves: whose words they are.
        notary: records.
        archive: finds earlier words.
    """

    def __init__(self, enclaves: Enclaves, notary: Notary, archive: Archive) -> None:
        self._enclaves: Final = enclaves
        self._notary: Final = notary
        self._archive: Final = archive

    async def begun(self, owner: str, approved: Approved) -> Recorded[bytes]:
        """Have an enclave let a job begin, or refuse it, and record its word.

        Returns:
            The word; what it says is the channel's secret, sealed to the asker: empty for a
            refusal, and for an enclave that is not the job's host.
        """
        enclave = self._enclaves.serving(owner)
        begun = await enclave.jobs.begin_job(approved.envelope)
        statement, job = begun.entry.statement, approved.envelope.digest
        kind = JobRelease if is_refusal(statement) else JobAdmission
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

    async def ended(self, owner: str, job: str, entry: OutboxEntry) -> Recorded[None]:
        """Verify an enclave's last word on a job, and record it."""
        enclave = self._enclaves.serving(owner)
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
        await outbox.take_cancel(entry, JobRelease)
        recorded = await self._notary.record(
            JobRelease, None, entry.statement, salt=entry.salt, rows=uses.concerning((owner,), job)
        )
        outbox.recorded(entry.chain_index, recorded.index)
        return recorded

    async def last(self, owner: str, digest: str) -> Envelope | None:
        """Find an enclave's last word on a job, and record it if nobody did yet."""
        if (found := await self._archive.find(digest)) is not None:
            return found.envelope
        enclave = self._enclaves.serving(owner)
        for said in await enclave.jobs.outbox(0):
            if said.statement.digest == digest:
                release = await enclave.outbox.verified(said.statement, JobRelease)
                return (await self.ended(owner, release.request, said)).statement
        return None


def is_refusal(statement: Envelope) -> bool:
    """Tell whether a word on a request for a job is its last one already."""
    return statement.payload_type == JobRelease.payload_type()


def _rows(
    owner: str, approved: Approved, begun: Judged, entry_idx: int | None = None
) -> tuple[Row, ...]:
    """Give what is kept beside the word on a request: the request, and the sealed secret."""
    institution, job = approved.request.institution, approved.envelope.digest
    digest = begun.entry.statement.digest
    return (
        RequestRow(institution, approved.envelope),
        AnswerRow(job, owner, institution, digest, begun.sealed, entry_idx),
        *uses.concerning((owner,), job, entry_idx),
    )
