from __future__ import annotations

import asyncio
import hashlib
import random
import sqlite3
from collections.abc import Callable
from typing import cast

import pytest
from sqlalchemy import func, select

from saferoom.ledger.entries import NewEntry, NewRows, Position
from saferoom.ledger.ledger import PAGE, Ledger
from saferoom.state import tables
from saferoom.state.database import Database
from saferoom.state.rows import AnswerRow, OrganisationRow, RequestRow, SaltErased, StatementRow
from saferoom_proto.chain import GENESIS, head_of
from saferoom_proto.checkpoint import open_checkpoint, parse_proof
from saferoom_proto.merkle import EMPTY_ROOT, verify_consistency
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.server.ledger.made_up import (
    KEY,
    NOON,
    ORIGIN,
    consent,
    envelope,
    leaf_of,
    open_ledger,
    release,
    salt,
)

BANK = OrganisationRow("bank", "The Bank", "银行", ("institution",))


def count(database: Database, name: str) -> int:
    with database.read() as connection:
        counted = select(func.count()).select_from(tables.METADATA.tables[name])
        return connection.execute(counted).scalar_one()


def tree_hash(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, word for word: what the ledger's roots must equal."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:k]) + tree_hash(leaves[k:])).digest()


async def test_a_new_ledger_has_a_signed_checkpoint_of_nothing(database: Database) -> None:
    async with await open_ledger(database) as ledger:
        head = open_checkpoint(ledger.checkpoint(), ORIGIN, KEY.verify_key)
        assert (head.size, head.root) == (0, EMPTY_ROOT)
        assert ledger.entries(0, 10) == ()


async def test_an_appended_entry_is_proven_by_its_receipts_proof_alone(database: Database) -> None:
    async with await open_ledger(database) as ledger:
        for number in range(5):
            position = await ledger.append(release(number))
            proof = parse_proof(ledger.tlog_proof(position))
            assert proof.index == number
            head = proof.verify(leaf_of(release(number)), ORIGIN, KEY.verify_key)
            assert head.size == number + 1


async def test_every_proof_of_every_size_verifies(database: Database) -> None:
    randomness = random.Random(9162)
    leaves: list[bytes] = []
    notes: dict[int, str] = {}
    async with await open_ledger(database) as ledger:
        while len(leaves) < 70:
            entries = [consent(len(leaves) + n) for n in range(randomness.randint(1, 9))]
            leaves += map(leaf_of, entries)
            for position in await asyncio.gather(*map(ledger.append, entries)):
                notes[position.size] = position.note
        roots = {
            size: open_checkpoint(note, ORIGIN, KEY.verify_key).root for size, note in notes.items()
        }
        for size, root in roots.items():
            assert root == tree_hash(leaves[:size])
            for index in range(size):
                proof = parse_proof(ledger.tlog_proof(Position(index, size, notes[size])))
                proof.verify(leaves[index], ORIGIN, KEY.verify_key)
            for earlier, root_then in roots.items():
                if earlier <= size:
                    path = ledger.consistency(earlier, size)
                    verify_consistency(earlier, size, path, root_then, root)


async def test_a_thousand_appends_by_64_tasks_leave_no_gap(database: Database) -> None:
    entries = [consent(number) for number in range(1000)]
    waiting = iter(entries)
    appended: list[tuple[NewEntry, Position]] = []
    async with await open_ledger(database) as ledger:

        async def work() -> None:
            for entry in waiting:
                position = await ledger.append(entry)
                appended.append((entry, position))

        await asyncio.gather(*(work() for _ in range(64)))
        assert sorted(position.index for _, position in appended) == list(range(1000))
        sizes = sorted({position.size for _, position in appended})
        assert sizes[-1] == 1000
        assert len(sizes) < 500, "a commit carries what waits, not one entry each"
        for entry, position in appended:
            proof = parse_proof(ledger.tlog_proof(position))
            proof.verify(leaf_of(entry), ORIGIN, KEY.verify_key)
        newest = open_checkpoint(ledger.checkpoint(), ORIGIN, KEY.verify_key)
        for position in {position.size: position for _, position in appended}.values():
            earlier = open_checkpoint(position.note, ORIGIN, KEY.verify_key)
            path = ledger.consistency(earlier.size, 1000)
            verify_consistency(earlier.size, 1000, path, earlier.root, newest.root)
    assert count(database, "checkpoint") == len(sizes) + 1


async def test_proofs_are_the_same_after_reopening(database: Database) -> None:
    async with await open_ledger(database) as ledger:
        positions = [await ledger.append(consent(number)) for number in range(21)]
        proofs = [ledger.tlog_proof(position) for position in positions]
        paths = [ledger.consistency(size, 21) for size in range(1, 22)]
        tip = ledger.tip()
    async with await open_ledger(database) as ledger:
        assert ledger.tip() == tip
        assert [ledger.tlog_proof(position) for position in positions] == proofs
        assert [ledger.consistency(size, 21) for size in range(1, 22)] == paths
        assert (await ledger.append(consent(21))).index == 21


async def test_an_entry_and_its_rows_are_written_together_or_not_at_all(
    database: Database,
) -> None:
    unknown = envelope(99, "request").digest
    async with await open_ledger(database) as ledger:
        made = envelope(1, "release")
        rows = (
            StatementRow("release", made),
            AnswerRow(unknown, "tax", "bank", made.digest, b"canary"),
        )
        with pytest.raises(SafeRoomError) as refusal:
            await ledger.append(NewEntry("release", made.digest, salt(1), rows))
        assert refusal.value.reason is Reason.CONFLICT
        assert "canary" not in str(refusal.value) + str(refusal.value.__cause__)
        assert ledger.tip().size == 0
        assert ledger.index_of(made.digest) is None
        assert (await ledger.append(release(1))).index == 0
    assert [count(database, name) for name in ("entry", "node", "salt", "statement")] == [1] * 4


async def test_one_refused_entry_costs_its_neighbours_nothing(database: Database) -> None:
    numbers = [0, 1, 2, 1, 3, 0, 4, 5]
    async with await open_ledger(database) as ledger:
        outcomes = await asyncio.gather(
            *(ledger.append(consent(number, owners=("tax",))) for number in numbers),
            return_exceptions=True,
        )
        refused = [each for each in outcomes if isinstance(each, SafeRoomError)]
        positions = [each for each in outcomes if isinstance(each, Position)]
        assert [outcomes.index(each) for each in refused] == [3, 5]
        assert {each.reason for each in refused} == {Reason.CONFLICT}
        assert [position.index for position in positions] == list(range(6))
        for position, number in zip(positions, [0, 1, 2, 3, 4, 5], strict=True):
            proof = parse_proof(ledger.tlog_proof(position))
            proof.verify(leaf_of(consent(number)), ORIGIN, KEY.verify_key)
        expected = head_of(envelope(number).whole for number in range(6))
        assert ledger.tip().stream("tax").running == expected
        assert ledger.tip().stream("tax").sequence == 6
    async with await open_ledger(database) as ledger:
        assert ledger.tip().stream("tax").running == expected


async def test_each_owners_stream_is_numbered_without_gaps(database: Database) -> None:
    owners = ("tax", "court", "water")
    concerned = {number: owners[: number % 4] for number in range(200)}
    async with await open_ledger(database) as ledger:
        positions = await asyncio.gather(
            *(ledger.append(consent(number, owners=names)) for number, names in concerned.items())
        )
        by_index = {position.index: number for number, position in enumerate(positions)}
        tip = ledger.tip()
    with database.read() as connection:
        followed = select(tables.stream, tables.statement.c.digest).join(tables.statement)
        rows = connection.execute(followed).all()
    for owner in owners:
        of_owner = [
            envelope(by_index[index]) for index in range(200) if owner in concerned[by_index[index]]
        ]
        digests = [each.digest for each in of_owner]
        wholes = [each.whole for each in of_owner]
        stream = [row for row in rows if row.owner == owner]
        assert [row.sequence for row in stream] == list(range(1, len(digests) + 1))
        assert [row.digest for row in stream] == digests
        assert [row.running for row in stream] == [
            head_of(wholes[: n + 1]) for n in range(len(digests))
        ]
        assert (tip.stream(owner).sequence, tip.stream(owner).running) == (
            len(digests),
            head_of(wholes),
        )
    assert (tip.stream("nobody").sequence, tip.stream("nobody").running) == (0, GENESIS)


async def test_entries_come_in_order_and_in_pages(database: Database) -> None:
    async with await open_ledger(database) as ledger:
        await asyncio.gather(*(ledger.append(release(number)) for number in range(25)))
        first, rest = ledger.entries(0, 10), ledger.entries(10, 100)
        assert ledger.entries(25, 10) == ()
    found = [*first, *rest]
    assert [entry.index for entry in found] == list(range(25))
    for number, entry in enumerate(found):
        made = envelope(number, "release")
        assert entry.statement == made
        assert (entry.kind, entry.statement_digest) == ("release", made.digest)
        assert (entry.salt, entry.accepted_at) == (salt(number), NOON)


async def test_a_page_is_never_larger_than_its_bound(database: Database) -> None:
    async with await open_ledger(database) as ledger:
        await asyncio.gather(*(ledger.append(consent(number)) for number in range(PAGE + 1)))
        assert len(ledger.entries(0, 10**9)) == PAGE


async def test_an_entry_may_come_without_its_statement(database: Database) -> None:
    digest = envelope(0).digest
    async with await open_ledger(database) as ledger:
        await ledger.append(NewEntry("refusal", digest, salt(0)))
        assert ledger.entries(0, 1)[0].statement is None
        assert ledger.index_of(digest) is None


async def test_an_erased_salt_leaves_the_log_whole(database: Database) -> None:
    async with await open_ledger(database) as ledger:
        for number in range(4):
            await ledger.append(consent(number))
        erasure = await ledger.append(consent(4, SaltErased(2)))
        assert erasure.index == 4
    async with await open_ledger(database) as ledger:
        salts = [entry.salt for entry in ledger.entries(0, 10)]
        assert salts == [salt(0), salt(1), None, salt(3), salt(4)]
        proof = parse_proof(ledger.tlog_proof(ledger.position(2)))
        proof.verify(leaf_of(consent(2)), ORIGIN, KEY.verify_key)


async def test_rows_without_an_entry_change_no_checkpoint(database: Database) -> None:
    async with await open_ledger(database) as ledger:
        before = ledger.checkpoint()
        await ledger.store(BANK)
        assert ledger.checkpoint() == before
        with pytest.raises(SafeRoomError) as refusal:
            await ledger.store(BANK)
        assert refusal.value.reason is Reason.CONFLICT
    assert count(database, "organisation") == 1


async def test_an_earlier_statements_position_is_found_again(database: Database) -> None:
    async with await open_ledger(database) as ledger:
        await asyncio.gather(*(ledger.append(consent(number)) for number in range(9)))
        index = ledger.index_of(envelope(3).digest)
        assert index == 3
        proof = parse_proof(ledger.tlog_proof(ledger.position(index)))
        head = proof.verify(leaf_of(consent(3)), ORIGIN, KEY.verify_key)
        assert head.size == 9


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3), (0, 4), (0, 0), (0, -1)])
async def test_what_the_log_does_not_hold_cannot_be_proven(
    database: Database, index: int, size: int
) -> None:
    async with await open_ledger(database) as ledger:
        await asyncio.gather(*(ledger.append(consent(number)) for number in range(3)))
        with pytest.raises(SafeRoomError) as refusal:
            ledger.proof(index, size)
    assert refusal.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(("size1", "size2"), [(0, 3), (-1, 3), (3, 2), (3, 4), (4, 4)])
async def test_sizes_that_cannot_be_compared_are_refused(
    database: Database, size1: int, size2: int
) -> None:
    async with await open_ledger(database) as ledger:
        await asyncio.gather(*(ledger.append(consent(number)) for number in range(3)))
        with pytest.raises(SafeRoomError) as refusal:
            ledger.consistency(size1, size2)
    assert refusal.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("index", [-1, 1, 2**70])
async def test_an_entry_that_is_not_there_has_no_position(database: Database, index: int) -> None:
    async with await open_ledger(database) as ledger:
        await ledger.append(consent(0))
        with pytest.raises(SafeRoomError) as refusal:
            ledger.position(index)
    assert [fault.field for fault in refusal.value.fields] == ["index"]


@pytest.mark.parametrize(("start", "limit", "field"), [(-1, 5, "start"), (0, 0, "limit")])
async def test_a_page_that_cannot_be_is_refused(
    database: Database, start: int, limit: int, field: str
) -> None:
    async with await open_ledger(database) as ledger:
        with pytest.raises(SafeRoomError) as refusal:
            ledger.entries(start, limit)
    assert [fault.field for fault in refusal.value.fields] == [field]


async def test_a_closed_ledger_refuses_and_still_proves(database: Database) -> None:
    ledger = await open_ledger(database)
    position = await ledger.append(consent(0))
    await ledger.close()
    with pytest.raises(SafeRoomError) as refusal:
        await ledger.append(consent(1))
    assert refusal.value.reason is Reason.UNAVAILABLE
    parse_proof(ledger.tlog_proof(position)).verify(leaf_of(consent(0)), ORIGIN, KEY.verify_key)


DIGEST = envelope(0).digest


@pytest.mark.parametrize(
    "make",
    [
        lambda: NewEntry("", DIGEST, salt(0)),
        lambda: NewEntry("consent", "sha256:0", salt(0)),
        lambda: NewEntry("consent", DIGEST, b"short"),
        lambda: NewEntry("consent", DIGEST, salt(0), (StatementRow("consent", envelope(1)),)),
        lambda: NewEntry("release", DIGEST, salt(0), (StatementRow("consent", envelope(0)),)),
        lambda: NewEntry(
            "release", DIGEST, salt(0), (AnswerRow(DIGEST, "tax", "bank", envelope(1).digest, b""),)
        ),
        lambda: NewRows((StatementRow("consent", envelope(0), ("tax",)),)),
    ],
)
def test_an_item_that_makes_no_sense_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        make()
    assert refusal.value.reason is Reason.MALFORMED


def test_a_request_may_stand_beside_any_entry() -> None:
    entry = NewEntry("refusal", DIGEST, salt(0), (RequestRow("bank", envelope(7, "request")),))
    assert len(entry.rows) == 1


async def test_a_log_that_rests_gives_back_the_pages_it_held(database: Database) -> None:
    driver = cast("sqlite3.Connection", database.writer.connection.driver_connection)
    given_back = asyncio.Semaphore(0)

    def hears(said: str) -> None:
        if said == "PRAGMA shrink_memory":
            given_back.release()

    driver.set_trace_callback(hears)
    async with await Ledger.open(
        database, origin=ORIGIN, key=KEY, clock=lambda: NOON, idle_seconds=0.02
    ) as ledger:
        for index in range(2):
            await ledger.append(consent(index))
            async with asyncio.timeout(30):
                await given_back.acquire()
        await asyncio.sleep(0.2)
    # Once for each time that something was written, and not again and again while it rests.
    assert given_back.locked()
