"""Of which records each enclave tells, by its own words and its owner's orders.

A load or a rollback opens a period, and with it budgets: so each is an approver's, carried out
once, in the place of the records that it names. What an enclave tells afterwards is of these
records and of no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from saferoom_client.audit.book import Book
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.spoken import Spoken
from saferoom_proto.statements import (
    BatchRelease,
    CostEstimate,
    Disclosure,
    FitRelease,
    JobAdmission,
    JobRelease,
    Recovered,
    Release,
    Snapshot,
    StoreState,
    TableRelease,
)
from saferoom_proto.verification import PinnedCharter


def require_ordered(book: Book, said: Snapshot, charter: PinnedCharter) -> None:
    """Require the order that a snapshot names: an approver's, for the records that it replaces.

    Args:
        book: what stands before it in the log.
        said: the enclave's word.
        charter: under which it was said.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT`, `BAD_SIGNATURE`; `CONFLICT` for an order of another's
            records, or after other ones.
    """
    book.require_before(said.order, "order")
    ordered = book.orders.get(said.order)
    if ordered is None:
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "what it calls its order is none")
    order = ordered.says
    if (order.owner, order.room) != (said.owner, said.room):
        raise SafeRoomError(Reason.CONFLICT, "its order is another owner's or room's")
    if order.follows != (None if said.previous is None else said.previous.digest):
        raise SafeRoomError(Reason.CONFLICT, "its order follows other records")
    # A load takes its time: the charter that it began under may be another than its word's.
    near = [
        each
        for each in book.charters.values()
        if each.charter.owner == said.owner and each.charter.version >= charter.charter.version - 1
    ]
    for each in near:
        try:
            ordered.statement.verify([each.key_of(order.approver)])
        except SafeRoomError:
            continue
        return
    raise SafeRoomError(Reason.BAD_SIGNATURE, "its order is not by the approver that it names")


@dataclass(slots=True)
class _Stores:
    """What an enclave said of its store so far.

    Attributes:
        now: which it tells of.
        known: those that it ever told of: the epochs, by their digests.
        last: the last epoch that began.
        orders: those that were carried out.
    """

    now: StoreState | None = None
    known: dict[str, int] = field(default_factory=dict[str, int])
    last: int = 0
    orders: set[str] = field(default_factory=set[str])


class Stores:
    """Which records each enclave tells of, in the order of its chain."""

    def __init__(self, book: Book) -> None:
        self._book: Final = book
        self._of: Final[dict[str, _Stores]] = {}

    def take(self, said: Spoken) -> Iterator[SafeRoomError]:
        """Take an enclave's next word; give what is wrong with it."""
        stores = self._of.setdefault(said.owner, _Stores())
        match said:
            case Snapshot():
                yield from self._replaced(stores, said)
            case Recovered():
                # Its approvers answer for the copy, whatever this log shows of it.
                stores.now = said.store
                stores.last = max(stores.last, said.closed_epoch)
                if said.store is not None:
                    stores.known[said.store.digest] = said.store.epoch
            case Release() | TableRelease() | FitRelease() | CostEstimate():
                if said.store not in (None, stores.now):
                    yield _of_others(said.store)
            case Disclosure() | JobAdmission() | JobRelease():
                yield from _known(stores, said.store)
            case BatchRelease():
                for span in said.spans:
                    yield from _known(stores, span.store)
            case _:
                pass

    def _replaced(self, stores: _Stores, said: Snapshot) -> Iterator[SafeRoomError]:
        ordered = self._book.orders.get(said.order)
        if said.order in stores.orders:
            yield SafeRoomError(Reason.CONFLICT, "its order was carried out before")
        if said.previous != stores.now:
            yield SafeRoomError(
                Reason.STORE_ROLLED_BACK, "it replaces other records than were there"
            )
        if said.store.epoch <= stores.last:
            detail = f"it opens period {said.store.epoch}, and {stores.last} was open"
            yield SafeRoomError(Reason.STORE_ROLLED_BACK, detail)
        back = None if ordered is None else ordered.says
        if isinstance(back, RollbackOrder) and back.to not in stores.known:
            detail = "it goes back to records that were never loaded"
            yield SafeRoomError(Reason.STORE_ROLLED_BACK, detail)
        stores.now = said.store
        stores.known[said.store.digest] = said.store.epoch
        stores.last = max(stores.last, said.store.epoch)
        stores.orders.add(said.order)


def _known(stores: _Stores, store: StoreState | None) -> Iterator[SafeRoomError]:
    """Give what is wrong with records that were in use when it began, though not to its end."""
    if store is not None and stores.known.get(store.digest) != store.epoch:
        yield _of_others(store)


def _of_others(store: StoreState | None) -> SafeRoomError:
    epoch = 0 if store is None else store.epoch
    return SafeRoomError(
        Reason.STORE_ROLLED_BACK, f"it tells of period {epoch}, which is not of its last snapshot"
    )
