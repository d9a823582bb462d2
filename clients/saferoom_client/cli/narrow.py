"""Text for a narrow screen: folded at words, Chinese characters counted as two columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_client.cli.output import columns_of

COLUMNS: Final = 44
"""A phone's terminal, held upright."""
_STEP: Final = "  "


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


def heading(text: str) -> Iterator[str]:
    """Set a heading apart."""
    yield ""
    yield text
    yield "-" * min(columns_of(text), COLUMNS)
