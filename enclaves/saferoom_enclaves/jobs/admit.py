"""May a job begin, and may it go on: whose it is, what was approved, within which bounds.

Nothing here looks at a record. What was allowed when a job began is looked at again before every
message: a pause, a withdrawal or an agreement's end stops a job at its next word.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, final

from saferoom_enclaves.admit import Rules, agreed, require_of_now
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.jobs.uses import ApprovedTraining, ApprovedTrainings
from saferoom_enclaves.requests import Seen
from saferoom_enclaves.standing import Standing
from saferoom_proto import hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Fit,
    FitRequest,
    JobCancel,
    JobRequest,
    Training,
    load,
)
from saferoom_proto.statements.training import MOST_ROWS
from saferoom_proto.verification import PinnedAgreement


class _Identification(Right):
    __slots__ = ()


class _Admission(Right):
    __slots__ = ()


_JOB_IDENTIFIED: Final = _Identification()
_JOB_ADMITTED: Final = _Admission()


@final
@dataclass(frozen=True, slots=True, eq=False)
class AskedJob(Evidence):
    """A job that a known institution signed.

    Of a training in the room over several owners' columns, this owner's part is such a job.
    """

    right: InitVar[_Identification]
    envelope: Envelope
    request: JobRequest | FitRequest
    channel_key: bytes
    agreement: PinnedAgreement

    def __post_init__(self, right: _Identification) -> None:
        _JOB_IDENTIFIED.require(right)

    @property
    def job(self) -> str:
        """The digest by which everybody knows it."""
        return self.envelope.digest

    @property
    def items(self) -> int:
        """How many subjects a host asks about at once, filled up with nobody."""
        return self.request.items if isinstance(self.request, JobRequest) else MOST_ROWS

    @property
    def rounds(self) -> int:
        """The most rounds; none where nobody has messages to say."""
        return self.request.rounds if isinstance(self.request, JobRequest) else 0


@final
@dataclass(frozen=True, slots=True, eq=False)
class AdmittedJob(Evidence):
    """A job that the owner and the agreement allow, now."""

    right: InitVar[_Admission]
    asked: AskedJob
    use: ApprovedTraining

    def __post_init__(self, right: _Admission) -> None:
        _JOB_ADMITTED.require(right)


def identify_job(envelope: Envelope, standing: Standing, now: datetime) -> AskedJob:
    """Find out whose job it is; as `admit.identify`.

    Raises:
        SafeRoomError: `MALFORMED`, `NO_AGREEMENT` or `BAD_SIGNATURE`; none of these is recorded.
    """
    if envelope.payload_type == FitRequest.payload_type():
        request = load(envelope, FitRequest)
        channel_key = unb64(request.reply_key)
    else:
        request = load(envelope, JobRequest)
        channel_key = unb64(request.channel_key)
    hpke.require_public(channel_key)
    agreement = agreed(envelope, request, standing, now)
    return AskedJob(_JOB_IDENTIFIED, envelope, request, channel_key, agreement)


def admit_job(
    asked: AskedJob, seen: Seen, rules: Rules, trainings: ApprovedTrainings, now: datetime
) -> AdmittedJob:
    """Hold a job to all that was said about such jobs, cheapest first.

    Raises:
        SafeRoomError: the reason is the verdict that is recorded, or ends a job under way.
    """
    request = asked.request
    seen.require_fresh_nonce()
    require_of_now(request, rules, now)
    use = trainings.use(request.template, request.certificate)
    require_within(request, use.training)
    return AdmittedJob(_JOB_ADMITTED, asked, use)


def require_cancelled(
    envelope: Envelope, asked: AskedJob, owner: str, standing: Standing, now: datetime
) -> None:
    """Check that a word that ends a job is its institution's, and about it.

    Args:
        envelope: the word.
        asked: the job.
        owner: whose enclave has the room's side of it.
        standing: what is in force here.
        now: when.

    Raises:
        SafeRoomError: `BAD_SIGNATURE`, or `NO_AGREEMENT`.
    """
    cancel = load(envelope, JobCancel)
    named = (cancel.room, cancel.institution, cancel.owner, cancel.job)
    if named != (asked.request.room, asked.request.institution, owner, asked.job):
        raise SafeRoomError(Reason.BAD_SIGNATURE, "it ends another job")
    envelope.verify(asked.agreement.keys(now, standing.revoked_certificates))


def require_within(request: JobRequest | FitRequest, training: Training | Fit) -> None:
    """Refuse with `OFF_DOMAIN` what lies beyond what a template allows, or is of another kind."""
    if isinstance(request, JobRequest) and isinstance(training, Training):
        bounds = training.inverse_ridge
        chosen = (
            ("columns", request.columns <= training.label_columns),
            ("rounds", request.rounds <= training.rounds),
            ("inverse_ridge", bounds.least <= request.inverse_ridge <= bounds.most),
        )
    elif isinstance(request, FitRequest) and isinstance(training, Fit):
        chosen = _chosen(request, training)
    else:
        raise SafeRoomError(Reason.NOT_ALLOWED, "the template trains by another kind of request")
    for name, within in chosen:
        if not within:
            raise SafeRoomError(Reason.OFF_DOMAIN, f"{name}: beyond what the template allows")


def _chosen(request: FitRequest, fit: Fit) -> tuple[tuple[str, bool], ...]:
    ridge, bounds = request.inverse_ridge, fit.inverse_ridge
    trees, leaves = request.trees or 0, request.leaves or 0
    if (ridge is None) != (bounds is None):
        raise SafeRoomError(Reason.OFF_DOMAIN, "the template trains by another algorithm")
    ridged = ridge is None or bounds is None or bounds.least <= ridge <= bounds.most
    return (
        ("inverse_ridge", ridged),
        ("trees", trees <= (fit.trees or 0)),
        ("leaves", leaves <= (fit.leaves or 0)),
    )
