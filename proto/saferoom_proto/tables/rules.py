"""The rules of disclosure control, with their sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

LEAST_THRESHOLD: Final = 3
"""Below three a cell's subject knows the other's value from its own (Hundepool et al. 2012)."""

MOST_ANSWERS: Final = 20
"""How often an institution is told the tables of one template about the same records. The numbers
are the same each time, and each answer is kept, up to 8 MiB, to be given again byte for byte."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a statistic must keep to. The defaults are the room's (DESIGN, section 8).

    Attributes:
        threshold: fewest units behind a number. ACRO and the ONS use 10.
        base: counts are rounded to its multiples (ONS 10-5 rule).
        percent: p of the p% rule: the second largest contributor must not be able to reckon the
            largest to within p% of it (Willenborg and de Waal 2001; ACRO uses 10).
        largest: n of the (n, k) rule.
        share: k: the n largest must not make up more than k% of a sum (Eurostat's example: 2, 85).
        digits: significant digits of a sum, a mean or a share.
    """

    threshold: int = 10
    base: int = 5
    percent: int = 10
    largest: int = 2
    share: int = 85
    digits: int = 3

    def __post_init__(self) -> None:
        for field, given, low, high in (
            ("threshold", self.threshold, LEAST_THRESHOLD, 1000),
            ("base", self.base, 1, self.threshold),
            ("percent", self.percent, 1, 100),
            ("largest", self.largest, 1, 10),
            ("share", self.share, 1, 100),
            ("digits", self.digits, 1, 6),
        ):
            if not low <= given <= high:
                raise malformed(field, f"{low} to {high} is expected")


def malformed(field: str, rule: str) -> SafeRoomError:
    """Refuse what was asked: which field, and what is expected of it."""
    return SafeRoomError(Reason.MALFORMED, f"{field}: {rule}", (FieldFault(field, rule),))
