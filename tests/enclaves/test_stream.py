"""Following the stream: whole deliveries from one honest room, or nothing changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from saferoom_enclaves.stream import Delivery
from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope, Signature
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Acknowledgement, Head, load, seal_statement
from simulator import ROOM, EnclaveHarness, Sample, Seeds, SimLedger
from simulator.sample import FEATURES


def refuses(enclave: EnclaveHarness, delivery: Delivery) -> Reason:
    """Tell why a delivery is refused, having made sure that nothing changed."""
    before = _place(enclave)
    with pytest.raises(SafeRoomError) as error:
        enclave.enclave.deliver(delivery)
    assert _place(enclave) == before
    return error.value.reason


def _place(enclave: EnclaveHarness) -> tuple[object, ...]:
    where = enclave.enclave.whereabouts()
    return (where.sequence, where.running, where.ledger_size, where.chain_length)


def plainly(enclave: EnclaveHarness, question: Envelope) -> Reason:
    with pytest.raises(SafeRoomError) as error:
        enclave.judge(question)
    return error.value.reason


def resigned(delivery: Delivery, key: SigningKey, **changes: object) -> Delivery:
    """Give a delivery with a head that somebody signed anew."""
    head = load(delivery.head, Head).model_copy(update=changes)
    return replace(delivery, head=seal_statement(head, key))


def test_a_stale_head_stops_the_answers_until_a_fresh_one_comes(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.world.clock.advance(59)
    assert enclave.ask(room.question()).truth is Truth.YES
    room.world.clock.advance(2)
    assert plainly(enclave, room.question()) is Reason.STALE_HEAD
    enclave.follow()
    assert enclave.ask(room.question()).truth is Truth.YES


def test_a_heads_age_counts_from_the_sending_of_its_nonce(
    room: Sample, enclave: EnclaveHarness
) -> None:
    kept = enclave.delivery()
    room.world.clock.advance(50)
    enclave.enclave.deliver(kept)
    room.world.clock.advance(11)
    assert plainly(enclave, room.question()) is Reason.STALE_HEAD


def test_after_a_restart_nothing_is_answered_before_a_fresh_head(
    room: Sample, enclave: EnclaveHarness
) -> None:
    old = enclave.delivery()
    enclave.restart(follow=False)
    assert plainly(enclave, room.question()) is Reason.STALE_HEAD
    assert refuses(enclave, old) is Reason.STALE_HEAD
    enclave.follow()
    assert enclave.ask(room.question()).truth is Truth.YES


def test_a_head_for_another_nonce_or_for_a_used_one_is_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    delivery = enclave.delivery()
    other = resigned(enclave.delivery(), room.world.heads, nonce=b64(bytes(32)))
    assert refuses(enclave, other) is Reason.STALE_HEAD
    enclave.enclave.deliver(delivery)
    assert refuses(enclave, delivery) is Reason.STALE_HEAD


def test_a_head_from_the_future_changes_nothing(room: Sample, enclave: EnclaveHarness) -> None:
    room.tax.pause()
    ahead = enclave.delivery(time=room.world.now() + timedelta(minutes=5, seconds=1))
    assert refuses(enclave, ahead) is Reason.HEAD_FROM_FUTURE
    assert enclave.ask(room.question()).truth is Truth.YES


def test_heads_each_a_little_ahead_do_not_push_the_clock(
    room: Sample, enclave: EnclaveHarness
) -> None:
    ahead = timedelta(minutes=5)
    enclave.enclave.deliver(enclave.delivery(time=room.world.now() + ahead))
    further = enclave.delivery(time=room.world.now() + ahead + timedelta(seconds=1))
    assert refuses(enclave, further) is Reason.HEAD_FROM_FUTURE


def test_a_clock_that_is_set_back_opens_no_window_again(
    room: Sample, enclave: EnclaveHarness
) -> None:
    question = room.question()
    room.world.clock.advance(3600)
    enclave.follow()
    room.world.clock.turn(-3600)
    assert enclave.ask(question).reason is Reason.EXPIRED
    room.world.clock.advance(61)
    assert plainly(enclave, room.question()) is Reason.STALE_HEAD


def test_after_a_restart_the_time_goes_on_from_the_last_that_was_known(
    room: Sample, enclave: EnclaveHarness
) -> None:
    question = room.question()
    room.world.clock.advance(240)
    enclave.follow()
    room.world.clock.turn(-240)
    enclave.restart()
    room.world.clock.turn(-60)
    expired = room.question(
        not_before=room.world.now() - timedelta(seconds=9), not_after=room.world.now()
    )
    assert enclave.ask(expired).reason is Reason.EXPIRED
    assert enclave.ask(question).truth is Truth.YES


def test_a_gap_in_the_stream_is_refused(room: Sample, enclave: EnclaveHarness) -> None:
    room.tax.pause()
    room.tax.end(room.agreement)
    whole = enclave.delivery()
    for part in (whole.statements[1:], whole.statements[:1], whole.statements[::-1], ()):
        again = replace(enclave.delivery(), statements=part)
        assert refuses(enclave, again) is Reason.BROKEN_STREAM
    enclave.follow()
    assert plainly(enclave, room.question()) is Reason.NO_AGREEMENT


def test_a_statement_with_a_spoilt_signature_does_not_pass_for_the_whole_one(
    room: Sample, enclave: EnclaveHarness
) -> None:
    pause = room.tax.pause()
    spoilt = Envelope(
        pause.payload_type, pause.payload, (Signature(pause.signatures[0].keyid, bytes(64)),)
    )
    assert spoilt.digest == pause.digest
    delivery = replace(enclave.delivery(), statements=(spoilt,))
    assert refuses(enclave, delivery) is Reason.BROKEN_STREAM


def test_a_forged_head_is_refused(room: Sample, enclave: EnclaveHarness) -> None:
    stranger = Seeds("stranger").signing("heads")
    for key in (stranger, room.world.ledger.key, room.tax.root):
        assert refuses(enclave, resigned(enclave.delivery(), key)) is Reason.BAD_SIGNATURE


def test_a_head_of_another_owner_or_room_is_refused(room: Sample, enclave: EnclaveHarness) -> None:
    for change in ({"owner": "court"}, {"room": "other.example"}):
        other = resigned(enclave.delivery(), room.world.heads, **change)
        assert refuses(enclave, other) is Reason.BAD_CHARTER


def test_a_ledger_that_was_rewritten_or_cut_is_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world = room.world
    rewritten = SimLedger(ROOM, world.ledger.key, Seeds("another history"))
    for statement in world.streams["tax"].statements:
        rewritten.record(statement)
    size = enclave.enclave.whereabouts().ledger_size
    delivery = enclave.delivery()
    shorter = resigned(delivery, world.heads, checkpoint=rewritten.note())
    assert rewritten.size < size
    assert refuses(enclave, shorter) is Reason.BAD_PROOF
    while rewritten.size < size:
        rewritten.append(b"filled up")
    same_size = resigned(enclave.delivery(), world.heads, checkpoint=rewritten.note())
    assert refuses(enclave, replace(same_size, consistency=())) is Reason.BAD_PROOF
    rewritten.append(b"and on")
    longer = resigned(enclave.delivery(), world.heads, checkpoint=rewritten.note())
    proof = rewritten.consistency(size)
    assert refuses(enclave, replace(longer, consistency=proof)) is Reason.BAD_PROOF


def test_a_checkpoint_by_another_key_or_of_another_log_is_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    for origin, key in ((ROOM, room.tax.root), ("other.example", room.world.ledger.key)):
        other = SimLedger(origin, key, Seeds("other"))
        other.append(b"leaf")
        delivery = resigned(enclave.delivery(), room.world.heads, checkpoint=other.note())
        assert refuses(enclave, delivery) is Reason.BAD_SIGNATURE


def test_entries_that_wait_too_long_for_their_proof_stop_the_answers(
    room: Sample, enclave: EnclaveHarness
) -> None:
    assert enclave.ask(room.question(1)).truth is Truth.YES
    room.world.clock.advance(50)
    enclave.enclave.deliver(replace(enclave.delivery(), proofs=()))
    room.world.clock.advance(20)
    assert plainly(enclave, room.question(2)) is Reason.OUTBOX_WAITING
    enclave.restart(follow=False)
    enclave.enclave.deliver(replace(enclave.delivery(), proofs=()))
    assert plainly(enclave, room.question(2)) is Reason.OUTBOX_WAITING
    enclave.follow()
    assert enclave.enclave.outbox(0) == []
    assert enclave.ask(room.question(2)).truth is Truth.NO


def test_a_proof_that_does_not_hold_refuses_the_delivery(
    room: Sample, enclave: EnclaveHarness
) -> None:
    enclave.ask(room.question(1))
    enclave.ask(room.question(2))
    delivery = enclave.delivery()
    one, two = delivery.proofs
    swapped = (
        replace(one, ledger_index=two.ledger_index, hashes=two.hashes),
        two,
    )
    assert refuses(enclave, replace(delivery, proofs=swapped)) is Reason.BAD_PROOF
    assert len(enclave.enclave.outbox(0)) == 2


def test_a_proof_that_comes_twice_is_taken_once(room: Sample, enclave: EnclaveHarness) -> None:
    enclave.ask(room.question(1))
    first = enclave.delivery()
    enclave.enclave.deliver(first)
    again = replace(enclave.delivery(), proofs=first.proofs)
    assert enclave.enclave.deliver(again) == []
    assert enclave.enclave.outbox(0) == []


def test_a_statement_that_does_not_verify_keeps_its_number_and_has_no_effect(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world = room.world
    stranger = Seeds("stranger").signing("approver")
    pause = room.tax.pause()
    world.streams["tax"].statements.pop()
    world.streams["tax"].running.pop()
    forged = Envelope(
        pause.payload_type,
        pause.payload,
        (Signature(pause.signatures[0].keyid, stranger.sign(pause.pae)),),
    )
    world.publish(forged, "tax")
    world.publish(Envelope(pause.payload_type, b"{}", pause.signatures), "tax")
    world.publish(Envelope("application/x-unknown", b"?", pause.signatures), "tax")
    room.consent(8)
    enclave.follow()
    where = enclave.enclave.whereabouts()
    assert where.sequence == len(world.streams["tax"].statements)
    assert enclave.ask(room.question(8)).truth is Truth.NOT_FOUND
    assert enclave.log.getvalue().count("statement without effect") == 2
    enclave.restart()
    assert enclave.ask(room.question(8)).truth is Truth.NOT_FOUND


def test_a_revocation_is_acknowledged_and_counts_from_then_on(
    room: Sample, enclave: EnclaveHarness
) -> None:
    consent = room.consent(8)
    enclave.follow()
    assert enclave.ask(room.question(8)).truth is Truth.NOT_FOUND
    revocation = room.world.subject(8).revoke(consent)
    (entry,) = enclave.follow()
    acknowledged = load(entry.statement, Acknowledgement)
    assert acknowledged.revocation == revocation.digest
    assert (acknowledged.consent, acknowledged.subject) == (
        consent.digest,
        room.world.subject(8).uscc,
    )
    assert enclave.ask(room.question(8)).reason is Reason.NO_CONSENT
    room.world.streams["tax"].append(consent)  # delivered again
    enclave.follow()
    enclave.restart()
    assert enclave.ask(room.question(8)).reason is Reason.NO_CONSENT


def test_a_revocation_counts_for_a_consent_that_comes_after_it(
    room: Sample, enclave: EnclaveHarness
) -> None:
    subject = room.world.subject(8)
    consent = subject.consent(room.bank, FEATURES)
    subject.revoke(consent)
    room.world.publish(consent)
    assert len(enclave.follow()) == 1
    assert enclave.ask(room.question(8)).reason is Reason.NO_CONSENT


def test_nobody_takes_back_what_another_gave(room: Sample, enclave: EnclaveHarness) -> None:
    consent = room.consent(8)
    room.world.subject(7).revoke(consent)
    (entry,) = enclave.follow()
    assert load(entry.statement, Acknowledgement).subject == room.world.subject(7).uscc
    assert enclave.ask(room.question(8)).truth is Truth.NOT_FOUND


def test_what_a_revoked_certificate_signs_has_no_effect_and_what_it_signed_keeps_its(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world, early, late = room.world, room.world.subject(7), room.world.subject(8)
    room.consent(7)
    enclave.follow()
    world.clock.advance(1)
    for subject in (early, late):
        world.publish(world.issuer.revocation(subject.certificate, world.now()))
    world.clock.advance(1)
    room.consent(8)
    early.revoke(room.consent(7))
    assert enclave.follow() == []
    assert enclave.ask(room.question(7)).truth is Truth.NOT_FOUND
    assert enclave.ask(room.question(8)).reason is Reason.NO_CONSENT


def test_a_certificate_revoked_from_before_its_consent_came_takes_it_away(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world = room.world
    earlier = world.now()
    world.clock.advance(10)
    room.consent(8)
    enclave.follow()
    assert enclave.ask(room.question(8)).truth is Truth.NOT_FOUND
    world.publish(world.issuer.revocation(world.subject(8).certificate, earlier))
    enclave.follow()
    assert enclave.ask(room.question(8)).reason is Reason.NO_CONSENT


def test_a_revoked_bank_certificate_signs_no_more_questions(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world = room.world
    world.publish(world.issuer.revocation(room.bank.certified, world.now()))
    enclave.follow()
    assert plainly(enclave, room.question()) is Reason.NO_AGREEMENT


def test_a_consent_outlives_neither_its_signers_certificate_nor_its_issuer(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world, subject = room.world, room.world.subject(8)
    subject.certificate = world.issuer.issue(
        f"urn:saferoom:subject:{subject.uscc}",
        subject.key.verify_key,
        world.now(),
        timedelta(seconds=30),
    )
    room.consent(8)
    enclave.follow()
    assert enclave.ask(room.question(8)).truth is Truth.NOT_FOUND
    world.clock.advance(31)
    assert enclave.ask(room.question(8)).reason is Reason.NO_CONSENT


def test_many_statements_come_in_parts(room: Sample, enclave: EnclaveHarness) -> None:
    for serial in range(20, 40):
        room.consent(serial)
    enclave.follow(most=7)
    assert enclave.ask(room.question(39)).truth is Truth.NOT_FOUND
