"""A giver's side of a job of several owners: what its host's enclave asks, and is answered.

The giver admitted the job itself, by its own approvals and agreement, and counted it. It answers
one enclave only, looks anew before each answer whether the job may go on, and judges what is
trained on against its own earlier jobs before a column leaves.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from saferoom_enclaves.gate import Moment
from saferoom_enclaves.jobs import between
from saferoom_enclaves.jobs.between import Given, Head, Step
from saferoom_enclaves.jobs.book import ended_as
from saferoom_enclaves.jobs.charge import ChargedJob
from saferoom_enclaves.jobs.columns import execute_columns, release_columns
from saferoom_enclaves.jobs.gate import Course, execute_job
from saferoom_enclaves.jobs.ground import JobGround
from saferoom_enclaves.jobs.kept import JobRecord, Kept
from saferoom_enclaves.jobs.model import columns_of_model
from saferoom_enclaves.jobs.partners import TrainedOn
from saferoom_enclaves.jobs.peers import Papers, Peer, Peers
from saferoom_enclaves.jobs.work import Columns, RefusedError
from saferoom_enclaves.journal import Judged
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobOutcome, JobStep
from saferoom_proto.uscc import SUBJECT_BYTES


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Heard:
    """An ask that was opened, of a job that may go on.

    Attributes:
        ask: as it came.
        head: what is asked.
        body: what goes with it.
        peer: the enclave that asks.
        charged: the job.
    """

    ask: bytes
    head: Head
    body: bytes
    peer: Peer
    charged: ChargedJob


class JobGiving:
    """Answers hosts' enclaves.

    Args:
        ground: what jobs are held to.
        peers: verifies enclaves.
    """

    def __init__(self, ground: JobGround, peers: Peers) -> None:
        self._ground: Final = ground
        self._book: Final = ground.book
        self._peers: Final = peers

    def hear(self, papers: Papers, ask: bytes) -> Heard | bytes:
        """Open an ask; of a job that is over, it is answered at once.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT`; `CONFLICT` for an ask of another enclave than the
                job's host; what `Peers.verified` refuses; `BAD_SEAL`; a plain refusal.
        """
        moment = self._book.ready()
        head, _ = between.read_head(ask)
        record = self._book.stands(head.job)
        named = (head.host, head.giver, papers.owner)
        if not record.host or named != (record.host, self._peers.own, record.host):
            raise SafeRoomError(Reason.CONFLICT, "asked by another enclave than the job's host")
        # Step 1: the enclave that asks is the one that the approvers were told of.
        peer = self._peers.verified(papers, record.certificate, moment.now)
        body = between.open_ask(ask, peer, self._peers.sealing)
        # Step 2: the job may go on, as it may begin.
        word = self._book.word(record)
        allowed = self._ground.allowed(record, moment) if word is None else word
        if isinstance(allowed, Judged):
            return _ended(ask, peer, self._book.stands(head.job))
        return Heard(ask, head, body, peer, allowed)

    def answer(self, heard: Heard) -> bytes:
        """Answer an ask for anything but columns.

        Raises:
            SafeRoomError: `MALFORMED`.
        """
        # It may have ended since it was heard: there is one last word on a job.
        if self._ground.ended(heard.head.job) is not None:
            return self._over(heard)
        try:
            match heard.head.step:
                case Step.HOLDS:
                    return self._holds(heard)
                case Step.KEEP:
                    return self._keep(heard)
                case Step.GOES_ON | Step.COLUMNS:
                    return between.make_answer(heard.ask, heard.peer, Given())
        except RefusedError as refusal:
            return self._refused(heard, refusal.reason)

    def columns(self, heard: Heard) -> bytes | Columns:
        """Say which columns are to be read for an ask (`read`), or answer it without.

        Raises:
            SafeRoomError: `MALFORMED`; `CONFLICT` for other subjects than before.
        """
        if self._ground.ended(heard.head.job) is not None:
            return self._over(heard)
        record, asked = self._book.stands(heard.head.job), _subjects(heard)
        if record.step is JobStep.TRAINING:
            return self._given(heard, record)
        if not bool(_among(asked, self._kept(record)).all()):
            raise SafeRoomError(Reason.MALFORMED, "columns of a subject that was not found first")
        admitted, codes = heard.charged.admitted, asked.tobytes()
        try:
            return self._ground.wanted(admitted.use, admitted.asked, record, codes)
        except RefusedError as refusal:
            return self._refused(heard, refusal.reason)

    def read(self, heard: Heard, columns: bytes) -> bytes:
        """Give columns that were read, once what they are trained on was judged."""
        job, moment = heard.head.job, self._book.ready()
        if self._ground.ended(job) is not None:
            return self._over(heard)
        record = self._book.stands(job)
        if record.step is JobStep.TRAINING:  # another ask of the same was answered meanwhile
            return self._given(heard, record)
        told, codes = heard.charged.admitted.use.told, between.named_in(heard.body)
        try:
            with self._book.state.transaction():
                trained_on = TrainedOn(codes, told.columns, columns)
                self._ground.partners.keep_apart(record.group, job, trained_on, moment.now)
                self._book.rows.put(job, Kept.CODES, codes)
                self._book.rows.put(job, Kept.COLUMNS, columns)
                given = record.model_copy(
                    update={
                        "step": JobStep.TRAINING,
                        "rows": len(codes) // SUBJECT_BYTES,
                        "last": _fingerprint(codes),
                        "moved": moment.now,
                    }
                )
                self._book.keep(given)
        except RefusedError as refusal:
            return self._refused(heard, refusal.reason)
        return self._given(heard, given)

    def released(self, record: JobRecord, moment: Moment) -> Judged:
        """Say the last word on a job whose host has said that there is a model.

        Raises:
            SafeRoomError: `CONFLICT`: this owner's part of it did not come.
        """
        allowed = self._ground.allowed(record, moment)
        if isinstance(allowed, Judged):
            return allowed
        body = self._book.rows.get(record.job, Kept.PART)
        if not body:
            raise SafeRoomError(Reason.CONFLICT, "no part of the model came here")
        kept, model = _part_of(body)
        with self._book.state.transaction():
            sealed = execute_job(allowed, model)
            course = Course(record.rows, kept.rounds, kept.converged)
            said = self._book.gate.release(allowed, sealed, course, moment).judged
            ended = ended_as(record, JobOutcome.RELEASED, None, said, moment)
            self._book.rows.wipe(record.job)
            self._book.keep(ended.model_copy(update={"secret": "", "round": kept.rounds}))
        return said

    def _refused(self, heard: Heard, reason: Reason) -> bytes:
        """End a job for what a `RefusedError` says, and answer so."""
        outcome = JobOutcome.REFUSED if reason is Reason.WITHHELD else JobOutcome.FAILED
        self._book.end(self._book.stands(heard.head.job), outcome, reason, self._book.ready())
        return self._over(heard)

    def _holds(self, heard: Heard) -> bytes:
        """Tell which subjects are held: in a job of one set of them, however often."""
        record, asked = self._book.stands(heard.head.job), _subjects(heard)
        if record.step is JobStep.TRAINING:
            # What was given stays the job's, whatever was loaded since.
            found = _among(asked, self._kept(record))
        else:
            self._ground.require_store(record)
            last = _fingerprint(heard.body)
            if record.last not in {"", last}:
                raise SafeRoomError(Reason.CONFLICT, "other subjects than before")
            held = np.frombuffer(self._ground.data.index().codes, f"S{SUBJECT_BYTES}")
            found = _among(asked, held)
            with self._book.state.transaction():
                self._book.rows.put(record.job, Kept.CODES, asked[found].tobytes())
                self._book.keep(record.model_copy(update={"last": last}))
        told = found.tobytes() + bytes(len(heard.body) // SUBJECT_BYTES - len(found))
        return between.make_answer(heard.ask, heard.peer, Given(), told)

    def _kept(self, record: JobRecord) -> NDArray[np.bytes_]:
        """Give the subjects of a job that its host has found here, ascending."""
        codes = self._book.rows.get(record.job, Kept.CODES)
        return np.sort(np.frombuffer(codes, f"S{SUBJECT_BYTES}"))

    def _given(self, heard: Heard, record: JobRecord) -> bytes:
        """Give the columns of a job that were given before, or are to be given now."""
        if _fingerprint(between.named_in(heard.body)) != record.last:
            raise SafeRoomError(Reason.CONFLICT, "columns of other subjects than before")
        columns = self._book.rows.get(record.job, Kept.COLUMNS)
        sealed = execute_columns(heard.charged, columns)
        return release_columns(heard.charged, sealed, heard.peer, heard.ask, record.secret).answer

    def _keep(self, heard: Heard) -> bytes:
        """Keep this owner's part of the model, for when the host has said that there is one.

        Until then the job is under way here: after a break the same is asked again.
        """
        record, own = self._book.stands(heard.head.job), heard.charged.admitted.use.told.columns
        kept, model = _part_of(heard.body)
        if record.step is not JobStep.TRAINING or columns_of_model(model) != own:
            raise SafeRoomError(Reason.MALFORMED, "a model of other columns")
        before = self._book.rows.get(record.job, Kept.PART)
        if before and kept.asks < _part_of(before)[0].asks:
            raise SafeRoomError(Reason.CONFLICT, "a part of a model of before a break")
        with self._book.state.transaction():
            self._book.rows.put(record.job, Kept.PART, heard.body)
        return between.make_answer(heard.ask, heard.peer, Given())

    def _over(self, heard: Heard) -> bytes:
        """Answer that a job is over."""
        return _ended(heard.ask, heard.peer, self._book.stands(heard.head.job))


def _subjects(heard: Heard) -> NDArray[np.bytes_]:
    """Read whom an ask names; it is of one length, whoever that is."""
    if len(heard.body) != heard.charged.admitted.asked.items * SUBJECT_BYTES:
        raise SafeRoomError(Reason.MALFORMED, "other than as many as the label side brings")
    codes = between.named_in(heard.body)
    if len(codes) % SUBJECT_BYTES:
        raise SafeRoomError(Reason.MALFORMED, "subjects of another length")
    subjects = np.frombuffer(codes, f"S{SUBJECT_BYTES}")
    if len(np.unique(subjects)) != len(subjects):
        raise SafeRoomError(Reason.MALFORMED, "a subject twice")
    return subjects


def _among(asked: NDArray[np.bytes_], ascending: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    """Tell which subjects are among others. The enclave does nothing else meanwhile."""
    if not len(ascending):
        return np.zeros(len(asked), np.bool_)
    places = np.minimum(ascending.searchsorted(asked), len(ascending) - 1)
    return ascending[places] == asked


def _part_of(body: bytes) -> tuple[between.Kept, bytes]:
    """Read what a host has kept: what it tells of the training, and a part of the model."""
    told, _, model = body.partition(b"\n")
    try:
        return between.Kept.model_validate_json(told), model
    except ValidationError:
        raise SafeRoomError(Reason.MALFORMED, "a part of a model") from None


def _ended(ask: bytes, peer: Peer, record: JobRecord) -> bytes:
    return between.make_answer(ask, peer, Given(outcome=record.outcome, reason=record.reason))


def _fingerprint(message: bytes) -> str:
    return hashlib.sha256(message).hexdigest()
