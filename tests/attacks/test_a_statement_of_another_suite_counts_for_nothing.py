"""A room has one crypto suite. Who relabels, mixes or downgrades what is signed in it gets nowhere.

Each attack is made on a room of the suite guomi and, where it has a counterpart, on an
international one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from saferoom_proto.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from saferoom_proto.dsse import Envelope, Signature, sign
from saferoom_proto.identity import organisation_uri, verify_issued
from saferoom_proto.keys import SigningKey
from saferoom_proto.merkle import empty_root
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import verify_recorded
from saferoom_proto.statements import (
    Approver,
    Charter,
    CheckRequest,
    Consent,
    Payload,
    RoomKeys,
    load,
    seal_statement,
)
from saferoom_proto.suite import Suite
from saferoom_proto.verification import open_charter, verify_agreement, verify_subject_statement
from simulator import World

OTHER: Final = {
    Suite.INTERNATIONAL: Suite.GUOMI,
    Suite.GUOMI: Suite.INTERNATIONAL,
}
WORLDS: Final = {suite: World("suites", suite=suite) for suite in Suite}
KEYS: Final = {suite: SigningKey.generate(suite) for suite in Suite}

both = pytest.mark.parametrize("suite", list(Suite))


def refused(attempt: Callable[[], object]) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as refusal:
        attempt()
    return refusal.value


def as_read(envelope: Envelope, media_type: str) -> Envelope:
    """Put another type on an envelope, as whoever passes it on can."""
    return Envelope.read(media_type, envelope.payload, envelope.signatures)


def changed(payload: Payload, **fields: object) -> Payload:
    """Alter a payload past the checks of its own making."""
    return payload.model_copy(update=fields)


@both
def test_a_signature_does_not_fit_the_other_suites_type(suite: Suite) -> None:
    signed = sign("application/vnd.saferoom.any.v1+json", b"{}", KEYS[suite])
    swapped = Envelope(signed.payload_type, b"{}", signed.signatures, OTHER[suite])
    assert signed.digest != swapped.digest
    signed.verify([KEYS[suite].verify_key])
    error = refused(lambda: swapped.verify([KEYS[suite].verify_key]))
    assert (error.reason, "suite" in error.detail) == (Reason.BAD_SIGNATURE, True)


@both
def test_a_signature_of_the_other_suite_under_a_keys_name_is_none(suite: Suite) -> None:
    pinned, thief = KEYS[suite].verify_key, KEYS[OTHER[suite]]
    own = sign("application/vnd.saferoom.any.v1+json", b"{}", thief)
    posing = (Signature(pinned.keyid, own.signatures[0].sig),)
    for envelope in (
        Envelope(own.payload_type, b"{}", posing, suite),
        Envelope(own.payload_type, b"{}", posing, OTHER[suite]),
    ):
        error = refused(lambda envelope=envelope: envelope.verify([pinned]))
        assert error.reason is Reason.BAD_SIGNATURE


def test_keys_of_both_suites_sign_nothing_together() -> None:
    assert refused(lambda: sign("a/b", b"{}", *KEYS.values())).reason is Reason.MALFORMED
    both_keys = [each.verify_key for each in KEYS.values()]
    for key in KEYS.values():
        signed = sign("a/b", b"{}", key)
        error = refused(lambda signed=signed: signed.verify(both_keys))
        assert error.reason is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("ending", [";suite=guomi;suite=guomi", ";suite=sm", "; suite=guomi", ";"])
def test_a_type_that_names_no_suite_is_no_statements(ending: str) -> None:
    charter = WORLDS[Suite.GUOMI].owner("tax").charters[0]
    error = refused(lambda: load(as_read(charter, Charter.payload_type() + ending), Charter))
    assert error.reason is Reason.MALFORMED


@both
def test_a_charter_names_keys_of_its_own_suite_only(suite: Suite) -> None:
    world, other = WORLDS[suite], KEYS[OTHER[suite]].verify_key.public
    owner = world.owner("tax")
    charter = owner.charter.charter
    foreign = WORLDS[OTHER[suite]].issuer.pinned()
    for fields in (
        {"suite": OTHER[suite].value},
        {"approvers": (*charter.approvers, Approver(name="thief", key=other))},
        {"key_agent": other},
        {"root": other},
        {"room_keys": RoomKeys(ledger=other, heads=charter.room_keys.heads)},
        {"issuers": (*charter.issuers, foreign.model_copy(update={"name": "foreign"}))},
    ):
        spoilt = seal_statement(changed(charter, **fields), owner.root)
        error = refused(lambda spoilt=spoilt: load(spoilt, Charter))
        assert error.reason is Reason.MALFORMED, fields


@both
def test_a_charter_of_the_other_suite_does_not_follow_one(suite: Suite) -> None:
    theirs, ours = WORLDS[OTHER[suite]].owner("tax"), WORLDS[suite].owner("tax")
    root = ours.root.verify_key.public
    error = refused(lambda: open_charter(theirs.charters[0], root))
    assert error.reason is Reason.BAD_CHARTER


@both
def test_a_statement_holds_no_digest_and_no_key_of_the_other_suite(suite: Suite) -> None:
    world = WORLDS[suite]
    bank = world.bank("bank-a")
    template = bank.template("any", "tax.vat_paid >= 5")
    asked = bank.request(world.subject(1), template, suite.digest(b"certificate"))
    good = load(asked, CheckRequest)
    spoilt = changed(good, template=OTHER[suite].digest(b"template"))
    error = refused(lambda: load(seal_statement(spoilt, bank.key), CheckRequest))
    assert [fault.field for fault in error.fields] == ["template"]
    # Opened before in the one suite, the same bytes are not taken in the other.
    relabelled = Envelope(asked.payload_type, asked.payload, asked.signatures, OTHER[suite])
    assert refused(lambda: load(relabelled, CheckRequest)).reason is Reason.MALFORMED


@both
def test_an_issuer_of_the_other_suite_names_nobody(suite: Suite) -> None:
    ours, theirs = WORLDS[suite], WORLDS[OTHER[suite]]
    foreign = theirs.issuer.issue(organisation_uri("bank-a", "desk"), KEYS[OTHER[suite]].verify_key)
    error = refused(lambda: verify_issued(foreign, (ours.issuer.certificate,)))
    assert error.reason is Reason.UNAUTHENTICATED
    given = theirs.subject(1).give("bank-a", ["tax.vat_paid"])
    consent, charter = load(given, Consent), ours.owner("tax").charter
    error = refused(lambda: verify_subject_statement(given, consent, charter, ours.now()))
    assert error.reason is Reason.UNAUTHENTICATED


def test_an_sm2_certificate_that_was_altered_or_signed_by_another_is_refused() -> None:
    world = WORLDS[Suite.GUOMI]
    issuer, key = world.issuer, KEYS[Suite.GUOMI].verify_key
    der = issuer.issue(organisation_uri("bank-a", "desk"), key)
    assert verify_issued(der, (issuer.certificate,)).key == key
    another = World("others", suite=Suite.GUOMI).issuer
    altered = der.replace(b"org:bank-a:", b"org:bank-b:")
    stolen = der.replace(key.raw, SigningKey.generate(Suite.GUOMI).verify_key.raw)
    no_point = der.replace(key.raw, b"\x04" + bytes(64))
    attempts = [(der, another.certificate)]
    attempts += [(each, issuer.certificate) for each in (altered, stolen, no_point)]
    for each, pem in attempts:
        assert each != der or pem == another.certificate
        error = refused(lambda each=each, pem=pem: verify_issued(each, (pem,)))
        assert error.reason is Reason.UNAUTHENTICATED


@both
def test_a_certificate_whose_issuers_name_is_no_text_is_refused_like_others(suite: Suite) -> None:
    """Also one that says in an international room that it is of SM2."""
    sm2_der = WORLDS[Suite.GUOMI].issuer.issue(
        organisation_uri("bank-a", "desk"), KEYS[Suite.GUOMI].verify_key
    )
    pinned = (WORLDS[suite].issuer.certificate,)
    for tag in (b"\x0c", b"\x13", b"\x1e"):
        named = tag + b"\x06" + b"\xd8\x00\xff\xfe\x80\x00"
        spoilt = sm2_der.replace(b"\x0c\x06issuer", named)
        assert spoilt != sm2_der
        error = refused(lambda spoilt=spoilt: verify_issued(spoilt, pinned))
        assert error.reason is Reason.UNAUTHENTICATED


@both
def test_an_agreement_of_members_of_both_suites_is_none(suite: Suite) -> None:
    ours, theirs = WORLDS[suite], WORLDS[OTHER[suite]]
    agreed = theirs.owner("tax").agree(theirs.bank("bank-a"))
    error = refused(lambda: verify_agreement(agreed, ours.owner("tax").charter))
    assert error.reason is Reason.BAD_SIGNATURE


@both
def test_a_log_is_read_with_its_keys_own_hash(suite: Suite) -> None:
    world, other = WORLDS[suite], OTHER[suite]
    statement = world.owner("tax").charters[0]
    recorded, trust = world.ledger.recorded(statement), world.trust()
    verify_recorded(statement.digest, recorded.salt, recorded.proof, trust)
    # A statement of the other suite, with the right salt and place.
    error = refused(
        lambda: verify_recorded(other.digest(statement.pae), recorded.salt, recorded.proof, trust)
    )
    assert error.reason is Reason.BAD_PROOF
    # The other key signs the same head; the pinned key signs the other hash's empty tree.
    key = world.ledger.key
    forged = sign_checkpoint(world.ledger.checkpoint(), KEYS[other])
    error = refused(lambda: open_checkpoint(forged, world.room, key.verify_key))
    assert error.reason is Reason.BAD_SIGNATURE
    empty = sign_checkpoint(Checkpoint(world.room, 0, empty_root(other)), key)
    error = refused(lambda: open_checkpoint(empty, world.room, key.verify_key))
    assert error.reason is Reason.BAD_PROOF
