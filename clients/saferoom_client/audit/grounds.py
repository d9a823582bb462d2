"""What a word of an enclave rests on: each of its grounds stood before it and was not taken back.

An answer names its grounds by their digests: the charter, the approvals, the agreement, the
consent. Each must stand in the log before it, verify, and not have been taken back before. Between
a revocation's entry and the moment at which an enclave hears of it lies the way of a message: an
answer that crossed it is counted and not held against anybody, unless more time went by than the
charter allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from saferoom_client.audit.book import Book, Ending
from saferoom_client.audit.fits import OfNobody
from saferoom_proto.certificate import OwnerPart, ReleaseCertificate
from saferoom_proto.covering import covers, require_giver
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.identity import Certified, verify_issued
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.spoken import Spoken
from saferoom_proto.statements import (
    Agreement,
    BatchRelease,
    Consent,
    CostEstimate,
    Feature,
    Release,
    Span,
    load,
)
from saferoom_proto.statements.batch import LONGEST_WINDOW
from saferoom_proto.verification import PinnedCharter, verify_by_any_approver

Judged = Release | BatchRelease | OfNobody
"""A word on what an institution asked, which rests on an agreement and, if granted, approvals."""


@dataclass(frozen=True, slots=True)
class Word:
    """An enclave's word being judged, or a part of one.

    Attributes:
        says: what it says; its signature was verified.
        charter: the charter it was said under.
        heard: the newest entry that the enclave had heard of.
        known: the newest of which it had by its last word on the same: of a batch's rows, judged
            one after the other, by the word on all of them.
    """

    says: Spoken
    charter: PinnedCharter
    heard: int
    known: int


class Grounds:
    """Holds words to what they rest on.

    Args:
        book: what was said before.
    """

    def __init__(self, book: Book) -> None:
        self._book: Final = book
        self._certified: Final[dict[tuple[str, str], Certified]] = {}
        self.crossed = 0
        """Answers that a revocation crossed on its way to their enclave."""

    def require_agreed(self, said: Judged | CostEstimate, word: Word, *, granted: bool) -> None:
        """Require the agreement that a word names; of what was granted, that it was in force."""
        agreement = self._agreement(said, said.agreement, word)
        if granted:
            agreement.require_valid(said.time)
            self._require_not_over(word, self._book.ends.get(said.agreement), Reason.NO_AGREEMENT)

    def require_granted(
        self, said: Release | OfNobody, word: Word, *, anew: bool = True
    ) -> ReleaseCertificate:
        """Require all that lets a word through but for a consent; give what it could let out.

        Args:
            said: the word.
            word: it, with what its enclave had heard.
            anew: whether it was held to the features as they are; else as they were when it began.
        """
        self.require_agreed(said, word, granted=True)
        if said.charter != word.charter.digest:
            raise SafeRoomError(Reason.BAD_CHARTER, "it names another charter than its endorsement")
        certificate = self.certificate(said)
        self._require_running(said, word)
        self._require_approved(said, word, certificate, said.approvals)
        if anew:
            self._require_defined(certificate.part(said.owner), word)
        return certificate

    def require_rows(self, said: BatchRelease, word: Word) -> None:
        """Hold the rows of a batch to what its word says that they rest on.

        The consents that they were answered under are the asker's and its subjects' to show.
        """
        judged = sum(span.rows for span in said.spans if span.approvals)
        if said.answered > judged:
            detail = f"{said.answered} rows were answered, and {judged} rest on approvals"
            raise SafeRoomError(Reason.NOT_APPROVED, detail)
        for span in said.spans:
            if span.approvals:
                self._require_span(said, span, word)

    def _require_span(self, said: BatchRelease, span: Span, word: Word) -> None:
        book, heard = self._book, self._book.streams.heard(said.owner, span.stream)
        then = Word(said, book.charter(said.owner, span.charter), heard, word.heard)
        for digest, later in book.charters.items():
            newer = later.charter.version > then.charter.charter.version
            if newer and later.charter.owner == said.owner and book.entries[digest] <= heard:
                raise SafeRoomError(Reason.BAD_CHARTER, "its enclave had heard of a newer charter")
        agreed = self._agreement(said, span.agreement, then)
        # When its rows were judged, the log does not say: within a batch's window.
        if not agreed.valid_from <= said.time < agreed.valid_to + LONGEST_WINDOW:
            raise SafeRoomError(Reason.NO_AGREEMENT, "its agreement was not in force")
        self._require_not_over(then, book.ends.get(span.agreement), Reason.NO_AGREEMENT)
        certificate = self.certificate(said)
        self._require_running(said, then)
        self._require_approved(said, then, certificate, span.approvals)
        self._require_defined(certificate.part(said.owner), then)

    def certificate(self, said: Judged) -> ReleaseCertificate:
        """Give the release certificate that a word names: what its template comes to."""
        book = self._book
        certificate = book.certificates.get(said.certificate)
        if certificate is None or certificate.template != said.template:
            detail = "its template's release certificate does not stand before it"
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, detail)
        if said.certificate in book.underived:
            detail = "its certificate is not what its template and their features come to"
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, detail)
        return certificate

    def _agreement(self, said: Judged | CostEstimate, digest: str, word: Word) -> Agreement:
        placed = self._book.agreements.get(digest)
        if placed is None:
            raise SafeRoomError(Reason.NO_AGREEMENT, "its agreement does not stand before it")
        _require_heard(word, placed.entry, "agreement")
        agreement = placed.says.agreement
        if (agreement.owner, agreement.institution) != (said.owner, said.institution):
            raise SafeRoomError(Reason.NO_AGREEMENT, "its agreement is another institution's")
        return agreement

    def _require_defined(self, part: OwnerPart, word: Word) -> None:
        """Refuse what was told by a feature of which the enclave had heard a newer definition."""
        for use in part.features:
            known = self._book.features[use.digest].version
            for placed in self._book.defined.get(use.feature, ()):
                newer = load(placed.says, Feature).version > known
                if newer and placed.entry <= word.heard and _is_by(placed.says, word.charter):
                    detail = f"{use.feature} was defined anew in entry {placed.entry}"
                    raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, detail)

    def _require_approved(
        self,
        said: Judged,
        word: Word,
        certificate: ReleaseCertificate,
        approvals: tuple[str, ...],
    ) -> None:
        charter = word.charter
        if certificate.part(said.owner).charter not in (None, charter.digest):
            detail = "its certificate pins another charter of this owner"
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, detail)
        endings = self._book.withdrawals.get((said.owner, said.template), ())
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
            if any(each.entry < placed.entry and says.at <= each.at for each in endings):
                raise SafeRoomError(Reason.NOT_APPROVED, "an approval from before it was withdrawn")
            approvers.add(charter.key_of(says.approver).keyid)
            first = placed.entry if first is None else min(first, placed.entry)
        if first is None or len(approvers) < charter.charter.threshold:
            detail = f"{len(approvers)} of {charter.charter.threshold} approvals"
            raise SafeRoomError(Reason.NOT_APPROVED, detail)
        for ending in endings:
            if ending.entry > first:
                self._require_not_over(word, ending, Reason.NOT_APPROVED)

    def _require_running(self, said: Judged, word: Word) -> None:
        """Refuse an answer while its owner had stopped all use, or that template's."""
        stops = self._book.stops.get(said.owner)
        if stops is None:
            return
        entry = stops.stopped(said.template, word.heard, word.charter)
        if entry is not None:
            detail = f"stopped in entry {entry}, which the enclave had heard"
            raise SafeRoomError(Reason.PAUSED, detail)
        unheard = stops.unheard(said.template, word.known, word.charter)
        self._require_not_over(word, None if unheard is None else Ending(*unheard), Reason.PAUSED)

    def require_consented(self, said: Release, word: Word, certificate: ReleaseCertificate) -> None:
        """Require a consent where there has to be one, in force, for what was told."""
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
        for use in part.features:
            if not covers(consent, self._book.features[use.digest]):
                raise SafeRoomError(Reason.NO_CONSENT, f"its consent does not cover {use.feature}")
        revoked = self._book.revocations.get((said.consent, consent.subject))
        self._require_not_over(word, revoked, Reason.NO_CONSENT)
        self._require_certified(consent, placed.entry, word)

    def _require_certified(self, consent: Consent, entry: int, word: Word) -> None:
        """Check that whoever signed a consent could, and was certified then and when it served."""
        known = (consent.certificate, word.charter.digest)
        signer = self._certified.get(known)
        if signer is None:
            der = unb64(consent.certificate)
            signer = verify_issued(der, word.charter.issuer_certificates)
            self._certified[known] = signer
        require_giver(consent, signer.identity, word.charter.charter.registrars)
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
        if ending.entry <= word.known:
            return  # it came later in the batch, and counted from then on
        patience = timedelta(seconds=word.charter.charter.max_head_age_seconds)
        if word.says.time - ending.not_before > patience:
            detail = f"taken back in entry {ending.entry}, which was kept from the enclave"
            raise SafeRoomError(reason, detail)
        self.crossed += 1


def _require_heard(word: Word, entry: int, what: str) -> None:
    if entry > word.heard:
        detail = f"it rests on the {what} of entry {entry}, of which it had not heard"
        raise SafeRoomError(Reason.BROKEN_STREAM, detail)


def _is_by(feature: Envelope, charter: PinnedCharter) -> bool:
    """Tell whether an approver of a charter signed a definition: it is in force only then."""
    try:
        verify_by_any_approver(feature, charter, Feature)
    except SafeRoomError:
        return False
    return True
