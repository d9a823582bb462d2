"""The snapshots of an owner's store, and going back to an earlier one.

What is listed is read from the enclave's own words and the approvers' orders as the log holds them.
Each snapshot names the one it replaced, so that none can be left out in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from saferoom_client.loading import LOAD_DEADLINE_SECONDS, in_use, open_snapshot
from saferoom_client.owners import get_endorsed
from saferoom_client.session import Session
from saferoom_client.values import StoreVersion
from saferoom_proto.dsse import Envelope
from saferoom_proto.load_order import LoadOrder
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import KEPT_SNAPSHOTS, RollbackOrder, open_rollback
from saferoom_proto.statements import load
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.verification import PinnedCharter
from saferoom_proto.wire import (
    Recorded,
    envelope_from_proto,
    envelope_to_proto,
    recorded_from_proto,
)


async def list_versions(session: Session) -> tuple[StoreVersion, ...]:
    """List the snapshots of the member's own store, the oldest first.

    Raises:
        SafeRoomError: `BAD_PROOF` if one is left out, is not recorded, or is not what its order
            says; `LOCKED` or `UNAVAILABLE` while the enclave cannot say which one it answers from.
    """
    owner = session.owner
    told = await session.call(session.owners.ListSnapshots, owner_pb2.ListSnapshotsRequest())
    versions = [
        await _opened(
            session, owner, recorded_from_proto(each.snapshot), envelope_from_proto(each.order)
        )
        for each in told.versions
    ]
    for earlier, later in pairwise(versions):
        if later.snapshot.previous != earlier.snapshot.store:
            detail = f"a snapshot before epoch {later.snapshot.store.epoch} is left out"
            raise SafeRoomError(Reason.BAD_PROOF, detail)
    current = await in_use(session, owner, await get_endorsed(session, owner))
    newest = versions[-1].snapshot.store.digest if versions else None
    if current != newest:
        raise SafeRoomError(Reason.BAD_PROOF, "the snapshot in use is left out")
    return _with_places(versions)


async def roll_back(
    session: Session, to: str, why: str, *, deadline_seconds: float = LOAD_DEADLINE_SECONDS
) -> StoreVersion:
    """Have the enclave answer from an earlier snapshot's records again.

    Args:
        session: of an approver of the owner.
        to: the snapshot's digest (`list_versions`).
        why: for the log.
        deadline_seconds: how long sealing and computing may take.

    Returns:
        The new snapshot, verified: it is of a new epoch, and so of a new period.

    Raises:
        SafeRoomError: `SNAPSHOT_GONE` if it is not kept any more; `CONFLICT` if it is in use, or
            somebody else's order came first; whatever else the enclave refuses with.
    """
    owner = session.owner
    current = await in_use(session, owner, await get_endorsed(session, owner))
    if current is None:
        raise SafeRoomError(Reason.NO_DATA, "there is nothing to go back from")
    order = session.sign(
        RollbackOrder(
            room=session.profile.card.origin,
            owner=owner,
            approver=session.profile.member.name,
            to=to,
            follows=current,
            why=why,
            at=whole_milliseconds(session.clock()),
        )
    )
    ask = owner_pb2.RollbackRequest(order=envelope_to_proto(order))
    told = await session.call(session.owners.Rollback, ask, deadline_seconds)
    version = await _opened(session, owner, recorded_from_proto(told.snapshot), order)
    return replace(version, in_use=True, kept=True)


async def _opened(
    session: Session, owner: str, recorded: Recorded, order: Envelope
) -> StoreVersion:
    """Verify a recorded snapshot and the order that it names."""
    session.grounds.require_recorded(recorded)
    snapshot, endorsement = await open_snapshot(session, owner, recorded.statement)
    if snapshot.order != order.digest:
        raise SafeRoomError(Reason.BAD_PROOF, "the snapshot names another order")
    charter = await session.grounds.charter(owner, endorsement.charter)
    if order.payload_type == RollbackOrder.payload_type():
        back = open_rollback(order, charter)
        approver, follows = back.approver, back.follows
    else:
        back = None
        approver, follows = _open_load_order(order, charter)
    replaced = None if snapshot.previous is None else snapshot.previous.digest
    if follows != replaced:
        raise SafeRoomError(Reason.BAD_PROOF, "the order is for the place of another snapshot")
    return StoreVersion(snapshot, approver, back)


def _open_load_order(order: Envelope, charter: PinnedCharter) -> tuple[str, str | None]:
    opened = load(order, LoadOrder)
    if opened.owner != charter.charter.owner:
        raise SafeRoomError(Reason.BAD_SIGNATURE, "another owner's order")
    order.verify([charter.key_of(opened.approver)])
    return opened.approver, opened.follows


def _with_places(versions: Sequence[StoreVersion]) -> tuple[StoreVersion, ...]:
    """Say which is in use, the last; and which the enclave keeps, by its rule."""
    last = len(versions) - 1
    return tuple(
        replace(each, in_use=place == last, kept=place > last - KEPT_SNAPSHOTS)
        for place, each in enumerate(versions)
    )
