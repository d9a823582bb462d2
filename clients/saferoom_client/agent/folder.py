"""A key agent's folder: its policy, its keys, and how far it has seen its enclave come.

agent.json       the policy: whose enclave, under which charter root, of which code
agent-card.json  the public halves, for the owner's next charter
*.key            its keys (`slots`), unless they are on a token, which token.json numbers
state.json       the newest charter and chain position it has accepted
tdx-collateral.json  Intel's word on the platform, where TDX evidence counts; the owner renews it
profile/         the agent's own member folder of the room
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import Field, model_validator

from saferoom_client.agent.slots import FileKeys, KeySource, Slot
from saferoom_client.agent.token import NUMBERS, TokenKeys
from saferoom_client.files import (
    PUBLIC_FILE,
    make_folder,
    read_model,
    refuse_existing,
    require_folder_with,
    write_model,
)
from saferoom_client.tdx import TdxPolicy
from saferoom_proto import chain
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.roots import follow_root
from saferoom_proto.statements import ChainLink, Digest, Owner, PublicKey, RootHandover
from saferoom_proto.statements.base import Base64, Origin, OutsideDigest, Part
from saferoom_proto.statements.enclave import EvidenceKind
from saferoom_proto.suite import Suite

POLICY: Final = "agent.json"
CARD: Final = "agent-card.json"
STATE: Final = "state.json"
COLLATERAL: Final = "tdx-collateral.json"
PROFILE: Final = "profile"


class Policy(Part):
    """Which enclave the agent accepts."""

    room: Origin
    owner: Owner
    charter_root: PublicKey
    """Only a charter that this key signed counts."""
    last_charter: Digest | None = None
    """And the last one of the root that handed over to it; none if none did."""
    code: Annotated[tuple[OutsideDigest, ...], Field(min_length=1, max_length=64)]
    """Accepted digests of our own code, as `saferoom measure` gives them."""
    dependencies: Annotated[tuple[OutsideDigest, ...], Field(min_length=1, max_length=64)]
    """Accepted digests of what else is installed."""
    evidence_kinds: Annotated[tuple[EvidenceKind, ...], Field(min_length=1, max_length=4)]
    """`software` evidence proves nothing about the host; leave it out to demand hardware."""
    tdx: TdxPolicy | None = None
    """Which TDX evidence counts, where `evidence_kinds` takes any."""
    supervisors: Annotated[tuple[PublicKey, ...], Field(max_length=16)] = ()
    """Only enclaves that one of these supervisors started are accepted; any, if there is none.

    Without it, whoever can reach the agent through the room can claim to be an enclave.
    """
    token: str | None = None
    """The PKCS #11 URI of the token that holds the keys; none if they lie in files."""

    @model_validator(mode="after")
    def _whole(self) -> Policy:
        if ("tdx" in self.evidence_kinds) != (self.tdx is not None):
            raise ValueError("a policy that takes tdx evidence names its images, and no other does")
        if self.token is not None and self.suite is Suite.GUOMI:
            raise ValueError("a token holds no keys of the suite guomi: leave it out")
        return self

    @property
    def suite(self) -> Suite:
        """The room's crypto suite: that of the charter root."""
        return VerifyKey.from_public(self.charter_root).suite


class AgentCard(Part):
    """What the owner's charter says of its key agent."""

    owner: Owner
    key_agent: PublicKey
    pairing: Base64


class Recovered(Part):
    """An older copy that went on by its owner's decision, which counts for one start of it."""

    recoveries: tuple[Digest, ...]
    """The approvers' statements that were gone by, of this copy or one before it."""
    identity: PublicKey
    """Of the enclave that was given its key: another start has another."""


class AgentState(Part):
    """The newest that the agent has accepted; what is older is a rollback."""

    charter_version: Annotated[int, Field(ge=0)] = 0
    charter: Digest | None = None
    chain: ChainLink = ChainLink(index=0, previous=chain.GENESIS)
    endorsement: Digest | None = None
    """The last one signed; the next one names it."""
    recovered: Recovered | None = None
    """By what the last older copy went on that was let go on from where `chain` is."""
    last_epoch: Annotated[int, Field(ge=0)] = 0
    """The last period of the store that it was seen in, or that its owner decided about."""


@dataclass(frozen=True, slots=True)
class KeyAgent:
    """A key agent with its keys. Its text form shows none of them.

    Attributes:
        folder: its own.
        policy: which enclave it accepts.
        signing: signs endorsements.
        store_key: seals the enclave's own keys.
        pairing_key: for zero-shares with other owners' enclaves.
        earlier_key: the store key before, until the enclave has gone over; none most of the time.
    """

    folder: Path
    policy: Policy
    signing: SigningKey = field(repr=False)
    store_key: bytes = field(repr=False)
    pairing_key: bytes = field(repr=False)
    earlier_key: bytes | None = field(default=None, repr=False)

    @classmethod
    def create(cls, folder: Path, policy: Policy) -> Self:
        """Make a key agent with fresh keys, and its folder.

        Raises:
            SafeRoomError: `BAD_CONFIG` if there is one already: its store key would be lost; or if
                its token does not take the PIN; `UNAVAILABLE` if the token is not there.
        """
        make_folder(folder)
        names = [f"{slot}.key" for slot in Slot]
        for name in (POLICY, CARD, STATE, NUMBERS, *names):
            refuse_existing(folder / name)
        source = key_source(folder, policy)
        for slot in (Slot.AGENT, Slot.STORE, Slot.PAIRING):
            source.make(slot)
        first = ChainLink(index=0, previous=chain.genesis(policy.suite))
        write_model(folder / STATE, AgentState(chain=first))
        write_model(folder / POLICY, policy)
        agent = cls.load(folder)
        write_model(folder / CARD, agent.card, PUBLIC_FILE)
        return agent

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a key agent's folder.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming the file that is missing, open to others or not
                well formed; of a token's, `UNAVAILABLE` if it is not there.
        """
        require_folder_with(folder, POLICY)
        policy = read_model(folder / POLICY, Policy)
        source = key_source(folder, policy)
        has_earlier = source.has(Slot.STORE_BEFORE)
        return cls(
            folder,
            policy,
            source.signing(Slot.AGENT),
            source.secret(Slot.STORE),
            source.secret(Slot.PAIRING),
            source.secret(Slot.STORE_BEFORE) if has_earlier else None,
        )

    @property
    def source(self) -> KeySource:
        """Where its keys lie."""
        return key_source(self.folder, self.policy)

    def accept(self, code: Sequence[str], dependencies: Sequence[str]) -> Policy:
        """Accept more digests of code and dependencies, durably, as before an upgrade."""
        return self._decide(
            code=_more(self.policy.code, code),
            dependencies=_more(self.policy.dependencies, dependencies),
        )

    def require(self, supervisors: Sequence[str]) -> Policy:
        """Accept from now on only enclaves that one of these, or of those before, started."""
        return self._decide(supervisors=_more(self.policy.supervisors, supervisors))

    def follow(self, statement: Envelope) -> RootHandover:
        """Go over to the charter root that the pinned one handed over to, durably.

        Raises:
            SafeRoomError: `BAD_SIGNATURE` or `BAD_CHARTER` if the pinned root did not sign that;
                `CONFLICT` for a handover that is past.
        """
        policy, state = self.policy, self.state()
        says = follow_root(
            statement,
            room=policy.room,
            owner=policy.owner,
            root=policy.charter_root,
            seen=None if state.charter is None else (state.charter_version, state.charter),
        )
        # In this order: a kill in between leaves an agent that takes the last charter and no older
        # one, and following again ends it.
        seen = {"charter_version": says.version - 1, "charter": says.previous}
        self.keep_state(AgentState.model_validate({**dict(state), **seen}))
        followed = {"charter_root": says.following, "last_charter": says.previous}
        write_model(self.folder / POLICY, Policy.model_validate({**dict(policy), **followed}))
        return says

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
        return card_of(self.policy.owner, self.signing, self.pairing_key)

    def state(self) -> AgentState:
        """Read how far the agent has seen its enclave come."""
        return read_model(self.folder / STATE, AgentState)

    def keep_state(self, state: AgentState) -> None:
        """Remember it, on the disk before this returns."""
        write_model(self.folder / STATE, state)


def _more(known: Sequence[str], added: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *added)))


def card_of(owner: str, signing: SigningKey, pairing_key: bytes) -> AgentCard:
    """Give the public halves of two keys, for a charter."""
    pairing = X25519PrivateKey.from_private_bytes(pairing_key).public_key()
    return AgentCard(
        owner=owner,
        key_agent=signing.verify_key.public,
        pairing=b64(pairing.public_bytes_raw()),
    )


def key_source(folder: Path, policy: Policy) -> KeySource:
    """Say where an agent's keys lie by its policy."""
    if policy.token is None:
        return FileKeys(folder, policy.suite)
    return TokenKeys(folder, policy.token)
