"""Lists that may be long, a page at a time: the newest first, each page in its own order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom.archive import NEWEST, Archive
from saferoom.evidence import Recorded
from saferoom.mentions import About
from saferoom.notary import Notary

PAGE: Final = 200
"""Statements in one answer at most: of a dozen KiB each, with a notice."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list.

    Attributes:
        listed: in their order.
        next: the entry before which the next page's lie; zero if there is none.
    """

    listed: list[Recorded[None]]
    next: int


async def page_about(
    archive: Archive, notary: Notary, about: About, value: str, before: int
) -> Page:
    """Give the newest statements with a value in a field before an entry; of all, if zero."""
    held = await archive.about(about, value, most=PAGE, before=min(before or NEWEST, NEWEST))
    more = len(held) == PAGE
    following = held[0].position.index if more else 0
    return Page([notary.prove(each, None) for each in held], following)
