"""A joint training over a slow link: 100 Mb/s each way, 20 ms there and back.

`python -m benchmarks.slow_link [--rows ROWS ...] [--megabits 100] [--milliseconds 20]`, as root on
Linux. Each side is a process in a network namespace of its own, and they talk over one TCP
connection whose packets this program carries between two tun devices, each after its time: as long
as its bytes take at that rate, behind those before it, and half of the round trip. (`tc` has netem
for that, which many kernels lack.) Both align their subjects, half of either's common, and train on
the common ones. The first line of each size is without the link's limits.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.joint_runs import JOB, make_ready
from benchmarks.joint_training import made_up
from saferoom_models.psi import messages as psi
from saferoom_models.psi.label_set import LabelSet
from saferoom_models.psi.room_set import RoomSet
from saferoom_models.psi.terms import AlignmentTerms
from saferoom_models.vertical.label_side import LabelSide
from saferoom_models.vertical.room_side import RoomSide
from saferoom_models.vertical.terms import Terms, propose_ridge

SIDES: Final = {"bank": "10.77.0.1", "room": "10.77.0.2"}
PORT: Final = 7443
TUN: Final = Path("/dev/net/tun")
COLUMNS: Final = (10, 13)
ROWS: Final = (3_000, 30_000)
QUEUE_BYTES: Final = 1 << 20
"""What waits at either end; beyond it packets are dropped, as a router does."""
PACKET: Final = 2048
MEGA: Final = 1e6

_TUNSETIFF: Final = 0x400454CA
_TUN_WITHOUT_HEADER: Final = 0x1001
_LENGTH: Final = struct.Struct("<I")


# The link.


@dataclass(frozen=True, slots=True)
class Limits:
    """What the link lets through; a rate of 0 is without limit."""

    megabits: float
    seconds: float
    """One way."""


def carry(source: int, target: int, limits: Limits, stopped: Event) -> None:
    """Carry one direction's packets until told to stop."""
    waiting = deque[tuple[float, bytes]]()
    held, free_at = 0, 0.0
    while not stopped.is_set():
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 0.1
        if select.select([source], [], [], pause)[0]:
            packet, now = os.read(source, PACKET), time.monotonic()
            if held + len(packet) <= QUEUE_BYTES:
                took = len(packet) * 8 / (limits.megabits * MEGA) if limits.megabits else 0.0
                free_at = max(now, free_at) + took
                waiting.append((free_at + limits.seconds, packet))
                held += len(packet)
        while waiting and waiting[0][0] <= time.monotonic():
            packet = waiting.popleft()[1]
            held -= len(packet)
            os.write(target, packet)


def run(*words: str) -> None:
    """Run a command of iproute2."""
    subprocess.run(words, check=True, capture_output=True)


@contextmanager
def link(limits: Limits) -> Generator[None]:
    """Make both namespaces, and carry what is sent between them."""
    with ExitStack() as stack:
        ends: list[int] = []
        for side, address in SIDES.items():
            end = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
            stack.callback(os.close, end)
            device = f"sf-{side}".encode()
            fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", device, _TUN_WITHOUT_HEADER))
            ends.append(end)
            name = namespace(side)
            run("ip", "netns", "add", name)
            stack.callback(run, "ip", "netns", "del", name)
            run("ip", "link", "set", device.decode(), "netns", name)
            inside = ("ip", "-n", name)
            run(*inside, "addr", "add", f"{address}/24", "dev", device.decode())
            run(*inside, "link", "set", device.decode(), "up")
        stopped = Event()
        ways = [
            Thread(target=carry, args=(source, target, limits, stopped))
            for source, target in (ends, ends[::-1])
        ]
        for way in ways:
            way.start()
        try:
            yield
        finally:
            stopped.set()
            for way in ways:
                way.join()


def namespace(side: str) -> str:
    """Name a side's network namespace: of this process, so that two runs do not meet."""
    return f"saferoom-{side}-{os.getpid()}"


# The sides.


class Line:
    """One message after another over a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")
        self.sent = self.heard = 0
        """Bytes."""

    def send(self, message: bytes) -> None:
        """Send a message."""
        self._connection.sendall(_LENGTH.pack(len(message)) + message)
        self.sent += len(message)

    def receive(self) -> bytes:
        """Wait for one."""
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        self.heard += length
        return self._file.read(length)

    def converse(self, message: bytes | None, answer: Callable[[bytes], bytes | None]) -> None:
        """Send messages and hear what is said to each, until there is none more to send."""
        while message is not None:
            self.send(message)
            message = answer(self.receive())


def subjects(rows: int, first: int) -> list[str]:
    """Name twice as many subjects as are trained on, from one on."""
    return [f"9144{number:014d}" for number in range(first, first + 2 * rows)]


def bank(rows: int) -> str:
    """Align and train as the label side; gives seconds of either, and bytes both ways."""
    made = made_up(rows, *COLUMNS)
    columns, _ = make_ready(made.rows(np.arange(rows)))
    labels = made.labels[:rows]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(int).result()
        line = Line(reach())
        began = time.perf_counter()
        terms = AlignmentTerms("ab" * 32, 2 * rows, room_most=2 * rows)
        label = LabelSet(terms, subjects(rows, 0), os.urandom, pool)
        line.converse(label.begin(), label.answer)
        aligned = time.perf_counter()
    side = LabelSide(joint_terms(made.labels[:rows], rows), columns, labels)
    line.converse(side.begin(), side.answer)
    over = time.perf_counter()
    return f"{aligned - began} {over - aligned} {line.sent} {line.heard} {side.progress.rounds}"


def room(rows: int) -> None:
    """Align and train as the room's side."""
    made = made_up(rows, *COLUMNS)
    _, columns = make_ready(made.rows(np.arange(rows)))
    with socket.create_server((SIDES["room"], PORT)) as server:
        connection, _ = server.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line = Line(connection)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        terms = AlignmentTerms("ab" * 32, 2 * rows, room_most=2 * rows)
        blinded = line.receive()
        own = subjects(rows, rows)
        common = RoomSet(terms, own, psi.commitment(blinded), os.urandom, pool)
        line.send(common.answer(blinded))
        common.learn(line.receive())
        line.send(common.release())
    side = RoomSide(joint_terms(made.labels[:rows], rows), columns, os.urandom)
    while not side.progress.over:
        line.send(side.answer(line.receive()))


def reach() -> socket.socket:
    """Connect to the room's side, once it listens."""
    for _ in range(600):
        try:
            connection = socket.create_connection((SIDES["room"], PORT), timeout=600)
        except OSError:
            time.sleep(0.1)
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    raise SystemExit("the room's side does not listen")


def joint_terms(labels: np.ndarray[tuple[int], np.dtype[np.int64]], rows: int) -> Terms:
    """Give the terms of the training."""
    return Terms(JOB, rows, *COLUMNS, propose_ridge(int(labels.sum()), sum(COLUMNS)))


# The table.


def measure(rows: int, limits: Limits) -> list[float]:
    """Have both sides work over a link."""
    with link(limits):
        own = (sys.executable, "-m", "benchmarks.slow_link", "--rows", str(rows), "--side")
        sides = [
            subprocess.Popen(
                ["ip", "netns", "exec", namespace(side), *own, side],
                stdout=subprocess.PIPE,
                text=True,
            )
            for side in ("room", "bank")
        ]
        told = [side.communicate()[0] for side in sides]
    if any(side.returncode for side in sides):
        raise SystemExit("a side failed")
    return [float(each) for each in told[1].split()]


def main() -> None:
    """Print the table, or be one side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--megabits", type=float, default=100)
    parser.add_argument("--milliseconds", type=float, default=20)
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side == "room":
        room(asked.rows[0])
        return
    if asked.side == "bank":
        print(bank(asked.rows[0]))  # for the process that began this one
        return
    if os.geteuid() or not TUN.exists():
        raise SystemExit("needs root, and /dev/net/tun, on Linux")
    slow = Limits(asked.megabits, asked.milliseconds / 2000)
    table = Table(
        "rows", "link", "aligning s", "training s", "rounds", "MB to the room", "and back"
    )
    for rows in asked.rows:
        for limits in (Limits(0, 0), slow):
            aligned, trained, up, down, rounds = measure(rows, limits)
            limited = f"{limits.megabits:g} Mb/s, {asked.milliseconds:g} ms"
            table.add_row(
                f"{rows:,}",
                limited if limits.megabits else "as it is",
                f"{aligned:.1f}",
                f"{trained:.1f}",
                f"{rounds:.0f}",
                f"{up / MEGA:.1f}",
                f"{down / MEGA:.1f}",
            )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
