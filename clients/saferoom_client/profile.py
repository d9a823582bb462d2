"""A member's folder: which room, who the member is, its keys, and the keys it pinned.

room.json      the room's card: name, address, TLS root, ledger and heads keys
identity.json  the member's organisation (a subject's code) and own name
trust.json     the ledger key and the owners' charter roots that receipts are verified under
tls.pem .key   its certificate and key for the connection
signing.pem .key  its certificate and key for statements, of the room's suite
witnesses.json  the witnesses it relies on, if it relies on any
log.json       the newest checkpoint of the room's log that it has verified, and which one its
               witnesses have not seen yet
.lock          held by whichever process changes one of these
"""

from __future__ import annotations

import operator
import shlex
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from saferoom_client.files import (
    PUBLIC_FILE,
    bad_file,
    changing,
    make_folder,
    read_file,
    read_model,
    read_private,
    refuse_existing,
    require_folder_with,
    write_file,
    write_model,
)
from saferoom_client.seen_log import LOG, LogMemory
from saferoom_proto.identity import organisation_uri, read_identity, subject_uri
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.signing_certificate import certified_key
from saferoom_proto.statements.base import Name, Origin, Part, PublicKey
from saferoom_proto.statements.witnesses import WitnessPolicy
from saferoom_proto.suite import Suite
from saferoom_proto.trust import Trust
from saferoom_proto.uscc import parse_uscc

ROOM: Final = "room.json"
IDENTITY: Final = "identity.json"
TRUST: Final = "trust.json"
WITNESSES: Final = "witnesses.json"
TLS_CERTIFICATE: Final = "tls.pem"
TLS_KEY: Final = "tls.key"
SIGNING_CERTIFICATE: Final = "signing.pem"
SIGNING_KEY: Final = "signing.key"

SELF: Final = "self"
"""What a subject, which has no members, is called by its own name."""


def _certificate(pem: str) -> str:
    try:
        x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise ValueError("not a PEM certificate") from None
    return pem


class RoomCard(Part):
    """What the operator hands to a new member: where the room is, and the keys to pin."""

    origin: Origin
    address: Annotated[str, StringConstraints(pattern=r"^[^\s/]+:[0-9]{1,5}$")]
    """Host and port."""
    tls_root: Annotated[str, StringConstraints(max_length=8000), AfterValidator(_certificate)]
    """The certificate authority of the room's server, PEM."""
    ledger_key: PublicKey
    heads_key: PublicKey
    former_heads_keys: Annotated[
        tuple[PublicKey, ...], Field(max_length=64, exclude_if=operator.not_)
    ] = ()
    """Those that the heads key took over from: they signed the refusals of their time.

    Most cards lack it, and are written without it: readers from before know no such field.
    """

    @property
    def heads_keys(self) -> tuple[VerifyKey, ...]:
        """All keys that may have signed a refusal."""
        return tuple(map(VerifyKey.from_public, (self.heads_key, *self.former_heads_keys)))


class Member(Part):
    """Whom the folder belongs to."""

    organisation: Annotated[
        str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]{0,62}|[0-9A-Z]{18})$")
    ]
    """The organisation's handle, or a subject's code."""
    name: Name

    @property
    def is_subject(self) -> bool:
        """Whether it is an enterprise that speaks for itself."""
        return not self.organisation[0].islower()

    @property
    def uri(self) -> str:
        """The name that its certificates hold."""
        if self.is_subject:
            return subject_uri(self.organisation)
        return organisation_uri(self.organisation, self.name)

    @model_validator(mode="after")
    def _named(self) -> Member:
        if self.is_subject and self.organisation != parse_uscc(self.organisation):
            raise ValueError("a subject's code has upper-case letters")
        if self.is_subject and self.name != SELF:
            raise ValueError(f"a subject's name is {SELF}")
        return self


@dataclass(frozen=True, slots=True)
class Profile:
    """A member of one room, with its keys. Its text form shows no key."""

    folder: Path
    card: RoomCard
    member: Member
    trust: Trust
    tls_certificate: bytes = field(repr=False)
    tls_key: bytes = field(repr=False)
    signing_certificate: bytes = field(repr=False)
    """DER."""
    signing_key: SigningKey = field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> Profile:
        """Read a member's folder.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming the file, and the key in it, that is missing, not
                well formed, readable by others, or not fitting the rest.
        """
        require_folder_with(folder, ROOM)
        signing = folder / SIGNING_CERTIFICATE
        profile = cls(
            folder=folder,
            card=read_model(folder / ROOM, RoomCard),
            member=read_model(folder / IDENTITY, Member),
            trust=read_model(folder / TRUST, Trust),
            tls_certificate=read_file(folder / TLS_CERTIFICATE),
            tls_key=read_private(folder / TLS_KEY),
            signing_certificate=_der(signing, read_file(signing)),
            signing_key=_read_signing_key(folder / SIGNING_KEY),
        )
        profile._require_coherent()
        return profile

    def save(self) -> None:
        """Write a new member's folder; nothing that is there is written over.

        Raises:
            SafeRoomError: `BAD_CONFIG` if a file of the folder is there already.
        """
        self._require_coherent()
        make_folder(self.folder)
        names = (ROOM, IDENTITY, TRUST, TLS_CERTIFICATE, TLS_KEY, SIGNING_CERTIFICATE, SIGNING_KEY)
        for name in names:
            refuse_existing(self.folder / name)
        certificate = x509.load_der_x509_certificate(self.signing_certificate)
        pem = certificate.public_bytes(Encoding.PEM)
        write_file(self.folder / TLS_KEY, self.tls_key)
        write_file(self.folder / SIGNING_KEY, self.signing_key.to_pem())
        write_file(self.folder / TLS_CERTIFICATE, self.tls_certificate, PUBLIC_FILE)
        write_file(self.folder / SIGNING_CERTIFICATE, pem, PUBLIC_FILE)
        write_model(self.folder / ROOM, self.card, PUBLIC_FILE)
        write_model(self.folder / IDENTITY, self.member, PUBLIC_FILE)
        write_model(self.folder / TRUST, self.trust, PUBLIC_FILE)

    def typed(self, command: str) -> str:
        """Give one of our commands as this member types it."""
        return f"saferoom {command} -p {shlex.quote(str(self.folder))}"

    def pin(self, owner: str, root: str) -> Profile:
        """Pin an owner's charter root, durably, and give the profile that holds it.

        A root that is pinned already is never replaced here: a member follows its handover, or
        edits `trust.json` after asking the owner.

        Raises:
            SafeRoomError: `BAD_CONFIG` if another root is pinned; `MALFORMED` if it is no key.
        """
        key = VerifyKey.from_public(root).public
        with changing(self.folder):
            # Another process of this member may have pinned one since this one read them.
            trust = pinned_trust(self.folder)
            if trust.charter_roots.get(owner, key) != key:
                rule = f"another charter root of {owner} is pinned"
                refusal = bad_file(self.folder / TRUST, rule)
                refusal.add_note(self.typed(f"trust follow {owner}"))
                raise refusal
            roots = dict(sorted({**trust.charter_roots, owner: key}.items()))
            trust = trust.model_copy(update={"charter_roots": roots})
            write_model(self.folder / TRUST, trust, PUBLIC_FILE)
        return replace(self, trust=trust)

    def keep_trust(self, trust: Trust) -> Profile:
        """Go by these pinned keys from now on, durably.

        Raises:
            SafeRoomError: `CONFLICT` if another process changed the pinned keys meanwhile.
        """
        with changing(self.folder):
            self._require_unchanged()
            write_model(self.folder / TRUST, trust, PUBLIC_FILE)
        return replace(self, trust=trust)

    def require_in_time(self, now: datetime) -> None:
        """Refuse with `UNAUTHENTICATED` a connection that is not certified at this instant.

        The room ends such a connection without a word, as TLS does.
        """
        certificate = x509.load_pem_x509_certificate(self.tls_certificate)
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begin <= now < end:
            first, last = f"{begin:%Y-%m-%d}", f"{end:%Y-%m-%d}"
            rule = f"it counts from {first} to {last}; the identity issuer gives you a new one"
            fault = FieldFault(str(self.folder / TLS_CERTIFICATE), rule)
            raise SafeRoomError(Reason.UNAUTHENTICATED, rule, [fault])

    def keep_room(self, card: RoomCard, trust: Trust) -> Profile:
        """Go by another card of the room and other pinned keys from now on; as `keep_trust`."""
        with changing(self.folder):
            self._require_unchanged()
            # In this order: a card of a former key is taken, so a kill in between leaves a folder
            # that loads, and following the room's keys again ends it.
            write_model(self.folder / TRUST, trust, PUBLIC_FILE)
            write_model(self.folder / ROOM, card, PUBLIC_FILE)
        return replace(self, card=card, trust=trust)

    def without_former_keys(self) -> Profile:
        """Give the profile that trusts the room's keys in force and none before them."""
        trust = self.trust.model_copy(update={"former_ledger_keys": ()})
        card = self.card.model_copy(update={"former_heads_keys": ()})
        return replace(self, trust=trust, card=card)

    @property
    def log(self) -> LogMemory:
        """What this member remembers of the log."""
        return LogMemory(self.folder / LOG)

    def witness_policy(self) -> WitnessPolicy | None:
        """Give the witnesses that this member relies on; none if it relies on none.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming what is wrong in `witnesses.json`.
        """
        return pinned_witnesses(self.folder)

    def rely_on(self, policy: WitnessPolicy | None) -> None:
        """Rely on witnesses from now on, or on none, durably."""
        path = self.folder / WITNESSES
        if policy is None:
            path.unlink(missing_ok=True)
        else:
            write_model(path, policy, PUBLIC_FILE)

    @property
    def suite(self) -> Suite:
        """The crypto suite of the room, which the member's own statements are of."""
        return self.signing_key.suite

    def _require_unchanged(self) -> None:
        """Refuse to write over what another process pinned since this one read it."""
        if pinned_trust(self.folder) != self.trust:
            rule = "another process changed the pinned keys meanwhile"
            fault = FieldFault(str(self.folder / TRUST), rule)
            raise SafeRoomError(Reason.CONFLICT, rule, [fault])

    def _require_coherent(self) -> None:
        """Check that room, trust, names and keys belong together."""
        known = {self.trust.ledger_key, *(each.key for each in self.trust.former_ledger_keys)}
        if self.trust.origin != self.card.origin or self.card.ledger_key not in known:
            raise bad_file(self.folder / TRUST, "it is about another room than room.json")
        for name, der in (
            (TLS_CERTIFICATE, _der(self.folder / TLS_CERTIFICATE, self.tls_certificate)),
            (SIGNING_CERTIFICATE, self.signing_certificate),
        ):
            if _identity(self.folder / name, der) != (self.member.organisation, self.member.name):
                raise bad_file(self.folder / name, "it names somebody else than identity.json")
        path = self.folder / SIGNING_CERTIFICATE
        if _certified_key(path, self.signing_certificate) != self.signing_key.verify_key:
            raise bad_file(self.folder / SIGNING_KEY, "it is not the key of signing.pem")


def pinned_trust(folder: Path) -> Trust:
    """Give the keys that a member folder's member pinned; they suffice to verify receipts.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the folder, or what is wrong in `trust.json`.
    """
    require_folder_with(folder, TRUST)
    return read_model(folder / TRUST, Trust)


def pinned_witnesses(folder: Path) -> WitnessPolicy | None:
    """Give the witnesses that a member folder's member relies on; none if it relies on none.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming what is wrong in `witnesses.json`.
    """
    path = folder / WITNESSES
    return read_model(path, WitnessPolicy) if path.exists() else None


@dataclass(frozen=True, slots=True)
class Signer:
    """Somebody's signing certificate, DER, and the public key in it, base64."""

    der: bytes
    key: str


def read_signer(path: Path) -> Signer:
    """Read a member's `signing.pem`, which may be handed to anybody.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the file if it is no signing certificate.
    """
    der = _der(path, read_file(path))
    return Signer(der, _certified_key(path, der).public)


def _certified_key(path: Path, der: bytes) -> VerifyKey:
    try:
        return certified_key(x509.load_der_x509_certificate(der))
    except SafeRoomError as error:
        detail = "not a certificate for statements: it holds no Ed25519 or SM2 key"
        raise bad_file(path, detail) from error


def _der(path: Path, pem: bytes) -> bytes:
    try:
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError as error:
        raise bad_file(path, "not a PEM certificate") from error


def _identity(path: Path, der: bytes) -> tuple[str, str]:
    try:
        identity = read_identity(der)
    except SafeRoomError as error:
        raise bad_file(path, error.detail) from error
    return identity.organisation, identity.name


def _read_signing_key(path: Path) -> SigningKey:
    data = read_private(path)
    try:
        return SigningKey.from_pem(data)
    except SafeRoomError as error:
        raise bad_file(path, error.detail) from error
