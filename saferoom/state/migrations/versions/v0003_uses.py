"""Uses are found by those they concern: the subject asked about, the owner asked."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"

_OWNERS: Final = """
INSERT INTO use (whom, entry_idx, request_id)
SELECT json_extract(CAST(payload AS TEXT), '$.owner') AS owner, entry_idx,
       json_extract(CAST(payload AS TEXT), '$.request')
FROM statement
WHERE kind IN ('release', 'refusal') AND entry_idx IS NOT NULL AND owner IS NOT NULL
"""
_SUBJECTS: Final = """
INSERT INTO use (whom, entry_idx, request_id)
SELECT json_extract(CAST(request.payload AS TEXT), '$.subject'), answer.entry_idx, request_id
FROM answer JOIN request USING (request_id)
"""
"""Of refusals before this table, questions were not kept: no subject finds them."""


def upgrade() -> None:
    """Make the table, append-only as the statements are, and enter the uses that there were."""
    op.create_table(
        "use",
        sa.Column("whom", sa.Text, nullable=False),
        sa.Column("entry_idx", sa.Integer, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("whom", "entry_idx", name=op.f("pk_use")),
        sa.ForeignKeyConstraint(["entry_idx"], ["entry.idx"], name=op.f("fk_use_entry_idx")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.execute(_OWNERS)
    op.execute(_SUBJECTS)
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER use_no_{change.lower()} BEFORE {change} ON use "
            "BEGIN SELECT RAISE(ABORT, 'use is append-only'); END"
        )
