"""What the room tells, as values: no message of the wire goes past `saferoom_client.wire`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from saferoom_client.evidence import CheckEvidence
from saferoom_proto.answer import Truth
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.formula import FeatureRef
from saferoom_proto.load_faults import LinkCount
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.receipt import Receipt
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.statements import (
    Acknowledgement,
    Agreement,
    Charge,
    Consent,
    FeaturePrice,
    Snapshot,
    Template,
    TemplateRefusal,
    Title,
)
from saferoom_proto.statements.witnesses import Witnessed
from saferoom_proto.verification import PinnedCharter
from saferoom_proto.wire import Recorded


def bits_told(charges: Iterable[Charge | FeaturePrice]) -> float:
    """Give the most bits that charges stand for, beyond what was asked before."""
    return sum(math.log2(one.cells_after / one.cells_before) for one in charges)


class Role(StrEnum):
    """What an organisation's members may do in the room."""

    OPERATOR = "operator"
    OWNER = "owner"
    INSTITUTION = "institution"
    AUDITOR = "auditor"
    ISSUER = "issuer"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class EnclaveState:
    """How an owner's enclave does: serving, locked, starting, away or down."""

    owner: str
    state: str
    sandbox_level: int
    sandbox_missing: tuple[str, ...]
    endorsement: str
    run_by: str
    """`server`, or `owner`, whose relay connects it."""
    connected: bool
    fault: str
    """Why it cannot answer, by the room's word; empty if nothing is known to be wrong."""


@dataclass(frozen=True, slots=True)
class RoomState:
    """The room as it describes itself; the keys are those that were pinned, or it was refused."""

    origin: str
    version: str
    enclaves: tuple[EnclaveState, ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom the room takes the caller for."""

    organisation: str
    name: str
    roles: frozenset[Role]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class MemberCertificate:
    """A certificate with which an organisation's member has called."""

    fingerprint: str
    organisation: str
    name: str
    first_seen: datetime
    ends: datetime
    revoked: bool


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation of the room."""

    name: str
    title: Title
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of a load that breaks the schema. It never holds the value."""

    table: str
    line: int
    column: str
    rule: str


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of a load: a new snapshot, or the rows for which it was refused whole.

    Attributes:
        left: of the rows that were left out, the first.
        links: what became of the rows of each linked table: the enclave's own count.
    """

    snapshot: Snapshot | None
    recorded: Recorded | None
    bad_rows: tuple[BadRow, ...]
    bad_row_count: int
    left: tuple[BadRow, ...] = ()
    links: tuple[LinkCount, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreVersion:
    """A snapshot of an owner's store: the enclave's word, verified.

    Attributes:
        snapshot: which records, under which schema, since when.
        approver: who ordered it.
        rollback: the order, if it went back to an earlier snapshot; none for a load.
        in_use: answers come from it.
        kept: the enclave can go back to it, or answers from it.
    """

    snapshot: Snapshot
    approver: str
    rollback: RollbackOrder | None
    in_use: bool = False
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """A template as recorded, and the certificate that was derived and handed in with it."""

    recorded: Recorded
    certificate: ReleaseCertificate


@dataclass(frozen=True, slots=True)
class Lacking:
    """Signatures that something still needs: of one organisation, so many of its people's."""

    organisation: str
    names: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class TemplateView:
    """A template with all that bears on it, verified under the pinned charter roots.

    Attributes:
        template: what it asks.
        envelope: the statement; its digest is what approvals and requests name.
        certificate: derived here from the template and the features, not taken from anybody.
        features: every feature it names, with its digest.
        statements: the features' statements, by their full names.
        charters: the charters in force of the owners it touches.
        approvals: the approvals that were given and not withdrawn, not counted yet.
        certificates: digests of the certificates that were handed in for it.
        refusals: approvers' words against it, verified; not those who approved it since.
    """

    template: Template
    envelope: Envelope
    certificate: ReleaseCertificate
    features: Mapping[FeatureRef, PinnedFeature]
    statements: Mapping[str, Envelope]
    charters: Mapping[str, PinnedCharter]
    approvals: tuple[Envelope, ...]
    certificates: tuple[str, ...]
    refusals: tuple[TemplateRefusal, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether a feature has changed since any certificate was handed in."""
        return self.certificate.digest not in self.certificates


@dataclass(frozen=True, slots=True)
class TemplateChanges:
    """What changed since the version that an owner approved before, under the same name.

    Attributes:
        before: digest of that version.
        words: field by field.
        lines: of the signed payloads, with `-` and `+`.
    """

    before: str
    words: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GrantedAgreement:
    """An agreement and its digest, and whether it was ended or another took its place."""

    agreement: Agreement
    digest: str
    ended: bool = False


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """A consent, its digest, and whether it was taken back."""

    consent: Consent
    digest: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class Revocation:
    """A recorded revocation and who verifiably heeds it.

    Attributes:
        recorded: the revocation, in the log.
        acknowledgements: by owner; each is signed by the owner's endorsed enclave and in the log.
        waiting: owners whose enclave was not reached; it counts there once it hears of it.
    """

    recorded: Recorded
    acknowledgements: Mapping[str, Acknowledgement]
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """A verified answer.

    Attributes:
        truth: all parts folded into one answer.
        parts: each owner's own answer; of a private conjunction none, since nobody is told any.
        request_id: digest of the signed question.
        charges: what the question cost at the owners, in cells told apart.
        time: when the last enclave answered.
        evidence: every statement that the answer was verified under.
    """

    truth: Truth
    parts: Mapping[str, Truth]
    request_id: str
    charges: tuple[Charge, ...]
    time: datetime
    evidence: CheckEvidence

    @property
    def receipt(self) -> Receipt:
        """What shows all of it to anybody, offline."""
        return self.evidence.receipt()

    @property
    def bits(self) -> float:
        """The most bits that this answer can have told beyond what was asked before."""
        return bits_told(self.charges)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of the log: the leaf, and for auditors what it commits to."""

    index: int
    leaf: bytes
    statement: Envelope | None
    salt: bytes


@dataclass(frozen=True, slots=True)
class LogReport:
    """What a verification of the log showed.

    Attributes:
        checkpoint: the newest head, now pinned in the profile.
        since: the head it was shown to extend; none the first time, which trusts the signature.
        entries: how many entries were read and hashed to the root.
        opened: how many of them were opened and found to commit to their statements.
        erased: how many can no longer be opened, because their salt was erased.
        witnessed: what the pinned witnesses cosigned, which the head extends; none if none are
            pinned.
    """

    checkpoint: Checkpoint
    since: Checkpoint | None
    entries: int
    opened: int
    erased: int
    witnessed: Witnessed | None = None
