"""Another owner's enclave in a job of several owners: which keys are its, and may it be trusted.

An enclave knows another by two things. The release certificate that its own approvers signed pins
the other owner's charter, and with it that owner's key agent and pairing key. And that key agent
endorsed, for now, the sealing key of an enclave that runs the same code as this one, in a sandbox
no weaker than this owner asks of its own, and on hardware that vouches for it if this one does. The
room carries it, and is not believed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from saferoom_enclaves.attest import Makeup
from saferoom_enclaves.pairing import Pairing
from saferoom_enclaves.standing import Standing
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Endorsement
from saferoom_proto.verification import verify_endorsement

_SOFTWARE: Final = "software"


@dataclass(frozen=True, slots=True)
class Papers:
    """What the room brings of another owner's enclave: its endorsement in force."""

    owner: str
    endorsement: Envelope


@dataclass(frozen=True, slots=True, repr=False)
class Peer:
    """Another owner's enclave, verified.

    Attributes:
        owner: whose.
        endorsement: names its keys.
        digest: of the endorsement.
        sealing: what is sealed to this only that very start of it opens.
        paired: the secret that the two owners' pairing keys have in common.
    """

    owner: str
    endorsement: Endorsement
    digest: str
    sealing: bytes
    paired: bytes


class Peers:
    """Verifies other owners' enclaves.

    Args:
        standing: what is in force here.
        makeup: this enclave's code, sandbox and keys.
        pairing: this owner's pairing key, as its key agent released it.
        endorsed: gives the endorsement that this enclave speaks under.
    """

    def __init__(
        self,
        standing: Standing,
        makeup: Makeup,
        pairing: Pairing,
        endorsed: Callable[[], Endorsement],
    ) -> None:
        self._endorsed: Final = endorsed
        self._standing: Final = standing
        self._makeup: Final = makeup
        self._pairing: Final = pairing

    @property
    def own(self) -> str:
        """Whose enclave this is."""
        return self._standing.charter.charter.owner

    @property
    def sealing(self) -> SealingKey:
        """Opens what others seal to this enclave."""
        return self._makeup.keys.sealing

    def verified(self, papers: Papers, certificate: str, now: datetime) -> Peer:
        """Take another owner's enclave for what its papers say, if they bear it.

        Args:
            papers: as the room brought them.
            certificate: the digest of the release certificate that a job runs under.
            now: when.

        Raises:
            SafeRoomError: `CERTIFICATE_MISMATCH` for an owner that it does not pin, or whose
                charter was followed by another since; `BAD_ENDORSEMENT`, `EXPIRED`,
                `NOT_YET_VALID`; `SANDBOX_TOO_WEAK`.
        """
        # Step 1: the charter is the one that this owner's approvers approved, and still in force.
        known = self._standing.certificates.get(certificate)
        if known is None or papers.owner == self.own:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "no certificate over other owners")
        charter = self._standing.peers.pinned(papers.owner, known.part(papers.owner).charter)
        # Step 2: its key agent endorses the enclave, now.
        endorsement = verify_endorsement(papers.endorsement, charter, now)
        # Step 3: it is what this owner would run itself.
        if endorsement.code != self._makeup.software.code:
            detail = f"the enclave of {papers.owner} runs other code"
            raise SafeRoomError(Reason.BAD_ENDORSEMENT, detail)
        own_kind, kind = self._endorsed().evidence_kind, endorsement.evidence_kind
        if own_kind != _SOFTWARE and kind == _SOFTWARE:
            detail = f"no hardware vouches for the enclave of {papers.owner}, as it does for this"
            raise SafeRoomError(Reason.BAD_ENDORSEMENT, detail)
        least = self._standing.charter.charter.min_sandbox_level
        if endorsement.sandbox_level < least:
            detail = f"{papers.owner}: level {endorsement.sandbox_level}, {least} is asked here"
            raise SafeRoomError(Reason.SANDBOX_TOO_WEAK, detail)
        return Peer(
            papers.owner,
            endorsement,
            papers.endorsement.digest,
            unb64(endorsement.sealing),
            self._pairing.agreed(charter),
        )
