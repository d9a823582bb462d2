"""What enclaves and the room say: each word judged by what stood in the log before it.

Whose word it is, its endorsement says, which must stand before it; what allowed it, `grounds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from saferoom_client.audit.book import Book
from saferoom_client.audit.grounds import Grounds, Word
from saferoom_client.audit.jobs import Trainings
from saferoom_client.audit.reports import require_public
from saferoom_client.audit.stores import require_ordered
from saferoom_client.records.coverage import Store
from saferoom_proto.dsse import Envelope
from saferoom_proto.handover import verify_handover
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import open_decision
from saferoom_proto.spoken import Spoken
from saferoom_proto.statements import (
    Acknowledgement,
    BatchRelease,
    CostEstimate,
    Disclosure,
    FitRelease,
    JobAdmission,
    JobOutcome,
    JobRelease,
    KeyChange,
    KeyHandover,
    KeyUse,
    Outcome,
    Recovered,
    Refusal,
    Release,
    Snapshot,
    TableRelease,
    load,
)
from saferoom_proto.verification import ByEnclave, verify_by_enclave

RESTED_ON: Final = frozenset(
    kind.payload_type() for kind in (Snapshot, JobAdmission, FitRelease, KeyHandover)
)
"""Words that later ones are held to: they are judged wherever an audit begins."""


class Words:
    """Judges the log's words of enclaves and of the room.

    Args:
        book: what was said before.
        heads_keys: sign the room's own refusals, each in its time.
    """

    def __init__(self, book: Book, heads_keys: Sequence[VerifyKey]) -> None:
        self._book: Final = book
        self._heads: Final = list(heads_keys)
        self._handed: Final[dict[tuple[KeyUse, str], str]] = {}
        self.grounds: Final = Grounds(book)
        self._trainings: Final = Trainings()
        self.spoken: Spoken | None = None
        """What an enclave said that was judged last, if it was its own word, allowed or not."""
        self.recovered: Final[list[Recovered]] = []
        """Older copies that went on by their owners' decisions."""
        self.judges: Final[Mapping[str, Callable[[Envelope], None]]] = {
            Release.payload_type(): self._release,
            BatchRelease.payload_type(): self._batch,
            JobAdmission.payload_type(): self._job_admission,
            JobRelease.payload_type(): self._job_release,
            CostEstimate.payload_type(): self._estimate,
            TableRelease.payload_type(): self._tables,
            FitRelease.payload_type(): self._fit,
            Acknowledgement.payload_type(): self._acknowledgement,
            Disclosure.payload_type(): self._disclosure,
            Snapshot.payload_type(): self._snapshot,
            KeyChange.payload_type(): self._key_change,
            Recovered.payload_type(): self._recovered,
            Refusal.payload_type(): self._refusal,
            KeyHandover.payload_type(): self._handover,
        }

    def _release(self, statement: Envelope) -> None:
        said = load(statement, Release)
        word = self._spoken(statement, said, Release)
        if word is None:
            return
        # Its agreement, refused or not; then, of an answer, all else that allowed it.
        if said.outcome is Outcome.REFUSED:
            self.grounds.require_agreed(said, word, granted=False)
            return
        certificate = self.grounds.require_granted(said, word)
        self.grounds.require_consented(said, word, certificate)
        require_public(self._book, said, certificate, word.heard)

    def _batch(self, statement: Envelope) -> None:
        said = load(statement, BatchRelease)
        word = self._spoken(statement, said, BatchRelease)
        if word is not None:
            # What let its rows through may be over by the word on all of them.
            self.grounds.require_agreed(said, word, granted=False)
            self.grounds.require_rows(said, word)

    def _job_admission(self, statement: Envelope) -> None:
        said = load(statement, JobAdmission)
        word = self._spoken(statement, said, JobAdmission)
        if word is not None:
            certificate = self.grounds.require_granted(said, word)
            learners = self._book.learners(said.owner, said.agreement, said.stream.sequence)
            self._trainings.begun(said, certificate, learners)

    def _job_release(self, statement: Envelope) -> None:
        said = load(statement, JobRelease)
        word = self._spoken(statement, said, JobRelease)
        if word is not None and said.outcome is JobOutcome.RELEASED:
            self._trainings.ended(said, self.grounds.require_granted(said, word, anew=False))
        elif word is not None:
            self.grounds.require_agreed(said, word, granted=False)
            self._book.require_ended(said.cancel)

    def _estimate(self, statement: Envelope) -> None:
        said = load(statement, CostEstimate)
        if (word := self._spoken(statement, said, CostEstimate)) is not None:
            self.grounds.require_agreed(said, word, granted=False)

    def _tables(self, statement: Envelope) -> None:
        said = load(statement, TableRelease)
        word = self._spoken(statement, said, TableRelease)
        if word is not None and said.outcome is Outcome.ANSWERED:
            self.grounds.require_granted(said, word)
        elif word is not None:
            self.grounds.require_agreed(said, word, granted=False)

    def _fit(self, statement: Envelope) -> None:
        said = load(statement, FitRelease)
        word = self._spoken(statement, said, FitRelease)
        self._book.require_ended(said.cancel)
        if word is not None and said.run is None:
            self.grounds.require_agreed(said, word, granted=False)
        elif word is not None:
            # Withheld or not, it was fitted to records: what lets that through must stand.
            certificate = self.grounds.require_granted(said, word)
            learners = self._book.learners(said.owner, said.agreement, said.stream.sequence)
            self._trainings.fitted(said, certificate, learners)

    def _acknowledgement(self, statement: Envelope) -> None:
        said = load(statement, Acknowledgement)
        if self._spoken(statement, said, Acknowledgement) is None:
            return
        self._book.require_before(said.revocation, "revocation")
        if (said.consent, said.subject) not in self._book.revocations:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "it heeds another revocation")

    def _disclosure(self, statement: Envelope) -> None:
        said = load(statement, Disclosure)
        word = self._spoken(statement, said, Disclosure)
        if word is not None and said.charter != word.charter.digest:
            raise SafeRoomError(Reason.BAD_CHARTER, "it names another charter")

    def _snapshot(self, statement: Envelope) -> None:
        said = load(statement, Snapshot)
        word = self._spoken(statement, said, Snapshot)
        if word is not None:
            require_ordered(self._book, said, word.charter)
            self._book.require_before(said.schema_digest, "schema")
            if (schema := self._book.schemas.get(said.schema_digest)) is not None:
                self._book.stores[said.owner] = Store(schema, said)

    def _key_change(self, statement: Envelope) -> None:
        self._spoken(statement, load(statement, KeyChange), KeyChange)

    def _recovered(self, statement: Envelope) -> None:
        said = load(statement, Recovered)
        word = self._spoken(statement, said, Recovered)
        if word is None:
            return
        for digest in said.recoveries:
            self._book.require_before(digest, "recovery")
        decision = open_decision(
            [each for digest in said.recoveries if (each := self._book.recoveries.get(digest))],
            word.charter,
        )
        if (decision.found, decision.follows) != (said.found, said.chain):
            raise SafeRoomError(Reason.STORE_ROLLED_BACK, "its owner decided something else")
        if said.closed_epoch < decision.last_epoch:
            raise SafeRoomError(Reason.OVER_BUDGET, "it gives back what its owner closed")
        self.recovered.append(said)

    def _refusal(self, statement: Envelope) -> None:
        load(statement, Refusal)
        statement.verify(self._heads)

    def _handover(self, statement: Envelope) -> None:
        said = verify_handover(statement, self._book.trust.origin).says
        if self._handed.setdefault((said.use, said.former), said.following) != said.following:
            raise SafeRoomError(Reason.CONFLICT, f"that {said.use} key was handed over before")
        if said.use is KeyUse.HEADS and VerifyKey.from_public(said.former) in self._heads:
            self._heads.append(VerifyKey.from_public(said.following))

    def _spoken(
        self,
        statement: Envelope,
        said: ByEnclave,
        kind: type[ByEnclave],
    ) -> Word | None:
        """Verify whose word it is; none for an owner whose root is not pinned here."""
        book = self._book
        if said.owner in book.unpinned:
            return None
        endorsement = book.endorsements.get(said.endorsement)
        if endorsement is None:
            raise SafeRoomError(Reason.BAD_ENDORSEMENT, "its endorsement does not stand before it")
        verify_by_enclave(statement, endorsement, said.endorsement, kind)
        endorsement.require_valid(said.time)
        self.spoken = said
        book.latest = max(book.latest, said.time)
        heard = -1
        if not isinstance(said, Snapshot | KeyChange):
            heard = book.streams.heard(said.owner, said.stream)
        self._require_in_force(said, endorsement.charter, heard)
        return Word(said, book.charters[endorsement.charter], heard, heard)

    def _require_in_force(self, said: Spoken, charter: str, heard: int) -> None:
        """Refuse what an enclave said under a charter after it had heard of the next one."""
        newest = self._book.in_force[said.owner].digest
        if (
            isinstance(said, Acknowledgement | Snapshot | KeyChange | Recovered)
            or newest == charter
        ):
            return
        if self._book.entries[newest] <= heard:
            raise SafeRoomError(Reason.BAD_CHARTER, "its enclave had heard of a newer charter")
