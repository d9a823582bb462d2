"""Certificates for statements: which key one gives, and whether an issuer made it.

In a room of the suite guomi both the issuer's key and the one it gives are of SM2. `cryptography`
reads neither, but the certificate around them. A certificate is of one suite, and gives keys of
that suite only.

Source: RFC 5280 section 4.1; GM/T 0015 (certificates with SM2); GM/T 0009 (the signer's default
identity).
"""

from __future__ import annotations

from typing import Annotated, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from saferoom_proto import sm2
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

SM2_WITH_SM3: Final = x509.ObjectIdentifier("1.2.156.10197.1.501")  # GM/T 0006

_SPKI_SEQUENCE: Final = b"\x30"
_SPKI_CONTENT: Final = sm2.SPKI_HEADER[2:]
"""Behind tag and length of the SubjectPublicKeyInfo."""


@asn1.sequence
class _Certified:
    """What an issuer signs (tbsCertificate), down to the key; optional unique ids are not read."""

    version: Annotated[int, asn1.Explicit(0)]
    serial: int
    algorithm: asn1.TLV
    issuer: asn1.TLV
    validity: asn1.TLV
    subject: asn1.TLV
    key: asn1.TLV
    extensions: Annotated[asn1.TLV, asn1.Explicit(3)]


def suite_of_certificate(certificate: x509.Certificate) -> Suite:
    """Give the suite of a certificate, by how its issuer signed it."""
    of_sm2 = certificate.signature_algorithm_oid == SM2_WITH_SM3
    return Suite.GUOMI if of_sm2 else Suite.INTERNATIONAL


def certified_key(certificate: x509.Certificate) -> VerifyKey:
    """Give the statement key that a certificate names, of the certificate's own suite.

    Raises:
        SafeRoomError: `UNAUTHENTICATED` if it holds another kind of key.
    """
    if suite_of_certificate(certificate) is Suite.GUOMI:
        return _sm2_key(certificate)
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key("an Ed25519 key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key("an Ed25519 key")
    return VerifyKey(key.public_bytes_raw())


def require_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Check that an issuer made a certificate.

    Raises:
        SafeRoomError: `UNAUTHENTICATED` if not; `NOT_INSTALLED` if its suite needs an extra.
    """
    refusal = SafeRoomError(Reason.UNAUTHENTICATED, "another issuer's certificate")
    if suite_of_certificate(certificate) is Suite.GUOMI:
        # Steps of `verify_directly_issued_by`: the names, then the signature.
        try:
            if certificate.issuer != issuer.subject:
                raise refusal
            _sm2_key(issuer).verify(certificate.signature, certificate.tbs_certificate_bytes)
        except SafeRoomError as error:
            if error.reason is Reason.NOT_INSTALLED:
                raise
            raise refusal from error
        except ValueError as error:  # names are read only here, and may be no text
            raise refusal from error
        return
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise refusal from error


def _sm2_key(certificate: x509.Certificate) -> VerifyKey:
    try:
        spki = asn1.decode_der(_Certified, certificate.tbs_certificate_bytes).key
    except ValueError as error:
        raise _no_key("an SM2 key") from error
    content = bytes(spki.data)
    point = content.removeprefix(_SPKI_CONTENT)
    if spki.tag_bytes != _SPKI_SEQUENCE or content == point or len(point) != sm2.PUBLIC_BYTES:
        raise _no_key("an SM2 key")
    try:
        return VerifyKey(point)
    except SafeRoomError as error:
        raise _no_key("an SM2 key") from error


def _no_key(wanted: str) -> SafeRoomError:
    return SafeRoomError(Reason.UNAUTHENTICATED, f"a signing certificate holds {wanted}")
