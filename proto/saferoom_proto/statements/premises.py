"""What joins the room to an enclave that its owner starts: each side's key, vouched for.

An enclave that the server starts inherits a pipe, over which both sides learn each other's TLS
certificate. On its owner's premises there is none. There these statements say it.
"""

from __future__ import annotations

from typing import ClassVar

from saferoom_proto.statements.base import (
    Base64,
    Digest,
    Instant,
    OutsideDigest,
    Owner,
    Payload,
    PublicKey,
    Usage,
)


class Switchboard(Payload):
    """The certificate with which the room connects to its enclaves; they take no other.

    The room's heads key signs it, which stands in every charter.
    """

    KIND: ClassVar[str] = "switchboard"
    SIGNED_BY: ClassVar[Usage] = Usage.ROOM

    certificate: Base64
    """DER."""
    time: Instant
    """When it was made: a supervisor takes none older than the last."""


class Launch(Payload):
    """A supervisor's word that it started an enclave itself: its keys, and what it is made of.

    The supervisor measured the code, and heard the keys from its own child. So a key agent that
    asks for this gives no key to an enclave of anybody else's making.
    """

    KIND: ClassVar[str] = "launch"
    SIGNED_BY: ClassVar[Usage] = Usage.SUPERVISOR

    owner: Owner
    identity: PublicKey
    sealing: Base64
    """HPKE public key of the enclave."""
    tls: OutsideDigest
    """SHA-256 of the TLS certificate on its socket, DER."""
    charter: Digest
    code: OutsideDigest
    dependencies: OutsideDigest
    time: Instant
