"""The rules that people break most, listed for translation: they come over the wire in English.

What a rule is about may stand before it, as in `tax.vat_paid: it is not one of the feature's
thresholds`; what is about names and numbers stays as it is.
"""

from __future__ import annotations

from typing import Final

from saferoom_client.tongue import later, say

RULES: Final = (
    later("missing"),
    later("not a parameter"),
    later("it is not a number in plain digits"),
    later("it is not one of the feature's thresholds"),
    later("it is not one of the feature's classes"),
    later("true or false is expected"),
    later("text is expected: a number's digits or a class's name"),
    later("the organisation code's check character (the 17th) does not fit"),
    later("the check character (the 18th) does not fit"),
    later("each threshold is above the one before"),
    later("a class is named twice"),
    later("is another room's"),
    later("is not enrolled as an institution"),
    later("subjects are not enrolled"),
    later("it must be there"),
    later("this day's readings are used up: ask again tomorrow"),
    later("this day's trials are used up: try again tomorrow, or have another approver try"),
    later("one is under way: wait for its end"),
    later("as many as may be are under way: wait for the end of one"),
    later("is more than a day ago: have the request signed anew"),
    later("it fails on the records"),
    later("a subject has more than one row: aggregate by the subject"),
)
"""A test finds each in the code that gives it."""


def say_rule(rule: str) -> str:
    """Give a rule in the language that is spoken, also where it stands after what it is about."""
    about, colon, told = rule.partition(": ")
    whole = say(rule)
    return whole if whole != rule or not colon else f"{about}: {say(told)}"
