"""A batch in the room: passed to the enclaves, recorded, and then told to its asker.

The steps have the numbers of `docs/life-of-a-batch.md`. Rows and sealed answers pass as they
come; the room reads neither. No answer goes on before the owner's word on the whole batch stands in
the log, and no word waits for an asker to be recorded. The room keeps nothing of a batch but that
word: whoever sends the batch again is answered by the enclaves, which go on where they stopped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from typing import Final, Protocol

from saferoom.batches.pieces import BatchPiece, batch_request, packed_rows
from saferoom.checks import ABOUT_A_SUBJECT, Checks
from saferoom.evidence import Approved, Caller, Recorded
from saferoom.exchange import (
    BatchBegun,
    BatchChunk,
    BatchProgress,
    BatchTold,
    BatchVerdict,
    BatchWord,
)
from saferoom.gist import BatchGist, batch_gist
from saferoom.limits import Limits
from saferoom.outbox import Outbox
from saferoom.refusals import Refusals
from saferoom.state.rows import RequestRow
from saferoom_proto.batch import ROW_BYTES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import BatchRelease, Outcome

_AHEAD: Final = 16
"""Pieces that wait for a slow asker: at most some MB for each owner."""


Piece = tuple[str, BatchBegun | BatchProgress | Recorded[BatchWord] | BatchChunk]
"""What an asker is told, and whose enclave says it; nobody's where it is the room."""


class Judge(Protocol):
    """An enclave that serves, as far as a batch needs it."""

    @property
    def outbox(self) -> Outbox:
        """Its own chain, as far as it stands in the room's log."""
        ...

    def judge_batch(self, pieces: AsyncIterator[BatchPiece]) -> AsyncGenerator[BatchTold]:
        """Have a batch judged."""
        ...


class Judges(Protocol):
    """The enclaves."""

    def serving(self, owner: str) -> Judge:
        """Give an owner's enclave, or refuse with `LOCKED` or `UNAVAILABLE`."""
        ...


class _Rows:
    """The rows of a batch on their way to one or more enclaves: whole, or never."""

    def __init__(self) -> None:
        self._pieces: list[BatchPiece] = []
        self._there: Final = asyncio.Event()
        self._gone = False

    def deliver(self, pieces: list[BatchPiece]) -> None:
        """Let the enclaves have the rows."""
        self._pieces = pieces
        self._there.set()

    def give_up(self) -> None:
        """Let the enclaves know that no rows will come."""
        if not self._there.is_set():
            self._gone = True
            self._there.set()

    async def after(self, header: BatchPiece) -> AsyncIterator[BatchPiece]:
        """Give one enclave the header, and the rows once they are there."""
        yield header
        await self._there.wait()
        if self._gone:
            raise SafeRoomError(Reason.UNAVAILABLE, "the asker left before its rows were there")
        for piece in self._pieces:
            yield piece


class _Listener:
    """Whom a batch's pieces are told to, as long as it listens.

    Args:
        idle_seconds: the longest it may take nothing; then it is told nothing more.
    """

    def __init__(self, idle_seconds: float) -> None:
        self.left = False
        self._idle_seconds: Final = idle_seconds
        self._pieces: Final[asyncio.Queue[Piece | Exception | None]] = asyncio.Queue(_AHEAD)

    async def tell(self, piece: Piece | Exception | None) -> None:
        """Tell a piece, a failure, or that an owner is done; waits for an asker that is slow."""
        if self.left:
            return
        try:
            async with asyncio.timeout(self._idle_seconds):
                await self._pieces.put(piece)
        except TimeoutError:
            self.leave()
            self._pieces.put_nowait(SafeRoomError(Reason.DEADLINE, "the asker took nothing"))

    def mention(self, piece: Piece) -> None:
        """Tell a piece that may be missed, if there is room for it."""
        if not self.left and not self._pieces.full():
            self._pieces.put_nowait(piece)

    async def hear(self) -> Piece | None:
        """Wait for the next piece; none if an owner is done."""
        piece = await self._pieces.get()
        if isinstance(piece, Exception):
            raise piece
        return piece

    def leave(self) -> None:
        """Listen no more; whoever waits to tell something need not."""
        self.left = True
        while not self._pieces.empty():
            self._pieces.get_nowait()


class Batches:
    """Passes batches to enclaves and records what becomes of them.

    Args:
        checks: decides which requests are passed on.
        judges: the enclaves.
        refusals: makes the room's own.
        limits: how many batches may be under way.
        idle_seconds: the longest an asker may pause, between two pieces of its rows or before it
            takes what it is told.
    """

    def __init__(
        self,
        *,
        checks: Checks,
        judges: Judges,
        refusals: Refusals,
        limits: Limits,
        idle_seconds: float,
    ) -> None:
        self._checks: Final = checks
        self._judges: Final = judges
        self._refusals: Final = refusals
        self._limits: Final = limits
        self._idle_seconds: Final = idle_seconds
        self._under_way: Final[set[asyncio.Task[None]]] = set()

    async def check_many(
        self, caller: Caller, pieces: AsyncIterator[BatchPiece]
    ) -> AsyncGenerator[Piece]:
        """Answer a batch.

        Raises:
            RequestRefusedError: the room or an enclave refused without a verdict, recorded.
            SafeRoomError: `MALFORMED` for what is no batch; `TOO_MANY_REQUESTS`.
        """
        header = await anext(pieces, None)
        if header is None:
            raise SafeRoomError(Reason.MALFORMED, "a batch begins with its header")
        envelope = batch_request(header)
        # Step 2: authorise.
        request = batch_gist(envelope)
        approved = await self._checks.authorise(caller, envelope, request, *ABOUT_A_SUBJECT)
        place = ExitStack()
        place.enter_context(self._limits.place(caller.organisation))
        passing = _Passing(header, approved, request, pieces)
        async with aclosing(self._told(passing, place)) as told:
            async for piece in told:
                yield piece

    async def drain(self, seconds: float) -> None:
        """Wait until every batch whose rows are there is judged and recorded, at most so long.

        What an enclave still owes then, it says when it is asked again.
        """
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    async def _told(self, passing: _Passing, place: ExitStack) -> AsyncGenerator[Piece]:
        listener, rows = _Listener(self._idle_seconds), _Rows()
        owners = passing.approved.owners
        # An asker who leaves ends only its own listening: what an enclave has the rows of, it
        # judges to the end, and its word is recorded. Until then its place is taken.
        passing_on = [self._pass_on(owner, passing, rows, listener) for owner in owners]
        self._start(_all(passing_on, place))
        try:
            wanted, early = await _begun(listener, len(owners))
            yield "", BatchBegun(rows_wanted=wanted)
            rows.deliver(await self._rows(passing) if wanted else [])
            left = len(owners)
            while left:
                piece = early.popleft() if early else await listener.hear()
                if piece is None:
                    left -= 1
                else:
                    yield piece
        finally:
            rows.give_up()
            listener.leave()

    def _start(self, passing_on: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(passing_on)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _rows(self, passing: _Passing) -> list[BatchPiece]:
        """Take all rows: an enclave charges nothing before it has them all."""
        pieces: list[BatchPiece] = []
        left = passing.request.rows * ROW_BYTES
        while left > 0:
            async with asyncio.timeout(self._idle_seconds):
                piece = await anext(passing.pieces, None)
            if piece is None:
                raise SafeRoomError(Reason.MALFORMED, "fewer rows than were signed")
            pieces.append(piece)
            left -= len(packed_rows(piece))
        if left:
            raise SafeRoomError(Reason.MALFORMED, "more rows than were signed")
        return pieces

    async def _pass_on(
        self, owner: str, passing: _Passing, rows: _Rows, listener: _Listener
    ) -> None:
        """Have one owner's enclave judge the batch; tell what comes of it."""
        try:
            enclave = self._judges.serving(owner)
            async with aclosing(enclave.judge_batch(rows.after(passing.header))) as told:
                async for piece in told:
                    # Nothing waits for the asker before the word is recorded.
                    if isinstance(piece, BatchVerdict):
                        word = await self._record(owner, passing.approved, piece, enclave.outbox)
                        await listener.tell((owner, word))
                    elif isinstance(piece, BatchProgress):
                        listener.mention((owner, piece))
                    else:
                        await listener.tell((owner, piece))
                    if listener.left and isinstance(piece, BatchVerdict | BatchChunk):
                        return
            await listener.tell(None)
        except SafeRoomError as error:
            # No verdict: the room records that, in the enclave's place.
            await listener.tell(
                await self._refusals.record(
                    error,
                    institution=passing.request.institution,
                    question=passing.approved.envelope,
                    owner=owner,
                )
            )
        except Exception as error:  # noqa: BLE001 - told to who listens, as any other failure
            await listener.tell(error)

    async def _record(
        self, owner: str, approved: Approved, verdict: BatchVerdict, outbox: Outbox
    ) -> Recorded[BatchWord]:
        """Verify that an enclave's word is its own, and on this batch; and record it."""
        release = await outbox.verified(verdict.entry.statement, BatchRelease)
        said = (release.owner, release.request, release.institution)
        if said != (owner, approved.envelope.digest, approved.request.institution):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"{owner}'s release is of another batch")
        if (release.outcome is Outcome.ANSWERED) != bool(verdict.sealed_secret):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"{owner}'s release has another answer")
        # Step 8: record.
        asked = RequestRow(approved.request.institution, approved.envelope)
        word = BatchWord(owner, verdict.sealed_secret)
        return await outbox.record(BatchRelease, word, verdict.entry, owner, asked)


async def _all(passing_on: Sequence[Coroutine[object, object, None]], place: ExitStack) -> None:
    """Pass a batch on to all of its owners' enclaves, and hold its place until the last is done."""
    with place:
        await asyncio.gather(*passing_on)


async def _begun(listener: _Listener, owners: int) -> tuple[bool, deque[Piece | None]]:
    """Wait until every owner's enclave has begun.

    Returns:
        Whether any of them wants the rows, and what those that do not have told already.
    """
    wanted, early = False, deque[Piece | None]()
    while owners:
        piece = await listener.hear()
        if piece is not None and isinstance(piece[1], BatchBegun):
            wanted |= piece[1].rows_wanted
            owners -= 1
        else:
            early.append(piece)
    return wanted, early


@dataclass(frozen=True, slots=True)
class _Passing:
    """A batch that is passed on: its header, who may have it judged, and its rows to come."""

    header: BatchPiece
    approved: Approved
    request: BatchGist
    pieces: AsyncIterator[BatchPiece]
