"""The log as a member verifies it: a cut, rewritten or forked one is noticed, whoever signed it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_client.profile import Profile
from saferoom_proto import entry
from saferoom_proto.checkpoint import Checkpoint, sign_checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.client.fakeroom import Said
from tests.client.test_check import asked


def serve_entries(said: Said) -> None:
    """Serve every entry of the simulator's log, opened where its statement is known."""
    ledger, known = said.case.world.ledger, said.case.known
    said.leaves = [b""] * ledger.size
    for digest, index in ledger.index_of.items():
        salt = ledger._salts[index]
        said.leaves[index] = entry.leaf(entry.commitment(salt, digest))
        if digest in known:
            said.openings[index] = (known[digest], salt)


def grow(said: Said) -> Checkpoint:
    """Let the log grow by one entry; give its head."""
    world = said.case.world
    world.ledger.record(world.bank("bank-b").template("another", "tax.vat_paid >= 1000"))
    return world.ledger.checkpoint()


def sign(said: Said, head: Checkpoint) -> str:
    return sign_checkpoint(head, said.case.world.ledger.key)


async def reason_of(room: AsyncRoom, *, whole: bool = False) -> Reason:
    with pytest.raises(SafeRoomError) as refused:
        await room.verify_log(whole=whole)
    return refused.value.reason


async def test_the_first_head_is_kept_and_the_next_one_extends_it(
    room: AsyncRoom, said: Said
) -> None:
    first = await room.verify_log()
    assert first.since is None
    head = grow(said)
    second = await room.verify_log()
    assert (second.since, second.checkpoint) == (first.checkpoint, head)
    again = await room.verify_log()
    assert again.since == again.checkpoint == head


async def test_a_log_that_was_cut_is_noticed(room: AsyncRoom, said: Said) -> None:
    earlier = said.case.world.ledger.note()
    grow(said)
    await room.verify_log()
    said.note = earlier
    assert await reason_of(room) is Reason.BAD_PROOF


async def test_a_log_that_was_rewritten_is_noticed(room: AsyncRoom, said: Said) -> None:
    await room.verify_log()
    head = grow(said)
    said.note = sign(said, replace(head, root=bytes(32)))
    assert await reason_of(room) is Reason.BAD_PROOF


async def test_a_second_log_of_the_same_size_is_noticed(room: AsyncRoom, said: Said) -> None:
    await room.verify_log()
    said.note = sign(said, replace(said.case.world.ledger.checkpoint(), root=bytes(32)))
    assert await reason_of(room) is Reason.BAD_PROOF


async def test_a_log_without_what_an_answer_came_with_is_noticed(
    room: AsyncRoom, said: Said
) -> None:
    earlier = said.case.world.ledger.note()
    await asked(room, said)
    said.note = earlier
    assert await reason_of(room) is Reason.BAD_PROOF


async def test_what_was_refused_is_not_remembered(room: AsyncRoom, said: Said) -> None:
    await room.verify_log()
    kept = Profile.load(room.profile.folder).log.read()
    said.note = sign(said, replace(grow(said), root=bytes(32)))
    await reason_of(room)
    assert Profile.load(room.profile.folder).log.read() == kept


async def test_a_checkpoint_that_the_room_did_not_sign_is_refused(
    room: AsyncRoom, said: Said
) -> None:
    said.note = sign_checkpoint(said.case.world.ledger.checkpoint(), SigningKey.generate())
    assert await reason_of(room) is Reason.BAD_SIGNATURE


async def test_every_entry_is_read_hashed_and_opened(room: AsyncRoom, said: Said) -> None:
    serve_entries(said)
    seen: list[tuple[int, int]] = []

    def progress(read: int, total: int) -> None:
        seen.append((read, total))

    report = await room.verify_log(whole=True, progress=progress)
    assert report.entries == report.checkpoint.size == len(said.leaves)
    assert report.opened == len(said.openings) > 0
    assert seen[-1] == (report.entries, report.entries)


async def test_an_erased_entry_is_counted_and_still_hashes(room: AsyncRoom, said: Said) -> None:
    serve_entries(said)
    index = next(iter(said.openings))
    said.openings[index] = (said.openings[index][0], b"")
    report = await room.verify_log(whole=True)
    assert (report.erased, report.opened) == (1, len(said.openings) - 1)


async def test_a_leaf_that_was_changed_is_noticed(room: AsyncRoom, said: Said) -> None:
    serve_entries(said)
    said.openings.clear()
    said.leaves[1] = entry.leaf(bytes(32))
    assert await reason_of(room, whole=True) is Reason.BAD_PROOF


async def test_an_entry_with_another_statement_is_noticed(room: AsyncRoom, said: Said) -> None:
    serve_entries(said)
    index = next(iter(said.openings))
    said.openings[index] = (grown_statement(said), said.openings[index][1])
    assert await reason_of(room, whole=True) is Reason.BAD_PROOF


def grown_statement(said: Said) -> Envelope:
    return said.case.world.bank("bank-b").template("another", "tax.vat_paid >= 1000")


async def test_a_list_that_ends_early_or_goes_on_is_noticed(room: AsyncRoom, said: Said) -> None:
    serve_entries(said)
    said.openings.clear()
    last = said.leaves.pop()
    assert await reason_of(room, whole=True) is Reason.BAD_PROOF
    said.leaves += [last, last]
    assert (await room.verify_log(whole=True)).entries == len(said.leaves) - 1
