"""A rule is said in the language of whoever broke it; it comes in English, over the wire or not.

What it is about may stand before it, as in `tax.vat_paid: it is not one of the feature's
thresholds`; what is about names and numbers stays as it is.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from saferoom_client.cli.answers_met import ANSWERS
from saferoom_client.cli.drafts_met import DRAFTS_WITH_VALUES
from saferoom_client.cli.enclaves_met import ENCLAVES
from saferoom_client.cli.faults_met import FAULTS_WITH_VALUES
from saferoom_client.cli.files_met import FILES
from saferoom_client.cli.foreign_rules import in_our_words, without_prefix
from saferoom_client.cli.proofs_met import PROOFS
from saferoom_client.cli.rooms_met import ROOMS
from saferoom_client.cli.rules_met import WITH_VALUES
from saferoom_client.cli.statements_met import STATEMENTS
from saferoom_client.cli.trainings_met import TRAININGS
from saferoom_client.tongue import say

_IN_WORDS: Final = frozenset({"rule", "detail", "error", "why", "what", "field", "kind"})
"""Places that hold words of ours; what stands in another is a name or a value of the user's own."""
_PLACE: Final = re.compile(r"\{(\w+)\}")
_LINE: Final = re.compile(r"(?P<file>.+?:?) line (?P<line>\d+)(?: column (?P<column>\d+))?")
_LISTED: Final = (
    *(WITH_VALUES, FAULTS_WITH_VALUES, DRAFTS_WITH_VALUES, STATEMENTS, PROOFS, ANSWERS),
    *(ROOMS, ENCLAVES, FILES, TRAININGS),
)


def say_rule(rule: str) -> str:
    """Give a rule in the language that is spoken, also where it stands after what it is about."""
    if (ours := in_our_words(rule)) is not None:
        return ours
    rule = without_prefix(rule)
    if (whole := say(rule)) != rule:
        return whole
    for message, fixed in _shapes():
        if all(part in rule for part in fixed) and (values := _values(message, rule)):
            told = {
                name: say_rule(value) if name in _IN_WORDS else value
                for name, value in values.items()
            }
            return say(message, **told)
    about, colon, told = rule.partition(": ")
    return f"{about}: {say_rule(told)}" if colon else rule


def say_place(place: str) -> str:
    """Give a place in the language that is spoken: a line, and a column, of a file are words."""
    found = _LINE.fullmatch(place)
    if found is None:
        return place
    where = {name: number for name, number in found.groupdict().items() if number}
    if "column" in where:
        return say("{file} line {line} column {column}", **where)
    return say("{file} line {line}", **where)


@cache
def _shapes() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Give each rule with values and what is fixed in it; first those in which most is."""
    shapes = (
        (message, tuple(_PLACE.sub("\0", message).split("\0")))
        for listed in _LISTED
        for message in listed
        if _PLACE.search(message)
    )
    return tuple(sorted(shapes, key=lambda shape: -sum(map(len, shape[1]))))


def _values(message: str, rule: str) -> dict[str, str] | None:
    """Take the values out of a rule; none if it is another one than the message says."""
    parts = _PLACE.split(message)
    pattern = "".join(
        f"(?P<{part}>.+?)" if place % 2 else re.escape(part) for place, part in enumerate(parts)
    )
    found = re.fullmatch(pattern, rule, re.DOTALL)
    return found.groupdict() if found else None
