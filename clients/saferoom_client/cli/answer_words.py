"""What an owner's enclave said, in words and in a document: an answer, a refusal, or a share."""

from __future__ import annotations

from saferoom_client.tongue import later, say
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason
from saferoom_proto.shares import Share

_SHARE = later("its share of the answer")


def in_words(outcome: Truth | Share | Reason) -> str:
    """Say what became of a question at one owner; a refusal by its reason's name."""
    if isinstance(outcome, Share):
        return say(_SHARE)
    return say(outcome) if isinstance(outcome, Truth) else outcome


def in_document(outcome: Truth | Share | Reason | None) -> str | None:
    """Name it for a program. A share's number tells nothing alone: the receipt has it."""
    return "share" if isinstance(outcome, Share) else outcome
