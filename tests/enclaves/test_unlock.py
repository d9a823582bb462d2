"""An enclave opens for its own key agent, for evidence it gave, with its own keys; else not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Endorsement, EvidenceClaims, load, seal_statement
from saferoom_proto.verification import verify_claims
from simulator import EnclaveHarness, Sample, Seeds, tax_csv


@pytest.fixture
def locked(room: Sample, tmp_path: Path) -> Iterator[EnclaveHarness]:
    """Give the tax office's enclave, started and without its keys."""
    harness = EnclaveHarness(room.tax, tmp_path, start=False)
    yield harness
    harness.close()


def refuses(enclave: EnclaveHarness, endorsement: Envelope, keys: bytes | None = None) -> Reason:
    unlocked = enclave.enclave.whereabouts().unlocked
    with pytest.raises(SafeRoomError) as error:
        enclave.enclave.unlock(endorsement, keys or enclave.sealed_keys(endorsement))
    assert enclave.enclave.whereabouts().unlocked == unlocked
    return error.value.reason


def test_a_locked_enclave_does_nothing_but_attest(room: Sample, locked: EnclaveHarness) -> None:
    for attempt in (
        lambda: locked.judge(room.question()),
        lambda: locked.enclave.outbox(0),
        lambda: locked.enclave.deliver(locked.delivery()),
    ):
        with pytest.raises(SafeRoomError, match="LOCKED"):
            attempt()
    where = locked.enclave.whereabouts()
    assert (where.unlocked, where.head_nonce, where.has_data) == (False, b"", False)


def test_its_claims_verify_for_the_nonce_they_were_made_for(locked: EnclaveHarness) -> None:
    nonce = bytes(range(32))
    told = locked.enclave.attest(nonce)
    claims = verify_claims(told.claims, told.evidence, b64(nonce))
    assert claims.charter == locked.owner.charter.digest
    assert claims.tls == locked.keys.tls.digest
    with pytest.raises(SafeRoomError, match="BAD_EVIDENCE"):
        verify_claims(told.claims, told.evidence, b64(bytes(32)))
    with pytest.raises(SafeRoomError, match="MALFORMED"):
        locked.enclave.attest(nonce[:-1])


def test_it_opens_with_an_endorsement_and_keys(locked: EnclaveHarness) -> None:
    assert locked.unlock().unlocked


def test_an_endorsement_by_anybody_else_is_refused(room: Sample, locked: EnclaveHarness) -> None:
    said = load(locked.endorsement(), Endorsement)
    for key in (room.tax.root, room.court.key_agent, Seeds("stranger").signing("agent")):
        assert refuses(locked, seal_statement(said, key)) is Reason.BAD_ENDORSEMENT


@pytest.mark.parametrize(
    "field", ["identity", "tls", "code", "dependencies", "charter", "evidence"]
)
def test_an_endorsement_of_something_else_is_refused(locked: EnclaveHarness, field: str) -> None:
    other = {"identity": Seeds("other").signing("enclave").verify_key.public}
    value = other.get(field, "sha256:" + "9" * 64)
    assert refuses(locked, locked.endorsement(**{field: value})) is Reason.BAD_ENDORSEMENT


def test_an_endorsement_of_another_place_in_the_chain_is_refused(locked: EnclaveHarness) -> None:
    claims = load(locked.enclave.attest(bytes(32)).claims, EvidenceClaims)
    elsewhere = claims.chain.model_copy(update={"index": 7})
    assert refuses(locked, locked.endorsement(chain=elsewhere)) is Reason.BAD_ENDORSEMENT


def test_an_expired_endorsement_is_refused(room: Sample, locked: EnclaveHarness) -> None:
    endorsement = locked.endorsement()
    room.world.clock.advance(24 * 3600)
    assert refuses(locked, endorsement) is Reason.EXPIRED


def test_keys_sealed_for_another_endorsement_or_enclave_are_refused(
    locked: EnclaveHarness,
) -> None:
    first, second = locked.endorsement(), locked.endorsement()
    assert refuses(locked, first, locked.sealed_keys(second)) is Reason.BAD_SEAL
    assert refuses(locked, first, bytes(2000)) is Reason.BAD_SEAL


def test_another_store_key_opens_nothing_that_is_there(
    room: Sample, enclave: EnclaveHarness
) -> None:
    endorsement = enclave.endorsement()
    other = enclave.sealed_keys(endorsement, bytes(32))
    assert refuses(enclave, endorsement, other) is Reason.CONFLICT
    enclave.enclave.close()
    again = EnclaveHarness(room.tax, enclave.folder.parent, start=False)
    endorsement = again.endorsement()
    assert refuses(again, endorsement, again.sealed_keys(endorsement, bytes(32))) is (
        Reason.STORE_DAMAGED
    )
    assert again.unlock().unlocked
    again.follow()
    assert again.ask(room.question()).truth is Truth.YES
    again.close()


def test_an_open_enclave_goes_on_under_a_renewed_endorsement(
    room: Sample, enclave: EnclaveHarness
) -> None:
    before = enclave.ask(room.question()).release.endorsement
    enclave.unlock()
    after = enclave.ask(room.question()).release.endorsement
    assert before != after


def test_an_enclave_whose_endorsement_ran_out_waits_for_another(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.world.clock.advance(timedelta(hours=24).total_seconds())
    enclave.follow()
    assert not enclave.enclave.whereabouts().unlocked
    with pytest.raises(SafeRoomError, match="LOCKED"):
        enclave.judge(room.question())
    enclave.unlock()
    assert enclave.ask(room.question()).truth is Truth.YES


def test_its_claims_tell_its_place_before_it_has_its_keys(
    room: Sample, enclave: EnclaveHarness
) -> None:
    enclave.ask(room.question())
    length = enclave.enclave.whereabouts().chain_length
    enclave.enclave.close()
    again = EnclaveHarness(room.tax, enclave.folder.parent, start=False)
    claims = load(again.enclave.attest(bytes(32)).claims, EvidenceClaims)
    assert claims.chain.index == length
    assert claims.store is not None
    assert claims.stream.sequence == len(room.world.streams["tax"].statements)
    again.close()


def test_the_log_of_an_unlocking_shows_no_key(room: Sample, enclave: EnclaveHarness) -> None:
    enclave.load({"firms": tax_csv(room.world)})
    shown = enclave.log.getvalue() + repr(enclave.enclave) + repr(enclave.keys)
    for secret in (room.tax.store_key, room.tax.pairing.private_bytes_raw()):
        assert secret.hex() not in shown
        assert b64(secret) not in shown
    assert "PRIVATE KEY" not in shown
