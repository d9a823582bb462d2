"""The gate for feature SQL: honest features pass, everything else is refused by name and place."""

from __future__ import annotations

import json
from collections.abc import Generator
from itertools import product
from typing import Any, Final, cast
from unittest.mock import patch

import pytest

from saferoom_enclaves.features.sql import Gate, check_feature_sql
from saferoom_enclaves.features.tree import Node
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import ColumnType
from tests.enclaves.feature_corpus import HONEST, HOSTILE, VALUE
from tests.enclaves.feature_wild import WILD
from tests.enclaves.tables import ARREARS, VAT, table

STAFF: Final = table("staff", name=ColumnType.TEXT, wage=ColumnType.DOUBLE)
REFUSED: Final = [*HOSTILE, *WILD]
TABLES: Final = {one.name: one for one in (VAT, ARREARS, STAFF)}


@pytest.fixture(scope="module")
def gate() -> Generator[Gate]:
    gate = Gate(TABLES)
    yield gate
    gate.close()


@pytest.mark.parametrize("feature", HONEST)
def test_an_honest_feature_passes(gate: Gate, feature: str) -> None:
    checked = gate.check(HONEST[feature])
    assert checked.uses_as_of == ("$as_of" in HONEST[feature])
    assert checked.value_type != ""


@pytest.mark.parametrize("sql", REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_listed_is_refused(gate: Gate, sql: str) -> None:
    with pytest.raises(SafeRoomError) as caught:
        gate.check(sql)
    assert caught.value.reason is Reason.MALFORMED_SQL
    assert [fault.field for fault in caught.value.fields] == ["sql"]
    assert caught.value.fields[0].rule == caught.value.detail


def test_the_corpora_are_as_large_as_they_should_be() -> None:
    assert len(set(REFUSED)) == len(REFUSED) >= 300
    assert len(HONEST) >= 12


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        (
            "SELECT uscc AS subject,\n       random() AS value\nFROM vat",
            "line 2 column 8: the function random is not listed",
        ),
        (
            "SELECT uscc AS subject, paid AS value FROM vat WHERE grade = '甲' AND uscc = 'x'",
            "line 1 column 70: the subject's key may be selected, grouped by, joined on,",
        ),
        (
            "SELECT uscc AS subject, CAST(grade AS INTEGER) AS value FROM vat",
            "a cast can fail on a value: write TRY_CAST (or DATE '2026-01-31')",
        ),
        (
            "SELECT uscc AS subject, paid AS value\nFRO vat",
            'line 2 column 1: syntax error at or near "FRO"',
        ),
        ("SELECT uscc AS subject, paid AS value FROM court", "line 1 column 44: only the owner's"),
        ("DROP TABLE vat", "one plain SELECT is expected"),
        (HONEST["a column"] + ";", "write it without a closing semicolon"),
        (HONEST["a column"] + " LIMIT 1", "DISTINCT, ORDER BY and LIMIT are not allowed"),
        (VALUE.format("date_diff('day', paid, filed)"), "Binder Error"),
        (VALUE.format("filed = grade"), "line 1 column 33: text is compared with what is no text"),
        (HONEST["a column"] + " WHERE grade", "a condition is true or false"),
        (VALUE.format("late IS TRUE\0"), "a feature's SQL is UTF-8 without NUL characters"),
    ],
)
def test_a_refusal_names_place_and_construct(gate: Gate, sql: str, refusal: str) -> None:
    with pytest.raises(SafeRoomError) as caught:
        gate.check(sql)
    assert refusal in caught.value.detail


def test_the_gate_can_be_asked_once() -> None:
    check_feature_sql(HONEST["a join"], TABLES)
    with pytest.raises(SafeRoomError):
        check_feature_sql(HONEST["a join"], {"vat": VAT})


def test_a_table_column_named_like_an_alias_is_not_mistaken_for_it() -> None:
    tricky = table("tricky", subject=ColumnType.TEXT, value=ColumnType.BIGINT)
    check_feature_sql("SELECT uscc AS subject, value FROM tricky", {"tricky": tricky})
    with pytest.raises(SafeRoomError):
        check_feature_sql("SELECT subject, value FROM tricky", {"tricky": tricky})
    grouped = "SELECT uscc AS subject, count(*) AS value FROM tricky GROUP BY subject"
    with pytest.raises(SafeRoomError):
        check_feature_sql(grouped, {"tricky": tricky})


def test_the_gate_holds_no_record_and_its_database_is_locked(gate: Gate) -> None:
    rows = gate.connection.execute("SELECT count(*) FROM vat").fetchall()
    locked = gate.connection.execute("SELECT current_setting('lock_configuration')").fetchall()
    assert (rows, locked) == ([(0,)], [(True,)])


def nodes(tree: Any) -> list[dict[str, Any]]:
    """List the objects of a tree, outermost first."""
    if isinstance(tree, list):
        return [found for part in cast("list[Any]", tree) for found in nodes(part)]
    if not isinstance(tree, dict):
        return []
    own = cast("dict[str, Any]", tree)
    return [own, *(found for part in own.values() for found in nodes(part))]


@pytest.mark.parametrize("feature", HONEST)
def test_a_part_that_a_later_duckdb_adds_or_renames_is_refused(gate: Gate, feature: str) -> None:
    """Alter the tree as another release might: no node may gain a part or change its kind."""
    serialise = "SELECT json_serialize_sql($1, skip_null := true, skip_empty := true, "
    row = gate.connection.execute(serialise + "skip_default := true)", [HONEST[feature]]).fetchone()
    assert row is not None
    taken: list[dict[str, Any]] = []
    for change, at in product(("type", "class", "novelty"), range(len(nodes(json.loads(row[0]))))):
        tree = json.loads(row[0])
        altered = nodes(tree)[at]
        if altered is tree or (change != "novelty" and change not in altered):
            continue
        altered[change] = "NOVELTY"
        with patch.object(Node, "parse", return_value=Node(tree)):
            try:
                gate.check(HONEST[feature])
            except SafeRoomError as refusal:
                assert refusal.reason is Reason.MALFORMED_SQL
            else:
                taken.append(altered)
    assert taken == []
