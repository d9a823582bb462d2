"""Refusals on the wire: a gRPC status with one `google.rpc.ErrorInfo`, and what else helps.

`BadRequest` names the fields that are wrong, `RetryInfo` tells how long to wait.

The reason is in the details, so that a program never reads the words; the words are the catalogue's
own. The operator's detail never goes on the wire.

Source: google/rpc/status.proto, google/rpc/error_details.proto, and gRPC's convention of carrying
their bytes in the trailing metadata `grpc-status-details-bin`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NoReturn, Protocol

import grpc
from google.protobuf.message import DecodeError

# googleapis-common-protos has types beside its modules, and no py.typed to say so.
from google.rpc import (  # pyright: ignore[reportMissingTypeStubs]
    error_details_pb2,
    status_pb2,
)

from saferoom_proto.quota import Quota, QuotaError, retry_headers
from saferoom_proto.reasons import (
    CATALOGUE,
    FieldFault,
    Reason,
    SafeRoomError,
    TryLaterError,
)

DOMAIN: Final = "saferoom"
DETAILS_KEY: Final = "grpc-status-details-bin"

_MAX_FAULTS: Final = 16
_MAX_FIELD_CHARS: Final = 120
_MAX_RULE_CHARS: Final = 200
"""16 faults of at most 320 characters and their base64 stay below the 8 KiB of metadata that every
gRPC implementation takes by default."""

TOLD: Final = "told by the other side"
"""The detail of a refusal that came over the wire: the other side keeps its own."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Abortable(Protocol):
    """The one thing that ending a call needs of an asyncio server's context."""

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: tuple[tuple[str, str | bytes], ...] = (),
    ) -> NoReturn:
        """End the call with a status."""
        ...


_BY_STATUS: Final = {
    grpc.StatusCode.UNAVAILABLE: Reason.UNAVAILABLE,
    # The room gives neither without its details: a connection that broke in the middle of a TLS
    # record does, and a stream that was ended while this side wrote into it.
    grpc.StatusCode.UNKNOWN: Reason.UNAVAILABLE,
    grpc.StatusCode.INTERNAL: Reason.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.DEADLINE,
    grpc.StatusCode.UNAUTHENTICATED: Reason.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: Reason.NOT_ALLOWED,
    grpc.StatusCode.UNIMPLEMENTED: Reason.NOT_ALLOWED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Reason.TOO_LARGE,
    grpc.StatusCode.INVALID_ARGUMENT: Reason.MALFORMED,
}
"""What a status means that the gRPC library gave by itself, before any of our code ran."""


def code_of(reason: Reason) -> grpc.StatusCode:
    """Give a reason's gRPC status code."""
    return grpc.StatusCode[CATALOGUE[reason].status]


def status_of(error: SafeRoomError, metadata: Mapping[str, str] = _NOTHING) -> status_pb2.Status:
    """Write a refusal as a `google.rpc.Status`.

    Args:
        error: its reason and field faults are told, its detail is not.
        metadata: what belongs beside the reason, as `request_id` or `owner`.
    """
    words = error.words
    code: tuple[int, str] = code_of(error.reason).value
    status = status_pb2.Status(code=code[0], message=f"{words.what} {words.next_step}")
    info = error_details_pb2.ErrorInfo(
        reason=str(error.reason), domain=DOMAIN, metadata=dict(metadata)
    )
    status.details.add().Pack(info)
    if isinstance(error, TryLaterError):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_seconds * 1000))
        status.details.add().Pack(retry)
    if isinstance(error, QuotaError):
        status.message += f" {error.told}"
        violation = error_details_pb2.QuotaFailure.Violation(
            subject=error.what, description=error.told
        )
        status.details.add().Pack(error_details_pb2.QuotaFailure(violations=[violation]))
    if error.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=fault.field[:_MAX_FIELD_CHARS], description=fault.rule[:_MAX_RULE_CHARS]
            )
            for fault in error.fields[:_MAX_FAULTS]
        ]
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=violations))
    return status


async def abort(
    context: Abortable,
    error: SafeRoomError,
    metadata: Mapping[str, str] = _NOTHING,
    headers: tuple[tuple[str, str], ...] = (),
) -> NoReturn:
    """End a call of an asyncio server with a refusal.

    Args:
        context: of the call.
        error: its reason and field faults are told, its detail is not.
        metadata: what belongs beside the reason.
        headers: trailing metadata that the call would have had without the refusal.
    """
    status = status_of(error, metadata)
    own = error.quota.headers() if isinstance(error, QuotaError) else headers
    details = ((DETAILS_KEY, status.SerializeToString()),)
    trailers = (*own, *retry_headers(error), *details)
    await context.abort(code_of(error.reason), status.message, trailing_metadata=trailers)


def from_rpc_error(error: grpc.RpcError) -> SafeRoomError:
    """Read the refusal out of a failed call.

    The words of the other side are not taken over: they could be anybody's. A status without our
    details is what the gRPC library itself had to say; its text becomes the operator's detail.
    """
    info = _info(error)
    if info is None:
        code = _code(error)
        name = "no status" if code is None else code.name
        reason = Reason.INTERNAL if code is None else _BY_STATUS.get(code, Reason.INTERNAL)
        return SafeRoomError(reason, f"{name}: {_text(error)}")
    if info.reason not in Reason.__members__:
        return SafeRoomError(Reason.INTERNAL, f"the unknown reason {info.reason[:80]!r}")
    reason, seconds = Reason[info.reason], _retry_seconds(error)
    quota = Quota.of(_trailers(error))
    if seconds is not None and reason is Reason.TOO_MANY_REQUESTS and quota is not None:
        return QuotaError(quota, _quota_subject(error), seconds, TOLD)
    if seconds is not None:
        return TryLaterError(reason, TOLD, seconds)
    return SafeRoomError(reason, TOLD, _faults(error))


def metadata_of(error: grpc.RpcError) -> Mapping[str, str]:
    """Give what stands beside the reason of a failed call, as `request_id` or `owner`."""
    info = _info(error)
    return _NOTHING if info is None else MappingProxyType(dict(info.metadata))


def _info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo | None:
    status = _status(error)
    if status is None:
        return None
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info) and info.domain == DOMAIN:
            return info
    return None


def _faults(error: grpc.RpcError) -> list[FieldFault]:
    status = _status(error)
    bad = error_details_pb2.BadRequest()
    for detail in () if status is None else status.details:
        if detail.Unpack(bad):
            return [FieldFault(fault.field, fault.description) for fault in bad.field_violations]
    return []


def _retry_seconds(error: grpc.RpcError) -> float | None:
    status = _status(error)
    retry = error_details_pb2.RetryInfo()
    for detail in () if status is None else status.details:
        if detail.Unpack(retry):
            return retry.retry_delay.ToMilliseconds() / 1000
    return None


def _quota_subject(error: grpc.RpcError) -> str:
    status = _status(error)
    failure = error_details_pb2.QuotaFailure()
    for detail in () if status is None else status.details:
        if detail.Unpack(failure):
            subjects = {each.subject for each in failure.violations}
            return "streams" if subjects == {"streams"} else "calls"
    return "calls"


def _status(error: grpc.RpcError) -> status_pb2.Status | None:
    for key, value in _trailers(error):
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def _trailers(error: grpc.RpcError) -> Iterable[tuple[str, str | bytes]]:
    if isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return error.trailing_metadata() or ()
    return ()


def _code(error: grpc.RpcError) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else None


def _text(error: grpc.RpcError) -> str:
    if isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return error.details() or "without a word"
    return type(error).__name__
