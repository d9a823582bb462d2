"""A batch's answers, opened and verified, and the receipts that go with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from saferoom_client.batch import Batch
from saferoom_client.values import TemplateView
from saferoom_proto.answer import Band, Told, Truth
from saferoom_proto.batch import ROW_BYTES, JudgedRows, Row, outcome_of, split
from saferoom_proto.batch_receipt import BatchPart, BatchReceipt, folded
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import BatchRelease
from saferoom_proto.uscc import SUBJECT_BYTES
from saferoom_proto.wire import Recorded


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """What became of one row.

    Attributes:
        index: of the row in its batch.
        subject: whom it is about.
        parts: each owner's answer, its share of a private conjunction, the band of a score, or why
            it refused.
        certificate: of the template, which says how parts make a whole.
    """

    index: int
    subject: str
    parts: Mapping[str, Told | Reason]
    certificate: ReleaseCertificate = field(repr=False)

    @property
    def told(self) -> Truth | Band | None:
        """All parts folded into one answer; none if any owner refused, or shares make no whole."""
        return self._folded[0]

    @property
    def truth(self) -> Truth | None:
        """The answer to a check; none if any owner refused."""
        told = self.told
        return None if isinstance(told, Band) else told

    @property
    def reason(self) -> Reason | None:
        """Why the first owner that refused did; none if all answered.

        `BAD_PROOF` where shares add up to no band: an owner lied about this row, and about which
        one nobody can tell. The other rows are none the worse for it.
        """
        for each in self.parts.values():
            if isinstance(each, Reason):
                return each
        return self._folded[1]

    @property
    def _folded(self) -> tuple[Truth | Band | None, Reason | None]:
        try:
            return folded(list(self.parts.values()), self.certificate), None
        except SafeRoomError as error:
            if error.reason is not Reason.BAD_PROOF:
                raise
            return None, error.reason


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """One owner's verified word on a batch, and what became of every row.

    Attributes:
        release: the word.
        recorded: the same as it stands in the log.
        charters: those that it names.
        approvals: likewise.
        agreements: likewise.
        endorsement: under which it was signed.
        features: of this owner, as the release certificate pins them.
        secret: opens the salts.
        chunks: what became of the rows.
        handovers: that led to the charters' root, as text.
    """

    release: BatchRelease
    recorded: Recorded
    charters: tuple[Envelope, ...]
    approvals: tuple[Envelope, ...]
    agreements: tuple[Envelope, ...]
    endorsement: Envelope
    features: tuple[Envelope, ...]
    secret: bytes = field(repr=False)
    chunks: tuple[JudgedRows, ...] = field(repr=False)
    handovers: tuple[str, ...] = ()

    def outcomes(self) -> Iterator[Told | Reason]:
        """Give each row's answer, share or band, or why it was refused, in order."""
        for chunk in self.chunks:
            width = len(chunk.records) // chunk.count
            yield from (outcome_of(record) for (record,) in split(chunk.records, width))

    def receipt_part(self) -> BatchPart:
        """Write the part as a batch's receipt holds it."""
        return BatchPart(
            owner=self.release.owner,
            charters=tuple(map(_text, self.charters)),
            features=tuple(map(_text, self.features)),
            approvals=tuple(map(_text, self.approvals)),
            agreements=tuple(map(_text, self.agreements)),
            endorsement=_text(self.endorsement),
            release=_text(self.recorded.statement),
            salt=b64(self.recorded.salt),
            proof=self.recorded.proof,
            secret=b64(self.secret),
            chunks=tuple(b64(chunk.when + chunk.records) for chunk in self.chunks),
            handovers=self.handovers,
        )


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """A batch's answers, all of them verified. Iterating gives them row by row."""

    batch: Batch
    view: TemplateView
    parts: tuple[PartAnswer, ...]

    @property
    def request_id(self) -> str:
        """The digest by which everybody knows the batch."""
        return self.batch.request_id

    def __len__(self) -> int:
        return len(self.batch)

    def __iter__(self) -> Iterator[RowAnswer]:
        owners = [part.release.owner for part in self.parts]
        told = zip(*(part.outcomes() for part in self.parts), strict=True)
        rows = split(self.batch.packed, ROW_BYTES)
        for index, ((row,), outcomes) in enumerate(zip(rows, told, strict=True)):
            subject = row[:SUBJECT_BYTES].decode()
            parts = dict(zip(owners, outcomes, strict=True))
            yield RowAnswer(index, subject, parts, self.view.certificate)

    def params(self, index: int) -> Mapping[str, str | bool]:
        """Give a row's parameters."""
        row = self.batch.packed[index * ROW_BYTES : (index + 1) * ROW_BYTES]
        return self.batch.request.params[Row.from_bytes(row).parameters]

    @property
    def receipt(self) -> BatchReceipt:
        """The receipt of the whole batch, out of which `row_receipt` takes one row's."""
        return BatchReceipt(
            request=_text(self.batch.envelope),
            template=_text(self.view.envelope),
            certificate=self.view.certificate.to_bytes().decode(),
            blinding=b64(self.batch.blinding),
            rows=b64(self.batch.packed),
            parts=tuple(part.receipt_part() for part in self.parts),
        )


def _text(envelope: Envelope) -> str:
    return envelope.to_json().decode()
