"""What enclaves and the room say: each word judged by what stood in the log before it.

An answer names its grounds by their digests: the enclave's endorsement, the charter, the approvals,
the agreement, the consent. Each must stand in the log before it, verify, and not have been taken
back before. Between a revocation's entry and the moment at which an enclave hears of it lies the
way of a message: an answer that crossed it is counted and not held against anybody, unless more
time went by than the charter allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from saferoom_client.audit.book import Book, Ending
from saferoom_client.audit.fits import OfNobody
from saferoom_client.audit.jobs import Trainings
from saferoom_client.audit.reports import require_public
from saferoom_client.records.coverage import Store
from saferoom_proto.certificate import OwnerPart, ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.handover import verify_handover
from saferoom_proto.identity import Certified, verify_issued
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import open_decision
from saferoom_proto.spoken import Spoken
from saferoom_proto.statements import (
    Acknowledgement,
    BatchRelease,
    Consent,
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
from saferoom_proto.verification import ByEnclave, PinnedCharter, verify_by_enclave

Judged = Release | BatchRelease | OfNobody
"""A word on what an institution asked, which rests on an agreement and, if granted, approvals."""


@dataclass(frozen=True, slots=True)
class Word:
    """An enclave's word being judged.

    Attributes:
        says: what it says; its signature was verified.
        charter: the charter it was said under.
        heard: the newest entry that the enclave had heard of.
    """

    says: Spoken
    charter: PinnedCharter
    heard: int


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
        self.crossed = 0
        """Answers that a revocation crossed on its way to their enclave."""
        self._trainings: Final = Trainings()
        self._certified: Final[dict[tuple[str, str], Certified]] = {}
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
        answered = said.outcome is Outcome.ANSWERED
        self._require_agreed(said, word, granted=answered)
        if answered:
            certificate = self._certificate(said)
            self._require_running(said, word)
            self._require_approved(said, word, certificate, said.approvals)
            self._require_consented(said, word, certificate)
            require_public(self._book, said, certificate, word.heard)

    def _batch(self, statement: Envelope) -> None:
        said = load(statement, BatchRelease)
        word = self._spoken(statement, said, BatchRelease)
        if word is None:
            return
        self._require_agreed(said, word, granted=said.outcome is Outcome.ANSWERED)
        # Its rows, and the consents that they were answered under, are the asker's to show.
        for span in said.spans:
            if span.approvals and span.charter == word.charter.digest:
                heard = self._book.streams.heard(said.owner, span.stream)
                then = Word(said, word.charter, heard)
                self._require_approved(said, then, self._certificate(said), span.approvals)

    def _job_admission(self, statement: Envelope) -> None:
        said = load(statement, JobAdmission)
        word = self._spoken(statement, said, JobAdmission)
        if word is not None:
            self._require_allowed(said, word)
            learners = self._book.learners(said.owner, said.agreement, said.stream.sequence)
            self._trainings.begun(said, self._certificate(said), learners)

    def _job_release(self, statement: Envelope) -> None:
        said = load(statement, JobRelease)
        word = self._spoken(statement, said, JobRelease)
        if word is not None and said.outcome is JobOutcome.RELEASED:
            self._require_allowed(said, word)
            self._trainings.ended(said, self._certificate(said))
        elif word is not None:
            self._require_agreed(said, word, granted=False)
            self._book.require_ended(said.cancel)

    def _require_allowed(self, said: OfNobody, word: Word) -> None:
        """Require all that lets through what is about nobody alone: there is no consent to it."""
        self._require_agreed(said, word, granted=True)
        self._require_running(said, word)
        self._require_approved(said, word, self._certificate(said), said.approvals)

    def _estimate(self, statement: Envelope) -> None:
        said = load(statement, CostEstimate)
        if (word := self._spoken(statement, said, CostEstimate)) is not None:
            self._require_agreed(said, word, granted=False)

    def _tables(self, statement: Envelope) -> None:
        said = load(statement, TableRelease)
        word = self._spoken(statement, said, TableRelease)
        if word is not None and said.outcome is Outcome.ANSWERED:
            self._require_allowed(said, word)
        elif word is not None:
            self._require_agreed(said, word, granted=False)

    def _fit(self, statement: Envelope) -> None:
        said = load(statement, FitRelease)
        word = self._spoken(statement, said, FitRelease)
        self._book.require_ended(said.cancel)
        if word is not None and said.run is None:
            self._require_agreed(said, word, granted=False)
        elif word is not None:
            # Withheld or not, it was fitted to records: what lets that through must stand.
            self._require_allowed(said, word)
            learners = self._book.learners(said.owner, said.agreement, said.stream.sequence)
            self._trainings.fitted(said, self._certificate(said), learners)

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
        if self._spoken(statement, said, Snapshot) is not None:
            self._book.require_before(said.order, "order")
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
        return Word(said, book.charters[endorsement.charter], heard)

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

    def _certificate(self, said: Judged) -> ReleaseCertificate:
        book = self._book
        certificate = book.certificates.get(said.certificate)
        if certificate is None or certificate.template != said.template:
            detail = "its template's release certificate does not stand before it"
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, detail)
        return certificate

    def _require_agreed(self, said: Judged | CostEstimate, word: Word, *, granted: bool) -> None:
        placed = self._book.agreements.get(said.agreement)
        if placed is None:
            raise SafeRoomError(Reason.NO_AGREEMENT, "its agreement does not stand before it")
        _require_heard(word, placed.entry, "agreement")
        agreement = placed.says.agreement
        if (agreement.owner, agreement.institution) != (said.owner, said.institution):
            raise SafeRoomError(Reason.NO_AGREEMENT, "its agreement is another institution's")
        if granted:
            agreement.require_valid(said.time)
            self._require_not_over(word, self._book.ends.get(said.agreement), Reason.NO_AGREEMENT)

    def _require_approved(
        self,
        said: Judged,
        word: Word,
        certificate: ReleaseCertificate,
        approvals: tuple[str, ...],
    ) -> None:
        charter = word.charter
        if said.charter != charter.digest:
            raise SafeRoomError(Reason.BAD_CHARTER, "it names another charter than its endorsement")
        if certificate.part(said.owner).charter not in (None, charter.digest):
            detail = "its certificate pins another charter of this owner"
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, detail)
        approvers: set[str] = set()
        first = None
        for digest in approvals:
            placed = self._book.approvals.get(digest)
            if placed is None:
                raise SafeRoomError(Reason.NOT_APPROVED, "an approval does not stand before it")
            _require_heard(word, placed.entry, "approval")
            says = placed.says
            about = (says.owner, says.charter, says.template, says.certificate)
            if about != (said.owner, charter.digest, said.template, certificate.digest):
                raise SafeRoomError(Reason.NOT_APPROVED, "an approval of something else")
            approvers.add(charter.key_of(says.approver).keyid)
            first = placed.entry if first is None else min(first, placed.entry)
        if first is None or len(approvers) < charter.charter.threshold:
            detail = f"{len(approvers)} of {charter.charter.threshold} approvals"
            raise SafeRoomError(Reason.NOT_APPROVED, detail)
        for ending in self._book.withdrawals.get((said.owner, said.template), ()):
            if ending.entry > first:
                self._require_not_over(word, ending, Reason.NOT_APPROVED)

    def _require_running(self, said: Release | OfNobody, word: Word) -> None:
        """Refuse an answer while its owner had stopped all use, or that template's."""
        stops = self._book.stops.get(said.owner)
        if stops is None:
            return
        entry = stops.stopped(said.template, word.heard, word.charter)
        if entry is not None:
            detail = f"stopped in entry {entry}, which the enclave had heard"
            raise SafeRoomError(Reason.PAUSED, detail)
        unheard = stops.unheard(said.template, word.heard, word.charter)
        self._require_not_over(word, None if unheard is None else Ending(*unheard), Reason.PAUSED)

    def _require_consented(
        self, said: Release, word: Word, certificate: ReleaseCertificate
    ) -> None:
        part = certificate.part(said.owner)
        if said.consent is None:
            if part.needs_consent:
                raise SafeRoomError(Reason.NO_CONSENT, "it names no consent, and needs one")
            return
        placed = self._book.consents.get(said.consent)
        if placed is None:
            raise SafeRoomError(Reason.NO_CONSENT, "its consent does not stand before it")
        _require_heard(word, placed.entry, "consent")
        consent = placed.says
        if consent.institution != said.institution:
            raise SafeRoomError(Reason.NO_CONSENT, "its consent was given to another institution")
        if not consent.valid_from <= said.time < consent.valid_to:
            raise SafeRoomError(Reason.NO_CONSENT, "its consent was not in force")
        self._require_covered(consent, part)
        revoked = self._book.revocations.get((said.consent, consent.subject))
        self._require_not_over(word, revoked, Reason.NO_CONSENT)
        self._require_certified(consent, placed.entry, word)

    def _require_covered(self, consent: Consent, part: OwnerPart) -> None:
        types = set(consent.information_types)
        for use in part.features:
            feature = self._book.features.get(use.digest)
            own = () if feature is None else feature.information_types
            by_type = bool(own) and types.issuperset(own)
            if use.feature not in consent.features and not by_type:
                raise SafeRoomError(Reason.NO_CONSENT, f"its consent does not cover {use.feature}")

    def _require_certified(self, consent: Consent, entry: int, word: Word) -> None:
        """Check that whoever signed a consent was certified then, and when it was used."""
        known = (consent.certificate, word.charter.digest)
        signer = self._certified.get(known)
        if signer is None:
            der = unb64(consent.certificate)
            signer = verify_issued(der, word.charter.issuer_certificates)
            self._certified[known] = signer
        signer.require_valid(word.says.time)
        revoked = self._book.revoked.get(signer.identity.fingerprint)
        if revoked is not None and revoked.entry < entry:
            raise SafeRoomError(Reason.NO_CONSENT, "its signer's certificate had been revoked")

    def _require_not_over(self, word: Word, ending: Ending | None, reason: Reason) -> None:
        """Refuse what was taken back before, unless the two crossed on their way."""
        if ending is None:
            return
        if ending.entry <= word.heard:
            detail = f"taken back in entry {ending.entry}, which the enclave had heard"
            raise SafeRoomError(reason, detail)
        patience = timedelta(seconds=word.charter.charter.max_head_age_seconds)
        if word.says.time - ending.not_before > patience:
            detail = f"taken back in entry {ending.entry}, which was kept from the enclave"
            raise SafeRoomError(reason, detail)
        self.crossed += 1


def _require_heard(word: Word, entry: int, what: str) -> None:
    if entry > word.heard:
        detail = f"it rests on the {what} of entry {entry}, of which it had not heard"
        raise SafeRoomError(Reason.BROKEN_STREAM, detail)
