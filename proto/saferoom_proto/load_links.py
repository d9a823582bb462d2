"""What a load's rows are held to that find their subject through a map (`statements/link.py`).

Nothing is guessed: numbers are compared as they are written, and a row that leads to nobody, or to
two, is told by its line and stands in no table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from saferoom_proto.load import Change
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.feature import Table

UNLINKED_RULE: Final = "the map has no such number"
ENDED_RULE: Final = "the map has the number, and nobody whose it is at that time"
AMBIGUOUS_RULE: Final = "the map leads from the number to more than one subject at that time"
LEFT_RULES: Final = (UNLINKED_RULE, ENDED_RULE, AMBIGUOUS_RULE)
"""Why a row is left out, where the load's order has such rows left out."""

NUMBER_RULE: Final = "the number of an account or a certificate: it has a digit; names link nobody"
PERIOD_RULE: Final = "it ends before it begins"
LONG_RULE: Final = "a map has at most 2,000,000 rows"
OFTEN_RULE: Final = "a map says at most 100 different things of one number"

MOST_MAPPED: Final = 2_000_000
"""Rows of a map: the numbers of a city's firms at ten apiece. A client holds them in memory."""
MOST_SAID: Final = 100
"""Different rows of a map about one number: each of its rows is held against all of them."""


def is_number(value: str) -> bool:
    """Tell whether a value can be an account's or a certificate's number: names have no digit."""
    return any(each.isdigit() for each in value)


def require_linked_anew(tables: Sequence[Table], changes: Mapping[str, Change]) -> None:
    """Refuse a load after which rows would stand that an earlier map linked.

    Args:
        tables: of the schema.
        changes: what the load does to each table.

    Raises:
        SafeRoomError: `CONFLICT` naming each table that has to be brought whole.
    """
    faults = [
        FieldFault(
            table.name, f"a load that brings the map {table.link.map} brings all rows linked by it"
        )
        for table in tables
        if table.link is not None
        and changes.get(table.link.map, Change.KEEP) is not Change.KEEP
        and changes.get(table.name) is not Change.WHOLE
    ]
    if faults:
        raise SafeRoomError(Reason.CONFLICT, faults[0].rule, faults)
