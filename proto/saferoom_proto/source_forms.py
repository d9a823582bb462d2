"""What a source answers with, and for how many days: by its name, for good.

What was fetched stays for its period, and is read again whenever features change. Under other
tables nobody could read it; under other days it would be fetched anew, or refused, by whether it
had been asked for before. So a source that changes takes another name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.feature import Schema, Table

_Column = tuple[str, str]
_Form = tuple[int, tuple[tuple[str, str, tuple[_Column, ...]], ...]]


class SourceForms:
    """The forms of an owner's sources, as its schemas first named them.

    Args:
        schemas: in their order.
    """

    def __init__(self, schemas: Iterable[Schema] = ()) -> None:
        self._known: Final[dict[str, _Form]] = {}
        for schema in schemas:
            self.take(schema)

    def require(self, schema: Schema) -> None:
        """Refuse a schema that gives a source other tables, or other days.

        Titles and levels of columns may change: they are nothing that an answer is held to.

        Raises:
            SafeRoomError: `CONFLICT` naming the source.
        """
        for name, form in _forms(schema).items():
            if self._known.get(name, form) != form:
                rule = f"source {name}: other tables or days take another name"
                raise SafeRoomError(Reason.CONFLICT, rule, [FieldFault("tables", rule)])

    def take(self, schema: Schema) -> None:
        """Hold later schemas to this one's sources."""
        for name, form in _forms(schema).items():
            self._known.setdefault(name, form)


def _forms(schema: Schema) -> dict[str, _Form]:
    sources = {each.source.name: each.source for each in schema.tables if each.source}
    return {
        name: (source.days, tuple(sorted(map(_form, schema.fetched(source)))))
        for name, source in sources.items()
    }


def _form(table: Table) -> tuple[str, str, tuple[_Column, ...]]:
    columns = tuple(sorted((each.name, str(each.type)) for each in table.columns))
    return table.name, table.key, columns
