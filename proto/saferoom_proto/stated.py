"""How a stated value is compared: both sides are brought into one form, and nothing else is known.

A value of level 4 (a number of an account, a person's name) is never a feature of which thresholds
are asked. An institution that was given the value says it, and is told whether it is the one held.
"""

from __future__ import annotations

import unicodedata
from hashlib import sha256
from typing import Final, assert_never

from saferoom_proto.statements.feature import StatedForm

TAG_BYTES: Final = 16
"""Of SHA-256: that two different values of a million have one tag has a chance of 2**-89."""
_LABEL: Final = b"saferoom stated value v1\n"


def in_form(value: str, form: StatedForm) -> str:
    """Bring a value into its form; empty where nothing of it is left.

    Source: Unicode's NFKC and case folding (UAX 15; Unicode standard, section 3.13), which make
    wide and narrow, upper and lower forms of a letter one.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())
    match form:
        case StatedForm.TEXT:
            return "".join(char for char in text if unicodedata.category(char)[0] in "LNM")
        case StatedForm.CODE:
            return "".join(char for char in text if char.isascii() and char.isalnum())
        case StatedForm.DIGITS:
            return "".join(char for char in text if char.isascii() and char.isdigit())
        case _:
            assert_never(form)


def tag_of(said: str) -> bytes:
    """Give what stands for a value that was brought into its form."""
    return sha256(_LABEL + said.encode()).digest()[:TAG_BYTES]
