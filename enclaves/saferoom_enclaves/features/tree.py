"""DuckDB's syntax tree as values that refuse what they do not know, and the tables it speaks of.

`json_serialize_sql` gives a tree of JSON objects. Its shape changes between releases of DuckDB, so
nothing here is assumed: a part that is missing, or of another type, is a refusal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from saferoom_proto.statements.feature import ColumnType, Table

PLACES: Final = frozenset({"query_location", "query_location_length"})
"""Where a node stands in the text; every node may tell."""


class UnknownForm(LookupError):  # noqa: N818 - it is about the tree, and becomes a refusal
    """A part of the tree is not of a known form, or names nothing that is there."""


@dataclass(frozen=True, slots=True)
class Node:
    """One object of the tree."""

    parts: Mapping[str, object]

    @classmethod
    def parse(cls, text: str) -> Node:
        """Reads the tree from JSON.

        Raises:
            UnknownForm: it is not an object, or nested too deep to read.
        """
        try:
            return cls._of(json.loads(text), "the tree")
        except (ValueError, RecursionError) as error:
            raise UnknownForm("the tree cannot be read") from error

    @classmethod
    def _of(cls, part: object, name: str) -> Node:
        if not isinstance(part, dict):
            raise UnknownForm(f"{name} is not of a known form")
        return cls(cast("dict[str, object]", part))

    @property
    def kind(self) -> tuple[str, str]:
        """Its class and type; tables and statements have no class."""
        return str(self.parts.get("class", "")), str(self.parts.get("type", ""))

    @property
    def title(self) -> str:
        """Its kind in DuckDB's own words, for people."""
        kind = self.kind[1].removeprefix("OPERATOR_").removeprefix("VALUE_")
        return kind.replace("_", " ") or "this"

    @property
    def place(self) -> int | None:
        """The byte of the text at which it begins, where the tree tells."""
        place = self.parts.get("query_location")
        return place if isinstance(place, int) else None

    def keys(self, *besides: str) -> set[str]:
        """Gives the names of its parts, besides some."""
        return self.parts.keys() - besides

    def has(self, key: str) -> bool:
        """Tells whether it has a part."""
        return key in self.parts

    def text(self, key: str) -> str:
        """Gives a part that is a string."""
        part = self.parts.get(key)
        if not isinstance(part, str):
            raise UnknownForm(f"{self.title} is not of a known form ({key})")
        return part

    def node(self, key: str) -> Node:
        """Gives a part that is a node."""
        return self._of(self.parts.get(key), f"{self.title} ({key})")

    def nodes(self, key: str) -> list[Node]:
        """Gives a part that is a list of nodes; none if it is absent."""
        return [self._of(part, f"{self.title} ({key})") for part in self._list(key)]

    def texts(self, key: str) -> list[str]:
        """Gives a part that is a list of strings; none if it is absent."""
        return [str(part) for part in self._list(key)]

    def without(self, key: str) -> Node:
        """Gives the same node without one part."""
        return Node({name: part for name, part in self.parts.items() if name != key})

    def without_places(self) -> object:
        """Gives the same tree as plain values, without its places in the text."""
        return _without_places(self.parts)

    def literal(self) -> str | None:
        """Gives the text of a literal; None if it is anything else, or NULL."""
        if self.kind != ("CONSTANT", "VALUE_CONSTANT"):
            return None
        text = self.node("literal").parts.get("text")
        return text if isinstance(text, str) else None

    def is_plainly_named(self, key: str) -> bool:
        """Tells whether what `key` names is named without a catalogue or schema."""
        return self.parts.get("qualified_name") == {"path": [self.text(key)]}

    def _list(self, key: str) -> list[object]:
        part = self.parts.get(key, [])
        if not isinstance(part, list):
            raise UnknownForm(f"{self.title} is not of a known form ({key})")
        return cast("list[object]", part)


def _without_places(part: object) -> object:
    if isinstance(part, dict):
        parts = cast("dict[str, object]", part)
        kept = parts.keys() - PLACES
        return {key: _without_places(parts[key]) for key in kept}
    if isinstance(part, list):
        return [_without_places(one) for one in cast("list[object]", part)]
    return part


@dataclass(frozen=True, slots=True)
class ColumnPlace:
    """A column that a reference means: the table's name in this statement, and the column's."""

    table: str
    column: str


@dataclass(slots=True)
class Scope:
    """The tables of a FROM clause, by the names that columns may be qualified with."""

    tables: dict[str, Table] = field(default_factory=dict[str, Table])
    nullable: set[str] = field(default_factory=set[str])
    """Tables whose columns a LEFT JOIN can make NULL."""
    merged: set[str] = field(default_factory=set[str])
    """Key columns merged by USING: unqualified, they mean the first table's."""

    def resolve(self, path: list[str]) -> ColumnPlace:
        """Finds a column by its name, or by its table's and its own.

        Raises:
            UnknownForm: there is no such column, or more than one.
        """
        names = [part.lower() for part in path]
        if len(names) > 2:  # noqa: PLR2004 - table and column
            raise UnknownForm("a column is written column or table.column")
        column = names[-1] if names else ""
        found = [name for name in self.tables if names[:-1] in ([], [name])]
        found = [name for name in found if self._has(name, column)]
        if not found:
            raise UnknownForm(f"no table here has a column {column}")
        if len(found) > 1 and column not in self.merged:
            raise UnknownForm(f"more than one table here has a column {column}: name the table")
        return ColumnPlace(found[0], column)

    def is_key(self, place: ColumnPlace) -> bool:
        """Tells whether a resolved column is its table's subject key."""
        return self.tables[place.table].key == place.column

    def type_of(self, place: ColumnPlace) -> ColumnType:
        """Gives the type of a resolved column."""
        columns = self.tables[place.table].columns
        return next(column.type for column in columns if column.name == place.column)

    def level_of(self, place: ColumnPlace) -> int:
        """Gives the level of a resolved column."""
        columns = self.tables[place.table].columns
        return next(column.level for column in columns if column.name == place.column)

    def named(self, place: ColumnPlace) -> str:
        """Gives a resolved column's name as its schema has it, `table.column`."""
        return f"{self.tables[place.table].name}.{place.column}"

    def merge(self, added: str, using: list[str]) -> None:
        """Takes USING (key) of a table just added and those before it.

        Raises:
            UnknownForm: it names anything but the subject's key on both sides.
        """
        before = [name for name in self.tables if name != added]
        column = using[0] if using else ""
        keyed = {name for name in before if self.tables[name].key == column}
        named = {name for name in before if self._has(name, column)}
        if using != [self.tables[added].key] or not keyed or named != keyed:
            raise UnknownForm("USING takes the subject's key, and nothing else")
        self.merged.add(column)

    def _has(self, name: str, column: str) -> bool:
        return any(one.name == column for one in self.tables[name].columns)
