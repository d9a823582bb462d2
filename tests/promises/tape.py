"""Records every message that a client of the room gets or sends, as bytes, refusals included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import grpc

from saferoom_client.profile import Profile

Keep = Callable[[str, bytes | str], None]
"""Is told where something was seen, and what."""


class TapedChannel:
    """A client's channel, every message of which is kept.

    Args:
        channel: the real one.
        name: whose it is.
        keep: takes what was seen.
    """

    def __init__(self, channel: grpc.aio.Channel, name: str, keep: Keep) -> None:
        self._channel: Final = channel
        self._name: Final = name
        self._keep: Final = keep

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def unary_unary(self, method: str, **kwargs: Any) -> Any:
        """Make a call that keeps its messages."""
        return self._channel.unary_unary(method, **self._taped(method, kwargs))

    def stream_unary(self, method: str, **kwargs: Any) -> Any:
        """Make a call with a stream of requests that keeps its messages."""
        return self._channel.stream_unary(method, **self._taped(method, kwargs))

    def stream_stream(self, method: str, **kwargs: Any) -> Any:
        """Make a call with two streams that keeps its messages."""
        return self._channel.stream_stream(method, **self._taped(method, kwargs))

    def _taped(self, method: str, kwargs: dict[str, Any]) -> dict[str, Any]:
        write, read = kwargs["request_serializer"], kwargs["response_deserializer"]

        def sent(message: object) -> bytes:
            data: bytes = write(message)
            self._keep(f"{self._name} sends {method}", data)
            return data

        def got(data: bytes) -> object:
            self._keep(f"{self._name} gets {method}", data)
            return read(data)

        return {**kwargs, "request_serializer": sent, "response_deserializer": got}


def taping(
    open_channel: Callable[[Profile], grpc.aio.Channel], keep: Keep
) -> Callable[[Profile], TapedChannel]:
    """Give what opens taped channels in place of plain ones."""

    def taped(profile: Profile) -> TapedChannel:
        member = profile.member
        return TapedChannel(open_channel(profile), f"{member.organisation}/{member.name}", keep)

    return taped


def keep_refusal(error: BaseException, where: str, keep: Keep) -> None:
    """Keep all that an error tells: its text, its causes, and the status of a failed call."""
    cause: BaseException | None = error
    while cause is not None:
        keep(where, f"{cause!r} {cause}")
        if isinstance(cause, grpc.aio.AioRpcError):
            keep(where, f"{cause.code()} {cause.details()} {cause.debug_error_string()}")
            for key, value in (*cause.initial_metadata(), *cause.trailing_metadata()):
                keep(where, key)
                keep(where, value)
        cause = cause.__cause__ or cause.__context__
