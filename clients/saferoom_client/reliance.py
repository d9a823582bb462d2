"""Whom a session relies on to see that everybody is shown one log."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from saferoom_proto.statements.witnesses import WitnessPolicy


@dataclass(slots=True)
class Reliance:
    """The witnesses relied on, and when the log is next held against their word."""

    policy: WitnessPolicy | None
    due: float = 0.0
    checking: asyncio.Lock = field(default_factory=asyncio.Lock)
