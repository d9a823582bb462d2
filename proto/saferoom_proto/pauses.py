"""Which uses of an owner's store are stopped: one approver stops, m of n let go on.

The enclave goes by it, and the owner's client counts with it how many are still needed. It does
not matter in which order the words come: every approver's latest word for going on counts if it
is later than the last stop. Who no longer is an approver lets nothing go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from saferoom_proto.statements import Pause
from saferoom_proto.verification import PinnedCharter

Target = str | None
"""A template's digest; none is all use."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A use that is stopped.

    Attributes:
        since: the last stop's instant.
        resumed_by: the approvers who would let it go on, too few so far.
    """

    since: datetime
    resumed_by: tuple[str, ...]


class Pauses:
    """The approvers' words on pauses of one owner."""

    def __init__(self) -> None:
        self._stops: dict[Target, datetime] = {}
        self._resumed: dict[Target, dict[str, datetime]] = {}

    def take(self, pause: Pause, keyid: str, at: datetime) -> None:
        """Take an approver's word.

        Args:
            pause: verified.
            keyid: of the key that signed it.
            at: when it counts from.
        """
        if pause.paused:
            self._stops[pause.template] = max(at, self._stops.get(pause.template, at))
        else:
            resumed = self._resumed.setdefault(pause.template, {})
            resumed[keyid] = max(at, resumed.get(keyid, at))

    def stopped(self, charter: PinnedCharter) -> dict[Target, Stopped]:
        """Tell what is stopped under a charter.

        Of a stop and a word for going on at one instant, the stop counts.
        """
        names = {
            key.keyid: approver.name
            for key, approver in zip(charter.approver_keys, charter.charter.approvers, strict=True)
        }
        found: dict[Target, Stopped] = {}
        for target, since in self._stops.items():
            resumed = self._resumed.get(target, {})
            by = sorted(names[each] for each, at in resumed.items() if each in names and at > since)
            if len(by) < charter.charter.threshold:
                found[target] = Stopped(since, tuple(by))
        return found
