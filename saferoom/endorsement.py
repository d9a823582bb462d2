"""Whether an enclave's key speaks for its owner: the server's own check, the same as everyone's.

A server that took an enclave's word for its key would log whatever a made-up enclave says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from saferoom.exchange import AttestedClaims
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, sha256_digest
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Endorsement, Evidence, EvidenceClaims, load
from saferoom_proto.verification import PinnedCharter, verify_claims, verify_endorsement


@dataclass(frozen=True, slots=True)
class Endorsed:
    """An endorsement in force, and the claims it accepted."""

    endorsement: Endorsement
    statement: Envelope
    claims: Envelope

    @property
    def digest(self) -> str:
        """The endorsement statement's digest."""
        return self.statement.digest


def require_endorsed(
    attested: AttestedClaims,
    endorsement: Envelope,
    *,
    charter: PinnedCharter,
    nonce: bytes,
    tls: str,
    now: datetime,
) -> Endorsed:
    """Check that the key agent endorsed this very enclave.

    Args:
        attested: the enclave's evidence.
        endorsement: the key agent's statement.
        charter: the owner's, in force.
        nonce: the key agent's challenge.
        tls: fingerprint of the certificate that the enclave's socket is pinned to.
        now: the instant at which the endorsement must be valid.

    Raises:
        SafeRoomError: `BAD_EVIDENCE` if the claims are not this enclave's; `BAD_ENDORSEMENT`,
            `SANDBOX_TOO_WEAK`, `NOT_YET_VALID` or `EXPIRED`.
    """
    # Step 1: the claims answer the challenge, and are those of the enclave behind the socket.
    evidence = _evidence(attested)
    claims = verify_claims(attested.claims, evidence, b64(nonce))
    if (claims.owner, claims.room) != (charter.charter.owner, charter.charter.room):
        raise SafeRoomError(Reason.BAD_EVIDENCE, "the evidence of another owner's enclave")
    if claims.tls != tls:
        raise SafeRoomError(Reason.BAD_EVIDENCE, "the evidence names another TLS certificate")
    # Step 2: the key agent of the charter in force signed the endorsement, and it is valid now.
    opened = verify_endorsement(endorsement, charter, now)
    # Step 3: it endorses what was claimed, all of it and nothing else.
    if _endorsed(opened) != _claimed(claims, attested):
        raise SafeRoomError(Reason.BAD_ENDORSEMENT, "the endorsement is not of these claims")
    return Endorsed(opened, endorsement, attested.claims)


def require_same(
    attested: AttestedClaims, endorsed: Endorsed, *, nonce: bytes, tls: str
) -> EvidenceClaims:
    """Check that an enclave which is reached again is the one that was endorsed.

    Its TLS key is made at its start and never leaves it, so the same key is the same run: its key
    agent need not be asked anew because a line was cut.

    Args:
        attested: fresh evidence.
        endorsed: what counted before.
        nonce: the room's own challenge.
        tls: fingerprint of the certificate that its socket is pinned to.

    Returns:
        The fresh claims: they tell how long the enclave's chain is now.

    Raises:
        SafeRoomError: `BAD_EVIDENCE` if it is another.
    """
    claims = verify_claims(attested.claims, _evidence(attested), b64(nonce))
    before = load(endorsed.claims, EvidenceClaims)
    if (claims.tls, *_lasting(claims)) != (tls, *_lasting(before)):
        raise SafeRoomError(Reason.BAD_EVIDENCE, "not the enclave that was endorsed")
    return claims


def _lasting(claims: EvidenceClaims) -> tuple[object, ...]:
    """Give what an enclave is from its start to its end."""
    return (
        claims.room,
        claims.owner,
        claims.identity,
        claims.sealing,
        claims.tls,
        claims.charter,
        claims.code,
        claims.dependencies,
        claims.sandbox_level,
    )


def _evidence(attested: AttestedClaims) -> Evidence:
    document = {"kind": attested.kind, "quote": b64(attested.quote)}
    try:
        return Evidence.model_validate(document)
    except ValueError as error:
        raise SafeRoomError(Reason.BAD_EVIDENCE, "an unknown kind of evidence") from error


def _claimed(claims: EvidenceClaims, attested: AttestedClaims) -> tuple[object, ...]:
    return (
        claims.identity,
        claims.sealing,
        claims.tls,
        claims.charter,
        claims.code,
        claims.dependencies,
        claims.sandbox_level,
        claims.chain,
        attested.kind,
        attested.claims.digest,
        sha256_digest(attested.quote) if attested.quote else None,
    )


def _endorsed(endorsement: Endorsement) -> tuple[object, ...]:
    return (
        endorsement.identity,
        endorsement.sealing,
        endorsement.tls,
        endorsement.charter,
        endorsement.code,
        endorsement.dependencies,
        endorsement.sandbox_level,
        endorsement.chain,
        endorsement.evidence_kind,
        endorsement.evidence,
        endorsement.quote,
    )
