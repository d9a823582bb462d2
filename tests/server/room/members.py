"""Certificates for connections, good and bad."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from saferoom_proto.identity import fingerprint
from simulator import START, SimIssuer

YEARS = timedelta(days=3650)
"""TLS goes by the real date, wherever the world's clock stands."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A client's side of mutual TLS."""

    key: bytes
    certificate: bytes

    @property
    def fingerprint(self) -> str:
        parsed = x509.load_pem_x509_certificate(self.certificate)
        return fingerprint(parsed.public_bytes(Encoding.DER))

    @property
    def der(self) -> bytes:
        return x509.load_pem_x509_certificate(self.certificate).public_bytes(Encoding.DER)


def connection(
    uri: str,
    issuer: SimIssuer | None,
    valid_from: datetime = START - timedelta(days=2),
    valid_to: datetime = START + YEARS,
) -> Connection:
    """Make a connection's key and certificate; without an issuer it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer._subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid_from)
        .not_valid_after(valid_to)
        .add_extension(names, critical=True)
    )
    signed = builder.sign(issuer._authority if issuer else key, SHA256())
    return Connection(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        signed.public_bytes(Encoding.PEM),
    )
