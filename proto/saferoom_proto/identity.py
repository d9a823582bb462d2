"""Who a certificate names: an organisation's person or system, or a subject.

Names stand in a URI of the certificate's subject alternative name, put there by the identity
issuer: `urn:saferoom:org:ORGANISATION:NAME` or `urn:saferoom:subject:USCC`. Nothing else of a
certificate, and nothing of a call's metadata, names anybody.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import parse_uscc

_ORGANISATION: Final = re.compile(
    r"urn:saferoom:org:([a-z][a-z0-9_-]{0,62}):([a-z][a-z0-9-]{0,62})", re.ASCII
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
        fingerprint: "sha256:" and the hex digest of the certificate's DER form.
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
    """Give a certificate's fingerprint."""
    return "sha256:" + hashlib.sha256(der).hexdigest()


def read_identity(der: bytes) -> Identity:
    """Read whom a certificate names. Says nothing about who issued it.

    Raises:
        SafeRoomError: `UNAUTHENTICATED` if it names nobody, or more than one.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound) as error:
        raise SafeRoomError(Reason.UNAUTHENTICATED, "not a certificate with a name") from error
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise SafeRoomError(Reason.UNAUTHENTICATED, "a certificate names exactly one identity")
    if match := _ORGANISATION.fullmatch(uris[0]):
        return Identity(IdentityKind.ORGANISATION, match[1], match[2], fingerprint(der))
    if match := _SUBJECT.fullmatch(uris[0]):
        return Identity(IdentityKind.SUBJECT, parse_uscc(match[1]), "self", fingerprint(der))
    raise SafeRoomError(Reason.UNAUTHENTICATED, "the certificate's name is of no known form")


def verify_identity(
    der: bytes, issuers: tuple[str, ...], now: datetime
) -> tuple[Identity, VerifyKey]:
    """Verify that one of the issuers made a signing certificate, and that it is valid now.

    Args:
        der: the certificate, DER.
        issuers: the issuers' own certificates, PEM.
        now: the instant it must be valid at.

    Returns:
        Whom it names, and the Ed25519 key it gives them.

    Raises:
        SafeRoomError: `UNAUTHENTICATED`, `NOT_YET_VALID` or `EXPIRED`.
    """
    identity = read_identity(der)
    certificate = x509.load_der_x509_certificate(der)
    if not any(_issued(certificate, pem) for pem in issuers):
        raise SafeRoomError(Reason.UNAUTHENTICATED, "no pinned issuer made this certificate")
    if now < certificate.not_valid_before_utc:
        raise SafeRoomError(Reason.NOT_YET_VALID, "certificate")
    if now > certificate.not_valid_after_utc:
        raise SafeRoomError(Reason.EXPIRED, "certificate")
    key = certificate.public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise SafeRoomError(Reason.UNAUTHENTICATED, "a signing certificate holds an Ed25519 key")
    return identity, VerifyKey(key.public_bytes_raw())


def _issued(certificate: x509.Certificate, issuer_pem: str) -> bool:
    issuer = x509.load_pem_x509_certificate(issuer_pem.encode())
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
