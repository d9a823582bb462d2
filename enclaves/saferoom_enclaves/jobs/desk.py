"""Jobs of joint training at an enclave: which may begin, which there are, and how one is ended.

What goes on in between is their course (`jobs.course`). Of what a job kept, nothing stays once it
has ended but the sealed model, the set of common subjects, and, while its window lasts, the last
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from saferoom_enclaves.admit import Rules
from saferoom_enclaves.data import Data
from saferoom_enclaves.fits.desk import FitDesk
from saferoom_enclaves.gate import Moment
from saferoom_enclaves.jobs.admit import AskedJob, admit_job, identify_job, require_cancelled
from saferoom_enclaves.jobs.book import JobBook
from saferoom_enclaves.jobs.charge import Runs
from saferoom_enclaves.jobs.course import JobCourse
from saferoom_enclaves.jobs.gate import Ending, Named
from saferoom_enclaves.jobs.giving import JobGiving
from saferoom_enclaves.jobs.ground import JobGround
from saferoom_enclaves.jobs.hosting import JobHosting
from saferoom_enclaves.jobs.kept import JobRecord
from saferoom_enclaves.jobs.partners import Partners
from saferoom_enclaves.jobs.peers import Papers, Peers
from saferoom_enclaves.jobs.uses import ApprovedTrainings
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.judge import PASSING
from saferoom_enclaves.logs import Log
from saferoom_enclaves.requests import Requests, Seen
from saferoom_enclaves.state import State
from saferoom_enclaves.statistics.laplace import require_noise
from saferoom_enclaves.storework import StoreWork
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.job_channel import MOST_ROOM_ITEMS, SECRET_BYTES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    FitRelease,
    FitRequest,
    JobCancel,
    JobOutcome,
    JobRelease,
    JobRequest,
    JobStep,
    Outcome,
    load,
)
from saferoom_proto.verification import verify_by_enclave


class Jobs:
    """Keeps jobs.

    Args:
        state: the enclave's database, opened.
        rules: what requests are held to.
        requests: which were asked before.
        journal: the enclave's chain.
        ready: under what it speaks now; refuses while it may not.
        data: the store.
        work: has children fit models.
        randomness: gives so many random bytes.
        peers: verifies other owners' enclaves.
        log: the operator's.
    """

    def __init__(
        self,
        *,
        state: State,
        rules: Rules,
        requests: Requests,
        journal: Journal,
        ready: Callable[[], Moment],
        data: Data,
        work: StoreWork,
        randomness: Callable[[int], bytes],
        peers: Peers,
        log: Log,
    ) -> None:
        self._peers: Final = peers
        self._book: Final = JobBook(
            state=state, journal=journal, ready=ready, randomness=randomness, log=log
        )
        self._rules: Final = rules
        self._requests: Final = requests
        self._journal: Final = journal
        self._data: Final = data
        self._log: Final = log
        self._trainings: Final = ApprovedTrainings(rules.standing)
        self._runs: Final = Runs(state, rules.standing)
        partners = Partners(state, rules.standing)
        ground = JobGround(self._book, rules, self._trainings, self._runs, data, partners)
        self.fits: Final = FitDesk(
            state=state,
            rules=rules,
            requests=requests,
            journal=journal,
            data=data,
            work=work,
            ground=ground,
            ready=ready,
            randomness=randomness,
            log=log,
        )
        """How trainings in the room are answered: jobs that are over at once."""
        self.course: Final = JobCourse(ground)
        """How jobs are carried on."""
        self.hosting: Final = JobHosting(ground, peers)
        """How other owners' enclaves are asked, where this one is the host."""
        self.giving: Final = JobGiving(ground, peers)
        """How a host's enclave is answered."""

    def begin(self, envelope: Envelope) -> Judged:
        """Let a job begin, or refuse it; a repeat gets the same bytes.

        Raises:
            SafeRoomError: a plain refusal; a verdict is an entry of the chain.
        """
        moment = self._book.ready()
        asked = identify_job(envelope, self._rules.standing, moment.now)
        seen = self._requests.look_up(asked.request, asked.job)
        if seen.answered is not None:
            return self._journal.read(seen.answered)
        self._book.require_room_for(asked.request.institution, asked.agreement.agreement.group)
        with self._book.state.transaction():
            try:
                judged = self._begun(asked, seen, moment)
            except SafeRoomError as refusal:
                if refusal.reason in PASSING:
                    raise
                judged = self._refused(asked, refusal, moment)
            self._requests.remember(asked.request, asked.job, seen, judged.entry.chain_index)
        return judged

    def look_through(self) -> None:
        """End the jobs that may not go on, and forget what is kept of those whose time is over.

        Called after each delivery, and does nothing while the enclave may not speak.
        """
        try:
            moment = self._book.ready()
        except SafeRoomError:
            return
        for record in self._book.standing():
            if record.ended is None:
                self.course.stop_unless_allowed(record, moment)
            elif record.secret and moment.now >= record.not_after:
                self._book.forget(record)

    def stands(self, job: str) -> JobRecord:
        """Give how a job stands; as `JobBook.stands`."""
        return self._book.stands(job)

    def newest(self) -> Sequence[JobRecord]:
        """Give how jobs stand; as `JobBook.newest`."""
        return self._book.newest()

    def word(self, record: JobRecord) -> Judged | None:
        """Give the last word on a job; none while it is under way."""
        return self._book.word(record)

    def end(self, cancel: Envelope) -> Judged:
        """End a job by its institution's word; one that has ended stays as it is.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT`, `BAD_SIGNATURE`, `NO_AGREEMENT`.
        """
        moment = self._book.ready()
        record = self._book.stands(load(cancel, JobCancel).job)
        asked = identify_job(record.request, self._rules.standing, moment.now)
        host = record.host or moment.grounds.owner
        require_cancelled(cancel, asked, host, self._rules.standing, moment.now)
        word = self._book.word(record)
        if word is not None:
            return word
        return self._book.end(record, JobOutcome.CANCELLED, None, moment, cancel)

    def end_as(self, papers: Papers, release: Envelope) -> Judged:
        """End a job of several owners as it ended at another's enclave.

        With a model, if it is its host that says so: this owner's part of it came before.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT`; `CONFLICT` for a word on another job, an
                institution's own, which it tells itself, or one on a model that has no part here;
                what `Peers.verified` refuses; `BAD_SIGNATURE`.
        """
        moment, said = self._book.ready(), _last_word(release)
        record = self._book.stands(said.request)
        word = self._book.word(record)
        if word is not None:
            return word
        # It may be told late: the endorsement was in force when it was said, as the job was.
        told_of = said.time if record.began <= said.time <= moment.now else moment.now
        peer = self._peers.verified(papers, record.certificate, told_of)
        verify_by_enclave(release, peer.endorsement, peer.digest, type(said))
        about = (said.institution, said.template, said.certificate)
        if about != (record.institution, record.template, record.certificate):
            raise SafeRoomError(Reason.CONFLICT, "a word on another job")
        outcome = _outcome_of(said)
        if outcome is JobOutcome.RELEASED and said.owner == record.host:
            return self.giving.released(record, moment)
        if said.reason is None:
            raise SafeRoomError(Reason.CONFLICT, "a giver's model, or its institution's own word")
        return self._book.end(record, outcome, said.reason, moment)

    def _begun(self, asked: AskedJob, seen: Seen, moment: Moment) -> Judged:
        admitted = admit_job(asked, seen, self._rules, self._trainings, moment.now)
        use, index, store = admitted.use, self._data.index(), moment.grounds.store
        hosts = use.training.hosted_by == moment.grounds.owner
        if isinstance(asked.request, FitRequest) and (hosts or asked.request.price):
            raise SafeRoomError(Reason.NOT_ALLOWED, "no job: its host is asked, and its price too")
        if store is None or {each.ref for each in use.features} - index.features:
            raise SafeRoomError(Reason.NO_DATA, "a feature of the template is not computed")
        if isinstance(asked.request, JobRequest) and index.subjects > MOST_ROOM_ITEMS:
            raise SafeRoomError(Reason.TOO_LARGE, "more subjects than an alignment may have")
        if hosts and use.measured is not None:
            require_noise()
        charged = self._runs.charge(admitted, moment.now)
        secret = self._book.randomness(SECRET_BYTES)
        judged = self._book.gate.admit(charged, secret, store, moment).judged
        record = JobRecord(
            job=asked.job,
            envelope=asked.envelope.to_json().decode(),
            institution=asked.request.institution,
            template=asked.request.template,
            certificate=asked.request.certificate,
            agreement=asked.agreement.digest,
            group=asked.agreement.agreement.group,
            secret=b64(secret),
            columns=use.columns if hosts else use.told.columns,
            recipes={
                each.definition.full_name: each.definition.recipe_digest for each in use.features
            },
            host="" if hosts else use.training.hosted_by,
            store=store,
            run=charged.run,
            privacy=charged.privacy,
            began=moment.now,
            moved=moment.now,
            not_after=asked.request.not_after,
            rounds=asked.rounds,
        )
        self.course.carries(record.job)
        self._book.keep(record)
        self._log.info("job begins", job=asked.job, institution=asked.request.institution)
        return judged

    def _refused(self, asked: AskedJob, refusal: SafeRoomError, moment: Moment) -> Judged:
        self._log.info(
            "job refused", job=asked.job, reason=str(refusal.reason), detail=refusal.detail
        )
        ending = Ending(JobOutcome.REFUSED, JobStep.ADMISSION, refusal.reason)
        return self._book.gate.end(Named.of(asked), ending, moment).judged


def _last_word(release: Envelope) -> JobRelease | FitRelease:
    """Read another enclave's last word on a job: of a training in the room its host's is a fit's.

    Raises:
        SafeRoomError: `MALFORMED`.
    """
    fitted = release.payload_type == FitRelease.payload_type()
    return load(release, FitRelease if fitted else JobRelease)


def _outcome_of(said: JobRelease | FitRelease) -> JobOutcome:
    if isinstance(said, JobRelease):
        return said.outcome
    if said.outcome is Outcome.ANSWERED:
        return JobOutcome.RELEASED
    return JobOutcome.REFUSED if said.reason is Reason.WITHHELD else JobOutcome.FAILED
