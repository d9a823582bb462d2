"""The store that answers come from: its snapshot, unsealed, and the cells of the features in force.

The index is made anew whenever a feature comes or the store changes, by a child, beside the work:
until it is there, the features that did not change are answered from the index before. A feature
that cannot be computed is left out and named in the log; the others are not held up by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.index import FeatureIndex
from saferoom_enclaves.indexing import Computed, Indexer, Opened, Wanted
from saferoom_enclaves.logs import Log
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.storework import StoreWork
from saferoom_enclaves.vault import SnapshotId, open_snapshot, seal_snapshot, snapshot_path
from saferoom_proto.formula import FeatureRef
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Schema, StoreState
from saferoom_proto.suite import suite_of


class Data:
    """What is open, and what has been computed from it.

    All but `compute`, `seal`, `open` and `settle` are used by one thread at a time.

    Args:
        owner: the owner's name, to which snapshots are bound.
        folder: where the sealed snapshots lie.
        work: has children compute.
        log: the operator's.
    """

    def __init__(self, owner: str, folder: Path, work: StoreWork, log: Log) -> None:
        self._owner: Final = owner
        self._folder: Final = folder
        self._work: Final = work
        self._log: Final = log
        self._opened: Opened | None = None
        self._computed: Computed | None = None
        self._refusal = SafeRoomError(Reason.NO_DATA, "nothing was loaded")
        self._indexer: Final = Indexer[Wanted, Computed](self._compute, log)
        self._asked: tuple[str, Mapping[FeatureRef, str]] | None = None
        """The snapshot and features of which an index was wanted last."""

    @property
    def is_there(self) -> bool:
        """Whether there is a store to answer from."""
        self._take()
        return self._computed is not None

    @property
    def in_use(self) -> Opened | None:
        """The snapshot that is open; none if none is."""
        return self._opened

    @property
    def fault(self) -> str:
        """Why the snapshot that was loaded last does not open; empty if it does, or none was."""
        refusal = self._refusal
        if self._opened is not None or refusal.reason is Reason.NO_DATA:
            return ""
        return f"{refusal.reason}: {refusal.detail}"

    def index(self) -> FeatureIndex:
        """Give the index; `NO_DATA` or `STORE_DAMAGED` if there is none."""
        self._take()
        if self._computed is None:
            raise SafeRoomError(self._refusal.reason, self._refusal.detail)
        return self._computed.index

    def opened(self) -> Opened:
        """Give the store that answers come from; `NO_DATA` or `STORE_DAMAGED` if there is none."""
        if self._opened is None:
            raise SafeRoomError(self._refusal.reason, self._refusal.detail)
        return self._opened

    def open(self, key: bytes, state: StoreState, schema: str) -> Opened:
        """Open a sealed snapshot with its epoch's key.

        Raises:
            SafeRoomError: `STORE_DAMAGED` or `STORE_ROLLED_BACK`.
        """
        wanted = SnapshotId(state.epoch, state.digest)
        memfd = open_snapshot(self._folder, key, self._owner, wanted)
        return Opened(memfd, state, schema)

    def seal(self, key: bytes, epoch: int, plaintext: BinaryIO, schema: str) -> Opened:
        """Seal a store's content as an epoch's snapshot, and open that.

        Raises:
            SafeRoomError: `STORE_DAMAGED` if it does not open as it was sealed.
        """
        suite = suite_of(schema)
        sealed = seal_snapshot(self._folder, key, self._owner, epoch, plaintext, suite=suite)
        return self.open(key, StoreState(epoch=sealed.epoch, digest=sealed.digest), schema)

    def open_at_start(self, key: bytes, state: StoreState, schema: str) -> None:
        """Answer from a snapshot if it opens; else say why to whoever asks."""
        try:
            self.use(self.open(key, state, schema))
        except SafeRoomError as error:
            self._refusal = error
            self._log.error("store not opened", reason=str(error.reason), detail=error.detail)

    def use(self, opened: Opened, computed: Computed | None = None) -> None:
        """Answer from an opened snapshot from now on, and close the one before."""
        before, self._opened, self._computed = self._opened, opened, computed
        self._asked = None
        if computed is None:
            self._refusal = SafeRoomError(Reason.NO_DATA, "the features are being computed")
        if before is not None:
            before.close()

    def keep_only(self, epochs: Iterable[int]) -> None:
        """Remove the sealed snapshots of all other epochs."""
        keep = {snapshot_path(self._folder, each) for each in epochs}
        for path in self._folder.glob("snapshot-*.sealed"):
            if path not in keep:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    self._log.warning("snapshot not removed", name=path.name, errno=error.errno)

    def refresh(self, standing: Standing) -> None:
        """Have the index made anew if other features are in force than it was made of.

        Until it is, it answers for the features that are the same; `settle` waits for it.
        """
        opened = self._opened
        if opened is None:
            return
        self._take()
        if opened.schema not in standing.schemas:
            self._computed = None
            self._refusal = SafeRoomError(Reason.NO_DATA, "the store's schema is not in force")
            return
        features = of_store(standing.features)
        digests = {ref: pinned.digest for ref, pinned in features.items()}
        wanted = (opened.state.digest, digests)
        current = self._computed
        if current is not None:
            if (current.snapshot, current.features) == wanted:
                return
            # It must not answer for features that are other ones now.
            self._computed = current.only(digests)
        # What cannot be computed is not tried again before something changes.
        if self._asked != wanted:
            schema = standing.schemas[opened.schema]
            self._indexer.want(Wanted(opened.held(), schema, features))
            self._asked = wanted  # only now: what could not even begin is tried again

    def settle(self, seconds: float) -> None:
        """Wait until the index that was last wanted is made, or cannot be; or for so long."""
        self._indexer.settle(seconds)

    def compute(
        self, opened: Opened, schema: Schema, features: Mapping[FeatureRef, PinnedFeature]
    ) -> Computed:
        """Compute the features over a snapshot that was loaded under a schema."""
        features = of_store(features)
        definitions = [FeatureDefinition.of(pinned.definition) for pinned in features.values()]
        found = self._work.compute(opened.memory, schema.loaded, definitions)
        for ref, rule in found.refused.items():
            self._log.error("feature not computed", feature=str(ref), rule=str(rule))
        digests = {ref: pinned.digest for ref, pinned in features.items()}
        return Computed(found.index, opened.state.digest, digests)

    def close(self) -> None:
        """Free the store, and forget what was computed."""
        self._computed = None
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _compute(self, wanted: Wanted) -> Computed:
        return self.compute(wanted.opened, wanted.schema, wanted.features)

    def _take(self) -> None:
        """Answer from the index that was made last, if it is of what is wanted now."""
        made = self._indexer.made()
        if made is None:
            return
        of, result = made
        if self._asked != (of.opened.state.digest, of.digests):
            return
        if isinstance(result, Computed):
            self._computed = result
            return
        if result.reason is Reason.UNAVAILABLE:
            self._asked = None  # its child's end says nothing of the features: they are tried again
        self._log.error("no feature computed", reason=str(result.reason), detail=result.detail)
        if self._computed is None or not self._computed.index.features:
            self._computed = None
            self._refusal = SafeRoomError(Reason.NO_DATA, "the features cannot be computed")


def of_store(features: Mapping[FeatureRef, PinnedFeature]) -> dict[FeatureRef, PinnedFeature]:
    """Give the features that are computed over the store: the others' records are asked for."""
    return {ref: each for ref, each in features.items() if each.definition.source is None}
