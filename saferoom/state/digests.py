"""Finding rows by their digests, through an index of the digests' first 12 digits.

A digest is random, so each new one falls on another page of its index, and every page touched is
written twice, into the log ahead of the file and into the file. The index of whole digests had
four times the pages of this one, and more than a cache holds at a million entries. Two digests that
begin alike are told apart by the whole one beside the statement: 48 bits are for speed alone, and
whoever makes a hundred requests that begin alike costs each of them a hundred reads.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Table,
    and_,
    bindparam,
    func,
    literal_column,
    select,
)

DIGITS: Final = 12
_ALL_DIGITS: Final = 64
"""Of a digest of either suite, after the hash's name."""


def first_digits(digest: str) -> str:
    """Give what a digest is found by."""
    return digest[-_ALL_DIGITS:][:DIGITS]


def has_digest(table: Table, digest: ColumnElement[str]) -> ColumnElement[bool]:
    """Say that a statement or a request is the one of a digest.

    Args:
        table: of statements, or of requests.
        digest: a parameter, or another table's column.
    """
    whole = table.c.digest if "digest" in table.c else table.c.request_id
    first = func.substr(digest, literal_column(f"-{_ALL_DIGITS}"), literal_column(f"{DIGITS}"))
    return and_(table.c.found_by == first, whole == digest)


def number_of(table: Table, parameter: str) -> ScalarSelect[int]:
    """Find the number of a statement or a request by its digest; NULL if there is none.

    Args:
        table: of statements, or of requests.
        parameter: the name under which the digest is given.
    """
    found = select(table.c.number).where(has_digest(table, bindparam(parameter)))
    return found.scalar_subquery()
