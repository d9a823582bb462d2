"""The gate for owners' feature SQL: one SELECT over the owner's own tables, and little in it.

A feature's SQL gives every subject one value:

    SELECT uscc AS subject, sum(paid) AS value
    FROM vat WHERE filed >= $as_of - INTERVAL 12 MONTH GROUP BY uscc

It is read by DuckDB's own parser, so that what is checked is what would run, and held to a closed
list (`features.expressions`). What passes is bound against empty tables: DuckDB's own complaint can
then be shown to the author, for there is no record that it could quote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import duckdb

from saferoom_enclaves.engine import connect, lock
from saferoom_enclaves.features.expressions import PARAMETER, Walk
from saferoom_enclaves.features.tree import ColumnPlace, Node
from saferoom_enclaves.rows import is_text
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.feature import Table
from saferoom_proto.statements.source import Source

MAX_CHARACTERS: Final = 8000
"""Longest SQL of a feature, as its statement has it too."""
MAX_TABLES: Final = 8
"""Most tables joined: each join on a key can multiply a subject's rows."""

_GATE_BYTES: Final = 64 << 20
_SOME_DATE: Final = date(2000, 1, 1)
_NO_SELECT: Final = "Only SELECT statements can be serialized to json!"
_SERIALISE: Final = (
    "SELECT json_serialize_sql($1, skip_null := true, skip_empty := true, skip_default := true)"
)
_SELECT_KEYS: Final = {
    *("type", "cte_map", "select_list", "from_table", "aggregate_handling"),
    *("where_clause", "group_expressions", "group_sets"),
}
_UNWANTED: Final = {
    "modifiers": "DISTINCT, ORDER BY and LIMIT are not allowed",
    "having": "HAVING is not allowed: a feature has a value for every subject",
    "qualify": "QUALIFY is not allowed",
    "sample": "samples are not allowed",
}


@dataclass(frozen=True, slots=True)
class CheckedSql:
    """A feature's SQL that passed the gate. Only `Gate.check` makes it.

    Attributes:
        text: the SQL.
        uses_as_of: it has the parameter `$as_of`.
        value_type: DuckDB's type of its value.
        level: the highest level of a column that it reads, but for the subject's key, which every
            feature reads; 1 if it reads no other.
        secret: a column of that level, `table.column`.
    """

    text: str
    uses_as_of: bool
    value_type: str
    level: int
    secret: str
    sources: tuple[Source | None, ...] = ()
    """For each table that it reads, where that is asked for; none of the store's."""

    def parameters(self, as_of: date) -> dict[str, object]:
        """Gives the parameters to run it with: DuckDB refuses one that is not used."""
        return {PARAMETER: as_of} if self.uses_as_of else {}


def check_feature_sql(sql: str, tables: Mapping[str, Table]) -> None:
    """Refuses SQL that a feature may not have.

    Args:
        sql: the statement.
        tables: the owner's tables by name.

    Raises:
        SafeRoomError: MALFORMED_SQL, with the place and the construct.
    """
    gate = Gate(tables)
    try:
        gate.check(sql)
    finally:
        gate.close()


class Gate:
    """A locked-down database in memory with an owner's tables, all empty: checks run here."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = dict(tables)
        self.connection: Final = connect(_GATE_BYTES)
        for name, table in self._tables.items():
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            self.connection.execute(f'CREATE TABLE "{name}" ({columns})')
        lock(self.connection)

    def close(self) -> None:
        """Closes the database."""
        self.connection.close()

    def check(self, sql: str) -> CheckedSql:
        """Checks a statement; see `check_feature_sql`."""
        _require_readable(sql)
        walk = Walk(sql)
        with walk.known_forms():
            statement = self._parse(sql, walk)
            _Select(walk, self._tables).check(statement.node("node"))
            parameters = [one.parts for one in statement.nodes("named_param_map")]
            if parameters not in ([], [{"key": PARAMETER, "value": 1}]):
                raise walk.refusal(f"the only parameter is ${PARAMETER}")
        uses_as_of = bool(parameters)
        read = [place for place in walk.read if not walk.scope.is_key(place)]
        secret = max(read, key=walk.scope.level_of, default=None)
        level, name = (
            (1, "") if secret is None else (walk.scope.level_of(secret), walk.scope.named(secret))
        )
        sources = tuple(table.source for table in walk.scope.tables.values())
        checked = CheckedSql(sql, uses_as_of, "", level, name, sources)
        return replace(checked, value_type=self._bind(checked, walk))

    def _parse(self, sql: str, walk: Walk) -> Node:
        try:
            row = self.connection.execute(_SERIALISE, [sql]).fetchone()
        except duckdb.Error as error:
            raise walk.refusal("the statement cannot be read") from error
        tree = Node.parse(str(row[0]) if row else "")
        if tree.parts.get("error") is not False:
            place = tree.parts.get("position")
            # DuckDB speaks of what the gate asked of it, and not of what the author wrote.
            told = tree.text("error_message")[:200]
            rule = "one plain SELECT is expected" if told == _NO_SELECT else told
            raise walk.refusal(rule, int(place) if isinstance(place, str) else 0)
        statements = tree.nodes("statements")
        if len(statements) != 1:
            raise walk.refusal("exactly one statement is expected")
        walk.enter(statements[0], {"node"}, frozenset({"named_param_map"}))
        return statements[0]

    def _bind(self, checked: CheckedSql, walk: Walk) -> str:
        """Runs the statement on the empty tables, and returns the type of its value."""
        # In parentheses, as it will be run: so that it cannot end before its text does.
        try:
            self.connection.execute(wrapped(checked), checked.parameters(_SOME_DATE))
        except duckdb.ParserException as error:
            raise walk.refusal("write it without a closing semicolon") from error
        except duckdb.Error as error:
            raise walk.refusal(str(error).partition("\n")[0][:300]) from error
        columns = self.connection.description or []
        if [str(column[0]).lower() for column in columns] != ["subject", "value"]:
            raise walk.refusal("the result has the columns subject and value")
        return str(columns[1][1])


def wrapped(checked: CheckedSql) -> str:
    """Gives the query that selects a checked feature's subject and value."""
    return f"SELECT subject, value FROM (\n{checked.text}\n) AS feature"  # noqa: S608 - checked


class _Select:
    """Checks the clauses of the one SELECT."""

    def __init__(self, walk: Walk, tables: Mapping[str, Table]) -> None:
        self._walk = walk
        self._scope = walk.scope
        self._tables = tables

    def check(self, node: Node) -> None:
        if node.kind[1] != "SELECT_NODE":
            raise self._walk.refusal("only a plain SELECT is allowed: no UNION, no VALUES")
        for key in sorted(node.keys(*_SELECT_KEYS)):
            raise self._walk.refusal(_UNWANTED.get(key, f"{key} is not allowed"))
        if node.parts.get("cte_map") != {}:
            raise self._walk.refusal("WITH is not allowed")
        if node.text("aggregate_handling") != "STANDARD_HANDLING":
            raise self._walk.refusal("GROUP BY ALL is not allowed")
        self._from(node.node("from_table"))
        if node.has("where_clause"):
            self._walk.condition(node.node("where_clause"), of_rows=True)
        subject, value = self._columns(node.nodes("select_list"))
        of_groups = self._group(node, subject)
        self._walk.expression(value, of_rows=not of_groups)

    def _columns(self, columns: list[Node]) -> tuple[ColumnPlace, Node]:
        """Takes the two result columns: the resolved subject, and the value without its alias."""
        if [_result_name(column) for column in columns] != ["subject", "value"]:
            raise self._walk.refusal("the result is two columns: ... AS subject, ... AS value")
        subject = self._walk.column(columns[0].without("alias"))
        if not self._scope.is_key(subject) or subject.table in self._scope.nullable:
            raise self._walk.refusal("the subject is the key of a table that no LEFT JOIN adds")
        return subject, columns[1].without("alias")

    def _group(self, node: Node, subject: ColumnPlace) -> bool:
        """Takes GROUP BY key; tells whether there is one."""
        groups = node.nodes("group_expressions")
        if not groups and not node.has("group_sets"):
            return False
        if len(groups) != 1 or node.parts.get("group_sets") != [[0]]:
            raise self._walk.refusal("GROUP BY takes the subject's key, and nothing else")
        if self._walk.column(groups[0]) != subject:
            raise self._walk.refusal("GROUP BY takes the same column that is the subject")
        return True

    def _from(self, node: Node) -> None:
        """Takes a table, or a join whose right side is a table."""
        match node.kind[1]:
            case "BASE_TABLE":
                self._table(node)
            case "JOIN":
                optional = frozenset({"condition", "using_columns", "is_implicit"})
                self._walk.enter(node, {"left", "right", "join_type", "ref_type"}, optional)
                kind = node.text("join_type")
                if kind not in {"INNER", "LEFT"} or node.text("ref_type") != "REGULAR":
                    raise self._walk.refusal("only JOIN and LEFT JOIN on the keys are allowed")
                self._from(node.node("left"))
                added = self._table(node.node("right"))
                if kind == "LEFT":
                    self._scope.nullable.add(added)
                self._join(node, added)
            case _:
                raise self._walk.refusal("FROM takes tables of the owner's own, and joins of them")

    def _table(self, node: Node) -> str:
        if node.kind[1] != "BASE_TABLE":
            raise self._walk.refusal("a join adds one table at a time")
        self._walk.enter(node, {"table_name", "qualified_name"}, frozenset({"alias"}))
        name = node.text("table_name").lower()
        if name not in self._tables or not node.is_plainly_named("table_name"):
            raise self._walk.refusal("only the owner's own tables, by their plain names")
        alias = node.text("alias").lower() if node.has("alias") else name
        if alias in self._scope.tables:
            raise self._walk.refusal(f"two tables here are named {alias}")
        if len(self._scope.tables) >= MAX_TABLES:
            raise self._walk.refusal(f"at most {MAX_TABLES} tables are joined")
        self._scope.tables[alias] = self._tables[name]
        return alias

    def _join(self, node: Node, added: str) -> None:
        """Takes USING (key), or ON a.key = b.key of the table just added and one before it."""
        if node.has("using_columns") and not node.has("condition"):
            self._scope.merge(added, [name.lower() for name in node.texts("using_columns")])
            return
        rule = "tables are joined on the equality of their subject keys"
        condition = node.node("condition")
        if condition.kind != ("COMPARISON", "COMPARE_EQUAL") or node.has("using_columns"):
            raise self._walk.refusal(rule)
        self._walk.enter(condition, {"left", "right"})
        left, right = (self._walk.column(condition.node(side)) for side in ("left", "right"))
        if not (self._scope.is_key(left) and self._scope.is_key(right)):
            raise self._walk.refusal(rule)
        if left.table == right.table or added not in {left.table, right.table}:
            raise self._walk.refusal(rule)


def _require_readable(sql: str) -> None:
    rule = ""
    if len(sql) > MAX_CHARACTERS:
        rule = f"a feature's SQL has at most {MAX_CHARACTERS} characters"
    elif not is_text(sql):
        rule = "a feature's SQL is UTF-8 without NUL characters"
    if rule:
        raise SafeRoomError(Reason.MALFORMED_SQL, rule, [FieldFault("sql", rule)])


def _result_name(column: Node) -> str:
    if column.has("alias"):
        return column.text("alias").lower()
    return column.texts("column_names")[-1].lower() if column.has("column_names") else ""
