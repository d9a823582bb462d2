"""What the log has said so far: everything that a later word may rest on, by its digest."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from saferoom_client.audit.disputes import Disputes
from saferoom_client.audit.federations import Federated
from saferoom_client.audit.linked import Learners, Linked
from saferoom_client.audit.stops import Stops
from saferoom_client.audit.streams import Streams
from saferoom_client.records.coverage import Store
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.load_order import LoadOrder
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.statements import Approval, Consent, Endorsement, Feature, Schema
from saferoom_proto.trust import Trust
from saferoom_proto.verification import PinnedAgreement, PinnedCharter

T = TypeVar("T")
StoreOrder = LoadOrder | RollbackOrder
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Placed(Generic[T]):
    """Something that the log says, and the entry that says it."""

    entry: int
    says: T


@dataclass(frozen=True, slots=True)
class Ending:
    """Something that takes back what an earlier entry allowed.

    Attributes:
        entry: where it stands.
        not_before: an instant at which it had not been recorded yet: the latest that was named
            before it.
        at: of a withdrawal, when it counts from at the earliest: approvals from before do not.
    """

    entry: int
    not_before: datetime
    at: datetime = LONG_AGO


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order for a load or a rollback, as the log holds it; nobody has verified it."""

    statement: Envelope
    says: StoreOrder


@dataclass(slots=True)
class Book:
    """The log's statements as far as they have been read, each verified when it was."""

    trust: Trust
    entries: dict[str, int] = field(default_factory=dict[str, int])
    """The first entry of every statement, by its digest."""
    in_force: dict[str, PinnedCharter] = field(default_factory=dict[str, PinnedCharter])
    roots: dict[str, str] = field(default_factory=dict[str, str])
    """Which key must sign each owner's next charter."""
    charters: dict[str, PinnedCharter] = field(default_factory=dict[str, PinnedCharter])
    endorsements: dict[str, Endorsement] = field(default_factory=dict[str, Endorsement])
    features: dict[str, Feature] = field(default_factory=dict[str, Feature])
    defined: dict[str, list[Placed[Envelope]]] = field(
        default_factory=dict[str, list[Placed[Envelope]]]
    )
    """Every definition of a feature, by its full name."""
    templates: dict[str, Envelope] = field(default_factory=dict[str, Envelope])
    certificates: dict[str, ReleaseCertificate] = field(
        default_factory=dict[str, ReleaseCertificate]
    )
    underived: set[str] = field(default_factory=set[str])
    """Certificates that are not what their templates and features come to."""
    approvals: dict[str, Placed[Approval]] = field(default_factory=dict[str, Placed[Approval]])
    withdrawals: dict[tuple[str, str], list[Ending]] = field(
        default_factory=dict[tuple[str, str], list[Ending]]
    )
    """By owner and template."""
    agreements: dict[str, Placed[PinnedAgreement]] = field(
        default_factory=dict[str, Placed[PinnedAgreement]]
    )
    ends: dict[str, Ending] = field(default_factory=dict[str, Ending])
    """By the agreement that they end, by itself or by one that replaces it."""
    linked: dict[str, Linked] = field(default_factory=dict[str, Linked])
    """By owner: what its agreements say of who shares what it learns."""
    consents: dict[str, Placed[Consent]] = field(default_factory=dict[str, Placed[Consent]])
    revocations: dict[tuple[str, str], Ending] = field(
        default_factory=dict[tuple[str, str], Ending]
    )
    """By consent and subject: nobody takes back what another gave."""
    revoked: dict[str, Ending] = field(default_factory=dict[str, Ending])
    """Certificates, by their fingerprints."""
    stops: dict[str, Stops] = field(default_factory=dict[str, Stops])
    """By owner."""
    orders: dict[str, Ordered] = field(default_factory=dict[str, Ordered])
    """For loads and rollbacks."""
    recoveries: dict[str, Envelope] = field(default_factory=dict[str, Envelope])
    """What approvers said about older copies of their enclave."""
    disputes: Disputes = field(default_factory=Disputes)
    epochs: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    """Owners and the periods whose snapshots stand in the log."""
    schemas: dict[str, Schema] = field(default_factory=dict[str, Schema])
    stores: dict[str, Store] = field(default_factory=dict[str, Store])
    """By owner: what its enclave said last of its store."""
    federations: dict[str, Federated] = field(default_factory=dict[str, Federated])
    """Federated trainings, by their proposals."""
    streams: Streams = field(default_factory=Streams)
    latest: datetime = LONG_AGO
    """The latest instant that any enclave's word has named."""
    unpinned: set[str] = field(default_factory=set[str])
    """Owners whose charter root is not pinned here: their enclaves cannot be judged."""

    def charter(self, owner: str, digest: str | None = None) -> PinnedCharter:
        """Give an owner's charter that the log holds: one by its digest, or the one in force.

        Raises:
            SafeRoomError: `BAD_CHARTER` if it is not there, or is another's.
        """
        found = self.in_force.get(owner) if digest is None else self.charters.get(digest)
        if found is None or found.charter.owner != owner:
            raise SafeRoomError(Reason.BAD_CHARTER, f"no charter of {owner} stands before it")
        return found

    def learners(self, owner: str, agreement: str, place: int) -> Learners:
        """Give who learns what an enclave told under an agreement, at a place of its stream."""
        group = self.agreements[agreement].says.agreement.group
        groups = self.linked.get(owner, Linked()).groups(self.streams.reached(owner, place))
        return Learners(group, groups.linked(group), groups.knowing(group))

    def require_before(self, digest: str, what: str) -> int:
        """Give the entry of a statement that stands in the log already.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT`.
        """
        if digest not in self.entries:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, f"its {what} does not stand before it")
        return self.entries[digest]

    def require_own(self, owner: str, agreement: str, what: str) -> None:
        """Require an agreement of an owner's own, as before: nobody ends another's."""
        self.require_before(agreement, what)
        placed = self.agreements.get(agreement)
        if placed is None or placed.says.agreement.owner != owner:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, f"its {what} does not stand before it")

    def require_ended(self, cancel: str | None) -> None:
        """Require an institution's word that ended something, if one is named; as before."""
        if cancel is not None:
            self.require_before(cancel, "cancel")
