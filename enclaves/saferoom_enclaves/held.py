"""What the store holds about one subject: its rows, its features' values, and who asked how much.

The only module that reads values of records for somebody to see. What it gives goes under seal at
once (`gate.collect`) and leaves to its subject only.

A row about a subject can name others: an invoice its buyer, a licence its owner's identity number.
Text of level 4, but for the key, is therefore counted and not shown; numbers, dates and flags of
level 4 are the subject's own record-level detail and are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from saferoom_enclaves.data import Data, Opened
from saferoom_enclaves.engine import silenced
from saferoom_enclaves.feature_sql import CheckedSql, wrapped
from saferoom_enclaves.feature_sql import Gate as SqlGate
from saferoom_enclaves.spending import Spending
from saferoom_enclaves.standing import Standing
from saferoom_proto.certificate import PinnedFeature
from saferoom_proto.holdings import HeldAccount, HeldColumn, HeldFeature, HeldTable
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Column, ColumnType, Schema, StoreState, Table

READ_SECONDS: Final = 10.0
"""The longest that reading about one subject may take: questions wait meanwhile."""
MOST_ROWS: Final = 50_000
"""Rows of one table about one subject; more would not fit into what a subject can be sent."""
_IDENTIFYING: Final = 4


@dataclass(frozen=True, slots=True, repr=False)
class Held:
    """What is held about one subject, in the clear. It shows no text form."""

    store: StoreState
    schema: str
    tables: tuple[HeldTable, ...]
    features: tuple[HeldFeature, ...]
    accounts: tuple[HeldAccount, ...]


class Records:
    """Reads what is held about one subject.

    Args:
        data: the store.
        standing: schema, features and agreements.
        spending: the leakage ledger.
    """

    def __init__(self, data: Data, standing: Standing, spending: Spending) -> None:
        self._data: Final = data
        self._standing: Final = standing
        self._spending: Final = spending
        self._checked: dict[tuple[str, str], CheckedSql] = {}
        """Features' SQL that passed the gate, by schema and feature: opening one takes 0.1 s."""

    def about(self, subject: str) -> Held:
        """Read everything.

        Raises:
            SafeRoomError: `NO_DATA` if there is no store; `DEADLINE`, `TOO_LARGE` or `INTERNAL` if
                it cannot be read. What went wrong quotes no value.
        """
        opened = self._data.opened()
        schema = self._standing.schemas.get(opened.schema)
        if schema is None:
            raise SafeRoomError(Reason.NO_DATA, "the store's schema is not in force")
        with opened.store.interrupt_after(READ_SECONDS):
            tables = tuple(_table(opened, table, subject) for table in schema.tables)
            features = self._features(opened, schema, subject)
        return Held(opened.state, opened.schema, tables, features, self._accounts(subject))

    def _features(self, opened: Opened, schema: Schema, subject: str) -> tuple[HeldFeature, ...]:
        # Only those that answers are made from: one that cannot be computed is no feature here.
        computed = self._data.index().features
        pinned = [each for ref, each in sorted(self._standing.features.items()) if ref in computed]
        checked = self._gated(opened.schema, schema, pinned)
        return tuple(_feature(opened, sql, each, subject) for sql, each in checked)

    def _gated(
        self, digest: str, schema: Schema, pinned: Sequence[PinnedFeature]
    ) -> list[tuple[CheckedSql, PinnedFeature]]:
        """Give each feature's SQL as it passed the gate, once for all subjects."""
        wanted = {(digest, each.digest): each for each in pinned}
        if not wanted.keys() <= self._checked.keys():
            gate = SqlGate({table.name: table for table in schema.tables})
            try:
                self._checked = {
                    key: gate.check(each.definition.sql) for key, each in wanted.items()
                }
            finally:
                gate.close()
        return [(self._checked[key], each) for key, each in wanted.items()]

    def _accounts(self, subject: str) -> tuple[HeldAccount, ...]:
        return tuple(
            HeldAccount(
                group=group,
                institutions=institutions,
                feature=spent.feature,
                epoch=spent.epoch,
                cuts=spent.cuts,
                cells=spent.cells,
            )
            for group, institutions in sorted(self._standing.groups().items())
            for spent in self._spending.account(group, subject)
        )


def _table(opened: Opened, table: Table, subject: str) -> HeldTable:
    columns = [_column(table, column) for column in table.columns]
    shown = [
        "NULL" if column.withheld else f'CAST("{column.name}" AS VARCHAR)' for column in columns
    ]
    withheld = [f'count("{column.name}")' for column in columns if column.withheld]
    where = f'FROM store.main."{table.name}" WHERE "{table.key}" = $subject'
    about = {"subject": subject}
    with silenced(Reason.INTERNAL, f"reading {table.name} about one subject"):
        # Names are of the schema, whose form allows no quotes; a subject is a parameter.
        select = f"SELECT {', '.join(shown)} {where} ORDER BY ALL LIMIT {MOST_ROWS + 1}"
        rows = opened.store.connection.execute(select, about).fetchall()
        counts = opened.store.connection.execute(
            f"SELECT count(*){''.join(f', {each}' for each in withheld)} {where}", about
        ).fetchone()
    if len(rows) > MOST_ROWS:
        raise SafeRoomError(Reason.TOO_LARGE, f"more than {MOST_ROWS} rows of {table.name}")
    _, *kept_back = cast("tuple[int, ...]", counts)
    left = iter(kept_back)
    return HeldTable(
        name=table.name,
        title=table.title,
        columns=tuple(columns),
        rows=tuple(cast("Sequence[tuple[str | None, ...]]", rows)),
        withheld=tuple(next(left) if column.withheld else 0 for column in columns),
    )


def _column(table: Table, column: Column) -> HeldColumn:
    names_others = (
        column.level == _IDENTIFYING and column.type is ColumnType.TEXT and column.name != table.key
    )
    return HeldColumn(
        name=column.name,
        title=column.title,
        type=column.type,
        level=column.level,
        withheld=names_others,
    )


def _feature(opened: Opened, sql: CheckedSql, pinned: PinnedFeature, subject: str) -> HeldFeature:
    definition = pinned.definition
    select = f"SELECT CAST(value AS VARCHAR) FROM ({wrapped(sql)}) WHERE subject = $_subject"  # noqa: S608 - checked
    with silenced(Reason.INTERNAL, f"reading {definition.full_name} of one subject"):
        row = opened.store.connection.execute(
            select, {**sql.parameters(definition.as_of), "_subject": subject}
        ).fetchone()
    value = None if row is None else cast("str | None", row[0])
    return HeldFeature(feature=definition.full_name, digest=pinned.digest, value=value)
