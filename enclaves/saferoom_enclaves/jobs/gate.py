"""What leaves of a job: that it may begin, and how it ended. The room's weights stay.

A model is a function of records, so it is under seal from the child to its row; of it leaves a
commitment, and of the training what the template's certificate names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass
from typing import Final, final

from saferoom_enclaves.evidence import Evidence, Hidden, Right
from saferoom_enclaves.gate import Moment
from saferoom_enclaves.jobs.admit import AskedJob
from saferoom_enclaves.jobs.charge import ChargedJob
from saferoom_enclaves.jobs.kept import MODELS, model_digest
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.state import State
from saferoom_proto import hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.job_channel import channel_digest, channel_info
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Figure,
    JobAdmission,
    JobOutcome,
    JobRelease,
    JobStep,
    StoreState,
)
from saferoom_proto.statements.base import Payload

_SALT_BYTES: Final = 32
_ROUNDED_TO: Final = 10


class _Execution(Right):
    __slots__ = ()


class _Releasing(Right):
    __slots__ = ()


_JOB_EXECUTED: Final = _Execution()
_JOB_RELEASED: Final = _Releasing()


@final
class SealedModel(Hidden):
    """The room's part of a model. It cannot be shown, compared, tested, kept or copied."""

    __slots__ = ("_model",)

    def __init__(self, right: _Execution, model: bytes) -> None:
        _JOB_EXECUTED.require(right)
        self._model: Final = model

    def open(self, right: _Releasing) -> bytes:
        """Give the model to the gate, and to nobody else."""
        _JOB_RELEASED.require(right)
        return self._model


@final
@dataclass(frozen=True, slots=True, eq=False)
class ReleasedJob(Evidence):
    """The enclave's word on a job, in its chain."""

    right: InitVar[_Releasing]
    judged: Judged

    def __post_init__(self, right: _Releasing) -> None:
        _JOB_RELEASED.require(right)


@dataclass(frozen=True, slots=True)
class Course:
    """What a training that ended came to."""

    rows: int
    rounds: int
    converged: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended without a model."""

    outcome: JobOutcome
    step: JobStep
    reason: Reason | None
    cancel: Envelope | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """What a last word names: a job may end when its agreement is no more in force."""

    job: str
    institution: str
    template: str
    certificate: str
    agreement: str

    @classmethod
    def of(cls, asked: AskedJob) -> Named:
        """Name a job that was asked for."""
        request = asked.request
        return cls(
            asked.job,
            request.institution,
            request.template,
            request.certificate,
            asked.agreement.digest,
        )


def execute_job(charged: ChargedJob, model: bytes) -> SealedModel:
    """Take what a child trained for a job that was counted."""
    if not model or not charged.run:
        raise SafeRoomError(Reason.INTERNAL, "no model")
    return SealedModel(_JOB_EXECUTED, model)


class JobGate:
    """Lets words on jobs out, each as the next entry of the enclave's chain.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
        journal: the enclave's chain.
        randomness: gives so many random bytes.
    """

    def __init__(self, state: State, journal: Journal, randomness: Callable[[int], bytes]) -> None:
        self._state: Final = state
        self._journal: Final = journal
        self._randomness: Final = randomness

    def admit(
        self, charged: ChargedJob, secret: bytes, store: StoreState, moment: Moment
    ) -> ReleasedJob:
        """Sign that a job begins, or is taken up; seal a host's channel to its label side."""
        asked, use, grounds = charged.admitted.asked, charged.admitted.use, moment.grounds
        hosts = use.training.hosted_by == grounds.owner
        payload = JobAdmission(
            room=grounds.room,
            owner=grounds.owner,
            request=asked.job,
            institution=asked.request.institution,
            endorsement=grounds.endorsement,
            charter=grounds.charter,
            template=asked.request.template,
            certificate=asked.request.certificate,
            approvals=use.approvals,
            agreement=asked.agreement.digest,
            stream=grounds.stream,
            store=store,
            columns=len(use.columns if hosts else use.told.columns),
            channel=channel_digest(secret, asked.job),
            run=charged.run,
            chain=self._journal.link,
            time=moment.now,
            privacy=charged.privacy,
        )
        # A giver's secret is for the host's enclave, and goes there with the columns.
        info, sealed = channel_info(asked.job, grounds.owner), b""
        if hosts:
            sealed = hpke.seal(asked.channel_key, secret, info=info)
        return self._said(payload, moment, sealed)

    def release(
        self, charged: ChargedJob, sealed: SealedModel, course: Course, moment: Moment
    ) -> ReleasedJob:
        """Keep the room's weights, and sign what may be known of the training."""
        asked, use = charged.admitted.asked, charged.admitted.use
        kept = self._randomness(_SALT_BYTES) + sealed.open(_JOB_RELEASED)
        self._state.put(MODELS, self._state.cipher.find(MODELS, asked.job), kept)
        told = use.releases
        rounded = course.rows // _ROUNDED_TO * _ROUNDED_TO
        payload = self._word(
            Named.of(asked),
            moment,
            {
                "approvals": use.approvals,
                "outcome": JobOutcome.RELEASED,
                "ended_in": JobStep.TRAINING,
                "reason": None,
                "cancel": None,
                "rows": rounded if Figure.ROWS in told else None,
                "rounds": course.rounds if Figure.ROUNDS in told else None,
                "converged": course.converged if Figure.CONVERGENCE in told else None,
                "model": model_digest(asked.job, kept),
            },
        )
        return self._said(payload, moment)

    def end(self, named: Named, ending: Ending, moment: Moment) -> ReleasedJob:
        """Sign that a job ended without a model."""
        cancel = ending.cancel
        payload = self._word(
            named,
            moment,
            {
                "approvals": (),
                "outcome": ending.outcome,
                "ended_in": ending.step,
                "reason": ending.reason,
                "cancel": None if cancel is None else cancel.digest,
                "rows": None,
                "rounds": None,
                "converged": None,
                "model": None,
            },
        )
        return self._said(payload, moment, order=cancel)

    def _word(self, named: Named, moment: Moment, told: Mapping[str, object]) -> JobRelease:
        grounds = moment.grounds
        return JobRelease.model_validate(
            {
                "room": grounds.room,
                "owner": grounds.owner,
                "request": named.job,
                "institution": named.institution,
                "endorsement": grounds.endorsement,
                "charter": grounds.charter,
                "template": named.template,
                "certificate": named.certificate,
                "agreement": named.agreement,
                "stream": grounds.stream,
                "store": grounds.store,
                "chain": self._journal.link,
                "time": moment.now,
                **told,
            }
        )

    def _said(
        self,
        payload: Payload,
        moment: Moment,
        sealed: bytes = b"",
        order: Envelope | None = None,
    ) -> ReleasedJob:
        said = self._journal.append(payload, moment.now, sealed=sealed, order=order)
        return ReleasedJob(_JOB_RELEASED, said)
