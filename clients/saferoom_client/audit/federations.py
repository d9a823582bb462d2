"""Federated trainings in the log: who joined, and whether all banks tell of one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    FederationEnd,
    FederationJoin,
    FederationProposal,
    FederationResult,
)


@dataclass(slots=True)
class Federated:
    """One federated training, as far as the log has been read."""

    proposal: FederationProposal
    joined: set[str] = field(default_factory=set[str])
    course: str | None = None
    """Of the first bank that says what it trained."""

    def join(self, says: FederationJoin) -> None:
        """Enter a bank.

        Raises:
            SafeRoomError: `CONFLICT` for a bank that joined before: its messages would have two
                keys.
        """
        if says.institution in self.joined:
            raise SafeRoomError(Reason.CONFLICT, f"{says.institution} joins it a second time")
        self.joined.add(says.institution)

    def end(self, says: FederationResult) -> None:
        """Enter what a bank trained.

        Raises:
            SafeRoomError: `NOT_ALLOWED` where it, or a bank behind its sums, had not joined, or not
                all had; `CONFLICT` where another bank tells of another course.
        """
        if self.joined != set(self.proposal.banks) or not set(says.banks) <= self.joined:
            raise SafeRoomError(Reason.NOT_ALLOWED, "it was trained before all banks had joined")
        if self.course is None:
            self.course = says.course
        if self.course != says.course:
            raise SafeRoomError(
                Reason.CONFLICT, f"{says.institution} tells of another model than a bank before it"
            )


def require_federation(
    found: Mapping[str, Federated], says: FederationJoin | FederationEnd | FederationResult
) -> Federated:
    """Give the federation that a bank's word is on.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` where no proposal stands before it; `NOT_ALLOWED` for a
            bank that it does not name.
    """
    federation = found.get(says.federation)
    if federation is None:
        raise SafeRoomError(
            Reason.UNKNOWN_STATEMENT, "its federation-proposal does not stand before it"
        )
    if says.institution not in federation.proposal.banks:
        raise SafeRoomError(Reason.NOT_ALLOWED, "the proposal does not name this bank")
    return federation
