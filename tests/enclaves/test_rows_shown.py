"""A subject is shown its rows of batches, each with its proof, and nobody else's."""

from __future__ import annotations

from weakref import WeakSet

import pytest

from saferoom_enclaves.batches import about_subjects
from saferoom_enclaves.rowform import unpack_envelope
from saferoom_proto import holdings as holdings_module
from saferoom_proto.answer import Truth
from saferoom_proto.batch import CHUNK_ROWS, Row
from saferoom_proto.batch_row import SubjectRow, verify_row
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.holdings import FEWEST_BYTES, HeldBatch, Holdings
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import BatchRelease, load
from saferoom_proto.suite import Suite
from saferoom_proto.uscc import make_uscc
from simulator import EnclaveHarness, Sample
from simulator.batch import FILLER, STEADY, SimBatch, ask_batch, batch_of, steady_batch

SUITE = Suite.INTERNATIONAL


def held(room: Sample, enclave: EnclaveHarness, serial: int) -> Holdings:
    """Have a subject ask what is held about it."""
    subject = room.world.subject(serial)
    request = subject.claim("tax")
    return subject.open(request, "tax", enclave.disclose(request).sealed)


def opened(batch: HeldBatch, subject: str) -> list[SubjectRow]:
    """Verify all rows of a batch that a subject is shown."""
    word = load(Envelope.from_json(batch.word.encode()), BatchRelease)
    question = Envelope.from_json(batch.question.encode())
    rows = [SubjectRow(subject=subject, row=row) for row in batch.rows]
    for row in rows:
        verify_row(word, question, row)
    return rows


def in_chunks(room: Sample, *serials: int) -> SimBatch:
    """Make a batch with the first of these at the end of a chunk, and the others behind it."""
    rows = [Row(make_uscc(FILLER + at)) for at in range(CHUNK_ROWS - 1)]
    rows += [Row(room.world.subject(serial).uscc) for serial in serials]
    return batch_of(room.bank, room.steady, rows, STEADY)


def test_a_subject_is_shown_its_rows_with_their_proofs(
    room: Sample, enclave: EnclaveHarness
) -> None:
    batch = steady_batch(room, 1, 2, 8)
    word = ask_batch(enclave, batch)
    outcomes = {1: Truth.YES, 2: Truth.NO, 8: Reason.NO_CONSENT}
    for index, (serial, outcome) in enumerate(outcomes.items()):
        (shown,) = held(room, enclave, serial).batches
        (row,) = opened(shown, room.world.subject(serial).uscc)
        assert (row.row.index, row.record(SUITE).outcome) == (index, outcome)
        assert row.record(SUITE) == word.records[index]
        assert row.row.parameters == 0
        assert Envelope.from_json(shown.question.encode()) == batch.envelope


def test_of_other_rows_it_is_shown_nothing(room: Sample, enclave: EnclaveHarness) -> None:
    ask_batch(enclave, steady_batch(room, 1, 2, 3))
    written = held(room, enclave, 2).to_bytes()
    others = (room.world.subject(serial).uscc for serial in (1, 3))
    assert not any(each.encode() in written for each in others)
    assert held(room, enclave, 9).batches == ()
    assert len(held(room, enclave, 9).to_bytes()) == FEWEST_BYTES


def test_rows_in_several_chunks_and_batches_come_newest_first(
    room: Sample, enclave: EnclaveHarness
) -> None:
    old, new = steady_batch(room, 1), in_chunks(room, 1, 2, 1)
    ask_batch(enclave, old)
    ask_batch(enclave, new)
    shown = held(room, enclave, 1).batches
    questions = [Envelope.from_json(each.question.encode()) for each in shown]
    assert questions == [new.envelope, old.envelope]
    subject = room.world.subject(1).uscc
    # The row that is the same again was refused, and is not shown a second time.
    assert [row.row.index for row in opened(shown[0], subject)] == [CHUNK_ROWS - 1]
    assert [row.record(SUITE).outcome for row in opened(shown[0], subject)] == [Truth.YES]


def test_they_are_shown_after_a_restart_too(room: Sample, enclave: EnclaveHarness) -> None:
    ask_batch(enclave, steady_batch(room, 1, 2))
    enclave.kill()
    (shown,) = held(room, enclave, 2).batches
    assert len(opened(shown, room.world.subject(2).uscc)) == 1


def test_what_does_not_fit_is_counted(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        ask_batch(enclave, steady_batch(room, 1))
    monkeypatch.setattr(about_subjects, "MOST_CHUNKS", 2)
    holdings = held(room, enclave, 1)
    assert (len(holdings.batches), holdings.earlier) == (2, 1)
    sets = (*STEADY, {"min_vat": "500000"})
    rows = [Row(make_uscc(FILLER + at)) for at in range(CHUNK_ROWS - 1)]
    rows += [Row(room.world.subject(1).uscc, number) for number in range(2)]
    ask_batch(enclave, batch_of(room.bank, room.steady, rows, sets))
    monkeypatch.setattr(about_subjects, "MOST_CHUNKS", 1)
    holdings = held(room, enclave, 1)
    assert [(len(each.rows), each.more) for each in holdings.batches] == [(1, 1)]
    assert holdings.earlier == 3


class Counted(Envelope):
    """An envelope of which it is known whether it is still held."""


def test_questions_that_are_not_shown_take_no_memory_together(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bank's questions may be long, and all that name a subject are looked at."""
    for _ in range(8):
        ask_batch(enclave, steady_batch(room, 1))
    most = 0

    def counted(content: bytes) -> Envelope:
        nonlocal most
        plain = unpack_envelope(content)
        read = Counted(plain.payload_type, plain.payload, plain.signatures)
        kept.add(read)
        most = max(most, len(kept))
        return read

    kept = WeakSet[Envelope]()
    monkeypatch.setattr(about_subjects, "MOST_BATCHES", 2)
    monkeypatch.setattr(about_subjects, "unpack_envelope", counted)
    assert held(room, enclave, 1).earlier == 6
    assert most <= 4


def test_a_bank_that_repeats_a_row_fills_no_subjects_list(
    room: Sample, enclave: EnclaveHarness
) -> None:
    sets = (*STEADY, {"min_vat": "500000"})
    subject = room.world.subject(1).uscc
    rows = [*[Row(subject, 0)] * (2 * CHUNK_ROWS), Row(subject, 1)]
    ask_batch(enclave, batch_of(room.bank, room.steady, rows, sets))
    (shown,) = held(room, enclave, 1).batches
    assert [row.row.index for row in opened(shown, subject)] == [0, 2 * CHUNK_ROWS]
    assert shown.more == 0


def test_a_banks_long_questions_take_no_records_place(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        ask_batch(enclave, steady_batch(room, 1))
    whole = held(room, enclave, 1)
    one = len(whole.batches[0].model_dump_json())
    monkeypatch.setattr(about_subjects, "MOST_TEXT", 2 * one + one // 2)
    holdings = held(room, enclave, 1)
    assert holdings.batches == whole.batches[:2]
    assert holdings.earlier == 1
    monkeypatch.setattr(holdings_module, "MOST_BYTES", len(whole.model_dump_json()) - 3 * one)
    fitted = whole.fitted()
    assert (fitted.batches, fitted.earlier, fitted.tables) == ((), 3, whole.tables)


class AllAlike:
    """A hash that tells nothing apart."""

    def __init__(self, digest_size: int, key: bytes) -> None:
        del key
        self._digest = bytes(digest_size)

    def copy(self) -> AllAlike:
        return self

    def update(self, data: bytes) -> None:
        del data

    def digest(self) -> bytes:
        return self._digest


def test_subjects_whose_marks_are_alike_are_told_apart(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(about_subjects, "blake2b", AllAlike)
    ask_batch(enclave, steady_batch(room, 1, 2))
    assert held(room, enclave, 3).batches == ()
    (shown,) = held(room, enclave, 1).batches
    assert [row.row.index for row in opened(shown, room.world.subject(1).uscc)] == [0]


@pytest.mark.parametrize("altered", ["subject", "index", "record", "salt", "when", "parameters"])
def test_a_row_that_is_not_what_the_enclave_said_is_refused(
    room: Sample, enclave: EnclaveHarness, altered: str
) -> None:
    sets = ({"min_vat": "50000"}, {"min_vat": "500000"})
    one, two = (room.world.subject(serial).uscc for serial in (1, 2))
    ask_batch(enclave, batch_of(room.bank, room.steady, [Row(one, 0), Row(two, 1)], sets))
    (shown,) = held(room, enclave, 1).batches
    (row,) = shown.rows
    word = load(Envelope.from_json(shown.word.encode()), BatchRelease)
    question = Envelope.from_json(shown.question.encode())
    changes = {
        "subject": {},
        "index": {"index": 1},
        "record": {"record": b64(bytes(41))},
        "salt": {"salt": b64(bytes(32))},
        "when": {"when": b64(bytes(16))},
        "parameters": {"parameters": 1},
    }[altered]
    subject = two if altered == "subject" else one
    with pytest.raises(SafeRoomError) as refused:
        verify_row(word, question, SubjectRow(subject=subject, row=row.model_copy(update=changes)))
    assert refused.value.reason is Reason.BAD_PROOF


def test_a_row_under_another_batchs_word_or_question_is_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    for _ in range(2):
        ask_batch(enclave, steady_batch(room, 1))
    one, two = held(room, enclave, 1).batches
    subject = room.world.subject(1).uscc
    for word, question, rows in ((one, two, one), (two, one, one), (two, two, one)):
        mixed = HeldBatch(
            question=question.question, word=word.word, salt=word.salt, rows=rows.rows
        )
        with pytest.raises(SafeRoomError) as refused:
            opened(mixed, subject)
        assert refused.value.reason is Reason.BAD_PROOF
