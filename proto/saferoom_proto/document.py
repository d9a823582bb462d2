"""What any document may hold, whether it is written in JSON or in YAML.

Source: RFC 8259 section 6 (numbers), section 8.2 (characters), section 9 (limits of readers).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, cast

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

_NUMBER_CHARS: Final = 64
"""No amount, grid point or count is longer; a longer number only costs the reader time."""

_NESTING: Final = 64
"""Far above any statement; readers differ in where they give up, some by crashing."""

_PATH_CHARS: Final = 200
"""A key path is shown to its writer; a longer one is cut."""


def read_decimal(text: str) -> Decimal:
    """Read a fraction exactly, if a double can hold a number near it.

    Raises:
        ValueError: if it is longer than 64 characters or beyond a double's range.
    """
    if len(text) > _NUMBER_CHARS:
        raise ValueError("a number is too long")
    mantissa = text.lower().partition("e")[0]
    nearest = float(text)
    if math.isinf(nearest) or (nearest == 0 and mantissa.strip("-0.")):
        raise ValueError("a number is out of a double's range")
    return Decimal(text) if nearest else Decimal(mantissa)


def read_integer(text: str) -> int:
    """Read a whole number exactly.

    Raises:
        ValueError: if it is longer than 64 characters.
    """
    if len(text) > _NUMBER_CHARS:
        raise ValueError("a number is too long")
    return int(text)


def require_shallow(document: object) -> None:
    """Check that lists and objects stand at most 64 deep inside the outermost.

    Raises:
        SafeRoomError: `MALFORMED`.
    """
    level = [document]
    for _ in range(_NESTING + 1):
        if not (level := [inner for outer in level for inner in _inner_containers(outer)]):
            return
    raise SafeRoomError(Reason.MALFORMED, f"nested more than {_NESTING} deep")


def _inner_containers(value: object) -> list[object]:
    if isinstance(value, dict):
        inner = list(cast("dict[str, object]", value).values())
    else:
        inner = cast("list[object]", value) if isinstance(value, list) else []
    return [item for item in inner if isinstance(item, (dict, list))]


def walk(value: object, path: str = "$") -> Iterator[tuple[str, object]]:
    """Give every value of a shallow document with its path, keys included, outermost first."""
    yield path, value
    if isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            yield f"{path} key", key
            # Cut here already: a long key before many values would be copied for each of them.
            yield from walk(item, f"{path}.{key}"[:_PATH_CHARS])
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[object]", value)):
            yield from walk(item, f"{path}[{index}]")


def refuse_lone_surrogates(document: object) -> None:
    """Check that every string is made of characters, which UTF-8 can write.

    Raises:
        SafeRoomError: `MALFORMED` naming the key path.
    """
    for path, value in walk(document):
        if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
            raise fault(path, "half of a surrogate pair is not a character")


def fault(path: str, rule: str) -> SafeRoomError:
    """Make the refusal of one place in a document; the path is shown to its writer."""
    shown = path.removeprefix("$.").encode("utf-8", "replace").decode("utf-8")[:_PATH_CHARS]
    return SafeRoomError(Reason.MALFORMED, f"{shown}: {rule}", [FieldFault(shown, rule)])
