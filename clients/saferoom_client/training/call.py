"""A stream in which two sides take turns: what is said goes out as the line takes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final, Generic, TypeVar

import grpc

from saferoom_client.refused import Refused, refusal_of
from saferoom_proto.reasons import Reason, SafeRoomError

Said = TypeVar("Said")
Heard = TypeVar("Heard")
_UNWRITTEN: Final = "Internal error from Core"
"""With this gRPC's asyncio covers whatever the other side ended a stream with, where that came
while this side was writing. What is lost with it comes again over the next connection."""


class Call(Generic[Said, Heard]):
    """A stream under way; what ends it, `hear` tells.

    Writing to the stream itself would tell of its end in gRPC's words, before the room's are read.

    Args:
        start: of the room's calls the one that is made.
        kind: of the pieces that are heard.
        idle_seconds: the longest silence; none for as long as the line holds.
    """

    def __init__(
        self,
        start: Callable[[AsyncIterator[Said]], grpc.aio.StreamStreamCall[Said, Heard]],
        kind: type[Heard],
        idle_seconds: float | None,
    ) -> None:
        self._kind: Final = kind
        self._idle_seconds: Final = idle_seconds
        self._said: Final = asyncio.Queue[Said | None]()
        self._call: Final = start(self._pieces())

    def say(self, piece: Said | None) -> None:
        """Send a piece; none ends what this side says."""
        self._said.put_nowait(piece)

    async def hear(self) -> Heard:
        """Hear a piece.

        Raises:
            Refused: the room ended the stream, or is silent.
        """
        try:
            async with asyncio.timeout(self._idle_seconds):
                heard = await self._call.read()
        except grpc.aio.AioRpcError as error:
            if error.details() == _UNWRITTEN:
                ended = SafeRoomError(
                    Reason.UNAVAILABLE, "the stream ended while it was written to"
                )
                raise Refused(ended, {}) from error
            raise refusal_of(error) from error
        except TimeoutError as error:
            raise Refused(SafeRoomError(Reason.DEADLINE, "the room is silent"), {}) from error
        if not isinstance(heard, self._kind):  # it is the stream's end
            raise Refused(SafeRoomError(Reason.UNAVAILABLE, "the stream has ended"), {})
        return heard

    def cancel(self) -> None:
        """End it, and what waits to be said."""
        self.say(None)
        self._call.cancel()

    async def _pieces(self) -> AsyncGenerator[Said]:
        while (piece := await self._said.get()) is not None:
            yield piece
