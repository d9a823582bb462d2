"""Following the room's keys when they are handed over.

A member pins the room's keys when it joins. It goes over to another key only if the pinned one
signed that, if the log says so, and if the log under the new key goes on from what the member saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from saferoom_client.heads import require_grown
from saferoom_client.profile import Profile
from saferoom_client.session import Session
from saferoom_proto.checkpoint import InclusionProof, parse_proof
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.handover import Handover, lead_from, lead_to, verify_handover
from saferoom_proto.statements import KeyUse
from saferoom_proto.trust import FormerKey, Trust
from saferoom_proto.v1 import identity_pb2
from saferoom_proto.wire import Recorded, recorded_from_proto


@dataclass(frozen=True, slots=True)
class Followed:
    """What a member goes by from now on.

    Attributes:
        ledger_key: signs checkpoints; base64.
        heads_key: signs refusals and the enclaves' streams; base64.
        handovers: that were followed now, oldest first; none if the pinned keys sign still.
    """

    ledger_key: str
    heads_key: str
    handovers: tuple[Handover, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """A handover, and where the room says that it stands."""

    handover: Handover
    leaf: bytes
    proof: InclusionProof


async def follow(session: Session, *, stolen: bool = False) -> Followed:
    """Go over to the keys that the pinned ones handed over to, durably.

    Args:
        session: of any member.
        stolen: trust the former keys in nothing any more. Receipts of before are then to be proven
            anew by the room.

    Raises:
        SafeRoomError: `BAD_SIGNATURE` for a handover that the pinned key did not sign; `BAD_PROOF`
            if one was made to two keys, or the log does not hold it, or the log under the new key
            does not go on from what this member saw. Nothing is changed then.
    """
    # Step 1: what the room says was handed over. Each word bears both keys' signatures.
    told = await session.call(session.identities.GetRoom, identity_pb2.GetRoomRequest())
    before = session.profile
    known = [_read(each, before.card.origin) for each in map(recorded_from_proto, told.handovers)]
    said = [each.handover for each in known]
    # Step 2: those that lead from the pinned keys, and where they stand in the log.
    ledger = lead_from(before.card.ledger_key, KeyUse.LEDGER, said)
    heads = lead_from(before.card.heads_key, KeyUse.HEADS, said)
    after = _adopted(before, ledger, heads, known)
    # Step 3: under the new key the log goes on from what this member saw, or nothing changes.
    session.profile = after
    session.grounds.forget_notes()
    try:
        grown = await require_grown(session)
    finally:
        session.profile = before
    # Step 4: kept, and the former keys with it where they still count.
    kept = after.without_former_keys() if stolen else after
    if kept != before:
        session.profile = before.keep_room(kept.card, kept.trust)
        session.profile.log.go_over(grown.note)
        session.grounds.forget_notes()
    card = session.profile.card
    return Followed(card.ledger_key, card.heads_key, (*ledger, *heads))


def _adopted(
    before: Profile,
    ledger: Sequence[Handover],
    heads: Sequence[Handover],
    known: Sequence[_Told],
) -> Profile:
    card, trust = before.card, before.trust
    said = [each.handover for each in known]
    # A member that joined late learns of the keys before its own from its own key's holder.
    earlier = [each.says.former for each in lead_to(card.heads_key, KeyUse.HEADS, said)]
    former_heads = (*earlier, *(each.says.former for each in heads))
    new_card = card.model_copy(
        update={
            "ledger_key": ledger[-1].says.following if ledger else card.ledger_key,
            "heads_key": heads[-1].says.following if heads else card.heads_key,
            "former_heads_keys": tuple(dict.fromkeys((*card.former_heads_keys, *former_heads))),
        }
    )
    newest = Trust(
        origin=trust.origin,
        ledger_key=new_card.ledger_key,
        charter_roots=trust.charter_roots,
        former_charter_roots=trust.former_charter_roots,
    )
    places: dict[str, int] = {}
    for each in known:
        if each.handover in (*ledger, *heads):
            # Every checkpoint that covers a handover bears the following key's signature.
            checkpoint = newest.open_checkpoint(each.proof.note)
            each.proof.require_under(each.leaf, checkpoint, newest.suite)
            places[each.handover.envelope.digest] = each.proof.index
    former = tuple(
        FormerKey(key=each.says.former, size=places[each.envelope.digest]) for each in ledger
    )
    new_trust = newest.model_copy(
        update={"former_ledger_keys": (*trust.former_ledger_keys, *former)}
    )
    return replace(before, card=new_card, trust=new_trust)


def _read(recorded: Recorded, origin: str) -> _Told:
    handover = verify_handover(recorded.statement, origin)
    held = leaf(commitment(recorded.salt, recorded.statement.digest))
    return _Told(handover, held, parse_proof(recorded.proof))
