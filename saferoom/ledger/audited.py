"""What of the log has been recomputed in this run, and the rest of it, beside the room's work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy.exc import DatabaseError

from saferoom.ledger.audit import audit, audit_since, newest_size
from saferoom.ledger.entries import Tip
from saferoom.ledger.mark import MarkedStream, drop_mark, make_mark, read_mark, write_mark
from saferoom.state.database import Database
from saferoom_proto.checkpoint import open_checkpoint
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError

WHOLE_UP_TO: Final = 20_000
"""Entries that every start recomputes: half a second (benchmarks/ledger.py)."""
MARK_EVERY: Final = 20_000
"""Entries after which the mark is moved on, so that a start after a kill has no more to do."""

_REST_SHARE: Final = 1.0
"""The audit beside the room's work rests as long as it works: it has half a processor."""


class _StoppedError(Exception):
    """The ledger closes."""


class Audited:
    """Recomputes a log when it is opened and while it is used, and keeps its mark.

    Args:
        database: the log's.
        origin: its name.
        key: signs marks.
        whole_up_to: entries that are recomputed at once.
    """

    def __init__(
        self, database: Database, origin: str, key: SigningKey, whole_up_to: int = WHOLE_UP_TO
    ) -> None:
        self._database: Final = database
        self._origin: Final = origin
        self._key = key
        self._whole_up_to: Final = whole_up_to
        self._whole = False
        self._marked = 0
        self._stopping = False
        self.rest: asyncio.Task[None] | None = None
        """Recomputes what the opening left out; fails with what does not fit."""

    def open(self, kinds: Sequence[str]) -> Tip | None:
        """Check as much as the room may not start without; gives the tip, none for a new log.

        Raises:
            SafeRoomError: `BAD_PROOF`, naming the place; `STORE_DAMAGED` if SQLite can't read it.
        """
        verify, path = self._key.verify_key, self._database.path
        mark = read_mark(path, self._origin, verify)
        try:
            with self._database.read() as connection:
                if mark is not None and newest_size(connection) > self._whole_up_to:
                    self._marked = mark.size
                    return audit_since(connection, self._origin, verify, mark, kinds)
                tip = audit(connection, self._origin, verify)
        except DatabaseError as error:
            raise self._unreadable(error) from error
        self._whole = True
        return tip

    def start(self, tell: Callable[[], Tip]) -> None:
        """Recompute the rest, if the opening left any, and move the mark (in the event loop)."""
        if not self._whole:
            self.rest = asyncio.create_task(self._finish(tell), name="audit")
            # Whoever waits for it learns of a failure; with nobody waiting it must not be silent.
            self.rest.add_done_callback(_looked_at)
        else:
            self.move_mark(tell())

    def go_by(self, key: SigningKey) -> None:
        """Verify and sign by this key from now on."""
        self._key = key

    def committed(self, tip: Tip) -> None:
        """Move the mark on now and then: later entries are this ledger's own (any thread)."""
        if self._whole and tip.size - self._marked >= MARK_EVERY:
            self.move_mark(tip)

    def move_mark(self, tip: Tip) -> None:
        """Sign that everything up to a tip is as it was signed."""
        if not self._whole or tip.size <= max(self._whole_up_to, self._marked):
            return
        root = open_checkpoint(tip.note, self._origin, self._key.verify_key).root
        streams = {
            owner: MarkedStream(sequence=head.sequence, running=head.running)
            for owner, head in sorted(tip.streams.items())
        }
        mark = make_mark(self._origin, tip.size, root, streams)
        write_mark(self._database.path, mark, self._key)
        self._marked = tip.size

    async def close(self, tip: Tip) -> None:
        """End what is under way; the mark stands where everything is known."""
        self._stopping = True
        if self.rest is not None:
            await asyncio.wait([self.rest])
        self.move_mark(tip)

    async def _finish(self, tell: Callable[[], Tip]) -> None:
        try:
            await asyncio.to_thread(self._recompute)
        except _StoppedError:
            return
        except SafeRoomError:
            # The next start recomputes everything, and refuses.
            drop_mark(self._database.path)
            raise
        self._whole = True
        self.move_mark(tell())

    def _recompute(self) -> None:
        worked = time.monotonic()

        def rest() -> None:
            nonlocal worked
            until = time.monotonic() + (time.monotonic() - worked) * _REST_SHARE
            while time.monotonic() < until and not self._stopping:
                time.sleep(0.01)
            if self._stopping:
                raise _StoppedError
            worked = time.monotonic()

        try:
            with self._database.read() as connection:
                audit(connection, self._origin, self._key.verify_key, rest)
        except DatabaseError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: DatabaseError) -> SafeRoomError:
        detail = f"{self._database.path} is damaged: {error.orig}"
        return SafeRoomError(Reason.STORE_DAMAGED, detail)


def _looked_at(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
