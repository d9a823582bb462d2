"""What an owner's limits let a bank learn, in words: "which of 8 bands, never more"."""

from __future__ import annotations

from decimal import Decimal

from saferoom_client.tongue import say
from saferoom_proto.bits import most_cells
from saferoom_proto.formula import FeatureShape
from saferoom_proto.pinned import MAX_CHECK_LEVEL, PinnedFeature
from saferoom_proto.statements import Charter, Feature, FeatureKind, LevelLimits
from saferoom_proto.statements.feature import CONSENT_FROM_LEVEL


def level_in_words(limit: LevelLimits) -> str:
    """Say what a charter lets one institution group learn at a level."""
    if limit.level < CONSENT_FROM_LEVEL:
        return say("asked without consent and without a charge")
    words = (
        say(
            "of a feature {cells:,} possible values told apart in a period,"
            " of a family {family:,} in 36 months",
            cells=most_cells(limit.feature_bits),
            family=most_cells(limit.family_bits),
        )
        if limit.family_bits
        else say("nothing")
    )
    if limit.level > MAX_CHECK_LEVEL:
        return say("only whether a stated value is the one held; {words}", words=words)
    return words


def learnable(feature: Feature, charter: Charter) -> str:
    """Say the most that one institution group can learn of a feature in one period."""
    if feature.level < CONSENT_FROM_LEVEL:
        return say("all that may be asked: it is public by law")
    if feature.level > MAX_CHECK_LEVEL and feature.kind is not FeatureKind.STATED:
        return say("nothing: of level 4 only values that are stated are compared")
    limit = charter.limit(feature.level).feature_bits
    shape = PinnedFeature(feature, "").shape
    questions = affordable(shape, min(feature.budget_bits, limit))
    if not questions and limit < feature.budget_bits:
        return say(
            "nothing: the charter's limit of {bits} bits at level {level} buys no question",
            bits=limit,
            level=feature.level,
        )
    if not questions:
        return say("nothing: its budget buys no question")
    words = _words(shape, questions)
    return say("{words}, or that nothing is held", words=words) if shape.can_be_unknown else words


def affordable(shape: FeatureShape, bits: Decimal) -> int:
    """Give how many different cuts, classes or stated values a budget buys."""
    cells, count = most_cells(bits), 0
    while count < shape.cuts and shape.cells_told(count + 1) <= cells:
        count += 1
    return count


def _words(shape: FeatureShape, questions: int) -> str:
    match shape.kind:
        case FeatureKind.FLAG:
            return say("whether it is so, never more")
        case FeatureKind.STATED:
            return say(
                "whether it is one of {questions} values that it states, never more",
                questions=questions,
            )
        case FeatureKind.CLASSES if questions < shape.cuts - 1:
            return say(
                "whether it is one of {questions} of its {classes} classes, never more",
                questions=questions,
                classes=shape.cells,
            )
        case FeatureKind.CLASSES:
            return say("which of {cells} classes, never more", cells=shape.cells)
        case _ if questions < shape.cuts:
            return say(
                "in which of {told} parts of its {cells} bands, by {questions} of {cuts}"
                " thresholds, each chosen by the answers before it, never more",
                told=shape.cells_told(questions) - shape.can_be_unknown,
                cells=shape.cells,
                questions=questions,
                cuts=shape.cuts,
            )
        case _:
            return say("which of {cells} bands, never more", cells=shape.cells)
