"""A rollback: an earlier snapshot's records, sealed anew for a new epoch, and answered from.

The earlier file stays as it is: it is bound to its own epoch, and may be gone back to again while
it is kept. Until the commit the store in use answers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from saferoom_enclaves.data import Data
from saferoom_enclaves.journal import Journal
from saferoom_enclaves.loads import NewStore
from saferoom_enclaves.marks import Marks
from saferoom_proto.dsse import Envelope
from saferoom_proto.formula import FeatureRef
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.statements import Schema, Snapshot, load


@dataclass(frozen=True, slots=True, eq=False)
class RollbackJob:
    """An ordered rollback under way.

    Attributes:
        order: what was ordered.
        statement: the order as it was signed.
        target: the snapshot to go back to.
        epoch: the number that the new snapshot gets.
        schema: what the target was loaded under.
        features: what is computed from it.
        key: what the new snapshot is sealed under.
        target_key: what the target is sealed under.
        data: where the store is sealed and opened.
    """

    order: RollbackOrder
    statement: Envelope
    target: Snapshot
    epoch: int
    schema: Schema
    features: Mapping[FeatureRef, PinnedFeature]
    key: bytes = field(repr=False)
    target_key: bytes = field(repr=False)
    data: Data

    def build(self) -> NewStore:
        """Seal the earlier records anew, open them and compute the features.

        Raises:
            SafeRoomError: `STORE_DAMAGED` or `STORE_ROLLED_BACK` if the earlier file is not the one
                that was sealed.
        """
        target, schema = self.target, self.target.schema_digest
        earlier = self.data.open(self.target_key, target.store, schema)
        with os.fdopen(earlier.memory, "rb") as plaintext:
            opened = self.data.seal(self.key, self.epoch, plaintext, schema)
        try:
            computed = self.data.compute(opened, self.schema, self.features)
        except BaseException:
            opened.close()
            raise
        earlier_epoch = target.store.epoch
        return NewStore(opened, computed, target.rows, self.order, self.statement, earlier_epoch)


def kept_snapshots(marks: Marks, journal: Journal) -> list[Snapshot]:
    """Give the enclave's words on the snapshots that it keeps, the newest last."""
    return [load(journal.read(index).entry.statement, Snapshot) for index in marks.kept]


def require_kept(order: RollbackOrder, kept: list[Snapshot]) -> Snapshot:
    """Give the snapshot that an order goes back to.

    Raises:
        SafeRoomError: `CONFLICT` if it is the one in use, `SNAPSHOT_GONE` if it is not kept.
    """
    if order.to == order.follows:
        raise SafeRoomError(Reason.CONFLICT, "it is the snapshot in use")
    for snapshot in kept:
        if snapshot.store.digest == order.to:
            return snapshot
    raise SafeRoomError(Reason.SNAPSHOT_GONE, order.to)
