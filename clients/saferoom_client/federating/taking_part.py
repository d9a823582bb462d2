"""A bank's part in a federated training: it sends message after message, and survives what breaks.

Its state is kept before each message is sent; a message that comes to the room twice gets the same
answer. So it can be stopped at any line, and taken up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from saferoom_client.extras import Extra, needing
from saferoom_client.federating.folder import FederationFolder, KeptModel
from saferoom_client.federating.view import FederationView
from saferoom_client.session import Session
from saferoom_client.tongue import later
from saferoom_client.training.call import Call
from saferoom_client.training.machines import saying_refusals
from saferoom_client.training.table import TrainingTable
from saferoom_client.training.taking_part import PASSING, whole
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.v1 import federation_pb2

if TYPE_CHECKING:
    from saferoom_models.horizontal.participant import Participant
    from saferoom_models.horizontal.terms import Terms

PIECE_BYTES: Final = 1 << 20
PATIENCE_SECONDS: Final = 120.0
"""After so long without a connection a bank gives up; it can be started again."""
_PAUSE_SECONDS: Final = 1.0
_SENDER: Final = "the room"

_Call = Call[federation_pb2.TrainFederationRequest, federation_pb2.TrainFederationResponse]


@dataclass(frozen=True, slots=True)
class FederationProgress:
    """How far a training is.

    Attributes:
        round: rounds that were summed.
        rounds: the most there can be, the first one counted.
        reached: whether the room is reached.
    """

    round: int
    rounds: int
    reached: bool = True


Told = Callable[[FederationProgress], None]


class EndedEarlyError(SafeRoomError):
    """The training ended before its end; what was fitted so far may stand."""

    def __init__(self, why: str) -> None:
        super().__init__(Reason.CONFLICT, why, [FieldFault("federation", why)])


def terms_of(view: FederationView) -> Terms:
    """Give the terms that follow from a proposal and its joins, the same at every bank."""
    with needing(Extra.MODELLING, "federated training"):
        from saferoom_models.horizontal.terms import agreed_terms  # noqa: PLC0415 - an extra

    proposal = view.proposal
    with saying_refusals("before anything was sent", _SENDER):
        return agreed_terms(
            view.federation.partition(":")[2],
            {bank: join.key for bank, join in view.joins.items()},
            [(column.name, float(column.low), float(column.high)) for column in proposal.columns],
            inverse_ridge=float(proposal.inverse_ridge),
            rounds=proposal.rounds,
            fewest_own_rows=proposal.fewest_rows,
        )


def take_up(view: FederationView, folder: FederationFolder, table: TrainingTable) -> Participant:
    """Begin, or take up where it was kept, with the same rows.

    Raises:
        SafeRoomError: `MALFORMED` for rows that cannot be trained on, `BAD_CONFIG` for a state of
            other rows, `CONFLICT` for one that is lost.
    """
    terms = terms_of(view)
    import numpy as np  # noqa: PLC0415 - an extra

    from saferoom_models.horizontal.participant import Own, Participant  # noqa: PLC0415 - an extra

    columns = [table.columns[column.name] for column in view.proposal.columns]
    own = Own(
        folder.profile.member.organisation,
        folder.key(),
        np.column_stack([np.frombuffer(each) for each in columns]),
        np.asarray(table.labels, np.int64),
    )
    with saying_refusals("taking part", _SENDER):
        state = folder.state()
        if state is not None:
            return Participant.resume(terms, own, state)
        if folder.masked():
            rule = later("its numbers were sent, and its state is lost: propose another training")
            raise SafeRoomError(Reason.CONFLICT, rule, [FieldFault("federation", rule)])
        participant = Participant(terms, own)
        participant.begin()
        folder.keep_state(participant.save(), masked=participant.masked)
        return participant


class Part:
    """One bank's part in one training."""

    def __init__(
        self,
        session: Session,
        folder: FederationFolder,
        participant: Participant,
        rounds: int,
        told: Told,
    ) -> None:
        self._session: Final = session
        self._folder: Final = folder
        self._participant: Final = participant
        self._rounds: Final = rounds
        self._told: Final = told
        self._moved = time.monotonic()

    async def run(self) -> None:
        """Take part until the training is over.

        Raises:
            EndedEarlyError: it ended before, for all or for this bank.
            Refused: the room refuses, or cannot be reached for long.
            SafeRoomError: what this side refuses.
        """
        while not self._participant.over:
            self._tell(reached=True)
            try:
                await self._connected()
            except SafeRoomError as error:
                if error.reason not in PASSING:
                    raise
                if time.monotonic() - self._moved > PATIENCE_SECONDS:
                    again = f"federation run {self._folder.federation} --rows FILE --label COLUMN"
                    error.add_note(self._session.profile.typed(again))
                    raise
                self._tell(reached=False)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _connected(self) -> None:
        call = _Call(
            self._session.federations.TrainFederation, federation_pb2.TrainFederationResponse, None
        )
        try:
            name = self._folder.federation
            call.say(federation_pb2.TrainFederationRequest(federation=name))
            while not self._participant.over:
                self._send(call)
                answer = await self._hear(call)
                await whole(asyncio.to_thread(self._take, answer))
                self._moved = time.monotonic()
                self._tell(reached=True)
            call.say(None)
        finally:
            call.cancel()

    def _send(self, call: _Call) -> None:
        waiting = self._participant.waiting
        for start in range(0, len(waiting), PIECE_BYTES):
            data = waiting[start : start + PIECE_BYTES]
            last = start + PIECE_BYTES >= len(waiting)
            piece = federation_pb2.FederationPiece(last=last, data=data)
            call.say(federation_pb2.TrainFederationRequest(message=piece))

    async def _hear(self, call: _Call) -> bytes:
        pieces, size = list[bytes](), 0
        while True:
            told = await call.hear()
            self._moved = time.monotonic()
            if told.WhichOneof("piece") == "ended":
                raise EndedEarlyError(told.ended)
            size += len(told.message.data)
            if not told.message.data or size > self._participant.largest_answer:
                raise SafeRoomError(Reason.MALFORMED, "the room tells more than was asked")
            pieces.append(told.message.data)
            if told.message.last:
                return b"".join(pieces)

    def _take(self, answer: bytes) -> None:
        """Take an answer, and keep what follows from it before anything else is sent."""
        with saying_refusals(f"round {self._participant.round}", _SENDER):
            self._participant.answer(answer)
        self._folder.keep_state(self._participant.save(), masked=self._participant.masked)

    def _tell(self, *, reached: bool) -> None:
        self._told(FederationProgress(self._participant.round, self._rounds + 1, reached))


def kept_model(view: FederationView, participant: Participant) -> KeptModel | None:
    """Give the model as it stands; none before the first Newton round."""
    from saferoom_models.refusals import JointTrainingError  # noqa: PLC0415 - an extra

    try:
        model = participant.model()
    except JointTrainingError:
        return None
    return KeptModel(
        federation=view.federation,
        name=view.proposal.name,
        course=participant.course,
        banks=participant.banks,
        fitted=model,
        findings_here=participant.findings,
    )
