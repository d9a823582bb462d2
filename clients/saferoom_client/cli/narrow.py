"""Text for a narrow screen: folded at words, Chinese characters counted as two columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from saferoom_client.cli.output import columns_of

COLUMNS: Final = 44
"""A phone's terminal, held upright."""
_STEP: Final = "  "
_MARGIN: Final = "    | "
_PARTS: Final = re.compile(r"\S+\s*|\s+")


def folded(text: str, depth: int = 0) -> Iterator[str]:
    """Fold a text at its blanks, indented; what follows the first line stands one step deeper.

    A word that is too long for a line (a digest) keeps a line of its own, whole: it can be copied.
    """
    indent = _STEP * depth
    line = indent
    for word in text.split():
        fits = columns_of(line) + 1 + columns_of(word) <= COLUMNS
        if line.strip() and not fits:
            yield line
            indent = _STEP * (depth + 1)
            line = indent
        line += word if not line.strip() else f" {word}"
    yield line


def quoted(text: str) -> Iterator[str]:
    """Set what somebody else wrote behind a margin.

    No line is so long that a terminal would go on with it at its edge, where our own lines begin.
    """
    for written in text.splitlines():
        line = _MARGIN
        for part in _PARTS.findall(written):
            if line != _MARGIN and columns_of(line + part.rstrip()) > COLUMNS:
                yield line
                line = _MARGIN
            for one in part:
                fits = columns_of(line + one) <= COLUMNS
                if not fits and not one.isspace():
                    yield line
                    line = _MARGIN
                line += one if fits or not one.isspace() else ""
        yield line


def heading(text: str) -> Iterator[str]:
    """Set a heading apart."""
    yield ""
    yield text
    yield "-" * min(columns_of(text), COLUMNS)
