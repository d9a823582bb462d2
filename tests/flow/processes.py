"""Python programs that a test starts, waits for, kills, and stops in the end."""

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


@dataclass(slots=True)
class Processes:
    """Programs by name; each writes its log into one folder."""

    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(
        default_factory=dict[str, "subprocess.Popen[bytes]"]
    )

    def spawn(
        self, name: str, *arguments: str, folder: Path | None = None, prefix: Sequence[str] = ()
    ) -> None:
        """Start a Python program that stays, in a folder if one is given.

        Args:
            name: of the process.
            arguments: to the interpreter.
            folder: it works in.
            prefix: a program that starts it elsewhere or as somebody else.
        """
        self.logs.mkdir(exist_ok=True)
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*prefix, sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
                env={**os.environ, "PYTHONWARNINGS": "default", "GRPC_VERBOSITY": "NONE"},
            )

    def log(self, name: str) -> str:
        """Read a process's log."""
        return (self.logs / f"{name}.log").read_text("utf-8", "replace")

    def wait_for(self, ready: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Wait for something to be so; a process that ends meanwhile fails the test."""
        end = time.monotonic() + seconds
        while not ready():
            for name, process in self.running.items():
                assert process.poll() is None, f"{name} ended\n{self.log(name)}"
            assert time.monotonic() < end, f"{what}; see {self.logs}"
            time.sleep(0.05)

    def kill(self, name: str) -> None:
        """Kill a process as a power cut would."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End every process, the last started first."""
        while self.running:
            _, process = self.running.popitem()
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
