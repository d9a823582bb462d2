"""Pauses, replayed: which uses of an owner's store were stopped, as its enclave had heard."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime

from saferoom_proto.pauses import Pauses, Target
from saferoom_proto.statements import Pause
from saferoom_proto.verification import PinnedCharter


@dataclass(frozen=True, slots=True)
class _Said:
    """An approver's verified word, the key that signed it, and an instant before it was entered."""

    pause: Pause
    keyid: str
    not_before: datetime


@dataclass(slots=True)
class Stops:
    """One owner's pauses, in the log's order."""

    _entries: list[int] = field(default_factory=list[int])
    _said: list[_Said] = field(default_factory=list[_Said])
    _known: dict[tuple[int, str], frozenset[Target]] = field(
        default_factory=dict[tuple[int, str], frozenset[Target]]
    )

    def take(self, entry: int, pause: Pause, keyid: str, not_before: datetime) -> None:
        """Take an approver's word that stands in an entry."""
        self._entries.append(entry)
        self._said.append(_Said(pause, keyid, not_before))

    def stopped(self, template: str, heard: int, charter: PinnedCharter) -> int | None:
        """Give the entry of the stop that an enclave had heard of; none if its use may go on."""
        count = bisect_right(self._entries, heard)
        return self._last_stop(template, 0, count) if self._is(template, count, charter) else None

    def unheard(
        self, template: str, heard: int, charter: PinnedCharter
    ) -> tuple[int, datetime] | None:
        """Give the entry of a stop that had not reached the enclave, and an instant before it."""
        count = bisect_right(self._entries, heard)
        if count == len(self._said) or not self._is(template, len(self._said), charter):
            return None
        entry = self._last_stop(template, count, len(self._said))
        if entry is None:
            return None
        return entry, self._said[self._entries.index(entry)].not_before

    def _is(self, template: str, count: int, charter: PinnedCharter) -> bool:
        key = (count, charter.digest)
        if key not in self._known:
            pauses = Pauses()
            for said in self._said[:count]:
                pauses.take(said.pause, said.keyid, said.pause.at)
            self._known[key] = frozenset(pauses.stopped(charter))
        return not self._known[key].isdisjoint({None, template})

    def _last_stop(self, template: str, start: int, end: int) -> int | None:
        stops = [
            entry
            for entry, said in zip(self._entries[start:end], self._said[start:end], strict=True)
            if said.pause.paused and said.pause.template in {None, template}
        ]
        return stops[-1] if stops else None
