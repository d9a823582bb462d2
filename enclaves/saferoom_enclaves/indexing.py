"""Makes indexes of cells beside the work: in a thread of its own, which waits for a child."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Final, Generic, Protocol, TypeVar

from saferoom_enclaves.index import FeatureIndex
from saferoom_enclaves.logs import Log, places
from saferoom_proto.formula import FeatureRef
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Schema, StoreState


@dataclass(frozen=True, slots=True)
class Opened:
    """A snapshot that is open, and what it was loaded under.

    Attributes:
        memory: the memfd that holds it, sealed against every change.
        state: which snapshot.
        schema: digest of its schema.
    """

    memory: int
    state: StoreState
    schema: str

    def held(self) -> Opened:
        """Give the same snapshot, held open by itself."""
        return Opened(os.dup(self.memory), self.state, self.schema)

    def close(self) -> None:
        """Free its memory, unless it is held elsewhere."""
        os.close(self.memory)


@dataclass(frozen=True, slots=True)
class Computed:
    """An index, and of what it was made.

    Attributes:
        index: the cells.
        snapshot: digest of the snapshot.
        features: digest of each feature that was computed, or could not be.
    """

    index: FeatureIndex
    snapshot: str
    features: Mapping[FeatureRef, str]

    def only(self, features: Mapping[FeatureRef, str]) -> Computed:
        """Give what holds of it where these features are in force."""
        same = {ref: digest for ref, digest in self.features.items() if features.get(ref) == digest}
        return Computed(self.index.only(same.keys()), self.snapshot, same)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an index is to be made of; the snapshot is held open for it."""

    opened: Opened
    schema: Schema
    features: Mapping[FeatureRef, PinnedFeature]

    @property
    def digests(self) -> dict[FeatureRef, str]:
        """Each feature's digest."""
        return {ref: pinned.digest for ref, pinned in self.features.items()}


class Openly(Protocol):
    """What something is to be made of; its snapshot is held open for it."""

    @property
    def opened(self) -> Opened:
        """The snapshot."""
        ...


W = TypeVar("W", bound=Openly)
C = TypeVar("C")


class Indexer(Generic[W, C]):
    """Makes one index after the other; of several that are wanted meanwhile, the last.

    Args:
        compute: makes one.
        log: the operator's.
    """

    def __init__(self, compute: Callable[[W], C], log: Log) -> None:
        self._compute: Final = compute
        self._log: Final = log
        self._changed: Final = Condition()
        self._next: W | None = None
        self._made: tuple[W, C | SafeRoomError] | None = None
        self._busy = False

    def want(self, wanted: W) -> None:
        """Have an index made; its snapshot is closed then."""
        with self._changed:
            replaced, self._next = self._next, wanted
            begin, self._busy = not self._busy, True
        if replaced is not None:
            replaced.opened.close()
        if begin:
            Thread(target=self._run, name="indexer", daemon=True).start()

    def made(self) -> tuple[W, C | SafeRoomError] | None:
        """Give what was made since the last time, if anything."""
        with self._changed:
            made, self._made = self._made, None
            return made

    def settle(self, seconds: float) -> None:
        """Wait until nothing is being made, or for so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                wanted, self._next = self._next, None
                if wanted is None:
                    self._busy = False
                    self._changed.notify_all()
                    return
            result = self._result(wanted)
            wanted.opened.close()
            with self._changed:
                self._made = (wanted, result)

    def _result(self, wanted: W) -> C | SafeRoomError:
        try:
            return self._compute(wanted)
        except SafeRoomError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the next one is made all the same
            self._log.error("failed", places=places(error))
            return SafeRoomError(Reason.INTERNAL, type(error).__name__)
