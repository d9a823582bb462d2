"""What every call goes through before its service sees it, and after.

    1  errors       whatever fails inside becomes a refusal in the catalogue's words
    2  identity     who calls, by the connection's certificate
    3  access       whether the caller's roles may call this
    4  limits       how much this caller, and everybody, has under way
    5  deadline     how long it may take
    6  rules        whether the message keeps the rules of its proto

One interceptor does all of it: gRPC builds a call's handlers anew for each, for every call.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, NoReturn, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError, Message

from saferoom.access import ACCESS, require_access
from saferoom.config import LimitsConfig
from saferoom.identity import Callers, calling
from saferoom.limits import Limits
from saferoom.logs import Log, trace
from saferoom.messages import MessageRules
from saferoom.refusals import RequestRefusedError
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_errors import abort

Context = grpc.aio.ServicerContext[Message, Message]
Handler: TypeAlias = "grpc.RpcMethodHandler[Message, Message]"
# In quotes: grpc's class is generic in its stubs only.
_UnaryCall = Callable[[Message, Context], Awaitable[Message]]
_LoadCall = Callable[[AsyncIterator[Message], Context], Awaitable[Message]]
_StreamCall = Callable[[Message | AsyncIterator[Message], Context], AsyncIterable[Message]]
_WritingCall = Callable[[Message | AsyncIterator[Message], Context], Awaitable[None]]

_Reader = Callable[[bytes], Message]

_CALL_ID_BYTES: Final = 8
_METHOD_CHARS: Final = 100
"""Twice our longest method's name: of an unknown one no more goes into the log."""


class Guard(grpc.aio.ServerInterceptor):
    """Lets calls through to the services.

    Args:
        callers: names them.
        config: how much may be under way, and for how long.
        log: the operator's.
    """

    def __init__(self, callers: Callers, config: LimitsConfig, log: Log) -> None:
        self._callers: Final = callers
        self._config: Final = config
        self._log: Final = log
        self._calls: Final = Limits(config.calls, config.calls_per_caller)
        self._streams: Final = Limits(config.streams, config.streams_per_caller)
        self._rules: Final = MessageRules()
        self._guarded: Final[dict[str, Handler]] = {}

    # The base is generic over messages that are all of one class here.
    async def intercept_service(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Give the guarded handler of a method; one that refuses, for a method without a row."""
        method = handler_call_details.method
        guarded = self._guarded.get(method)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None or method not in ACCESS:
                return self._closed(method)
            guarded = self._guarded[method] = self._guard(method, handler)
        return guarded

    def _call(
        self, method: str, context: Context, limits: Limits, seconds: float | None
    ) -> AbstractAsyncContextManager[None, None]:
        """Go through steps 1 to 5 around one call; swallows no error, since a refusal raises."""
        steps = self._steps(method, context, limits, seconds)
        return cast("AbstractAsyncContextManager[None, None]", steps)

    @asynccontextmanager
    async def _steps(
        self, method: str, context: Context, limits: Limits, seconds: float | None
    ) -> AsyncGenerator[None]:
        who = "nobody"
        try:
            caller = self._callers.authenticate(context.auth_context())
            who = caller.organisation
            require_access(method, caller)
            with limits.place(who), calling(caller):
                async with asyncio.timeout(_allowed(context, seconds)):
                    yield
        except SafeRoomError as error:
            await self._refuse(context, method, who, error)
        except TimeoutError:
            await self._refuse(context, method, who, SafeRoomError(Reason.DEADLINE, "too slow"))
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - nothing of it may be told to the caller
            places = "; ".join(trace(error))
            await self._refuse(context, method, who, SafeRoomError(Reason.INTERNAL, places))

    async def _refuse(
        self, context: Context, method: str, who: str, error: SafeRoomError
    ) -> NoReturn:
        if isinstance(error, RequestRefusedError):
            metadata = error.metadata
        else:
            metadata = {"request_id": secrets.token_hex(_CALL_ID_BYTES)}
        say = self._log.error if error.reason is Reason.INTERNAL else self._log.info
        say(
            "refused",
            method=method[:_METHOD_CHARS],
            caller=who,
            reason=str(error.reason),
            detail=error.detail,
            **metadata,
        )
        await abort(context, error, metadata)

    def _guard(self, method: str, handler: Handler) -> Handler:
        # The stubs know the handlers of blocking servers only; ours are coroutines.
        if handler.response_streaming:
            inner = handler.stream_stream or handler.unary_stream
            return self._guard_stream(method, handler, cast("_StreamCall", inner))
        if handler.request_streaming:
            return self._guard_load(method, handler, cast("_LoadCall", handler.stream_unary))
        return self._guard_unary(method, handler, cast("_UnaryCall", handler.unary_unary))

    def _guard_unary(self, method: str, handler: Handler, inner: _UnaryCall) -> Handler:
        read = self._reader(handler)

        async def guarded(data: bytes, context: Context) -> Message:
            seconds = self._config.deadline_seconds
            async with self._call(method, context, self._calls, seconds):
                return await inner(read(data), context)

        return _like(handler, grpc.unary_unary_rpc_method_handler, guarded)

    def _guard_load(self, method: str, handler: Handler, inner: _LoadCall) -> Handler:
        read = self._reader(handler)

        async def guarded(pieces: AsyncIterator[bytes], context: Context) -> Message:
            seconds = self._config.load_seconds
            async with self._call(method, context, self._streams, seconds):
                messages = _read_all(pieces, read, self._config.load_idle_seconds)
                return await inner(messages, context)

        return _like(handler, grpc.stream_unary_rpc_method_handler, guarded)

    def _guard_stream(self, method: str, handler: Handler, inner: _StreamCall) -> Handler:
        read = self._reader(handler)

        def opened(data: bytes | AsyncIterator[bytes]) -> Message | AsyncIterator[Message]:
            return read(data) if isinstance(data, bytes) else _read_all(data, read, None)

        async def guarded(
            data: bytes | AsyncIterator[bytes], context: Context
        ) -> AsyncIterator[Message]:
            async with self._call(method, context, self._streams, None):
                async for response in inner(opened(data), context):
                    yield response

        async def writing(data: bytes | AsyncIterator[bytes], context: Context) -> None:
            async with self._call(method, context, self._streams, None):
                await cast("_WritingCall", inner)(opened(data), context)

        behaviour = guarded if inspect.isasyncgenfunction(inner) else writing
        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        return _like(handler, make, behaviour)

    def _reader(self, handler: Handler) -> _Reader:
        """Read a method's message and hold it to its rules: inside, where its caller is known."""

        def read(data: bytes) -> Message:
            if handler.request_deserializer is None:
                raise SafeRoomError(Reason.INTERNAL, "a method without a message")
            try:
                message = handler.request_deserializer(data)
            except DecodeError as error:
                raise SafeRoomError(Reason.MALFORMED, "not the method's message") from error
            self._rules.require(message)
            return message

        return read

    def _closed(self, method: str) -> Handler:
        """Give a handler that lets nobody through."""

        async def refuse(_: bytes, context: Context) -> bytes:
            async with self._call(method, context, self._calls, None):
                raise SafeRoomError(Reason.NOT_ALLOWED, "no such method")

        return cast("Handler", grpc.unary_unary_rpc_method_handler(refuse))


def _allowed(context: Context, seconds: float | None) -> float | None:
    """Give how long a call may take where its caller would wait longer; none if it would not.

    A caller's own deadline is gRPC's to keep: it ends the call on either side.
    """
    if seconds is None:
        return None
    # None where the caller set no deadline, which the stubs leave out.
    left = cast("float | None", context.time_remaining())
    return None if left is not None and left <= seconds else seconds


async def _read_all(
    pieces: AsyncIterator[bytes], read: _Reader, idle_seconds: float | None
) -> AsyncIterator[Message]:
    """Read a stream's messages, none of them too long after the one before."""
    source = aiter(pieces)
    while True:
        async with asyncio.timeout(idle_seconds):
            data = await anext(source, None)
        if data is None:
            return
        yield read(data)


def _like(handler: Handler, make: Callable[..., object], behaviour: object) -> Handler:
    """Make a handler that writes messages as another does, and is given them unread."""
    return cast("Handler", make(behaviour, None, handler.response_serializer))
