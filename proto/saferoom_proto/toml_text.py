"""What people write in TOML: settings of a room and of a broker."""

from __future__ import annotations

import tomllib
from typing import Final

from saferoom_proto.document import require_shallow
from saferoom_proto.reasons import SafeRoomError

LIMIT_BYTES: Final = 1 << 14
"""The longest settings have 4 KiB. Dotted keys take the parser time that grows with their square:
the worst text of this length a second, one of 100 KB almost a minute (measured)."""


def read_toml(data: bytes) -> dict[str, object]:
    """Read a TOML document.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if len(data) > LIMIT_BYTES:
        raise ValueError(f"it has {len(data)} bytes, at most {LIMIT_BYTES} are read")
    try:
        document = tomllib.loads(data.decode("utf-8"))
        require_shallow(document)
    except (RecursionError, SafeRoomError) as error:
        raise ValueError("nested too deeply") from error
    return document
