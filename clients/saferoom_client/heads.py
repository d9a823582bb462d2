"""Heads of the log: each extends those before it, and witnesses cosigned one of them lately.

Whoever pinned witnesses is shown one log only, the one that they cosigned: what an answer came with
is held against it again and again while a session lasts, never longer apart than a quarter of the
age that the member allows. A log of its own, shown to one member, is noticed within that time; and,
where the witnesses are shown nothing new, once they lack for longer than the age what the member
went by, be it in an earlier session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from saferoom_client.seen_log import UnseenHead
from saferoom_client.session import Session
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.merkle import verify_consistency
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.statements.witnesses import Witnessed
from saferoom_proto.v1 import ledger_pb2

_CHECKS_IN_ONE_AGE: Final = 4


@dataclass(frozen=True, slots=True)
class Grown:
    """A log that only grew.

    Attributes:
        note: of its newest head.
        newest: what that says.
        since: the head it was shown to extend; none the first time.
        witnessed: what the pinned witnesses cosigned; none if none are pinned.
    """

    note: str
    newest: Checkpoint
    since: Checkpoint | None
    witnessed: Witnessed | None


async def require_grown(session: Session) -> Grown:
    """Verify that the log extends what this member saw of it, and that its witnesses cosigned it.

    Raises:
        SafeRoomError: `BAD_PROOF`, `BAD_SIGNATURE`; `NOT_WITNESSED` if too few of the pinned
            witnesses cosigned lately, or they lack what this member has gone by for longer.
    """
    grounds = session.grounds
    # Step 1: the newest head, by the log's own key.
    seen, met = session.profile.log.read(), grounds.met()
    told = await session.call(session.ledger.GetCheckpoint, ledger_pb2.GetCheckpointRequest())
    newest = grounds.open_note(told.checkpoint)
    # Step 2: what the witnesses cosigned.
    witnessed = _witnessed(session, told.cosigned)
    # Step 3: it extends that, what was seen earlier, and what answers of this session came with: a
    # room that shows askers one log and others another is noticed here.
    since = None if seen is None else _remembered(session, seen.checkpoint)
    unseen = None if seen is None else seen.unseen
    lacked = None if unseen is None else _remembered(session, unseen.checkpoint)
    cosigned = None if witnessed is None else witnessed.checkpoint
    for earlier in (cosigned, since, lacked, *met):
        if earlier is not None:
            await require_extends(session, earlier, newest)
    grounds.forget_met(met)
    # Step 4: the witnesses have seen what this member has gone by for longer than the age.
    if cosigned is not None:
        if unseen is None or lacked is None or _has_ended(session, unseen, lacked, cosigned):
            now = _unseen(session, told.checkpoint, newest, cosigned)
            unseen = session.profile.log.keep_unseen(told.checkpoint, unseen, now)
        _require_lately(session, unseen)
    return Grown(told.checkpoint, newest, since, witnessed)


async def require_witnessed(session: Session) -> None:
    """Hold the log against the pinned witnesses' word, if that was not done lately.

    Raises:
        SafeRoomError: as `require_grown`.
    """
    reliance, clock = session.reliance, asyncio.get_running_loop().time
    if reliance.policy is None or clock() < reliance.due:
        return
    async with reliance.checking:
        if clock() >= reliance.due:
            await require_grown(session)
            reliance.due = clock() + reliance.policy.max_age_seconds / _CHECKS_IN_ONE_AGE


async def require_extends(session: Session, earlier: Checkpoint, newest: Checkpoint) -> None:
    """Have the room prove that a head extends an earlier one.

    Raises:
        SafeRoomError: `BAD_PROOF`.
    """
    if earlier.size > newest.size:
        detail = f"the log had {earlier.size} entries and now has {newest.size}"
        raise SafeRoomError(Reason.BAD_PROOF, detail)
    if earlier.size == 0:
        return  # everything extends the empty log
    hashes: tuple[bytes, ...] = ()
    if earlier.size < newest.size:
        ask = ledger_pb2.GetConsistencyRequest(size1=earlier.size, size2=newest.size)
        told = await session.call(session.ledger.GetConsistency, ask)
        hashes = tuple(told.hashes)
    suite = session.profile.trust.suite
    verify_consistency(earlier.size, newest.size, hashes, earlier.root, newest.root, suite=suite)


def _witnessed(session: Session, notes: Sequence[str]) -> Witnessed | None:
    policy = session.reliance.policy
    if policy is None:
        return None
    now = int(session.clock().timestamp())
    refusal = SafeRoomError(Reason.NOT_WITNESSED, "the room shows no head that anybody cosigned")
    for note in notes:
        try:
            return policy.require(session.grounds.open_note(note), note, now)
        except SafeRoomError as error:
            if error.reason is not Reason.NOT_WITNESSED:
                raise
            refusal = error
    raise refusal


def _remembered(session: Session, note: str) -> Checkpoint:
    """Open a head that this member verified before: a bad signature is no word of the room's."""
    try:
        return session.grounds.open_note(note)
    except SafeRoomError as error:
        if error.reason is Reason.BAD_SIGNATURE:
            raise session.profile.log.refused() from error
        raise


def _has_ended(
    session: Session, unseen: UnseenHead, lacked: Checkpoint, cosigned: Checkpoint
) -> bool:
    """Tell whether the witnesses have what they lacked; or noted it by a clock ahead of now."""
    return lacked.size <= cosigned.size or unseen.since > session.clock()


def _unseen(
    session: Session, note: str, newest: Checkpoint, cosigned: Checkpoint
) -> UnseenHead | None:
    if newest.size <= cosigned.size:
        return None
    return UnseenHead(checkpoint=note, since=whole_milliseconds(session.clock()))


def _require_lately(session: Session, unseen: UnseenHead | None) -> None:
    policy = session.reliance.policy
    if policy is None or unseen is None:
        return
    seconds = int((session.clock() - unseen.since).total_seconds())
    if seconds > policy.max_age_seconds:
        detail = f"the witnesses have not seen what the log grew by {seconds} s ago"
        raise SafeRoomError(Reason.NOT_WITNESSED, detail)
