"""Attacks on the one way on which values of records leave an enclave.

The server passes requests on and may make up what it likes; none of it opens another's records.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.holdings import open_holdings
from saferoom_proto.hpke import SealingKey
from saferoom_proto.identity import organisation_uri, subject_uri
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import HoldingsRequest, load, seal_statement
from simulator import EnclaveHarness, Sample, Seeds, SimIssuer


def refused(enclave: EnclaveHarness, request: Envelope) -> Reason:
    """Tell why a request is refused; the enclave has said nothing then."""
    before = enclave.enclave.whereabouts().chain_length
    with pytest.raises(SafeRoomError) as error:
        enclave.disclose(request)
    assert enclave.enclave.whereabouts().chain_length == before
    return error.value.reason


def named(room: Sample, uri: str) -> tuple[SigningKey, bytes]:
    """Have the issuer name somebody."""
    key = SigningKey.generate()
    return key, room.world.issuer.issue(uri, key.verify_key)


def test_another_subject_cannot_ask_with_its_own_certificate(
    room: Sample, enclave: EnclaveHarness
) -> None:
    victim, other = room.world.subject(1), room.world.subject(2)
    request = victim.claim("tax", other.key, certificate=b64(other.certificate))
    assert refused(enclave, request) is Reason.NOT_ALLOWED


def test_another_subject_cannot_ask_with_the_victims_certificate(
    room: Sample, enclave: EnclaveHarness
) -> None:
    victim, other = room.world.subject(1), room.world.subject(2)
    assert refused(enclave, victim.claim("tax", other.key)) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("organisation", "name"), [("registry", "clerk"), ("bank-a", "desk"), ("tax", "li")]
)
def test_no_organisation_asks_for_a_subject_not_even_its_registrar_or_the_owner(
    room: Sample, enclave: EnclaveHarness, organisation: str, name: str
) -> None:
    key, certificate = named(room, organisation_uri(organisation, name))
    request = room.world.subject(1).claim("tax", key, certificate=b64(certificate))
    assert refused(enclave, request) is Reason.NOT_ALLOWED


def test_an_organisation_cannot_be_called_like_a_subject(
    room: Sample, enclave: EnclaveHarness
) -> None:
    """The kind of name counts, not only what it reads like."""
    victim = room.world.subject(1)
    key, certificate = named(room, f"urn:saferoom:org:{victim.uscc}:self")
    request = victim.claim("tax", key, certificate=b64(certificate))
    assert refused(enclave, request) is Reason.UNAUTHENTICATED


def test_a_server_that_makes_the_request_up_has_no_certificate_for_it(
    room: Sample, enclave: EnclaveHarness
) -> None:
    victim = room.world.subject(1)
    rogue = SimIssuer("registry", room.world.room, Seeds("rogue"))
    key = SigningKey.generate()
    certificate = rogue.issue(subject_uri(victim.uscc), key.verify_key)
    request = victim.claim("tax", key, certificate=b64(certificate))
    assert refused(enclave, request) is Reason.UNAUTHENTICATED


def test_a_server_cannot_put_its_own_reply_key_into_a_subjects_request(
    room: Sample, enclave: EnclaveHarness
) -> None:
    victim, spy = room.world.subject(1), SealingKey.generate()
    request = victim.claim("tax")
    enclave.disclose(request)
    says = load(request, HoldingsRequest).model_copy(update={"reply_key": b64(spy.public)})
    altered = replace(request, payload=says.to_bytes())
    assert refused(enclave, altered) is Reason.BAD_SIGNATURE
    signed_anew = seal_statement(says, room.world.heads)
    assert refused(enclave, signed_anew) is Reason.BAD_SIGNATURE


def test_a_replay_brings_nothing_but_the_bytes_sealed_to_the_subject(
    room: Sample, enclave: EnclaveHarness
) -> None:
    victim, spy = room.world.subject(1), SealingKey.generate()
    request = victim.claim("tax")
    first = enclave.disclose(request)
    again = enclave.disclose(request)
    assert again == first
    with pytest.raises(SafeRoomError) as error:
        open_holdings(again.sealed, spy, request.digest, "tax")
    assert error.value.reason is Reason.BAD_SEAL
    room.world.clock.advance(timedelta(minutes=6).total_seconds())
    enclave.follow()
    assert refused(enclave, request) is Reason.EXPIRED


def test_a_nonce_serves_one_request(room: Sample, enclave: EnclaveHarness) -> None:
    victim = room.world.subject(1)
    request = victim.claim("tax")
    enclave.disclose(request)
    nonce = load(request, HoldingsRequest).nonce
    other = victim.claim("tax", nonce=nonce, reply_key=b64(SealingKey.generate().public))
    assert refused(enclave, other) is Reason.NONCE_REUSED


def test_a_revoked_certificate_opens_nothing_and_neither_does_its_twin(
    room: Sample, enclave: EnclaveHarness
) -> None:
    victim = room.world.subject(1)
    request = victim.claim("tax")
    room.world.publish(room.world.issuer.revocation(victim.certificate, room.world.now()))
    enclave.follow()
    assert refused(enclave, request) is Reason.CERTIFICATE_REVOKED
    assert refused(enclave, victim.claim("tax")) is Reason.CERTIFICATE_REVOKED


def test_a_certificate_that_is_over_opens_nothing(room: Sample, enclave: EnclaveHarness) -> None:
    victim = room.world.subject(1)
    over = room.world.issuer.issue(
        subject_uri(victim.uscc),
        victim.key.verify_key,
        room.world.now() - timedelta(days=2),
        timedelta(days=1),
    )
    assert refused(enclave, victim.claim("tax", certificate=b64(over))) is Reason.EXPIRED


@pytest.mark.parametrize("changed", [{"owner": "court"}, {"room": "another.example/room"}])
def test_a_request_to_another_owner_or_in_another_room_opens_nothing_here(
    room: Sample, enclave: EnclaveHarness, changed: dict[str, str]
) -> None:
    request = room.world.subject(1).claim("tax", None, **changed)
    assert refused(enclave, request) is Reason.BAD_CHARTER


def test_a_question_of_a_bank_is_no_request_of_a_subject(
    room: Sample, enclave: EnclaveHarness
) -> None:
    assert refused(enclave, room.question()) is Reason.MALFORMED
    with pytest.raises(SafeRoomError) as error:
        enclave.judge(room.world.subject(1).claim("tax"))
    assert error.value.reason is Reason.MALFORMED


def test_a_subject_whose_code_is_written_otherwise_is_not_another(
    room: Sample, enclave: EnclaveHarness
) -> None:
    """What is looked up in the store is a parameter: no code can say more than a code."""
    request = load(room.world.subject(1).claim("tax"), HoldingsRequest)
    for code in ("' OR 1=1 --", "%", request.subject[:17], request.subject + " "):
        made_up = request.model_copy(update={"subject": code})
        statement = seal_statement(made_up, room.world.subject(1).key)
        assert refused(enclave, statement) in (Reason.MALFORMED, Reason.MALFORMED_SUBJECT)


def test_no_value_of_a_record_stands_in_the_clear_in_what_leaves(
    room: Sample, enclave: EnclaveHarness
) -> None:
    request = room.world.subject(1).claim("tax")
    judged = enclave.disclose(request)
    state = b"".join(path.read_bytes() for path in enclave.folder.iterdir() if path.is_file())
    seen = judged.entry.statement.payload + judged.sealed + enclave.log.getvalue().encode() + state
    assert b"120000" not in seen
