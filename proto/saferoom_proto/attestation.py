"""What binds evidence together: nonce, TLS key and claims, in the 64 bytes that hardware signs.

Every kind of evidence is of claims that the enclave signed with its own key. Hardware signs a hash
over them besides; who verifies its quote sits behind `QuoteVerifier`, and anybody who wants
evidence verified names the verifiers, one for each kind of hardware that counts.

Source: RFC 9334 (RATS), sections 7 and 10; the 64 bytes are REPORTDATA of a TDREPORT and
REPORT_DATA of an SNP report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, Protocol

from pydantic import ValidationError

from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, digest_bytes, unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Evidence, EvidenceClaims
from saferoom_proto.statements.base import field_faults
from saferoom_proto.verification import verify_claims

SOFTWARE: Final = "software"

NONCE_BYTES: Final = 32
"""Of a challenge, which evidence answers."""

_LABEL: Final = b"saferoom report data v1\n"


class QuoteVerifier(Protocol):
    """Verifies the quotes of one kind of hardware."""

    def verify(self, quote: bytes, report_data: bytes) -> None:
        """Refuse a quote that does not hold, or is over other report data.

        Raises:
            SafeRoomError: `BAD_EVIDENCE`, naming what does not hold.
        """
        ...


def report_data(claims: EvidenceClaims, claims_digest: str) -> bytes:
    """Give the 64 bytes that hardware signs for claims.

    The claims name nonce and TLS key, too. They stand here by themselves so that a verifier that
    opens no claims can hold a quote to the challenge it sent and the certificate it sees.

    Args:
        claims: what is claimed.
        claims_digest: of the claims' envelope.
    """
    hashed = hashlib.sha512(_LABEL)
    hashed.update(hashlib.sha256(unb64(claims.nonce)).digest())
    for digest in (claims.tls, claims_digest):
        hashed.update(digest_bytes(digest))
    return hashed.digest()


def read_evidence(kind: str, quote: bytes) -> Evidence:
    """Read what vouches for claims; `BAD_EVIDENCE` for an unknown kind."""
    try:
        return Evidence.model_validate({"kind": kind, "quote": b64(quote)})
    except ValidationError as error:
        faults = field_faults(error)
        raise SafeRoomError(Reason.BAD_EVIDENCE, "an unknown kind of evidence", faults) from None


def verify_evidence(
    envelope: Envelope,
    evidence: Evidence,
    nonce: str,
    verifiers: Mapping[str, QuoteVerifier],
) -> EvidenceClaims:
    """Verify claims and, where hardware vouches for them, its quote.

    Args:
        envelope: the claims.
        evidence: what vouches for them.
        nonce: the challenge, base64.
        verifiers: by the kind of hardware. Software evidence needs none, and proves the less: that
            whoever holds a key says so.

    Raises:
        SafeRoomError: `BAD_EVIDENCE` or `BAD_SIGNATURE`.
    """
    claims = verify_claims(envelope, evidence, nonce)
    if evidence.kind != SOFTWARE:
        verifier = verifiers.get(evidence.kind)
        if verifier is None:
            raise SafeRoomError(Reason.BAD_EVIDENCE, f"no verifier for {evidence.kind} evidence")
        verifier.verify(unb64(evidence.quote), report_data(claims, envelope.digest))
    return claims
