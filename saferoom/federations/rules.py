"""When the room accepts what banks say of a federated training.

| statement          | handed in by    | signed by                    | goes to |
|--------------------|-----------------|------------------------------|---------|
| federation proposal| its proposer    | a member of the proposer     | nobody  |
| join, end, result  | a bank named    | a member of that bank        | nobody  |

No owner's record is touched, so no enclave hears of it. Every bank checks all of this again.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Final, TypeVar

from saferoom.evidence import Caller, Role
from saferoom.rules import Ground, Rule, require_one_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.federation import ByBank, require_joined_in_time, said_at, verify_by_bank
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    FederationEnd,
    FederationJoin,
    FederationProposal,
    FederationResult,
)
from saferoom_proto.suite import Suite

Word = TypeVar("Word", FederationJoin, FederationEnd, FederationResult)
MADE_WITHIN: Final = timedelta(days=1)
"""How far a word's instant may be from the room's when it comes: at both it is verified."""


def _require_signed(envelope: Envelope, kind: type[ByBank], ground: Ground) -> ByBank:
    room = ground.room
    says, signer = verify_by_bank(envelope, kind, room.origin, room.issuers, ground.now)
    ground.register.require_not_revoked(signer.fingerprint, ground.now)
    made = said_at(says)
    if abs(ground.now - made) > MADE_WITHIN:
        rule = "is more than a day from the room's time: sign it anew"
        raise SafeRoomError(Reason.EXPIRED, "made", [FieldFault("at", rule)])
    # As every bank and auditor will verify it: else one word would be a fault of the log for ever.
    verify_by_bank(envelope, kind, room.origin, room.issuers, made)
    return says


def _require_banks(banks: Collection[str], ground: Ground) -> None:
    for bank in banks:
        held = ground.register.organisation(bank)
        if held is None or Role.INSTITUTION not in held.roles:
            rule = f"{bank} is not enrolled as an institution"
            raise SafeRoomError(Reason.MALFORMED, "banks", [FieldFault("banks", rule)])


def _proposal(envelope: Envelope, proposal: FederationProposal, ground: Ground) -> tuple[str, ...]:
    if envelope.suite is not Suite.INTERNATIONAL:
        rule = "banks mask their numbers by X25519 and AES; there is no form of that in SM2 and SM4"
        raise SafeRoomError(Reason.MALFORMED, "suite", [FieldFault("suite", rule)])
    proposal.require_valid(ground.now)
    _require_signed(envelope, FederationProposal, ground)
    _require_banks(proposal.banks, ground)
    return ()


PROPOSAL: Final[Rule[FederationProposal]] = Rule(
    FederationProposal,
    lambda caller, proposal: require_one_of(caller, proposal.institution),
    _proposal,
)


def word_rule(
    kind: type[Word],
    proposal: FederationProposal,
    said: Collection[tuple[type, str]],
    keys: Collection[str] = (),
) -> Rule[Word]:
    """Make the rule for a bank's word on a proposal that the room holds.

    Args:
        kind: of the word.
        proposal: that it is on.
        said: what was said of it: the kind of each word, and whose it is.
        keys: of the banks that joined.
    """

    def may(caller: Caller, word: Word) -> None:
        require_one_of(caller, word.institution)
        if word.institution not in proposal.banks:
            raise SafeRoomError(Reason.NOT_ALLOWED, "the proposal does not name this bank")

    def verify(envelope: Envelope, word: Word, ground: Ground) -> tuple[str, ...]:
        _require_signed(envelope, kind, ground)
        if (kind, word.institution) in said:
            rule = f"{word.institution} has said so already, in other words"
            raise SafeRoomError(Reason.CONFLICT, kind.KIND, [FieldFault("federation", rule)])
        ended = [bank for each, bank in said if each is FederationEnd]
        if isinstance(word, FederationJoin):
            proposal.require_valid(ground.now)
            require_joined_in_time(proposal, word)
            if ended:
                rule = f"{ended[0]} ended it; propose another"
                raise SafeRoomError(Reason.CONFLICT, "ended", [FieldFault("federation", rule)])
            if word.key in keys:
                rule = "another bank joined with this key: make one of your own"
                raise SafeRoomError(Reason.CONFLICT, "key", [FieldFault("key", rule)])
        if isinstance(word, FederationResult):
            joined = {bank for each, bank in said if each is FederationJoin}
            if joined != set(proposal.banks) or not set(word.banks) <= joined:
                raise SafeRoomError(Reason.NOT_ALLOWED, "not all banks that it names had joined")
        return ()

    return Rule(kind, may, verify)
