"""What a spreadsheet would compute stays text: somebody else wrote it."""

from __future__ import annotations

import re
from typing import Final

_COMPUTED: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What begins a formula in Excel and others, also of full width."""
_NUMBER: Final = re.compile(r"[+-][0-9][0-9,.]*%?", re.ASCII)


def as_text(value: str) -> str:
    """Put an apostrophe before what a spreadsheet would compute.

    Source: OWASP, CSV injection. A number computes nothing, so one with a sign stays as it is.
    """
    if not value.startswith(_COMPUTED) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"
