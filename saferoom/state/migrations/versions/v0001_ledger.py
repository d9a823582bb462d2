"""The ledger, the statements it commits to, who calls, and the answers that were given."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

_APPEND_ONLY: Final = ("entry", "node", "checkpoint", "statement", "stream")


def upgrade() -> None:
    """Make the tables and the triggers that refuse to rewrite them."""
    _make_ledger()
    _make_statements()
    _make_callers()
    _make_answers()
    for table in _APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _make_ledger() -> None:
    op.create_table(
        "entry",
        sa.Column("idx", sa.Integer, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary, nullable=False),
        sa.Column("commitment", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("statement_digest", sa.Text, nullable=False),
        sa.Column("accepted_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("idx", name=op.f("pk_entry")),
        sa.CheckConstraint("idx >= 0", name=op.f("ck_entry_idx")),
        sa.CheckConstraint("length(leaf_hash) = 32", name=op.f("ck_entry_leaf_hash")),
        sa.CheckConstraint("length(commitment) = 32", name=op.f("ck_entry_commitment")),
        sqlite_strict=True,
    )
    op.create_table(
        "salt",
        sa.Column("entry_idx", sa.Integer, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("entry_idx", name=op.f("pk_salt")),
        sa.ForeignKeyConstraint(["entry_idx"], ["entry.idx"], name=op.f("fk_salt_entry_idx")),
        sa.CheckConstraint("length(salt) = 32", name=op.f("ck_salt_salt")),
        sqlite_strict=True,
    )
    op.create_table(
        "node",
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("idx", sa.Integer, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("level", "idx", name=op.f("pk_node")),
        sa.CheckConstraint("level >= 0 AND idx >= 0", name=op.f("ck_node_place")),
        sa.CheckConstraint("length(hash) = 32", name=op.f("ck_node_hash")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_checkpoint")),
        sqlite_strict=True,
    )


def _make_statements() -> None:
    op.create_table(
        "statement",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload_type", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("signatures", sa.Text, nullable=False),
        sa.Column("entry_idx", sa.Integer, nullable=True),
        sa.Column("accepted_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_statement")),
        sa.ForeignKeyConstraint(["entry_idx"], ["entry.idx"], name=op.f("fk_statement_entry_idx")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_statement_kind"), "statement", ["kind"])
    op.create_table(
        "stream",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("statement_digest", sa.Text, nullable=False),
        sa.Column("running", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner", "sequence", name=op.f("pk_stream")),
        sa.ForeignKeyConstraint(
            ["statement_digest"], ["statement.digest"], name=op.f("fk_stream_statement_digest")
        ),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_stream_sequence")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _make_callers() -> None:
    op.create_table(
        "organisation",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("title_en", sa.Text, nullable=False),
        sa.Column("title_zh", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("enrolled_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_organisation")),
        sqlite_strict=True,
    )
    op.create_table(
        "principal",
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("certificate", sa.Text, nullable=False),
        sa.Column("enrolled_at", sa.Integer, nullable=False),
        sa.Column("revoked_at", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_principal")),
        sqlite_strict=True,
    )


def _make_answers() -> None:
    op.create_table(
        "request",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("institution", sa.Text, nullable=False),
        sa.Column("payload_type", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("signatures", sa.Text, nullable=False),
        sa.Column("accepted_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_request")),
        sqlite_strict=True,
    )
    op.create_table(
        "answer",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("institution", sa.Text, nullable=False),
        sa.Column("release_digest", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("entry_idx", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "owner", name=op.f("pk_answer")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["request.request_id"], name=op.f("fk_answer_request_id")
        ),
        sa.ForeignKeyConstraint(
            ["release_digest"], ["statement.digest"], name=op.f("fk_answer_release_digest")
        ),
        sa.ForeignKeyConstraint(["entry_idx"], ["entry.idx"], name=op.f("fk_answer_entry_idx")),
        sqlite_strict=True,
    )
