"""What is wrong with a load's rows, sealed to who ordered it and always of one length.

Table, line, column and rule already tell something about records, so whoever passes the answer on
learns only that the load was refused: not what broke, where, or how often. A load of tables that
are linked is always answered so, too: how many rows found their subject is for its owner alone.
"""

from __future__ import annotations

import hmac
import operator
from typing import Annotated, Final

from pydantic import Field, ValidationError, model_validator

from saferoom_proto import hpke
from saferoom_proto.encoding import check_digest, parse_object
from saferoom_proto.load import MAX_TABLES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Owner, Part, ShortText, field_faults
from saferoom_proto.statements.enclave import Count

MOST_ROWS: Final = 100
"""Rows that are told one by one; the others are counted."""

FAULTS_BYTES: Final = 64 * 1024
"""Length of the plaintext: a hundred rows with the longest names and rules need 40 KiB, and the
counts of 63 linked tables 15."""

_LABEL: Final = b"saferoom load faults v1\n"
_LINKS_LABEL: Final = b"saferoom load links v1\n"


class FaultyRow(Part):
    """A row that breaks the schema: where, and which rule; never a value."""

    table: Owner
    line: Annotated[int, Field(ge=1, le=(1 << 53) - 1)]
    """In the table's file, the heading being line 1."""
    column: Owner | None
    """None where the rule is about the whole row."""
    rule: ShortText


class LinkCount(Part):
    """How many of the rows that a load brought to a linked table found their subject."""

    table: Owner
    linked: Count
    unlinked: Count
    """Of a number that the map has not."""
    ended: Count
    """Of a number that is nobody's at their time."""
    ambiguous: Count
    """Of a number that is more than one subject's at their time."""
    unused: Count | None
    """Numbers of the map by which no row of the table is linked; not counted of a refused load."""

    @property
    def left(self) -> int:
        """How many rows lead to no subject."""
        return self.unlinked + self.ended + self.ambiguous


class Faults(Part):
    """The rows for which a load was refused, or that were left out of it, and how many there are.

    Without a row there are links.
    """

    rows: Annotated[tuple[FaultyRow, ...], Field(max_length=MOST_ROWS)]
    count: Count
    links: Annotated[
        tuple[LinkCount, ...], Field(max_length=MAX_TABLES, exclude_if=operator.not_)
    ] = ()

    @model_validator(mode="after")
    def _told(self) -> Faults:
        if bool(self.rows) != bool(self.count) or not (self.rows or self.links):
            raise ValueError("rows come with their count, and without any there are links")
        return self


def seal_faults(faults: Faults, reply_key: bytes, header: str) -> bytes:
    """Seal the faults of a load that was refused.

    Args:
        faults: what is wrong with its rows.
        reply_key: HPKE public key from the load's order.
        header: digest of the load's header.

    Raises:
        SafeRoomError: `TOO_LARGE` past `FAULTS_BYTES`, `BAD_SEAL` if the key is none.
    """
    return _sealed(faults, reply_key, faults_info(header))


def open_faults(sealed: bytes, key: hpke.SealingKey, header: str) -> Faults:
    """Open the faults of a load that was refused.

    Raises:
        SafeRoomError: `BAD_SEAL` if they were sealed to another key or for another load,
            `MALFORMED`.
    """
    return _opened(sealed, key, faults_info(header))


def seal_links(faults: Faults, reply_key: bytes, header: str, content_key: bytes) -> bytes:
    """Seal what became of the rows of linked tables, of a load that was taken.

    Its order, and with it the reply key, stands in the ledger by then; the content key is known to
    the enclave and to who ordered the load, and to nobody who could write something else.

    Args:
        faults: the rows that were left out, and the counts.
        reply_key: HPKE public key from the load's order.
        header: digest of the load's header.
        content_key: the load's own.

    Raises:
        SafeRoomError: as `seal_faults`.
    """
    return _sealed(faults, reply_key, _links_info(header, content_key))


def open_links(sealed: bytes, key: hpke.SealingKey, header: str, content_key: bytes) -> Faults:
    """Open what became of the rows of linked tables.

    Raises:
        SafeRoomError: `BAD_SEAL` if the enclave did not write it about this load; `MALFORMED`.
    """
    return _opened(sealed, key, _links_info(header, content_key))


def faults_info(header: str) -> bytes:
    """Give the HPKE info under which the faults of one load are sealed."""
    return _LABEL + check_digest(header).encode()


def _links_info(header: str, content_key: bytes) -> bytes:
    """Give an HPKE info that nobody knows without the load's key.

    It goes into the key schedule, so nobody else seals or opens what is sealed under it.
    Source: RFC 9180 section 5.1.
    """
    proof = hmac.digest(content_key, _LINKS_LABEL, "sha256")
    return _LINKS_LABEL + check_digest(header).encode() + b"\n" + proof


def _sealed(faults: Faults, reply_key: bytes, info: bytes) -> bytes:
    written = faults.model_dump_json().encode()
    if len(written) > FAULTS_BYTES:
        raise SafeRoomError(Reason.TOO_LARGE, f"{len(written)} bytes of faults")
    # JSON may end in spaces (RFC 8259 section 2).
    return hpke.seal(reply_key, written.ljust(FAULTS_BYTES), info=info)


def _opened(sealed: bytes, key: hpke.SealingKey, info: bytes) -> Faults:
    plaintext = key.open(sealed, info=info)
    parse_object(plaintext, FAULTS_BYTES)
    try:
        return Faults.model_validate_json(plaintext)
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "faults", field_faults(error)) from None
