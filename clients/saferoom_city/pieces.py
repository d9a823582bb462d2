"""Rows of a city's tables while they are made, and what their cells look like."""

from __future__ import annotations

from typing import Final

from saferoom_city.days import Days
from saferoom_city.draws import Draws
from saferoom_city.firm import Firm

TRUE: Final = "true"
FALSE: Final = "false"
NONE: Final = ""


class Rows:
    """Rows by table, each written as a line of CSV; no cell holds a comma, a quote or a newline.

    Args:
        tables: all that there are; they stay empty where no firm has a row.
    """

    def __init__(self, tables: tuple[str, ...]) -> None:
        self.lines: Final = {name: list[str]() for name in tables}

    def add(self, table: str, *cells: str) -> None:
        """Add a row, its cells in the order of the catalogue's columns."""
        self.lines[table].append(",".join(cells))

    def take(self) -> dict[str, list[str]]:
        """Give all rows, and forget them."""
        taken = {name: lines.copy() for name, lines in self.lines.items()}
        for lines in self.lines.values():
            lines.clear()
        return taken


def yuan(fen: int) -> str:
    """Write money, of which this package counts the fen."""
    sign, whole = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{whole // 100}.{whole % 100:02d}"


def ratio(thousandths: int) -> str:
    """Write a ratio."""
    return f"{thousandths // 1000}.{thousandths % 1000:03d}"


def truth(value: bool) -> str:
    """Write whether something is so."""
    return TRUE if value else FALSE


def past(draws: Draws, firm: Firm, most_days: int) -> int:
    """Draw how many days ago something of a firm's was, after its first hundred days."""
    return draws.between(3, max(4, min(most_days, firm.age - 100)))


def case_number(draws: Draws, days: Days, ago: int, firm: Firm, word: str) -> str:
    """Write the number of a court's case of some day: year, court, kind and number."""
    court = f"鹭{firm.district.code[2:]}"
    return f"({days.ago(ago)[:4]}){court}{word}{draws.between(100, 8999)}号"
