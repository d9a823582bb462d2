"""The keys of an enclave: its own, fresh at every start, and those its owner's key agent releases.

No key is written anywhere. None has a text form.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from saferoom_proto.encoding import parse_object, sha256_digest, unb64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

KEY_BYTES: Final = 32
TLS_NAME: Final = "localhost"
"""The name gRPC expects behind a unix socket."""

_TLS_VALID: Final = timedelta(days=3650)
"""Longer than any process runs. The key lives in memory only and is pinned, not issued."""


@dataclass(frozen=True, slots=True, eq=False)
class TlsKey:
    """A P-256 key with a certificate it signed itself; the other side pins the certificate.

    Attributes:
        certificate: PEM.
        digest: `sha256:` and SHA-256 of the certificate's DER form.
        private: PEM, PKCS #8.
    """

    certificate: bytes
    digest: str
    private: bytes = field(repr=False)

    @classmethod
    def generate(cls, now: datetime) -> TlsKey:
        """Make a key and certificate for one start."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, TLS_NAME)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # The host's clock may have been set back since; the pin is what counts.
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + _TLS_VALID)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(TLS_NAME)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        digest = sha256_digest(certificate.public_bytes(Encoding.DER))
        return cls(certificate.public_bytes(Encoding.PEM), digest, private)


@dataclass(frozen=True, slots=True, eq=False)
class EnclaveKeys:
    """What an enclave makes for itself at every start; an endorsement names the public halves."""

    identity: SigningKey
    sealing: SealingKey
    tls: TlsKey

    @classmethod
    def generate(cls, now: datetime, suite: Suite = Suite.INTERNATIONAL) -> EnclaveKeys:
        """Make all of them from the operating system's randomness; the first is of the suite."""
        return cls(SigningKey.generate(suite), SealingKey.generate(), TlsKey.generate(now))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReleasedKeys:
    """What the owner's key agent releases.

    Attributes:
        store: the store's key.
        pairing: the pairing key.
        earlier: the store key that this one takes the place of, until the enclave has taken it.
    """

    store: bytes
    pairing: bytes
    earlier: bytes | None = None

    def __post_init__(self) -> None:
        keys = (self.store, self.pairing, self.store if self.earlier is None else self.earlier)
        if any(len(key) != KEY_BYTES for key in keys):
            raise SafeRoomError(Reason.MALFORMED, f"a released key has {KEY_BYTES} bytes")

    def same_as(self, other: ReleasedKeys) -> bool:
        """Tell, in constant time, whether two releases are the same keys."""
        mine, theirs = self.store + self.pairing, other.store + other.pairing
        return hmac.compare_digest(mine, theirs)

    def gives_way_to(self, other: ReleasedKeys) -> bool:
        """Tell, in constant time, whether another release has its store key as the earlier one."""
        earlier = b"" if other.earlier is None else other.earlier
        mine, theirs = self.store + self.pairing, earlier + other.pairing
        return hmac.compare_digest(mine, theirs)


def open_release(sealed: bytes, sealing: SealingKey, info: bytes) -> ReleasedKeys:
    """Open the keys that the key agent sealed to this enclave.

    Args:
        sealed: the release.
        sealing: this enclave's key.
        info: what they were released under (`recovery.keys_info`).

    Raises:
        SafeRoomError: `BAD_SEAL` if they were sealed to another key, or under something else;
            `MALFORMED`.
    """
    document = parse_object(sealing.open(sealed, info=info))
    if document.keys() - {"earlier_store_key"} != {"store_key", "pairing_key"}:
        raise SafeRoomError(Reason.MALFORMED, "a release holds a store key and a pairing key")
    if not all(isinstance(value, str) for value in document.values()):
        raise SafeRoomError(Reason.MALFORMED, "a released key is base64")
    fields = cast("dict[str, str]", document)
    earlier = fields.get("earlier_store_key")
    return ReleasedKeys(
        unb64(fields["store_key"]),
        unb64(fields["pairing_key"]),
        None if earlier is None else unb64(earlier),
    )
