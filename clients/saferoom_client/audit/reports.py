"""The release of a report or a list, held to its owner's schemas: all was public when it was told.

The auditor sees the schemas, and what each snapshot was loaded under: nothing of a record is needed
to see that one named a column above level 1. Whom a list showed, the log does not say.
"""

from __future__ import annotations

from collections.abc import Iterator

from saferoom_client.audit.book import Book
from saferoom_client.report.approving import told_columns
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Release, Schema
from saferoom_proto.statements.report import PUBLIC_LEVEL


def require_public(book: Book, said: Release, certificate: ReleaseCertificate, heard: int) -> None:
    """Refuse an answer that told a column which its owner's schema did not call public.

    Args:
        book: what stands before it in the log.
        said: the enclave's word, an answer.
        certificate: what it could let out.
        heard: up to which entry the enclave had heard.

    Raises:
        SafeRoomError: `NOT_ALLOWED`.
    """
    part = certificate.part(said.owner)
    for schema in _schemas(book, said, heard):
        told = told_columns(part, schema)
        levels = {
            (t.name, column.name): column.level for t in schema.tables for column in t.columns
        }
        for each in told:
            if each not in levels:
                detail = f"it told {'.'.join(each)}, which its owner's schema does not have"
                raise SafeRoomError(Reason.NOT_ALLOWED, detail)
            if levels[each] > PUBLIC_LEVEL:
                detail = f"it told {'.'.join(each)}, of level {levels[each]}"
                raise SafeRoomError(Reason.NOT_ALLOWED, detail)


def _schemas(book: Book, said: Release, heard: int) -> Iterator[Schema]:
    """Give the schema of the records that it was told from, and the newest it had heard of."""
    store = book.stores.get(said.owner)
    if store is not None and store.snapshot.store == said.store:
        yield store.schema
    known = [
        schema
        for digest, schema in book.schemas.items()
        if schema.owner == said.owner and book.entries[digest] <= heard
    ]
    if known:
        yield max(known, key=lambda schema: schema.version)
