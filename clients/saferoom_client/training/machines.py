"""The machines of the extra `saferoom[modelling]`, as a job needs them, in the client's words."""

from __future__ import annotations

import math
from collections.abc import Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from saferoom_client.extras import Extra, needing
from saferoom_client.training.folder import JobFolder
from saferoom_client.training.table import TrainingTable
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_proto.job_channel import MOST_ROOM_ITEMS, alignment_job, job_hex
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

if TYPE_CHECKING:
    from saferoom_models.participant import Brought, Course, Participant
    from saferoom_models.psi.terms import AlignmentTerms

_OWN: Final = frozenset(
    {
        Refusal.BAD_TERMS,
        Refusal.TOO_FEW_ROWS,
        Refusal.TOO_MANY_ROWS,
        Refusal.TOO_MANY_NUMBERS,
        Refusal.BAD_COLUMNS,
        Refusal.BAD_LABELS,
        Refusal.FEW_EVENTS,
        Refusal.NO_SUPPORT,
        Refusal.NOT_EXACT,
        Refusal.BAD_IDENTIFIERS,
    }
)
"""What a label side's own rows or terms are refused for; other refusals are of messages."""


@contextmanager
def saying_refusals(step: str, sender: str = "the enclave") -> Generator[None]:
    """Turn a refusal of the machines into one of the client's, that says at which step it came.

    Args:
        step: in words.
        sender: of the messages.

    Raises:
        SafeRoomError: `MALFORMED` for this side's own rows, `BAD_CONFIG` for its kept state,
            `BAD_PROOF` for what came from the sender.
    """
    try:
        yield
    except JointTrainingError as error:
        if error.reason is Refusal.BAD_STATE:
            reason, place = Reason.BAD_CONFIG, "the kept state"
        elif error.reason in _OWN:
            reason, place = Reason.MALFORMED, "your rows"
        else:
            reason, place = Reason.BAD_PROOF, f"{sender}'s message"
        rule = f"{step}: {error.reason}: {error.detail}"
        raise SafeRoomError(reason, rule, [FieldFault(place, rule)]) from error


def bring(table: TrainingTable) -> Brought:
    """Make of a table what a label side brings."""
    with needing(Extra.MODELLING, "joint training"):
        from saferoom_models.participant import Brought  # noqa: PLC0415 - an extra
    return Brought(table.subjects, table.labels, table.columns)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a training is to be, beside its table.

    Attributes:
        room_columns: how many the room has.
        rounds: the most.
        ridge: the inverse ridge.
        held: rows held out, on which the model is measured.
    """

    room_columns: int
    rounds: int
    ridge: float
    held: int = 0


def check_rows(table: TrainingTable, shape: Shape) -> None:
    """Check a table as training would, before anything is asked; fewer rows may be common later.

    Raises:
        SafeRoomError: `MALFORMED` naming what is wrong; `NOT_INSTALLED`.
    """
    brought = bring(table)
    from saferoom_models.vertical.terms import Terms, check_events  # noqa: PLC0415 - an extra

    events = sum(table.labels)
    with saying_refusals("before anything was asked"):
        brought.check()
        most = Terms(
            "00" * 32,
            len(table.labels) - shape.held,
            len(table.columns),
            shape.room_columns,
            shape.ridge,
            rounds=shape.rounds,
            measured=shape.held,
        )
        check_events(most, min(events, len(table.labels) - events))


def propose_ridge(table: TrainingTable, room_columns: int) -> float:
    """Propose an inverse ridge by the table's events."""
    with needing(Extra.MODELLING, "joint training"):
        from saferoom_models.vertical.terms import propose_ridge  # noqa: PLC0415 - an extra
    events = sum(table.labels)
    rarer = min(events, len(table.labels) - events)
    return propose_ridge(rarer, len(table.columns) + room_columns)


def begin(
    alignment: str, table: TrainingTable, executor: Executor | None
) -> tuple[Participant, str]:
    """Begin a job's participant; gives what commits to its set, 64 hexadecimal digits.

    Args:
        alignment: the job's name for its alignment (`alignment_job_of`).
        table: the rows.
        executor: shares out the arithmetic of the alignment.
    """
    brought = bring(table)
    from saferoom_models.participant import Participant  # noqa: PLC0415 - an extra

    with saying_refusals("aligning"):
        participant = Participant(_alignment(alignment, len(table.subjects)), brought, executor)
        return participant, participant.begin()


def take_up(
    folder: JobFolder, table: TrainingTable, room_columns: int, executor: Executor | None
) -> Participant:
    """Take a job's participant up where it was kept, once the job was admitted.

    Raises:
        SafeRoomError: `BAD_CONFIG` for a state of other rows, or altered.
    """
    brought = bring(table)
    from saferoom_models.participant import Participant  # noqa: PLC0415 - an extra

    request = folder.request
    terms = _alignment(alignment_job(request), request.items)
    with saying_refusals("taking it up"):
        return Participant.resume(
            terms, brought, _course(folder, room_columns), folder.state(), executor
        )


def _alignment(job: str, items: int) -> AlignmentTerms:
    from saferoom_models.psi.terms import AlignmentTerms  # noqa: PLC0415 - an extra

    return AlignmentTerms(job, items, MOST_ROOM_ITEMS)


def _course(folder: JobFolder, room_columns: int) -> Course:
    from saferoom_models.participant import Course  # noqa: PLC0415 - an extra

    request = folder.request
    ridge = float(request.inverse_ridge)
    if not math.isfinite(ridge):
        raise SafeRoomError(Reason.MALFORMED, "inverse_ridge")
    return Course(
        job_hex(folder.job),
        room_columns,
        ridge,
        request.rank,
        request.rounds,
        measured=folder.bands is not None,
    )
