"""A label side's part in a job: it asks message after message, and survives what breaks off.

Its state is kept before each message is sent; a message that comes to the enclave twice gets the
same answer. So it can be stopped at any line, and taken up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from saferoom_client.session import Session
from saferoom_client.training.call import Call
from saferoom_client.training.folder import Admitted, JobFolder
from saferoom_client.training.machines import saying_refusals
from saferoom_client.training.progress import JobProgress, Stage, Told
from saferoom_proto.job_channel import (
    OVERHEAD_BYTES,
    PIECE_BYTES,
    Direction,
    open_message,
    seal_message,
)
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.v1 import job_pb2
from saferoom_proto.wire import Recorded, recorded_from_proto

if TYPE_CHECKING:
    from saferoom_models.participant import Participant

PASSING: Final = frozenset(
    {
        Reason.UNAVAILABLE,
        Reason.DEADLINE,
        Reason.LOCKED,
        Reason.STALE_HEAD,
        Reason.OUTBOX_WAITING,
        Reason.TOO_MANY_REQUESTS,
        Reason.BAD_SEAL,
    }
)
"""Refusals after which the same message is sent again: nothing was decided. One that does not open
was spoilt on its way."""
IDLE_SECONDS: Final = 600.0
"""The longest silence: the room's side blinds a million subjects in about a minute."""
PATIENCE_SECONDS: Final = 120.0
"""After so long without an answer a label side gives up; it can be started again."""
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 5.0

_JobCall = Call[job_pb2.TakePartRequest, job_pb2.TakePartResponse]


class Part:
    """One label side's part in one job."""

    def __init__(
        self,
        session: Session,
        folder: JobFolder,
        admitted: Admitted,
        participant: Participant,
        told: Told,
    ) -> None:
        self._session: Final = session
        self._folder: Final = folder
        self._secret: Final = admitted.secret
        self._participant: Final = participant
        self._told: Final = told
        self._sent = self._received = 0
        self._began = self._moved = time.monotonic()
        self._first_share: float | None = None

    async def run(self) -> Recorded:
        """Ask until the job has ended; gives the enclave's last word, not verified yet.

        Raises:
            Refused: the room or the enclave refuses, or cannot be reached for long.
            SafeRoomError: what this side refuses.
        """
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self._tell()
            moved = self._moved
            try:
                return await self._connected()
            except SafeRoomError as error:
                if error.reason not in PASSING:
                    raise
                if time.monotonic() - self._moved > PATIENCE_SECONDS:
                    error.add_note(f"saferoom job resume {self._folder.job}")
                    raise
            pause = _FIRST_PAUSE_SECONDS if self._moved > moved else pause
            self._tell(Stage.WAITING)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _connected(self) -> Recorded:
        """Take part over one connection, until the job or the connection ends."""
        call = _JobCall(self._session.jobs.TakePart, job_pb2.TakePartResponse, IDLE_SECONDS)
        try:
            # Step 1: which job, and where it stands at the enclave.
            call.say(job_pb2.TakePartRequest(join=job_pb2.JoinJob(job=self._folder.job)))
            first = await call.hear()
            if first.WhichOneof("piece") == "ended":
                return recorded_from_proto(first.ended.release)
            if first.WhichOneof("piece") != "joined":
                raise SafeRoomError(Reason.MALFORMED, "the room does not say where the job stands")
            self._require_same(first.joined.next)
            # Step 2: message after message, each answered before the next.
            while not self._participant.over:
                self._send(call)
                answer = await self._hear(call)
                if isinstance(answer, Recorded):
                    return answer
                await whole(asyncio.to_thread(self._take, answer))
                self._moved = time.monotonic()
                self._tell()
            # Step 3: the enclave's last word.
            call.say(None)
            return await self._hear_the_end(call)
        finally:
            call.cancel()

    async def _hear_the_end(self, call: _JobCall) -> Recorded:
        """Hear the last word; the last answer may come again before it, for whoever lacks it."""
        size = 0
        while (told := await call.hear()).WhichOneof("piece") == "message":
            size += len(told.message.data)
            _require_some(told.message)
            if told.message.number > self._participant.number or size > self._most_bytes:
                raise SafeRoomError(Reason.MALFORMED, "the room tells more than was asked")
        return recorded_from_proto(told.ended.release)

    @property
    def _most_bytes(self) -> int:
        """How long a sealed answer can be."""
        return self._participant.largest_answer + OVERHEAD_BYTES

    def _require_same(self, following: int) -> None:
        """Check that both sides' states belong together."""
        own = self._participant.number
        if following not in {own, own + 1}:
            rule = (
                f"the enclave has answered {following} messages and this side waits for answer "
                f"{own}: one of the two was put back to an older state; cancel the job"
            )
            refusal = SafeRoomError(Reason.CONFLICT, rule, [FieldFault("job", rule)])
            refusal.add_note(f'saferoom job cancel {self._folder.job} --why "put back"')
            raise refusal

    def _send(self, call: _JobCall) -> None:
        number, waiting = self._participant.number, self._participant.waiting
        sealed = seal_message(self._secret, self._folder.job, Direction.TO_ROOM, number, waiting)
        for start in range(0, len(sealed), PIECE_BYTES):
            data = sealed[start : start + PIECE_BYTES]
            last = start + PIECE_BYTES >= len(sealed)
            piece = job_pb2.JobPiece(number=number, last=last, data=data)
            call.say(job_pb2.TakePartRequest(message=piece))
            self._sent += len(data)

    async def _hear(self, call: _JobCall) -> bytes | Recorded:
        """Hear the answer to what was sent; or how the job has ended."""
        number, pieces, size = self._participant.number, list[bytes](), 0
        most = self._most_bytes
        while True:
            told = await call.hear()
            if told.WhichOneof("piece") == "ended":
                return recorded_from_proto(told.ended.release)
            size += len(told.message.data)
            if told.WhichOneof("piece") != "message" or told.message.number != number:
                raise SafeRoomError(Reason.MALFORMED, "another message than the one that is due")
            _require_some(told.message)
            if size > most:
                raise SafeRoomError(Reason.TOO_LARGE, f"an answer of more than {most} bytes")
            self._received += len(told.message.data)
            pieces.append(told.message.data)
            if told.message.last:
                break
        job = self._folder.job
        return open_message(self._secret, job, Direction.TO_LABEL_SIDE, number, b"".join(pieces))

    def _take(self, answer: bytes) -> None:
        """Take an answer, and keep what follows from it before anything else is sent."""
        try:
            with saying_refusals("training" if self._participant.progress else "aligning"):
                self._participant.answer(answer)
        except SafeRoomError as refused:
            if refused.reason is Reason.MALFORMED:  # the common rows: they stay what they are
                refused.add_note(
                    f'saferoom job cancel {self._folder.job} --why "other rows are needed"'
                )
            raise
        self._folder.keep_state(self._participant.save())

    def _tell(self, stage: Stage | None = None) -> None:
        progress, rows = self._participant.progress, self._participant.rows
        if progress is None:
            self._told(
                JobProgress(
                    stage or Stage.ALIGNING, rows=rows, sent=self._sent, received=self._received
                )
            )
            return
        now = JobProgress(
            stage or Stage.TRAINING,
            rows=rows,
            round=progress.rounds,
            rounds=progress.of,
            distance=progress.distance,
            separation=self._participant.separation if progress.rounds else None,
            sent=self._sent,
            received=self._received,
        )
        self._told(self._with_seconds(now))

    def _with_seconds(self, now: JobProgress) -> JobProgress:
        """Add an estimate of what is left, by what was done since this process took part."""
        if self._first_share is None:
            self._first_share, self._began = now.share, time.monotonic()
        done = now.share - self._first_share
        if done <= 0:
            return now
        spent = time.monotonic() - self._began
        return replace(now, seconds_left=spent * (1 - now.share) / done)


def _require_some(piece: job_pb2.JobPiece) -> None:
    """Refuse an empty piece: of those no bound on bytes ends the number."""
    if not piece.data:
        raise SafeRoomError(Reason.MALFORMED, "a piece of a message that holds nothing")


async def whole(work: Coroutine[object, object, None]) -> None:
    """Wait for work to its end, also where waiting is cancelled.

    No state is written after whoever takes the job up in this process has read it.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
