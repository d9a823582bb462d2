"""What a key agent hears of its enclave from the log: that it went over to another store key."""

from __future__ import annotations

from saferoom_client.agent.folder import KeyAgent
from saferoom_client.agent.rotation import retire_store_key
from saferoom_client.profile import Profile
from saferoom_client.session import Clock, Session, utc_now
from saferoom_proto.statements import Endorsement, KeyChange, load
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.verification import verify_by_enclave
from saferoom_proto.wire import recorded_from_proto


async def newest_key_change(session: Session, agent: KeyAgent) -> KeyChange | None:
    """Fetch the enclave's newest word on a change of its store's key, and verify it.

    It counts if an enclave signed it that this agent itself endorsed: the room's word alone could
    have an owner throw away the only key that opens its store.

    Raises:
        SafeRoomError: `BAD_PROOF`, `BAD_ENDORSEMENT`, `BAD_SIGNATURE`.
    """
    ask = owner_pb2.GetEndorsementRequest(owner=agent.policy.owner)
    told = await session.call(session.owners.GetEndorsement, ask)
    if not told.HasField("key_change"):
        return None
    recorded = recorded_from_proto(told.key_change)
    session.grounds.require_recorded(recorded)
    said = load(recorded.statement, KeyChange)
    endorsement = await session.grounds.statement(said.endorsement)
    endorsement.verify([agent.signing.verify_key])
    by = load(endorsement, Endorsement)
    return verify_by_enclave(recorded.statement, by, said.endorsement, KeyChange)


async def retire(agent: KeyAgent, *, clock: Clock = utc_now) -> KeyChange | None:
    """Drop the former store key, once the log shows that the enclave went over to the new one.

    Raises:
        SafeRoomError: `CONFLICT` if it did not, or there is none to drop.
    """
    said: KeyChange | None = None
    if agent.earlier_key not in (None, agent.store_key):  # else there is nothing to ask for
        async with Session(Profile.load(agent.profile_folder), clock=clock) as session:
            said = await newest_key_change(session, agent)
    retire_store_key(agent, said)
    return said
