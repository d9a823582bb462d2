"""A card's bins, reasons and notes in words of the language that is spoken."""

from __future__ import annotations

from typing import Final

from saferoom_client.scorecards.applying import MOVED, STABLE, Loss
from saferoom_client.scorecards.document import KeptBin, KeptMeasure, KeptNote
from saferoom_client.tongue import later, say

_NOTES: Final = {
    "ONE_BIN": later("{column}: left out, since the rules of bins leave it a single one."),
    "TELLS_LABEL": later(
        "{column}: left out, since it all but tells the label: it may have been written after the"
        " event."
    ),
    "LITTLE_VALUE": later("{column}: left out, since it tells little ({value:.3f})."),
    "OTHER_SIGN": later(
        "{column}: beside the other columns its weight goes against its bins ({value:.3f}); it may"
        " tell the same as another one."
    ),
    "SUSPICIOUS": later(
        "{column}: it tells more than is likely ({value:.3f}); was it known before the event?"
    ),
    "MISSING_UNKNOWN": later(
        "{column}: too few rows without a value to know their risk: they have the riskiest bin's"
        " points."
    ),
    "FEW_EVENTS": later(
        "Few events for so many columns, fewer than 10 for each: do not rely on single weights."
    ),
    "WEIGHED_ALONE": later(
        "Each column counts for all that it tells by itself: what two tell alike counts twice."
        " Tables of two columns and the label, no number of them withheld, would weigh them."
    ),
    "SAME": later("{column}: left out, since it all but tells the same as another ({value:.3f})."),
    "WITHHELD": later("{column}: left out, since a number of it was withheld."),
}


def bin_words(held: KeptBin) -> str:
    """Say whose rows a bin holds."""
    if held.missing:
        return say("no value")
    if held.classes:
        return say(", ").join(held.classes)
    if held.low is None:
        return say("below {high:.12g}", high=held.high)
    if held.high is None:
        return say("from {low:.12g} on", low=held.low)
    return say("from {low:.12g} to below {high:.12g}", low=held.low, high=held.high)


def reason_words(loss: Loss) -> str:
    """Say why a row has not all of a column's points."""
    return say(
        "{column} ({bin}): {points} points less than the best",
        column=loss.column.name,
        bin=bin_words(loss.bin),
        points=loss.points,
    )


def note_words(note: KeptNote) -> str:
    """Say what stood out; what this client does not know is given as it came."""
    if note.kind not in _NOTES:
        return f"{note.kind}: {note.column}"
    return say(_NOTES[note.kind], column=note.column, value=note.value)


def measure_words(told: KeptMeasure) -> str:
    """Say a measure, and between what it lies."""
    return say(
        "{value:.4f}, with 95 % confidence between {low:.4f} and {high:.4f}",
        value=told.value,
        low=told.low,
        high=told.high,
    )


def stability_words(index: float) -> str:
    """Say a stability index, and what it is taken for."""
    if index < STABLE:
        return say("{index:.4f}, stable", index=index)
    if index < MOVED:
        return say("{index:.4f}, moved somewhat", index=index)
    return say("{index:.4f}, moved: look at the card again", index=index)


def points_words(low: int | None, high: int | None) -> str:
    """Say between which points a band lies."""
    if low is None:
        return say("below {high} points", high=high)
    if high is None:
        return say("from {low} points on", low=low)
    return say("{low} to below {high} points", low=low, high=high)
