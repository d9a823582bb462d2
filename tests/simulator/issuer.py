"""An identity issuer: certificates for members and subjects, and their revocation."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from saferoom_client.sm2_certificates import sign_certificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.identity import fingerprint
from saferoom_proto.keys import VerifyKey
from saferoom_proto.statements import CertificateRevocation, IdentityIssuer, seal_statement
from saferoom_proto.suite import Suite
from simulator.clock import START
from simulator.seeds import Seeds

YEAR: Final = timedelta(days=365)


class SimIssuer:
    """Names people, systems and subjects. Its certificates are the same for the same seed."""

    def __init__(self, name: str, room: str, seeds: Seeds, start: datetime = START) -> None:
        self.name: Final = name
        self._start: Final = start
        self.room: Final = room
        self.key: Final = seeds.signing(f"issuer {name}")
        """Signs revocations."""
        self._authority: Final = seeds.p256(f"issuer {name}")
        guomi = seeds.suite is Suite.GUOMI
        self._sm2: Final = seeds.signing(f"authority {name}") if guomi else None
        self._serial = 1
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._subject: Final = subject
        root = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .serial_number(1)
            .not_valid_before(start - YEAR)
            .not_valid_after(start + 20 * YEAR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        )
        named = self._authority.public_key() if self._sm2 is None else self._sm2.verify_key
        self.certificate: Final = self._sign(root, named).public_bytes(Encoding.PEM).decode()

    def _sign(
        self,
        builder: x509.CertificateBuilder,
        key: ec.EllipticCurvePublicKey | VerifyKey,
    ) -> x509.Certificate:
        if isinstance(key, VerifyKey) and self._sm2 is not None:
            return sign_certificate(builder, key, self._sm2)
        if isinstance(key, VerifyKey):
            builder = builder.public_key(Ed25519PublicKey.from_public_bytes(key.raw))
        else:
            builder = builder.public_key(key)
        return builder.sign(self._authority, SHA256(), ecdsa_deterministic=True)

    def issue(
        self,
        uri: str,
        key: VerifyKey,
        valid_from: datetime | None = None,
        valid_for: timedelta = YEAR,
    ) -> bytes:
        """Issue a signing certificate, DER; valid since yesterday unless another time is given."""
        self._serial += 1
        valid_from = self._start - timedelta(days=1) if valid_from is None else valid_from
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._subject)
            .serial_number(self._serial)
            .not_valid_before(valid_from)
            .not_valid_after(valid_from + valid_for)
            .add_extension(names, critical=True)
        )
        return self._sign(certificate, key).public_bytes(Encoding.DER)

    def revocation(self, certificate: bytes, at: datetime, why: str = "key lost") -> Envelope:
        """Take a certificate back."""
        payload = CertificateRevocation(
            room=self.room, issuer=self.name, fingerprint=fingerprint(certificate), at=at, why=why
        )
        return seal_statement(payload, self.key)

    def pinned(self) -> IdentityIssuer:
        """Give what charters pin of this issuer."""
        public = self.key.verify_key.public
        return IdentityIssuer(name=self.name, certificate=self.certificate, key=public)
