"""Rows that name no subject find theirs through a map, in a child, before they are in the store.

    a map      is filled before the tables that it leads to; it says whose a number is, and when
    a row      leads to the one subject whose the number is on the row's day, or in its whole month
    the rest   leads to nobody, or to two: told by line and rule, and in no table

A number of two subjects in one month leads to neither, also where one came after the other: no
part of a month's row is either's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from saferoom_enclaves.rows import Batch, Fault
from saferoom_proto.load_faults import LinkCount
from saferoom_proto.load_links import (
    AMBIGUOUS_RULE,
    ENDED_RULE,
    LEFT_RULES,
    LONG_RULE,
    MOST_MAPPED,
    MOST_SAID,
    OFTEN_RULE,
    PERIOD_RULE,
    UNLINKED_RULE,
)
from saferoom_proto.statements.feature import ColumnType, Table
from saferoom_proto.statements.link import Link

LED: Final = "_batch JOIN _led USING (line) WHERE _led.one = _led.other"
"""The rows of a batch that lead to one subject, `_led.one`."""

_LEAD: Final = """
CREATE OR REPLACE TEMP TABLE _led AS
WITH asked AS (SELECT line, {number} AS number, {first} AS first, {last} AS last FROM _batch),
met AS (
    SELECT asked.line, _map.subject, {holds} AS holds
    FROM asked LEFT JOIN _map ON _map.number = asked.number
)
SELECT line, count(subject) > 0 AS known, min(subject) FILTER (WHERE holds) AS one,
    max(subject) FILTER (WHERE holds) AS other
FROM met GROUP BY line
"""
_HOLDS: Final = (
    "coalesce((_map.since IS NULL OR _map.since <= asked.last)"
    " AND (_map.until IS NULL OR _map.until >= asked.first)"
    " AND asked.first IS NOT NULL, false)"
)
_MONTH: Final = r"[0-9]{4}-(0[1-9]|1[0-2])"


@dataclass(frozen=True, slots=True)
class Role:
    """What a table of a store is to the links of others, and to its own.

    Attributes:
        numbers: its columns by which is linked.
        links: of the tables whose map it is.
    """

    numbers: frozenset[str] = frozenset()
    links: tuple[Link, ...] = ()


def role_of(table: Table, tables: Iterable[Table]) -> Role:
    """Say what a table is to the links among the tables of a store."""
    links = tuple(
        other.link for other in tables if other.link is not None and other.link.map == table.name
    )
    own = () if table.link is None else (table.link,)
    return Role(frozenset(link.column for link in (*links, *own)), links)


class Linking:
    """Leads the rows of one linked table to their subjects, batch by batch.

    Args:
        building: the store under construction, in which the table's map is filled.
        table: the table.
        link: how it is linked.
        maps: its map.
    """

    def __init__(
        self, building: duckdb.DuckDBPyConnection, table: Table, link: Link, maps: Table
    ) -> None:
        self._building: Final = building
        self._table: Final = table
        self._link: Final = link
        self._left: Final = dict.fromkeys(LEFT_RULES, 0)
        mapped(building, maps, link)
        names = [column.name for column in table.brought]
        first, last = _time(table, link.at, names)
        self._lead: Final = _LEAD.format(
            number=f"c{names.index(link.column)}",
            first=first,
            last=last,
            holds="true" if link.at is None else _HOLDS,
        )

    def lead(self, bad: Sequence[Fault]) -> list[Fault]:
        """Lead the rows of `_batch`; tells those that lead to no subject, but for bad ones."""
        self._building.execute(self._lead)
        told = {line for line, _, _ in bad}
        stray = self._building.execute(
            "SELECT line, known, one IS NOT NULL FROM _led WHERE one IS DISTINCT FROM other"
            " OR one IS NULL"
        ).fetchall()
        faults: list[Fault] = []
        for line, known, met in stray:
            if line in told:
                continue
            rule = AMBIGUOUS_RULE if met else ENDED_RULE if known else UNLINKED_RULE
            faults.append((line, self._link.column, rule))
            self._left[rule] += 1
        return faults

    def count(self, linked: int, *, filled: bool) -> LinkCount:
        """Say what became of the rows.

        Args:
            linked: how many of those brought found their subject.
            filled: whether the table is whole; it is not, where a row of the load is bad.
        """
        used = f'FROM "{self._table.name}" AS own WHERE own."{self._link.column}" = _map.number'
        unused = self._building.execute(
            "SELECT count(DISTINCT number) FROM _map"  # noqa: S608 - a schema's names
            f" WHERE NOT EXISTS ({used})"
        ).fetchone()
        self._building.execute("DROP TABLE _map")
        return LinkCount(
            table=self._table.name,
            linked=linked,
            unlinked=self._left[UNLINKED_RULE],
            ended=self._left[ENDED_RULE],
            ambiguous=self._left[AMBIGUOUS_RULE],
            unused=int(unused[0]) if filled and unused else None,
        )


def mapped(building: duckdb.DuckDBPyConnection, maps: Table, link: Link) -> None:
    """Make `_map` of a map's table: each thing that it says of a number, once."""
    since, until = (
        "CAST(NULL AS DATE)" if each is None else f'"{each}"' for each in (link.since, link.until)
    )
    building.execute(
        "CREATE OR REPLACE TEMP TABLE _map AS"  # noqa: S608 - a schema's names
        f' SELECT DISTINCT "{link.column}" AS number, "{maps.key}" AS subject,'
        f' {since} AS since, {until} AS until FROM "{maps.name}"'
    )


def map_faults(
    building: duckdb.DuckDBPyConnection, maps: Table, links: Sequence[Link]
) -> list[Fault]:
    """Hold a map that is filled to the bounds of maps."""
    counted = building.execute(f'SELECT count(*) FROM "{maps.name}"').fetchone()  # noqa: S608
    if counted and counted[0] > MOST_MAPPED:
        return [(1, "", LONG_RULE)]
    for link in links:
        mapped(building, maps, link)
        often = building.execute(
            f"SELECT count(*) FROM _map GROUP BY number HAVING count(*) > {MOST_SAID} LIMIT 1"  # noqa: S608
        ).fetchone()
        building.execute("DROP TABLE _map")
        if often:
            return [(1, link.column, OFTEN_RULE)]
    return []


def period_faults(
    building: duckdb.DuckDBPyConnection, maps: Table, links: Sequence[Link], batch: Batch
) -> list[Fault]:
    """Find the rows of a map's batch that end before they begin."""
    names = [column.name for column in maps.brought]
    found: list[Fault] = []
    for since, until in {(link.since, link.until) for link in links}:
        if since is None or until is None or not batch.lines:
            continue
        begins, ends = (f"TRY_CAST(c{names.index(each)} AS DATE)" for each in (since, until))
        turned = building.execute(f"SELECT line FROM _batch WHERE {begins} > {ends}")  # noqa: S608
        found += [(line, until, PERIOD_RULE) for (line,) in turned.fetchall()]
    return found


def _time(table: Table, at: str | None, names: Sequence[str]) -> tuple[str, str]:
    """Write the first and the last day of a row: its own day, or those of its month."""
    if at is None:
        return "CAST(NULL AS DATE)", "CAST(NULL AS DATE)"
    value = f"c{names.index(at)}"
    if table.type_of(at) is ColumnType.DATE:
        return f"TRY_CAST({value} AS DATE)", f"TRY_CAST({value} AS DATE)"
    first = (
        f"CASE WHEN regexp_full_match({value}, '{_MONTH}')"
        f" THEN TRY_CAST({value} || '-01' AS DATE) END"
    )
    return first, f"last_day({first})"
