"""Statements are found by their subject, institution, request or consent."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"


def upgrade() -> None:
    """Make the table, append-only as the statements are."""
    op.create_table(
        "mention",
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("statement_digest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("what", "value", "statement_digest", name=op.f("pk_mention")),
        sa.ForeignKeyConstraint(
            ["statement_digest"], ["statement.digest"], name=op.f("fk_mention_statement_digest")
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER mention_no_{change.lower()} BEFORE {change} ON mention "
            "BEGIN SELECT RAISE(ABORT, 'mention is append-only'); END"
        )
