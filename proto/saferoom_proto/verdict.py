"""What an enclave says of a feature's draft, sealed to the approver who ordered the trial.

Always of one length, so that whoever passes it on does not learn whether the draft is sound. Even
its owner is told no exact count: fewer than ten are not told apart, others are rounded to five, as
in released statistics, so that a draft does not read single records.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, ValidationError

from saferoom_proto import hpke
from saferoom_proto.encoding import check_digest, parse_object
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Part, Text, field_faults
from saferoom_proto.statements.enclave import Count
from saferoom_proto.statements.feature import MAX_GRID, Number

FEWEST: Final = 10
ROUNDED_TO: Final = 5
"""DESIGN section 8, counts."""

VERDICT_BYTES: Final = 8 * 1024
"""Length of the plaintext: the longest rule has 4,000 characters, and nine counts are short."""

_LABEL: Final = b"saferoom feature verdict v1\n"

Told = Count | None
"""A number of subjects, rounded; none for fewer than ten."""


def told(subjects: int) -> Told:
    """Give a number of subjects as it may be told."""
    if subjects < FEWEST:
        return None
    return (subjects + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO


class Counted(Part):
    """How a draft's values fall into its cells, over the store in use."""

    cells: Annotated[tuple[Told, ...], Field(max_length=16)]
    """In the order of the grid, or of the classes; a flag's are false and true."""
    unknown: Told
    """Subjects whose value is unknown; those that the store holds nothing of are not counted."""
    suggested: Annotated[tuple[Number, ...], Field(max_length=MAX_GRID)]
    """Thresholds that would put about as many subjects into each cell; none for few subjects."""


class Verdict(Part):
    """An enclave's verdict on a draft: the rule that it breaks, or how its values fall."""

    fault: Text | None
    """With its place in the SQL, where it has one."""
    counted: Counted | None
    """None if there is a fault, or no store of the newest schema."""


def seal_verdict(verdict: Verdict, reply_key: bytes, trial: str) -> bytes:
    """Seal a verdict to the reply key of a trial, named by its digest."""
    written = verdict.model_dump_json().encode()
    if len(written) > VERDICT_BYTES:
        raise SafeRoomError(Reason.TOO_LARGE, f"{len(written)} bytes of verdict")
    # JSON may end in spaces (RFC 8259 section 2).
    return hpke.seal(reply_key, written.ljust(VERDICT_BYTES), info=verdict_info(trial))


def open_verdict(sealed: bytes, key: hpke.SealingKey, trial: str) -> Verdict:
    """Open the verdict of a trial.

    Raises:
        SafeRoomError: `BAD_SEAL` if it was sealed to another key or for another trial, `MALFORMED`.
    """
    plaintext = key.open(sealed, info=verdict_info(trial))
    parse_object(plaintext, VERDICT_BYTES)
    try:
        return Verdict.model_validate_json(plaintext)
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "verdict", field_faults(error)) from None


def verdict_info(trial: str) -> bytes:
    """Give the HPKE info under which the verdict of one trial is sealed."""
    return _LABEL + check_digest(trial).encode()
