"""Tables as they are sealed to the asker and to nobody else.

The plaintext is JSON, filled up with spaces to a power of two that the plan alone decides, so that
its length says nothing of the numbers, nor of which are withheld. The release carries a hash of the
whole; the salt in it keeps that commitment from being guessed. Numbers are text, as they were
rounded: no reader rounds again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, ValidationError

from saferoom_proto.asker_seal import AskerSeal
from saferoom_proto.encoding import parse_object
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Digest, Owner, Part, field_faults
from saferoom_proto.suite import Suite
from saferoom_proto.tables.plan import Margin, Measure, ReleasePlan

FEWEST_BYTES: Final = 16 * 1024
"""A plan of a few hundred cells fits: such tables all look alike."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""Half of what a client takes in one message; sixteen measures in 20,000 cells each, at most 20
bytes a number."""

TABLES_SEAL: Final = AskerSeal("tables v1")

_WIDEST: Final = 17
"""A whole number below 2**53 with its sign; any other has three digits and an exponent."""
_LONG: Final = "{:.9e}"
_AROUND_ALL: Final = 1024
"""What stands around the numbers: names, digests, salt; half of it is room to spare."""

Written = Annotated[
    str,
    StringConstraints(
        pattern=r"^-?[0-9]+(\.[0-9]+)?(e[+-][0-9]{2,3})?$",
        max_length=_WIDEST,
    ),
]
"""A number as it was rounded."""
Numbers = tuple[Written | None, ...]
"""One of each cell, in the order of the columns' classes, the last column's first; none where it is
withheld."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a table.

    Attributes:
        classes: its class in each column.
        number: as it was rounded; none where it is withheld.
    """

    classes: tuple[str, ...]
    number: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """One table: a measure in all cells of a margin.

    Attributes:
        measure: what is told.
        margin: as the plan names it.
        columns: of the table; a histogram's own is the last.
        cells: in the order of the columns' classes.
    """

    measure: Measure
    margin: Margin
    columns: Margin
    cells: tuple[Cell, ...]


class Tables(Part):
    """What one owner's enclave lets out of a template's tables."""

    format: Literal["saferoom-tables/v1"] = "saferoom-tables/v1"
    room: str
    owner: Owner
    request: Digest
    template: Digest
    epoch: Annotated[int, Field(ge=1)]
    """Of the store that they are about."""
    numbers: Annotated[tuple[Numbers, ...], Field(min_length=1)]
    """For each measure each margin, in the plan's order."""
    salt: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    """32 random bytes, base64."""

    def to_bytes(self) -> bytes:
        """Write the plaintext, filled up.

        Raises:
            SafeRoomError: `TOO_LARGE` past `MOST_BYTES`.
        """
        # Each number with its quotes and comma, each table with its brackets and comma.
        most = _AROUND_ALL + sum(3 + (3 + _WIDEST) * len(each) for each in self.numbers)
        return filled_up(self.model_dump_json().encode(), most)

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> Tables:
        """Read a plaintext; `MALFORMED` names the field."""
        parse_object(plaintext, MOST_BYTES)
        try:
            return cls.model_validate_json(plaintext)
        except ValidationError as error:
            raise SafeRoomError(Reason.MALFORMED, "tables", field_faults(error)) from None

    def by_plan(self, plan: ReleasePlan) -> tuple[Told, ...]:
        """Lay the numbers out by the plan that they answer.

        Raises:
            SafeRoomError: `BAD_PROOF` if they are of another plan.
        """
        return laid_out(self.numbers, plan)


def laid_out(tables: tuple[Numbers, ...], plan: ReleasePlan) -> tuple[Told, ...]:
    """Lay out numbers, for each measure each margin, by the plan that they answer.

    Raises:
        SafeRoomError: `BAD_PROOF` if they are of another plan.
    """
    named = [(measure, margin) for measure in plan.measures for margin in plan.margins]
    shapes = [_classes(plan, measure.told_in(margin)) for measure, margin in named]
    if [len(each) for each in tables] != [math.prod(map(len, each)) for each in shapes]:
        raise SafeRoomError(Reason.BAD_PROOF, "the tables are not those of the plan")
    return tuple(
        Told(measure, margin, measure.told_in(margin), tuple(_cells(classes, numbers)))
        for (measure, margin), classes, numbers in zip(named, shapes, tables, strict=True)
    )


def written(number: Decimal) -> str:
    """Write a number that is told as it is; one too wide for that, in ten digits."""
    text = f"{number:f}"
    return text if len(text.lstrip("-")) < _WIDEST else _LONG.format(number)


def filled_up(document: bytes, least: int) -> bytes:
    """Fill a JSON document up with spaces to a power of two, by a length that its plan alone says.

    Raises:
        SafeRoomError: `TOO_LARGE` past `MOST_BYTES`.
    """
    size = max(FEWEST_BYTES, 1 << (least - 1).bit_length())
    if size > MOST_BYTES:
        raise SafeRoomError(Reason.TOO_LARGE, f"tables of more than {MOST_BYTES} bytes")
    # JSON may end in spaces (RFC 8259 section 2).
    return document.ljust(size)


def commitment(plaintext: bytes, suite: Suite = Suite.INTERNATIONAL) -> str:
    """Commit to a plaintext, as a release of a suite does."""
    return suite.digest(plaintext)


def _classes(plan: ReleasePlan, columns: Margin) -> list[tuple[str, ...]]:
    return [plan.dimension(name).classes for name in columns]


def _cells(classes: list[tuple[str, ...]], numbers: Numbers) -> Iterator[Cell]:
    for named, number in zip(product(*classes), numbers, strict=True):
        yield Cell(named, number)
