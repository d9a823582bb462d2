"""A server that alters, leaves out, repeats or swaps what comes of a batch; receipts tampered with.

The room is real; between it and the client stands somebody who does as each test says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from saferoom_client import batches
from saferoom_client.batch import Batch
from saferoom_client.batch_answer import BatchAnswer
from saferoom_client.session import Session
from saferoom_proto.batch import CHUNK_ROWS, ROW_BYTES
from saferoom_proto.batch_receipt import (
    BatchReceipt,
    RowReceipt,
    consents_of,
    take_row,
    verify_batch_receipt,
    verify_row_receipt,
)
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.trust import Trust
from saferoom_proto.uscc import make_uscc
from saferoom_proto.v1 import batch_pb2
from tests.flow.live import LiveRoom
from tests.flow.offers import POOR, STEADY

LEAST = {"least": "5000"}
ROWS = [STEADY, POOR, *(make_uscc(41_000_000 + at) for at in range(CHUNK_ROWS))]

Told = tuple[str, batch_pb2.CheckManyResponse]
Attack = Callable[[list[Told]], Sequence[Told]]


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def chunks(told: list[Told]) -> list[Told]:
    return [each for each in told if each[1].WhichOneof("piece") == "chunk"]


def alter_sealed(told: list[Told]) -> list[Told]:
    chunks(told)[0][1].chunk.sealed = flipped(chunks(told)[0][1].chunk.sealed)
    return told


def alter_proof(told: list[Told]) -> list[Told]:
    chunk = chunks(told)[0][1].chunk
    chunk.proof[0] = flipped(chunk.proof[0])
    return told


def alter_secret(told: list[Told]) -> list[Told]:
    word = next(each for _, each in told if each.WhichOneof("piece") == "word").word
    word.sealed_secret = flipped(word.sealed_secret)
    return told


def drop_the_last_chunk(told: list[Told]) -> list[Told]:
    return [each for each in told if each is not chunks(told)[-1]]


def drop_a_word(told: list[Told]) -> list[Told]:
    return [each for each in told if each[1].WhichOneof("piece") != "word"]


def drop_an_owner(told: list[Told]) -> list[Told]:
    return [each for each in told if each[0] != "court"]


def repeat_a_chunk(told: list[Told]) -> list[Told]:
    return [*told, chunks(told)[0]]


def swap_chunks(told: list[Told]) -> list[Told]:
    first, second = [each for each in chunks(told) if each[0] == "tax"]
    first[1].chunk.sealed, second[1].chunk.sealed = (
        second[1].chunk.sealed,
        first[1].chunk.sealed,
    )
    return told


def swap_owners(told: list[Told]) -> list[Told]:
    other = {"court": "tax", "tax": "court"}
    return [(other.get(owner, owner), message) for owner, message in told]


@pytest.mark.parametrize(
    "attack",
    [
        alter_sealed,
        alter_proof,
        alter_secret,
        drop_the_last_chunk,
        drop_a_word,
        drop_an_owner,
        repeat_a_chunk,
        swap_chunks,
        swap_owners,
    ],
)
def test_what_is_altered_on_its_way_is_not_returned(
    live: LiveRoom, monkeypatch: pytest.MonkeyPatch, attack: Attack
) -> None:
    honest = batches._exchange

    async def between(session: Session, batch: Batch) -> AsyncIterator[Told]:
        told = [each async for each in honest(session, batch)]
        for each in attack(told):
            yield each

    monkeypatch.setattr(batches, "_exchange", between)
    with live.open("bank-a", "desk") as room, pytest.raises(SafeRoomError) as refused:
        room.check_many("steady-payer", ROWS, purpose="pre-loan", params=LEAST)
    assert refused.value.reason in {Reason.BAD_PROOF, Reason.BAD_SEAL}


def test_what_came_of_another_batch_is_not_returned(
    live: LiveRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = batches._exchange
    with live.open("bank-a", "desk") as room:
        one, other = (
            room.prepare_many("steady-payer", ROWS[:2], purpose="pre-loan", params=LEAST)
            for _ in range(2)
        )

        async def swapped(session: Session, batch: Batch) -> AsyncIterator[Told]:
            async for each in honest(session, one if batch is other else other):
                yield each

        monkeypatch.setattr(batches, "_exchange", swapped)
        with pytest.raises(SafeRoomError, match="BAD_PROOF"):
            room.ask_many(one)


@pytest.fixture(scope="module")
def answer(live: LiveRoom) -> BatchAnswer:
    with live.open("bank-a", "desk") as room:
        return room.check_many("steady-payer", ROWS[:4], purpose="pre-loan", params=LEAST)


@pytest.fixture(scope="module")
def row(live: LiveRoom, answer: BatchAnswer) -> RowReceipt:
    with live.open("bank-a", "desk") as room:
        return room.row_receipt(answer.receipt, 0)


@pytest.fixture(scope="module")
def trust(live: LiveRoom) -> Trust:
    return live.profile("bank-a", "desk").trust


def changed_part(row: RowReceipt, **changes: object) -> RowReceipt:
    part = row.parts[1].model_copy(update=changes)
    return row.model_copy(update={"parts": (row.parts[0], part)})


def another(answer: BatchAnswer, row: RowReceipt) -> RowReceipt:
    """Give the next row's receipt, with the consent of another row."""
    consents = dict.fromkeys(consents_of(answer.receipt, 1), row.parts[0].consent or "")
    return take_row(answer.receipt, 1, consents)


@pytest.mark.parametrize("field", ["row_salt", "when", "record"])
def test_no_byte_of_a_rows_outcome_can_be_altered(
    row: RowReceipt, trust: Trust, field: str
) -> None:
    verify_row_receipt(row, trust)
    altered = b64(flipped(unb64(getattr(row.parts[1], field))))
    with pytest.raises(SafeRoomError):
        verify_row_receipt(changed_part(row, **{field: altered}), trust)


@pytest.mark.parametrize("field", ["row", "blind"])
def test_no_byte_of_a_row_can_be_altered(row: RowReceipt, trust: Trust, field: str) -> None:
    altered = b64(flipped(unb64(getattr(row, field))))
    with pytest.raises(SafeRoomError):
        verify_row_receipt(row.model_copy(update={field: altered}), trust)


def test_a_row_does_not_verify_at_another_place_or_with_anothers_proof(
    answer: BatchAnswer, row: RowReceipt, trust: Trust
) -> None:
    other = another(answer, row)
    for changes in (
        {"index": 1},
        {"path": other.path},
        {"row": other.row},
        {"path": ()},
        {"index": CHUNK_ROWS},
    ):
        with pytest.raises(SafeRoomError):
            verify_row_receipt(row.model_copy(update=changes), trust)
    for changes in ({"path": other.parts[1].path}, {"record": other.parts[1].record}):
        with pytest.raises(SafeRoomError):
            verify_row_receipt(changed_part(row, **changes), trust)


def test_a_row_of_another_batch_does_not_verify(
    live: LiveRoom, row: RowReceipt, trust: Trust
) -> None:
    with live.open("bank-a", "desk") as room:
        again = room.check_many("steady-payer", ROWS[:4], purpose="pre-loan", params=LEAST)
        other = room.row_receipt(again.receipt, 0)
    with pytest.raises(SafeRoomError):
        verify_row_receipt(row.model_copy(update={"request": other.request}), trust)
    with pytest.raises(SafeRoomError):
        verify_row_receipt(changed_part(row, release=other.parts[1].release), trust)


def test_a_receipt_without_a_part_or_its_grounds_does_not_verify(
    answer: BatchAnswer, row: RowReceipt, trust: Trust
) -> None:
    other = another(answer, row)
    with pytest.raises(SafeRoomError):
        verify_row_receipt(row.model_copy(update={"parts": row.parts[:1]}), trust)
    for changes in (
        {"consent": None},
        {"approvals": ()},
        {"agreements": (row.parts[0].agreements[0],)},
        {"charters": row.parts[0].charters},
        {"features": ()},
        {"endorsement": row.parts[0].endorsement},
        {"proof": row.parts[0].proof},
        {"salt": row.parts[0].salt},
    ):
        with pytest.raises(SafeRoomError):
            verify_row_receipt(changed_part(row, **changes), trust)
    with pytest.raises(SafeRoomError):
        verify_row_receipt(other, trust)  # with the consent of another row


def test_the_file_of_a_whole_batch_can_not_be_altered(answer: BatchAnswer, trust: Trust) -> None:
    receipt = answer.receipt
    verify_batch_receipt(receipt, trust)
    rows = unb64(receipt.rows)
    swapped = rows[ROW_BYTES : 2 * ROW_BYTES] + rows[:ROW_BYTES] + rows[2 * ROW_BYTES :]
    part = receipt.parts[1]
    altered = part.model_copy(update={"chunks": (b64(flipped(unb64(part.chunks[0]))),)})
    for changes in (
        {"rows": b64(swapped)},
        {"rows": b64(rows[:-ROW_BYTES])},
        {"blinding": b64(bytes(32))},
        {"parts": (receipt.parts[0], altered)},
        {"parts": receipt.parts[:1]},
        {"certificate": "{}"},
    ):
        with pytest.raises(SafeRoomError):
            verify_batch_receipt(receipt.model_copy(update=changes), trust)
    for data in (b"{}", b"[]", receipt.to_json()[:-9]):
        with pytest.raises(SafeRoomError, match="MALFORMED"):
            BatchReceipt.from_json(data)


def test_who_has_one_rows_receipt_cannot_find_out_who_else_was_asked_about(
    answer: BatchAnswer, row: RowReceipt
) -> None:
    # The row beside it is the first hash of its path. Whoever guesses its subject, and few can be
    # meant, would need its blind to tell whether the guess is right.
    blinding, data = unb64(answer.receipt.blinding), row.to_json()
    assert b64(blinding).encode() not in data
    for part in answer.receipt.parts:
        assert part.secret.encode() not in data
        assert all(chunk.encode() not in data for chunk in part.chunks)
    assert POOR.encode() not in data
    assert b64(unb64(answer.receipt.rows)[ROW_BYTES : 2 * ROW_BYTES]).encode() not in data


def test_a_row_is_not_taken_without_its_consents_or_where_there_is_none(
    answer: BatchAnswer, row: RowReceipt
) -> None:
    held = {part.consent for part in row.parts}
    named = consents_of(answer.receipt, 0)
    assert named == {Envelope.from_json((each or "").encode()).digest for each in held}
    with pytest.raises(SafeRoomError, match="MALFORMED: the row's consent"):
        take_row(answer.receipt, 0, {})
    for index in (-1, 4):
        with pytest.raises(SafeRoomError, match=f"MALFORMED: the batch has no row {index}"):
            consents_of(answer.receipt, index)
        with pytest.raises(SafeRoomError, match=f"MALFORMED: the batch has no row {index}"):
            take_row(answer.receipt, index, {})
