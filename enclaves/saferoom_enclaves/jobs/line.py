"""The line of a job, as its host's enclave hears it: its label side's messages, in pieces.

In between comes what the room brings of other owners' enclaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Final, TypeVar

from saferoom_enclaves.jobs import wire as job_wire
from saferoom_enclaves.jobs.peers import Papers
from saferoom_enclaves.worker import to_its_end
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.v1 import enclave_pb2

IDLE_SECONDS: Final = 600.0
"""The longest a label side may say nothing before its child goes; it may join again."""
MOST_OTHERS: Final = 16
"""Owners whose papers are held; a template names at most 8."""

T = TypeVar("T")
Pieces = AsyncIterator[enclave_pb2.WorkOnJobRequest]


class Line:
    """What a label side says, until another one of its job joins.

    Args:
        pieces: what comes in.
    """

    def __init__(self, pieces: Pieces) -> None:
        self._pieces: Final = pieces
        self._superseded: Final = asyncio.Event()
        self._asks: Final = asyncio.Queue[enclave_pb2.WorkOnJobResponse]()
        self._papers: Final[dict[str, Papers]] = {}
        self.left: Final = asyncio.Event()

    async def end(self) -> None:
        """Hear nothing more, and wait until what is under way is done."""
        self.stop()
        await self.left.wait()

    def stop(self) -> None:
        """Hear nothing more."""
        self._superseded.set()

    async def message(self) -> tuple[int, bytes] | None:
        """Put a sealed message together; none if the label side has nothing more to say.

        Raises:
            SafeRoomError: `CONFLICT` once another one joined; `DEADLINE`; `MALFORMED` or
                `TOO_LARGE` for what is no message.
        """
        sealed, number = bytearray(), -1
        while True:
            request = await self._heard()
            if request is None:
                if sealed:
                    raise SafeRoomError(Reason.MALFORMED, "a message that was cut off")
                return None
            piece = job_wire.piece_of(request)
            if sealed and piece.number != number:
                raise SafeRoomError(Reason.MALFORMED, "pieces of two messages")
            number = piece.number
            sealed += piece.data
            job_wire.require_short(sealed, job_wire.MOST_MESSAGE_BYTES)
            if piece.last:
                return number, bytes(sealed)

    def papers(self, owner: str) -> Papers:
        """Give what the room brought of another owner's enclave.

        Raises:
            SafeRoomError: `UNAVAILABLE` if nothing: that enclave does not serve now.
        """
        if owner not in self._papers:
            rule = f"the enclave of {owner} does not serve now: the job waits for it"
            raise SafeRoomError(Reason.UNAVAILABLE, rule, [FieldFault("owner", rule)])
        return self._papers[owner]

    async def ask(self, owner: str, sealed: bytes) -> bytes:
        """Have the room carry an ask to another owner's enclave, and hear its answer.

        Raises:
            SafeRoomError: as `message`.
        """
        for response in job_wire.ask_pieces(owner, sealed):
            self._asks.put_nowait(response)
        answer = bytearray()
        while True:
            request = await self._heard()
            if request is None:
                raise SafeRoomError(Reason.MALFORMED, "an answer that was cut off")
            piece = job_wire.given_of(request, owner)
            answer += piece.data
            job_wire.require_short(answer, job_wire.MOST_MESSAGE_BYTES)
            if piece.last:
                return bytes(answer)

    async def first(self) -> enclave_pb2.WorkOnJobRequest:
        """Give the first piece that is no papers.

        Raises:
            SafeRoomError: `MALFORMED` if there is none.
        """
        heard = await self._heard()
        if heard is None:
            raise SafeRoomError(Reason.MALFORMED, "taking part begins with the job's name")
        return heard

    async def asks(
        self, working: asyncio.Future[T]
    ) -> AsyncGenerator[enclave_pb2.WorkOnJobResponse]:
        """Give the pieces of asks until what is under way is done; it ends if nobody hears them."""
        try:
            while (ask := await self._asked(working)) is not None:
                yield ask
        except (GeneratorExit, asyncio.CancelledError):
            self.stop()  # what waits for another enclave waits no more
            with suppress(SafeRoomError):  # nobody hears of it
                await to_its_end(working)
            raise

    async def _asked(self, working: asyncio.Future[T]) -> enclave_pb2.WorkOnJobResponse | None:
        """Give the next piece of an ask; none once what is under way is done."""
        getting = asyncio.ensure_future(self._asks.get())
        try:
            await asyncio.wait({getting, working}, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else None
        finally:
            getting.cancel()

    async def _heard(self) -> enclave_pb2.WorkOnJobRequest | None:
        while (request := await self._next()) is not None and request.HasField("papers"):
            papers = job_wire.papers_of(request.papers)
            if len(self._papers) >= MOST_OTHERS:
                raise SafeRoomError(Reason.MALFORMED, "papers of too many owners")
            self._papers[papers.owner] = papers
        return request

    async def _next(self) -> enclave_pb2.WorkOnJobRequest | None:
        piece = asyncio.ensure_future(anext(self._pieces, None))
        superseded = asyncio.ensure_future(self._superseded.wait())
        try:
            done, _ = await asyncio.wait(
                {piece, superseded}, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if superseded in done:
                raise SafeRoomError(Reason.CONFLICT, "its label side joined anew")
            if piece not in done:
                raise SafeRoomError(Reason.DEADLINE, "nothing is said")
            return piece.result()
        finally:
            for each in (piece, superseded):
                each.cancel()
