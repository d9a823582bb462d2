"""The fork server: makes a child for each job it is asked for, watches it, and reaps it.

It is forked from the enclave before that has read anything, confines itself as the enclave does,
and stays as small as a bare interpreter: what a job needs is imported by its child. It has one
thread. It takes orders from its enclave alone, over one inherited socket, and ends with it; its
children end with it.

    order     the bounds, with two descriptors: the child's channel, and where its end is told
    told      one word of `Ending`, once the child is reaped

An enclave that closes its end of the latter gives the child up: it is killed.

A closed enclave can make no process. So the fork server is itself a child of a process that does
nothing but wait for its end, confined as it is, and makes it anew if it was killed: the orders
wait meanwhile, and what was under way has failed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final, cast

from saferoom_enclaves.children.bounds import Bounds, Ending
from saferoom_enclaves.children.child import Walls, Work, live, the_work
from saferoom_enclaves.sandbox import SandboxPlan, SandboxReport, close_system_calls, confine
from saferoom_enclaves.sandbox.limits import die_with_parent
from saferoom_enclaves.sandbox.plan import Part
from saferoom_enclaves.sandbox.policy import FORK_SERVER
from saferoom_proto.reasons import Reason, SafeRoomError

MOST_CHILDREN: Final = 8
"""At once; further orders wait in the socket."""
AGAIN_SECONDS: Final = 0.1
"""Before a fork server is made anew: one that cannot live does not take a whole processor."""
_ORDER_BYTES: Final = 1 << 16
_ORDER_FILES: Final = 2
_ACCOUNTING_SECONDS: Final = 0.5
"""The kernel counts processor time in ticks: a child killed for it may show a little less."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a fork server is to confine itself and its children, told once by its enclave."""

    sandbox: bool
    read_only: tuple[str, ...]
    scratch: str
    address_space_bytes: int

    def to_bytes(self) -> bytes:
        """Write them."""
        return json.dumps(astuple(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Terms:
        """Read them."""
        told = cast("tuple[bool, list[str], str, int]", json.loads(data))
        sandbox, read_only, scratch, address_space_bytes = told
        return cls(sandbox, tuple(read_only), scratch, address_space_bytes)

    def plan(self) -> SandboxPlan:
        """Give what the fork server keeps; it reads /proc so that each child can read its own."""
        own = Path("/proc/self")
        read_only = [path.parent if path == own else path for path in map(Path, self.read_only)]
        return SandboxPlan(
            read_only=tuple(read_only),
            read_write=(Path(self.scratch),),
            address_space_bytes=self.address_space_bytes,
            die_with_parent=True,
        )


@dataclass(slots=True)
class _Running:
    """A child under way."""

    pid: int
    handle: int
    told: int
    deadline: float
    bounds: Bounds
    killed: Ending | None = None


def begin(load: Callable[[], Work] = the_work) -> socket.socket:
    """Fork the fork server off, and give the socket to it; the caller has one thread yet."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()
        # It cannot be waited for once the enclave is closed: the kernel forgets it by itself.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        return ours
    code = 1
    try:
        ours.close()
        _be_quiet()
        # Who stops a whole group of processes stops the enclave: it finishes, and we end with it.
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        serve_on(theirs, load)
        code = 0
    finally:
        os._exit(code)


def _be_quiet() -> None:
    """Leave the enclave its input and output; whatever a child prints could quote a value."""
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def serve(control: socket.socket, load: Callable[[], Work] = the_work) -> None:
    """Be the fork server of the enclave at the other end of a socket, until it ends.

    Args:
        control: the inherited socket; it keeps its messages apart.
        load: imports the module of jobs, in each child.
    """
    if (walls := _begun(control)) is not None:
        _ForkServer(control, walls, load).run()


def serve_on(control: socket.socket, load: Callable[[], Work] = the_work) -> None:
    """See to it that the enclave has a fork server, whatever befalls that, until it ends.

    Args:
        control: as `serve` has it.
        load: as `serve` has it.
    """
    if (walls := _begun(control)) is None:
        return
    while _killed(lambda: _ForkServer(control, walls, load).run()):
        _clear(walls.scratch)  # its children were killed with it
        time.sleep(AGAIN_SECONDS)


def _killed(work: Callable[[], None]) -> bool:
    """Do work in a process of its own; tells whether that did not come to its end."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] != 0
    code = 1
    try:
        die_with_parent()
        work()
        code = 0
    finally:
        os._exit(code)


def _begun(control: socket.socket) -> Walls | None:
    """Confine this process, and say how far; gives what its children are closed in by."""
    terms = Terms.from_bytes(control.recv(_ORDER_BYTES))
    try:
        report = _confined(terms)
    except SafeRoomError as error:
        control.send(json.dumps({"refused": error.detail}).encode())
        return None
    said = {"level": report.level, "holds": report.holds, "missing": report.missing}
    control.send(json.dumps(said).encode())
    return Walls(
        frozenset(Part(name) for name in report.holds),
        tuple(map(Path, terms.read_only)),
        Path(terms.scratch),
    )


def _confined(terms: Terms) -> SandboxReport:
    if terms.sandbox:
        return close_system_calls(confine(terms.plan()), FORK_SERVER)
    die_with_parent()
    return SandboxReport.of((), ())


class _ForkServer:
    def __init__(self, control: socket.socket, walls: Walls, load: Callable[[], Work]) -> None:
        self._control = control
        self._walls = walls
        self._load = load
        self._running: dict[int, _Running] = {}

    def run(self) -> None:
        while True:
            poll = select.poll()
            if len(self._running) < MOST_CHILDREN:
                poll.register(self._control, select.POLLIN)
            for child in self._running.values():
                poll.register(child.handle, select.POLLIN)
                if child.killed is None:
                    poll.register(child.told, 0)  # POLLERR: nobody waits for it any more
            ready = {descriptor for descriptor, _ in poll.poll(self._wait_milliseconds())}
            for child in list(self._running.values()):
                if child.handle in ready:
                    self._reap(child)
                elif child.told in ready:
                    self._kill(child, Ending.CANCELLED)
                elif child.killed is None and time.monotonic() >= child.deadline:
                    self._kill(child, Ending.TIME)
            if self._control.fileno() in ready and not self._take_order():
                return

    def _wait_milliseconds(self) -> float | None:
        deadlines = [child.deadline for child in self._running.values() if child.killed is None]
        if not deadlines:
            return None
        return max(0.0, min(deadlines) - time.monotonic()) * 1000 + 1

    def _take_order(self) -> bool:
        """Start a child; tells whether the enclave is still there."""
        order, files, _, _ = socket.recv_fds(
            self._control, _ORDER_BYTES, _ORDER_FILES, socket.MSG_CMSG_CLOEXEC
        )
        if not order:
            return False
        if len(files) != _ORDER_FILES:
            raise SafeRoomError(Reason.MALFORMED, "an order has two descriptors")
        channel, told = files
        bounds = Bounds.from_bytes(order)
        try:
            pid = os.fork()
        except OSError:
            with suppress(BrokenPipeError):  # it was given up
                os.write(told, Ending.CRASHED.encode())
            os.close(told)
        else:
            if pid == 0:
                _become(channel, bounds, self._walls, self._load)
            self._running[pid] = _Running(
                pid,
                os.pidfd_open(pid),
                told,
                time.monotonic() + bounds.wall_seconds,
                bounds,
            )
        os.close(channel)
        return True

    def _kill(self, child: _Running, why: Ending) -> None:
        child.killed = why
        signal.pidfd_send_signal(child.handle, signal.SIGKILL)

    def _reap(self, child: _Running) -> None:
        _, status, used = os.wait4(child.pid, 0)
        ending = child.killed
        spent = used.ru_utime + used.ru_stime
        if ending is None and status == 0:
            ending = Ending.DONE
        elif ending is None and spent >= child.bounds.cpu_seconds - _ACCOUNTING_SECONDS:
            ending = Ending.PROCESSOR_TIME
        with suppress(BrokenPipeError):  # it was given up
            os.write(child.told, (ending or Ending.CRASHED).encode())
        os.close(child.told)
        os.close(child.handle)
        del self._running[child.pid]
        if not any(other.bounds.scratch for other in self._running.values()):
            _clear(self._walls.scratch)


def _clear(scratch: Path) -> None:
    """Remove what a killed build left, of whatever shape: these are records."""
    # By no recursion, as os.walk before Python 3.12: a child can nest folders deeper than that.
    folders = [scratch]
    for folder in folders:
        with suppress(OSError):  # whatever a child left there, the next job is done
            for left in folder.iterdir():
                if not left.is_symlink() and left.is_dir():
                    folders.append(left)
                else:
                    _unless_refused(left.unlink)
    for folder in reversed(folders[1:]):
        _unless_refused(folder.rmdir)


def _unless_refused(remove: Callable[[], None]) -> None:
    with suppress(OSError):
        remove()


def _become(channel: int, bounds: Bounds, walls: Walls, load: Callable[[], Work]) -> None:
    """Be a child from here on; nothing of the fork server runs in it any more."""
    code = 1
    try:
        live(channel, bounds, walls, load)
        code = 0
    finally:
        # Whatever it was: no traceback, which could quote a value, and no clean-up of the parent's.
        os._exit(code)
