"""How jobs stand, as the room tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import job_pb2


class JobState(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    """Of a training in the room: for its turn."""
    ALIGNING = "aligning"
    TRAINING = "training"
    RELEASED = "released"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @classmethod
    def ended(cls) -> frozenset[JobState]:
        """Give the states that are ends."""
        return frozenset(cls) - {cls.WAITING, cls.ALIGNING, cls.TRAINING}


_STATES: Final = {
    job_pb2.JOB_STATE_WAITING: JobState.WAITING,
    job_pb2.JOB_STATE_ALIGNING: JobState.ALIGNING,
    job_pb2.JOB_STATE_TRAINING: JobState.TRAINING,
    job_pb2.JOB_STATE_RELEASED: JobState.RELEASED,
    job_pb2.JOB_STATE_REFUSED: JobState.REFUSED,
    job_pb2.JOB_STATE_CANCELLED: JobState.CANCELLED,
    job_pb2.JOB_STATE_FAILED: JobState.FAILED,
}


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as the room and its enclave see it.

    Attributes:
        job: its name.
        owner: whose enclave has it.
        institution: who asked for it.
        template: the digest of its template.
        state: how far it is.
        round: under way, from 1; 0 before the first.
        rounds: the most.
        received, sent: bytes of sealed messages, at the enclave.
        began, moved: when it began, and last moved.
        reason: why there is no model; empty where there is one, or none yet.
    """

    job: str
    owner: str
    institution: str
    template: str
    state: JobState
    round: int
    rounds: int
    received: int
    sent: int
    began: datetime
    moved: datetime
    reason: str

    def document(self) -> dict[str, object]:
        """Give it for a program."""
        return {
            "job": self.job,
            "owner": self.owner,
            "institution": self.institution,
            "template": self.template,
            "state": str(self.state),
            "round": self.round,
            "rounds": self.rounds,
            "bytes_in": self.received,
            "bytes_out": self.sent,
            "began": self.began.isoformat(),
            "moved": self.moved.isoformat(),
            "reason": self.reason,
        }


def read_status(message: job_pb2.JobStatus) -> JobView:
    """Read how a job stands."""
    if message.state not in _STATES:
        raise SafeRoomError(Reason.MALFORMED, f"the room tells the unknown state {message.state}")
    return JobView(
        job=message.job,
        owner=message.owner,
        institution=message.institution,
        template=message.template,
        state=_STATES[message.state],
        round=message.round,
        rounds=message.rounds,
        received=message.bytes_in,
        sent=message.bytes_out,
        began=_instant(message.began),
        moved=_instant(message.moved),
        reason=message.reason,
    )


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
