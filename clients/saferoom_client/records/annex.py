"""The catalogue of the records that the plan asks for: 15 categories, 48 types, 399 columns.

A type's fields stand as in the annex. What an owner fills in are its tables: one of its plain
fields, and one for each field that names a group of data; each has a column for the subject's code,
also where the annex forgets it. `catalogue.yaml` says where every part comes from.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field as Limits

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.feature import ColumnType

PACKED: Final = Path(__file__).with_name("catalogue.json.bz2")
CODE: Final = "uscc"
"""The column for the subject's code, where a type names none that could be its key."""

_PARTIES: Final = {"winner_uscc", "supplier_uscc", "tenderer_uscc"}
"""In a public tender the subject is the party that the record is about."""
_INLINE: Final = re.compile(r"enum\[(.*)\]")


class Mode(StrEnum):
    """How a type reaches the room."""

    PHYSICAL = "physical_collection"
    INTERFACE = "interface_call"
    BOTH = "both"


class FieldType(StrEnum):
    """What a field's values are."""

    STRING = "string"
    TEXT = "text"
    DATE = "date"
    MONTH = "month"
    YEAR = "year"
    INT = "int"
    DECIMAL = "decimal"
    MONEY = "money"
    RATIO = "ratio"
    BOOL = "bool"
    ENUM = "enum"
    TAX_GRADE = "enum_tax_grade"
    CUSTOMS_GRADE = "enum_customs_grade"
    USCC = "uscc"
    ID_NO = "id_no"
    INDUSTRY = "code_gbt4754"
    GROUP = "group"


STORED: Final[Mapping[FieldType, ColumnType]] = {
    FieldType.DATE: ColumnType.DATE,
    FieldType.YEAR: ColumnType.BIGINT,
    FieldType.INT: ColumnType.BIGINT,
    FieldType.DECIMAL: ColumnType.DECIMAL,
    FieldType.MONEY: ColumnType.DECIMAL,
    FieldType.RATIO: ColumnType.DOUBLE,
    FieldType.BOOL: ColumnType.BOOLEAN,
}
"""As what a column is stored; the others are text."""
_LISTS: Final = {FieldType.TAX_GRADE: "tax_grade", FieldType.CUSTOMS_GRADE: "customs_grade"}


@dataclass(frozen=True, slots=True)
class Codes:
    """What a coded value may be, from one day to another; without a day, for ever."""

    since: date | None
    until: date | None
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table that an owner fills in.

    Attributes:
        zh: its heading.
        flags: `k` a join key, `p` personal information, `s` an identifier, `n` may be left empty.
        codes: what its values may be; none where the annex gives no list.
        dated: the column that tells the day a value is of.
    """

    name: str
    zh: str
    type: FieldType
    level: int
    flags: frozenset[str] = frozenset()
    codes: tuple[Codes, ...] = ()
    dated: str | None = None

    @property
    def en(self) -> str:
        """Its heading in English, from its name."""
        if self.name == CODE:
            return "Unified social credit code"
        words = self.name.replace("_uscc", "_USCC").replace("_", " ")
        return words[0].upper() + words[1:]

    @property
    def stored(self) -> ColumnType:
        """As what it is stored."""
        return STORED.get(self.type, ColumnType.TEXT)


@dataclass(frozen=True, slots=True)
class TableForm:
    """A table that an owner fills in.

    Attributes:
        type_id: of the information type.
        key: its column with the subject's code.
        order: pairs of columns; the first is not after the second.
        sums: the first column is the sum of the others.
        unique: no two rows share these columns.
    """

    name: str
    zh: str
    en: str
    type_id: str
    key: str
    columns: tuple[Column, ...]
    order: tuple[tuple[str, str], ...] = ()
    sums: tuple[tuple[str, ...], ...] = ()
    unique: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that is responsible for types."""

    key: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Category:
    """One of the plan's categories."""

    number: int
    key: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class InformationType:
    """One row of the catalogue.

    Attributes:
        due: year and month, or `ongoing`.
        fields: its columns as the annex lists them; a group of data is one of them.
        tables: what an owner fills in.
    """

    id: str
    category: Category
    zh: str
    en: str
    mode: Mode
    unit: Unit
    due: str
    level: int
    fields: tuple[Column, ...]
    tables: tuple[TableForm, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the plan asks for, in one version."""

    version: int
    document: str
    categories: tuple[Category, ...]
    types: tuple[InformationType, ...]

    def type(self, number: str) -> InformationType:
        """Give one type by its number, as 3.4.

        Raises:
            SafeRoomError: `MALFORMED` if there is none.
        """
        for each in self.types:
            if each.id == number:
                return each
        rule = f"{number}: no information type of the catalogue"
        refusal = SafeRoomError(Reason.MALFORMED, rule, [FieldFault("TYPE", rule)])
        refusal.add_note("saferoom catalogue list")
        raise refusal

    @property
    def tables(self) -> dict[str, TableForm]:
        """Every table, by its name."""
        return {table.name: table for each in self.types for table in each.tables}


class _Codes(Part):
    since: Annotated[date | None, Limits(alias="from")] = None
    until: Annotated[date | None, Limits(alias="to")] = None
    codes: tuple[str, ...]


class _Field(Part):
    zh: str
    name: str
    type: FieldType
    level: Annotated[int, Limits(ge=1, le=4)]
    flags: tuple[str, ...] = ()
    part: int = 0
    proposed_columns: Annotated[dict[str, str], Limits(default_factory=dict)]


class _Type(Part):
    id: str
    zh: str
    en: str
    table: str
    mode: Mode
    unit: str
    due: str
    level: int
    scope_zh: str = ""
    fields: tuple[_Field, ...]


class _Category(Part):
    number: int
    key: str
    zh: str
    en: str
    sub_types: tuple[_Type, ...]


class _Unit(Part):
    zh: str
    en: str


class _File(Part):
    version: int
    source: dict[str, str]
    code_lists: dict[str, tuple[_Codes, ...]]
    units: dict[str, _Unit]
    headings: dict[str, str]
    order: dict[str, tuple[tuple[str, str], ...]]
    sums: dict[str, tuple[tuple[str, ...], ...]]
    unique: dict[str, tuple[str, ...]]
    dated: dict[str, dict[str, str]]
    categories: tuple[_Category, ...]


@cache
def catalogue() -> Catalogue:
    """Read the catalogue that this version of the client holds."""
    return read_catalogue(bz2.decompress(PACKED.read_bytes()))


def read_catalogue(document: bytes) -> Catalogue:
    """Read a catalogue from JSON.

    Raises:
        ValidationError: it is not of the form of `catalogue.yaml`.
    """
    file = _File.model_validate_json(document)
    units = {key: Unit(key, unit.zh, unit.en) for key, unit in file.units.items()}
    categories = {
        each.number: Category(each.number, each.key, each.zh, each.en) for each in file.categories
    }
    types = tuple(
        InformationType(
            one.id,
            categories[each.number],
            one.zh,
            one.en,
            one.mode,
            units[one.unit],
            one.due,
            one.level,
            tuple(_column(file, one.table, field) for field in one.fields),
            tuple(_tables(file, one)),
        )
        for each in file.categories
        for one in each.sub_types
    )
    title = f"{file.source['title']} {file.source['annex']} ({file.source['document_no']})"
    return Catalogue(file.version, title, tuple(categories.values()), types)


def _column(file: _File, table: str, field: _Field) -> Column:
    lists = file.code_lists.get(_LISTS.get(field.type, ""), ())
    codes = tuple(Codes(one.since, one.until, one.codes) for one in lists)
    zh = file.headings[field.name] if field.part else field.zh
    dated = file.dated.get(table, {}).get(field.name)
    return Column(field.name, zh, field.type, field.level, frozenset(field.flags), codes, dated)


def _tables(file: _File, one: _Type) -> Iterator[TableForm]:
    plain = [field for field in one.fields if field.type is not FieldType.GROUP]
    if plain:
        columns = [_column(file, one.table, field) for field in plain]
        yield _form(file, one, one.table, (one.zh, one.en), columns)
    for group in one.fields:
        if group.type is FieldType.GROUP:
            columns = [_proposed(file, group, *each) for each in group.proposed_columns.items()]
            en = f"{one.en}: {group.name.replace('_', ' ')}"
            name, titles = f"{one.table}_{group.name}", (f"{one.zh}: {group.zh}", en)
            yield _form(file, one, name, titles, columns)


def _proposed(file: _File, group: _Field, name: str, kind: str) -> Column:
    """Give a column of a group: of the group's level, but for the code that anybody may know."""
    inline = _INLINE.fullmatch(kind)
    type_ = FieldType.ENUM if inline else FieldType(kind)
    codes = (Codes(None, None, tuple(inline[1].split(","))),) if inline else ()
    level = 1 if type_ is FieldType.USCC else group.level
    flags = frozenset(group.flags) & {"p", "s"} if type_ is not FieldType.USCC else frozenset[str]()
    return Column(name, file.headings[name], type_, level, flags, codes)


def _form(
    file: _File, one: _Type, name: str, titles: tuple[str, str], columns: list[Column]
) -> TableForm:
    codes = [each for each in columns if each.type is FieldType.USCC]
    named = [each.name for each in codes if each.name == CODE or "k" in each.flags] or [
        each.name
        for each in codes
        if each.name in {"winner_uscc", "supplier_uscc", "tenderer_uscc"}
    ]
    key = named[0] if named else CODE
    if not named:
        columns = [Column(CODE, file.headings[CODE], FieldType.USCC, 1), *columns]
    return TableForm(
        name,
        *titles,
        one.id,
        key,
        tuple(columns),
        file.order.get(name, ()),
        file.sums.get(name, ()),
        file.unique.get(name, tuple(each.name for each in columns)),
    )
