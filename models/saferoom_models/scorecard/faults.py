"""Every reason for which a scorecard is refused."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Why nothing is made. Never renamed, never reused."""

    BAD_COUNTS = "BAD_COUNTS"
    BAD_RULES = "BAD_RULES"
    BAD_SCALE = "BAD_SCALE"
    BAD_CARD = "BAD_CARD"
    FEW_EVENTS = "FEW_EVENTS"
    NO_COLUMNS = "NO_COLUMNS"
    NOT_CONVERGED = "NOT_CONVERGED"


class ScorecardError(Exception):
    """A refusal, with what its operator may read: rule, place and next step, no row's value."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail
