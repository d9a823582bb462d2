"""Unified social credit codes (统一社会信用代码): the 18 characters that name a subject.

    91 350100 M000100Y4 3
    │  │      │         └ check character over the other 17
    │  │      └ organisation code of GB 11714: 8 characters and its own check character
    │  └ administrative division of the registering authority, 6 digits
    └ registering authority and category of organisation

Tests compare with python-stdnum, which reads less and more: it takes only digits in front, which
shuts out rural collectives (`N`) and others registered elsewhere (`Y`), and it does not look at the
organisation code's own check character, which catches what one check lets pass.

Source: GB 32100-2015 with amendment 1 (2016), GB 11714-1997.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import mul
from typing import Final

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

NOWHERE: Final = "990000"
"""A region that GB/T 2260 gives to no place: no real subject has a code with it."""

ENTERPRISE: Final = "91"
"""How a code begins of what market supervision registered as an enterprise."""
_SERIALS: Final = 10**8  # an organisation code has eight characters before its check

SUBJECT_BYTES: Final = 18
"""Length of a code, all of it ASCII."""

ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015 table 1; its place is its value
BASE: Final = 3  # weights are its powers modulo 31, GB 32100-2015 section 4.6

_FORM: Final = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_FORM_RULE: Final = "18 characters, 0-9 and A-Y without I, O, S and V; six digits from the 3rd"
_REGION: Final = re.compile(r"[0-9]{6}")

_CHECKED_KEPT: Final = 1 << 14
"""Codes found good and kept, 2 MB of them: a subject's is read with its consent, and again with
every question and in every step of it. What is refused is not kept."""

ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)  # GB 11714-1997
ORGANISATION_CHECKS: Final = "0X987654321"  # by the weighted sum modulo 11

# Looked up, not computed: a load of ten million rows checks as many codes.
_VALUES: Final = {char: value for value, char in enumerate(ALPHABET)}
_WEIGHTS: Final = tuple(pow(BASE, place, len(ALPHABET)) for place in range(SUBJECT_BYTES - 1))
_ORGANISATION_VALUES: Final = {char: int(char, 36) for char in ALPHABET}
"""GB 11714 counts on through the alphabet (A is 10, Z is 35), as base 36 does."""


def parse_uscc(text: str) -> str:
    """Give a subject's code in its one written form, 18 characters in upper case.

    Surrounding white space and lower case are taken; nothing else is mended.

    Raises:
        SafeRoomError: `MALFORMED_SUBJECT`; the code itself is not repeated.
    """
    stripped = text.strip()
    # Upper case only after ASCII: a ligature would otherwise turn into two letters.
    if not stripped.isascii():
        raise _refusal(_FORM_RULE)
    return _checked(stripped.upper())


@lru_cache(maxsize=_CHECKED_KEPT)
def _checked(code: str) -> str:
    if _FORM.fullmatch(code) is None:
        raise _refusal(_FORM_RULE)
    if code[16] != _organisation_check(code[8:16]):
        raise _refusal("the organisation code's check character (the 17th) does not fit")
    if code[17] != _last_check(code[:17]):
        raise _refusal("the check character (the 18th) does not fit")
    return code


def make_uscc(serial: int, region: str = NOWHERE, registered: str = ENTERPRISE) -> str:
    """Make up a subject's code; without a region, one that no real subject has.

    Args:
        serial: 0 to 99,999,999; another serial gives another code.
        region: six digits.
        registered: by whom and as what, two characters.

    Raises:
        SafeRoomError: `MALFORMED_SUBJECT` for a part out of range.
    """
    if not 0 <= serial < _SERIALS or _REGION.fullmatch(region) is None:
        raise _refusal("a serial below 100,000,000 and a region of six digits")
    body = f"{serial:08d}"
    code = f"{registered}{region}{body}{_organisation_check(body)}"
    if _FORM.fullmatch(f"{code}0") is None:
        raise _refusal(_FORM_RULE)
    return code + _last_check(code)


def _organisation_check(body: str) -> str:
    total = sum(map(mul, map(_ORGANISATION_VALUES.__getitem__, body), ORGANISATION_WEIGHTS))
    return ORGANISATION_CHECKS[total % 11]


def _last_check(code: str) -> str:
    total = sum(map(mul, map(_VALUES.__getitem__, code), _WEIGHTS))
    return ALPHABET[-total % len(ALPHABET)]


def _refusal(rule: str) -> SafeRoomError:
    return SafeRoomError(
        Reason.MALFORMED_SUBJECT, f"subject: {rule}", [FieldFault("subject", rule)]
    )
