"""A city's files, made in several processes and written in the firms' order.

Each process makes the rows of a few hundred firms at a time; this one writes them where they
belong, and no more of them are under way than there are processes, and one. So memory does not
grow with the city.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from io import BufferedWriter
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Final, Protocol

from saferoom_city.days import Days
from saferoom_city.firm import MOST_FIRMS
from saferoom_city.pages import Filling, Page, choose_pages
from saferoom_client.files import PUBLIC_FILE, bad_file, write_file
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

EDITION: Final = 1
"""Of what is made from a seed: raised with any change to a byte."""
MANIFEST: Final = "manifest.json"
"""Written last: a folder without it was left half made."""
_FIRMS_AT_A_TIME: Final = 250
_SEEDS: Final = 1 << 32

Piece = dict[str, tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class City:
    """Which city is to be made.

    Attributes:
        firms: how many.
        seed: the same one makes the same city, and a larger city of it begins with a smaller.
        as_of: its date; records end there.
        types: numbers of types and keys of categories; none for all.
    """

    firms: int
    seed: int
    as_of: date
    types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        if not 1 <= self.firms <= MOST_FIRMS:
            raise _refusal("--firms", f"1 to {MOST_FIRMS:,} firms: names are not given twice")
        if not 0 <= self.seed < _SEEDS:
            raise _refusal("--seed", f"a whole number below {_SEEDS:,}")
        # Grades of taxpayers begin in 2014, and their M in 2018 (the catalogue's code lists).
        if not date(2022, 1, 1) <= self.as_of <= date(2099, 12, 31):
            raise _refusal("--as-of", "a date from 2022 on")


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(slots=True)
class Written:
    """One file as it is written."""

    page: Page
    file: BufferedWriter
    digest: _Digest = field(default_factory=hashlib.sha256)
    rows: int = 0
    size: int = 0

    def write(self, lines: bytes, rows: int) -> None:
        """Write some rows."""
        self.file.write(lines)
        self.digest.update(lines)
        self.rows += rows
        self.size += len(lines)

    def document(self) -> dict[str, object]:
        """Say what the manifest says of it."""
        return {
            "file": self.page.path,
            "type": self.page.type_id,
            "table": self.page.table,
            "rows": self.rows,
            "bytes": self.size,
            "sha256": self.digest.hexdigest(),
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was made: the city, and its files."""

    city: City
    files: tuple[Written, ...]

    def document(self) -> dict[str, object]:
        """Give it as it stands in the folder."""
        return {
            "edition": EDITION,
            "firms": self.city.firms,
            "seed": self.city.seed,
            "as_of": self.city.as_of.isoformat(),
            "types": list(self.city.types),
            "files": [each.document() for each in self.files],
        }


def make_city(
    city: City, out: Path, workers: int, progress: Callable[[int, int], None]
) -> Manifest:
    """Make a city's files, and last its manifest.

    What was written is taken away again if it does not come to an end.

    Args:
        city: which one.
        out: an empty folder, or none yet.
        workers: processes that make rows.
        progress: is told how many firms of how many are made.

    Raises:
        SafeRoomError: `BAD_CONFIG` if the folder holds something, or cannot be written.
    """
    pages = choose_pages(city.types)
    with _writing(out, pages) as written:
        for done, piece in _pieces(city, workers):
            for name, (lines, rows) in piece.items():
                written[name].write(lines, rows)
            progress(done, city.firms)
        for each in written.values():
            each.file.flush()  # where the disk is full no manifest says otherwise
        manifest = Manifest(city, tuple(written.values()))
        text = json.dumps(manifest.document(), indent=1)
        write_file(out / MANIFEST, text.encode() + b"\n", PUBLIC_FILE)
    return manifest


@contextmanager
def _writing(out: Path, pages: Sequence[Page]) -> Generator[dict[str, Written]]:
    """Open the files of a city; take them away again unless all goes well."""
    if (out / MANIFEST).exists():
        raise bad_file(out, "it holds a city already: name another folder with --out")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        rule = "it is no empty folder and holds no whole city: name another with --out"
        raise bad_file(out, rule)
    made: list[Path] = [] if out.exists() else [out]
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / MANIFEST]
    try:
        with ExitStack() as stack:
            written: dict[str, Written] = {}
            for page in pages:
                path = out / page.path
                if not path.parent.exists():
                    path.parent.mkdir()
                    made.append(path.parent)
                paths.append(path)
                file = stack.enter_context(path.open("wb"))
                written[page.table] = Written(page, file)
                written[page.table].write(page.heading.encode(), 0)
            yield written
    except BaseException as error:
        for path in paths:
            path.unlink(missing_ok=True)
        for folder in reversed(made):
            folder.rmdir()
        if isinstance(error, OSError) and error.filename is None:  # as where the disk is full
            raise bad_file(out, error.strerror or "it can not be written") from error
        raise


def _pieces(city: City, workers: int) -> Iterator[tuple[int, Piece]]:
    """Give the rows of a few firms after the other, and how many firms are made by then."""
    starts = range(0, city.firms, _FIRMS_AT_A_TIME)
    # Not forked: whoever shows progress has threads.
    with ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_begin, initargs=(city,)
    ) as pool:
        waiting: deque[Future[Piece]] = deque()
        done = 0
        try:
            with _deaf():
                pool.submit(_ready)  # starts them all
            for start in starts:
                waiting.append(pool.submit(_fill, start, min(city.firms, start + _FIRMS_AT_A_TIME)))
                if len(waiting) > workers:
                    done = min(city.firms, done + _FIRMS_AT_A_TIME)
                    yield done, waiting.popleft().result()
            while waiting:
                done = min(city.firms, done + _FIRMS_AT_A_TIME)
                yield done, waiting.popleft().result()
        except BrokenProcessPool as error:
            rule = "a process that made rows was ended: is there memory enough?"
            raise SafeRoomError(Reason.INTERNAL, rule) from error
        finally:
            pool.shutdown(cancel_futures=True)


_filling: Filling | None = None
"""In a process that makes rows: what it fills."""


def _begin(city: City) -> None:
    """Prepare a process that makes rows; it ends with the one that started it."""
    global _filling  # noqa: PLW0603 - a process of a pool has no other place for it
    _filling = Filling(city.seed, Days(city.as_of), choose_pages(city.types))
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    """End this process once the one that started it is gone, be it killed."""
    started_by = parent_process()
    if started_by is not None:
        started_by.join()
        os._exit(1)  # the main thread waits for work that will not come


def _ready() -> None:
    """Do nothing, in a process that makes rows."""


@contextmanager
def _deaf() -> Generator[None]:
    """Have the processes that are started within ignore Ctrl-C: it is for this one."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _fill(first: int, after: int) -> Piece:
    if _filling is None:
        raise AssertionError("a process of the pool begins by _begin")
    return _filling.fill(first, after)


def _refusal(option: str, rule: str) -> SafeRoomError:
    return SafeRoomError(Reason.MALFORMED, f"{option}: {rule}", [FieldFault(option, rule)])
