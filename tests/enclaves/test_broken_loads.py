"""Loads that broke off go on where they were: from what the enclave kept, sealed as it came."""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest
from typing_extensions import Buffer

from saferoom_enclaves import kept_loads
from saferoom_enclaves.kept_loads import KEPT_SECONDS
from saferoom_enclaves.loads import LoadReport
from saferoom_enclaves.logs import Log
from saferoom_proto.load import PIECE_BYTES, LoadHeader, LoadSealer, LoadTable, make_content_key
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Snapshot, load
from saferoom_proto.uscc import make_uscc
from simulator.harness import EnclaveHarness
from simulator.sample import Sample, sample

ROWS = 14_000
PIECES = 3


def csv(rows: int = ROWS, vat: str = "120000.25") -> bytes:
    lines = (f"{make_uscc(each)},{vat},false,GRADE-OF-THIS-FIRM" for each in range(rows))
    return ("uscc,vat,arrears,rating\n" + "\n".join(lines)).encode() + b"\n"


class Sending:
    """A load as its owner's client sends it, which may break off and go on.

    Args:
        enclave: to which it is sent.
        data: the table.
        key: the load's own.
    """

    def __init__(self, enclave: EnclaveHarness, data: bytes, key: bytes | None = None) -> None:
        self.enclave = enclave
        self.key = key or make_content_key()
        table = LoadTable.of("firms", len(data))
        self.header = LoadHeader("tax", enclave.newest_schema(), (table,))
        self.pieces: Sequence[bytes] = list(LoadSealer(self.header.digest, self.key).table(0, data))

    def order(self) -> bytes:
        """Order it, sealed to the enclave as it is now."""
        return self.enclave.order(self.header, self.key)

    def break_off(self, after: int, kept: int = 0) -> None:
        """Send so many pieces more, and be gone."""
        with closing(self.enclave.enclave.begin_load(self.header, self.order(), kept)) as job:
            job.take_up()
            for piece in self.pieces[kept : kept + after]:
                job.add(piece)

    @property
    def kept(self) -> int:
        """How many pieces the enclave says that it keeps."""
        return self.enclave.enclave.kept_of_load(self.header, self.order())

    def go_on(self, kept: int) -> LoadReport:
        """Send the rest."""
        return self.enclave.load_pieces(self.header, self.order(), self.pieces[kept:], kept)


def files(enclave: EnclaveHarness) -> list[Path]:
    return sorted(enclave.folder.glob("load-*.sealed"))


@pytest.fixture
def made() -> Sample:
    return sample()


@pytest.fixture
def enclave(made: Sample, tmp_path: Path) -> Iterator[EnclaveHarness]:
    harness = EnclaveHarness(made.tax, tmp_path)
    yield harness
    harness.close()


def refused(sending: Sending, kept: int) -> Reason:
    with pytest.raises(SafeRoomError) as caught:
        sending.go_on(kept)
    return caught.value.reason


def rows(report: LoadReport) -> int:
    assert report.snapshot is not None
    return load(report.snapshot.statement, Snapshot).rows["firms"]


def test_it_goes_on_from_the_piece_that_is_due_and_becomes_the_same_store(
    made: Sample, enclave: EnclaveHarness
) -> None:
    sending = Sending(enclave, csv())
    assert len(sending.pieces) == PIECES
    assert sending.kept == 0
    sending.break_off(1)
    assert sending.kept == 1
    sending.break_off(1, kept=1)
    assert sending.kept == 2
    assert enclave.enclave.store is None
    assert rows(sending.go_on(2)) == ROWS
    enclave.follow()
    made.consent(1)
    enclave.follow()
    assert str(enclave.ask(made.question(1)).truth) == "yes"
    assert files(enclave) == []


def test_it_goes_on_after_the_enclave_was_killed_under_its_fresh_keys(
    enclave: EnclaveHarness,
) -> None:
    sending = Sending(enclave, csv())
    sending.break_off(2)
    enclave.kill()
    assert sending.kept == 2
    assert rows(sending.go_on(2)) == ROWS


def test_what_is_kept_is_sealed_and_opens_for_no_other_load(enclave: EnclaveHarness) -> None:
    sending = Sending(enclave, csv())
    sending.break_off(2)
    (file,) = files(enclave)
    assert b"GRADE-OF-THIS-FIRM" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    # Another file of the same size, under a key of its own: nothing of it has arrived.
    other = Sending(enclave, csv(vat="990000.75"))
    assert other.header == sending.header
    assert other.kept == 0


def test_pieces_of_two_files_make_no_store(enclave: EnclaveHarness) -> None:
    first = Sending(enclave, csv())
    second = Sending(enclave, csv(vat="990000.75"))
    first.break_off(2)
    (kept,) = files(enclave)
    pieces = kept.read_bytes()
    second.break_off(1)
    (own,) = files(enclave)
    # The host puts the one file's pieces in the place of the other's.
    own.write_bytes(pieces)
    assert second.kept == 2
    assert refused(second, 2) is Reason.BAD_SEAL
    assert files(enclave) == []
    assert enclave.enclave.store is None
    assert rows(second.go_on(0)) == ROWS


@pytest.mark.parametrize("cut", [1, 5, PIECE_BYTES])
def test_what_was_torn_is_sent_again(enclave: EnclaveHarness, cut: int) -> None:
    sending = Sending(enclave, csv())
    sending.break_off(2)
    (file,) = files(enclave)
    os.truncate(file, file.stat().st_size - cut)
    assert sending.kept == 1
    assert rows(sending.go_on(1)) == ROWS


def test_a_room_that_says_more_or_less_than_is_kept_breaks_the_load_and_no_more(
    enclave: EnclaveHarness,
) -> None:
    sending = Sending(enclave, csv())
    sending.break_off(1)
    assert refused(sending, 2) is Reason.BAD_SEAL
    assert sending.kept == 1
    with pytest.raises(SafeRoomError) as caught:  # it says 0, and the client sends what follows
        enclave.load_pieces(sending.header, sending.order(), sending.pieces[1:], 0)
    assert caught.value.reason is Reason.BAD_SEAL
    assert rows(sending.go_on(0)) == ROWS


def test_another_load_takes_its_place_and_so_does_a_day(enclave: EnclaveHarness) -> None:
    first, second = Sending(enclave, csv()), Sending(enclave, csv(ROWS - 1))
    first.break_off(2)
    second.break_off(1)
    assert len(files(enclave)) == 1
    assert (first.kept, second.kept) == (0, 1)
    (file,) = files(enclave)
    past = time.time() - KEPT_SECONDS - 1
    os.utime(file, (past, past))
    enclave.follow()
    assert files(enclave) == []
    assert second.kept == 0


def test_nobody_goes_on_with_it_but_who_has_its_key_and_may_order_a_load(
    enclave: EnclaveHarness,
) -> None:
    sending = Sending(enclave, csv())
    sending.break_off(2)
    stranger = enclave.world.seeds.signing("somebody")
    order = enclave.order(sending.header, sending.key)
    with pytest.raises(SafeRoomError) as caught:
        enclave.enclave.kept_of_load(Sending(enclave, csv(10)).header, order)
    assert caught.value.reason is Reason.BAD_SEAL
    enclave.owner.approvers[next(iter(enclave.owner.approvers))] = stranger
    with pytest.raises(SafeRoomError) as caught:
        enclave.enclave.kept_of_load(sending.header, sending.order())
    assert caught.value.reason is Reason.BAD_SIGNATURE


def test_another_snapshot_that_came_between_is_not_undone(enclave: EnclaveHarness) -> None:
    sending = Sending(enclave, csv())
    early = sending.order()
    sending.break_off(2)
    enclave.load({"firms": csv(5)})
    with pytest.raises(SafeRoomError) as caught:
        enclave.load_pieces(sending.header, early, sending.pieces, 0)
    assert caught.value.reason is Reason.CONFLICT


def test_bad_rows_end_it(enclave: EnclaveHarness) -> None:
    bad = Sending(enclave, csv() + b"no code,1,false,A\n")
    bad.break_off(2)
    assert bad.go_on(2).snapshot is None
    assert files(enclave) == []


class FullDisk(io.FileIO):
    """A file on a disk without room."""

    def write(self, data: Buffer, /) -> NoReturn:
        raise OSError(errno.ENOSPC, "no room")


def test_where_the_disk_is_full_a_load_goes_on_without_being_kept(
    enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = Sending(enclave, csv())

    def full(file: int, _: str) -> io.BufferedRandom:
        return io.BufferedRandom(FullDisk(file, "r+"))

    with monkeypatch.context() as patch:
        patch.setattr(kept_loads, "open_file", full)
        sending.break_off(2)
    assert sending.kept == 0
    assert "load not kept" in enclave.log.getvalue()
    assert rows(sending.go_on(0)) == ROWS


def test_what_would_take_the_room_that_the_enclave_needs_is_not_kept(tmp_path: Path) -> None:
    log, path = Log("tax", io.StringIO()), tmp_path / "load-a.sealed"
    kept = kept_loads.KeptLoad(path, 0, log)
    kept.add(b"piece", len(b"piece"))
    assert path.stat().st_size > 0
    kept.add(b"piece", 1 << 60)
    assert not path.exists()
