"""Tries a draft in a child, and says that it breaks a rule on records only if it does on many.

A draft that fails on a record, or gives a subject two rows, is no feature. Told of a trial as it
is, that would tell of one record: a draft can be made to fail just if some firm paid 7,000. So the
few subjects on whom a draft fails are set aside here and counted as unknown, and the rule is told
where they are ten or more. No row of one subject has part in another's value, so that any of them
can be tried alone.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, cast

import duckdb

from saferoom_enclaves.engine import silenced
from saferoom_enclaves.features.computed import FeatureDefinition, FeatureRule
from saferoom_enclaves.features.sql import CheckedSql, Gate, wrapped
from saferoom_enclaves.materialise import Cells, fails, materialise
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Table
from saferoom_proto.verdict import FEWEST


@dataclass(frozen=True, slots=True)
class Trial:
    """What a draft comes to.

    Attributes:
        cells: of the subjects that were not set aside; dtype int8.
        set_aside: on how many subjects it fails; fewer than ten.
    """

    cells: Cells
    set_aside: int


@contextmanager
def tried(
    store: duckdb.DuckDBPyConnection, draft: FeatureDefinition, tables: Mapping[str, Table]
) -> Generator[Trial]:
    """Try a draft; until this is left, the store is without the subjects that were set aside.

    Raises:
        SafeRoomError: MALFORMED_SQL, the draft breaks a rule whatever the records, or on ten
            subjects or more; TOO_LARGE, memory is exhausted.
    """
    gate = Gate(tables)
    try:
        sql = gate.check(draft.sql)
    finally:
        gate.close()
    subjects = _Subjects(store, draft, sql, tables)
    try:
        yield _without_few(store, subjects, draft, tables)
    finally:
        subjects.forget()


def _without_few(
    store: duckdb.DuckDBPyConnection,
    subjects: _Subjects,
    draft: FeatureDefinition,
    tables: Mapping[str, Table],
) -> Trial:
    aside: set[int] = set()
    while True:
        found = materialise(store, [draft], tables)
        refusal = found.refused.get(0)
        if refusal is None:
            return Trial(found.columns[0], len(aside))
        with silenced(Reason.INTERNAL, "setting subjects aside"):
            more = subjects.at_fault(refusal)
            if more <= aside or len(aside | more) >= FEWEST:
                raise refusal
            aside |= more
            subjects.leave_out(aside)


class _Subjects:
    """The subjects of a draft's tables, by number; the rows of some can be put in place of all.

    Their rows are copied: a filter beside the draft's own could come after what fails.
    """

    def __init__(
        self,
        store: duckdb.DuckDBPyConnection,
        draft: FeatureDefinition,
        sql: CheckedSql,
        tables: Mapping[str, Table],
    ) -> None:
        self._store: Final = store
        self._draft: Final = draft
        self._sql: Final = sql
        # Names have no other form in SQL that passed the gate; one too many does no harm.
        self._text: Final = sql.text.lower()
        self._tables: Final = [table for table in tables.values() if table.name in self._text]
        self._count: int | None = None

    def at_fault(self, refusal: SafeRoomError) -> set[int]:
        """Find the subjects that a refusal is about: all, or ten; none if it is about none."""
        if not refusal.fields:
            return self._failing()
        several = refusal.fields[0].rule == FeatureRule.SEVERAL_ROWS
        return self._several() if several else set()

    def leave_out(self, numbers: set[int]) -> None:
        """Go on without some."""
        self._keep(f"_row NOT IN ({', '.join(map(str, sorted(numbers)))})")

    def forget(self) -> None:
        """Let the store be as it was."""
        names = [table.name for table in self._tables]
        for name in ("_numbered", *names, *(f"_rows_{each}" for each in names)):
            with suppress(duckdb.Error):
                self._store.execute(f'DROP TABLE IF EXISTS temp.main."{name}"')

    def _failing(self) -> set[int]:
        """Halve, until those who fail are alone: two runs for each halving of each of them."""
        found: set[int] = set()
        left = [(0, self._numbered())]
        while left and len(found) < FEWEST:
            low, high = left.pop()
            self._keep(f"_row >= {low} AND _row < {high}")
            if not fails(self._store, self._draft, self._sql):
                continue
            if high - low <= 1:
                found.add(low)
                continue
            middle = (low + high) // 2
            left += [(low, middle), (middle, high)]
        return found

    def _several(self) -> set[int]:
        self._numbered()
        counted = f"FROM ({wrapped(self._sql)}) GROUP BY subject HAVING count(*) > 1"
        query = f'SELECT _row FROM "_numbered" WHERE _subject IN (SELECT subject {counted})'  # noqa: S608 - checked
        rows = self._store.execute(
            f"{query} LIMIT {FEWEST}", self._sql.parameters(self._draft.as_of)
        ).fetchall()
        return {cast("int", row) for (row,) in rows}

    def _numbered(self) -> int:
        """Number the subjects and copy their rows by number, once; gives how many there are."""
        if self._count is None:
            keys = " UNION ALL ".join(
                f'SELECT "{each.key}" AS _subject FROM store.main."{each.name}"'  # noqa: S608 - ours
                for each in self._tables
            )
            numbered = "SELECT _subject, row_number() OVER () - 1 AS _row"
            each_once = f"SELECT DISTINCT _subject FROM ({keys})"  # noqa: S608 - ours
            self._store.execute(f'CREATE TEMP TABLE "_numbered" AS {numbered} FROM ({each_once})')
            for table in self._tables:
                rows = (
                    f'FROM store.main."{table.name}" JOIN "_numbered" ON _subject = "{table.key}"'
                )
                self._store.execute(
                    f'CREATE TEMP TABLE "_rows_{table.name}" AS'
                    f" SELECT {self._columns(table)}, _row {rows} ORDER BY _row"
                )
            row = self._store.execute('SELECT count(*) FROM "_numbered"').fetchone()
            (self._count,) = cast("tuple[int]", row)
        return self._count

    def _keep(self, which: str) -> None:
        # A temporary table goes before the store's. A schema's names hold no quotes, and none
        # begins with an underscore.
        for table in self._tables:
            self._store.execute(
                f'CREATE OR REPLACE TEMP TABLE "{table.name}" AS'  # noqa: S608 - numbers of ours
                f' SELECT {self._columns(table)} FROM "_rows_{table.name}" WHERE {which}'
            )

    def _columns(self, table: Table) -> str:
        """List the columns that the draft can read."""
        read = (
            f'"{each.name}"'
            for each in table.columns
            if each.name in self._text or each.name == table.key
        )
        return ", ".join(read)
