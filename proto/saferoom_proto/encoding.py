"""Strict JSON, base64 and digests: bytes that mean one thing to every reader.

Two readers that take different things from the same signed bytes are an attack, so whatever the
standards leave open is refused here: duplicate keys, a second document, NaN, numbers no double can
hold, lone surrogates, base64 with stray bits.

Source: RFC 8259 (JSON), RFC 7493 (I-JSON), RFC 4648 section 4 (base64).
"""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Final, NoReturn, cast

from saferoom_proto.document import (
    fault,
    read_decimal,
    read_integer,
    refuse_lone_surrogates,
    require_shallow,
    walk,
)
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite, suite_of

JSON_LIMIT_BYTES: Final = 1 << 20
"""A statement is a few KiB; 1 MiB leaves room for a batch's signed request."""


def parse_object(data: bytes, limit: int = JSON_LIMIT_BYTES) -> dict[str, object]:
    """Read exactly one JSON object, refusing whatever two readers could take differently.

    Args:
        data: UTF-8 without a byte order mark.
        limit: the most bytes accepted.

    Returns:
        The object; fractions and exponents as `Decimal`, whole numbers as `int`.

    Raises:
        SafeRoomError: `TOO_LARGE` past the limit, else `MALFORMED` naming the place.
    """
    if len(data) > limit:
        raise SafeRoomError(Reason.TOO_LARGE, f"{len(data)} bytes of JSON, at most {limit}")
    repeated: list[tuple[dict[str, object], str]] = []
    document = _read_json(data, repeated)
    require_shallow(document)
    if repeated:
        owner, name = repeated[-1]
        path = next(path for path, value in walk(document) if value is owner)
        raise fault(f"{path}.{name}", "the key stands twice")
    if b"\\u" in data:
        refuse_lone_surrogates(document)
    if not isinstance(document, dict):
        raise SafeRoomError(Reason.MALFORMED, "JSON: the document is not an object")
    return cast("dict[str, object]", document)


def dump(obj: object) -> bytes:
    """Write compact JSON with sorted keys in UTF-8, the same bytes for the same value.

    A `Decimal` is written as a number if a double holds it exactly as written, so that no reader
    sees another value; a finer one belongs in a string (RFC 7493 section 2.2).

    Raises:
        SafeRoomError: `MALFORMED` for a value that JSON cannot carry.
        TypeError: for an object that is no JSON value at all.
    """
    try:
        text = json.dumps(
            obj,
            ensure_ascii=False,
            allow_nan=False,
            sort_keys=True,
            separators=(",", ":"),
            default=_decimal_as_number,
        )
        return text.encode("utf-8")
    except (UnicodeEncodeError, ValueError, RecursionError) as error:
        raise SafeRoomError(Reason.MALFORMED, f"not a JSON value: {error}") from error


def b64(data: bytes) -> str:
    """Write standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def unb64(text: str) -> bytes:
    """Read standard base64 in its one canonical form.

    Raises:
        SafeRoomError: `MALFORMED` for another alphabet, white space, missing padding or stray bits.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise SafeRoomError(Reason.MALFORMED, "not base64") from error
    if b64(data) != text:
        # The last character may hold bits that belong to no byte; decoders drop them silently.
        raise SafeRoomError(Reason.MALFORMED, "not canonical base64")
    return data


def sha256_digest(data: bytes) -> str:
    """Name bytes by their digest: `sha256:` and 64 lower-case hex digits."""
    return Suite.INTERNATIONAL.digest(data)


def digest_bytes(digest: str) -> bytes:
    """Give the 32 bytes of a digest that was read as one; none of an empty text."""
    return bytes.fromhex(digest.rpartition(":")[2])


def check_digest(text: str) -> str:
    """Give a digest back if it is written as `Suite.digest` writes it, of whichever suite.

    Raises:
        SafeRoomError: `MALFORMED`.
    """
    suite_of(text)
    return text


def _read_json(data: bytes, repeated: list[tuple[dict[str, object], str]]) -> object:
    """Read one JSON value, and note each object that has a key twice, the outermost last."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        built = dict(pairs)
        if len(built) != len(pairs):
            seen: set[str] = set()
            name = next(name for name, _ in pairs if name in seen or seen.add(name))
            repeated.append((built, name))
        return built

    try:
        return cast(
            "object",
            json.loads(
                data.decode("utf-8"),
                object_pairs_hook=unique,
                parse_float=read_decimal,
                parse_int=read_integer,
                parse_constant=_no_constant,
            ),
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise SafeRoomError(Reason.MALFORMED, f"JSON, {place}: {error.msg}") from error
    except ValueError as error:
        raise SafeRoomError(Reason.MALFORMED, f"JSON: {error}") from error
    except RecursionError as error:
        raise SafeRoomError(Reason.MALFORMED, "JSON: nested too deeply") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _decimal_as_number(value: object) -> float:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is not a JSON value")
    number = float(value)
    if Decimal(repr(number)) != value:
        raise ValueError("a number needs more digits than a double has; write it as a string")
    return number
