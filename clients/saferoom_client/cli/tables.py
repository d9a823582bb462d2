"""Tables: in columns where the screen has room for them, else one value below the other."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence

from saferoom_client.cli.output import columns_of, in_one_line
from saferoom_client.tongue import say

_BETWEEN = "  "


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows in columns, a row to a line; nothing is cut, so that digests can be copied.

    On a terminal that is too narrow for that each row becomes a block, folded at words. What goes
    into a file or to another program keeps its lines.
    """
    if not rows:
        return [say("none")]
    said = [say(heading) for heading in headings]
    cells = [said, *([in_one_line(cell) for cell in row] for row in rows)]
    widths = [max(columns_of(row[column]) for row in cells) for column in range(len(said))]
    whole = sum(widths) + len(_BETWEEN) * (len(widths) - 1)
    screen = shutil.get_terminal_size().columns if sys.stdout.isatty() else whole
    if whole > screen:
        return list(_blocks(said, cells[1:], screen))
    return [
        _BETWEEN.join(_wide(cell, wide) for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _blocks(headings: Sequence[str], rows: Sequence[Sequence[str]], screen: int) -> Iterator[str]:
    label = max(map(columns_of, headings))
    for number, row in enumerate(rows):
        if number:
            yield ""
        for heading, cell in zip(headings, row, strict=True):
            if cell:
                yield from _field(_wide(heading, label) + _BETWEEN, cell, screen)


def _field(label: str, text: str, screen: int) -> Iterator[str]:
    """Write a value beside its label, or below it if a word of it would not fit there."""
    indent = " " * columns_of(label)
    if max(map(columns_of, text.split()), default=0) > screen - len(indent):
        yield label.rstrip()
        label = indent = _BETWEEN
    line = label
    for word in text.split():
        if line.strip() and line != label and columns_of(line) + 1 + columns_of(word) > screen:
            yield line
            line = indent
        line += word if line in (label, indent) else f" {word}"
    yield line


def _wide(text: str, columns: int) -> str:
    return text + " " * (columns - columns_of(text))
