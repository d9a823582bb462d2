"""Receipts of batches: one file for all of a batch, and one row's alone, which shows no other row.

Both verify offline under pinned keys alone, by the steps of `saferoom_proto.receipt`. The file of a
whole batch is the asker's: it opens every row. A row's receipt can be given to anybody who may see
that row: its subject, an auditor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field

from saferoom_proto.answer import Band, Told, Truth
from saferoom_proto.batch import (
    BLIND_BYTES,
    CHUNK_ROWS,
    ROW_BYTES,
    SALT_BYTES,
    WHEN_BYTES,
    BatchKeys,
    JudgedRows,
    Record,
    Row,
    When,
    asked_leaf,
    asked_leaves,
    blinds,
)
from saferoom_proto.batch_grounds import (
    PartGrounds,
    VerifiedGrounds,
    require_record,
    verify_grounds,
)
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, digest_bytes, unb64
from saferoom_proto.merkle import verify_inclusion
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import RECEIPT_LIMIT_BYTES, open_template
from saferoom_proto.receipt_part import AskedFile, read_receipt
from saferoom_proto.statements import BatchRelease, BatchRequest, Template, load
from saferoom_proto.tree import Tree
from saferoom_proto.trust import Trust

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Bytes = Annotated[str, Field(max_length=64 * 1024 * 1024)]
"""Base64 of packed rows or records: a million rows are 27 MB of it."""
_Path = Annotated[tuple[str, ...], Field(max_length=32)]


class BatchPart(PartGrounds):
    """One owner's part of a batch: its word, and what became of every row."""

    secret: str
    """Opens the salts."""
    chunks: tuple[_Bytes, ...]
    """Each as it was sealed: when it was judged, and its records."""


class BatchReceipt(AskedFile[Literal["saferoom-batch-receipt/v1"]]):
    """What a batch's receipt file holds."""

    format: Literal["saferoom-batch-receipt/v1"] = "saferoom-batch-receipt/v1"
    blinding: str
    rows: _Bytes
    parts: Annotated[tuple[BatchPart, ...], Field(min_length=1, max_length=64)]

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a batch's receipt file; `MALFORMED` names the field."""
        # As long as its batch: its fields are what is bounded.
        return read_receipt(cls, data, len(data))


class RowPart(PartGrounds):
    """One owner's part of a row: its word on the batch, and what became of this row."""

    consent: str | None
    row_salt: str
    when: str
    record: str
    path: _Path
    """From the row's outcome to the root that the word names."""


class RowReceipt(AskedFile[Literal["saferoom-row-receipt/v1"]]):
    """What a row's receipt file holds."""

    most_bytes: ClassVar[int] = RECEIPT_LIMIT_BYTES
    format: Literal["saferoom-row-receipt/v1"] = "saferoom-row-receipt/v1"
    index: Annotated[int, Field(ge=0)]
    row: str
    blind: str
    path: _Path
    """From the row as it was asked to the root that the request names."""
    parts: Annotated[tuple[RowPart, ...], Field(min_length=1, max_length=64)]


@dataclass(frozen=True, slots=True)
class VerifiedRowPart:
    """What one owner's enclave verifiably did with a row."""

    release: BatchRelease
    record: Record
    judged_at: datetime
    checkpoint: Checkpoint
    index: int


@dataclass(frozen=True, slots=True)
class VerifiedRow:
    """What a row's receipt verifiably shows."""

    request: BatchRequest
    request_id: str
    row: Row
    template: Template
    certificate: ReleaseCertificate
    parts: Mapping[str, VerifiedRowPart]

    @property
    def answer(self) -> Truth | Band | None:
        """All parts folded into one answer; none if any owner refused."""
        return folded([part.record.outcome for part in self.parts.values()], self.certificate)


def folded(
    outcomes: Sequence[Told | Reason], certificate: ReleaseCertificate
) -> Truth | Band | None:
    """Fold the outcomes of all owners; none if any refused."""
    told = [each for each in outcomes if not isinstance(each, Reason)]
    return certificate.fold(told) if len(told) == len(outcomes) else None


def moment_of(when: When) -> datetime:
    """Give the instant at which rows were judged."""
    return _EPOCH + timedelta(milliseconds=when.milliseconds)


def consents_of(receipt: BatchReceipt, index: int) -> set[str]:
    """Name the consents under which a row was answered, by their digests.

    Raises:
        SafeRoomError: `MALFORMED` if there is no such row.
    """
    rows = _rows_with(receipt, index)
    records = (
        _record_of(_chunks(part, rows)[index // CHUNK_ROWS], index) for part in receipt.parts
    )
    suite = Envelope.from_text(receipt.request).suite
    named = (Record.from_bytes(record, suite).consent for record in records)
    return {digest for digest in named if digest is not None}


def take_row(receipt: BatchReceipt, index: int, consents: Mapping[str, str]) -> RowReceipt:
    """Take one row's receipt out of a batch's.

    Args:
        receipt: the batch's.
        index: of the row, from 0.
        consents: the envelopes of those that `consents_of` names, as text, by their digests.

    Raises:
        SafeRoomError: `MALFORMED` if there is no such row, or one of its consents is not given.
    """
    rows, seed = _rows_with(receipt, index), unb64(receipt.blinding)
    request = Envelope.from_text(receipt.request)
    tree = Tree(asked_leaves(seed, rows, request.suite), request.suite)
    return RowReceipt(
        request=receipt.request,
        template=receipt.template,
        certificate=receipt.certificate,
        index=index,
        row=b64(rows[index * ROW_BYTES : (index + 1) * ROW_BYTES]),
        blind=b64(blinds(seed, index, 1)),
        path=tuple(map(b64, tree.path(index))),
        parts=tuple(_row_part(part, rows, index, request, consents) for part in receipt.parts),
    )


def _row_part(
    part: BatchPart, rows: bytes, index: int, request: Envelope, consents: Mapping[str, str]
) -> RowPart:
    keys = BatchKeys(unb64(part.secret), request.digest, part.owner)
    chunks = _chunks(part, rows)
    leaves = [
        leaf
        for chunk in chunks
        for leaf in chunk.leaves(keys.salts(chunk.first, chunk.count), request.digest)
    ]
    chunk = chunks[index // CHUNK_ROWS]
    data = _record_of(chunk, index)
    consent = Record.from_bytes(data, request.suite).consent
    if consent is not None and consent not in consents:
        raise SafeRoomError(Reason.MALFORMED, f"the row's consent {consent} is not given")
    return RowPart(
        **part.of_row(index).model_dump(),
        consent=None if consent is None else consents[consent],
        row_salt=b64(keys.salts(index, 1)),
        when=b64(chunk.when),
        record=b64(data),
        path=tuple(map(b64, Tree(leaves, request.suite).path(index))),
    )


def _rows_with(receipt: BatchReceipt, index: int) -> bytes:
    rows = unb64(receipt.rows)
    if not 0 <= index < len(rows) // ROW_BYTES:
        raise SafeRoomError(Reason.MALFORMED, f"the batch has no row {index}")
    return rows


def _chunks(part: BatchPart, rows: bytes) -> list[JudgedRows]:
    return judged_chunks(rows, [unb64(chunk) for chunk in part.chunks])


def _record_of(chunk: JudgedRows, index: int) -> bytes:
    width, place = len(chunk.records) // chunk.count, index - chunk.first
    return chunk.records[place * width : (place + 1) * width]


def judged_chunks(rows: bytes, chunks: list[bytes]) -> list[JudgedRows]:
    """Put the rows and what became of them together; `MALFORMED` if they do not fit."""
    size = CHUNK_ROWS * ROW_BYTES
    if len(chunks) != -(-len(rows) // size):
        raise SafeRoomError(Reason.MALFORMED, "not one chunk for each part of the rows")
    return [
        JudgedRows(
            number * CHUNK_ROWS,
            rows[number * size : (number + 1) * size],
            chunk[:WHEN_BYTES],
            chunk[WHEN_BYTES:],
        )
        for number, chunk in enumerate(chunks)
    ]


def verify_row_receipt(receipt: RowReceipt, trust: Trust) -> VerifiedRow:
    """Verify a row's receipt offline.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Step 1 and 2: the batch's request, the template, its certificate.
    opened = _open_request(receipt, trust)
    # Step 3: this row stands in the batch that was signed.
    row = unb64(receipt.row)
    if len(row) != ROW_BYTES or len(unb64(receipt.blind)) != BLIND_BYTES:
        raise SafeRoomError(Reason.MALFORMED, "not a row and its blind")
    suite, path = opened.envelope.suite, [unb64(each) for each in receipt.path]
    asked = asked_leaf(unb64(receipt.blind), row, suite)
    root = digest_bytes(opened.request.root)
    verify_inclusion(receipt.index, opened.request.rows, asked, path, root, suite=suite)
    # Step 4: each owner's part.
    parts = {
        part.owner: _verify_row_part(part, receipt.index, row, opened, trust)
        for part in receipt.parts
    }
    return VerifiedRow(
        opened.request,
        opened.envelope.digest,
        Row.from_bytes(row),
        opened.template,
        opened.certificate,
        parts,
    )


def _verify_row_part(
    part: RowPart, index: int, row: bytes, opened: _Opened, trust: Trust
) -> VerifiedRowPart:
    grounds = verify_grounds(part, opened.envelope, opened.certificate, trust, index=index)
    suite, when = opened.envelope.suite, When.from_bytes(unb64(part.when))
    record = Record.from_bytes(unb64(part.record), suite)
    judged = JudgedRows(index, row, unb64(part.when), unb64(part.record))
    salt = unb64(part.row_salt)
    if len(salt) != SALT_BYTES:
        raise SafeRoomError(Reason.MALFORMED, f"a row's salt has {SALT_BYTES} bytes")
    (leaf,) = judged.leaves(salt, opened.envelope.digest)
    path = [unb64(each) for each in part.path]
    verify_inclusion(index, opened.request.rows, leaf, path, grounds.root, suite=suite)
    consent = None if part.consent is None else Envelope.from_text(part.consent)
    require_record(
        record, moment_of(when), grounds, opened.request, Row.from_bytes(row), consent=consent
    )
    return VerifiedRowPart(
        grounds.release, record, moment_of(when), grounds.checkpoint, grounds.index
    )


def verify_batch_receipt(receipt: BatchReceipt, trust: Trust) -> Mapping[str, VerifiedGrounds]:
    """Verify a whole batch's receipt offline: all but the consents, which each row's receipt holds.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    opened = _open_request(receipt, trust)
    rows = unb64(receipt.rows)
    suite = opened.envelope.suite
    root = Tree(asked_leaves(unb64(receipt.blinding), rows, suite), suite).root
    if (len(rows), suite.named(root)) != (
        opened.request.rows * ROW_BYTES,
        opened.request.root,
    ):
        raise SafeRoomError(Reason.BAD_PROOF, "not the rows that were signed")
    verified: dict[str, VerifiedGrounds] = {}
    for part in receipt.parts:
        grounds = verify_grounds(part, opened.envelope, opened.certificate, trust)
        keys = BatchKeys(unb64(part.secret), opened.envelope.digest, part.owner)
        chunks = _chunks(part, rows)
        leaves = [
            chunk.leaves(keys.salts(chunk.first, chunk.count), opened.envelope.digest)
            for chunk in chunks
        ]
        tops = [Tree(each, suite).root for each in leaves]
        if Tree(tops, suite).root != grounds.root:
            raise SafeRoomError(Reason.BAD_PROOF, "not the outcomes that were signed")
        verified[part.owner] = grounds
    return verified


@dataclass(frozen=True, slots=True)
class _Opened:
    envelope: Envelope
    request: BatchRequest
    template: Template
    certificate: ReleaseCertificate


def _open_request(receipt: BatchReceipt | RowReceipt, trust: Trust) -> _Opened:
    envelope = Envelope.from_text(receipt.request)
    request = load(envelope, BatchRequest)
    if request.room != trust.origin:
        raise SafeRoomError(Reason.BAD_PROOF, "a receipt of another room")
    template, certificate = open_template(
        receipt.template,
        receipt.certificate,
        receipt.parts,
        (request.template, request.certificate),
    )
    return _Opened(envelope, request, template, certificate)
