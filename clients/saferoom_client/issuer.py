"""The identity issuer: who puts names to keys, a role apart from the server.

    issuer.pem .key   its certificate authority, P-256
    statements.key    of the room's suite; signs revocations
    signing.pem .key  in a room of the suite guomi: the authority that names statement keys, SM2
    issuer.json       its name, and what charters hold of it

A member gets two certificates with the same name in them: one for the connection, one for its
statements. Neither can be used as the other.

Source: RFC 5280 (X.509), RFC 8410 (Ed25519 in X.509), RFC 9336 (document signing).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from saferoom_client.files import (
    PUBLIC_FILE,
    bad_file,
    make_folder,
    read_file,
    read_model,
    read_private,
    refuse_existing,
    require_folder_with,
    write_file,
    write_model,
)
from saferoom_client.profile import (
    IDENTITY,
    ROOM,
    WITNESSES,
    Member,
    Profile,
    RoomCard,
    pinned_trust,
)
from saferoom_client.seen_log import LOG
from saferoom_client.sm2_certificates import key_identifier, sign_certificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.identity import fingerprint
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.signing_certificate import certified_key
from saferoom_proto.statements import CertificateRevocation, IdentityIssuer, seal_statement
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.suite import Suite
from saferoom_proto.trust import Trust

CARD: Final = "issuer.json"
CERTIFICATE: Final = "issuer.pem"
KEY: Final = "issuer.key"
AUTHORITY: Final = "signing.pem"
AUTHORITY_KEY: Final = "signing.key"
STATEMENTS: Final = "statements.key"

ISSUER_DAYS: Final = 3650
MEMBER_DAYS: Final = 365
_CLOCKS_APART: Final = timedelta(minutes=5)
"""A certificate counts from a little before it is made, for hosts whose clocks are behind."""

_Window = tuple[datetime, datetime]
"""From when to when a certificate counts."""

_COMMON_NAME_CHARS: Final = 64  # RFC 5280 appendix A.1, ub-common-name


@dataclass(frozen=True, slots=True)
class Sm2Authority:
    """The certificate authority for statement keys of the suite guomi, with its key."""

    certificate: x509.Certificate
    key: SigningKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity issuer with its keys. Its text form shows none of them.

    Attributes:
        name: its handle.
        certificate: the authority that names connections, and Ed25519 keys.
        statements: signs revocations; the suite of the issuer is this key's.
        authority: names SM2 keys, in a room of the suite guomi.
    """

    name: str
    certificate: x509.Certificate
    statements: SigningKey = field(repr=False)
    _key: ec.EllipticCurvePrivateKey = field(repr=False)
    authority: Sm2Authority | None = None

    @classmethod
    def create(
        cls,
        name: str,
        now: datetime,
        days: int = ISSUER_DAYS,
        suite: Suite = Suite.INTERNATIONAL,
    ) -> Self:
        """Make an issuer with fresh keys, for a room of a suite."""
        statements = SigningKey.generate(suite)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _authority(subject, now, days)
            .public_key(key.public_key())
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, SHA256())
        )
        if suite is Suite.INTERNATIONAL:
            return cls(name, certificate, statements, key)
        own = SigningKey.generate(suite)
        identifier = x509.SubjectKeyIdentifier(key_identifier(own.verify_key))
        builder = _authority(subject, now, days).add_extension(identifier, critical=False)
        authority = Sm2Authority(sign_certificate(builder, own.verify_key, own), own)
        return cls(name, certificate, statements, key, authority)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an issuer's folder.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming the file that is missing, open to others or not
                well formed.
        """
        require_folder_with(folder, CARD)
        card = read_model(folder / CARD, IdentityIssuer)
        try:
            certificate = x509.load_pem_x509_certificate(read_file(folder / CERTIFICATE))
            key = load_pem_private_key(read_private(folder / KEY), password=None)
        except (ValueError, TypeError) as error:
            raise bad_file(folder / KEY, "not an unencrypted PEM key, or no certificate") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise bad_file(folder / KEY, "not an elliptic curve key")
        if key.public_key() != certificate.public_key():
            raise bad_file(folder / KEY, f"it is not the key of {CERTIFICATE}")
        statements = SigningKey.from_pem(read_private(folder / STATEMENTS))
        if statements.suite is Suite.INTERNATIONAL:
            return cls(card.name, certificate, statements, key)
        own = SigningKey.from_pem(read_private(folder / AUTHORITY_KEY))
        try:
            named = x509.load_pem_x509_certificate(read_file(folder / AUTHORITY))
            fits = certified_key(named) == own.verify_key
        except (ValueError, SafeRoomError) as error:
            raise bad_file(folder / AUTHORITY, "not an SM2 authority's certificate") from error
        if not fits:
            raise bad_file(folder / AUTHORITY_KEY, f"it is not the key of {AUTHORITY}")
        return cls(card.name, certificate, statements, key, Sm2Authority(named, own))

    def save(self, folder: Path) -> None:
        """Write a new issuer's folder; nothing that is there is written over."""
        make_folder(folder)
        for name in (CARD, CERTIFICATE, KEY, STATEMENTS, AUTHORITY, AUTHORITY_KEY):
            refuse_existing(folder / name)
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_file(folder / KEY, key)
        write_file(folder / STATEMENTS, self.statements.to_pem())
        write_file(folder / CERTIFICATE, self.pem.encode(), PUBLIC_FILE)
        if self.authority is not None:
            write_file(folder / AUTHORITY_KEY, self.authority.key.to_pem())
            write_file(folder / AUTHORITY, self._names_statements.encode(), PUBLIC_FILE)
        write_model(folder / CARD, self.card, PUBLIC_FILE)

    @property
    def pem(self) -> str:
        """The issuer's certificate: what the room's server takes connections under."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def _names_statements(self) -> str:
        named = self.certificate if self.authority is None else self.authority.certificate
        return named.public_bytes(Encoding.PEM).decode()

    @property
    def card(self) -> IdentityIssuer:
        """What an owner's charter says of this issuer."""
        return IdentityIssuer(
            name=self.name,
            certificate=self._names_statements,
            key=self.statements.verify_key.public,
        )

    def issue_connection(
        self, member: Member, key: ec.EllipticCurvePublicKey, now: datetime, days: int = MEMBER_DAYS
    ) -> x509.Certificate:
        """Put a member's name to the key of its connections."""
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._issue(member, key, usage, now, days)

    def issue_signing(
        self, member: Member, key: VerifyKey, now: datetime, days: int = MEMBER_DAYS
    ) -> x509.Certificate:
        """Put a member's name to the key of its statements.

        Raises:
            SafeRoomError: `BAD_CONFIG` for a key of another suite than the issuer's.
        """
        usage = x509.ExtendedKeyUsage([_DOCUMENT_SIGNING])
        if self.authority is not None:
            own = self.authority
            identifier = x509.AuthorityKeyIdentifier(key_identifier(own.key.verify_key), None, None)
            builder = _naming(member, own.certificate, usage, identifier, _window(now, days))
            return sign_certificate(builder, key, own.key)
        if key.suite is not Suite.INTERNATIONAL:
            detail = f"the issuer {self.name} names no keys of the suite {key.suite}"
            raise SafeRoomError(Reason.BAD_CONFIG, detail)
        return self._issue(member, Ed25519PublicKey.from_public_bytes(key.raw), usage, now, days)

    def revoke(self, room: str, certificate: str, why: str, now: datetime) -> Envelope:
        """Sign that a certificate (by fingerprint) signs nothing more in a room from now on."""
        revocation = CertificateRevocation(
            room=room,
            issuer=self.name,
            fingerprint=certificate,
            at=whole_milliseconds(now),
            why=why,
        )
        return seal_statement(revocation, self.statements)

    def _issue(
        self,
        member: Member,
        key: ec.EllipticCurvePublicKey | Ed25519PublicKey,
        usage: x509.ExtendedKeyUsage,
        now: datetime,
        days: int,
    ) -> x509.Certificate:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = _naming(member, self.certificate, usage, identifier, _window(now, days))
        return builder.public_key(key).sign(self._key, SHA256())


_DOCUMENT_SIGNING: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336 section 3.1


def enrol_member(
    issuer: Issuer,
    folder: Path,
    card: RoomCard,
    member: Member,
    now: datetime,
    *,
    days: int = MEMBER_DAYS,
    charter_roots: dict[str, str] | None = None,
    trust: Trust | None = None,
) -> Profile:
    """Make a member's keys and folder, and name them.

    For a member that brings its own keys, `issue_connection` and `issue_signing` take the public
    halves alone.
    """
    connection = ec.generate_private_key(ec.SECP256R1())
    signing = SigningKey.generate(VerifyKey.from_public(card.ledger_key).suite)
    tls = issuer.issue_connection(member, connection.public_key(), now, days)
    profile = Profile(
        folder=folder,
        card=card,
        member=member,
        trust=trust
        or Trust(origin=card.origin, ledger_key=card.ledger_key, charter_roots=charter_roots or {}),
        tls_certificate=tls.public_bytes(Encoding.PEM),
        tls_key=connection.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        signing_certificate=issuer.issue_signing(
            member, signing.verify_key, now, days
        ).public_bytes(Encoding.DER),
        signing_key=signing,
    )
    profile.save()
    return profile


def renew_member(
    issuer: Issuer, before: Path, folder: Path, now: datetime, *, days: int = MEMBER_DAYS
) -> Profile:
    """Name a member anew: fresh keys in a new folder, with all that it pinned and saw before.

    Of the member's folder only what is public is read: whoever brings it need not bring its keys.
    The certificates of before stay good until they end or are revoked.

    Args:
        issuer: names it.
        before: the member's folder, or its public files.
        folder: the new one.
        now: from when the certificates count.
        days: how long.
    """
    card, member = read_model(before / ROOM, RoomCard), read_model(before / IDENTITY, Member)
    trust = pinned_trust(before)
    renewed = enrol_member(issuer, folder, card, member, now, days=days, trust=trust)
    for name in (LOG, WITNESSES):
        if (before / name).exists():
            write_file(folder / name, read_file(before / name))
    return renewed


def certificate_fingerprint(path: Path) -> str:
    """Give the fingerprint by which a certificate file is revoked."""
    try:
        certificate = x509.load_pem_x509_certificate(read_file(path))
    except ValueError as error:
        raise bad_file(path, "not a PEM certificate") from error
    return fingerprint(certificate.public_bytes(Encoding.DER))


def _authority(subject: x509.Name, now: datetime, days: int) -> x509.CertificateBuilder:
    """Write an authority's own certificate, but for its key."""
    return (
        _builder(subject, subject, _window(now, days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )


def _naming(
    member: Member,
    issuer: x509.Certificate,
    usage: x509.ExtendedKeyUsage,
    identifier: x509.AuthorityKeyIdentifier,
    window: _Window,
) -> x509.CertificateBuilder:
    """Write a member's certificate, but for its key."""
    common = f"{member.organisation}/{member.name}"[:_COMMON_NAME_CHARS]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    uri = x509.UniformResourceIdentifier(member.uri)
    return (
        _builder(subject, issuer.subject, window)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        .add_extension(identifier, critical=False)
    )


def _window(now: datetime, days: int) -> _Window:
    if days < 1:
        raise SafeRoomError(Reason.BAD_CONFIG, "a certificate is valid for at least a day")
    return now - _CLOCKS_APART, now + timedelta(days=days)


def _builder(subject: x509.Name, issuer: x509.Name, window: _Window) -> x509.CertificateBuilder:
    begins, ends = window
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
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
