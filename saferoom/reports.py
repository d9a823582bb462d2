"""What the room hands to an enclave with a request for a report: what its subject disputes there.

The enclave verifies each statement, and marks the columns: the room cannot make up a mark. It could
keep one back.
"""

from __future__ import annotations

from typing import Final

from saferoom.archive import Archive
from saferoom.mentions import About
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import Dispute, DisputeAnswer, DisputeWithdrawal, load

MOST: Final = 1000
"""The newest: a hundred may be open with one owner, each answered twenty times at most."""
MOST_BYTES: Final = 2 << 20
"""An enclave verifies all of it for every report: a subject must not slow its own by long words."""


async def disputes_of(archive: Archive, owner: str, subject: str) -> tuple[Envelope, ...]:
    """Find what was said of a subject's disputes with an owner: the newest, in their order."""
    found = await archive.about(About.DISPUTES_OF_SUBJECT, subject, most=MOST)
    kept: list[Envelope] = []
    left = MOST_BYTES
    # From the newest on: what ends a dispute stands after it, and so is never left out alone.
    for envelope in (each.envelope for each in reversed(found)):
        left -= len(envelope.payload)
        if left < 0:
            break
        if _owner(envelope) == owner:
            kept.append(envelope)
    return tuple(reversed(kept))


def _owner(envelope: Envelope) -> str:
    kinds = (Dispute, DisputeAnswer, DisputeWithdrawal)
    (kind,) = (each for each in kinds if each.payload_type() == envelope.payload_type)
    return load(envelope, kind).owner
