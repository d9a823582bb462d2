"""Statements and requests are numbered, and found by their digests' first digits.

Everything is copied into tables of the new form, in one transaction: a room of a million entries
takes a minute or two for it, and as much disk again as it has. The pages of the former tables are
used by later entries.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0007"
down_revision: Final = "0006"

_FORMER: Final = ("stream", "mention", "answer", "use", "statement", "request")
"""Those that refer to others first: in this order they can go."""
_APPEND_ONLY: Final = ("statement", "stream", "mention", "use", "asked")

_STATEMENTS: Final = """
INSERT INTO statement
    (number, digest, found_by, kind, payload_type, payload, signatures, entry_idx, accepted_at)
SELECT rowid, digest, substr(digest, -64, 12), kind, payload_type, payload, signatures, entry_idx,
       accepted_at
FROM former_statement ORDER BY rowid
"""
_REQUESTS: Final = """
INSERT INTO request
    (number, request_id, found_by, institution, payload_type, payload, signatures, accepted_at)
SELECT rowid, request_id, substr(request_id, -64, 12), institution, payload_type, payload,
       signatures, accepted_at
FROM former_request ORDER BY rowid
"""
_STREAMS: Final = """
INSERT INTO stream (owner, sequence, statement, running)
SELECT owner, sequence, former_statement.rowid, running
FROM former_stream JOIN former_statement ON digest = statement_digest
ORDER BY owner, sequence
"""
_MENTIONS: Final = """
INSERT INTO mention (what, value, statement)
SELECT what, value, former_statement.rowid
FROM former_mention JOIN former_statement ON digest = statement_digest
"""
_ANSWERS: Final = """
INSERT INTO answer (request, owner, institution, release, sealed, entry_idx)
SELECT former_request.rowid, owner, former_answer.institution, former_statement.rowid, sealed,
       former_answer.entry_idx
FROM former_answer
JOIN former_request ON former_request.request_id = former_answer.request_id
JOIN former_statement ON digest = release_digest
ORDER BY former_answer.rowid
"""
_USES: Final = "INSERT INTO use (whom, entry_idx) SELECT whom, entry_idx FROM former_use"
_ASKED: Final = """
INSERT OR IGNORE INTO asked (entry_idx, request_id)
SELECT entry_idx, request_id FROM former_use ORDER BY entry_idx
"""
_COPIES: Final = (_STATEMENTS, _REQUESTS, _STREAMS, _MENTIONS, _ANSWERS, _USES, _ASKED)

# An index of first digits may hold two alike, so it can't refuse the same digest twice.
_STATEMENT_ONCE: Final = """
CREATE TRIGGER statement_once BEFORE INSERT ON statement WHEN EXISTS (
    SELECT 1 FROM statement
    WHERE found_by = substr(NEW.digest, -64, 12) AND digest = NEW.digest
)
BEGIN SELECT RAISE(ABORT, 'statement is append-only: its digest stands there'); END
"""
_REQUEST_ONCE: Final = """
CREATE TRIGGER request_once BEFORE INSERT ON request WHEN EXISTS (
    SELECT 1 FROM request
    WHERE found_by = substr(NEW.request_id, -64, 12) AND request_id = NEW.request_id
)
BEGIN SELECT RAISE(IGNORE); END
"""


def upgrade() -> None:
    """Copy what there is into tables of the new form, and put the triggers back."""
    # What goes are copies of what stays: they need not be overwritten, which took as long again.
    op.execute("PRAGMA secure_delete = FAST")
    for table in ("statement", "stream", "mention", "use"):
        for change in ("update", "delete"):
            op.execute(f"DROP TRIGGER {table}_no_{change}")
    op.drop_index(op.f("ix_statement_kind"))
    for table in _FORMER:
        op.rename_table(table, f"former_{table}")
    _make_statements()
    _make_answers()
    _make_uses()
    for copy in _COPIES:
        op.execute(copy)
    for table in _FORMER:
        op.drop_table(f"former_{table}")
    op.execute("PRAGMA secure_delete = ON")
    for table, column in (
        ("statement", "found_by"),
        ("statement", "kind"),
        ("request", "found_by"),
    ):
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])
    _make_triggers()


def _make_statements() -> None:
    op.create_table(
        "statement",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("found_by", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload_type", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("signatures", sa.Text, nullable=False),
        sa.Column("entry_idx", sa.Integer, nullable=True),
        sa.Column("accepted_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_statement")),
        sa.ForeignKeyConstraint(["entry_idx"], ["entry.idx"], name=op.f("fk_statement_entry_idx")),
        sa.CheckConstraint(
            "found_by = substr(digest, -64, 12)", name=op.f("ck_statement_found_by")
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "stream",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("statement", sa.Integer, nullable=False),
        sa.Column("running", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner", "sequence", name=op.f("pk_stream")),
        sa.ForeignKeyConstraint(
            ["statement"], ["statement.number"], name=op.f("fk_stream_statement")
        ),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_stream_sequence")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mention",
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("statement", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("what", "value", "statement", name=op.f("pk_mention")),
        sa.ForeignKeyConstraint(
            ["statement"], ["statement.number"], name=op.f("fk_mention_statement")
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _make_answers() -> None:
    op.create_table(
        "request",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("found_by", sa.Text, nullable=False),
        sa.Column("institution", sa.Text, nullable=False),
        sa.Column("payload_type", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("signatures", sa.Text, nullable=False),
        sa.Column("accepted_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_request")),
        sa.CheckConstraint(
            "found_by = substr(request_id, -64, 12)", name=op.f("ck_request_found_by")
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "answer",
        sa.Column("request", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("institution", sa.Text, nullable=False),
        sa.Column("release", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("entry_idx", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("request", "owner", name=op.f("pk_answer")),
        sa.ForeignKeyConstraint(["request"], ["request.number"], name=op.f("fk_answer_request")),
        sa.ForeignKeyConstraint(["release"], ["statement.number"], name=op.f("fk_answer_release")),
        sa.ForeignKeyConstraint(["entry_idx"], ["entry.idx"], name=op.f("fk_answer_entry_idx")),
        sqlite_strict=True,
    )


def _make_uses() -> None:
    op.create_table(
        "use",
        sa.Column("whom", sa.Text, nullable=False),
        sa.Column("entry_idx", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("whom", "entry_idx", name=op.f("pk_use")),
        sa.ForeignKeyConstraint(["entry_idx"], ["entry.idx"], name=op.f("fk_use_entry_idx")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "asked",
        sa.Column("entry_idx", sa.Integer, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("entry_idx", name=op.f("pk_asked")),
        sa.ForeignKeyConstraint(["entry_idx"], ["entry.idx"], name=op.f("fk_asked_entry_idx")),
        sqlite_strict=True,
    )


def _make_triggers() -> None:
    for table in _APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    op.execute(_STATEMENT_ONCE)
    op.execute(_REQUEST_ONCE)
