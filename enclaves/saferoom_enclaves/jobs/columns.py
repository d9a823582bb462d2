"""A giver's columns: they leave its enclave for one other enclave only, in a job that was counted.

They are made of records, so they are under seal from the child that read them to the answer that
only the host's endorsed enclave opens. The release certificate says so to this owner's approvers.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Final, final

from saferoom_enclaves.evidence import Evidence, Hidden, Right
from saferoom_enclaves.jobs.between import Given, make_answer
from saferoom_enclaves.jobs.charge import ChargedJob
from saferoom_enclaves.jobs.peers import Peer
from saferoom_proto.reasons import Reason, SafeRoomError


class _Execution(Right):
    __slots__ = ()


class _Releasing(Right):
    __slots__ = ()


_COLUMNS_EXECUTED: Final = _Execution()
_COLUMNS_RELEASED: Final = _Releasing()


@final
class SealedColumns(Hidden):
    """An owner's columns of common subjects, under seal."""

    __slots__ = ("_columns",)

    def __init__(self, right: _Execution, columns: bytes) -> None:
        _COLUMNS_EXECUTED.require(right)
        self._columns: Final = columns

    def open(self, right: _Releasing) -> bytes:
        """Give the columns to their gate, and to nobody else."""
        _COLUMNS_RELEASED.require(right)
        return self._columns


@final
@dataclass(frozen=True, slots=True, eq=False)
class ReleasedColumns(Evidence):
    """An answer to a host's enclave, sealed to it."""

    right: InitVar[_Releasing]
    answer: bytes

    def __post_init__(self, right: _Releasing) -> None:
        _COLUMNS_RELEASED.require(right)


def execute_columns(charged: ChargedJob, columns: bytes) -> SealedColumns:
    """Take what a child read for a job that was counted."""
    if not columns or not charged.run:
        raise SafeRoomError(Reason.INTERNAL, "no columns")
    return SealedColumns(_COLUMNS_EXECUTED, columns)


def release_columns(
    charged: ChargedJob, sealed: SealedColumns, peer: Peer, ask: bytes, share: str
) -> ReleasedColumns:
    """Seal columns to the enclave that hosts the job, and to no other.

    Args:
        charged: the job.
        sealed: this owner's columns.
        peer: the enclave that asks.
        ask: as it came.
        share: of the key under which the host keeps its state.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for another enclave than the template's host's.
    """
    if peer.owner != charged.admitted.use.training.hosted_by:
        raise SafeRoomError(Reason.NOT_ALLOWED, f"{peer.owner} does not host the job")
    told = Given(share=share)
    return ReleasedColumns(
        _COLUMNS_RELEASED, make_answer(ask, peer, told, sealed.open(_COLUMNS_RELEASED))
    )
