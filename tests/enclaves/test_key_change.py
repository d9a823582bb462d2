"""A store's key is changed: no answer is held up, and the former key opens nothing that comes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from saferoom_enclaves.enclave import STATE_FILE
from saferoom_enclaves.keyring import Keyring
from saferoom_enclaves.keys import ReleasedKeys
from saferoom_enclaves.vault import SnapshotId, open_snapshot
from saferoom_enclaves.whereabouts import Whereabouts
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import KeyChange, Snapshot, StoreState, load
from saferoom_proto.store_key import name_of
from saferoom_proto.suite import Suite
from simulator import EnclaveHarness, Sample, tax_csv

NEW: Final = bytes(range(100, 132))
NEWEST: Final = bytes(range(132, 164))
SUITE: Final = Suite.INTERNATIONAL


def release(enclave: EnclaveHarness, store_key: bytes, earlier: bytes | None = None) -> Whereabouts:
    """Have the key agent release a store key, and from now on that one."""
    endorsement = enclave.endorsement()
    enclave.world.ledger.record(endorsement)
    sealed = enclave.sealed_keys(endorsement, store_key, earlier)
    where = enclave.enclave.unlock(endorsement, sealed)
    enclave.owner.store_key = store_key
    return where


def refused(enclave: EnclaveHarness, store_key: bytes, earlier: bytes | None = None) -> Reason:
    with pytest.raises(SafeRoomError) as caught:
        release(enclave, store_key, earlier)
    return caught.value.reason


def changes(enclave: EnclaveHarness) -> list[KeyChange]:
    """Give the enclave's words on changes of its store's key that wait for their proof."""
    said = [entry.statement for entry in enclave.enclave.outbox(0)]
    return [load(each, KeyChange) for each in said if each.payload_type == KeyChange.payload_type()]


def stored_ring(folder: Path) -> bytes:
    with closing(sqlite3.connect(f"file:{folder / STATE_FILE}?mode=ro", uri=True)) as db:
        return db.execute("SELECT sealed FROM keyring").fetchone()[0]


def test_an_open_enclave_goes_over_and_answers_on(room: Sample, enclave: EnclaveHarness) -> None:
    former = room.tax.store_key
    assert enclave.ask(room.question()).truth is Truth.YES
    assert release(enclave, NEW, former).unlocked
    assert enclave.ask(room.question()).truth is Truth.YES  # before anything else is delivered
    (said,) = changes(enclave)
    assert (said.store_key, said.previous) == (name_of(NEW), name_of(former))
    assert said.from_epoch == 2
    enclave.follow()
    enclave.restart()
    assert enclave.ask(room.question()).truth is Truth.YES


def test_it_says_so_once_however_often_both_keys_are_released(
    room: Sample, enclave: EnclaveHarness
) -> None:
    former = room.tax.store_key
    for _ in range(3):
        release(enclave, NEW, former)
    assert len(changes(enclave)) == 1
    enclave.enclave.close()
    again = EnclaveHarness(room.tax, enclave.folder.parent, start=False)
    release(again, NEW, former)
    assert len(changes(again)) == 1
    again.close()


def test_a_locked_enclave_goes_over_as_it_opens(room: Sample, enclave: EnclaveHarness) -> None:
    former = room.tax.store_key
    enclave.enclave.close()
    again = EnclaveHarness(room.tax, enclave.folder.parent, start=False)
    assert release(again, NEW, former).unlocked
    assert [each.store_key for each in changes(again)] == [name_of(NEW)]
    again.follow()
    assert again.ask(room.question()).truth is Truth.YES
    again.kill()
    assert again.ask(room.question()).truth is Truth.YES
    again.close()


def test_the_former_key_opens_nothing_any_more(room: Sample, enclave: EnclaveHarness) -> None:
    former = room.tax.store_key
    release(enclave, NEW, former)
    enclave.follow()
    enclave.enclave.close()
    again = EnclaveHarness(room.tax, enclave.folder.parent, start=False)
    assert refused(again, former) is Reason.STORE_DAMAGED
    assert refused(again, former, former) is Reason.STORE_DAMAGED
    again.close()
    with pytest.raises(SafeRoomError, match="the keys do not open"):
        Keyring.open(former, stored_ring(enclave.folder), SUITE)


def test_the_former_key_is_of_no_use_on_the_disk(tmp_path: Path, room: Sample) -> None:
    """The ring that it sealed stands in no file any more, nor in SQLite's log or its free pages."""
    enclave = EnclaveHarness(room.tax, tmp_path)
    enclave.load({"firms": tax_csv(room.world)})
    former = room.tax.store_key
    enclave.enclave.close()
    ring = stored_ring(enclave.folder)
    enclave.restart()
    release(enclave, NEW, former)
    held = [path.read_bytes() for path in enclave.folder.iterdir()]
    assert held
    assert not any(ring in each or ring[20:60] in each for each in held)
    enclave.close()


def test_who_had_the_former_key_and_a_copy_reads_nothing_that_came_after(
    room: Sample, enclave: EnclaveHarness
) -> None:
    former = room.tax.store_key
    enclave.enclave.close()
    stolen = Keyring.open(former, stored_ring(enclave.folder), SUITE)
    enclave.restart()
    release(enclave, NEW, former)
    enclave.follow()
    report = enclave.load({"firms": tax_csv(room.world)})
    assert report.snapshot is not None
    store = load(report.snapshot.statement, Snapshot).store
    with pytest.raises(SafeRoomError, match="chunk 0 does not authenticate"):
        open_snapshot(enclave.folder, stolen.of_snapshot(2), "tax", SnapshotId(2, store.digest))
    assert enclave.ask(room.question()).truth is Truth.YES


def test_earlier_snapshots_are_gone_back_to_and_a_load_under_way_is_finished(
    room: Sample, enclave: EnclaveHarness
) -> None:
    first = enclave.enclave.store
    assert isinstance(first, StoreState)
    header, sealed_key, pieces = enclave.sealed({"firms": tax_csv(room.world)})
    job = enclave.enclave.begin_load(header, sealed_key)
    release(enclave, NEW, room.tax.store_key)
    for piece in pieces:
        job.add(piece)
    built = job.build()
    assert not hasattr(built, "sealed_faults")
    enclave.enclave.commit_store(built)  # pyright: ignore[reportArgumentType] - checked above
    job.close()
    enclave.follow()
    enclave.restart()
    assert enclave.ask(room.question()).truth is Truth.YES
    release(enclave, NEWEST, NEW)
    enclave.roll_back(enclave.rollback_order(first.digest))
    enclave.restart()
    assert enclave.ask(room.question()).truth is Truth.YES


def test_two_changes_leave_one_way_in(room: Sample, enclave: EnclaveHarness) -> None:
    former = room.tax.store_key
    release(enclave, NEW, former)
    release(enclave, NEWEST, NEW)
    assert [each.store_key for each in changes(enclave)] == [name_of(NEW), name_of(NEWEST)]
    enclave.follow()
    enclave.restart()
    assert enclave.ask(room.question()).truth is Truth.YES
    enclave.enclave.close()
    again = EnclaveHarness(room.tax, enclave.folder.parent, start=False)
    assert refused(again, NEW, former) is Reason.STORE_DAMAGED
    again.close()


def test_a_change_from_another_key_is_refused_and_changes_nothing(
    room: Sample, enclave: EnclaveHarness
) -> None:
    former = room.tax.store_key
    assert refused(enclave, NEW) is Reason.CONFLICT
    assert refused(enclave, NEW, NEWEST) is Reason.CONFLICT
    assert changes(enclave) == []
    assert refused(enclave, NEW, b"short") is Reason.MALFORMED
    enclave.restart()
    assert enclave.ask(room.question()).truth is Truth.YES
    assert room.tax.store_key == former


def test_a_change_that_the_disk_refuses_leaves_the_former_key(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = room.tax.store_key
    state = enclave.enclave._state

    def failing() -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(state, "_write_staged", failing)
        with pytest.raises(OSError, match="No space"):
            release(enclave, NEW, former)
    assert changes(enclave) == []
    assert enclave.ask(room.question()).truth is Truth.YES
    enclave.follow()
    enclave.kill()
    assert enclave.ask(room.question()).truth is Truth.YES
    assert room.tax.store_key == former


def test_a_state_without_its_keys_is_damaged(room: Sample, enclave: EnclaveHarness) -> None:
    enclave.enclave.close()
    with closing(sqlite3.connect(enclave.folder / STATE_FILE, isolation_level=None)) as db:
        db.execute("DELETE FROM keyring")
    again = EnclaveHarness(room.tax, enclave.folder.parent, start=False)
    assert refused(again, room.tax.store_key) is Reason.STORE_DAMAGED
    again.close()


def test_a_former_ring_put_back_while_both_keys_are_released_opens_nothing(
    room: Sample, enclave: EnclaveHarness
) -> None:
    former = room.tax.store_key
    enclave.enclave.close()
    ring = stored_ring(enclave.folder)
    enclave.restart()
    release(enclave, NEW, former)
    enclave.follow()
    enclave.enclave.close()
    with closing(sqlite3.connect(enclave.folder / STATE_FILE, isolation_level=None)) as db:
        db.execute("UPDATE keyring SET sealed = ?", (ring,))
    again = EnclaveHarness(room.tax, enclave.folder.parent, start=False)
    assert refused(again, NEW, former) is Reason.STORE_DAMAGED
    assert refused(again, former) is Reason.STORE_DAMAGED
    again.close()


def test_a_ring_shows_no_key_and_is_bound_to_its_store_key() -> None:
    ring = Keyring.fresh(SUITE)
    (_, root) = ring.roots[0]
    assert root.hex() not in repr(ring)
    sealed = ring.sealed(NEW)
    assert root not in sealed
    assert Keyring.open(NEW, sealed, SUITE).roots == ring.roots
    for wrong in (sealed[:-1], sealed[:5], b"", sealed[:20] + b"\0" + sealed[21:]):
        with pytest.raises(SafeRoomError, match="STORE_DAMAGED"):
            Keyring.open(NEW, wrong, SUITE)
    grown = ring.grown(5)
    assert [grown.of_snapshot(epoch) == root for epoch in (1, 4, 5, 9)] == [
        True,
        True,
        False,
        False,
    ]


def test_the_name_of_a_key_is_not_made_of_it_alone() -> None:
    assert name_of(NEW) != name_of(NEWEST)
    assert name_of(NEW).startswith("sha256:")
    assert NEW.hex() not in name_of(NEW)
    keys = ReleasedKeys(NEW, bytes(32), NEWEST)
    assert NEW.hex() not in repr(keys)
