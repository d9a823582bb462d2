"""A made-up city in memory, made once in a process that tests."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Final

from saferoom_city.days import Days
from saferoom_city.pages import Filling, choose_pages

SEED: Final = 7
AS_OF: Final = date(2026, 6, 30)
SMALL: Final = 800
"""Firms of a city in which every table has a row."""


@cache
def city_rows(firms: int = SMALL) -> dict[str, tuple[bytes, int]]:
    """Give the lines of every table of a city, and how many they are."""
    return Filling(SEED, Days(AS_OF), choose_pages(())).fill(0, firms)
