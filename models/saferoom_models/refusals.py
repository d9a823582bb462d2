"""Every reason for which joint training refuses; whoever carries the messages gives it its words.

The models import nothing of ours, the room's own catalogue neither. As there, a reason is public
and stable, and the detail beside it names rule, place and next step, never a value of a row.
"""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """Why a side of a joint training refuses. Never renamed, never reused."""

    # The message.
    MALFORMED = "MALFORMED"
    OTHER_VERSION = "OTHER_VERSION"
    OTHER_TERMS = "OTHER_TERMS"
    WRONG_SIZE = "WRONG_SIZE"
    WRONG_SHAPE = "WRONG_SHAPE"
    REPLAYED = "REPLAYED"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    BAD_CIPHERTEXT = "BAD_CIPHERTEXT"
    # The terms.
    BAD_TERMS = "BAD_TERMS"
    TOO_FEW_ROWS = "TOO_FEW_ROWS"
    TOO_MANY_ROWS = "TOO_MANY_ROWS"
    TOO_MANY_NUMBERS = "TOO_MANY_NUMBERS"
    # What a side brings.
    BAD_COLUMNS = "BAD_COLUMNS"
    BAD_LABELS = "BAD_LABELS"
    FEW_EVENTS = "FEW_EVENTS"
    NO_SUPPORT = "NO_SUPPORT"
    NOT_EXACT = "NOT_EXACT"
    # The alignment.
    BAD_IDENTIFIERS = "BAD_IDENTIFIERS"
    BAD_POINT = "BAD_POINT"
    REPEATED_POINT = "REPEATED_POINT"
    OTHER_SET = "OTHER_SET"
    # Several banks.
    TOO_FEW_MEMBERS = "TOO_FEW_MEMBERS"
    LEFT_OUT = "LEFT_OUT"
    NEAR_SETS = "NEAR_SETS"
    NOT_SIGNED = "NOT_SIGNED"
    BAD_SHARE = "BAD_SHARE"
    OTHER_SUM = "OTHER_SUM"
    THIN_SUM = "THIN_SUM"
    # The course of it.
    DIVERGED = "DIVERGED"
    NOT_FINISHED = "NOT_FINISHED"
    BAD_STATE = "BAD_STATE"


class JointTrainingError(Exception):
    """A refusal, with what its operator may read."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
