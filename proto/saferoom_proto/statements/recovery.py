"""How an enclave goes on from an older copy of its folder: its owner's approvers decide it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field, model_validator

from saferoom_proto.statements.base import (
    Digest,
    Instant,
    Name,
    Owner,
    Payload,
    Text,
    Usage,
)
from saferoom_proto.statements.enclave import ChainLink, Count, StoreState, StreamPosition

MOST_APPROVERS: Final = 16
"""Whose words may come with one decision; no charter asks for more."""


class Recovery(Payload):
    """An approver lets the enclave go on from an older copy of its folder, or from an empty one.

    It counts once as many approvers have said the same as the charter asks. What the copy has
    forgotten is not given back: every budget of the periods named here counts as spent.
    """

    KIND: ClassVar[str] = "recovery"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    approver: Name
    found: ChainLink
    """Where the copy's own chain ends; an empty folder's is at its beginning."""
    follows: ChainLink
    """Where the chain goes on: after the last entry of it that anybody knows, so that no place of
    it is taken twice."""
    last_epoch: Count
    """The last period that is known to have begun."""
    why: Text
    at: Instant

    @model_validator(mode="after")
    def _goes_on(self) -> Recovery:
        if self.found == self.follows or self.found.index > self.follows.index:
            raise ValueError("an enclave goes on after what it has forgotten, not before")
        return self


class Recovered(Payload):
    """An enclave's signed word that it goes on from an older copy: the first entry after the gap.

    It stands where its approvers said that the chain goes on. An auditor sees by it what was
    forgotten: the places between `found` and its own.
    """

    KIND: ClassVar[str] = "recovered"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    endorsement: Digest
    recoveries: Annotated[tuple[Digest, ...], Field(min_length=1, max_length=MOST_APPROVERS)]
    """The approvers' statements that it goes by, which stand in the ledger before it."""
    found: ChainLink
    store: StoreState | None
    stream: StreamPosition
    closed_epoch: Count
    """Budgets of every period up to this one count as spent."""
    chain: ChainLink
    time: Instant
