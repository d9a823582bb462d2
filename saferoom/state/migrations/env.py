"""How Alembic runs the migrations: in the transaction of the connection it is given."""

from __future__ import annotations

from typing import cast

from alembic import context
from sqlalchemy import Connection

from saferoom.state.tables import METADATA

context.configure(
    connection=cast("Connection", context.config.attributes["connection"]),
    target_metadata=METADATA,
    # SQLite can undo what a half-done migration did to the tables.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
