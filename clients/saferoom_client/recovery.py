"""An owner's decision that its enclave goes on from an older copy, or from an empty folder."""

from __future__ import annotations

from dataclasses import dataclass

from saferoom_client.session import Session
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import borne, said_by
from saferoom_proto.statements import ChainLink, Recovery
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.wire import Recorded, envelope_from_proto, envelope_to_proto


@dataclass(frozen=True, slots=True)
class EnclaveChain:
    """Where the chain of an owner's enclave ends.

    Attributes:
        claimed: as the enclave claimed it last; none if it has given no evidence yet.
        recorded: after the last of its words in the log, as the room says.
        last_epoch: the last period that the log knows to have begun.
    """

    claimed: ChainLink | None
    recorded: ChainLink
    last_epoch: int


@dataclass(frozen=True, slots=True)
class Decided:
    """An approver's word on an older copy, and how far the decision is.

    Attributes:
        recovery: what was said.
        recorded: the statement in the log.
        said_by: the approvers who have said the same by now.
        needed: how many must.
    """

    recovery: Recovery
    recorded: Recorded
    said_by: tuple[str, ...]
    needed: int

    @property
    def goes_on(self) -> bool:
        """Whether enough approvers said so: the enclave goes on as soon as it gets its key."""
        return len(self.said_by) >= self.needed


async def enclave_chain(session: Session) -> EnclaveChain:
    """Ask where the chain of the own enclave ends."""
    return _chain(await _ask(session))


async def recover_enclave(
    session: Session, why: str, seen: ChainLink | None = None, seen_epoch: int = 0
) -> Decided:
    """Say, as an approver, that the enclave goes on from the older copy that it was found with.

    What it has forgotten is given up: nothing new is asked in the periods up to now, and they count
    as asked in full.

    Args:
        session: of an approver.
        why: for the log.
        seen: where the chain was by the key agent's own state. One approver has to give it where
            the room's log was put back as well, so that nobody but the agent knows what was
            forgotten; those who follow say the same.
        seen_epoch: the last period by that state.

    Raises:
        SafeRoomError: `CONFLICT` if the enclave is not behind, or has given no evidence yet.
    """
    told = await _ask(session)
    charter = await session.grounds.charter(session.owner)
    chain, member = _chain(told), session.profile.member
    earlier = [envelope_from_proto(each) for each in told.recoveries]
    found = chain.claimed
    if found is None:
        raise SafeRoomError(Reason.CONFLICT, "the enclave has not shown yet where it stands")
    named = [says for says, _ in borne(earlier, charter) if says.found == found]
    known = [chain.recorded, *([] if seen is None else [seen]), *(each.follows for each in named)]
    follows = max(known, key=lambda link: link.index)
    last_epoch = max(chain.last_epoch, seen_epoch, *(each.last_epoch for each in named))
    if found == follows or found.index > follows.index:
        detail = f"its chain ends at {found.index}, and nothing later is known: nothing to decide"
        raise SafeRoomError(Reason.CONFLICT, detail)
    recovery = Recovery(
        room=session.profile.card.origin,
        owner=session.owner,
        approver=member.name,
        found=found,
        follows=follows,
        last_epoch=last_epoch,
        why=why,
        at=whole_milliseconds(session.clock()),
    )
    statement = session.sign(recovery)
    ask = owner_pb2.RecoverEnclaveRequest(recovery=envelope_to_proto(statement))
    answer = await session.call(session.owners.RecoverEnclave, ask)
    recorded = session.recorded(statement, answer.recorded)
    return Decided(
        recovery=recovery,
        recorded=recorded,
        said_by=said_by([*earlier, statement], charter, recovery),
        needed=charter.charter.threshold,
    )


async def _ask(session: Session) -> owner_pb2.GetEnclaveChainResponse:
    return await session.call(session.owners.GetEnclaveChain, owner_pb2.GetEnclaveChainRequest())


def _chain(told: owner_pb2.GetEnclaveChainResponse) -> EnclaveChain:
    claimed = _link(told.claimed) if told.HasField("claimed") else None
    return EnclaveChain(claimed, _link(told.recorded), told.last_epoch)


def _link(told: owner_pb2.ChainEnd) -> ChainLink:
    try:
        return ChainLink(index=told.index, previous=told.previous)
    except ValueError as error:
        raise SafeRoomError(Reason.MALFORMED, "the end of a chain") from error
