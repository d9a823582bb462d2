"""Features and table schemas: what an owner offers to ask about, defined over its own store."""

from __future__ import annotations

import operator
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from saferoom_proto.encoding import sha256_digest
from saferoom_proto.statements.base import (
    Owner,
    Part,
    Payload,
    ShortText,
    Title,
    Usage,
    Version,
    shown_as_written,
)
from saferoom_proto.statements.link import Link
from saferoom_proto.statements.source import Source

Number = Annotated[Decimal, Field(max_digits=18, decimal_places=6)]
Label = Annotated[
    str,
    StringConstraints(pattern=r"^[^\s'\x00-\x1f][^'\x00-\x1f]{0,62}$"),
    AfterValidator(shown_as_written),
]


class FeatureKind(StrEnum):
    """How a feature may be compared."""

    ORDERED = "ordered"
    FLAG = "flag"
    CLASSES = "classes"
    STATED = "stated"
    """Not at all: who was given the value states it, and is told whether it is the one held."""


class StatedForm(StrEnum):
    """Into what form a stated value and the one held are brought before they are compared."""

    TEXT = "text"
    """Letters and digits of any script; no case, width, spaces or punctuation."""
    CODE = "code"
    """ASCII letters, without case, and digits: numbers of identity cards and accounts."""
    DIGITS = "digits"
    """ASCII digits alone: telephone numbers."""


class StatedRule(Part):
    """How stated values are compared with one that is held, and how often."""

    form: StatedForm
    per_day: Annotated[int, Field(ge=1, le=100)]
    """Different values that one institution group may state of one subject in a day (UTC)."""
    for_life: Annotated[int, Field(ge=1, le=1000)]
    """And ever, whatever is loaded meanwhile."""


class Absent(StrEnum):
    """What it means that the store holds nothing about a subject."""

    FALSE = "false"
    """Silence means no: the lowest cell (a court's list)."""
    UNKNOWN = "unknown"


class ClassCell(Part):
    """One class of an unordered feature and the values that fall into it."""

    name: Label
    values: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=200)], ...], Field(min_length=1)
    ]


class Feature(Payload):
    """One value per subject, defined by its owner; pinned by its digest. Signed by an approver.

    An ordered feature has one grid of 1 to 7 thresholds, the same for everyone; an unordered one a
    partition into 2 to 8 classes; a flag is a grid of one (DESIGN section 8).
    """

    KIND: ClassVar[str] = "feature"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    name: Owner
    version: Version
    title: Title
    unit: Annotated[str, StringConstraints(max_length=40), AfterValidator(shown_as_written)]
    level: Annotated[int, Field(ge=1, le=4)]
    family: Owner
    information_types: tuple[
        Annotated[str, StringConstraints(pattern=r"^[0-9]{1,2}\.[0-9]{1,2}$")], ...
    ]
    as_of: date
    sql: Annotated[str, StringConstraints(min_length=1, max_length=8000)]
    kind: FeatureKind
    grid: tuple[Number, ...] = ()
    classes: tuple[ClassCell, ...] = ()
    absent: Absent
    budget_bits: Annotated[Decimal, Field(ge=0, le=64, decimal_places=3)]
    stated: Annotated[StatedRule | None, Field(exclude_if=operator.not_)] = None
    """Features had no such field at first: one that is not of stated values is written without."""
    source: Annotated[Source | None, Field(exclude_if=operator.not_)] = None
    """Where its tables are asked for, one subject at a time; none where they are loaded."""
    prior: Annotated[ShortText | None, Field(exclude_if=operator.not_)] = None
    """The published figures that its grid rests on: a source has no population to take it from."""

    @model_validator(mode="after")
    def _shaped(self) -> Feature:
        if (self.kind is FeatureKind.ORDERED) != bool(self.grid):
            raise ValueError("an ordered feature, and no other, has a grid")
        if (self.kind is FeatureKind.CLASSES) != bool(self.classes):
            raise ValueError("an unordered feature, and no other, has classes")
        if (self.kind is FeatureKind.STATED) != (self.stated is not None):
            raise ValueError("a feature of stated values, and no other, has a rule for them")
        if self.stated is not None and self.level < CONSENT_FROM_LEVEL:
            raise ValueError(f"a stated value needs consent: level {CONSENT_FROM_LEVEL} or above")
        self._of_source()
        if len(self.grid) > MAX_GRID or any(low >= high for low, high in pairwise(self.grid)):
            raise ValueError(f"a grid has at most {MAX_GRID} thresholds, each above the one before")
        if self.classes:
            self._partition()
        return self

    def _of_source(self) -> None:
        if self.source is not None and self.level < CONSENT_FROM_LEVEL:
            rule = f"a source is asked under consent: level {CONSENT_FROM_LEVEL} or above"
            raise ValueError(rule)
        if (self.prior is not None) != (self.source is not None and bool(self.grid)):
            raise ValueError("an ordered feature of a source, and no other, names its grid's prior")

    def _partition(self) -> None:
        names = [cell.name for cell in self.classes]
        values = [value for cell in self.classes for value in cell.values]
        if not MIN_CLASSES <= len(names) <= MAX_CLASSES:
            raise ValueError(f"a partition has {MIN_CLASSES} to {MAX_CLASSES} classes")
        if len(set(names)) != len(names) or len(set(values)) != len(values):
            raise ValueError("classes must not share a name or a value")

    @property
    def full_name(self) -> str:
        """The name everybody uses: `owner.name`."""
        return f"{self.owner}.{self.name}"

    @cached_property
    def value_digest(self) -> str:
        """The digest of what computes its value: two versions that share it tell the same.

        The grid is not in it: it says where the value may be compared, not what it is.
        """
        return self._digest_of("sql", "as_of", "kind", "classes", "absent", "source")

    @cached_property
    def recipe_digest(self) -> str:
        """The digest of what computes its value at any date: a model reads what it was trained on.

        Next month's value of the same figure is another value by the same recipe.
        """
        return self._digest_of("sql", "kind", "classes", "absent")

    def _digest_of(self, *fields: str) -> str:
        whole = {**dict.fromkeys(fields, True), "stated": {"form": True}}
        return sha256_digest(self.model_dump_json(include=whole).encode())


CONSENT_FROM_LEVEL = 2
"""Level 1 is public by law; from level 2 on, a check needs consent and is charged (section 7)."""
NAMES_SOMEBODY = 4
"""The level of identifiers: no thresholds are asked of them (section 7)."""
MAX_GRID = 7
MIN_CLASSES = 2
MAX_CLASSES = 8


class ColumnType(StrEnum):
    """The types a loaded column can have."""

    TEXT = "TEXT"
    BIGINT = "BIGINT"
    DOUBLE = "DOUBLE"
    DECIMAL = "DECIMAL(18,4)"
    DATE = "DATE"
    BOOLEAN = "BOOLEAN"


class Column(Part):
    """One column of a table, with its sensitivity level (JR/T 0197)."""

    name: Owner
    type: ColumnType
    level: Annotated[int, Field(ge=1, le=4)]
    title: Title


class Table(Part):
    """One table of an owner's store. Its key column holds the subject's code."""

    name: Owner
    title: Title
    key: Owner
    columns: Annotated[tuple[Column, ...], Field(min_length=2, max_length=400)]
    source: Annotated[Source | None, Field(exclude_if=operator.not_)] = None
    """Whose rows are asked for, one subject at a time; none where they are loaded."""
    link: Annotated[Link | None, Field(exclude_if=operator.not_)] = None
    """How its rows find their subject; none where they name it."""

    @model_validator(mode="after")
    def _keyed(self) -> Table:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("a column's name stands twice")
        if self.key not in names:
            raise ValueError("the key column is not among the columns")
        if self.link is not None:
            self._linked(self.link)
        return self

    def _linked(self, link: Link) -> None:
        if self.source is not None:
            raise ValueError("rows that a source answers with name their subject: no link")
        self.require_number(link, link.column)
        if link.at is not None and self.type_of(link.at) not in {ColumnType.DATE, ColumnType.TEXT}:
            raise ValueError(f"{self.name} has no {link.at} of DATE, nor of TEXT for months")

    def require_number(self, link: Link, column: str) -> None:
        """Refuse with `ValueError` a linking column that is not one of level 4."""
        found = next((each for each in self.columns if each.name == column), None)
        if found is None or found.type is not ColumnType.TEXT or found.name == self.key:
            raise ValueError(f"{self.name} has no {column} of TEXT beside its key")
        if found.level < NAMES_SOMEBODY:
            raise ValueError(f"{column} links to {link.map}: its level is 4")

    def type_of(self, column: str) -> ColumnType | None:
        """Give a column's type; none of one that is not there."""
        return next((each.type for each in self.columns if each.name == column), None)

    @property
    def brought(self) -> tuple[Column, ...]:
        """The columns that a file brings: the key of linked rows is filled in."""
        if self.link is None:
            return self.columns
        return tuple(column for column in self.columns if column.name != self.key)


class Schema(Payload):
    """The tables of an owner's store. Signed by an approver; a load is checked against it."""

    KIND: ClassVar[str] = "schema"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    version: Version
    tables: Annotated[tuple[Table, ...], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _one_life(self) -> Schema:
        days = {(each.source.name, each.source.days) for each in self.tables if each.source}
        if len({name for name, _ in days}) != len(days):
            raise ValueError("a source's tables are held for the same number of days")
        return self

    @model_validator(mode="after")
    def _mapped(self) -> Schema:
        tables = {table.name: table for table in self.tables}
        for table in self.tables:
            if (link := table.link) is None:
                continue
            found = tables.get(link.map)
            if found is None or found.source is not None or found.link is not None:
                raise ValueError(
                    f"{link.map}, the map of {table.name}, is no table that names whose"
                )
            found.require_number(link, link.column)
            days = [each for each in (link.since, link.until) if each is not None]
            if strange := [each for each in days if found.type_of(each) is not ColumnType.DATE]:
                raise ValueError(f"{link.map}, the map of {table.name}, has no DATE {strange[0]}")
        return self

    @property
    def loaded(self) -> tuple[Table, ...]:
        """The tables that a load brings."""
        return tuple(table for table in self.tables if table.source is None)

    def fetched(self, source: Source) -> tuple[Table, ...]:
        """Give the tables that a source answers with."""
        return tuple(table for table in self.tables if table.source == source)
