"""Cosignatures at the room's real services: gathered, shown, kept, and refused."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from pathlib import Path

import grpc
import pytest

from saferoom.rounds import FILE, MOST_ROUNDS
from saferoom_proto import cosignature
from saferoom_proto.checkpoint import Checkpoint, Note, open_checkpoint, sign_checkpoint
from saferoom_proto.cosignature import Algorithm, Cosigner
from saferoom_proto.merkle import leaf_hash, verify_inclusion
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.statements.witnesses import vouched_by
from saferoom_proto.v1 import identity_pb2, ledger_pb2
from simulator import World
from tests.server.room.opened import SECONDS, OpenedRoom, opened

ROLES = {
    "bank": identity_pb2.ROLE_INSTITUTION,
    "owner": identity_pb2.ROLE_OWNER,
    "auditor": identity_pb2.ROLE_AUDITOR,
}
COSIGNERS = {
    "bank": Cosigner.generate("bank.example/w", Algorithm.ED25519),
    "owner": Cosigner.generate("owner.example/w", Algorithm.ML_DSA_44),
    "auditor": Cosigner.generate("auditor.example/w", Algorithm.ML_DSA_44),
}
ED25519 = Algorithm.ED25519
KEYS = [each.key for each in COSIGNERS.values()]


@pytest.fixture
async def room(empty_room: OpenedRoom) -> OpenedRoom:
    """Give a room with an organisation for each witness."""
    for name, role in ROLES.items():
        await empty_room.enrol(name, role)
    await empty_room.join(empty_room.world.owner("tax"), attend=False)
    return empty_room


async def heads(room: OpenedRoom, who: str = "bank") -> ledger_pb2.GetCheckpointResponse:
    request = ledger_pb2.GetCheckpointRequest()
    return await room.calls(who).ledger.GetCheckpoint(request, timeout=SECONDS)


def opened_note(room: OpenedRoom, note: str) -> Checkpoint:
    return open_checkpoint(note, room.world.room, room.world.ledger.key.verify_key)


def now(room: OpenedRoom) -> int:
    return int(room.world.clock.utc().timestamp())


async def hand_in(
    room: OpenedRoom, who: str, head: Checkpoint, *, by: str = "", time: int | None = None
) -> None:
    cosigner = COSIGNERS[by or who]
    request = ledger_pb2.AddCosignatureRequest(
        key=cosigner.key.text,
        size=head.size,
        line=cosigner.cosign(head, now(room) if time is None else time),
    )
    await room.calls(who).ledger.AddCosignature(request, timeout=SECONDS)


async def witness(room: OpenedRoom, who: str) -> Checkpoint:
    head = opened_note(room, (await heads(room, who)).to_cosign)
    await hand_in(room, who, head)
    return head


async def grow(room: OpenedRoom) -> None:
    """Let the log grow by an entry, and a round pass."""
    await add_entry(room)
    room.world.clock.advance(6)


async def add_entry(room: OpenedRoom) -> None:
    await room.hand_in(room.world.owner("tax").adopt())


def four_bytes(name: str, typed_key: bytes) -> bytes:
    """Give every key of every name one id."""
    del name, typed_key
    return b"four"


async def reason_of(call: Awaitable[object]) -> Reason:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value).reason


async def test_witnesses_words_meet_under_one_note(room: OpenedRoom) -> None:
    assert not (await heads(room)).cosigned
    for who in COSIGNERS:
        await witness(room, who)
    (note,) = (await heads(room)).cosigned
    head = opened_note(room, note)
    assert {each.witness for each in vouched_by(KEYS, head, note)} == {key.name for key in KEYS}


async def test_a_log_that_stands_still_is_cosigned_again(room: OpenedRoom) -> None:
    head = await witness(room, "bank")
    room.world.clock.advance(30)
    assert await witness(room, "bank") == head
    (note,) = (await heads(room)).cosigned
    (word,) = vouched_by(KEYS, head, note)
    assert word.time == now(room)
    assert len(Note.parse(note).signatures) == 2


async def test_what_a_newer_note_does_not_say_is_still_shown(room: OpenedRoom) -> None:
    for who in COSIGNERS:
        await witness(room, who)
    await grow(room)
    await witness(room, "bank")
    newer, older = (await heads(room)).cosigned
    assert opened_note(room, newer).size > opened_note(room, older).size
    assert [len(Note.parse(each).signatures) for each in (newer, older)] == [2, 4]
    await witness(room, "owner")
    await witness(room, "auditor")
    assert len((await heads(room)).cosigned) == 1


async def test_a_round_lasts_long_enough_for_every_witness(room: OpenedRoom) -> None:
    first = (await heads(room)).to_cosign
    await add_entry(room)
    told = await heads(room)
    assert told.to_cosign == first != told.checkpoint
    room.world.clock.advance(6)
    assert (await heads(room)).to_cosign == told.checkpoint


async def test_what_was_cosigned_long_ago_is_not_taken_any_more(room: OpenedRoom) -> None:
    first = opened_note(room, (await heads(room)).to_cosign)
    for _ in range(MOST_ROUNDS):
        await grow(room)
        await heads(room)
    assert await reason_of(hand_in(room, "bank", first)) is Reason.CONFLICT


@pytest.mark.parametrize("change", ["size", "root", "origin"])
async def test_a_cosignature_of_another_log_is_refused(room: OpenedRoom, change: str) -> None:
    head = opened_note(room, (await heads(room)).to_cosign)
    other = {
        "size": Checkpoint(head.origin, head.size + 1, head.root),
        "root": Checkpoint(head.origin, head.size, bytes(32)),
        "origin": Checkpoint("other.example/log", head.size, head.root),
    }[change]
    expected = Reason.CONFLICT if change == "size" else Reason.BAD_SIGNATURE
    assert await reason_of(hand_in(room, "bank", other)) is expected
    assert not (await heads(room)).cosigned


@pytest.mark.parametrize("seconds", [-31, 31])
async def test_a_witness_whose_clock_is_wrong_is_told_so(room: OpenedRoom, seconds: int) -> None:
    head = opened_note(room, (await heads(room)).to_cosign)
    call = hand_in(room, "bank", head, time=now(room) + seconds)
    assert await reason_of(call) is Reason.MALFORMED


async def test_two_organisations_do_not_hand_in_one_witnesss_word(room: OpenedRoom) -> None:
    head = await witness(room, "bank")
    assert await reason_of(hand_in(room, "owner", head, by="bank")) is Reason.CONFLICT
    (note,) = (await heads(room)).cosigned
    assert len(Note.parse(note).signatures) == 2


@pytest.mark.parametrize("later", [False, True], ids=["the same round", "a later round"])
async def test_no_line_is_taken_that_readers_take_for_anothers(
    room: OpenedRoom, monkeypatch: pytest.MonkeyPatch, later: bool
) -> None:
    """Four bytes of a hash and the name tell whose a line is: a bank can make a key with both."""
    monkeypatch.setattr(cosignature, "key_hint", four_bytes)
    monkeypatch.setitem(COSIGNERS, "alike", Cosigner.generate("owner.example/w", ED25519))
    head = await witness(room, "owner")
    if later:
        await grow(room)
        head = opened_note(room, (await heads(room)).to_cosign)
    assert await reason_of(hand_in(room, "bank", head, by="alike")) is Reason.CONFLICT
    (note,) = (await heads(room)).cosigned
    assert len(vouched_by(KEYS, opened_note(room, note), note)) == 1


async def test_no_witness_has_the_name_of_the_log(
    room: OpenedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COSIGNERS, "log", Cosigner.generate(room.world.room, ED25519))
    head = opened_note(room, (await heads(room)).to_cosign)
    assert await reason_of(hand_in(room, "bank", head, by="log")) is Reason.CONFLICT


async def test_a_witness_that_cosigns_without_pause_is_slowed_down(room: OpenedRoom) -> None:
    head = await witness(room, "bank")
    assert await reason_of(hand_in(room, "bank", head)) is Reason.TOO_MANY_REQUESTS


@pytest.mark.parametrize("line", ["", "\u2014 w AAAAAAA=", "\u2014 w AAAAAAA=\n" * 2, "x\n"])
async def test_what_is_not_one_line_of_a_note_is_refused(room: OpenedRoom, line: str) -> None:
    size = opened_note(room, (await heads(room)).to_cosign).size
    request = ledger_pb2.AddCosignatureRequest(key=KEYS[0].text, size=size, line=line)
    call = room.calls("bank").ledger.AddCosignature(request, timeout=SECONDS)
    assert await reason_of(call) in {Reason.MALFORMED, Reason.BAD_SIGNATURE}


async def test_subjects_and_the_operator_are_no_witnesses(room: OpenedRoom) -> None:
    head = opened_note(room, (await heads(room)).to_cosign)
    assert await reason_of(hand_in(room, "operator", head, by="bank")) is Reason.NOT_ALLOWED


async def test_what_was_cosigned_outlives_the_room(room: OpenedRoom, tmp_path: Path) -> None:
    del tmp_path
    await witness(room, "bank")
    before = (await heads(room)).cosigned
    await room.leave()
    await room.server.close()
    room.stubs.clear()
    async with opened(room.folder, room.world) as again:
        assert (await heads(again)).cosigned == before


async def test_a_room_put_back_to_before_what_was_cosigned_does_not_open(tmp_path: Path) -> None:
    world = World("put-back")
    async with opened(tmp_path / "room", world) as room:
        for name, role in ROLES.items():
            await room.enrol(name, role)
        await room.join(world.owner("tax"), attend=False)
        head = await witness(room, "bank")
    kept = tmp_path / "room" / FILE
    document = json.loads(kept.read_text())
    for forged in (
        Checkpoint(head.origin, head.size + 1, head.root),
        Checkpoint(head.origin, head.size, bytes(32)),
    ):
        document["rounds"][0]["note"] = sign_checkpoint(forged, world.ledger.key)
        kept.write_text(json.dumps(document))
        with pytest.raises(SafeRoomError) as refused:
            async with opened(tmp_path / "room", world):
                pass
        assert refused.value.reason is Reason.BAD_PROOF
    kept.write_text("not json")
    async with opened(tmp_path / "room", world) as room:
        assert not (await heads(room)).cosigned


async def test_anybody_gets_the_proof_that_an_entry_stands_under_a_head(room: OpenedRoom) -> None:
    head = opened_note(room, (await heads(room)).checkpoint)
    page = ledger_pb2.ListEntriesRequest(start=0, limit=1000)
    told = await room.calls("auditor").ledger.ListEntries(page, timeout=SECONDS)
    assert len(told.entries) == head.size
    for index, entry in enumerate(told.entries):
        ask = ledger_pb2.GetInclusionRequest(index=index, size=head.size)
        proof = await room.calls("bank").ledger.GetInclusion(ask, timeout=SECONDS)
        verify_inclusion(index, head.size, leaf_hash(entry.leaf), tuple(proof.hashes), head.root)
    for ask in (
        ledger_pb2.GetInclusionRequest(index=head.size, size=head.size),
        ledger_pb2.GetInclusionRequest(index=0, size=head.size + 1),
    ):
        call = room.calls("bank").ledger.GetInclusion(ask, timeout=SECONDS)
        assert await reason_of(call) is Reason.MALFORMED
