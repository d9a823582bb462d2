"""Loads: all of it or none, by an approver's order, once, and never an older one again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from saferoom_enclaves.loads import NewStore
from saferoom_enclaves.vault import snapshot_path
from saferoom_proto.answer import Truth
from saferoom_proto.load import LoadHeader, LoadSealer, LoadTable
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import KEPT_SNAPSHOTS
from saferoom_proto.statements import Snapshot, load
from simulator import EnclaveHarness, Firm, Sample, tax_csv
from simulator.sample import TAX_TABLES, ordered, schema

KEY = bytes(range(32))


def answer(enclave: EnclaveHarness, room: Sample, serial: int = 1) -> Truth | Reason | None:
    try:
        verdict = enclave.ask(room.question(serial, "10000"))
    except SafeRoomError as error:
        return error.reason
    return verdict.truth or verdict.reason


def sealed(
    enclave: EnclaveHarness, data: bytes, key: bytes = KEY
) -> tuple[LoadHeader, list[bytes]]:
    header = LoadHeader("tax", enclave.newest_schema(), (LoadTable.of("firms", len(data)),))
    return header, list(LoadSealer(header.digest, key).table(0, data))


def refuses(
    enclave: EnclaveHarness, header: LoadHeader, order: bytes, pieces: list[bytes]
) -> Reason:
    before = enclave.enclave.whereabouts().chain_length
    with pytest.raises(SafeRoomError) as error:
        enclave.load_pieces(header, order, pieces)
    assert enclave.enclave.whereabouts().chain_length == before
    assert list(enclave.scratch.iterdir()) == []
    return error.value.reason


def test_a_load_replaces_the_store_and_says_so_in_the_chain(
    room: Sample, enclave: EnclaveHarness
) -> None:
    assert answer(enclave, room) is Truth.YES
    report = enclave.load({"firms": tax_csv(room.world, {1: Firm("1", arrears=False, rating="A")})})
    assert report.snapshot is not None
    snapshot = load(report.snapshot.statement, Snapshot)
    assert (snapshot.store.epoch, snapshot.rows) == (2, {"firms": 1})
    assert snapshot.previous is not None
    assert snapshot.previous.epoch == 1
    assert report.snapshot.order is not None
    assert report.snapshot.order.digest == snapshot.order
    assert answer(enclave, room) is Truth.NO
    assert report.snapshot in enclave.enclave.outbox(0)
    assert list(enclave.scratch.iterdir()) == []
    enclave.restart()
    assert answer(enclave, room) is Truth.NO
    assert enclave.ask(room.question()).release.store == snapshot.store


def test_bad_rows_are_told_to_who_ordered_the_load_and_the_old_store_stays(
    room: Sample, enclave: EnclaveHarness
) -> None:
    data = tax_csv(room.world) + b"91330100AAAAAAAAAA,1,true,A\n"
    data += room.world.subject(5).uscc.encode() + b",98765.4321x,true,A\n"
    header, pieces = sealed(enclave, data)
    report = enclave.load_pieces(header, enclave.order(header, KEY), pieces)
    assert report.snapshot is None
    faults = enclave.faults(report, header)
    assert faults.count == 2
    assert [(row.line, row.column) for row in faults.rows] == [(6, "uscc"), (7, "vat")]
    assert "98765" not in faults.model_dump_json() + enclave.log.getvalue()
    assert answer(enclave, room) is Truth.YES


def test_a_load_without_an_approvers_order_is_refused(
    enclave: EnclaveHarness, room: Sample
) -> None:
    header, pieces = sealed(enclave, tax_csv(room.world))
    for changes in ({"owner": "court"}, {"approver": "zhao"}, {"room": "other.example"}):
        order = enclave.order(header, KEY, **changes)
        assert refuses(enclave, header, order, pieces) is Reason.BAD_SIGNATURE
    chen = room.tax.approvers["chen"]
    for signer in (room.tax.root, room.court.approvers["chen"], room.bank.key):
        room.tax.approvers["chen"] = signer
        order = enclave.order(header, KEY)
        assert refuses(enclave, header, order, pieces) is Reason.BAD_SIGNATURE
    room.tax.approvers["chen"] = chen
    assert answer(enclave, room) is Truth.YES


def test_an_order_dated_ahead_is_refused(enclave: EnclaveHarness, room: Sample) -> None:
    header, pieces = sealed(enclave, tax_csv(room.world))
    order = enclave.order(header, KEY, at=room.world.now() + timedelta(minutes=6))
    assert refuses(enclave, header, order, pieces) is Reason.NOT_YET_VALID


def test_an_order_after_another_snapshot_is_refused(enclave: EnclaveHarness, room: Sample) -> None:
    header, pieces = sealed(enclave, tax_csv(room.world))
    for follows in (None, "sha256:" + "0" * 64):
        order = enclave.order(header, KEY, follows=follows)
        assert refuses(enclave, header, order, pieces) is Reason.CONFLICT


def test_a_load_that_was_taken_is_not_taken_again(enclave: EnclaveHarness, room: Sample) -> None:
    header, pieces = sealed(enclave, tax_csv(room.world))
    order = enclave.order(header, KEY)
    assert enclave.load_pieces(header, order, pieces).snapshot is not None
    assert refuses(enclave, header, order, pieces) is Reason.CONFLICT


def test_a_load_held_back_is_not_taken_after_a_later_one(
    enclave: EnclaveHarness, room: Sample
) -> None:
    header, pieces = sealed(enclave, tax_csv(room.world))
    held = enclave.order(header, KEY)
    enclave.load({"firms": tax_csv(room.world)})
    assert refuses(enclave, header, held, pieces) is Reason.CONFLICT


def test_a_load_that_a_later_one_overtook_is_not_taken(
    enclave: EnclaveHarness, room: Sample
) -> None:
    header, pieces = sealed(enclave, tax_csv(room.world))
    slow = enclave.enclave.begin_load(header, enclave.order(header, KEY))
    for piece in pieces:
        slow.add(piece)
    built = slow.build()
    enclave.load({"firms": tax_csv(room.world)})
    assert isinstance(built, NewStore)
    with pytest.raises(SafeRoomError, match="CONFLICT"):
        enclave.enclave.commit_store(built)
    slow.close()
    assert answer(enclave, room) is Truth.YES


def test_a_load_for_another_start_of_the_enclave_is_refused(
    enclave: EnclaveHarness, room: Sample
) -> None:
    header, pieces = sealed(enclave, tax_csv(room.world))
    order = enclave.order(header, KEY)
    enclave.restart()
    assert refuses(enclave, header, order, pieces) is Reason.BAD_SEAL


def test_a_load_that_breaks_off_or_is_altered_leaves_the_old_store(
    enclave: EnclaveHarness, room: Sample
) -> None:
    header, pieces = sealed(enclave, tax_csv(room.world))
    assert refuses(enclave, header, enclave.order(header, KEY), []) is Reason.BAD_SEAL
    altered = [pieces[0][:-1] + b"\0"]
    assert refuses(enclave, header, enclave.order(header, KEY), altered) is Reason.BAD_SEAL
    assert answer(enclave, room) is Truth.YES


def test_a_load_of_other_tables_or_under_another_schema_is_refused(
    enclave: EnclaveHarness, room: Sample
) -> None:
    newest = enclave.newest_schema()
    for header, reason in (
        (LoadHeader("tax", newest, (LoadTable("others", 1),)), Reason.MALFORMED),
        (LoadHeader("tax", newest, (LoadTable("firms", 1 << 20),)), Reason.TOO_LARGE),
        (LoadHeader("tax", "sha256:" + "0" * 64, (LoadTable("firms", 1),)), Reason.CONFLICT),
        (LoadHeader("court", newest, (LoadTable("firms", 1),)), Reason.BAD_SIGNATURE),
    ):
        assert refuses(enclave, header, enclave.order(header, KEY), []) is reason
    assert answer(enclave, room) is Truth.YES


def test_a_new_schema_holds_for_the_next_load_and_the_old_store_answers_until_then(
    enclave: EnclaveHarness, room: Sample
) -> None:
    room.tax.publish_schema(schema("tax", *TAX_TABLES, version=2))
    enclave.follow()
    assert answer(enclave, room) is Truth.YES
    enclave.restart()
    assert answer(enclave, room) is Truth.YES
    report = enclave.load({"firms": tax_csv(room.world)})
    assert report.snapshot is not None
    assert load(report.snapshot.statement, Snapshot).schema_digest == enclave.newest_schema()
    assert answer(enclave, room) is Truth.YES


def test_a_feature_that_comes_later_is_computed_over_the_store(
    enclave: EnclaveHarness, room: Sample
) -> None:
    sql = "SELECT uscc AS subject, vat / 2 AS value FROM firms"
    room.tax.define(ordered("tax", "half_vat", sql, ["50000"]))
    halved = room.approved("halved", "tax.half_vat >= 50000")
    room.world.subject(1).give(room.bank, ["tax.half_vat"])
    enclave.follow()
    assert enclave.ask(room.question(asked=halved)).truth is Truth.YES


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT uscc AS subject, nothing AS value FROM firms",
        "SELECT uscc AS subject, 1 AS value FROM elsewhere",
        "SELECT * FROM read_csv('/etc/passwd')",
    ],
)
def test_a_feature_that_cannot_be_computed_holds_up_no_other(
    enclave: EnclaveHarness, room: Sample, sql: str
) -> None:
    room.tax.define(ordered("tax", "broken", sql, ["1"]))
    broken = room.approved("broken", "tax.broken >= 1")
    room.world.subject(1).give(room.bank, ["tax.broken"])
    enclave.follow()
    assert answer(enclave, room) is Truth.YES
    with pytest.raises(SafeRoomError, match="NO_DATA"):
        enclave.judge(room.question(asked=broken))
    enclave.restart()
    assert answer(enclave, room) is Truth.YES


def test_a_snapshot_that_was_altered_or_put_back_is_not_answered_from(
    enclave: EnclaveHarness, room: Sample
) -> None:
    first = snapshot_path(enclave.folder, 1).read_bytes()
    enclave.load({"firms": tax_csv(room.world)})
    second = snapshot_path(enclave.folder, 2)
    whole = second.read_bytes()
    for wrong, reason in (
        (whole[:-1], Reason.STORE_DAMAGED),
        (whole[:100] + bytes([whole[100] ^ 1]) + whole[101:], Reason.STORE_DAMAGED),
        (first, Reason.STORE_ROLLED_BACK),
    ):
        second.write_bytes(wrong)
        enclave.restart()
        assert answer(enclave, room) is reason
    second.write_bytes(whole)
    enclave.restart()
    assert answer(enclave, room) is Truth.YES


def test_the_snapshot_in_use_and_three_before_it_are_kept(
    enclave: EnclaveHarness, room: Sample
) -> None:
    for _ in range(KEPT_SNAPSHOTS):
        enclave.load({"firms": tax_csv(room.world)})
    kept = sorted(path.name for path in enclave.folder.glob("snapshot-*"))
    assert kept == [snapshot_path(Path(), epoch).name for epoch in (2, 3, 4, 5)]


def test_a_killed_load_leaves_the_old_store_and_takes_no_number_twice(
    enclave: EnclaveHarness, room: Sample
) -> None:
    header, pieces = sealed(enclave, tax_csv(room.world))
    job = enclave.enclave.begin_load(header, enclave.order(header, KEY))
    for piece in pieces:
        job.add(piece)
    job.build()
    enclave.kill()
    job.close()
    assert answer(enclave, room) is Truth.YES
    report = enclave.load({"firms": tax_csv(room.world)})
    assert report.snapshot is not None
    assert load(report.snapshot.statement, Snapshot).store.epoch == 3


def test_a_locked_enclave_takes_no_load(room: Sample, tmp_path: Path) -> None:
    harness = EnclaveHarness(room.tax, tmp_path, start=False)
    header = LoadHeader("tax", "sha256:" + "0" * 64, (LoadTable("firms", 1),))
    with pytest.raises(SafeRoomError, match="LOCKED"):
        harness.enclave.begin_load(header, b"")
    harness.close()
