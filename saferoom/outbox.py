"""What an enclave said: verified, recorded, and which of it the enclave lacks the proof of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from saferoom import uses
from saferoom.archive import Archive
from saferoom.evidence import Recorded
from saferoom.exchange import OutboxEntry
from saferoom.gist import ReleaseGist, release_gist
from saferoom.notary import Notary
from saferoom.state.rows import AskedRow, RequestRow, UseRow
from saferoom_proto import chain
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import VerifyKey
from saferoom_proto.load_order import LoadOrder
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.spoken import SPOKEN, open_spoken
from saferoom_proto.statements import (
    BatchRelease,
    ChainLink,
    CostEstimate,
    Disclosure,
    Endorsement,
    FitRelease,
    JobAdmission,
    JobCancel,
    JobRelease,
    Payload,
    Release,
    Snapshot,
    TableRelease,
    load,
)
from saferoom_proto.verification import ByEnclave, verify_by_enclave

T = TypeVar("T")

_KINDS: Final = tuple(kind.KIND for kind in SPOKEN.values())


@dataclass(frozen=True, slots=True)
class Word:
    """An enclave's statement by its place in its chain."""

    owner: str
    link: ChainLink
    digest: str

    @property
    def following(self) -> ChainLink:
        """The chain's next place."""
        previous = chain.extend(self.link.previous, self.digest)
        return ChainLink(index=self.link.index + 1, previous=previous)

    def contradicts(self, claimed: ChainLink) -> bool:
        """Tell whether a chain that is one longer does not have this word at its end."""
        return self.link.index + 1 == claimed.index and self.following != claimed


class Outbox:
    """One enclave's own chain, entry by entry, as far as it stands in the room's log.

    Args:
        notary: records.
        archive: finds what was recorded, and earlier endorsements.
    """

    def __init__(self, notary: Notary, archive: Archive) -> None:
        self._notary: Final = notary
        self._archive: Final = archive
        self._endorsements: Final[dict[str, Endorsement]] = {}
        self._keys: Final[dict[str, VerifyKey]] = {}
        self._unproven: Final[dict[int, int]] = {}
        self._recorded: Final[set[int]] = set()
        self._all_recorded_below = 0

    def endorsed(self, digest: str, endorsement: Endorsement) -> None:
        """From now on the enclave signs under this endorsement, which was verified."""
        self._endorsements[digest] = endorsement
        self._keys[digest] = VerifyKey.from_public(endorsement.identity)

    async def verified(self, statement: Envelope, kind: type[ByEnclave]) -> ByEnclave:
        """Open a statement of this enclave, of this run or an earlier one.

        Raises:
            SafeRoomError: `BAD_ENDORSEMENT` or `BAD_SIGNATURE`.
        """
        digest = load(statement, kind).endorsement
        return verify_by_enclave(statement, await self._endorsement(digest), digest, kind)

    async def release(self, statement: Envelope) -> ReleaseGist:
        """Verify a release of this enclave, reading as much of it as the room goes by.

        Raises:
            SafeRoomError: `BAD_ENDORSEMENT` or `BAD_SIGNATURE`.
        """
        gist = release_gist(statement)
        endorsement = await self._endorsement(gist.endorsement)
        if (gist.owner, gist.room) != (endorsement.owner, endorsement.room):
            raise SafeRoomError(Reason.BAD_ENDORSEMENT, "another owner's enclave, or room's")
        statement.verify([self._keys[gist.endorsement]])
        return gist

    async def take(self, entry: OutboxEntry) -> Recorded[Payload]:
        """Verify and record an entry, or find it where it was recorded.

        Raises:
            SafeRoomError: `MALFORMED` if it is of no kind that an enclave may have recorded.
        """
        kind = SPOKEN.get(entry.statement.payload_type)
        if kind is None:
            raise _no_word(entry.statement)
        if kind is Snapshot:
            await self._take_order(entry)
        if kind is JobRelease or kind is FitRelease:
            await self.take_cancel(entry, kind)
        return await self._take(entry, kind)

    async def require_newest(self, owner: str, claimed: ChainLink, size: int) -> None:
        """Refuse an enclave that does not know what the log holds of it.

        Whoever put an older copy of its folder into place would have it spend budgets again.

        Args:
            owner: whose enclave it is.
            claimed: the end of its chain, as it claimed it to its key agent.
            size: of the log.

        Raises:
            SafeRoomError: `STORE_ROLLED_BACK`.
        """
        newest = await newest_word(self._archive, owner, size)
        if newest is None:
            return
        if newest.link.index >= claimed.index or newest.contradicts(claimed):
            detail = f"{owner}: the chain ends at {claimed.index}, the log knows another"
            raise SafeRoomError(Reason.STORE_ROLLED_BACK, detail)

    async def record(
        self, kind: type[Payload], said: T, entry: OutboxEntry, owner: str, asked: RequestRow
    ) -> Recorded[T]:
        """Record a word of this enclave on a request, which was verified.

        What came by the outbox before, after a crash, is given back as it stands.

        Args:
            kind: of the word.
            said: what it says, or what belongs to it.
            entry: the word, of the enclave's own chain.
            owner: whose enclave it is.
            asked: the request.
        """
        if isinstance(said, FitRelease):
            await self.take_cancel(entry, FitRelease)
        recorded = await self._notary.record(
            kind,
            said,
            entry.statement,
            salt=entry.salt,
            rows=(asked, *uses.concerning((owner,), asked.envelope.digest)),
        )
        if self.is_recorded(entry.chain_index):
            await self._notary.keep(asked)  # the outbox, by which it may have come, knows none
        else:
            self.recorded(entry.chain_index, recorded.index)
        return recorded

    def recorded(self, chain_index: int, ledger_index: int) -> None:
        """An entry of the chain stands in the ledger; the enclave lacks its proof."""
        self._unproven[chain_index] = ledger_index
        self._recorded.add(chain_index)
        while self._all_recorded_below in self._recorded:
            self._recorded.remove(self._all_recorded_below)
            self._all_recorded_below += 1

    def first_missing(self, chain_length: int) -> int | None:
        """Give the first entry of a chain of this length that does not stand in the ledger."""
        return self._all_recorded_below if self._all_recorded_below < chain_length else None

    def replayed(self, chain_length: int) -> None:
        """Everything of the chain below this length stands in the ledger."""
        self._all_recorded_below = max(chain_length, self._all_recorded_below)

    def is_recorded(self, chain_index: int) -> bool:
        """Tell whether an entry of the chain stands in the ledger already."""
        return chain_index < self._all_recorded_below or chain_index in self._recorded

    @property
    def proofs_lacked(self) -> int:
        """Of how many entries the enclave lacks the proof."""
        return len(self._unproven)

    def unproven(self, size: int, most: int) -> Iterator[tuple[int, int]]:
        """Give what the enclave lacks the proof of, as (chain index, ledger index).

        Args:
            size: of the ledger that the proofs are for.
            most: so many.
        """
        return islice((each for each in self._unproven.items() if each[1] < size), most)

    def proven(self, chain_index: int) -> None:
        """The enclave has the proof of an entry."""
        self._unproven.pop(chain_index, None)

    async def _take(self, entry: OutboxEntry, kind: type[ByEnclave]) -> Recorded[ByEnclave]:
        says = await self.verified(entry.statement, kind)
        recorded = await self._notary.record(
            kind, says, entry.statement, salt=entry.salt, rows=_uses(says)
        )
        self.recorded(entry.chain_index, recorded.index)
        return recorded

    async def _take_order(self, entry: OutboxEntry) -> None:
        """Record the order that a snapshot carries out, before the snapshot that names it.

        The enclave verified it; whoever reads the log does so again.
        """
        named = (await self.verified(entry.statement, Snapshot)).order
        if entry.order is None or entry.order.digest != named:
            raise SafeRoomError(Reason.MALFORMED, "a snapshot without the order it names")
        if entry.order.payload_type == RollbackOrder.payload_type():
            back = load(entry.order, RollbackOrder)
            await self._notary.record(RollbackOrder, back, entry.order)
        else:
            await self._notary.record(LoadOrder, load(entry.order, LoadOrder), entry.order)

    async def take_cancel(self, entry: OutboxEntry, kind: type[JobRelease | FitRelease]) -> None:
        """Record the institution's word that ended a job, before the release that names it."""
        named = (await self.verified(entry.statement, kind)).cancel
        if named != (None if entry.order is None else entry.order.digest):
            raise SafeRoomError(Reason.MALFORMED, "a job's end without the cancel it names")
        if entry.order is not None:
            await self._notary.record(JobCancel, load(entry.order, JobCancel), entry.order)

    async def _endorsement(self, digest: str) -> Endorsement:
        """Give an endorsement of this run, or an earlier one as the log holds it."""
        if digest not in self._endorsements:
            found = await self._archive.find(digest)
            if found is None:
                raise SafeRoomError(Reason.BAD_ENDORSEMENT, "an endorsement that is not recorded")
            self.endorsed(digest, load(found.envelope, Endorsement))
        return self._endorsements[digest]


def _uses(says: Payload) -> tuple[UseRow | AskedRow, ...]:
    match says:
        case (
            Release()
            | BatchRelease()
            | CostEstimate()
            | TableRelease()
            | JobAdmission()
            | JobRelease()
            | FitRelease()
        ):
            # Which subject it concerns is known once its question is; a batch's rows are not kept.
            return uses.concerning((says.owner,), says.request)
        case Disclosure():
            return uses.concerning((says.owner, says.subject), says.request)
        case _:
            return ()


async def newest_word(archive: Archive, owner: str, size: int) -> Word | None:
    """Find the last word of an owner's enclave in its chain that the log holds; none without one.

    Args:
        archive: holds the log's statements.
        owner: whose enclave it is.
        size: of the log.
    """
    before = size
    while found := await archive.newest(_KINDS, before):
        before = min(found)
        words = [each for each in map(_word, found.values()) if each.owner == owner]
        if words:
            return max(words, key=lambda word: word.link.index)
    return None


def _word(statement: Envelope) -> Word:
    says = open_spoken(statement)
    if says is None:
        raise _no_word(statement)
    return Word(says.owner, says.chain, statement.digest)


def _no_word(statement: Envelope) -> SafeRoomError:
    return SafeRoomError(Reason.MALFORMED, f"no enclave says a {statement.payload_type}")
