"""An enclave of a room of the suite guomi does what any does, with SM2, SM3 and SM4."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from saferoom_enclaves.keyring import Keyring
from saferoom_enclaves.vault import SnapshotId, open_snapshot
from saferoom_proto.answer import Band, Truth
from saferoom_proto.batch_row import SubjectRow, verify_row
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import verify_recorded
from saferoom_proto.statements import BatchRelease, KeyChange, Release, load
from saferoom_proto.store_key import name_of
from saferoom_proto.suite import Suite, suite_of
from simulator import FIRMS, EnclaveHarness, Sample, sample, tax_csv
from simulator.batch import ask_batch, steady_batch
from simulator.score import approved_score, plant, score

GUOMI = Suite.GUOMI
NEW_KEY = bytes(range(32))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sample, EnclaveHarness]]:
    """Give a guomi room, and the tax office's enclave in it, loaded."""
    room = sample(suite=GUOMI)
    harness = EnclaveHarness(room.tax, tmp_path_factory.mktemp("guomi"))
    harness.load({"firms": tax_csv(room.world)})
    for serial in FIRMS:
        room.consent(serial)
    harness.follow()
    yield room, harness
    harness.close()


def test_answers_are_signed_hashed_and_logged_with_the_suite(
    opened: tuple[Sample, EnclaveHarness],
) -> None:
    room, enclave = opened
    question = room.question()
    verdict = enclave.ask(question)
    statement = verdict.judged.entry.statement
    assert verdict.truth is Truth.YES
    assert enclave.judge(question) == verdict.judged  # a repeat: byte for byte
    assert (question.suite, statement.suite) == (GUOMI, GUOMI)
    assert [each.keyid[:4] for each in statement.signatures] == ["sm2:"]
    said = load(statement, Release)
    named = (said.request, said.template, said.consent, said.answer, said.chain.previous)
    assert {suite_of(digest or "") for digest in named} == {GUOMI}
    room.world.ledger.record(statement, verdict.judged.entry.salt)
    recorded = room.world.ledger.recorded(statement)
    verify_recorded(statement.digest, recorded.salt, recorded.proof, room.world.trust())


def test_a_score_is_told_and_committed_to_by_the_suite(
    opened: tuple[Sample, EnclaveHarness],
) -> None:
    room, enclave = opened
    asked = approved_score(room, score(plant(enclave, room)))
    enclave.follow()
    verdict = enclave.ask(
        room.bank.request(room.world.subject(3), asked.template, asked.certificate)
    )
    assert isinstance(verdict.told, Band)
    assert suite_of(verdict.release.answer or "") is GUOMI


def test_a_batch_and_its_rows_verify(opened: tuple[Sample, EnclaveHarness]) -> None:
    room, enclave = opened
    word = ask_batch(enclave, steady_batch(room, 1, 2))
    assert [record.outcome for record in word.records] == [Truth.YES, Truth.NO]
    consent = word.records[0].consent
    assert consent is not None
    assert suite_of(consent) is GUOMI
    subject = room.world.subject(1)
    asked = subject.claim("tax")
    held = subject.open(asked, "tax", enclave.disclose(asked).sealed)
    (shown,) = held.batches
    question = Envelope.from_json(shown.question.encode())
    said = load(Envelope.from_json(shown.word.encode()), BatchRelease)
    (row,) = (SubjectRow(subject=subject.uscc, row=each) for each in shown.rows)
    verify_row(said, question, row)
    assert row.record(GUOMI) == word.records[0]


def test_the_store_is_sealed_with_sm4_and_goes_over_to_another_key(
    opened: tuple[Sample, EnclaveHarness],
) -> None:
    room, enclave = opened
    former, store = room.tax.store_key, enclave.enclave.store
    assert store is not None
    ring = enclave.enclave._state.ring
    sealed = ring.sealed(former)
    assert Keyring.open(former, sealed, GUOMI).roots == ring.roots
    named = SnapshotId(store.epoch, store.digest)
    os.close(open_snapshot(enclave.folder, ring.of_snapshot(1), "tax", named))
    for wrong in (
        lambda: Keyring.open(former, sealed, Suite.INTERNATIONAL),
        lambda: open_snapshot(
            enclave.folder,
            ring.of_snapshot(1),
            "tax",
            SnapshotId(store.epoch, store.digest.replace("sm3:", "sha256:")),
        ),
    ):
        with pytest.raises(SafeRoomError) as refused:
            wrong()
        assert refused.value.reason is Reason.STORE_DAMAGED
    endorsement = enclave.endorsement()
    room.world.ledger.record(endorsement)
    enclave.enclave.unlock(endorsement, enclave.sealed_keys(endorsement, NEW_KEY, former))
    room.tax.store_key = NEW_KEY
    said = [each.statement for each in enclave.enclave.outbox(0)]
    (change,) = (
        load(each, KeyChange) for each in said if each.payload_type == KeyChange.payload_type()
    )
    assert (change.store_key, change.previous) == (name_of(NEW_KEY, GUOMI), name_of(former, GUOMI))
    enclave.follow()
    enclave.restart()
    assert enclave.ask(room.question(min_vat="500000")).truth is Truth.NO
