"""Federated trainings in the log: who joined, and which banks tell of another model."""

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
    courses: dict[str, str] = field(default_factory=dict[str, str])
    """By the bank that says what it trained, in the log's order."""

    @property
    def differing(self) -> tuple[str, ...]:
        """The banks that tell of another course than the first: no fault of the log or the room.

        Each bank says for itself what it trained; the room cannot know whether it is so.
        """
        first = next(iter(self.courses.values()), "")
        return tuple(bank for bank, course in self.courses.items() if course != first)

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
                all had.
        """
        if self.joined != set(self.proposal.banks) or not set(says.banks) <= self.joined:
            raise SafeRoomError(Reason.NOT_ALLOWED, "it was trained before all banks had joined")
        self.courses.setdefault(says.institution, says.course)


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
