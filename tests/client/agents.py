"""An owner's key agent, and an enclave that asks it for its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom_client.agent.folder import KeyAgent, Policy
from saferoom_client.agent.policy import appraise
from saferoom_proto import chain
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    ChainLink,
    Evidence,
    EvidenceClaims,
    StreamPosition,
    seal_statement,
)
from simulator import World
from tests.client.made import NOTHING

CODE = "sha256:" + "c" * 64
DEPENDENCIES = "sha256:" + "d" * 64
OTHER = "sha256:" + "0" * 64
NONCE = bytes(range(32))
SOFTWARE = Evidence(kind="software", quote="")


class Scene:
    """An owner whose charter names this agent, and an enclave that asks for its key."""

    def __init__(self, folder: Path, world: World | None = None) -> None:
        self.world = World("agents") if world is None else world
        self.policy = Policy(
            room=self.world.room,
            owner="tax",
            charter_root=self.world.seeds.signing("root of tax").verify_key.public,
            code=(CODE,),
            dependencies=(DEPENDENCIES,),
            evidence_kinds=("software",),
        )
        self.agent = KeyAgent.create(folder, self.policy)
        card = self.agent.card
        self.named = {"key_agent": card.key_agent, "pairing": card.pairing}
        self.owner = self.world.owner("tax", **self.named)
        self.identity = self.world.seeds.signing("enclave")
        self.sealing = self.world.seeds.sealing("enclave")

    @property
    def charter(self) -> Envelope:
        return self.owner.charters[-1]

    def claims(self, key: SigningKey | None = None, /, **changes: object) -> Envelope:
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": "tax",
            "nonce": b64(NONCE),
            "identity": self.identity.verify_key.public,
            "sealing": b64(self.sealing.public),
            "tls": NOTHING,
            "charter": self.charter.digest,
            "code": CODE,
            "dependencies": DEPENDENCIES,
            "python": "3.11.7",
            "sandbox_level": 2,
            "sandbox_missing": ("landlock",),
            "store": None,
            "chain": ChainLink(index=0, previous=chain.GENESIS),
            "stream": StreamPosition(sequence=0, running=chain.GENESIS),
        }
        return seal_statement(EvidenceClaims.model_validate(fields | changes), key or self.identity)

    def reason(
        self,
        claims: Envelope,
        *,
        evidence: Evidence = SOFTWARE,
        nonce: bytes = NONCE,
        charter: Envelope | None = None,
    ) -> Reason:
        with pytest.raises(SafeRoomError) as refused:
            appraise(self.agent, claims, evidence, nonce, charter or self.charter)
        return refused.value.reason
