"""What was asked, and what an owner's enclave said: an answer, band, share or refusal."""

from __future__ import annotations

from saferoom_client.tongue import later, say
from saferoom_proto.answer import Band, Told, Truth
from saferoom_proto.reasons import Reason
from saferoom_proto.shares import Share
from saferoom_proto.statements import Template

_SHARE = later("its share of the answer")


def asked_by(template: Template) -> str:
    """Say what a template asks: its formula, whose score, or which register."""
    if template.score is not None:
        return say("the score of the model {model}", model=template.score.model)
    if template.listing is not None:
        owner, table = template.listing.owner, template.listing.table
        return say("who stands in {table} of {owner}", table=table, owner=owner)
    return " ".join(template.check.split())


def in_words(outcome: Told | Reason) -> str:
    """Say what became of a question at one owner; a refusal by its reason's name."""
    match outcome:
        case Share():
            return say(_SHARE)
        case Band():
            return say("band {number}", number=outcome.number)
        case Truth():
            return say(outcome)
        case Reason():
            return outcome


def reasons_of(template: Template, told: Told | Reason | None) -> tuple[str, ...]:
    """Name the features that stand beside the band of a score as its reasons."""
    if template.score is None or not isinstance(told, Band):
        return ()
    return template.score.named(told.lost or 0)


def in_document(outcome: Told | Reason | None) -> str | None:
    """Name it for a program. A share's number tells nothing alone: the receipt has it."""
    if isinstance(outcome, Share):
        return "share"
    return None if outcome is None else str(outcome)
