"""Who a certificate names: an organisation's person or system, or a subject.

Names stand in a URI of the certificate's subject alternative name, put there by the identity
issuer: `urn:saferoom:org:ORGANISATION:NAME` or `urn:saferoom:subject:USCC`. Nothing else of a
certificate, and nothing of a call's metadata, names anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.signing_certificate import certified_key, require_issued, suite_of_certificate
from saferoom_proto.uscc import parse_uscc

_ORGANISATION: Final = re.compile(
    r"urn:saferoom:org:([a-z][a-z0-9_-]{0,62}):([a-z][a-z0-9_-]{0,62})", re.ASCII
)
_SUBJECT: Final = re.compile(r"urn:saferoom:subject:([0-9A-Z]{18})", re.ASCII)


class IdentityKind(StrEnum):
    """What a certificate names."""

    ORGANISATION = "org"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom an identity issuer's certificate names.

    Attributes:
        kind: an organisation's member, or a subject.
        organisation: the organisation's handle, or the subject's code.
        name: the person's or system's handle; "self" for a subject.
        fingerprint: by which the certificate is revoked.
    """

    kind: IdentityKind
    organisation: str
    name: str
    fingerprint: str


def organisation_uri(organisation: str, name: str) -> str:
    """Give the URI that names a member of an organisation."""
    return f"urn:saferoom:org:{organisation}:{name}"


def subject_uri(uscc: str) -> str:
    """Give the URI that names a subject."""
    return f"urn:saferoom:subject:{uscc}"


def fingerprint(der: bytes) -> str:
    """Give a certificate's fingerprint: a hash of what its issuer signed (tbsCertificate).

    The hash is SHA-256; SM3 of a certificate that was signed with SM2.

    Not of the whole DER form: an ECDSA signature (r, s) has a twin (r, n - s), so that whoever
    holds a certificate can make another of it that verifies alike, which a revocation by the whole
    form would miss.
    """
    certificate = _parse(der)
    return suite_of_certificate(certificate).digest(certificate.tbs_certificate_bytes)


def read_identity(der: bytes) -> Identity:
    """Read whom a certificate names. Says nothing about who issued it.

    Raises:
        SafeRoomError: `UNAUTHENTICATED` if it names nobody, or more than one.
    """
    certificate = _parse(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise SafeRoomError(Reason.UNAUTHENTICATED, "a certificate without one name") from error
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise SafeRoomError(Reason.UNAUTHENTICATED, "a certificate names exactly one identity")
    if match := _ORGANISATION.fullmatch(uris[0]):
        return Identity(IdentityKind.ORGANISATION, match[1], match[2], fingerprint(der))
    if match := _SUBJECT.fullmatch(uris[0]):
        return Identity(IdentityKind.SUBJECT, parse_uscc(match[1]), "self", fingerprint(der))
    raise SafeRoomError(Reason.UNAUTHENTICATED, "the certificate's name is of no known form")


@dataclass(frozen=True, slots=True)
class Certified:
    """An identity and the signing key that an issuer gave it, for a time.

    Attributes:
        identity: whom the certificate names.
        key: the key it gives them, of the certificate's suite.
        valid_from: the first instant it counts.
        valid_to: the last.
    """

    identity: Identity
    key: VerifyKey
    valid_from: datetime
    valid_to: datetime

    def require_valid(self, now: datetime) -> None:
        """Refuse outside the certificate's validity: `NOT_YET_VALID` or `EXPIRED`."""
        if now < self.valid_from:
            raise SafeRoomError(Reason.NOT_YET_VALID, "certificate")
        if now > self.valid_to:
            raise SafeRoomError(Reason.EXPIRED, "certificate")


def verify_issued(der: bytes, issuers: tuple[str, ...]) -> Certified:
    """Verify that one of the issuers made a signing certificate, while it might.

    Args:
        der: the certificate, DER.
        issuers: the issuers' own certificates, PEM.

    Raises:
        SafeRoomError: `UNAUTHENTICATED`.
    """
    identity = read_identity(der)
    certificate = _parse(der)
    if not any(_issued(certificate, pem) for pem in issuers):
        raise SafeRoomError(Reason.UNAUTHENTICATED, "no pinned issuer made this certificate")
    window = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    return Certified(identity, certified_key(certificate), *window)


def verify_identity(
    der: bytes, issuers: tuple[str, ...], now: datetime
) -> tuple[Identity, VerifyKey]:
    """Verify that one of the issuers made a signing certificate, and that it is valid now.

    Returns:
        Whom it names, and the key it gives them.

    Raises:
        SafeRoomError: `UNAUTHENTICATED`, `NOT_YET_VALID` or `EXPIRED`.
    """
    certified = verify_issued(der, issuers)
    certified.require_valid(now)
    return certified.identity, certified.key


def _issued(certificate: x509.Certificate, issuer_pem: str) -> bool:
    issuer = x509.load_pem_x509_certificate(issuer_pem.encode())
    # An issuer gives names for no time in which it is none itself any more.
    if certificate.not_valid_after_utc > issuer.not_valid_after_utc:
        return False
    try:
        require_issued(certificate, issuer)
    except SafeRoomError as error:
        if error.reason is Reason.NOT_INSTALLED:
            raise
        return False
    return True


def _parse(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise SafeRoomError(Reason.UNAUTHENTICATED, "not a certificate") from error
