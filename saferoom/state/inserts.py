"""Statements of SQL made ready once: what SQLAlchemy would work out again for every commit.

The text, the order of the columns and the form of each value on disk come from SQLAlchemy's own
compiler; only its bookkeeping around each execution is left out. That bookkeeping took twice as
long as SQLite itself (`benchmarks/ledger.py`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, cast

from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import Insert, UpdateBase

_DIALECT: Final = sqlite.dialect(paramstyle="qmark")

Values = Mapping[str, object]
_Writer = Callable[[object], object]


class Ready:
    """One statement of SQL, ready to be executed for many rows."""

    def __init__(self, sql: UpdateBase) -> None:
        # Nobody reads what rows got: a key that is looked up would be given back by RETURNING,
        # and executemany of Python 3.13 does not step over such rows.
        compiled = (sql.inline() if isinstance(sql, Insert) else sql).compile(dialect=_DIALECT)
        names = cast("Sequence[str] | None", compiled.positiontup)
        self._text: Final = str(compiled)
        processors = [
            cast("_Writer | None", compiled.binds[name].type.bind_processor(_DIALECT))
            for name in names or ()
        ]
        self._columns: Final = tuple(names or ())
        self._written: Final = [
            (place, write) for place, write in enumerate(processors) if write is not None
        ]
        """The columns whose values have another form on disk, by their place."""

    def execute(self, connection: sqlite3.Connection, rows: Sequence[Values]) -> None:
        """Execute it for each row, in the connection's transaction."""
        written = [[row[name] for name in self._columns] for row in rows]
        for place, write in self._written:
            for row in written:
                row[place] = write(row[place])
        connection.executemany(self._text, written)


@lru_cache(maxsize=64)
def ready(sql: UpdateBase) -> Ready:
    """Make a statement ready, once."""
    return Ready(sql)
