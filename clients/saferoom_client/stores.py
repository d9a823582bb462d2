"""What each owner has brought, by its enclave's last word: for operators and auditors."""

from __future__ import annotations

from dataclasses import dataclass

from saferoom_client.heads import require_witnessed
from saferoom_client.loading import open_snapshot
from saferoom_client.records.coverage import Store
from saferoom_client.session import Session
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Schema, Snapshot, load
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.wire import envelope_from_proto, recorded_from_proto


@dataclass(frozen=True, slots=True)
class StoresHeld:
    """What owners have brought.

    Attributes:
        stores: of each owner whose word verified, in order of their names.
        unpinned: owners whose charter root is not pinned here: nobody can tell whether that is
            their enclave's word.
    """

    stores: tuple[Store, ...]
    unpinned: tuple[str, ...]


async def list_stores(session: Session) -> StoresHeld:
    """Ask what each owner has brought: how many rows of which tables, by which schema, and when.

    The room chooses which word it gives; one that is not an owner's newest shows in the whole log
    only, to auditors.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for who is neither operator nor auditor; `BAD_PROOF`,
            `BAD_SIGNATURE`, `BAD_ENDORSEMENT` for what is no enclave's recorded word.
    """
    told = await session.call(session.owners.ListStores, owner_pb2.ListStoresRequest())
    stores: dict[str, Store] = {}
    unpinned: list[str] = []
    for each in told.stores:
        # Step 1: whose word it is, and its place in the log.
        recorded = recorded_from_proto(each.snapshot)
        session.grounds.require_recorded(recorded)
        owner = load(recorded.statement, Snapshot).owner
        if owner in stores or owner in unpinned:
            raise SafeRoomError(Reason.BAD_PROOF, f"the room gives two stores of {owner}")
        if owner not in session.profile.trust.charter_roots:
            unpinned.append(owner)
            continue
        # Step 2: the enclave's signature, under the owner's charter.
        snapshot, _ = await open_snapshot(session, owner, recorded.statement)
        # Step 3: the schema, which the word names by its digest, whoever signed it.
        schema = envelope_from_proto(each.schema)
        if schema.digest != snapshot.schema_digest:
            raise SafeRoomError(Reason.BAD_PROOF, "another schema than the snapshot names")
        stores[owner] = Store(load(schema, Schema), snapshot)
    await require_witnessed(session)
    return StoresHeld(tuple(store for _, store in sorted(stores.items())), tuple(sorted(unpinned)))
