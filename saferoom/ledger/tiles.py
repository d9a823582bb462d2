"""The log as tiles: 256 hashes of neighbouring subtrees each, or 256 leaves, for anybody to copy.

A tile's bytes never change once its last hash is there, so caches may keep them for ever, and a
reader computes every root and proof itself. What leaves here are hashes and salted commitments.

Source: c2sp.org/tlog-tiles.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Final, Self

from saferoom.state.database import Database
from saferoom_proto.entry import leaf
from saferoom_proto.reasons import Reason, SafeRoomError

WIDTH: Final = 256
"""Hashes of a full tile."""
MOST_READING: Final = 2
"""Tiles read at once: a crowd of readers must not take the connections that calls need."""
_HEIGHT: Final = 8
"""Levels of the tree that one tile spans: 2^8 is its width."""
_MOST_LEVEL: Final = 63
_PATH: Final = re.compile(
    r"/tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?",
    re.ASCII,
)
_LENGTH: Final = struct.Struct(">H")

# Range queries of their own: what is kept in memory for proofs must not make room for a crawler.
_HASHES: Final = "SELECT hash FROM node WHERE level = ? AND idx BETWEEN ? AND ? ORDER BY idx"
_LEAVES: Final = "SELECT commitment FROM entry WHERE idx BETWEEN ? AND ? ORDER BY idx"


@dataclass(frozen=True, slots=True)
class Place:
    """Which tile is asked for.

    Attributes:
        level: of the tile; None for a bundle of entries.
        index: of the tile within its level.
        width: how many of its hashes; all, or fewer of one that was the last at some size.
    """

    level: int | None
    index: int
    width: int

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read a path as the standard writes it: `/tile/1/x001/234.p/17`.

        Raises:
            SafeRoomError: `MALFORMED` for any other path.
        """
        found = _PATH.fullmatch(path)
        if found is None:
            raise SafeRoomError(Reason.MALFORMED, "not the path of a tile")
        level = None if found[1] == "entries" else int(found[1])
        index = int(found[2].replace("x", "").replace("/", ""))
        width = int(found[3] or WIDTH)
        again = _path(index)
        if again != found[2] or (level or 0) > _MOST_LEVEL or (found[3] and width >= WIDTH):
            raise SafeRoomError(Reason.MALFORMED, "not the path of a tile")
        return cls(level, index, width)


class Tiles:
    """Reads tiles of a log, from any thread.

    Args:
        database: the log's.
        size: gives how many entries are under its newest checkpoint.
    """

    def __init__(self, database: Database, size: Callable[[], int]) -> None:
        self._database: Final = database
        self._size: Final = size
        self._reading: Final = BoundedSemaphore(MOST_READING)

    def read(self, place: Place) -> bytes | None:
        """Give a tile's bytes; None if the log has not come as far."""
        level = place.level or 0
        first = place.index * WIDTH
        last = first + place.width - 1
        if last >= self._size() >> (_HEIGHT * level):
            return None
        with self._reading, self._database.read() as connection:
            if place.level is None:
                rows = connection.exec_driver_sql(_LEAVES, (first, last)).scalars().all()
                leaves = [leaf(bytes(each)) for each in rows]
                whole = b"".join(_LENGTH.pack(len(each)) + each for each in leaves)
            else:
                place_of = (_HEIGHT * level, first, last)
                rows = connection.exec_driver_sql(_HASHES, place_of).scalars().all()
                whole = b"".join(bytes(each) for each in rows)
        if len(rows) != place.width:
            raise SafeRoomError(Reason.BAD_PROOF, f"tile {level}/{place.index} has a gap")
        return whole


def _path(index: int) -> str:
    """Write an index in groups of three digits; all but the last begin with x."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    return "/".join(reversed(groups))
