"""Batches and prices are uses: found by the owner asked, and a price by its subject, too."""

from __future__ import annotations

from typing import Final

from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"

_OWNERS: Final = """
INSERT OR IGNORE INTO use (whom, entry_idx, request_id)
SELECT json_extract(CAST(payload AS TEXT), '$.owner'), entry_idx,
       json_extract(CAST(payload AS TEXT), '$.request')
FROM statement
WHERE kind IN ('batch-release', 'cost-estimate') AND entry_idx IS NOT NULL
"""
_SUBJECTS: Final = """
INSERT OR IGNORE INTO use (whom, entry_idx, request_id)
SELECT json_extract(CAST(request.payload AS TEXT), '$.subject'), statement.entry_idx, request_id
FROM statement
JOIN request ON request_id = json_extract(CAST(statement.payload AS TEXT), '$.request')
WHERE kind = 'cost-estimate' AND statement.entry_idx IS NOT NULL
"""


def upgrade() -> None:
    """Enter the batches and prices that there were."""
    op.execute(_OWNERS)
    op.execute(_SUBJECTS)
