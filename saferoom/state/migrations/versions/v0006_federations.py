"""What happens in federated trainings is kept, so that a room that was killed goes on with them."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0006"
down_revision: Final = "0005"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "federation_message",
        sa.Column("federation", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("what", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("federation", "number", name=op.f("pk_federation_message")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
