"""Judging what a witness says against a room, by whoever holds the room's card and no more.

A witness can lie too. Two heads of one size and unlike roots, both signed by the room, are proof by
themselves. Heads of unlike sizes are not: what was shown beside them as a proof nobody signed. So
the room is asked to join the two. One log can be joined with its own earlier head at any time, and
no room can join two that are not one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.tongue import later
from saferoom_client.witness.folder import Evidence, Misdeed
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.merkle import verify_consistency
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import ledger_pb2


class Verdict(StrEnum):
    """What an accusation comes to."""

    PROVEN = "proven"
    """The room signed what no honest room signs."""
    REFUTED = "refuted"
    """The room joined the two heads: they are of one log."""
    UNPROVEN = "unproven"
    """It rests on the witness's word."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and why."""

    verdict: Verdict
    why: str


async def judge(session: Session, evidence: Evidence) -> Judged:
    """Judge a witness's evidence under the keys that this member pinned.

    Raises:
        SafeRoomError: `BAD_CONFIG` for evidence against another room.
        Refused: the room does not answer, which proves nothing.
    """
    trust = session.profile.trust
    if evidence.origin != trust.origin:
        detail = f"the evidence is against {evidence.origin}, and this member's is {trust.origin}"
        raise SafeRoomError(Reason.BAD_CONFIG, detail)
    # Step 1: the room's own signatures. What it did not sign says nothing about it.
    if evidence.misdeed in _WORDS_ALONE:
        return Judged(Verdict.UNPROVEN, _WORDS_ALONE[evidence.misdeed])
    try:
        seen, shown = (trust.open_checkpoint(note) for note in (evidence.seen, evidence.shown))
    except SafeRoomError:
        return Judged(Verdict.UNPROVEN, _UNSIGNED)
    # Step 2: two trees of one size need no more.
    smaller, larger = sorted((seen, shown), key=lambda head: head.size)
    if smaller.size == larger.size:
        if smaller.root != larger.root:
            return Judged(Verdict.PROVEN, _FORKED)
        return Judged(Verdict.REFUTED, _SAME)
    # Step 3: the room joins them, or is convicted by not being able to.
    if await _joined(session, smaller, larger):
        return Judged(Verdict.REFUTED, _JOINED)
    return Judged(Verdict.PROVEN, _NOT_JOINED)


async def _joined(session: Session, smaller: Checkpoint, larger: Checkpoint) -> bool:
    if smaller.size == 0:
        return True  # everything extends the empty log
    ask = ledger_pb2.GetConsistencyRequest(size1=smaller.size, size2=larger.size)
    try:
        told = await session.call(session.ledger.GetConsistency, ask)
    except Refused as refused:
        if refused.reason is Reason.MALFORMED:  # its log has no such size any more
            return False
        raise
    try:
        verify_consistency(smaller.size, larger.size, tuple(told.hashes), smaller.root, larger.root)
    except SafeRoomError:
        return False
    return True


_WORDS_ALONE: Final = {
    Misdeed.NOT_SIGNED: later("the room's key did not sign it, so anybody may have written it"),
    Misdeed.VIOLATED: later("an auditor finds a wrong entry in the log itself: audit verify"),
}
_UNSIGNED: Final = later("the room's pinned key did not sign both heads")
_FORKED: Final = later("the room signed two logs of one size")
_SAME: Final = later("both heads are one")
_JOINED: Final = later("the room joined both heads: the longer log begins with the shorter one")
_NOT_JOINED: Final = later("the room signed both heads, and cannot join them")
