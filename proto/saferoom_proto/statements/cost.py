"""What a question would cost: asked before the question itself, and told by the enclave.

A request of a kind of its own, so that nobody can take it for the question; and a word of the
enclave's, in its chain like every other. Nothing here depends on a record: the word is a function
of the statements in force and of the questions that were asked.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from saferoom_proto.reasons import Reason
from saferoom_proto.statements.base import (
    Digest,
    FeatureName,
    Instant,
    Name,
    Owner,
    Part,
    Payload,
    Usage,
)
from saferoom_proto.statements.enclave import ChainLink, StoreState, StreamPosition
from saferoom_proto.statements.request import SubjectRequest

Bits = Annotated[Decimal, Field(ge=0, decimal_places=3)]
"""Bits for people, in thousandths; what was spent is rounded up, so what is left is never more."""
Cells = Annotated[int, Field(ge=1, le=(1 << 53) - 1)]


class CostRequest(SubjectRequest):
    """What would this check cost? Fields as the check's; nothing comes back under seal."""

    KIND: ClassVar[str] = "cost-request"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION


class FeaturePrice(Part):
    """What a question would cost of one feature, in the period of the store in force."""

    feature: FeatureName
    family: Owner
    cells_before: Cells
    """Cells told apart by what the institution's group asked so far."""
    cells_after: Cells
    """With this question."""
    budget_bits: Bits
    within: bool
    """Whether the question stays within the feature's budget; a repeat always does."""


class FamilyPrice(Part):
    """What a question would cost of one family of features, over 36 months."""

    family: Owner
    bits_before: Bits
    bits_after: Bits
    cap_bits: Bits
    within: bool


class CostEstimate(Payload):
    """An enclave's signed word on what a question would cost now; nothing was charged for it.

    `refused` is the reason for which the question itself would be refused now. Refused before its
    price would be looked at, it has no prices: so nobody learns what was asked about a subject
    without being allowed to ask about it.
    """

    KIND: ClassVar[str] = "cost-estimate"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    request: Digest
    institution: Name
    endorsement: Digest
    charter: Digest
    template: Digest
    certificate: Digest
    agreement: Digest
    stream: StreamPosition
    store: StoreState | None
    refused: Reason | None
    features: tuple[FeaturePrice, ...]
    families: tuple[FamilyPrice, ...]
    chain: ChainLink
    time: Instant

    @model_validator(mode="after")
    def _whole(self) -> CostEstimate:
        within = all(each.within for each in (*self.features, *self.families))
        if within == (self.refused is Reason.OVER_BUDGET):
            raise ValueError("over budget is what is not within a budget or cap")
        if self.features and self.refused not in (None, Reason.OVER_BUDGET):
            raise ValueError("a question refused for another reason has no price")
        return self
