"""Loads that change what there is: subjects replaced or deleted, the rest kept, on one base."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from saferoom_enclaves.rows import TableLoad
from saferoom_enclaves.store import build_database, open_store
from saferoom_enclaves.vault import freeze
from saferoom_proto.answer import Truth
from saferoom_proto.load import Change, LoadHeader, LoadSealer, LoadTable
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Snapshot, load
from simulator import EnclaveHarness, Firm, Sample, tax_csv
from tests.enclaves.tables import ARREARS, SUBJECTS, as_csv
from tests.enclaves.test_loads import KEY, answer, refuses

POOR = {1: Firm("1", arrears=False, rating="A")}


def rows_of(report: object) -> dict[str, int]:
    snapshot = getattr(report, "snapshot", None)
    assert snapshot is not None
    return load(snapshot.statement, Snapshot).rows


def test_a_subject_is_replaced_and_the_others_stay(room: Sample, enclave: EnclaveHarness) -> None:
    before = rows_of(enclave.load({"firms": tax_csv(room.world)}))
    assert answer(enclave, room) is Truth.YES
    others = answer(enclave, room, 2)
    changed = enclave.load({"firms": tax_csv(room.world, POOR)}, change=Change.REPLACE)
    assert rows_of(changed) == before
    assert answer(enclave, room) is Truth.NO
    assert answer(enclave, room, 2) == others
    enclave.restart()
    assert answer(enclave, room) is Truth.NO


def test_a_subject_is_deleted_and_the_others_stay(room: Sample, enclave: EnclaveHarness) -> None:
    before = rows_of(enclave.load({"firms": tax_csv(room.world)}))
    deleted = enclave.load({"firms": tax_csv(room.world, POOR)}, change=Change.DELETE)
    assert rows_of(deleted) == {"firms": before["firms"] - 1}
    assert answer(enclave, room) is not Truth.YES


def test_of_a_row_that_deletes_only_the_key_counts_and_all_of_it_is_in_form(
    room: Sample, enclave: EnclaveHarness
) -> None:
    before = rows_of(enclave.load({"firms": tax_csv(room.world)}))
    for row, deletes in (("much,true,A", False), (",,", True)):
        named = f"uscc,vat,arrears,rating\n{room.world.subject(1).uscc},{row}\n"
        report = enclave.load({"firms": named.encode()}, change=Change.DELETE)
        assert (report.snapshot is not None) is deletes
    assert rows_of(report) == {"firms": before["firms"] - 1}


def test_a_table_that_is_kept_is_as_it_was(room: Sample, enclave: EnclaveHarness) -> None:
    before = rows_of(enclave.load({"firms": tax_csv(room.world)}))
    assert rows_of(enclave.load({"firms": b""}, change=Change.KEEP)) == before
    assert answer(enclave, room) is Truth.YES


def test_a_change_with_a_bad_row_leaves_the_store_as_it_was(
    room: Sample, enclave: EnclaveHarness
) -> None:
    data = tax_csv(room.world, POOR) + b"91330100AAAAAAAAAA,1,true,A\n"
    report = enclave.load({"firms": data}, change=Change.REPLACE)
    assert report.snapshot is None
    assert answer(enclave, room) is Truth.YES


def test_whoever_passes_a_load_on_cannot_make_it_another_change(
    room: Sample, enclave: EnclaveHarness
) -> None:
    data = tax_csv(room.world, POOR)
    schema = enclave.newest_schema()
    signed = LoadHeader("tax", schema, (LoadTable.of("firms", len(data), Change.REPLACE),))
    pieces = list(LoadSealer(signed.digest, KEY).table(0, data))
    order = enclave.order(signed, KEY)
    for change in set(Change) - {Change.REPLACE}:
        passed = LoadHeader("tax", schema, (LoadTable.of("firms", len(data), change),))
        assert refuses(enclave, passed, order, pieces) is Reason.BAD_SEAL
    assert answer(enclave, room) is Truth.YES


def test_a_change_counts_on_the_snapshot_that_its_approver_saw(
    room: Sample, enclave: EnclaveHarness
) -> None:
    old = enclave.sealed({"firms": tax_csv(room.world, POOR)}, None, Change.REPLACE)
    enclave.load({"firms": tax_csv(room.world)})
    with pytest.raises(SafeRoomError) as refusal:
        enclave.load_pieces(*old)
    assert refusal.value.reason is Reason.CONFLICT


def test_a_load_of_whole_tables_is_named_as_ever() -> None:
    header = LoadHeader("tax", "sha256:" + "0" * 64, (LoadTable("vat", 2),))
    told = LoadHeader("tax", "sha256:" + "0" * 64, (LoadTable("vat", 2, Change.WHOLE),))
    other = LoadHeader("tax", "sha256:" + "0" * 64, (LoadTable("vat", 2, Change.KEEP),))
    assert header.digest == told.digest != other.digest
    assert (header.is_change, other.is_change) == (False, True)


def test_all_rows_of_a_subject_are_replaced_together(tmp_path: Path) -> None:
    heading = ("uscc", "amount", "open")
    one, two, three = SUBJECTS[:3]
    held = [(one, 1, "true"), (one, 2, "true"), (two, 3, "true")]
    scratch = Path("/dev/shm") / tmp_path.name
    scratch.mkdir()
    try:
        built = build_database([TableLoad(ARREARS, as_csv(heading, held))], scratch)
        assert built.plaintext is not None
        memory = os.memfd_create("before", os.MFD_ALLOW_SEALING)
        with built.plaintext as plaintext:
            os.write(memory, plaintext.read())
        freeze(memory)
        new = as_csv(heading, [(one, 9, "false"), (three, 4, "true")])
        changed = build_database([TableLoad(ARREARS, new, Change.REPLACE)], scratch, before=memory)
        assert changed.rows == {"arrears": 3}
        assert changed.plaintext is not None
        made = os.memfd_create("after", os.MFD_ALLOW_SEALING)
        with changed.plaintext as plaintext:
            os.write(made, plaintext.read())
        store = open_store(made)
        found = store.execute("SELECT uscc, CAST(amount AS INT) FROM arrears").fetchall()
        assert sorted(found) == sorted([(one, 9), (two, 3), (three, 4)])
        store.close()
        os.close(memory)
        os.close(made)
    finally:
        scratch.rmdir()
