"""What a receipt's page is made of: rows of plain text under headings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final, Protocol

from saferoom_client.tongue import Language

_BEIJING: Final = timezone(timedelta(hours=8))


class Form(StrEnum):
    """How a value is set."""

    TEXT = "text"
    CODE = "code"
    BLOCK = "block"
    DRAWING = "drawing"
    """SVG by a library that draws, which has escaped all text in it; a page as text has none."""


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


class Shown(Protocol):
    """A page: a title, what it is, an answer set off in its tone, and rows under headings."""

    @property
    def language(self) -> Language:
        """It is written in."""
        ...

    @property
    def title(self) -> str:
        """Of the page."""
        ...

    @property
    def lead(self) -> str:
        """What the page is."""
        ...

    @property
    def tone(self) -> str:
        """How the answer is set off: one of the style's classes."""
        ...

    @property
    def answer(self) -> str:
        """In words."""
        ...

    @property
    def sections(self) -> tuple[Section, ...]:
        """Everything else."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is nothing more; a receipt's knows its receipt, too."""

    language: Language
    title: str
    lead: str
    tone: str
    answer: str
    sections: tuple[Section, ...]


def moment(instant: datetime) -> str:
    """Write an instant in UTC, and in the time of the law that codes of subjects are of."""
    utc, beijing = instant.astimezone(UTC), instant.astimezone(_BEIJING)
    return f"{utc:%Y-%m-%d %H:%M:%S} UTC ({beijing:%Y-%m-%d %H:%M:%S} UTC+8)"
