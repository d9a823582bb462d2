"""The store that answers come from: its snapshot, opened, and the cells of the features in force.

The index is made anew whenever a feature comes or the store changes. A feature that cannot be
computed is left out and named in the log; the others are not held up by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom_enclaves.logs import Log
from saferoom_enclaves.materialise import FeatureDefinition, FeatureIndex, materialise
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.store import Store, open_store
from saferoom_enclaves.vault import SnapshotId, open_snapshot, snapshot_path
from saferoom_proto.certificate import PinnedFeature
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Schema, StoreState, Table

COMPUTE_SECONDS: Final = 120.0
"""The longest that all features together may take over one store."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A snapshot that is open, and what it was loaded under.

    Attributes:
        store: DuckDB over the snapshot.
        state: which snapshot.
        schema: digest of its schema.
    """

    store: Store
    state: StoreState
    schema: str


@dataclass(frozen=True, slots=True)
class Computed:
    """An index, and of what it was made: the snapshot and the features' digests."""

    index: FeatureIndex
    snapshot: str
    features: frozenset[str]


class Data:
    """What is open, and what has been computed from it.

    Args:
        owner: the owner's name, to which snapshots are bound.
        folder: where the sealed snapshots lie.
        log: the operator's.
    """

    def __init__(self, owner: str, folder: Path, log: Log) -> None:
        self._owner: Final = owner
        self._folder: Final = folder
        self._log: Final = log
        self._opened: Opened | None = None
        self._computed: Computed | None = None
        self._refusal = SafeRoomError(Reason.NO_DATA, "nothing was loaded")

    @property
    def is_there(self) -> bool:
        """Whether there is a store to answer from."""
        return self._computed is not None

    @property
    def in_use(self) -> Opened | None:
        """The snapshot that is open; none if none is."""
        return self._opened

    def index(self) -> FeatureIndex:
        """Give the index; `NO_DATA` or `STORE_DAMAGED` if there is none."""
        if self._computed is None:
            raise SafeRoomError(self._refusal.reason, self._refusal.detail)
        return self._computed.index

    def opened(self) -> Opened:
        """Give the store that answers come from; `NO_DATA` or `STORE_DAMAGED` if there is none."""
        if self._opened is None:
            raise SafeRoomError(self._refusal.reason, self._refusal.detail)
        return self._opened

    def open(self, store_key: bytes, state: StoreState, schema: str) -> Opened:
        """Open a sealed snapshot.

        Raises:
            SafeRoomError: `STORE_DAMAGED` or `STORE_ROLLED_BACK`.
        """
        wanted = SnapshotId(state.epoch, state.digest)
        memfd = open_snapshot(self._folder, store_key, self._owner, wanted)
        return Opened(open_store(memfd), state, schema)

    def open_at_start(self, store_key: bytes, state: StoreState, schema: str) -> None:
        """Answer from a snapshot if it opens; else say why to whoever asks."""
        try:
            self.use(self.open(store_key, state, schema))
        except SafeRoomError as error:
            self._refusal = error
            self._log.error("store not opened", reason=str(error.reason), detail=error.detail)

    def use(self, opened: Opened, computed: Computed | None = None) -> None:
        """Answer from an opened snapshot from now on, and close the one before."""
        before, self._opened, self._computed = self._opened, opened, computed
        if before is not None:
            before.store.close()

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
        """Compute the index anew if other features are in force than it was made of."""
        opened, current = self._opened, self._computed
        if opened is None:
            return
        if opened.schema not in standing.schemas:
            self._computed = None
            self._refusal = SafeRoomError(Reason.NO_DATA, "the store's schema is not in force")
            return
        wanted = frozenset(pinned.digest for pinned in standing.features.values())
        made_of = (opened.state.digest, wanted)
        if current is not None and (current.snapshot, current.features) == made_of:
            return
        # Were it to fail, the old index must not answer for features that are other ones now.
        self._computed = None
        try:
            self._computed = self.compute(opened, standing.schemas, standing.features)
        except SafeRoomError as error:
            self._refusal = SafeRoomError(Reason.NO_DATA, "the features cannot be computed")
            self._log.error("no feature computed", reason=str(error.reason), detail=error.detail)

    def compute(
        self,
        opened: Opened,
        schemas: Mapping[str, Schema],
        features: Mapping[FeatureRef, PinnedFeature],
    ) -> Computed:
        """Compute the features over a snapshot, whose schema is among these."""
        tables = {table.name: table for table in schemas[opened.schema].tables}
        definitions = [FeatureDefinition.of(pinned.definition) for pinned in features.values()]
        digests = frozenset(pinned.digest for pinned in features.values())
        index = self._index(opened.store, definitions, tables)
        return Computed(index, opened.state.digest, digests)

    def close(self) -> None:
        """Close the store and forget what was computed."""
        self._computed = None
        if self._opened is not None:
            self._opened.store.close()
            self._opened = None

    def _index(
        self, store: Store, definitions: Sequence[FeatureDefinition], tables: Mapping[str, Table]
    ) -> FeatureIndex:
        with store.interrupt_after(COMPUTE_SECONDS):
            try:
                return materialise(store, definitions, tables)
            except SafeRoomError:
                sound = [each for each in definitions if self._sound(store, each, tables)]
                return materialise(store, sound, tables)

    def _sound(
        self, store: Store, definition: FeatureDefinition, tables: Mapping[str, Table]
    ) -> bool:
        """Tell whether a feature can be computed by itself."""
        try:
            materialise(store, [definition], tables)
        except SafeRoomError as error:
            self._log.error(
                "feature not computed",
                feature=str(definition.shape.ref),
                reason=str(error.reason),
                detail=error.detail,
            )
            return False
        return True
