"""Who may say what of a federated training, and what is refused whoever says it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from saferoom.evidence import Caller, Role
from saferoom.federations.desk import Federation
from saferoom.federations.rules import PROPOSAL, word_rule
from saferoom.register import Organisation, Register
from saferoom.rules import Ground, RoomFacts
from saferoom_client.audit.federations import Federated, require_federation
from saferoom_client.federating.view import require_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.federation import said_at, verify_by_bank
from saferoom_proto.identity import Identity, IdentityKind, organisation_uri
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    FederationEnd,
    FederationJoin,
    FederationProposal,
    FederationResult,
    SharedColumn,
    Title,
    load,
    seal_statement,
)
from saferoom_proto.suite import Suite
from simulator import World

WORLD = World("federations")
BANKS = tuple(WORLD.bank(name) for name in ("bank-a", "bank-b", "bank-c"))
NAMES = tuple(bank.name for bank in BANKS)
NOW = WORLD.now()


def ground(enrolled: tuple[str, ...] = NAMES) -> Ground:
    register = Register()
    for name in enrolled:
        register.enrol(Organisation(name, name, name, frozenset({Role.INSTITUTION})))
    facts = SimpleNamespace(origin=WORLD.room, issuers=(WORLD.issuer.certificate,))
    return Ground(register, cast("RoomFacts", facts), NOW)


def proposal(
    changes: dict[str, object] | None = None, signer: int = 0, key: SigningKey | None = None
) -> Envelope:
    fields: dict[str, object] = {
        "room": WORLD.room,
        "valid_from": NOW,
        "valid_to": NOW + timedelta(days=7),
        "institution": NAMES[0],
        "signer": b64(BANKS[signer].certified),
        "name": "default-12m",
        "title": Title(en="Default", zh="违约"),
        "event": "default",
        "banks": NAMES,
        "columns": (SharedColumn(name="income", low=Decimal(0), high=Decimal(9)),),
        "inverse_ridge": Decimal(1),
        "rounds": 12,
        "fewest_rows": 200,
        "wait_seconds": 600,
        "nonce": b64(bytes(16)),
    }
    payload = FederationProposal.model_validate(fields | (changes or {}))
    return seal_statement(payload, key or BANKS[signer].key)


def said(bank: int, **changes: object) -> dict[str, object]:
    return {
        "room": WORLD.room,
        "institution": NAMES[bank],
        "signer": b64(BANKS[bank].certified),
        "federation": proposal().digest,
        "at": NOW,
    } | changes


def join(bank: int, key: SigningKey | None = None, **changes: object) -> Envelope:
    payload = FederationJoin.model_validate(said(bank, key="5a" * 32, **changes))
    return seal_statement(payload, key or BANKS[bank].key)


def result(bank: int, **changes: object) -> FederationResult:
    told: dict[str, object] = {
        "course": "c0" * 32,
        "banks": NAMES,
        "rows": 1200,
        "rounds": 6,
        "converged": True,
    }
    return FederationResult.model_validate(said(bank) | told | changes)


def refusal(envelope: Envelope, at: Ground | None = None) -> Reason:
    payload = load(envelope, FederationProposal)
    with pytest.raises(SafeRoomError) as refused:
        PROPOSAL.verify(envelope, payload, at or ground())
    return refused.value.reason


def test_a_proposal_is_by_a_member_of_its_proposer_and_of_enrolled_banks() -> None:
    assert PROPOSAL.verify(proposal(), load(proposal(), FederationProposal), ground()) == ()
    assert refusal(proposal(signer=1)) is Reason.BAD_SIGNATURE
    assert refusal(proposal(key=SigningKey.generate())) is Reason.BAD_SIGNATURE
    assert refusal(proposal(), ground(NAMES[:2])) is Reason.MALFORMED
    assert refusal(proposal({"valid_from": NOW - timedelta(days=2)})) is Reason.EXPIRED
    guomi = proposal(key=SigningKey.generate(Suite.GUOMI))
    assert refusal(guomi) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"banks": NAMES[:2]}, "banks"),
        ({"banks": NAMES[::-1]}, "banks"),
        ({"banks": (*NAMES[1:], "bank-d")}, ""),
        ({"institution": "bank-z"}, ""),
        ({"columns": ()}, "columns"),
        ({"columns": (SharedColumn(name="a", low=Decimal(0), high=Decimal(1)),) * 2}, ""),
        ({"inverse_ridge": Decimal(0)}, "inverse_ridge"),
        ({"rounds": 13}, "rounds"),
        ({"fewest_rows": 50}, "fewest_rows"),
        ({"wait_seconds": 5}, "wait_seconds"),
        ({"valid_to": NOW + timedelta(days=40)}, ""),
    ],
)
def test_a_proposal_that_no_training_may_follow_is_no_statement(
    changes: dict[str, object], place: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        proposal(changes)
    (found,) = refused.value.errors()
    assert found["loc"] == ((place,) if place else ())


def test_bounds_that_are_one_number_in_training_are_no_bounds() -> None:
    for high in ("999999999999.000002", "999999999999.000001"):
        with pytest.raises(ValidationError) as refused:
            SharedColumn(name="a", low=Decimal("999999999999.000001"), high=Decimal(high))
        assert "low is below high" in str(refused.value)


def test_a_bank_joins_for_itself_once_and_while_it_is_not_ended() -> None:
    held = load(proposal(), FederationProposal)
    nobody = frozenset[tuple[type, str]]()
    rule = word_rule(FederationJoin, held, nobody)
    envelope = join(1)
    word = load(envelope, FederationJoin)
    caller = Caller(
        Identity(IdentityKind.ORGANISATION, NAMES[1], "desk", "sha256:" + "0" * 64),
        frozenset({Role.INSTITUTION}),
    )
    rule.may(caller, word)
    assert rule.verify(envelope, word, ground()) == ()
    for other, reason in (
        (join(1, key=BANKS[2].key), Reason.BAD_SIGNATURE),
        (join(1, signer=b64(BANKS[2].certified), key=BANKS[2].key), Reason.BAD_SIGNATURE),
        (join(1, at=NOW - timedelta(days=3)), Reason.EXPIRED),
        (join(1, at=NOW - timedelta(hours=1)), Reason.EXPIRED),
        (join(1, room="other.example/room"), Reason.BAD_CHARTER),
    ):
        with pytest.raises(SafeRoomError) as refused:
            rule.verify(other, load(other, FederationJoin), ground())
        assert refused.value.reason is reason
    with pytest.raises(SafeRoomError) as refused:
        rule.may(caller, load(join(2), FederationJoin))
    assert refused.value.reason is Reason.NOT_ALLOWED
    for before, reason in (
        ({(FederationJoin, NAMES[1])}, Reason.CONFLICT),
        ({(FederationEnd, NAMES[2])}, Reason.CONFLICT),
    ):
        with pytest.raises(SafeRoomError) as refused:
            word_rule(FederationJoin, held, before).verify(envelope, word, ground())
        assert refused.value.reason is reason
    with pytest.raises(SafeRoomError) as refused:
        word_rule(FederationJoin, held, nobody, {word.key}).verify(envelope, word, ground())
    assert refused.value.reason is Reason.CONFLICT, "another bank's key"


def test_a_word_is_of_an_instant_at_which_its_certificate_was_valid() -> None:
    """By that instant every bank and auditor verifies it: one bank could end every view of it."""
    uri = organisation_uri(NAMES[1], "desk")
    young = WORLD.issuer.issue(uri, BANKS[1].key.verify_key, NOW - timedelta(hours=1))
    early = NOW - timedelta(hours=9)
    held = load(proposal({"valid_from": early}), FederationProposal)
    rule = word_rule(FederationJoin, held, frozenset[tuple[type, str]]())
    fine, before = (join(1, signer=b64(young), at=at) for at in (NOW, early))
    assert rule.verify(fine, load(fine, FederationJoin), ground()) == ()
    with pytest.raises(SafeRoomError) as refused:
        rule.verify(before, load(before, FederationJoin), ground())
    assert refused.value.reason is Reason.NOT_YET_VALID
    for at, reason in ((NOW, None), (early, Reason.NOT_YET_VALID)):
        assert client_refuses(join(1, signer=b64(young), at=at)) is reason


def client_refuses(envelope: Envelope) -> Reason | None:
    at = said_at(load(envelope, FederationJoin))
    try:
        verify_by_bank(envelope, FederationJoin, WORLD.room, (WORLD.issuer.certificate,), at)
    except SafeRoomError as refused:
        return refused.reason
    return None


def test_a_bank_tells_of_a_training_once_all_had_joined_and_of_its_banks() -> None:
    """Else an audit would find a fault of the log for ever, by one bank's doing."""
    held = load(proposal(), FederationProposal)
    joined = {(FederationJoin, name) for name in NAMES}
    strange = result(1, banks=(*NAMES, "bank-z"))
    for word, before in ((result(1), joined - {(FederationJoin, NAMES[2])}), (strange, joined)):
        told = seal_statement(word, BANKS[1].key)
        with pytest.raises(SafeRoomError) as refused:
            word_rule(FederationResult, held, before).verify(told, word, ground())
        assert refused.value.reason is Reason.NOT_ALLOWED
    told = seal_statement(result(1), BANKS[1].key)
    assert word_rule(FederationResult, held, joined).verify(told, result(1), ground()) == ()


def test_a_bank_that_was_left_out_keeps_no_training_from_being_over() -> None:
    def said_by(*banks: int) -> Federation:
        told = [SimpleNamespace(said=result(bank, banks=NAMES)) for bank in banks]
        words = (SimpleNamespace(said=load(join(0), FederationJoin)), *told)
        held = SimpleNamespace(
            said=load(proposal({"banks": (*NAMES, "bank-d")}), FederationProposal)
        )
        return Federation(cast("Any", held), cast("Any", words), None)

    assert not said_by().told_by_all_of(result(2, banks=NAMES))
    assert not said_by(0).told_by_all_of(result(2, banks=NAMES))
    assert said_by(0, 1).told_by_all_of(result(2, banks=NAMES)), "whoever else was named"
    assert not said_by(0, 1).told_by_all_of(result(2, banks=NAMES, course="c1" * 32))


def test_a_client_takes_no_word_on_another_federation_or_of_a_stranger() -> None:
    held = load(proposal(), FederationProposal)
    require_of(proposal(), held, load(join(1), FederationJoin))
    for other in (
        load(join(1, federation="sha256:" + "0" * 64), FederationJoin),
        FederationJoin.model_validate(said(1, key="5a" * 32, institution="bank-z")),
    ):
        with pytest.raises(SafeRoomError) as refused:
            require_of(proposal(), held, other)
        assert refused.value.reason is Reason.BAD_PROOF


def test_an_auditor_finds_a_second_join_and_a_result_before_all_joined_and_who_disagrees() -> None:
    federation = Federated(load(proposal(), FederationProposal))
    found = {proposal().digest: federation}
    for bank in (0, 1):
        federation.join(load(join(bank), FederationJoin))
    with pytest.raises(SafeRoomError) as refused:
        federation.end(result(0))
    assert refused.value.reason is Reason.NOT_ALLOWED
    with pytest.raises(SafeRoomError) as refused:
        federation.join(load(join(1), FederationJoin))
    assert refused.value.reason is Reason.CONFLICT
    federation.join(load(join(2), FederationJoin))
    federation.end(result(0))
    federation.end(result(1))
    assert federation.differing == ()
    federation.end(result(2, course="c1" * 32))  # its own word: no fault of the log
    assert federation.differing == (NAMES[2],)
    for other, reason in (
        (result(1, federation="sha256:" + "0" * 64), Reason.UNKNOWN_STATEMENT),
        (result(1, institution="bank-z"), Reason.NOT_ALLOWED),
    ):
        with pytest.raises(SafeRoomError) as refused:
            require_federation(found, other)
        assert refused.value.reason is reason
