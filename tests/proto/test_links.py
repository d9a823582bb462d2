"""Links in the statement of a store's tables: what may be a map; without one, as ever."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from saferoom_proto.statements.feature import Column, ColumnType, Schema, Table, Title
from saferoom_proto.statements.link import Link
from saferoom_proto.statements.source import Source

TITLE = Title(en="Test", zh="测试")
KINDS = {
    "account": (ColumnType.TEXT, 4),
    "plain": (ColumnType.TEXT, 3),
    "number": (ColumnType.BIGINT, 4),
    "day": (ColumnType.DATE, 3),
    "until": (ColumnType.DATE, 3),
    "uscc": (ColumnType.TEXT, 4),
}


def table(
    name: str, *columns: str, link: Link | None = None, source: Source | None = None
) -> Table:
    made = tuple(
        Column(name=each, type=KINDS[each][0], level=KINDS[each][1], title=TITLE)
        for each in ("uscc", *columns)
    )
    return Table(name=name, title=TITLE, key="uscc", columns=made, link=link, source=source)


def schema(*tables: Table) -> Schema:
    return Schema(room="room.example", owner="water", version=1, tables=tables)


BY = Link(column="account", map="accounts")
DATED = Link(column="account", map="accounts", at="day", since="day", until="until")
MAP = table("accounts", "account", "day", "until")
BILLS = table("bills", "account", "day", link=DATED)


def test_a_table_that_names_its_subjects_is_written_as_before_there_were_links() -> None:
    assert "link" not in json.loads(schema(MAP).model_dump_json())["tables"][0]
    whole = schema(MAP, BILLS)
    assert Schema.model_validate_json(whole.model_dump_json()) == whole
    assert [column.name for column in BILLS.brought] == ["account", "day"]
    assert MAP.brought == MAP.columns


@pytest.mark.parametrize(
    ("link", "rule"),
    [
        ({"column": "none"}, "bills has no none of TEXT beside its key"),
        ({"column": "number"}, "bills has no number of TEXT beside its key"),
        ({"column": "uscc"}, "bills has no uscc of TEXT beside its key"),
        ({"column": "plain"}, "plain links to accounts: its level is 4"),
        ({"at": "number"}, "bills has no number of DATE, nor of TEXT for months"),
        ({"at": None}, "at names the row's day"),
        ({"since": None, "until": None}, "at names the row's day"),
        ({"since": "until"}, "since and until are two columns"),
    ],
)
def test_a_link_that_is_none_is_refused(link: dict[str, str | None], rule: str) -> None:
    def attempt() -> Table:
        told = Link.model_validate(DATED.model_dump() | link)
        return table("bills", "account", "plain", "number", "day", link=told)

    with pytest.raises(ValidationError, match=rule):
        attempt()


SOURCE = Source(name="grid", days=7)


@pytest.mark.parametrize(
    ("maps", "rule"),
    [
        (table("others", "account"), "accounts, the map of bills, is no table that names whose"),
        (table("accounts", "account", source=SOURCE), "is no table that names whose"),
        (table("accounts", "account", link=BY), "is no table that names whose"),
        (table("accounts", "day"), "accounts has no account of TEXT beside its key"),
        (table("accounts", "account", "day"), "accounts, the map of bills, has no DATE until"),
    ],
)
def test_a_map_is_a_table_that_says_whose_a_number_is(maps: Table, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        schema(maps, BILLS)


def test_a_table_of_a_source_names_its_subjects() -> None:
    with pytest.raises(ValidationError, match="name their subject: no link"):
        table("bills", "account", link=BY, source=SOURCE)


def test_a_table_is_no_map_of_itself() -> None:
    with pytest.raises(ValidationError, match="is no table that names whose"):
        schema(table("accounts", "account", link=BY))
