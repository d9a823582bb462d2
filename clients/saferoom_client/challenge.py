"""Asking an owner's enclave for evidence, and verifying it: anybody in the room may.

A member need not take the key agent's word: it sends a challenge of its own, and holds what comes
back to the endorsement that the enclave's answers carry.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from saferoom_client.session import Session
from saferoom_proto.attestation import (
    NONCE_BYTES,
    SOFTWARE,
    QuoteVerifier,
    read_evidence,
    verify_evidence,
)
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Endorsement, EvidenceClaims, load
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.wire import envelope_from_proto

_SAME: Final = (
    "room",
    "owner",
    "identity",
    "sealing",
    "tls",
    "charter",
    "code",
    "dependencies",
    "sandbox_level",
)
"""What an enclave is from its start to its end: endorsed, and claimed."""


@dataclass(frozen=True, slots=True)
class ShownEvidence:
    """An enclave's evidence for a member's challenge, verified.

    Attributes:
        kind: what vouches for the claims; `software` is nothing but the enclave's own word.
        claims: what it claims to be, now.
        endorsement: in force, of this very enclave.
    """

    kind: str
    claims: EvidenceClaims
    endorsement: Endorsement

    @property
    def is_hardware(self) -> bool:
        """Whether hardware vouches for the claims."""
        return self.kind != SOFTWARE


async def get_evidence(
    session: Session,
    owner: str,
    *,
    hardware: bool = False,
    verifiers: Mapping[str, QuoteVerifier] | None = None,
) -> ShownEvidence:
    """Challenge an owner's enclave, and verify what it shows.

    Args:
        session: of any member.
        owner: whose enclave.
        hardware: accept nothing but hardware's word.
        verifiers: of quotes, by the kind of hardware.

    Raises:
        SafeRoomError: `BAD_EVIDENCE` if it does not hold, or is software's where hardware's is
            asked for; `BAD_ENDORSEMENT` if it is another enclave's than the one endorsed.
    """
    nonce = os.urandom(NONCE_BYTES)
    ask = owner_pb2.GetEvidenceRequest(owner=owner, nonce=nonce)
    told = await session.call(session.owners.GetEvidence, ask)
    evidence = read_evidence(told.kind, told.quote)
    if hardware and evidence.kind == SOFTWARE:
        raise SafeRoomError(Reason.BAD_EVIDENCE, "it is software's, and hardware's is asked for")
    claims = verify_evidence(
        envelope_from_proto(told.claims), evidence, b64(nonce), verifiers or {}
    )
    envelope = envelope_from_proto(told.endorsement)
    session.grounds.keep(envelope)
    charter = await session.grounds.charter(owner, load(envelope, Endorsement).charter)
    endorsement = await session.grounds.endorsement(envelope.digest, charter, session.clock())
    for name in _SAME:
        if getattr(claims, name) != getattr(endorsement, name):
            raise SafeRoomError(Reason.BAD_ENDORSEMENT, f"it claims another {name}")
    return ShownEvidence(evidence.kind, claims, endorsement)
