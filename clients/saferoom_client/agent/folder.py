"""A key agent's folder: its policy, its keys, and how far it has seen its enclave come.

agent.json       the policy: whose enclave, under which charter root, of which code
agent-card.json  the public halves, for the owner's charter
agent.key        Ed25519; signs endorsements
store.key        32 bytes; opens the owner's store
pairing.key      X25519; zero-shares with other owners' enclaves
state.json       the newest charter and chain position it has accepted
profile/         the agent's own member folder of the room
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import Field

from saferoom_client.files import (
    PUBLIC_FILE,
    bad_file,
    make_folder,
    read_model,
    read_private,
    refuse_existing,
    write_file,
    write_model,
)
from saferoom_proto import chain
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.statements import ChainLink, Digest, Owner, PublicKey
from saferoom_proto.statements.base import Base64, Origin, Part

POLICY: Final = "agent.json"
CARD: Final = "agent-card.json"
SIGNING: Final = "agent.key"
STORE: Final = "store.key"
PAIRING: Final = "pairing.key"
STATE: Final = "state.json"
PROFILE: Final = "profile"

KEY_BYTES: Final = 32

EvidenceKind = Literal["software", "tdx", "sev-snp", "csv"]


class Policy(Part):
    """Which enclave the agent accepts."""

    room: Origin
    owner: Owner
    charter_root: PublicKey
    """Only a charter that this key signed counts."""
    code: Annotated[tuple[Digest, ...], Field(min_length=1, max_length=64)]
    """Accepted digests of our own code, as `saferoom measure` gives them."""
    dependencies: Annotated[tuple[Digest, ...], Field(min_length=1, max_length=64)]
    """Accepted digests of what else is installed."""
    evidence_kinds: Annotated[tuple[EvidenceKind, ...], Field(min_length=1, max_length=4)]
    """`software` evidence proves nothing about the host; leave it out to demand hardware."""
    supervisors: Annotated[tuple[PublicKey, ...], Field(max_length=16)] = ()
    """Only enclaves that one of these supervisors started are accepted; any, if there is none.

    Without it, whoever can reach the agent through the room can claim to be an enclave.
    """


class AgentCard(Part):
    """What the owner's charter says of its key agent."""

    owner: Owner
    key_agent: PublicKey
    pairing: Base64


class AgentState(Part):
    """The newest that the agent has accepted; what is older is a rollback."""

    charter_version: Annotated[int, Field(ge=0)] = 0
    charter: Digest | None = None
    chain: ChainLink = ChainLink(index=0, previous=chain.GENESIS)
    endorsement: Digest | None = None
    """The last one signed; the next one names it."""


@dataclass(frozen=True, slots=True)
class KeyAgent:
    """A key agent with its keys. Its text form shows none of them."""

    folder: Path
    policy: Policy
    signing: SigningKey = field(repr=False)
    store_key: bytes = field(repr=False)
    pairing_key: bytes = field(repr=False)

    @classmethod
    def create(cls, folder: Path, policy: Policy) -> Self:
        """Make a key agent with fresh keys, and its folder.

        Raises:
            SafeRoomError: `BAD_CONFIG` if there is one already: its store key would be lost.
        """
        make_folder(folder)
        for name in (POLICY, CARD, SIGNING, STORE, PAIRING, STATE):
            refuse_existing(folder / name)
        pairing = X25519PrivateKey.generate().private_bytes_raw()
        agent = cls(folder, policy, SigningKey.generate(), os.urandom(KEY_BYTES), pairing)
        write_file(folder / SIGNING, agent.signing.to_pem())
        write_file(folder / STORE, agent.store_key)
        write_file(folder / PAIRING, agent.pairing_key)
        write_model(folder / STATE, AgentState())
        write_model(folder / POLICY, policy)
        write_model(folder / CARD, agent.card, PUBLIC_FILE)
        return agent

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a key agent's folder.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming the file that is missing, open to others or not
                well formed.
        """
        policy = read_model(folder / POLICY, Policy)
        signing = SigningKey.from_pem(read_private(folder / SIGNING))
        store_key = _read_key(folder / STORE)
        return cls(folder, policy, signing, store_key, _read_key(folder / PAIRING))

    def accept(self, code: Sequence[str], dependencies: Sequence[str]) -> Policy:
        """Accept more digests of code and dependencies, durably, as before an upgrade."""
        return self._decide(
            code=_more(self.policy.code, code),
            dependencies=_more(self.policy.dependencies, dependencies),
        )

    def require(self, supervisors: Sequence[str]) -> Policy:
        """Accept from now on only enclaves that one of these, or of those before, started."""
        return self._decide(supervisors=_more(self.policy.supervisors, supervisors))

    def _decide(self, **changes: tuple[str, ...]) -> Policy:
        policy = Policy.model_validate({**dict(self.policy), **changes})
        write_model(self.folder / POLICY, policy)
        return policy

    @property
    def profile_folder(self) -> Path:
        """The agent's own member folder."""
        return self.folder / PROFILE

    @property
    def card(self) -> AgentCard:
        """The public halves of the agent's keys."""
        pairing = X25519PrivateKey.from_private_bytes(self.pairing_key).public_key()
        return AgentCard(
            owner=self.policy.owner,
            key_agent=self.signing.verify_key.public,
            pairing=b64(pairing.public_bytes_raw()),
        )

    def state(self) -> AgentState:
        """Read how far the agent has seen its enclave come."""
        return read_model(self.folder / STATE, AgentState)

    def keep_state(self, state: AgentState) -> None:
        """Remember it, on the disk before this returns."""
        write_model(self.folder / STATE, state)


def _more(known: Sequence[str], added: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *added)))


def _read_key(path: Path) -> bytes:
    key = read_private(path)
    if len(key) != KEY_BYTES:
        raise bad_file(path, f"a key has {KEY_BYTES} bytes")
    return key
