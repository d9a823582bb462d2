"""A network namespace of its own, joined to this one by a veth pair that can be cut."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Apart:
    """A namespace, the address of this end of the pair, and its devices.

    Attributes:
        name: of the namespace.
        here: this end's address.
        device: this end's device; down, nothing passes.
    """

    name: str
    here: str
    device: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """Start a program in it."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Cut the line, as an excavator does: neither end is told."""
        run("link", "set", self.device, "down")

    def mend(self) -> None:
        """Let it pass again."""
        run("link", "set", self.device, "up")


def run(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def permitted() -> bool:
    """Tell whether this host and user may make namespaces."""
    try:
        with apart("probe"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def apart(purpose: str) -> Generator[Apart]:
    """Make a namespace with its veth pair, and take both away in the end."""
    number = os.getpid() % (1 << 14)
    name, device = f"saferoom-{purpose}-{os.getpid()}", f"sr{number}a"
    net = f"10.213.{number >> 6}.{(number % 64) * 4}".rsplit(".", 1)
    here, there = (f"{net[0]}.{int(net[1]) + each}" for each in (1, 2))
    run("netns", "add", name)
    try:
        run("link", "add", device, "type", "veth", "peer", "name", f"sr{number}b", "netns", name)
        run("address", "add", f"{here}/30", "dev", device)
        run("link", "set", device, "up")
        run("-n", name, "address", "add", f"{there}/30", "dev", f"sr{number}b")
        run("-n", name, "link", "set", f"sr{number}b", "up")
        run("-n", name, "link", "set", "lo", "up")
        yield Apart(name, here, device)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", device], check=False, capture_output=True)
