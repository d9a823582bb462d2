"""What the room hands to an enclave with a request for a report or a list: what is disputed there.

The enclave verifies each statement, and marks the columns: the room cannot make up a mark. It could
keep one back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from saferoom.archive import Archive
from saferoom.mentions import About
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import Dispute, DisputeAnswer, DisputeWithdrawal, load

MOST_BYTES: Final = 2 << 20
"""An enclave verifies all of it each time: a subject must not slow reports by long words."""
MOST_SAID: Final = 1000
"""Statements handed over at once (`ReportRequest.disputes`)."""


async def disputes_of(archive: Archive, owner: str, subject: str) -> tuple[Envelope, ...]:
    """Find what was said of a subject's disputes with an owner: the newest, in their order."""
    of_subject, to_owner = About.DISPUTES_OF_SUBJECT, About.DISPUTES_TO_OWNER
    return _newest(await archive.about_both((of_subject, subject), (to_owner, owner)))


async def disputes_in(archive: Archive, owner: str, table: str) -> tuple[Envelope, ...]:
    """Find what was said of disputes in one of an owner's tables: the newest, in their order.

    It is looked for among the newest thousand statements about disputes with that owner.
    """
    found = await archive.about(About.DISPUTES_TO_OWNER, owner, most=MOST_SAID)
    newest = [each.envelope for each in reversed(found)]
    own = {
        each.digest
        for each in newest
        if each.payload_type == Dispute.payload_type()
        and (load(each, Dispute).field or "").startswith(f"{table}.")
    }
    return _newest(each for each in newest if _dispute_of(each) in own)


def _dispute_of(statement: Envelope) -> str:
    for kind in (DisputeAnswer, DisputeWithdrawal):
        if statement.payload_type == kind.payload_type():
            return load(statement, kind).dispute
    return statement.digest


def _newest(newest: Iterable[Envelope]) -> tuple[Envelope, ...]:
    """Give as much of it as an enclave is handed, in its order.

    Args:
        newest: what was said, the newest first: what ends a dispute stands after it, and so is
            never left out alone.
    """
    kept: list[Envelope] = []
    answered: set[str] = set()
    left = MOST_BYTES
    for envelope in newest:
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
