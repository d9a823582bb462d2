"""The order in which each enclave charged: its own chain's, whatever the order of the log.

Words of one enclave may be entered in another order than it said them. So each waits here until
those before it in the chain are there; what is missing is another rule's to find.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from saferoom_client.audit.accounts import Accounts, Charged
from saferoom_client.audit.book import Book
from saferoom_client.audit.noise import Noise
from saferoom_client.audit.questions import Opened
from saferoom_client.audit.stores import Stores
from saferoom_client.audit.sums import Sums
from saferoom_client.audit.tables import Together
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.formula import FeatureShape
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.spoken import Spoken
from saferoom_proto.statements import (
    BatchRelease,
    Feature,
    Outcome,
    Recovered,
    Release,
    Snapshot,
    TableRelease,
    Template,
    load,
)
from saferoom_proto.statements.aggregate import FEWEST_DAYS

Fault = tuple[int, SafeRoomError]
"""An entry of the log, and what is wrong with it."""


@dataclass(slots=True)
class _Chain:
    """One enclave's words that wait for an earlier one, by their places."""

    next: int = 0
    waiting: dict[int, tuple[int, Spoken]] = field(default_factory=dict[int, tuple[int, Spoken]])


class Spending:
    """Replays charges and uses of consents in the order in which enclaves made them.

    Args:
        book: what was said before.
        opened: questions that somebody's receipts open, by their request ids.
    """

    def __init__(self, book: Book, opened: Mapping[str, Opened]) -> None:
        self._book: Final = book
        self._opened: Final = opened
        self._accounts: Final = Accounts()
        self._tables: Final = Together()
        self._noise: Final = Noise()
        self._sums: Final = Sums()
        self._stores: Final = Stores(book)
        self._snapshots: Final[dict[tuple[str, str], int]] = {}
        self._chains: Final[dict[str, _Chain]] = {}
        self._used: Final[dict[tuple[str, str], int]] = {}
        self._answered: Final[dict[tuple[str, str], int]] = {}
        self._shaped: Final[dict[tuple[str, str], dict[str, tuple[Feature, FeatureShape]]]] = {}
        self.replayed = 0
        """Answers whose charges were replayed."""

    def take(self, entry: int, said: Spoken) -> Iterator[Fault]:
        """Take an enclave's next word; gives what is wrong with those that are in order now."""
        chain = self._chains.setdefault(said.owner, _Chain())
        place = said.chain.index
        if place < chain.next or place in chain.waiting:
            # A second history: judged where it comes, against all that was charged before.
            yield from self._one(entry, said)
            return
        chain.waiting[place] = (entry, said)
        while (found := chain.waiting.pop(chain.next, None)) is not None:
            chain.next += 1
            yield from self._one(*found)

    def finish(self) -> Iterator[Fault]:
        """Take what still waits behind a word that the log does not hold."""
        for chain in self._chains.values():
            for place in sorted(chain.waiting):
                yield from self._one(*chain.waiting[place])
            chain.waiting.clear()

    def _one(self, entry: int, said: Spoken) -> Iterator[Fault]:
        for fault in self._found(entry, said):
            yield entry, fault

    def _found(self, entry: int, said: Spoken) -> Iterator[SafeRoomError]:
        yield from self._stores.take(said)
        match said:
            case Snapshot():
                self._accounts.open_period(said.owner, said.store.epoch, said.time)
                self._note_records(said)
            case Recovered():
                if said.closed_epoch < (last := self._accounts.last_period(said.owner)):
                    closed = said.closed_epoch
                    detail = f"it closes the periods up to {closed}, and {last} began before"
                    yield SafeRoomError(Reason.OVER_BUDGET, detail)
                self._accounts.close(said.owner, said.closed_epoch, said.time)
                self._tables.close(said.owner, said.closed_epoch, said.time)
            case TableRelease():
                yield from self._of_tables(said)
            case Release():
                yield from self._faults(entry, said)
            case BatchRelease(outcome=Outcome.ANSWERED):
                yield from self._repeated(entry, said)
            case _:
                pass

    def _note_records(self, said: Snapshot) -> None:
        """Note whose records a period has, where its owner went back to them."""
        self._snapshots[said.owner, said.store.digest] = said.store.epoch
        ordered = self._book.orders.get(said.order)
        order = None if ordered is None else ordered.says
        if not isinstance(order, RollbackOrder):
            return
        earlier = self._snapshots.get((said.owner, order.to))
        if earlier is not None:
            self._tables.same_records(said.owner, said.store.epoch, earlier)

    def _of_tables(self, said: TableRelease) -> Iterator[SafeRoomError]:
        statement = self._book.templates.get(said.template)
        aggregate = None if statement is None else load(statement, Template).aggregate
        days = FEWEST_DAYS if aggregate is None else aggregate.rules.days
        yield from self._tables.take(said, days)
        agreement = self._book.agreements.get(said.agreement)
        if said.store is None or aggregate is None or agreement is None:
            return  # nothing was told, or it is found by the rules of answers
        records = self._tables.records(said.owner, said.store.epoch)
        # It was charged and signed in one transaction: by the agreements that it had heard of then.
        by = self._book.learners(said.owner, said.agreement, said.stream.sequence)
        yield from self._noise.take(said, records, aggregate.privacy, by.group, by.linked)
        yield from self._sums.take(said, records, aggregate, by)

    def _faults(self, entry: int, said: Release) -> Iterator[SafeRoomError]:
        answered = said.outcome is Outcome.ANSWERED
        if answered:
            yield from self._repeated(entry, said)
        opened = self._opened.get(said.request)
        subject = None if opened is None else opened.request.subject
        if answered and said.consent is not None:
            yield from self._used_up(said.owner, said.consent)
            placed = self._book.consents.get(said.consent)
            subject = subject if placed is None else placed.says.subject
        agreement = self._book.agreements.get(said.agreement)
        charter = self._book.charters.get(said.charter)
        certificate = self._book.certificates.get(said.certificate)
        if agreement is None or charter is None or certificate is None:
            return  # found by the rules of answers
        part = certificate.part(said.owner)
        charged = [use.feature for use in part.charged]
        if answered and sorted(each.feature for each in said.charges) != charged:
            detail = "it was charged for other features than its certificate names"
            yield SafeRoomError(Reason.CERTIFICATE_MISMATCH, detail)
            return
        known = (said.certificate, said.owner)
        features = self._shaped.get(known)
        if features is None:
            features = self._shaped[known] = self._features(part)
        # The name of a score says what its free features tell, so all of them are needed.
        told = said.charges if part.score is None else part.features
        known_all = {each.feature for each in told} <= features.keys()
        if subject is None or not said.charges or not known_all:
            return
        asked = None if opened is None else opened.asked(said, self._book)
        self.replayed += 1
        by = self._book.learners(said.owner, said.agreement, said.stream.sequence)
        yield from self._accounts.charge(
            Charged(
                account=(said.owner, by.group, subject),
                linked=by.linked,
                epoch=0 if said.store is None else said.store.epoch,
                moment=said.time,
                charter=charter.charter,
                charges=said.charges,
                features=features,
                asked=asked,
                score=part.score,
            )
        )

    def _features(self, part: OwnerPart) -> dict[str, tuple[Feature, FeatureShape]]:
        found: dict[str, tuple[Feature, FeatureShape]] = {}
        for use in part.features:
            feature = self._book.features.get(use.digest)
            if feature is not None:
                found[use.feature] = (feature, PinnedFeature(feature, use.digest).shape)
        return found

    def _repeated(self, entry: int, said: Release | BatchRelease) -> Iterator[SafeRoomError]:
        first = self._answered.setdefault((said.owner, said.request), entry)
        if first != entry:
            detail = f"the question that entry {first} answers was answered anew"
            yield SafeRoomError(Reason.CONFLICT, detail)

    def _used_up(self, owner: str, consent: str) -> Iterator[SafeRoomError]:
        placed = self._book.consents.get(consent)
        if placed is None or placed.says.uses is None:
            return
        used = self._used[owner, consent] = self._used.get((owner, consent), 0) + 1
        if used > placed.says.uses:
            detail = f"its consent serves {placed.says.uses} questions, and this is one more"
            yield SafeRoomError(Reason.CONSENT_USED_UP, detail)
