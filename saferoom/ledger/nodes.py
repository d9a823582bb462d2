"""The hashes of the tree's complete subtrees: the recent ones in memory, all of them on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from threading import Lock
from typing import Final, TypeVar

from sqlalchemy import Connection

from saferoom.state.database import Database
from saferoom_proto.merkle import HASH_BYTES, NodeReader
from saferoom_proto.reasons import Reason, SafeRoomError

T = TypeVar("T")

CACHED_NODES: Final = 1 << 16
"""About 15 MB: all proofs of the last 30,000 entries, and of what was asked for of late."""

_HIGH_LEVEL: Final = 10
"""From here up a subtree covers 1,024 entries: such hashes are in most proofs, and stay. Five
million entries have 10,000 of them."""

_SELECT: Final = "SELECT hash FROM node WHERE level = ? AND idx = ?"
# CROSS JOIN has SQLite look up each place; asked with IN, it read the whole table.
_SELECT_ALL: Final = """
WITH wanted (level, idx) AS (VALUES {})
SELECT node.level, node.idx, node.hash
FROM wanted CROSS JOIN node ON node.level = wanted.level AND node.idx = wanted.idx
"""


class Nodes:
    """Reads subtree hashes for roots and proofs, from any thread.

    Only hashes that are durable are ever kept here, and those never change.
    """

    def __init__(self, database: Database, capacity: int = CACHED_NODES) -> None:
        self._database: Final = database
        self._capacity: Final = capacity
        self._kept: Final[dict[tuple[int, int], bytes]] = {}
        self._high: Final[dict[tuple[int, int], bytes]] = {}
        self._lock: Final = Lock()

    def keep(self, nodes: Mapping[tuple[int, int], bytes]) -> None:
        """Remember hashes that a commit has made durable; those kept longest go."""
        with self._lock:
            for place, hashed in nodes.items():
                (self._high if place[0] >= _HIGH_LEVEL else self._kept)[place] = hashed
            while len(self._kept) > self._capacity:
                del self._kept[next(iter(self._kept))]

    def compute(self, formula: Callable[[NodeReader], T]) -> T:
        """Compute a root or a proof from the hashes it asks for.

        Args:
            formula: called with the reader; called again if it needs hashes from the disk.

        Raises:
            SafeRoomError: `BAD_PROOF` if the disk lacks a hash.
        """
        try:
            return formula(self._recall)
        except KeyError:
            with self._database.read() as connection:
                return formula(lambda level, index: self._look_up(connection, level, index))

    def path(self, formula: Callable[[NodeReader], tuple[bytes, ...]]) -> tuple[bytes, ...]:
        """Compute a proof; all that the disk is asked for, it is asked for at once.

        A proof of an old entry needs a dozen hashes that memory lacks. Asked for one by one, each
        gives the interpreter away and waits to have it back, which on a busy server is 5 ms.

        Args:
            formula: asks for the same places whatever stands there; called twice.

        Raises:
            SafeRoomError: `BAD_PROOF` if the disk lacks a hash.
        """
        known: dict[tuple[int, int], bytes] = {}
        missing: list[tuple[int, int]] = []

        def ask(level: int, index: int) -> bytes:
            place = level, index
            if place not in known:
                try:
                    known[place] = self._recall(level, index)
                except KeyError:
                    missing.append(place)
                    known[place] = bytes(HASH_BYTES)
            return known[place]

        path = formula(ask)
        if not missing:
            return path
        found = self._look_up_all(missing)
        known |= found
        self.keep(found)
        return formula(lambda level, index: known[level, index])

    def _look_up_all(self, places: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        sql = _SELECT_ALL.format(", ".join(["(?, ?)"] * len(places)))
        with self._database.read() as connection:
            rows = connection.exec_driver_sql(sql, tuple(chain.from_iterable(places))).all()
        found = {(int(level), int(index)): bytes(hashed) for level, index, hashed in rows}
        for place in places:
            if place not in found:
                raise _missing(*place)
        return found

    def _recall(self, level: int, index: int) -> bytes:
        # Without the lock: a look-up in a dictionary is whole by itself.
        return (self._high if level >= _HIGH_LEVEL else self._kept)[level, index]

    def _look_up(self, connection: Connection, level: int, index: int) -> bytes:
        try:
            return self._recall(level, index)
        except KeyError:
            found = connection.exec_driver_sql(_SELECT, (level, index)).scalar_one_or_none()
        if not isinstance(found, bytes):
            raise _missing(level, index)
        self.keep({(level, index): found})
        return found


def _missing(level: int, index: int) -> SafeRoomError:
    return SafeRoomError(Reason.BAD_PROOF, f"the subtree {level}/{index} is missing")
