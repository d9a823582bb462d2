"""Whose each row of a linked table is, as the map says that is loaded with it.

An owner hears here, by line, what its enclave would say: the enclave links anew, by the same rules
(`saferoom_proto.load_links`), and goes by nothing that is found here. A map that is not brought is
in the enclave alone; then only the enclave can tell.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from saferoom_client.records.faults import Fault
from saferoom_proto.load_links import (
    AMBIGUOUS_RULE,
    ENDED_RULE,
    LONG_RULE,
    MOST_MAPPED,
    MOST_SAID,
    NUMBER_RULE,
    OFTEN_RULE,
    PERIOD_RULE,
    UNLINKED_RULE,
    is_number,
)
from saferoom_proto.statements.feature import ColumnType, Table
from saferoom_proto.statements.link import Link

Found = tuple[int, Fault]
"""A fault, with the place of its row in the batch."""
Columns = Sequence[Sequence[str]]
_Time = tuple[str, str]
_NEVER: Final = ("", "")
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(slots=True)
class Said:
    """What a map says by one link: of each number whose it is, from when, to when.

    Attributes:
        is_whole: a map with a bad row leads nobody.
    """

    of: dict[str, set[tuple[str, str, str]]] = field(
        default_factory=dict[str, set[tuple[str, str, str]]]
    )
    rows: int = 0
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class TableLinks:
    """Holds a table to its links: as a map of others, or as one that a map leads from.

    Attributes:
        table: the table.
        maps: what it says, by the links whose map it is.
        led: what its own map says; none of a table that names its subjects, or without the map.
    """

    table: Table
    maps: Sequence[tuple[Link, Said]] = ()
    led: Said | None = None

    def bad(self, lines: Sequence[int], columns: Columns) -> Iterator[Found]:
        """Give what is wrong with a batch's rows whatever may be left out."""
        names = [column.name for column in self.table.brought]
        own = () if self.table.link is None else (self.table.link,)
        for name in {link.column for link in (*own, *(link for link, _ in self.maps))}:
            for row, number in enumerate(columns[names.index(name)]):
                if not is_number(number) if number else bool(self.maps):
                    yield row, Fault(lines[row], name, NUMBER_RULE)
        for link, said in self.maps:
            yield from self._note(link, said, lines, columns, names)

    def stray(self, lines: Sequence[int], columns: Columns, bad: Container[int]) -> Iterator[Found]:
        """Give the rows of a batch that lead to no subject, or to two, but for bad ones."""
        link, said = self.table.link, self.led
        if link is None or said is None or not said.is_whole:
            return
        names = [column.name for column in self.table.brought]
        times = self._times(link, columns, names)
        for row, number in enumerate(columns[names.index(link.column)]):
            if row not in bad and (rule := _broken(said, number, times[row] if times else None)):
                yield row, Fault(lines[row], link.column, rule)

    def _note(
        self, link: Link, said: Said, lines: Sequence[int], columns: Columns, names: Sequence[str]
    ) -> Iterator[Found]:
        numbers, codes = (columns[names.index(each)] for each in (link.column, self.table.key))
        empty = [""] * len(lines)
        since, until = (
            columns[names.index(each)] if each else empty for each in (link.since, link.until)
        )
        for row, told in enumerate(zip(codes, since, until, strict=True)):
            said.rows += 1
            if told[2] and told[1] > told[2]:
                yield row, Fault(lines[row], link.until or "", PERIOD_RULE)
            if said.rows > MOST_MAPPED:
                if said.rows == MOST_MAPPED + 1:
                    yield row, Fault(lines[row], "", LONG_RULE)
                continue
            of = said.of.setdefault(numbers[row], set())
            if len(of) == MOST_SAID and told not in of:
                yield row, Fault(lines[row], link.column, OFTEN_RULE)
                continue
            of.add(told)

    def _times(self, link: Link, columns: Columns, names: Sequence[str]) -> list[_Time] | None:
        """Give the first and the last day of each row; none where the map has no days."""
        if link.at is None:
            return None
        values = columns[names.index(link.at)]
        if self.table.type_of(link.at) is ColumnType.DATE:
            return [(value, value) for value in values]
        # Texts of days are in the days' order, also one that a shorter month has not.
        return [
            (f"{value}-01", f"{value}-31") if _MONTH.fullmatch(value) else _NEVER
            for value in values
        ]


def links_of(tables: Sequence[Table], brought: Container[str]) -> Mapping[str, TableLinks]:
    """Say how the tables of a store are linked, as far as their maps are brought.

    Args:
        tables: of the schema.
        brought: the names of those with a file.
    """
    said = {
        table.name: (table.link, Said())
        for table in tables
        if table.link is not None and table.link.map in brought
    }
    return {
        table.name: TableLinks(
            table,
            [pair for pair in said.values() if pair[0].map == table.name],
            said[table.name][1] if table.name in said else None,
        )
        for table in tables
    }


def _broken(said: Said, number: str, time: _Time | None) -> str | None:
    """Give the rule that a row breaks, by the number and the time of it; none if it is linked."""
    of = said.of.get(number) if number else None
    if of is None:
        return UNLINKED_RULE
    if time is not None:
        first, last = time
        of = {
            each for each in of if first and each[1] <= last and (not each[2] or each[2] >= first)
        }
    whose = {code for code, _, _ in of}
    if not whose:
        return ENDED_RULE
    return None if len(whose) == 1 else AMBIGUOUS_RULE
