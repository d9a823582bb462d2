"""What the content of a sealed row is: byte strings, times, envelopes, JSON, and back again.

Rows are the enclave's own and authenticated, so their form is as plain as can be; what does not
come apart is damage.
"""

from __future__ import annotations

from datetime import UTC, datetime
from struct import Struct
from typing import Final, TypeVar

from pydantic import ValidationError

from saferoom_proto.dsse import Envelope, Signature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Part

_LENGTH_BYTES: Final = 4
_length: Final = Struct(">I").pack
_TIME_BYTES: Final = 8
_ARRIVAL_PARTS: Final = 2

P = TypeVar("P", bound=Part)


def pack(*parts: bytes) -> bytes:
    """Put byte strings behind each other so that they come apart in one way only."""
    framed = [_length(len(part)) + part for part in parts]
    return framed[0] if len(framed) == 1 else b"".join(framed)


def unpack(data: bytes, count: int | None = None) -> list[bytes]:
    """Take apart what `pack` put together: so many parts, or as many as there are.

    Raises:
        SafeRoomError: `STORE_DAMAGED` if it does not come apart so.
    """
    parts: list[bytes] = []
    start = 0
    while start < len(data):
        body = start + _LENGTH_BYTES
        end = body + int.from_bytes(data[start:body], "big")
        parts.append(data[body:end])
        start = end
    if start != len(data) or count not in (None, len(parts)):
        raise SafeRoomError(Reason.STORE_DAMAGED, "a row is not of its table's form")
    return parts


def pack_time(moment: datetime) -> bytes:
    """Write an instant of whole milliseconds in 8 bytes."""
    return round(moment.timestamp() * 1000).to_bytes(_TIME_BYTES, "big")


def unpack_time(data: bytes) -> datetime:
    """Read an instant back."""
    return datetime.fromtimestamp(int.from_bytes(data, "big") / 1000, UTC)


def pack_envelope(envelope: Envelope) -> bytes:
    """Write an envelope as it came."""
    signatures = [part for one in envelope.signatures for part in (one.keyid.encode(), one.sig)]
    return pack(envelope.media_type.encode(), envelope.payload, *signatures)


def unpack_envelope(data: bytes) -> Envelope:
    """Read an envelope back."""
    media_type, payload, *rest = unpack(data)
    pairs = zip(rest[::2], rest[1::2], strict=True)
    signatures = tuple(Signature(keyid.decode(), sig) for keyid, sig in pairs)
    return Envelope.read(media_type.decode(), payload, signatures)


def pack_arrival(statement: Envelope, arrived: datetime) -> bytes:
    """Write a statement of the stream, with the instant at which it came."""
    return pack(pack_time(arrived), pack_envelope(statement))


def unpack_arrival(data: bytes) -> tuple[Envelope, datetime]:
    """Read a statement of the stream back."""
    arrived, statement = unpack(data, _ARRIVAL_PARTS)
    return unpack_envelope(statement), unpack_time(arrived)


def read_part(document: bytes, kind: type[P]) -> P:
    """Read back what was written as JSON.

    Raises:
        SafeRoomError: `STORE_DAMAGED`.
    """
    try:
        return kind.model_validate_json(document)
    except ValidationError as error:
        raise SafeRoomError(Reason.STORE_DAMAGED, f"no {kind.__name__} in a row") from error


def read_or_first(document: bytes | None, kind: type[P]) -> P:
    """Read it back; as `read_part`, and where nothing was written yet, one with all by default."""
    return kind() if document is None else read_part(document, kind)
