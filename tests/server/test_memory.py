"""Memory that was freed goes back to the operating system."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from saferoom.memory import give_back

PIECES = 20_000
PIECE_BYTES = 4000
"""Above what Python's own allocator takes, and below what gets a mapping of its own."""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="no glibc")
def test_what_was_freed_between_what_stays_goes_back() -> None:
    pieces = [os.urandom(PIECE_BYTES) for _ in range(PIECES)]
    kept = pieces[::50]
    pieces.clear()
    before = resident_bytes()
    give_back()
    assert before - resident_bytes() > PIECES * PIECE_BYTES / 2
    assert len(kept) == PIECES / 50


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
