"""Tables of accounts, bills and leases, for tests of rows that find their subject through a map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from saferoom_enclaves.rows import TableLoad
from saferoom_proto.load import Change
from saferoom_proto.statements.feature import Column, ColumnType, Table, Title
from saferoom_proto.statements.link import Link
from tests.enclaves.tables import SUBJECTS, as_csv

TITLE: Final = Title(en="Test", zh="测试")
TEXT, DATE, NUMBER = ColumnType.TEXT, ColumnType.DATE, ColumnType.DECIMAL
ONE, TWO, THREE = SUBJECTS[:3]


def column(name: str, kind: ColumnType, level: int = 3) -> Column:
    return Column(name=name, type=kind, level=level, title=TITLE)


def table(name: str, *columns: Column, link: Link | None = None) -> Table:
    """Give a table whose key is `uscc`."""
    key = column("uscc", TEXT, 4)
    return Table(name=name, title=TITLE, key="uscc", columns=(key, *columns), link=link)


ACCOUNT: Final = column("account", TEXT, 4)
MAP: Final = table("accounts", ACCOUNT, column("opened", DATE), column("closed", DATE))
PLAIN: Final = Link(column="account", map="accounts")
DATED: Final = Link(column="account", map="accounts", at="day", since="opened", until="closed")
MONTHLY: Final = DATED.model_copy(update={"at": "month"})
BILLS: Final = table("bills", ACCOUNT, column("paid", NUMBER), link=PLAIN)
DAYS: Final = table("bills", ACCOUNT, column("day", DATE), column("paid", NUMBER), link=DATED)
MONTHS: Final = table("bills", ACCOUNT, column("month", TEXT), column("paid", NUMBER), link=MONTHLY)


def as_file(schema: Table, rows: Iterable[Sequence[object]]) -> bytes:
    """Write a table's file: of a linked one, without its key."""
    return as_csv([each.name for each in schema.brought], rows)


def load(
    schema: Table,
    rows: Iterable[Sequence[object]],
    change: Change = Change.WHOLE,
    *,
    leaves: bool = False,
) -> TableLoad:
    return TableLoad(schema, as_file(schema, rows), change, leaves)


def accounts(*rows: tuple[object, ...]) -> TableLoad:
    """Give a map: whose, which account, from when, to when."""
    return load(MAP, [(*row, *[None] * (4 - len(row))) for row in rows])
