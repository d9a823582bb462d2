"""What the room hands to an enclave with a request for a report: what its subject disputes there.

The enclave verifies each statement, and marks the columns: the room cannot make up a mark. It could
keep one back.
"""

from __future__ import annotations

from typing import Final

from saferoom.archive import Archive
from saferoom.mentions import About
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import DisputeAnswer, load

MOST_BYTES: Final = 2 << 20
"""An enclave verifies all of it for every report: a subject must not slow its own by long words."""


async def disputes_of(archive: Archive, owner: str, subject: str) -> tuple[Envelope, ...]:
    """Find what was said of a subject's disputes with an owner: the newest, in their order."""
    of_subject, to_owner = About.DISPUTES_OF_SUBJECT, About.DISPUTES_TO_OWNER
    kept: list[Envelope] = []
    answered: set[str] = set()
    left = MOST_BYTES
    # From the newest on: what ends a dispute stands after it, and so is never left out alone.
    for envelope in await archive.about_both((of_subject, subject), (to_owner, owner)):
        if envelope.payload_type == DisputeAnswer.payload_type():
            dispute = load(envelope, DisputeAnswer).dispute
            if dispute in answered:
                continue  # the newest answer counts
            answered.add(dispute)
        left -= len(envelope.payload)
        if left < 0:
            break
        kept.append(envelope)
    return tuple(reversed(kept))
