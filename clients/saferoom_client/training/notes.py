"""What stood out in a training, in words of the language that is spoken."""

from __future__ import annotations

import re
from typing import Final

from saferoom_client.tongue import later, say
from saferoom_client.training.report import Note

_ROUNDS: Final = re.compile(r"(\d+) rounds")
"""The place of a note that is about all of a training (`saferoom_models/vertical/course.py`)."""
_WORDS: Final = {
    "CONSTANT": later("{place}: left out, since it is the same in all common rows."),
    "RARE": later("{place}: left out, since fewer than 50 rows differ from the rest."),
    "CORRELATED": later(
        "{place}: strongly correlated; the ridge shares the weight, so read neither alone."
    ),
    "FEW_EVENTS": later(
        "Few events for the columns ({place}): the ridge holds the weights; do not read them alone."
    ),
    "TORN_APART": later(
        "Columns of the two sides seem strongly correlated ({place}); do not read weights alone."
    ),
    "NOT_CONVERGED": later(
        "Not converged after {place}: take a stronger ridge or rank 8, or keep correlated columns"
        " on one side."
    ),
}


def note_words(note: Note) -> str:
    """Say a note; one of a kind that this client does not know is given as it came."""
    if note.kind not in _WORDS:
        return f"{note.kind}: {note.place}: {note.detail}"
    counted = _ROUNDS.fullmatch(note.place)
    place = say("{rounds} rounds", rounds=counted[1]) if counted else note.place
    return say(_WORDS[note.kind], place=place)
