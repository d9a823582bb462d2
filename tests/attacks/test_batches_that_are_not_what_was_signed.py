"""Batches whose rows, signature or nonce is not what it seems: nothing is charged, nothing told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from saferoom_enclaves.batches.rows import Rows
from saferoom_proto.batch import Row
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import BatchRequest, load
from saferoom_proto.uscc import make_uscc
from simulator import EnclaveHarness, Sample
from simulator.batch import (
    STEADY,
    SimBatch,
    ask_batch,
    batch_of,
    judge_batch,
    steady_batch,
    two_chunks,
)


def test_a_nonce_that_a_question_had_is_refused_and_the_other_way_round(
    room: Sample, enclave: EnclaveHarness
) -> None:
    nonce = b64(bytes(16))
    enclave.ask(room.question(1, nonce=nonce))
    assert (
        ask_batch(enclave, steady_batch(room, 1, nonce=nonce)).release.reason is Reason.NONCE_REUSED
    )
    other = b64(bytes(15) + b"\1")
    judge_batch(enclave, two_chunks(room, 1, nonce=other), chunks=1)
    assert enclave.ask(room.question(1, nonce=other)).reason is Reason.NONCE_REUSED


def test_a_batch_of_a_stranger_or_with_a_spoilt_signature_gets_no_word(
    room: Sample, enclave: EnclaveHarness
) -> None:
    stranger = room.world.bank("bank-z")
    batch = batch_of(stranger, room.steady, [Row(room.world.subject(1).uscc)], STEADY)
    with pytest.raises(SafeRoomError, match="NO_AGREEMENT"):
        enclave.enclave.batches.begin(batch.envelope)
    own = steady_batch(room, 1).envelope
    spoilt = replace(own.signatures[0], sig=bytes(64))
    with pytest.raises(SafeRoomError, match="BAD_SIGNATURE"):
        enclave.enclave.batches.begin(replace(own, signatures=(spoilt,)))


def attacked(batch: SimBatch, packed: bytes, blinding: bytes | None = None) -> None:
    Rows(batch.request, batch.blinding if blinding is None else blinding, packed)


def test_rows_that_were_not_signed_are_refused_before_anything_is_charged(
    room: Sample, enclave: EnclaveHarness
) -> None:
    batch, other = steady_batch(room, 1, 2, 3), steady_batch(room, 4, 2, 3)
    one, two, three = batch.rows()
    begun = enclave.enclave.batches.begin(batch.envelope)
    for packed in (
        two + one + three,  # reordered
        other.packed,  # of another batch
        one + one + three,  # one twice
    ):
        with pytest.raises(SafeRoomError, match="BAD_PROOF"):
            attacked(batch, packed)
    with pytest.raises(SafeRoomError, match="BAD_PROOF"):
        attacked(batch, batch.packed, bytes(32))
    for packed in (one + two, b"", batch.packed + one, batch.packed[:-1]):  # cut, or added to
        with pytest.raises(SafeRoomError, match="MALFORMED"):
            attacked(batch, packed)
    with pytest.raises(SafeRoomError, match="INTERNAL"):
        enclave.enclave.batches.judge_next(begun)  # without rows
    charges = enclave.ask(room.question(1)).release.charges
    assert [charge.cells_before for charge in charges] == [1, 1]


def test_rows_that_are_no_rows_are_refused_by_place_and_rule(room: Sample) -> None:
    good = Row(make_uscc(1))
    for bad in ("911234567890123456", make_uscc(2).lower(), make_uscc(2)[:17] + "?", "9" * 18):
        batch = batch_of(room.bank, room.steady, [good, Row(bad)], STEADY)
        with pytest.raises(SafeRoomError, match="MALFORMED_SUBJECT") as refused:
            attacked(batch, batch.packed)
        assert [fault.field for fault in refused.value.fields] == ["rows[1]"]
        assert bad not in str(refused.value)
    batch = batch_of(room.bank, room.steady, [good, Row(make_uscc(2), 1)], STEADY)
    with pytest.raises(SafeRoomError, match="MALFORMED") as refused:
        attacked(batch, batch.packed)
    assert refused.value.fields[0].field == "rows[1]"


def test_a_request_for_no_rows_too_many_or_too_long_is_malformed(room: Sample) -> None:
    request = load(steady_batch(room, 1).envelope, BatchRequest)
    late = request.not_before + timedelta(hours=24, milliseconds=1)
    for changes in ({"rows": 0}, {"rows": 1_000_001}, {"not_after": late}, {"params": ()}):
        with pytest.raises(ValueError, match="validation error"):
            BatchRequest.model_validate(request.model_dump() | changes)
    with pytest.raises(ValueError, match="may stand once"):
        BatchRequest.model_validate(request.model_dump() | {"params": (*STEADY, *STEADY)})
