"""The tables. What is in `APPEND_ONLY` is never altered: triggers refuse it.

The triggers guard against mistakes. Whoever can write the file can drop them; that is noticed when
the ledger opens (`saferoom.ledger.audit`), and by everyone who keeps a checkpoint.

Digests are random, so an index of them is written all over. There are two, of statements and of
requests, and each holds 12 of 64 digits (`saferoom.state.digests`); rows refer to each other by
numbers, which only ever grow.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from saferoom.state.columns import Instant, Signatures, Words

METADATA: Final = MetaData(
    # Constraints have names, so that a migration can name the one it changes.
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

entry: Final = Table(
    "entry",
    METADATA,
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("statement_digest", Text, nullable=False),
    Column("accepted_at", Instant, nullable=False),
    CheckConstraint("idx >= 0", name="idx"),
    CheckConstraint("length(leaf_hash) = 32", name="leaf_hash"),
    CheckConstraint("length(commitment) = 32", name="commitment"),
    sqlite_strict=True,
)
"""The ledger's leaves, in order from 0."""

salt: Final = Table(
    "salt",
    METADATA,
    Column("entry_idx", Integer, ForeignKey(entry.c.idx), primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    CheckConstraint("length(salt) = 32", name="salt"),
    sqlite_strict=True,
)
"""What opens an entry's commitment. Deleting it erases the entry's meaning, and nothing else."""

node: Final = Table(
    "node",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("level >= 0 AND idx >= 0", name="place"),
    CheckConstraint("length(hash) = 32", name="hash"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""The root of each complete subtree: of the leaves `idx << level` up to `(idx + 1) << level`."""

checkpoint: Final = Table(
    "checkpoint",
    METADATA,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    sqlite_strict=True,
)
"""Every checkpoint that was signed: one for each commit."""

statement: Final = Table(
    "statement",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("found_by", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False, index=True),
    Column("payload_type", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("signatures", Signatures, nullable=False),
    Column("entry_idx", Integer, ForeignKey(entry.c.idx)),
    Column("accepted_at", Instant, nullable=False),
    CheckConstraint("found_by = substr(digest, -64, 12)", name="found_by"),
    sqlite_strict=True,
)
"""Signed statements, their bytes as they came; no two of one digest: a trigger refuses."""

stream: Final = Table(
    "stream",
    METADATA,
    Column("owner", Text, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("statement", Integer, ForeignKey(statement.c.number), nullable=False),
    Column("running", Text, nullable=False),
    CheckConstraint("sequence >= 1", name="sequence"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Each owner's statements, which its enclave follows: numbered from 1, under a running hash."""

mention: Final = Table(
    "mention",
    METADATA,
    Column("what", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column(
        "statement",
        Integer,
        ForeignKey(statement.c.number),
        primary_key=True,
        autoincrement=False,
    ),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""By what a statement is found, beside its digest: a consent by its subject, a refusal by its
request. `what` is the kind of statement and the name of its field."""

organisation: Final = Table(
    "organisation",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("title_en", Text, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("roles", Words, nullable=False),
    Column("enrolled_at", Instant, nullable=False),
    sqlite_strict=True,
)
"""The organisations of the room."""

principal: Final = Table(
    "principal",
    METADATA,
    Column("fingerprint", Text, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("roles", Words, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("enrolled_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    sqlite_strict=True,
)
"""Who may call, by certificate (PEM)."""

request: Final = Table(
    "request",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("found_by", Text, nullable=False, index=True),
    Column("institution", Text, nullable=False),
    Column("payload_type", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("signatures", Signatures, nullable=False),
    Column("accepted_at", Instant, nullable=False),
    CheckConstraint("found_by = substr(request_id, -64, 12)", name="found_by"),
    sqlite_strict=True,
)
"""Signed requests, by the digest of their signed bytes. A trigger keeps the first of equal ones."""

answer: Final = Table(
    "answer",
    METADATA,
    Column(
        "request",
        Integer,
        ForeignKey(request.c.number),
        primary_key=True,
        autoincrement=False,
    ),
    Column("owner", Text, primary_key=True),
    Column("institution", Text, nullable=False),
    Column("release", Integer, ForeignKey(statement.c.number), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("entry_idx", Integer, ForeignKey(entry.c.idx), nullable=False),
    sqlite_strict=True,
)
"""One owner's word on a request: its release, and the answer sealed to the asker."""

use: Final = Table(
    "use",
    METADATA,
    Column("whom", Text, primary_key=True),
    Column(
        "entry_idx",
        Integer,
        ForeignKey(entry.c.idx),
        primary_key=True,
        autoincrement=False,
    ),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Whom the log's words on questions concern: the code of the subject asked about, and the name of
the owner asked. The two never look alike."""

asked: Final = Table(
    "asked",
    METADATA,
    Column("entry_idx", Integer, ForeignKey(entry.c.idx), primary_key=True, autoincrement=False),
    Column("request_id", Text, nullable=False),
    sqlite_strict=True,
)
"""The question that a word of the log is on. It may not be there, or come later."""

federation_message: Final = Table(
    "federation_message",
    METADATA,
    Column("federation", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("what", LargeBinary, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What happened in each federated training, in order: banks' messages, masked as they came."""

APPEND_ONLY: Final = (entry, node, checkpoint, statement, stream, mention, use, asked)
