"""A child that is talked with: one order, and then message by message, until it is let go."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import ValidationError

from saferoom_enclaves.children import frames
from saferoom_enclaves.children.bounds import Bounds
from saferoom_enclaves.children.jobs import Exchanged
from saferoom_proto.reasons import Reason, SafeRoomError

MOST_SAID_BYTES: Final = 256 << 20
"""What a child may say at once: an answer, a state."""
_MOST_FRAMES: Final = 3


class Conversation:
    """The enclave's end of a talk. One thread at a time uses it.

    Args:
        channel: to the child.
        bounds: the child's.
        failed: says why the child is gone.
    """

    def __init__(
        self, channel: socket.socket, bounds: Bounds, failed: Callable[[], SafeRoomError]
    ) -> None:
        self._channel: Final = channel
        self._failed: Final = failed
        channel.settimeout(bounds.wall_seconds)

    def begin(self, order: bytes, files: Sequence[int]) -> Exchanged:
        """Give the order, and hear that the child is ready.

        Raises:
            ChildError: it is gone, or says nothing.
        """
        return self._talked(order, files)[0]

    def say(self, message: bytes) -> tuple[Exchanged, list[bytes]]:
        """Pass a message on, and hear what it comes to.

        Raises:
            ChildError: it is gone, or says nothing.
        """
        return self._talked(message, ())

    def _talked(self, message: bytes, files: Sequence[int]) -> tuple[Exchanged, list[bytes]]:
        try:
            frames.send(self._channel, message, files)
            told = self._heard()
            return told, [self._frame() for _ in range(told.frames)]
        except (OSError, SafeRoomError) as error:
            raise self._failed() from error

    def _heard(self) -> Exchanged:
        try:
            told = Exchanged.model_validate_json(self._frame())
        except ValidationError:
            raise SafeRoomError(Reason.INTERNAL, "a child's answer: not of the form") from None
        if told.frames not in (0, _MOST_FRAMES):
            raise SafeRoomError(Reason.INTERNAL, "a child says too much")
        return told

    def _frame(self) -> bytes:
        frame = frames.receive(self._channel, MOST_SAID_BYTES, 0)
        if frame is None:
            raise SafeRoomError(Reason.INTERNAL, "a child ended in mid-talk")
        return frame.message
