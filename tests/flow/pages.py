"""Documentation pages that a test types as they stand, block by block, with a real room.

A file's name stands above its text; a block that stays runs in a window of its own; after
`# prints:` stands a part of what a command prints, after `# refused:` the reason.
"""

from __future__ import annotations

import atexit
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Final

import pytest

from tests.flow import warm
from tests.flow.processes import Processes, free_port

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
ADDRESS: Final = "localhost:7443"
BLOCK_SECONDS: Final = 120

_BLOCK: Final = re.compile(
    r"(?:^File `(?P<file>[\w.-]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_STAYS: Final = "# in a window of its own\n"
SAYS: Final = re.compile(r"^# (prints|refused): (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of the page."""

    file: str | None
    kind: str
    text: str

    @property
    def stays(self) -> bool:
        """Whether its command runs on in a window of its own."""
        return self.text.startswith(_STAYS)

    def after(self, line: str) -> Block:
        """Give the block with a line before it that an earlier block of the page typed."""
        return self if line in self.text else replace(self, text=f"{line}\n{self.text}")

    def check(self, status: int, output: str) -> None:
        """Check that the commands did what the block says of them."""
        said = SAYS.findall(self.text)
        refused = any(how == "refused" for how, _ in said)
        assert status == int(refused), f"{self.text}\nexited with {status}:\n{output}"
        place = 0
        for _, words in said:
            found = re.compile(rf"(?<!\w){re.escape(words)}(?!\w)").search(output, place)
            assert found is not None, f"{self.text}\ndid not print {words!r}:\n{output}"
            place = found.end()


@dataclass(frozen=True, slots=True)
class Hand:
    """Types blocks in one folder."""

    folder: Path
    commands: Path
    processes: Processes

    def do(self, block: Block) -> None:
        """Save a file, start what stays, or run commands to their end and check them."""
        if block.file is not None:
            (self.folder / block.file).write_text(block.text, "utf-8")
        elif block.stays:
            program, *words = shlex.split(block.text.removeprefix(_STAYS))
            assert program == "saferoom"
            name = " ".join(words[:2])
            if name in self.processes.running:  # the same command as another member
                name = " ".join(words)
            self.processes.spawn(name, "-m", "saferoom_client", *words, folder=self.folder)
        else:
            block.check(*self._run(block.text))

    def _run(self, text: str) -> tuple[int, str]:
        path = f"{self.commands}:{os.environ['PATH']}"
        try:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=self.folder,
                env={**os.environ, "PATH": path, "COLUMNS": "200", "SAFEROOM_PROFILE": ""},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=BLOCK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            logs = "\n".join(f"{name}:\n{self.processes.log(name)}" for name in self._windows())
            pytest.fail(f"{text}\ndid not end in {BLOCK_SECONDS} s\n{logs}")
        return done.returncode, done.stdout.decode()

    def _windows(self) -> tuple[str, ...]:
        return tuple(self.processes.running)


@cache
def _commands() -> Path:
    """Start what the commands of all pages are forked from; it ends with this process."""
    folder = Path(mkdtemp(prefix="saferoom-commands-"))
    atexit.register(rmtree, folder)
    processes, socket = Processes(folder / "logs"), folder / "warm"
    processes.spawn("saferoom", warm.__file__, str(socket))
    atexit.register(processes.stop)
    processes.wait_for(socket.exists, "the commands are not ready")
    return socket


@contextmanager
def typing_in(folder: Path) -> Generator[Hand]:
    """Give an empty folder within a folder to type in, with the `saferoom` command at hand."""
    warm.put_command(folder / "bin", _commands())
    processes = Processes(folder / "logs")
    typed = folder / "typed"
    typed.mkdir()
    try:
        yield Hand(typed, folder / "bin", processes)
    finally:
        processes.stop()


def blocks(text: str) -> list[Block]:
    """Read a page's blocks in order."""
    return [
        Block(found["file"], found["kind"], found["text"]) for found in _BLOCK.finditer(f"{text}\n")
    ]


def read_page(name: str) -> list[Block]:
    """Read a page's blocks, and see that it is whole: no other fences, every file named."""
    text = (DOCS / name).read_text("utf-8")
    page = blocks(text)
    assert text.count("```") == 2 * len(page)
    assert [one for one in page if (one.file is None) != (one.kind == "sh")] == []
    return page


def run_page(name: str, folder: Path) -> str:
    """Write a page's files and run its commands, of a page that needs no room.

    Returns:
        All that they printed.
    """
    return run_blocks(read_page(name), folder)


def run_blocks(page: Iterable[Block], folder: Path) -> str:
    """Write files and run commands, of a part of a page that needs no room."""
    printed: list[str] = []
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in page:
        if block.file is not None:
            (folder / block.file).write_text(block.text, "utf-8")
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=folder,
            env={**os.environ, "PATH": path, "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            timeout=100,
            check=False,
        )
        printed.append((done.stdout + done.stderr).decode())
        block.check(done.returncode, printed[-1])
    return "".join(printed)


def type_page(hand: Hand, name: str) -> None:
    """Type a page that makes a room at `ADDRESS`, at a port that is free."""
    text = (DOCS / name).read_text("utf-8")
    assert text.count(ADDRESS) == 1
    for block in blocks(text.replace(ADDRESS, f"localhost:{free_port()}")):
        hand.do(block)


def sections(name: str) -> dict[int, list[Block]]:
    """Read a page's blocks by the numbers of its headings."""
    text = (DOCS / name).read_text("utf-8")
    parts = re.split(r"^## ([0-9]+)\. .*$", text, flags=re.MULTILINE)[1:]
    return {int(number): blocks(part) for number, part in zip(parts[::2], parts[1::2], strict=True)}


def moved(block: Block, port: int) -> Block:
    """Have a room of a page listen at a port that is free."""
    return replace(block, text=block.text.replace(ADDRESS, f"localhost:{port}"))
