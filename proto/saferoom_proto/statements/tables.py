"""A signed request for a template's tables, and the enclave's word on it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from saferoom_proto.reasons import Reason
from saferoom_proto.statements.aggregate import MOST_CAP, MOST_EPSILON, MOST_SUMMED, Epsilon
from saferoom_proto.statements.base import (
    Digest,
    Instant,
    Name,
    Nonce,
    Owner,
    Part,
    Payload,
    Purpose,
    Usage,
)
from saferoom_proto.statements.enclave import ChainLink, Outcome, StoreState, StreamPosition
from saferoom_proto.statements.request import LONGEST_WINDOW, ReplyKey, require_window

MOST_TOGETHER = 1_000_000
"""A bound on a number that is signed; a store's epoch ends long before."""


class OwnersPeriod(Part):
    """The period of an owner's store that a sum is asked about."""

    owner: Owner
    epoch: Annotated[int, Field(ge=1)]


class TableRequest(Payload):
    """Asks for the tables of a template, about the store in force; by an agreement's key.

    It has no parameters: all that is asked stands in the template that was approved.
    """

    KIND: ClassVar[str] = "table-request"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    institution: Name
    template: Digest
    certificate: Digest
    """The digest of the release certificate, not of anybody's X.509 certificate."""
    purpose: Purpose
    nonce: Nonce
    not_before: Instant
    not_after: Instant
    reply_key: ReplyKey
    """Made for this request: the tables are sealed to it."""
    price: Annotated[bool, Field(exclude_if=lambda each: not each)] = False
    """Asks for no tables, but for what they would cost: its answer is a refusal that says so."""
    periods: Annotated[
        tuple[OwnersPeriod, ...],
        Field(max_length=MOST_SUMMED, exclude_if=lambda each: not each),
    ] = ()
    """Of a sum over owners: about which period of each, in the order of their names. So each
    owner's enclave sees whose records are others than in the sums that it gave its part to. Who
    asks for a price may leave them out, and learns them by it."""

    @model_validator(mode="after")
    def _in_order(self) -> TableRequest:
        require_window(self.not_before, self.not_after, LONGEST_WINDOW)
        owners = [each.owner for each in self.periods]
        if owners != sorted(set(owners)):
            raise ValueError("each owner's period stands once, in the order of the owners' names")
        return self


class PrivacySpent(Part):
    """What an answer with noise was charged to its asker's group, and what that has spent by now.

    Attributes:
        charged: for these tables; 0 if the group was told them before.
        spent: for all tables of the same records, these included, by the group and those that it is
            linked with.
        cap: the least that any of their plans allows.

    Of tables whose price was asked it says what would be.
    """

    charged: Annotated[Epsilon, Field(ge=0, le=MOST_EPSILON)]
    spent: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=3)]
    cap: Annotated[Epsilon, Field(ge=0, le=MOST_CAP)]

    @model_validator(mode="after")
    def _within(self) -> PrivacySpent:
        if self.charged > self.spent:
            raise ValueError("what is charged is part of what is spent")
        return self

    @property
    def within(self) -> bool:
        """Whether it may be told; what costs nothing may.

        Groups that were linked since may have spent more together than the cap.
        """
        return self.charged == 0 or self.spent <= self.cap

    @property
    def left(self) -> Decimal:
        """What may be charged yet, this one included: where its price is asked, before it."""
        return max(Decimal(0), self.cap - self.spent + self.charged)


class TableRelease(Payload):
    """An enclave's signed word on a request for tables: answered or refused, under what.

    Nothing in it depends on a record: the tables, and which of their cells are withheld, are told
    to the asker alone; `answer` commits to them.
    """

    KIND: ClassVar[str] = "table-release"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    request: Digest
    institution: Name
    endorsement: Digest
    charter: Digest
    template: Digest
    certificate: Digest
    approvals: tuple[Digest, ...]
    agreement: Digest
    stream: StreamPosition
    store: StoreState | None
    outcome: Outcome
    reason: Reason | None
    together: Annotated[int | None, Field(ge=1, le=MOST_TOGETHER)]
    """How many plans were protected together: all that was released about these records so far,
    by template and certificate, this one included; whoever asked. None for a refusal."""
    answer: Digest | None
    chain: ChainLink
    time: Instant
    privacy: Annotated[PrivacySpent | None, Field(exclude_if=lambda each: each is None)] = None
    """Of tables with noise; also of those whose price alone was asked."""

    @model_validator(mode="after")
    def _whole(self) -> TableRelease:
        answered = self.outcome is Outcome.ANSWERED
        if answered != (self.answer is not None) or answered == (self.reason is not None):
            raise ValueError("an answer has a commitment and no reason; a refusal has the reverse")
        if answered != (self.together is not None):
            raise ValueError("an answer, and no refusal, says how many plans were protected")
        if answered and (self.store is None or not self.approvals):
            raise ValueError("an answer names its approvals and its store")
        if self.privacy is not None:
            self._require_in_place(self.privacy)
        return self

    def _require_in_place(self, privacy: PrivacySpent) -> None:
        if self.reason not in {None, Reason.PRICE_ONLY, Reason.OVER_BUDGET}:
            raise ValueError("a refusal is charged nothing")
        if self.reason is not Reason.OVER_BUDGET and not privacy.within:
            raise ValueError("what is charged keeps what is spent within the cap")
