"""What is wrong with an owner's rows: told by line, column and rule, and to the owner alone."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """What is wrong with a row.

    Attributes:
        line: where it begins in its file; the heading is line 1.
        column: the column's name; empty where the rule is about the whole row.
        rule: what it breaks.
    """

    line: int
    column: str
    rule: str
