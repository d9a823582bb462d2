"""Evidence about this enclave, in the roles of RFC 9334: it attests, the key agent verifies.

Hardware stands behind the same interface once there is some. Software evidence is signed by the
enclave's own fresh key and says so: it shows which code claims to run, not that it does.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Final, Protocol

from saferoom_enclaves.keys import EnclaveKeys
from saferoom_enclaves.marks import Position
from saferoom_proto.attestation import NONCE_BYTES
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.measure import measure_code, measure_dependencies
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Endorsement, Evidence, EvidenceClaims, seal_statement
from saferoom_proto.verification import PinnedCharter


@dataclass(frozen=True, slots=True)
class Software:
    """What this process is made of."""

    code: str
    dependencies: str
    python: str

    @classmethod
    def measure(cls) -> Software:
        """Measure the code that is installed here, and that this process was started from."""
        return cls(measure_code(), measure_dependencies(), platform.python_version())


@dataclass(frozen=True, slots=True)
class Confinement:
    """How far the sandbox holds."""

    level: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attestation:
    """Claims, and the evidence that vouches for them."""

    claims: Envelope
    evidence: Evidence


class Attester(Protocol):
    """Vouches for claims about this enclave."""

    def attest(self, claims: EvidenceClaims) -> Attestation:
        """Give evidence for claims."""
        ...


class SoftwareAttester:
    """Vouches with nothing but the enclave's own word.

    Args:
        identity: the enclave's identity key.
    """

    def __init__(self, identity: SigningKey) -> None:
        self._identity: Final = identity

    def attest(self, claims: EvidenceClaims) -> Attestation:
        """Sign the claims with the key they name."""
        return Attestation(
            seal_statement(claims, self._identity), Evidence(kind="software", quote="")
        )


@dataclass(frozen=True, slots=True)
class Makeup:
    """What an enclave is from its start to its end."""

    keys: EnclaveKeys
    software: Software
    confinement: Confinement

    def claims(self, nonce: bytes, charter: PinnedCharter, position: Position) -> EvidenceClaims:
        """Claim what this enclave is, for a key agent's nonce.

        Raises:
            SafeRoomError: `MALFORMED` for a nonce of another length.
        """
        if len(nonce) != NONCE_BYTES:
            raise SafeRoomError(Reason.MALFORMED, f"a challenge has {NONCE_BYTES} bytes")
        return EvidenceClaims(
            room=charter.charter.room,
            owner=charter.charter.owner,
            nonce=b64(nonce),
            identity=self.keys.identity.verify_key.public,
            sealing=b64(self.keys.sealing.public),
            tls=self.keys.tls.digest,
            charter=charter.digest,
            code=self.software.code,
            dependencies=self.software.dependencies,
            python=self.software.python,
            sandbox_level=self.confinement.level,
            sandbox_missing=self.confinement.missing,
            store=position.store,
            chain=position.chain,
            stream=position.stream,
        )

    def require_meant(self, endorsement: Endorsement) -> None:
        """Refuse with `BAD_ENDORSEMENT` one that is about another enclave, or another claim."""
        said = (
            endorsement.identity,
            endorsement.sealing,
            endorsement.tls,
            endorsement.code,
            endorsement.dependencies,
            endorsement.sandbox_level,
        )
        own = (
            self.keys.identity.verify_key.public,
            b64(self.keys.sealing.public),
            self.keys.tls.digest,
            self.software.code,
            self.software.dependencies,
            self.confinement.level,
        )
        if said != own:
            raise SafeRoomError(Reason.BAD_ENDORSEMENT, "it endorses another enclave")
