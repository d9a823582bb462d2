"""How good an owner's records are: complete, valid, fresh, and like those of the last load.

Values are counted as they pass, into bins that fit every load: powers of two of a number, and the
codes of a coded column. Nothing is kept of a text but that it is there.

Source: the population stability index of scorecard practice; below 0.1 a column is as it was, above
0.25 it is another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from math import frexp, log
from typing import Final

from saferoom_client.records.annex import FieldType
from saferoom_proto.statements.feature import Column, ColumnType

WATCH: Final = 0.1
CHANGED: Final = 0.25
MOST_CODES: Final = 100
_OTHERS: Final = "..."
_ZERO: Final = 1 << 20
"""The place of zero among powers of two: beyond all that a double has."""
_LEAST_SHARE: Final = 1e-4
"""Stands for a bin that is empty on one side, whose logarithm there is not."""
_CODED: Final = {
    *(FieldType.ENUM, FieldType.TAX_GRADE, FieldType.CUSTOMS_GRADE),
    *(FieldType.YEAR, FieldType.BOOL),
}
_NUMBERS: Final = {ColumnType.BIGINT, ColumnType.DOUBLE, ColumnType.DECIMAL}


class Kind(StrEnum):
    """What of a column's values is counted."""

    NUMBER = "number"
    CODE = "code"
    DAY = "day"
    TEXT = "text"


@dataclass(slots=True)
class ColumnQuality:
    """What was counted of a column.

    Attributes:
        filled: values that are there.
        wrong: values that are of no form.
        least: the least number or day; none without one.
        bins: how many values fell into each.
    """

    name: str
    zh: str
    en: str
    kind: Kind
    filled: int = 0
    wrong: int = 0
    least: str | None = None
    most: str | None = None
    bins: dict[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def of(cls, column: Column, type_: FieldType | None) -> ColumnQuality:
        """Begin to count a column."""
        if type_ in _CODED or column.type is ColumnType.BOOLEAN:
            kind = Kind.CODE
        elif type_ is FieldType.MONTH or column.type is ColumnType.DATE:
            kind = Kind.DAY
        else:
            kind = Kind.NUMBER if column.type in _NUMBERS else Kind.TEXT
        return cls(column.name, column.title.zh, column.title.en, kind)

    def add(self, counted: Mapping[str, int], known: Mapping[str, str | None]) -> None:
        """Count a batch: how often each value stands in it, and what each came to."""
        good = [(value, counted[raw]) for raw, value in known.items() if value]
        wrong = sum(counted[raw] for raw, value in known.items() if value is None)
        self.wrong += wrong
        self.filled += wrong + sum(count for _, count in good)
        if not good:
            return
        match self.kind:
            case Kind.TEXT:
                pass
            case Kind.CODE:
                for value, count in good:
                    self._put(value if self._has_place(value) else _OTHERS, count)
            case Kind.DAY:
                self._span(min(good)[0], max(good)[0], str)
            case Kind.NUMBER:
                self._numbers(good)

    def _numbers(self, good: Sequence[tuple[str, int]]) -> None:
        """Put numbers into bins by the power of two below them."""
        bins: Counter[int] = Counter()
        for value, count in good:
            number = float(value)
            # An odd place is one below zero; zero itself has the place of no power.
            bins[2 * frexp(number)[1] + (number < 0) if number else _ZERO] += count
        for place, count in bins.items():
            power, below = divmod(place, 2)
            self._put("0" if place == _ZERO else f"{'-' if below else '+'}2^{power}", count)
        values = [value for value, _ in good]
        self._span(min(values, key=float), max(values, key=float), float)

    def _has_place(self, value: str) -> bool:
        return value in self.bins or len(self.bins) < MOST_CODES

    def _put(self, place: str, count: int) -> None:
        self.bins[place] = self.bins.get(place, 0) + count

    def _span(self, least: str, most: str, key: Callable[[str], float | str]) -> None:
        """Widen the span from the least to the most by a batch's."""
        self.least = min(self.least or least, least, key=key)
        self.most = max(self.most or most, most, key=key)

    def drift(self, before: ColumnQuality) -> float | None:
        """Give the stability index against an earlier load; none without values on both sides."""
        total, earlier = sum(self.bins.values()), sum(before.bins.values())
        if not total or not earlier or self.kind is not before.kind:
            return None
        index = 0.0
        for place in self.bins.keys() | before.bins.keys():
            now = max(self.bins.get(place, 0) / total, _LEAST_SHARE)
            then = max(before.bins.get(place, 0) / earlier, _LEAST_SHARE)
            index += (now - then) * log(now / then)
        return index


@dataclass(slots=True)
class TableQuality:
    """What was counted of a table's rows, the bad ones too."""

    name: str
    zh: str
    en: str
    columns: list[ColumnQuality]
    rows: int = 0
    bad: int = 0
    left: int = 0
    """Rows that lead to no subject, or to two, and are left out."""

    def newest(self, today: date) -> str | None:
        """Give the newest day or month that has come: how fresh the records are."""
        days = [
            column.most
            for column in self.columns
            if column.kind is Kind.DAY and column.most and column.most <= today.isoformat()
        ]
        return max(days, default=None)
