"""Changing a key agent's keys: the store's at once, its own with the owner's next charter.

The store's key: a new one is made, and both are released until the enclave has gone over and said
so in its log; then the former one is dropped. The agent's own: new ones are made and put on its
card; the agent goes over to them with the first charter under its owner's root that names them.
"""

from __future__ import annotations

from typing import Final

from saferoom_client.agent.folder import CARD, AgentCard, KeyAgent, card_of
from saferoom_client.agent.slots import Slot
from saferoom_client.files import PUBLIC_FILE, write_model
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.roots import open_followed
from saferoom_proto.statements import KeyChange
from saferoom_proto.store_key import name_of

_NEXT: Final = ((Slot.AGENT_NEXT, Slot.AGENT), (Slot.PAIRING_NEXT, Slot.PAIRING))


def change_store_key(agent: KeyAgent) -> KeyAgent:
    """Make a new store key, and keep the former one until it is retired.

    Raises:
        SafeRoomError: `CONFLICT` while the enclave has not gone over to the last one.
    """
    source = agent.source
    if source.has(Slot.STORE_BEFORE):
        detail = "the last change is not at its end: saferoom agent retire"
        raise SafeRoomError(Reason.CONFLICT, detail)
    # In this order: whatever a crash leaves, the key that opens the store is in one of the slots.
    source.copy(Slot.STORE, Slot.STORE_BEFORE)
    source.make(Slot.STORE)
    return KeyAgent.load(agent.folder)


def retire_store_key(agent: KeyAgent, said: KeyChange | None) -> None:
    """Drop the former store key, once the enclave has said that it went over.

    Args:
        agent: the key agent.
        said: the enclave's newest word on a change, verified; none if there is none.

    Raises:
        SafeRoomError: `CONFLICT` if there is nothing to retire, or the enclave has not gone over.
    """
    earlier = agent.earlier_key
    if earlier is None:
        raise SafeRoomError(Reason.CONFLICT, "there is no former store key")
    # A change that was cut off before its new key was made left the former one in both slots.
    changed = earlier == agent.store_key or (
        said is not None and said.store_key == name_of(agent.store_key, agent.signing.suite)
    )
    if not changed:
        detail = "the enclave has not gone over to the new store key; it does when it is next asked"
        raise SafeRoomError(Reason.CONFLICT, detail)
    agent.source.drop(Slot.STORE_BEFORE)


def prepare_agent_keys(agent: KeyAgent) -> AgentCard:
    """Make the signing and pairing keys that the next charter is to name; give their card.

    Called again, it gives the same card: a charter may be signed already that names it.
    """
    source = agent.source
    for slot, _ in _NEXT:
        if not source.has(slot):
            source.make(slot)
    card = _next_card(agent)
    write_model(agent.folder / CARD, card, PUBLIC_FILE)
    return card


def under(agent: KeyAgent, charter: Envelope) -> KeyAgent:
    """Go over to the next keys if the owner's charter names them.

    Raises:
        SafeRoomError: `BAD_CHARTER`, `BAD_SIGNATURE` or `MALFORMED` for another root's charter.
    """
    source = agent.source
    if not any(source.has(slot) for slot, _ in _NEXT):
        return agent
    policy = agent.policy
    named = open_followed(charter, policy.charter_root, policy.last_charter).charter
    card = _next_card(agent)
    if (named.owner, named.key_agent, named.pairing) != (card.owner, card.key_agent, card.pairing):
        return agent
    for following, current in _NEXT:
        if source.has(following):
            source.move(following, current)
    return KeyAgent.load(agent.folder)


def _next_card(agent: KeyAgent) -> AgentCard:
    """Give the card of the next keys; one that was moved already, before a crash, is current."""
    source = agent.source
    signing = source.signing(Slot.AGENT_NEXT) if source.has(Slot.AGENT_NEXT) else agent.signing
    pairing = (
        source.secret(Slot.PAIRING_NEXT) if source.has(Slot.PAIRING_NEXT) else agent.pairing_key
    )
    return card_of(agent.policy.owner, signing, pairing)
