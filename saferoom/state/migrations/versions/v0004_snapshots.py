"""Snapshots are found by their owner, those too that were recorded before."""

from __future__ import annotations

from typing import Final

from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"


def upgrade() -> None:
    """Mention the owner of every snapshot."""
    op.execute(
        "INSERT INTO mention (what, value, statement_digest)"
        " SELECT 'snapshot.owner', json_extract(CAST(payload AS TEXT), '$.owner'), digest"
        " FROM statement WHERE kind = 'snapshot'"
    )
