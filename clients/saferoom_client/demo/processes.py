"""The demo's processes: started, waited for, killed, and stopped in the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from saferoom_proto.reasons import Reason, SafeRoomError

STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05


def free_address() -> str:
    """Give an address of this machine at which nobody listens yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@dataclass(slots=True)
class Processes:
    """Child processes by name; each writes its log beside the others'."""

    logs: Path
    _running: dict[str, subprocess.Popen[bytes]] = field(
        default_factory=dict[str, "subprocess.Popen[bytes]"]
    )

    def run(self, *arguments: str) -> str:
        """Run a `saferoom` command to its end and give what it printed."""
        return self._run(("-m", "saferoom_client", *arguments))

    def run_program(self, module: str, *arguments: str) -> str:
        """Run a program of the room's own software to its end and give what it printed."""
        return self._run(("-m", module, *arguments))

    def _run(self, arguments: Sequence[str]) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603 -- our own
        if done.returncode:
            raise SafeRoomError(Reason.INTERNAL, f"{arguments}: {done.stderr.strip()}")
        return done.stdout

    def start(self, name: str, *arguments: str) -> None:
        """Start a `saferoom` command that stays."""
        command = [sys.executable, "-m", "saferoom_client", *arguments]
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 -- our own programs
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def pid(self, name: str) -> int:
        """Give a running process's id."""
        return self._running[name].pid

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
        """Wait for something to be so.

        Raises:
            SafeRoomError: `DEADLINE` after so many seconds, `UNAVAILABLE` if a process ended.
        """
        end = time.monotonic() + seconds
        while not ready():
            for name, process in self._running.items():
                if process.poll() is not None:
                    detail = f"{name} ended with {process.returncode}; see {self.logs / name}.log"
                    raise SafeRoomError(Reason.UNAVAILABLE, detail)
            if time.monotonic() > end:
                raise SafeRoomError(Reason.DEADLINE, f"{what}; see {self.logs}")
            time.sleep(POLL_SECONDS)

    def kill(self, name: str) -> None:
        """Kill a process as a power cut would."""
        process = self._running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, *names: str) -> None:
        """Stop processes (all, if none is named), the last started first."""
        for name in names or tuple(reversed(self._running)):
            process = self._running.pop(name)
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
