"""Drafts of an owner's tables, made from types of the catalogue and columns of the owner's own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from saferoom_client.records.annex import TableForm
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Title
from saferoom_proto.statements.feature import Column, ColumnType, Table

OWN_COLUMN = "TABLE.COLUMN:TYPE:LEVEL:NAME"
_OWN = re.compile(r"([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*):([A-Z]+):([1-4]):(.+)")
_TYPES = {each.value.partition("(")[0]: each for each in ColumnType}


def draft_tables(
    forms: Sequence[TableForm], added: Sequence[str], kept: Sequence[Table]
) -> tuple[Table, ...]:
    """Draft the tables of a store: each column with the level that the catalogue gives it.

    Args:
        forms: what the owner keeps.
        added: columns of its own, each written as `OWN_COLUMN`.
        kept: the tables that the store has by now; they stay as they are, but for what is added.

    Raises:
        SafeRoomError: `MALFORMED` for an added column that is not written so, or of no such table.
    """
    had = {table.name for table in kept}
    tables = {table.name: table for table in kept}
    tables |= {form.name: _table(form) for form in forms if form.name not in had}
    for text in added:
        name, column = _own(text)
        if name not in tables:
            rule = f"{name}: no table of the draft; it has {', '.join(tables)}"
            raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--add", rule)])
        old = tables[name]
        columns = (*old.columns, column)
        told = {"name": name, "title": old.title, "key": old.key, "source": old.source}
        tables[name] = Table.model_validate({**told, "columns": columns, "link": old.link})
    return tuple(tables.values())


def _table(form: TableForm) -> Table:
    columns = tuple(
        Column(
            name=each.name,
            type=each.stored,
            level=each.level,
            title=Title(en=each.en, zh=each.zh),
        )
        for each in form.columns
    )
    title = Title(en=form.en, zh=form.zh)
    return Table(name=form.name, title=title, key=form.key, columns=columns)


def _own(text: str) -> tuple[str, Column]:
    found = _OWN.fullmatch(text)
    type_ = _TYPES.get(found[3]) if found else None
    if found is None or type_ is None:
        rule = f"a column is added as {OWN_COLUMN}, of the types {', '.join(_TYPES)}"
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--add", rule)])
    title = Title(en=found[2].replace("_", " "), zh=found[5])
    return found[1], Column(name=found[2], type=type_, level=int(found[4]), title=title)
