"""Which columns a feature reads, from its SQL and the owner's schema.

The enclave runs no SQL in which a column stands without its name (`*` and the like are refused), so
a column that the text does not spell is not read. A word in a comment or a literal counts too: the
list may name a column too many, and none too few.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from saferoom_proto.statements import Column, Schema

_WORD: Final = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ColumnRead:
    """A column that a feature can read."""

    table: str
    column: Column


def columns_read(sql: str, schema: Schema) -> tuple[ColumnRead, ...]:
    """Give the columns of a feature's tables that its SQL names, without the subject's code."""
    words = {word.lower() for word in _WORD.findall(sql)}
    return tuple(
        ColumnRead(table.name, column)
        for table in schema.tables
        if table.name in words
        for column in table.columns
        if column.name in words and column.name != table.key
    )
