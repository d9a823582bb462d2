"""Nothing of a record touches a disk while an enclave loads, computes, answers and reads.

A sandboxed enclave is watched from outside: every file that appears or is written in its folder, by
the kernel's own notice; every file that it, its fork server or a child holds open for writing; and
the bytes of all of them, at every notice, searched for what was planted.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from saferoom_enclaves.journal import Judged
from saferoom_proto.answer import Truth
from simulator import Clock, Firm, Sample, sample, tax_csv
from simulator.attended import Attended
from simulator.process import EnclaveProcess
from simulator.sample import ordered
from tests.promises.canaries import Sweep

CANARIES: Final = {"an amount": "73918462051", "a rating": "zzyzx-vf83k"}
AMOUNT, RATING = CANARIES.values()
ALLOWED: Final = re.compile(
    r"state\.db(-wal|-shm|-journal)?|snapshot-[0-9]+\.sealed(\.part)?|load-[0-9a-f]{32}\.sealed"
)
"""All that an enclave writes to its folder: sealed rows, snapshots, and pieces of a load."""

_IN_ALL: Final = 0x0000_0002 | 0x0000_0008 | 0x0000_0080 | 0x0000_0100  # linux/inotify.h
"""Modified, closed after writing, moved here, created."""
_EVENT: Final = struct.Struct("=iIII")
_TMPFS: Final = ("/dev/shm/", "/memfd:", "/dev/null")
_WRITES: Final = os.O_WRONLY | os.O_RDWR


class Watch:
    """Watches a folder, and what a process and its descendants write to, until it is closed."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.sweep: Final = Sweep(CANARIES)
        self.names: Final[set[str]] = set()
        self.written: Final[set[str]] = set()
        self.limits: Final[set[str]] = set()
        self.looks = 0
        self._folder: Final = folder
        self._pid: Final = pid
        libc = ctypes.CDLL(None, use_errno=True)
        self._notices: Final = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert libc.inotify_add_watch(self._notices, os.fsencode(folder), _IN_ALL) >= 0
        self._ended: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Look a last time, and end."""
        self._ended.set()
        self._thread.join()
        os.close(self._notices)

    def _run(self) -> None:
        while not self._ended.wait(0.005):
            self._look()
        self._look()

    def _look(self) -> None:
        self.looks += 1
        for pid in descendants(self._pid):
            self._note_open_files(pid)
        touched: set[str] = set()
        while data := self._read():
            while data:
                _, _, _, length = _EVENT.unpack_from(data)
                name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
                touched.add(os.fsdecode(name))
                data = data[_EVENT.size + length :]
        self.names.update(touched - {""})
        for name in touched - {""}:
            try:
                self.sweep.saw(name, (self._folder / name).read_bytes())
            except FileNotFoundError:
                continue  # it was renamed: its new name is noticed too

    def _read(self) -> bytes:
        try:
            return os.read(self._notices, 1 << 16)
        except BlockingIOError:
            return b""

    def _note_open_files(self, pid: int) -> None:
        try:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                target = str(link.readlink())
                flags = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text()
                mode = int(flags.partition("flags:")[2].split()[0], 8)
                if target.startswith("/") and mode & _WRITES and not target.startswith(_TMPFS):
                    self.written.add(target.removesuffix(" (deleted)"))
            limits = Path(f"/proc/{pid}/limits").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return  # a child that ended meanwhile
        self.limits.update(line for line in limits.splitlines() if "core file" in line)


def descendants(pid: int) -> list[int]:
    """Give a process and all that came of it and still is."""
    found = [pid]
    for each in found:
        try:
            told = Path(f"/proc/{each}/task/{each}/children").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += map(int, told.split())
    return found


@pytest.fixture
def room() -> Sample:
    made = sample(clock=Clock())
    made.consent(1)
    return made


@pytest.fixture
def process(room: Sample, tmp_path: Path) -> Generator[EnclaveProcess]:
    with EnclaveProcess(room.tax, tmp_path, {"sandbox": True}) as started:
        yield started


def ask(room: Sample, process: EnclaveProcess, attended: Attended) -> Truth:
    attended.follow()
    question = room.question(1)
    (outcome,) = process.judge([question])
    assert isinstance(outcome, Judged)
    return room.bank.open(question, "tax", outcome.sealed).truth


def test_the_disk_holds_sealed_bytes_only_through_load_query_and_restart(
    room: Sample, process: EnclaveProcess, tmp_path: Path
) -> None:
    watch = Watch(tmp_path / "state", process.process.pid)
    try:
        attended = Attended(room.tax, process)
        attended.unlock()
        attended.follow()
        csv = tax_csv(room.world, {1: Firm(AMOUNT, arrears=False, rating=RATING)})
        filler = b"".join(
            f"{room.world.subject(at).uscc},{AMOUNT},false,{RATING}\n".encode()
            for at in range(10, 3000)
        )
        assert process.load({"firms": csv + filler}).snapshot is not None
        assert ask(room, process, attended) is Truth.YES
        stumbling = "SELECT uscc AS subject, vat * 99999999999 * 99999999999 AS value FROM firms"
        room.tax.define(ordered("tax", "stumbling", stumbling, ["1"]))
        assert ask(room, process, attended) is Truth.YES
    finally:
        watch.close()
    assert watch.looks > 20
    assert all(ALLOWED.fullmatch(name) for name in watch.names), watch.names
    assert "snapshot-1.sealed.part" in watch.names  # so that there was something to see
    elsewhere = {each for each in watch.written if Path(each).parent != tmp_path / "state"}
    assert elsewhere == {str(process.log)}
    watch.sweep.saw("log", process.log.read_bytes())
    assert watch.sweep.found() == []
    assert watch.sweep.seen["state.db-wal"]
    # No process of an enclave's leaves a core: not a child either.
    assert watch.limits
    for line in watch.limits:
        assert re.search(r"core file size\s+0\s+0\s", line), line


def test_the_watch_finds_what_a_careless_enclave_would_write(tmp_path: Path) -> None:
    """Make sure that the watch sees a file that is there for a moment only, and what is in it."""
    folder = tmp_path / "state"
    folder.mkdir()
    watch = Watch(folder, os.getpid())
    with (folder / "spilled.tmp").open("wb") as spilled:
        spilled.write(AMOUNT.encode())
        spilled.flush()
        deadline = time.monotonic() + 30
        while not (watch.sweep.found() and spilled.name in watch.written):
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
    (folder / "spilled.tmp").unlink()
    watch.close()
    assert not ALLOWED.fullmatch("spilled.tmp")
    assert "spilled.tmp" in watch.names
    assert ("spilled.tmp", "an amount", "text") in watch.sweep.found()
    assert str(folder / "spilled.tmp") in watch.written
