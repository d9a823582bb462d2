"""Rows of batches that receipts open: each is held to what its answer rests on.

A batch has one entry of the log, and its rows are its asker's and its subjects'. Whoever of them
hands a row's receipt to an auditor shows what it was charged and under which consent.
"""

from __future__ import annotations

from dataclasses import dataclass

from saferoom_client.audit.accounts import faults_of
from saferoom_client.audit.book import Book
from saferoom_proto.batch import Record, When
from saferoom_proto.batch_receipt import moment_of
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import BatchRelease, Charge, Span


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """A row whose receipt was verified.

    Attributes:
        name: the receipt's file.
        digest: of the enclave's word on the batch.
        word: what it says.
        subject: whom the row is about.
        index: its place in the batch, from 0.
        record: what became of it.
        when: it was judged, and how far the enclave had followed its stream then.
    """

    name: str
    digest: str
    word: BatchRelease
    subject: str
    index: int
    record: Record
    when: When


def require_row(row: JudgedRow, book: Book) -> None:
    """Hold an answered row to its charges and its consent, as far as the log holds these.

    Raises:
        SafeRoomError: the reason names the rule that it breaks.
    """
    span = row.word.span_of(row.index)
    if span is None or not row.record.answered:
        return
    try:
        _require_charged(row, span, book)
        _require_consented(row, book)
    except KeyError:
        return  # what is missing in the log is found there


def _require_charged(row: JudgedRow, span: Span, book: Book) -> None:
    part = book.certificates[row.word.certificate].part(row.word.owner)
    if len(row.record.charges) != len(part.charged):
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "charged for other features")
    charter = book.charters[span.charter].charter
    for use, (before, after) in zip(part.charged, row.record.charges, strict=True):
        charge = Charge(feature=use.feature, cells_before=before, cells_after=after)
        for fault in faults_of(charge, book.features[use.digest], charter):
            raise fault


def _require_consented(row: JudgedRow, book: Book) -> None:
    part = book.certificates[row.word.certificate].part(row.word.owner)
    if row.record.consent is None:
        if part.needs_consent:
            raise SafeRoomError(Reason.NO_CONSENT, "it names no consent, and needs one")
        return
    consent = book.consents[row.record.consent].says
    if (consent.subject, consent.institution) != (row.subject, row.word.institution):
        raise SafeRoomError(Reason.NO_CONSENT, "its consent is another's, or for another")
    if not consent.valid_from <= moment_of(row.when) < consent.valid_to:
        raise SafeRoomError(Reason.NO_CONSENT, "its consent was not in force")
    revoked = book.revocations.get((row.record.consent, row.subject))
    heard = book.streams.reached(row.word.owner, row.when.sequence)
    if revoked is not None and revoked.entry <= heard:
        detail = f"taken back in entry {revoked.entry}, which the enclave had heard"
        raise SafeRoomError(Reason.NO_CONSENT, detail)
