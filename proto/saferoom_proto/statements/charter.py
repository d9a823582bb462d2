"""The charter: an owner's signed root of trust for its enclave (章程)."""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal

from cryptography import x509
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from saferoom_proto.encoding import b64, unb64
from saferoom_proto.keys import VerifyKey
from saferoom_proto.signing_certificate import suite_of_certificate
from saferoom_proto.statements.base import (
    Base64,
    Digest,
    Name,
    Names,
    Owner,
    Part,
    Payload,
    PublicKey,
    Title,
    Usage,
    Version,
)
from saferoom_proto.statements.witnesses import WitnessPolicy
from saferoom_proto.suite import Suite

EXCHANGE_KEY_BYTES: Final = 32
Bits = Annotated[Decimal, Field(ge=0, le=64, decimal_places=3)]


def _one_pem(value: str) -> str:
    try:
        certificates = x509.load_pem_x509_certificates(value.encode())
    except ValueError:
        raise ValueError("not a PEM certificate") from None
    if len(certificates) != 1:
        raise ValueError("exactly one certificate")
    return value


def _suite_of(pem: str) -> Suite:
    return suite_of_certificate(x509.load_pem_x509_certificate(pem.encode()))


def _exchange_key(value: str) -> str:
    if len(unb64(value)) != EXCHANGE_KEY_BYTES:
        raise ValueError(f"an X25519 public key has {EXCHANGE_KEY_BYTES} bytes")
    return value


class Approver(Part):
    """One person who approves for the owner."""

    name: Name
    key: PublicKey


class RoomKeys(Part):
    """The operator's keys, as the owner pinned them."""

    ledger: PublicKey
    """Signs checkpoints."""
    heads: PublicKey
    """Signs stream heads."""


class IdentityIssuer(Part):
    """Who names people and organisations: its certificate, and its statement key."""

    name: Name
    certificate: Annotated[str, StringConstraints(max_length=8000), AfterValidator(_one_pem)]
    """The issuer's X.509 certificate, PEM."""
    key: PublicKey
    """Signs revocations of certificates."""


class LevelLimits(Part):
    """The most bits that answers about one subject may tell one institution group."""

    level: Annotated[int, Field(ge=1, le=4)]
    feature_bits: Bits
    """About one feature, in one period."""
    family_bits: Bits
    """About one family of features, in any 36 months."""


class Charter(Payload):
    """Whom the owner's enclave trusts, and the limits it keeps. Signed by the owner's charter root.

    A later charter names the digest of the one before it and counts its version up by one.
    """

    KIND: ClassVar[str] = "charter"
    SIGNED_BY: ClassVar[Usage] = Usage.ROOT

    owner: Owner
    title: Title
    version: Version
    previous: Digest | None
    suite: Literal["international", "guomi"]
    """The room's, and so that of all keys which are named here."""
    root: PublicKey
    approvers: Annotated[tuple[Approver, ...], Field(min_length=1, max_length=16)]
    threshold: Annotated[int, Field(ge=1, le=16)]
    issuers: Annotated[tuple[IdentityIssuer, ...], Field(min_length=1, max_length=8)]
    registrars: Names = ()
    """Organisations whose people may register consents given on paper."""
    key_agent: PublicKey
    pairing: Annotated[Base64, AfterValidator(_exchange_key)]
    """X25519 public key for zero-shares with other owners' enclaves (PROTOCOLS section 6)."""
    room_keys: RoomKeys
    max_head_age_seconds: Annotated[int, Field(ge=1, le=3600)]
    min_sandbox_level: Annotated[int, Field(ge=0, le=3)]
    release_tick_milliseconds: Annotated[int, Field(ge=0, le=5)]
    """Answers leave on ticks of this length, so that time tells less; 0 switches ticks off."""
    limits: Annotated[tuple[LevelLimits, ...], Field(min_length=4, max_length=4)]
    witnesses: Annotated[WitnessPolicy | None, Field(exclude_if=operator.not_)] = None
    """Who must have cosigned the room's log for the enclave to answer; none asks for nobody.

    Charters had no such field at first: one without witnesses is written without it.
    """

    @model_validator(mode="after")
    def _coherent(self) -> Charter:
        if len({approver.name for approver in self.approvers}) != len(self.approvers):
            raise ValueError("approvers must have different names")
        keys = [approver.key for approver in self.approvers]
        keys += [issuer.key for issuer in self.issuers]
        keys += [self.root, self.key_agent, self.room_keys.ledger, self.room_keys.heads]
        suites = {VerifyKey.from_public(key).suite for key in keys}
        suites |= {_suite_of(issuer.certificate) for issuer in self.issuers}
        if suites != {self.suite}:
            raise ValueError("all keys and issuers of a charter are of its crypto suite")
        keys += [b64(key.public) for key in self.witnesses.keys] if self.witnesses else []
        if len(set(keys)) != len(keys):
            raise ValueError("everybody whom a charter names has a key of its own")
        if len({issuer.name for issuer in self.issuers}) != len(self.issuers):
            raise ValueError("identity issuers must have different names")
        if self.threshold > len(self.approvers):
            raise ValueError("threshold is above the number of approvers")
        if [limit.level for limit in self.limits] != [1, 2, 3, 4]:
            raise ValueError("limits must name the levels 1, 2, 3, 4 in order")
        if (self.version == 1) != (self.previous is None):
            raise ValueError("version 1 has no previous charter, and every later version has one")
        return self

    def limit(self, level: int) -> LevelLimits:
        """Give the limits of a sensitivity level (1 to 4)."""
        return self.limits[level - 1]
