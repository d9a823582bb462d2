"""Where an enclave's own chain ends, by itself and by the log, and what its owner decided about it.

The room refuses an enclave that forgot what the log holds of it. Its approvers can let it go on
all the same (`saferoom_proto.recovery`); here they find out what they would decide about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom.books import Books
from saferoom.keydesk import KeyDesk
from saferoom.outbox import newest_word
from saferoom.versions import Versions
from saferoom_proto import chain
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import ChainLink
from saferoom_proto.suite import Suite


@dataclass(frozen=True, slots=True)
class ChainEnds:
    """Where a chain ends.

    Attributes:
        claimed: as its enclave claimed it last; none if it has given no evidence yet.
        recorded: after the last of its words in the log.
        last_epoch: the last period that the log knows to have begun.
        recoveries: what approvers said about older copies so far.
    """

    claimed: ChainLink | None
    recorded: ChainLink
    last_epoch: int
    recoveries: tuple[Envelope, ...]


class Recoveries:
    """Tells owners where the chains of their enclaves end.

    Args:
        books: the room's own: what enclaves and approvers said.
        desk: hears what enclaves claim.
    """

    def __init__(self, books: Books, desk: KeyDesk) -> None:
        self._books: Final = books
        self._desk: Final = desk
        self.versions: Final = Versions(books.archive, books.notary)

    async def ends(self, owner: str) -> ChainEnds:
        """Tell where the chain of an owner's enclave ends."""
        books = self._books
        word = await newest_word(books.archive, owner, books.ledger.tip().size)
        epochs = [each.snapshot.said.store.epoch for each in await self.versions.of(owner)]
        return ChainEnds(
            claimed=self._desk.claimed(owner),
            recorded=_beginning(books.ledger.tip().suite) if word is None else word.following,
            last_epoch=max(epochs, default=0),
            recoveries=tuple(each.envelope for each in books.register.recoveries(owner)),
        )


def _beginning(suite: Suite) -> ChainLink:
    return ChainLink(index=0, previous=chain.genesis(suite))
