"""What an enclave signs, and what its owner's key agent signs about it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from saferoom_proto.reasons import Reason
from saferoom_proto.statements.base import (
    Base64,
    Digest,
    FeatureName,
    Instant,
    Name,
    OutsideDigest,
    Owner,
    Part,
    Payload,
    PublicKey,
    Usage,
    Uscc,
    ValidFor,
)

Count = Annotated[int, Field(ge=0, le=(1 << 53) - 1)]
"""Whole numbers that every JSON reader keeps exact (RFC 8259, section 6)."""


class StoreState(Part):
    """Which sealed snapshot answers came from."""

    epoch: Count
    digest: Digest


class ChainLink(Part):
    """An entry's place in the enclave's own hash chain."""

    index: Count
    previous: Digest


class StreamPosition(Part):
    """How far the enclave had followed its statement stream."""

    sequence: Count
    running: Digest


class EvidenceClaims(Payload):
    """What an enclave claims about itself; bound to nonce and keys by the evidence around it."""

    KIND: ClassVar[str] = "evidence-claims"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    nonce: Base64
    """The key agent's challenge."""
    identity: PublicKey
    sealing: Base64
    """HPKE public key of the enclave."""
    tls: OutsideDigest
    """SHA-256 of the TLS certificate on its socket, DER."""
    charter: Digest
    code: OutsideDigest
    dependencies: OutsideDigest
    python: str
    sandbox_level: Annotated[int, Field(ge=0, le=3)]
    sandbox_missing: tuple[str, ...]
    store: StoreState | None
    chain: ChainLink
    stream: StreamPosition


EvidenceKind = Literal["software", "tdx", "sev-snp", "csv"]


class Evidence(Part):
    """Evidence in the sense of RFC 9334: who attests, and the claims' envelope it vouches for.

    `software` evidence is signed by the enclave's own fresh key and proves only that whoever holds
    that key says so. It never passes a policy that asks for hardware.
    """

    kind: EvidenceKind
    quote: Base64
    """The hardware's quote over the claims' digest; empty for software."""


class Endorsement(ValidFor):
    """The owner's key agent accepts an enclave's evidence: these keys speak for its owner.

    Its format is frozen: clients and the server accept no enclave key without it.
    """

    KIND: ClassVar[str] = "endorsement"
    SIGNED_BY: ClassVar[Usage] = Usage.KEY_AGENT

    owner: Owner
    identity: PublicKey
    sealing: Base64
    tls: OutsideDigest
    charter: Digest
    code: OutsideDigest
    dependencies: OutsideDigest
    evidence_kind: EvidenceKind
    evidence: Digest
    """Digest of the claims' envelope."""
    quote: OutsideDigest | None
    """SHA-256 of the hardware's quote; none for software evidence."""
    chain: ChainLink
    """Where the enclave's own chain stood: two enclaves endorsed at one place are a fork."""
    previous: Digest | None
    """The endorsement before this one by the same agent; none for the first."""
    sandbox_level: Annotated[int, Field(ge=0, le=3)]


class Charge(Part):
    """The price of one request for one feature: distinguishable cells before and after it."""

    feature: FeatureName
    cells_before: Annotated[int, Field(ge=1)]
    cells_after: Annotated[int, Field(ge=1)]


class Outcome(StrEnum):
    """What became of a request at one enclave."""

    ANSWERED = "answered"
    REFUSED = "refused"


class Release(Payload):
    """An enclave's signed word on one request: answered or refused, under which evidence.

    The answer itself is not here: its commitment is, SHA-256 over what was sealed to the asker: a
    check's 50 bytes (`saferoom_proto.answer`), a part of a report, or a page of a list
    (`saferoom_proto.reports`).
    """

    KIND: ClassVar[str] = "release"
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
    """A question that no agreement vouches for gets no word of the enclave's."""
    consent: Digest | None
    stream: StreamPosition
    store: StoreState | None
    outcome: Outcome
    reason: Reason | None
    charges: tuple[Charge, ...]
    answer: Digest | None
    chain: ChainLink
    time: Instant

    @model_validator(mode="after")
    def _whole(self) -> Release:
        answered = self.outcome is Outcome.ANSWERED
        if answered != (self.answer is not None) or answered == (self.reason is not None):
            raise ValueError("an answer has a commitment and no reason; a refusal has the reverse")
        if answered and (self.store is None or not self.approvals):
            raise ValueError("an answer names its approvals and its store")
        return self


class Acknowledgement(Payload):
    """An enclave's signed word to a subject: this revocation counts here from now on."""

    KIND: ClassVar[str] = "acknowledgement"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    endorsement: Digest
    subject: Uscc
    revocation: Digest
    consent: Digest
    stream: StreamPosition
    chain: ChainLink
    time: Instant


class Disclosure(Payload):
    """An enclave's signed word that it showed a subject all it holds about it.

    What it showed is not here: its commitment is, SHA-256 over the plaintext that was sealed to
    the subject, which ends in a salt (`saferoom_proto.holdings`).
    """

    KIND: ClassVar[str] = "disclosure"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    request: Digest
    subject: Uscc
    endorsement: Digest
    charter: Digest
    stream: StreamPosition
    store: StoreState
    schema_digest: Digest
    answer: Digest
    chain: ChainLink
    time: Instant


class KeyChange(Payload):
    """An enclave's signed word that its own keys are sealed under another store key from now on."""

    KIND: ClassVar[str] = "key-change"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    endorsement: Digest
    store_key: Digest
    """Names the new key (`saferoom_proto.store_key`)."""
    previous: Digest
    """Names the key that opens nothing any more of what is written from now on."""
    from_epoch: Count
    """The first epoch whose snapshot is sealed under a root that the previous key never sealed."""
    chain: ChainLink
    time: Instant


class Snapshot(Payload):
    """An enclave's signed word on a load or rollback: the store it sealed and answers from now."""

    KIND: ClassVar[str] = "snapshot"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    endorsement: Digest
    schema_digest: Digest
    store: StoreState
    previous: StoreState | None
    """The store that this one replaces; none for the first."""
    order: Digest
    """The approver's order for this load or rollback; it stands in the ledger beside it."""
    rows: dict[Owner, Count]
    chain: ChainLink
    time: Instant
