"""A scorecard as PMML 4.4, as other evaluators read it (Data Mining Group, Scorecard)."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

from saferoom_models.scorecard.binning import Classes, Holds, Interval
from saferoom_models.scorecard.card import MOST_REASONS, Card, CardColumn
from saferoom_models.scorecard.faults import Fault, ScorecardError

_SPACE: Final = "http://www.dmg.org/PMML-4_4"
_UNWRITABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write (section 2.2)."""
POINTS: Final = "points"
REASON: Final = "reason_{rank}"


def to_pmml(card: Card, *, name: str, about: str) -> bytes:
    """Write a card as PMML: points, and the columns that lost most of them.

    Args:
        card: the card.
        name: of the model.
        about: what it is, in a sentence.

    Raises:
        ScorecardError: `BAD_CARD` for a name that XML cannot hold, or that an output has.
    """
    _require_writable(card, name, about)
    root = ET.Element("PMML", xmlns=_SPACE, version="4.4")
    header = ET.SubElement(root, "Header", description=about)
    ET.SubElement(header, "Application", name="Saferoom")
    fields = ET.SubElement(root, "DataDictionary", numberOfFields=str(len(card.columns)))
    model = ET.SubElement(
        root,
        "Scorecard",
        modelName=name,
        functionName="regression",
        useReasonCodes="true",
        reasonCodeAlgorithm="pointsBelow",
        initialScore="0",
        baselineMethod="max",
    )
    schema = ET.SubElement(model, "MiningSchema")
    _outputs(model, card)
    characteristics = ET.SubElement(model, "Characteristics")
    for column in card.columns:
        kind = ("categorical", "string") if column.of_classes else ("continuous", "double")
        ET.SubElement(fields, "DataField", name=column.name, optype=kind[0], dataType=kind[1])
        # A class that the card does not know is asked of the predicates, and falls to the last.
        ET.SubElement(schema, "MiningField", name=column.name, invalidValueTreatment="asIs")
        _characteristic(characteristics, column)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _outputs(model: ET.Element, card: Card) -> None:
    outputs = ET.SubElement(model, "Output")
    ET.SubElement(
        outputs,
        "OutputField",
        name=POINTS,
        feature="predictedValue",
        optype="continuous",
        dataType="double",
    )
    for rank in range(1, min(MOST_REASONS, len(card.columns)) + 1):
        ET.SubElement(
            outputs,
            "OutputField",
            name=REASON.format(rank=rank),
            feature="reasonCode",
            rank=str(rank),
            optype="categorical",
            dataType="string",
        )


def _characteristic(parent: ET.Element, column: CardColumn) -> None:
    made = ET.SubElement(
        parent,
        "Characteristic",
        name=column.name,
        reasonCode=column.name,
        baselineScore=str(column.most),
    )
    for each, points in zip(column.binned.bins, column.points, strict=True):
        attribute = ET.SubElement(made, "Attribute", partialScore=str(points))
        _predicate(attribute, column.name, each.holds)


def _predicate(parent: ET.Element, field: str, holds: Holds) -> None:
    """Write whose rows a bin holds; the first that is true counts, and the last always is."""
    match holds:
        case Interval(low, high):
            if low is not None and high is not None:
                parent = ET.SubElement(parent, "CompoundPredicate", booleanOperator="and")
            if low is not None:
                _simple(parent, field, "greaterOrEqual", low)
            if high is not None:
                _simple(parent, field, "lessThan", high)
        case Classes(names):
            # Not an Array: how one escapes quotes and backslashes, evaluators read differently.
            if len(names) > 1:
                parent = ET.SubElement(parent, "CompoundPredicate", booleanOperator="or")
            for name in names:
                _simple(parent, field, "equal", name)
        case _:
            ET.SubElement(parent, "True")


def _simple(parent: ET.Element, field: str, operator: str, value: float | str) -> None:
    ET.SubElement(parent, "SimplePredicate", field=field, operator=operator, value=str(value))


def _require_writable(card: Card, name: str, about: str) -> None:
    taken = {POINTS, *(REASON.format(rank=rank) for rank in range(1, MOST_REASONS + 1))}
    texts = [name, about]
    for column in card.columns:
        if column.name in taken:
            detail = f"{column.name}: an output has this name: name the column otherwise"
            raise ScorecardError(Fault.BAD_CARD, detail)
        texts.append(column.name)
        for each in column.binned.bins:
            if isinstance(each.holds, Classes):
                texts += each.holds.names
    for text in texts:
        if _UNWRITABLE.search(text):
            detail = f"{text!r}: PMML has no way to write a character of it"
            raise ScorecardError(Fault.BAD_CARD, detail)
