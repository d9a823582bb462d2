"""What holds for whole rows: codes by their day, days in order, sums that add up, no row twice."""

from __future__ import annotations

from array import array
from collections.abc import Container, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from saferoom_client.records.annex import Codes, TableForm
from saferoom_client.records.faults import Fault

DATED_RULE: Final = "no code of the list in force on that day"
TWICE_RULE: Final = "an earlier row says the same of the same"
_BUCKETS: Final = 1024
_FEN: Final = Decimal("0.01")
_PUBLISHED: Final = "-04-30"
"""Grades of a year are published in the April after it (STA 2014 No. 40, article 23)."""

Columns = Sequence[Sequence[str]]
_Found = tuple[int, int, str]
"""A row and a column of a batch, by their places, and the rule that is broken there."""


class RowRules:
    """The catalogue's rules on the rows of one table.

    Args:
        form: the table, where the catalogue has it.
        names: of the table's columns, in their order.
    """

    def __init__(self, form: TableForm | None, names: Sequence[str]) -> None:
        self._names: Final = names
        held = [column for column in form.columns if column.name in names] if form else []
        self._dated: Final = [
            (names.index(one.name), names.index(one.dated), one.codes)
            for one in held
            if one.dated in names
        ]
        self._order: Final = self._places(form.order if form else ())
        self._sums: Final = self._places(form.sums if form else ())

    def _places(self, rules: Sequence[Sequence[str]]) -> list[list[int]]:
        """Find the columns of rules; a rule is dropped where the owner's table lacks one."""
        kept = [rule for rule in rules if set(rule) <= set(self._names)]
        return [[self._names.index(name) for name in rule] for rule in kept]

    def faults(self, lines: Sequence[int], columns: Columns) -> Iterator[tuple[int, Fault]]:
        """Give each fault of a batch with the place of its row in it."""
        found = (*self._of_day(columns), *self._in_order(columns), *self._summed(columns))
        for row, place, rule in found:
            yield row, Fault(lines[row], self._names[place], rule)

    def _of_day(self, columns: Columns) -> Iterator[_Found]:
        for at, day, codes in self._dated:
            for row, (value, of) in enumerate(zip(columns[at], columns[day], strict=True)):
                if value and of and value not in _in_force(codes, of):
                    yield row, at, DATED_RULE

    def _in_order(self, columns: Columns) -> Iterator[_Found]:
        for first, second in self._order:
            rule = f"it is not after {self._names[second]}"
            for row, (one, other) in enumerate(zip(columns[first], columns[second], strict=True)):
                # Days and months in their one form are in their order as texts.
                if one > other and other:
                    yield row, first, rule

    def _summed(self, columns: Columns) -> Iterator[_Found]:
        for whole, *parts in self._sums:
            rule = f"it is the sum of {' and '.join(self._names[part] for part in parts)}"
            sums = zip(columns[whole], *(columns[part] for part in parts), strict=True)
            for row, values in enumerate(sums):
                if all(values):
                    total, *others = map(Decimal, values)
                    if abs(total - sum(others)) > _FEN:
                        yield row, whole, rule


class Repeats:
    """Finds the rows that say the same in some columns, at 16 bytes a row.

    Rows are told apart by 64 bits of a keyed hash: in ten million rows two that differ are taken
    for one with a chance of three in a million.
    """

    def __init__(self, places: Sequence[int]) -> None:
        self._places: Final = places
        self._hashes: Final = [array("q") for _ in range(_BUCKETS)]
        self._lines: Final = [array("q") for _ in range(_BUCKETS)]

    def note(self, lines: Sequence[int], columns: Columns, bad: Container[int]) -> None:
        """Note the rows of a batch, but for those that are bad already, by their places."""
        if not self._places:
            return
        hashes, placed = self._hashes, self._lines
        keys = zip(*(columns[place] for place in self._places), strict=True)
        for row, key in enumerate(keys):
            if row in bad:
                continue
            number = hash(key)
            bucket = number % _BUCKETS
            hashes[bucket].append(number)
            placed[bucket].append(lines[row])

    def faults(self) -> Iterator[Fault]:
        """Give a fault for every row that an earlier one is like, once all are noted."""
        for hashes, lines in zip(self._hashes, self._lines, strict=True):
            if len(set(hashes)) == len(hashes):
                continue
            seen: set[int] = set()
            for number, line in zip(hashes, lines, strict=True):
                if number in seen:
                    yield Fault(line, "", TWICE_RULE)
                seen.add(number)


def _in_force(codes: Sequence[Codes], of: str) -> tuple[str, ...]:
    """Give the codes in force on a day, or when the grades of a year were published."""
    if len(of) == len("2026"):
        of = f"{int(of) + 1}{_PUBLISHED}"
    day = date.fromisoformat(of)
    for each in codes:
        if (each.since is None or each.since <= day) and (each.until is None or day <= each.until):
            return each.codes
    return ()
