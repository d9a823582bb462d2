"""A feature's budget in words: `questions: all`, or how many of its thresholds may be asked.

Bits follow from the price of so many questions; who writes a draft need not reckon in logarithms.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, cast

from saferoom_proto.bits import fewest_bits
from saferoom_proto.formula import FeatureRef, FeatureShape
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.feature import Absent, FeatureKind, StatedForm

_FIELD: Final = "questions"
_ALL: Final = "all"


def with_budget(document: dict[str, object]) -> dict[str, object]:
    """Write out `questions` as `budget_bits`; a draft that has bits, or neither, is left as it is.

    Raises:
        SafeRoomError: `MALFORMED`, if it is no number of questions that the feature has.
    """
    if _FIELD not in document or "budget_bits" in document:
        return document
    shape, most = _shape(document)
    asked = document[_FIELD]
    count = most if asked == _ALL else _count(asked)
    if shape is None or not count or not 1 <= count <= shape.cuts:
        rule = f"1 to {most}, or all" if most else "a number of values that may be stated"
        raise SafeRoomError(Reason.MALFORMED, _FIELD, (FieldFault(_FIELD, rule),))
    bits = fewest_bits(shape.cells_told(count))
    rest = {name: value for name, value in document.items() if name != _FIELD}
    return {**rest, "budget_bits": str(bits)}


def _count(asked: object) -> int | None:
    text = str(asked)
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("100000") else None


def _shape(document: Mapping[str, object]) -> tuple[FeatureShape | None, int | None]:
    """Give what the draft may be compared with, and by how many questions; none if it is unclear.

    What is wrong with the other fields is told when the whole draft is read.
    """
    grid, classes = (cast("list[object]", document.get(name) or []) for name in ("grid", "classes"))
    try:
        kind, absent = FeatureKind(str(document.get("kind"))), Absent(str(document.get("absent")))
        shape = FeatureShape(
            FeatureRef("of", "draft"),
            kind,
            tuple(Decimal(at) for at in range(len(grid))),
            tuple(f"class {at}" for at in range(len(classes))),
            absent,
            StatedForm.TEXT if kind is FeatureKind.STATED else None,
            fetched=bool(document.get("source")),
        )
    except (ValueError, SafeRoomError):
        return None, None
    return shape, None if kind is FeatureKind.STATED else shape.cuts
