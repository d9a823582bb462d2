"""Keys, digests and instants of the frozen examples: made of names, the same everywhere."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from ssl import PEM_cert_to_DER_cert
from typing import Final

from saferoom_proto.checkpoint import Checkpoint, sign_checkpoint
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.hpke import SEED_BYTES, SealingKey
from saferoom_proto.keys import SigningKey
from saferoom_proto.load import LoadHeader, LoadTable
from saferoom_proto.statements import (
    ChainLink,
    StoreState,
    StreamPosition,
    Title,
)
from saferoom_proto.uscc import make_uscc

ROOM: Final = "city.example/room"
AT: Final = datetime(2026, 11, 23, 16, 0, 0, 123000, timezone(timedelta(hours=8)))
"""In another zone than UTC: statements have one form of an instant."""
LATER: Final = datetime(2027, 11, 23, 8, 0, tzinfo=UTC)
SUBJECT: Final = make_uscc(35)
TITLE: Final = Title(en="Paid VAT \u2265 1,000", zh="已缴增值税")
ISSUER_PEM: Final = """-----BEGIN CERTIFICATE-----
MIHOMIGBoAMCAQICAQEwBQYDK2VwMBExDzANBgNVBAMMBmdvbGRlbjAeFw0yNjAx
MDEwMDAwMDBaFw0zNjAxMDEwMDAwMDBaMBExDzANBgNVBAMMBmdvbGRlbjAqMAUG
AytlcAMhADtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdopMAUGAytlcANB
AM8hirJN+m7mz4nd4QNJ3m7AWZihZIDWrj/q6hoG+fnpZkZXaTf7wJ5un769Inv4
29pgvYsgnQ/FAhV0hOOMfgI=
-----END CERTIFICATE-----
"""
CERTIFICATE: Final = PEM_cert_to_DER_cert(ISSUER_PEM)


def seed(name: str, size: int = 32) -> bytes:
    """Give the bytes that belong to a name."""
    return hashlib.shake_256(b"golden " + name.encode()).digest(size)


def digest(name: str) -> str:
    """Give a digest that belongs to a name."""
    return sha256_digest(name.encode())


def key(name: str) -> SigningKey:
    """Give the signing key of a name."""
    return SigningKey.from_seed(seed(name))


def public(name: str) -> str:
    """Give the public key of a name."""
    return key(name).verify_key.public


def sealing(name: str) -> SealingKey:
    """Give the HPKE key of a name."""
    return SealingKey.from_bytes(seed(name, SEED_BYTES))


STORE: Final = StoreState(epoch=2, digest=digest("snapshot 2"))
BEFORE: Final = StoreState(epoch=1, digest=digest("snapshot 1"))
LINK: Final = ChainLink(index=7, previous=digest("entry 6"))
STREAM: Final = StreamPosition(sequence=12, running=digest("statement 12"))
HEADER: Final = LoadHeader("tax", digest("schema"), (LoadTable("vat", 2), LoadTable("arrears", 1)))


def note() -> str:
    """Sign a checkpoint."""
    return sign_checkpoint(Checkpoint(ROOM, 3, seed("root")), key("ledger"))
