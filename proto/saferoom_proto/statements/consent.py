"""Consents, their revocation, and the revocation of certificates."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, StringConstraints

from saferoom_proto.statements.base import (
    Base64,
    Digest,
    FeatureNames,
    Fingerprint,
    Instant,
    Name,
    Part,
    Payload,
    Text,
    Usage,
    Uscc,
    ValidFor,
    distinct,
)
from saferoom_proto.statements.template import Purposes

InformationTypes = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,2}\.[0-9]{1,2}$")], ...],
    Field(max_length=48),
    AfterValidator(distinct),
]


class Paper(Part):
    """A consent given on paper: who registered it, and the scan's digest."""

    registrar: Name
    scan: Digest


class Consent(ValidFor):
    """A subject lets one institution ask for stated purposes about stated features (授权).

    Signed by the key in `certificate`: the subject's, or a registrar's where `paper` stands.
    """

    KIND: ClassVar[str] = "consent"
    SIGNED_BY: ClassVar[Usage] = Usage.SUBJECT

    subject: Uscc
    certificate: Base64
    """The signer's X.509 certificate, DER, from an identity issuer of the charter."""
    institution: Name
    purposes: Purposes
    features: FeatureNames
    information_types: InformationTypes = ()
    uses: Annotated[int, Field(ge=1, le=1_000_000)] | None
    """How many requests it serves at each owner; none: as many as come while it is valid."""
    notice: Digest
    """The digest of the risk notice that was shown."""
    nonce: Base64
    paper: Paper | None = None


class ConsentRevocation(Payload):
    """A subject takes a consent back. Each concerned enclave acknowledges it with its signature."""

    KIND: ClassVar[str] = "consent-revocation"
    SIGNED_BY: ClassVar[Usage] = Usage.SUBJECT

    subject: Uscc
    certificate: Base64
    consent: Digest


class CertificateRevocation(Payload):
    """The identity issuer takes a certificate back: it signs nothing more from `at` on."""

    KIND: ClassVar[str] = "certificate-revocation"
    SIGNED_BY: ClassVar[Usage] = Usage.ISSUER

    issuer: Name
    fingerprint: Fingerprint
    """`saferoom_proto.identity.fingerprint` of the certificate."""
    at: Instant
    why: Text
