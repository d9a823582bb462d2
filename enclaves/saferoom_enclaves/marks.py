"""How far an enclave has come: its own chain, its stream, its store, the ledger it has seen.

The part that evidence must claim before the enclave has its keys stands in clear beside the sealed
whole. Whoever alters the one is found out by the other at unlocking.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import Field

from saferoom_proto import chain
from saferoom_proto.recovery import Decision
from saferoom_proto.rollback import KEPT_SNAPSHOTS
from saferoom_proto.statements import ChainLink, Digest, Instant, StoreState, StreamPosition
from saferoom_proto.statements.base import Base64, Part, whole_milliseconds
from saferoom_proto.statements.enclave import Count
from saferoom_proto.statements.source import ended_by, is_period
from saferoom_proto.suite import Suite

_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Position(Part):
    """What evidence claims: the chain's next link, the place in the stream, the store."""

    chain: ChainLink
    stream: StreamPosition
    store: StoreState | None


class Epoch(Part):
    """When a period of the store began. It ended when the next one began."""

    number: Annotated[int, Field(ge=1)]
    opened: Instant


class Forgotten(Part):
    """Periods of which an older copy of the folder does not know what was asked in them.

    The first is the copy's own last one. Their budgets count as spent.
    """

    first: Count
    last: Count
    decided: Instant
    """When the enclave went on: what was asked before is not judged any more."""
    since: Instant = _LONG_AGO
    """The latest time that the copy knew."""


class SeenLedger(Part):
    """The newest checkpoint of the ledger that the enclave has accepted."""

    size: Annotated[int, Field(ge=0)]
    root: Base64
    unseen_since: Annotated[Instant | None, Field(exclude=True)] = None
    """Stands in some folders, and is not gone by: after a start witnesses must have seen it all."""


class Marks(Part):
    """All that is written anew with every commit: one small row."""

    position: Position
    ledger: SeenLedger | None = None
    time: Instant = _LONG_AGO
    """The latest time known. The clock goes on from it after a restart."""
    store_schema: Digest | None = None
    """The schema that the store was loaded under."""
    epochs: tuple[Epoch, ...] = ()
    last_epoch: Annotated[int, Field(ge=0)] = 0
    """The highest epoch ever begun, also by a load that failed."""
    last_order: Instant | None = None
    """When the load or rollback that the store came from was ordered."""
    kept: tuple[Count, ...] = ()
    """Places in the chain of the snapshots whose files are kept, the newest last."""
    proven: Annotated[int, Field(ge=0)] = 0
    """All entries of the chain before this one are known to stand in the ledger."""
    forgotten: tuple[Forgotten, ...] = ()
    """What the copies forgot from which the enclave went on."""
    tally: str = ""
    """Stands for all sealed rows together (`state.State`)."""

    def with_entry(self, digest: str, time: datetime) -> Marks:
        """Go on by one entry of the enclave's own chain."""
        link = self.position.chain
        following = ChainLink(index=link.index + 1, previous=chain.extend(link.previous, digest))
        position = self.position.model_copy(update={"chain": following})
        return self.model_copy(update={"position": position, "time": max(self.time, time)})

    def with_proven(self, index: int) -> Marks:
        """Wait for proofs from this entry of the chain on."""
        return self.model_copy(update={"proven": index})

    def with_stream(self, stream: StreamPosition, ledger: SeenLedger, time: datetime) -> Marks:
        """Go on to a place in the stream, under a newer checkpoint."""
        position = self.position.model_copy(update={"stream": stream})
        later = max(self.time, whole_milliseconds(time))
        return self.model_copy(update={"position": position, "ledger": ledger, "time": later})

    def with_epoch_begun(self) -> Marks:
        """Take the next epoch's number, which no later load gets."""
        return self.model_copy(update={"last_epoch": self.last_epoch + 1})

    def with_store(
        self, store: StoreState, schema: str, ordered: datetime, time: datetime
    ) -> Marks:
        """Answer from another snapshot from now on; its statement is the chain's next entry."""
        position = self.position.model_copy(update={"store": store})
        epochs = (*self.epochs, Epoch(number=store.epoch, opened=whole_milliseconds(time)))
        kept = (*self.kept, self.position.chain.index)[-KEPT_SNAPSHOTS:]
        changed = {"position": position, "store_schema": schema, "epochs": epochs, "kept": kept}
        return self.model_copy(update=changed | {"last_order": ordered})

    def with_recovery(self, decision: Decision, time: datetime) -> Marks:
        """Go on from an older copy: the chain where the approvers said, the budgets as spent."""
        decided = whole_milliseconds(max(decision.at, time))
        last = max(self.last_epoch, decision.last_epoch)
        own = 0 if self.position.store is None else self.position.store.epoch
        lost = Forgotten(first=own, last=last, decided=decided, since=min(self.time, decided))
        order = decided if self.last_order is None else max(self.last_order, decided)
        changed = {
            "position": self.position.model_copy(update={"chain": decision.follows}),
            "last_epoch": last,
            # Whoever ordered a load or a rollback before saw the store that is lost.
            "last_order": order,
            "forgotten": (*self.forgotten, lost),
        }
        return self.model_copy(update=changed)

    @property
    def closed_epoch(self) -> int:
        """The last period whose budgets count as spent; -1 if there is none."""
        return max((each.last for each in self.forgotten), default=-1)

    @property
    def forgotten_until(self) -> datetime:
        """The latest instant of whose questions something was forgotten."""
        return max((each.decided for each in self.forgotten), default=_LONG_AGO)

    def with_tally(self, tally: str) -> Marks:
        """Stand for other rows."""
        return self.model_copy(update={"tally": tally})

    def open_after(self, epoch: int, moment: datetime) -> bool:
        """Tell whether an epoch was still open at some instant after a moment."""
        if is_period(epoch):
            return not ended_by(epoch, moment)
        ended = [later.opened for later in self.epochs if later.number > epoch]
        return not ended or min(ended) > moment


def beginning(suite: Suite) -> Marks:
    """Give where every enclave of a room of the suite begins."""
    none = chain.genesis(suite)
    return Marks(
        position=Position(
            chain=ChainLink(index=0, previous=none),
            stream=StreamPosition(sequence=0, running=none),
            store=None,
        )
    )
