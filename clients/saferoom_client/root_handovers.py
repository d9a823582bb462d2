"""Handing an owner's charter root over, and following it where it was pinned.

A member goes over to another root only if the pinned one signed that, and if the log says so. What
it keeps of the former one are the charters of its time, by their digests: so nothing that the
former root signs afterwards counts, however it is dated, and all that it signed before still does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saferoom_client.session import Session
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.roots import open_under, verify_root_handover
from saferoom_proto.statements import Charter, RootHandover, load
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.trust import FormerRoot, Trust
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.verification import open_charter
from saferoom_proto.wire import (
    Recorded,
    envelope_from_proto,
    envelope_to_proto,
    recorded_from_proto,
)


@dataclass(frozen=True, slots=True)
class FollowedRoot:
    """By which root a member goes from now on.

    Attributes:
        owner: whose it is.
        root: signs the owner's next charter; base64.
        handovers: that were followed now, oldest first; none if the pinned root signs still.
        former: how many charters of former roots count still, those of before among them.
    """

    owner: str
    root: str
    handovers: tuple[RootHandover, ...]
    former: int


async def draft_root_handover(session: Session, owner: str, following: str) -> RootHandover:
    """Write what the owner's root and the following one are to sign: from the next charter on.

    Raises:
        SafeRoomError: `BAD_CHARTER` if the charter in force is not of the pinned root, which would
            not sign the next one.
    """
    charter = await session.grounds.charter(owner)
    root = session.profile.trust.root_of(owner)
    return RootHandover(
        room=session.profile.card.origin,
        owner=owner,
        former=root,
        following=following,
        version=charter.charter.version + 1,
        previous=charter.digest,
        time=whole_milliseconds(session.clock()),
    )


async def hand_over_root(session: Session, handover: Envelope) -> Recorded:
    """Hand in a handover of the owner's own root that both roots signed, the former one pinned.

    Raises:
        SafeRoomError: `BAD_SIGNATURE` if a root did not sign it; `CONFLICT` if it follows another
            charter than the one in force, or that root was handed over before.
    """
    says = load(handover, RootHandover)
    verify_root_handover(handover, session.profile.card.origin, says.owner)
    ask = owner_pb2.HandOverRootRequest(handover=envelope_to_proto(handover))
    told = await session.call(session.owners.HandOverRoot, ask)
    return session.recorded(handover, told.recorded)


async def follow_root(session: Session, owner: str) -> FollowedRoot:
    """Go over to the root that an owner's pinned one handed over to, durably.

    Raises:
        SafeRoomError: `BAD_SIGNATURE` for a handover that a root did not sign; `BAD_PROOF` if one
            was made to two roots, or the log does not hold it; `BAD_CHARTER` if the owner's charter
            is of no root that the pinned one leads to. Nothing is changed then.
    """
    # Step 1: what the room says was handed over. Each word bears both roots' signatures.
    ask = owner_pb2.GetCharterRequest(owner=owner)
    told = await session.call(session.owners.GetCharter, ask)
    before = session.profile.trust
    pinned = before.root_of(owner)
    known: list[tuple[RootHandover, Envelope]] = []
    for recorded in map(recorded_from_proto, told.handovers):
        says = verify_root_handover(recorded.statement, before.origin, owner)
        session.grounds.require_recorded(recorded)
        known.append((says, recorded.statement))
    # Step 2: those that led to the pinned root, and those that lead on from it.
    chain = _chain(known, pinned)
    # Step 3: the charters of each root's time, which the handover's last one leads back to.
    former = [
        FormerRoot(
            root=says.former,
            charters=await _charters_of(session, says),
            handover=envelope.to_json().decode(),
        )
        for says, envelope in chain
    ]
    root = chain[-1][0].following if chain else pinned
    after = _followed(before, owner, root, former)
    # Step 4: the charter in force is of a root that was followed, or nothing changes.
    open_under(envelope_from_proto(told.charter), owner, after)
    if after != before:
        session.profile = session.profile.keep_trust(after)
    places = [says.former for says, _ in chain]
    on = chain[places.index(pinned) :] if pinned in places else []
    return FollowedRoot(
        owner, root, tuple(says for says, _ in on), len(after.former_charters(owner))
    )


def _chain(
    known: Sequence[tuple[RootHandover, Envelope]], pinned: str
) -> list[tuple[RootHandover, Envelope]]:
    """Give the handovers to the pinned root, and from it on, in their order."""
    led: list[tuple[RootHandover, Envelope]] = []
    root = pinned
    for each in reversed(known):
        if each[0].following == root:
            led.insert(0, each)
            root = each[0].former
    root, passed = pinned, {says.former for says, _ in led}
    while on := [each for each in known if each[0].former == root]:
        if len(on) > 1:
            detail = f"the root of {on[0][0].owner} was handed over to two others: ask the owner"
            raise SafeRoomError(Reason.BAD_PROOF, detail)
        passed.add(root)
        led, root = [*led, on[0]], on[0][0].following
        if root in passed:
            raise SafeRoomError(Reason.BAD_PROOF, "a root was handed back to")
    return led


async def _charters_of(session: Session, says: RootHandover) -> tuple[str, ...]:
    """Give the digests of the charters that the former root signed, oldest first."""
    digests: list[str] = []
    digest: str | None = says.previous
    version = says.version - 1
    while digest is not None:
        statement = await session.grounds.statement(digest)
        charter = load(statement, Charter)
        if (charter.owner, charter.version) != (says.owner, version):
            raise SafeRoomError(Reason.BAD_CHARTER, f"not version {version} of {says.owner}'s")
        if charter.root != says.former:
            break  # of the root before it, which has a handover of its own
        open_charter(statement, says.former)
        digests.append(digest)
        digest, version = charter.previous, version - 1
    if not digests:
        raise SafeRoomError(Reason.BAD_CHARTER, "the former root signed no charter")
    return tuple(reversed(digests))


def _followed(before: Trust, owner: str, root: str, former: Sequence[FormerRoot]) -> Trust:
    kept = {each: held for each, held in before.former_charter_roots.items() if each != owner}
    if former:
        kept[owner] = tuple(former)
    return before.model_copy(
        update={
            "charter_roots": {**before.charter_roots, owner: root},
            "former_charter_roots": dict(sorted(kept.items())),
        }
    )
