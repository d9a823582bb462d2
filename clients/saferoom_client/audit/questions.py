"""Questions that receipts open: what the log alone does not hold.

Owners, subjects and banks keep receipts; an auditor who is given some reads the questions in them:
about whom, for which purpose, with which parameters. No answer is needed. Each receipt verifies by
itself, its entry must stand in the log that is audited, and its question is held to everything that
allowed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from saferoom_client.audit.accounts import names_of
from saferoom_client.audit.book import Book
from saferoom_client.audit.rows import JudgedRow
from saferoom_client.files import read_file
from saferoom_client.log import Progress, ignore_progress
from saferoom_client.receipt_kinds import Kind
from saferoom_proto.batch import When
from saferoom_proto.batch_receipt import (
    BatchReceipt,
    RowReceipt,
    VerifiedRow,
    verify_batch_receipt,
    verify_row_receipt,
)
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.covering import require_consent_covers
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import parse_object, unb64
from saferoom_proto.fit_receipt import FitReceipt, verify_fit_receipt
from saferoom_proto.formula import FeatureRef, bind, cuts, parameters, parse_formula
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.reports.list_receipt import ListReceipt, verify_list_receipt
from saferoom_proto.reports.receipt import ReportReceipt, verify_report_receipt
from saferoom_proto.statements import (
    BatchRelease,
    CheckRequest,
    Outcome,
    Release,
    Template,
    load,
)
from saferoom_proto.tables.receipt import TableReceipt, verify_table_receipt
from saferoom_proto.tables.sum_receipt import SumReceipt, verify_sum_receipt
from saferoom_proto.trust import Trust
from saferoom_proto.use_receipt import UseReceipt, VerifiedUse, verify_use_receipt
from saferoom_proto.verification import PinnedAgreement, verify_request

LIMIT_BYTES: Final = 256 * 1024 * 1024
"""The file of a batch of a million rows is some 200 MB."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A question that a receipt opens.

    Attributes:
        name: the receipt's file.
        envelope: the signed question.
        request: what it asks.
        others: the same question under other signatures, as other receipts have it.
    """

    name: str
    envelope: Envelope
    request: CheckRequest
    others: tuple[Envelope, ...] = ()

    def asked(self, said: Release, book: Book) -> dict[str, frozenset[str]] | None:
        """Give the cuts that the question asks of each charged feature of one owner's part.

        None if what it rests on is not in the log, or it does not fit its formula: another rule
        finds that.
        """
        try:
            part = book.certificates[said.certificate].part(said.owner)
            return _cuts(self.request, part, book)
        except (SafeRoomError, KeyError):
            return None

    def require_allowed(self, said: Release, book: Book) -> None:
        """Hold the question to what its answer rests on, as far as that stands in the log.

        Raises:
            SafeRoomError: the reason names the rule that it breaks.
        """
        try:
            self._require_allowed(said, book)
        except KeyError:
            return  # what is missing in the log is found there

    def _require_allowed(self, said: Release, book: Book) -> None:
        request, part = self.request, book.certificates[said.certificate].part(said.owner)
        asked = (request.institution, request.template, request.certificate)
        if asked != (said.institution, said.template, said.certificate):
            raise SafeRoomError(Reason.BAD_PROOF, "its question is of another asker or template")
        agreement = book.agreements[said.agreement].says
        self._require_signed(agreement, said.time)
        if said.outcome is not Outcome.ANSWERED:
            return
        if not request.not_before <= said.time < request.not_after:
            raise SafeRoomError(Reason.EXPIRED, "answered outside of its question's window")
        template = load(book.templates[said.template], Template)
        if request.purpose not in template.purposes:
            raise SafeRoomError(Reason.WRONG_PURPOSE, "its template does not serve the purpose")
        _cuts(request, part, book)
        if said.consent is not None:
            features = [book.features[use.digest] for use in part.features]
            consent = book.consents[said.consent].says
            require_consent_covers(consent, request, features, said.time)

    def _require_signed(self, agreement: PinnedAgreement, time: datetime) -> None:
        """Check that its asker signed it: who hands a receipt on can spoil the signature in it."""
        refusals: list[SafeRoomError] = []
        for envelope in (self.envelope, *self.others):
            try:
                verify_request(envelope, CheckRequest, agreement, time)
            except SafeRoomError as error:
                refusals.append(error)
            else:
                return
        if refusals[0].reason is Reason.BAD_SIGNATURE:
            detail = (
                "its question is not signed by its asker: the receipt was altered, or the enclave"
                " answered what nobody asked; another side's receipt shows which"
            )
            raise SafeRoomError(Reason.BAD_SIGNATURE, detail)
        raise refusals[0]


def _cuts(request: CheckRequest, part: OwnerPart, book: Book) -> dict[str, frozenset[str]]:
    if part.report is not None:
        if request.params:
            raise SafeRoomError(Reason.OFF_DOMAIN, "a report has no parameters")
        return {}
    if part.score is not None:
        return {}  # a score is a function of values, and asks of no cut
    pinned = [PinnedFeature(book.features[use.digest], use.digest) for use in part.features]
    shapes = {each.ref: each.shape for each in pinned}
    node = parse_formula(part.formula)
    own = {name: request.params[name] for name in parameters(node) if name in request.params}
    asked = cuts(bind(node, own, shapes))
    charged = {FeatureRef.parse(use.feature) for use in part.charged}
    return {
        str(ref): names_of(shapes[ref], found) for ref, found in asked.items() if ref in charged
    }


@dataclass(slots=True)
class Receipts:
    """The receipts that an auditor was given.

    Attributes:
        questions: by their request ids.
        places: the entry in which each receipt says that each of its words stands.
        rows: of batches, each with what became of it.
        faults: files that do not verify, each with what is wrong.
    """

    questions: dict[str, Opened] = field(default_factory=dict[str, Opened])
    places: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])
    rows: list[JudgedRow] = field(default_factory=list[JudgedRow])
    faults: list[tuple[str, SafeRoomError]] = field(default_factory=list[tuple[str, SafeRoomError]])
    count: int = 0

    def missing(self, entries: Mapping[str, int]) -> Iterator[tuple[str, SafeRoomError]]:
        """Give the receipts whose words do not stand in the log where they say."""
        for name, digest, index in self.places:
            if entries.get(digest) != index:
                detail = f"the log holds no such word in its entry {index}"
                yield name, SafeRoomError(Reason.BAD_PROOF, detail)


def read_receipts(folder: Path, trust: Trust, progress: Progress = ignore_progress) -> Receipts:
    """Read and verify every receipt of a folder (`*.json`); what does not verify is noted."""
    found, paths = Receipts(), sorted(folder.glob("*.json"))
    for done, path in enumerate(paths):
        progress(done, len(paths))
        found.count += 1
        try:
            _read(path.name, read_file(path), trust, found)
        except SafeRoomError as error:
            found.faults.append((path.name, error))
    return found


def _read(name: str, data: bytes, trust: Trust, found: Receipts) -> None:
    match parse_object(data, LIMIT_BYTES).get("format"):
        case Kind.USE:
            use = UseReceipt.from_json(data)
            verified = verify_use_receipt(use, trust)
            _keep_places(name, [(use.word, verified.index)], found)
            if use.question is not None and isinstance(verified.request, CheckRequest):
                _keep(name, use.question, found)
            _keep_row(name, verified, Envelope.from_text(use.word).digest, found)
        case Kind.CHECK:
            receipt = Receipt.from_json(data)
            parts = verify_receipt(receipt, trust).parts
            places = [(part.release, parts[part.owner].index) for part in receipt.parts]
            _keep_places(name, places, found)
            _keep(name, receipt.request, found)
        case Kind.ROW:
            row = RowReceipt.from_json(data)
            shown = verify_row_receipt(row, trust)
            places = [(part.release, shown.parts[part.owner].index) for part in row.parts]
            _keep_places(name, places, found)
            _keep_rows(name, row, shown, found)
        case Kind.BATCH:
            batch = BatchReceipt.from_json(data)
            grounds = verify_batch_receipt(batch, trust)
            places = [(part.release, grounds[part.owner].index) for part in batch.parts]
            _keep_places(name, places, found)
        case Kind.REPORT:
            report = ReportReceipt.from_json(data)
            told = verify_report_receipt(report, trust).parts
            places = [(part.release, told[part.owner].index) for part in report.parts]
            _keep_places(name, places, found)
            _keep(name, report.request, found)
        case kind:
            _read_of_nobody(kind, name, data, trust, found)


def _read_of_nobody(kind: object, name: str, data: bytes, trust: Trust, found: Receipts) -> None:
    """Read a receipt that is about no subject: only its words' places are held to the log."""
    match kind:
        case Kind.TABLE:
            table = TableReceipt.from_json(data)
            _keep_places(name, [(table.release, verify_table_receipt(table, trust).index)], found)
        case Kind.SUM:
            added = SumReceipt.from_json(data)
            words = verify_sum_receipt(added, trust).words
            places = [(part.release, words[part.owner].index) for part in added.parts]
            _keep_places(name, places, found)
        case Kind.LIST:
            page = ListReceipt.from_json(data)
            _keep_places(name, [(page.release, verify_list_receipt(page, trust).said.index)], found)
        case Kind.FIT:
            fit = FitReceipt.from_json(data)
            _keep_places(name, [(fit.release, verify_fit_receipt(fit, trust).said.index)], found)
        case _:
            raise SafeRoomError(Reason.MALFORMED, "not a receipt")


def _keep_places(name: str, words: Iterable[tuple[str, int]], found: Receipts) -> None:
    """Keep in which entry a receipt says that each of its words stands."""
    found.places += [(name, Envelope.from_text(word).digest, index) for word, index in words]


def _keep(name: str, question: str, found: Receipts) -> None:
    envelope = Envelope.from_text(question)
    opened = found.questions.setdefault(
        envelope.digest, Opened(name, envelope, load(envelope, CheckRequest))
    )
    if envelope not in (opened.envelope, *opened.others):
        others = (*opened.others, envelope)
        found.questions[envelope.digest] = replace(opened, others=others)


def _keep_row(name: str, use: VerifiedUse, digest: str, found: Receipts) -> None:
    """Keep the row that a subject was shown of a batch."""
    record = use.record
    if use.row is not None and record is not None and isinstance(use.word, BatchRelease):
        shown = use.row.row
        when = When.from_bytes(unb64(shown.when))
        judged = (use.row.subject, shown.index, record, when)
        found.rows.append(JudgedRow(name, digest, use.word, *judged))


def _keep_rows(name: str, receipt: RowReceipt, verified: VerifiedRow, found: Receipts) -> None:
    """Keep what became of a row at each owner."""
    for part in receipt.parts:
        own, when = verified.parts[part.owner], When.from_bytes(unb64(part.when))
        judged = (verified.row.subject, receipt.index, own.record, when)
        found.rows.append(
            JudgedRow(name, Envelope.from_text(part.release).digest, own.release, *judged)
        )
