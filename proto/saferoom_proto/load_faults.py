"""What is wrong with a load's rows, sealed to who ordered it and always of one length.

Table, line, column and rule already tell something about records, so whoever passes the answer on
learns only that the load was refused: not what broke, where, or how often.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, ValidationError

from saferoom_proto import hpke
from saferoom_proto.encoding import check_digest, parse_object
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Owner, Part, ShortText, field_faults
from saferoom_proto.statements.enclave import Count

MOST_ROWS: Final = 100
"""Rows that are told one by one; the others are counted."""

FAULTS_BYTES: Final = 64 * 1024
"""Length of the plaintext: a hundred rows with the longest names and rules need 40 KiB."""

_LABEL: Final = b"saferoom load faults v1\n"


class FaultyRow(Part):
    """A row that breaks the schema: where, and which rule; never a value."""

    table: Owner
    line: Annotated[int, Field(ge=1, le=(1 << 53) - 1)]
    """In the table's file, the heading being line 1."""
    column: Owner | None
    """None where the rule is about the whole row."""
    rule: ShortText


class Faults(Part):
    """The rows for which a load was refused: the first ones, and how many there are."""

    rows: Annotated[tuple[FaultyRow, ...], Field(min_length=1, max_length=MOST_ROWS)]
    count: Annotated[Count, Field(ge=1)]


def seal_faults(faults: Faults, reply_key: bytes, header: str) -> bytes:
    """Seal a load's faults.

    Args:
        faults: what is wrong with its rows.
        reply_key: HPKE public key from the load's order.
        header: digest of the load's header.

    Raises:
        SafeRoomError: `TOO_LARGE` past `FAULTS_BYTES`, `BAD_SEAL` if the key is none.
    """
    written = faults.model_dump_json().encode()
    if len(written) > FAULTS_BYTES:
        raise SafeRoomError(Reason.TOO_LARGE, f"{len(written)} bytes of faults")
    # JSON may end in spaces (RFC 8259 section 2).
    return hpke.seal(reply_key, written.ljust(FAULTS_BYTES), info=faults_info(header))


def open_faults(sealed: bytes, key: hpke.SealingKey, header: str) -> Faults:
    """Open a load's faults.

    Raises:
        SafeRoomError: `BAD_SEAL` if they were sealed to another key or for another load,
            `MALFORMED`.
    """
    plaintext = key.open(sealed, info=faults_info(header))
    parse_object(plaintext, FAULTS_BYTES)
    try:
        return Faults.model_validate_json(plaintext)
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "faults", field_faults(error)) from None


def faults_info(header: str) -> bytes:
    """Give the HPKE info under which the faults of one load are sealed."""
    return _LABEL + check_digest(header).encode()
