"""Whether people could take an organisation for another: by its handle, or by its names.

A consent, an agreement and an answer name handles, and people read names beside them. So no two
organisations of a room look alike, and a name is written in letters that its readers tell apart.

Source: Unicode Technical Standard 39, sections 4 (confusables) and 5.2 (restriction levels), of
which handles need the four pairs of ASCII, and names no script beside Latin and Han.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

from saferoom.register import Organisation
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

_LOOKS: Final = (("0", "o"), ("1", "l"), ("rn", "m"), ("vv", "w"))
_SCRIPTS: Final = ("LATIN ", "CJK UNIFIED IDEOGRAPH-")


def require_unlike(organisation: Organisation, others: Iterable[Organisation]) -> None:
    """Refuse an organisation that people could take for one of the others.

    Raises:
        SafeRoomError: `MALFORMED` for a name in letters that nobody tells apart, `CONFLICT` for
            one that looks like another's.
    """
    named = _named(organisation)
    for field in ("organisation.title_en", "organisation.title_zh"):
        if not _is_plain(named[field]):
            rule = "a name has Latin letters, Chinese characters, digits and punctuation only"
            raise SafeRoomError(Reason.MALFORMED, field, [FieldFault(field, rule)])
    for other in others:
        looks = set(map(_look, _named(other).values()))
        for field, name in named.items():
            if _look(name) in looks:
                rule = f"people could take it for {other.name}, which is enrolled"
                raise SafeRoomError(Reason.CONFLICT, field, [FieldFault(field, rule)])


def _named(organisation: Organisation) -> dict[str, str]:
    """Give what people know an organisation by, each with its field."""
    return {
        "organisation.name": organisation.name,
        "organisation.title_en": organisation.title_en,
        "organisation.title_zh": organisation.title_zh,
    }


def _is_plain(title: str) -> bool:
    """Tell whether each character shows, and shows what it is."""
    written = unicodedata.normalize("NFKC", title)
    return any(map(str.isalnum, written)) and all(map(_is_plain_character, written))


def _is_plain_character(one: str) -> bool:
    if one.isascii():
        return one.isprintable()
    category = unicodedata.category(one)
    return category[0] == "P" or (
        category[0] == "L" and unicodedata.name(one, "").startswith(_SCRIPTS)
    )


def _look(name: str) -> str:
    """Give what names have in common that look alike: letters and digits, without case or marks."""
    written = unicodedata.normalize("NFKD", name).casefold()
    look = "".join(one for one in written if one.isalnum())
    for one, other in _LOOKS:
        look = look.replace(one, other)
    return look
