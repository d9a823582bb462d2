"""What a receipt's page is made of: rows of plain text under headings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

_BEIJING: Final = timezone(timedelta(hours=8))


class Form(StrEnum):
    """How a value is set."""

    TEXT = "text"
    CODE = "code"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Row:
    """A name and what stands beside it, as plain text."""

    label: str
    value: str
    form: Form = Form.TEXT


@dataclass(frozen=True, slots=True)
class Section:
    """Rows under a heading."""

    heading: str
    rows: tuple[Row, ...]


def moment(instant: datetime) -> str:
    """Write an instant in UTC, and in the time of the law that codes of subjects are of."""
    utc, beijing = instant.astimezone(UTC), instant.astimezone(_BEIJING)
    return f"{utc:%Y-%m-%d %H:%M:%S} UTC ({beijing:%Y-%m-%d %H:%M:%S} UTC+8)"
