"""A server that was taken over has every key of the room: what an enclave still does not believe.

What it can do to a stream: `tests/enclaves/test_stream.py`; what it can show to clients:
`tests/client/test_check.py`; what it tries with real processes: the demo's eighth act.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope, Signature
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Agreement,
    Endorsement,
    Release,
    Withdrawal,
    load,
    seal_statement,
)
from saferoom_proto.verification import verify_by_enclave
from simulator import EnclaveHarness, Sample, SimLedger

_WITHDRAWAL = Withdrawal.payload_type()


def bare(envelope: Envelope) -> Envelope:
    """Give a statement without its signature: nothing stands in its place."""
    (one,) = envelope.signatures
    nothing = Signature(one.keyid, bytes(len(one.sig)))
    return Envelope(envelope.payload_type, envelope.payload, (nothing,))


def test_a_withdrawal_robbed_of_its_signature_convicts_whoever_delivered_it(
    room: Sample, enclave: EnclaveHarness
) -> None:
    honest, lied = room.world.streams["tax"], replace(room.world.streams["tax"])
    lied.statements, lied.running = list(honest.statements), list(honest.running)
    room.world.clock.advance(1)
    withdrawal = room.tax.withdraw(room.steady.template)
    lied.append(bare(withdrawal))
    room.world.streams["tax"] = lied
    enclave.follow()
    # It has no effect, as nobody signed it. But the enclave says in every release what it was
    # given, signatures included, and that is not the stream in which the withdrawal stands.
    verdict = enclave.ask(room.question())
    assert verdict.truth is Truth.YES
    position = verdict.release.stream
    assert position.sequence == len(honest.statements)
    assert position.running != honest.running[position.sequence]
    # Nor can the whole one be brought in its place later.
    room.world.streams["tax"] = honest
    with pytest.raises(SafeRoomError) as refused:
        enclave.follow()
    assert refused.value.reason is Reason.BROKEN_STREAM


def test_a_withdrawal_that_is_put_aside_leaves_a_gap_that_no_head_covers(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.world.clock.advance(1)
    room.tax.withdraw(room.steady.template)
    room.consent(2)
    skipping = enclave.delivery()
    kept = tuple(each for each in skipping.statements if each.payload_type != _WITHDRAWAL)
    with pytest.raises(SafeRoomError) as refused:
        enclave.enclave.deliver(replace(skipping, statements=kept))
    assert refused.value.reason is Reason.BROKEN_STREAM
    swapped = tuple(reversed(skipping.statements))
    with pytest.raises(SafeRoomError) as refused:
        enclave.enclave.deliver(replace(skipping, statements=swapped))
    assert refused.value.reason is Reason.BROKEN_STREAM


def test_a_revocation_that_is_withheld_is_missed_by_its_acknowledgement(
    room: Sample, enclave: EnclaveHarness
) -> None:
    # An honest limit: it is noticed and not stopped, while heads keep coming.
    consent = room.consent(8)
    enclave.follow()
    subject = room.world.subject(8)
    withheld = subject.revocation(consent)
    assert enclave.follow() == []
    still = enclave.ask(room.question(8))
    assert still.truth is Truth.NOT_FOUND
    assert still.release.stream.sequence == len(room.world.streams["tax"].statements)
    # Nobody but the enclave can sign that it heeds the revocation.
    room.world.publish(withheld)
    (acknowledged,) = enclave.follow()
    key = VerifyKey.from_public(enclave.keys.identity.verify_key.public)
    acknowledged.statement.verify([key])
    assert enclave.ask(room.question(8)).reason is Reason.NO_CONSENT


def test_without_heads_a_withholding_server_stops_all_answers(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.world.clock.advance(61)
    with pytest.raises(SafeRoomError) as refused:
        enclave.judge(room.question())
    assert refused.value.reason is Reason.STALE_HEAD
    taken = enclave.delivery()
    enclave.enclave.deliver(taken)
    room.world.clock.advance(61)
    with pytest.raises(SafeRoomError) as refused:  # the same head again is no fresh one
        enclave.enclave.deliver(taken)
    assert refused.value.reason in (Reason.STALE_HEAD, Reason.BROKEN_STREAM)
    with pytest.raises(SafeRoomError) as refused:
        enclave.judge(room.question())
    assert refused.value.reason is Reason.STALE_HEAD


def test_a_second_ledger_does_not_follow_the_first(room: Sample, enclave: EnclaveHarness) -> None:
    forked = sample_ledger(room)
    enclave.follow()
    delivery = enclave.delivery(checkpoint=forked)
    with pytest.raises(SafeRoomError) as refused:
        enclave.enclave.deliver(delivery)
    assert refused.value.reason is Reason.BAD_PROOF
    enclave.follow()
    assert enclave.ask(room.question()).truth is Truth.YES


def sample_ledger(room: Sample) -> str:
    """Give a signed head of a ledger that is as long as the room's and holds something else."""
    ledger, genuine = room.world.ledger, room.world.ledger.size
    other = SimLedger(room.world.room, ledger.key, room.world.seeds)
    for number in range(genuine + 3):
        other.append(b"another entry %d" % number)
    return other.note()


def test_a_server_cannot_swap_the_answers_to_two_questions(
    room: Sample, enclave: EnclaveHarness
) -> None:
    rich, poor = room.question(1), room.question(3)
    yes, no = enclave.judge(rich), enclave.judge(poor)
    assert room.bank.open(rich, "tax", yes.sealed).truth is Truth.YES
    assert room.bank.open(poor, "tax", no.sealed).truth is Truth.NO
    for question, owner, sealed in (
        (rich, "tax", no.sealed),
        (poor, "tax", yes.sealed),
        (rich, "court", yes.sealed),
        (rich, "tax", bytes([yes.sealed[0] ^ 1]) + yes.sealed[1:]),
    ):
        with pytest.raises(SafeRoomError) as refused:
            room.bank.open(question, owner, sealed)
        assert refused.value.reason is Reason.BAD_SEAL


ENDORSEMENTS: dict[str, Callable[[Sample], dict[str, object]]] = {
    "of another key": lambda room: {
        "identity": room.world.seeds.signing("a fake enclave").verify_key.public
    },
    "of other code": lambda _: {"code": "sha256:" + "e" * 64},
    "of another sandbox level": lambda _: {"sandbox_level": 3},
    "of evidence it never gave": lambda _: {"evidence": "sha256:" + "f" * 64},
    "under another charter": lambda room: {"charter": room.court.charter.digest},
    "of another owner": lambda _: {"owner": "court"},
    "of another room": lambda _: {"room": "another.example"},
    "that has ended": lambda room: {
        "valid_from": room.world.now() - timedelta(hours=48),
        "valid_to": room.world.now() - timedelta(hours=24),
    },
    "that has not begun": lambda room: {
        "valid_from": room.world.now() + timedelta(hours=1),
        "valid_to": room.world.now() + timedelta(hours=24),
    },
}


@pytest.mark.parametrize("which", ENDORSEMENTS)
def test_an_enclave_opens_under_no_endorsement_but_its_own(
    room: Sample, tmp_path: Path, which: str
) -> None:
    harness = EnclaveHarness(room.tax, tmp_path, start=False)
    try:
        endorsement = harness.endorsement(**ENDORSEMENTS[which](room))
        keys = harness.sealed_keys(harness.endorsement())
        with pytest.raises(SafeRoomError):
            harness.enclave.unlock(endorsement, keys)
        assert not harness.enclave.whereabouts().unlocked
        with pytest.raises(SafeRoomError) as refused:
            harness.judge(room.question())
        assert refused.value.reason is Reason.LOCKED
    finally:
        harness.close()


def test_an_enclave_opens_under_nobodys_endorsement_but_its_key_agents(
    room: Sample, tmp_path: Path
) -> None:
    harness = EnclaveHarness(room.tax, tmp_path, start=False)
    try:
        honest = harness.endorsement()
        for key in (room.world.heads, room.court.key_agent, room.tax.root, harness.keys.identity):
            made_up = seal_statement(load(honest, Endorsement), key)
            with pytest.raises(SafeRoomError) as refused:
                harness.enclave.unlock(made_up, harness.sealed_keys(honest))
            assert refused.value.reason is Reason.BAD_ENDORSEMENT
        harness.enclave.unlock(honest, harness.sealed_keys(honest))
    finally:
        harness.close()


def test_an_endorsement_of_an_earlier_start_opens_no_later_one(
    room: Sample, enclave: EnclaveHarness
) -> None:
    earlier = enclave.endorsement()
    keys = enclave.sealed_keys(earlier)
    enclave.restart()
    with pytest.raises(SafeRoomError) as refused:
        enclave.enclave.unlock(earlier, keys)
    assert refused.value.reason is Reason.BAD_ENDORSEMENT


def test_a_release_counts_under_the_endorsement_it_names_and_no_other(
    room: Sample, enclave: EnclaveHarness
) -> None:
    enclave.restart()
    current = enclave.endorsement()
    enclave.enclave.unlock(current, enclave.sealed_keys(current))
    enclave.follow()
    released = enclave.judge(room.question()).entry.statement
    endorsed = load(current, Endorsement)
    assert verify_by_enclave(released, endorsed, current.digest, Release)
    fake = room.world.seeds.signing("a fake enclave")
    forged = seal_statement(load(released, Release), fake)
    swapped = endorsed.model_copy(update={"identity": fake.verify_key.public})
    other = enclave.endorsement(identity=fake.verify_key.public)
    for statement, under, digest in (
        (forged, endorsed, current.digest),
        (released, swapped, current.digest),
        (forged, load(other, Endorsement), other.digest),
        (released, endorsed, other.digest),
    ):
        with pytest.raises(SafeRoomError) as refused:
            verify_by_enclave(statement, under, digest, Release)
        assert refused.value.reason in (Reason.BAD_SIGNATURE, Reason.BAD_ENDORSEMENT)


def test_a_bank_and_the_server_together_make_up_no_second_agreement(
    room: Sample, enclave: EnclaveHarness
) -> None:
    # Of another group, so that its account would be empty: the owner's approvers did not sign it.
    genuine = room.tax.agreement(room.bank, group="fresh", replaces=room.agreement)
    payload = load(genuine, Agreement)
    server = room.world.seeds.signing("the server")
    room.world.publish(seal_statement(payload, room.bank.key), "tax")
    room.world.publish(seal_statement(payload, room.bank.key, server, room.world.heads), "tax")
    one_approver = room.tax.approvers["chen"]
    room.world.publish(seal_statement(payload, room.bank.key, one_approver), "tax")
    enclave.follow()
    verdict = enclave.ask(room.question())
    assert verdict.truth is Truth.YES
    assert verdict.release.agreement == room.agreement.digest
