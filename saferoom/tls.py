"""The room's own X.509 certificates: its authority, its server, its side of the enclave sockets.

Source: RFC 5280 (profile), RFC 5480 (P-256 keys).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from saferoom_proto.reasons import Reason, SafeRoomError

AUTHORITY_VALIDITY: Final = timedelta(days=3650)
SERVER_VALIDITY: Final = timedelta(days=825)
"""The longest that common clients accept of a server (CA/Browser Forum ballot 193)."""

_CLOCK_SKEW: Final = timedelta(minutes=5)
"""A certificate counts a little before it was made: clocks differ."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key. The text form does not show the key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key, PKCS #8; whoever stores it guards it (mode 0600)."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @classmethod
    def from_pem(cls, certificate: bytes, key: bytes) -> KeyPair:
        """Read a pair back.

        Raises:
            SafeRoomError: `BAD_CONFIG` if it is none, or its halves do not belong together.
        """
        try:
            private = load_pem_private_key(key, password=None)
            public = x509.load_pem_x509_certificate(certificate)
        except (ValueError, TypeError) as error:
            raise SafeRoomError(Reason.BAD_CONFIG, "not a certificate with its key") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise SafeRoomError(Reason.BAD_CONFIG, "the key is not on an elliptic curve")
        if public.public_key() != private.public_key():
            raise SafeRoomError(Reason.BAD_CONFIG, "the key is another certificate's")
        return cls(public, private)


def make_authority(room: str, now: datetime) -> KeyPair:
    """Make the certificate that a room's members pin; it signs the server's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Saferoom {room}")
    builder = (
        _builder(name, key, now, AUTHORITY_VALIDITY)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return KeyPair(builder.sign(key, SHA256()), key)


def make_server(authority: KeyPair, hosts: tuple[str, ...], now: datetime) -> KeyPair:
    """Make a server's certificate for its host names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    # RFC 5280, section 4.2.1.1; clients that are strict about it refuse a certificate without.
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        _builder(_name(hosts[0]), key, now, SERVER_VALIDITY)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(purpose, critical=False)
        .add_extension(by, critical=False)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
        )
    )
    return KeyPair(builder.sign(authority.key, SHA256()), key)


def make_pinned(name: str, now: datetime, validity: timedelta) -> KeyPair:
    """Make a self-signed certificate that the other side pins as it is."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(name), key, now, validity)
        .issuer_name(_name(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return KeyPair(builder.sign(key, SHA256()), key)


def _builder(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, validity: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    longest = 64  # RFC 5280 appendix A.1, ub-common-name
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:longest])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
