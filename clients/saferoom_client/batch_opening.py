"""A batch's words and chunks: verified step by step against each other, and only then opened.

What an enclave's word rests on is verified once for the batch. A row's consent is named in its
record and verified when its receipt is taken out: a hundred thousand consents are not fetched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from saferoom_client.batch import Batch
from saferoom_client.batch_answer import BatchAnswer, PartAnswer
from saferoom_client.batch_faults import faults_of
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.values import TemplateView
from saferoom_proto.batch import (
    ANSWERED,
    CHUNK_ROWS,
    CONSENT_BYTES,
    OUTCOMES,
    REASONED,
    ROW_BYTES,
    SHARED,
    WHEN_BYTES,
    BatchKeys,
    JudgedRows,
    When,
    chunks_of,
    outcome_of,
    record_bytes,
    secret_info,
    split,
)
from saferoom_proto.batch_grounds import require_about
from saferoom_proto.batch_receipt import moment_of
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import digest_bytes
from saferoom_proto.merkle import verify_inclusion
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import require_pinned
from saferoom_proto.statements import BatchRelease, BatchRequest, Span
from saferoom_proto.tree import Tree
from saferoom_proto.v1 import batch_pb2
from saferoom_proto.wire import Recorded, recorded_from_proto

REASONED_CODES: Final = frozenset(REASONED.values())
_KNOWN: Final = bytes([*OUTCOMES, SHARED, *REASONED_CODES])
_NO_CONSENT: Final = bytes(CONSENT_BYTES)
_OF_PARAMETERS: Final = frozenset({Reason.OFF_DOMAIN, Reason.OFF_GRID})


@dataclass(slots=True)
class _Part:
    """One owner's word, and its chunks so far."""

    release: BatchRelease
    recorded: Recorded
    secret: bytes
    keys: BatchKeys
    root: bytes
    chunks: list[JudgedRows] = field(default_factory=list[JudgedRows])


class Opening:
    """Verifies what comes of a batch, step by step, and opens it."""

    def __init__(self, session: Session, batch: Batch, view: TemplateView) -> None:
        self._session: Final = session
        self._batch: Final = batch
        self._view: Final = view
        self._parts: Final[dict[str, _Part]] = {}
        self._named: Final[dict[str, Envelope]] = {}

    async def word(self, owner: str, message: batch_pb2.BatchWord) -> None:
        """Verify an owner's word on the batch, and what it rests on."""
        session, batch = self._session, self._batch
        recorded = recorded_from_proto(message.release)
        # Step 1: the word of the enclave that the owner's key agent endorsed under its charter.
        release, _ = await session.grounds.word(recorded.statement, BatchRelease)
        # Step 2: its place in the log, and that it is about this very batch.
        session.grounds.require_recorded(recorded)
        if release.owner != owner or owner in self._parts:
            raise SafeRoomError(Reason.BAD_PROOF, "a part of another owner, or one too many")
        if release.reason is not None:
            told = {"request_id": batch.request_id, "owner": owner}
            faults = faults_of(batch, self._view) if release.reason in _OF_PARAMETERS else ()
            raise Refused(SafeRoomError(release.reason, "the batch as a whole", faults), told)
        require_about(release, batch.envelope, self._view.certificate)
        # Step 3: what allowed it, span by span.
        for span in release.spans:
            await self._require_span(release, span)
        # Step 4: the seal.
        info = secret_info(batch.request_id, owner)
        secret = batch.reply_key.open(message.sealed_secret, info=info)
        keys = BatchKeys(secret, batch.request_id, owner)
        root = digest_bytes(release.root or "")
        self._parts[owner] = _Part(release, recorded, secret, keys, root)

    def chunk(self, owner: str, message: batch_pb2.BatchChunk) -> None:
        """Open a chunk and verify it against the owner's word."""
        part = self._parts.get(owner)
        if part is None or message.number != len(part.chunks):
            raise SafeRoomError(Reason.BAD_PROOF, "a chunk before its word, or out of order")
        number, first = message.number, message.number * CHUNK_ROWS
        rows = self._batch.packed[first * ROW_BYTES : (first + CHUNK_ROWS) * ROW_BYTES]
        opened = part.keys.open(number, message.sealed)
        chunk = JudgedRows(first, rows, opened[:WHEN_BYTES], opened[WHEN_BYTES:])
        # Step 5: what became of the rows is what the word commits to.
        if not chunk.count:
            raise SafeRoomError(Reason.BAD_PROOF, "a chunk too many")
        leaves = chunk.leaves(part.keys.salts(first, chunk.count), self._batch.request_id)
        total = chunks_of(len(self._batch))
        suite = self._batch.envelope.suite
        root, path = Tree(leaves, suite).root, tuple(message.proof)
        verify_inclusion(number, total, root, path, part.root, suite=suite)
        # Step 6: and it agrees with what the word rests on.
        owned = self._view.certificate.part(owner)
        require_sound(chunk, owned, part.release, self._batch.request)
        part.chunks.append(chunk)

    def close(self) -> BatchAnswer:
        """Give the answers, once all of them are there.

        Raises:
            SafeRoomError: `BAD_PROOF` if the room left something out.
        """
        owners = [each.owner for each in self._view.certificate.parts]
        if sorted(self._parts) != owners:
            raise SafeRoomError(Reason.BAD_PROOF, "a part is missing, or one too many")
        for part in self._parts.values():
            rows = sum(chunk.count for chunk in part.chunks)
            answered = sum(_answered(chunk) for chunk in part.chunks)
            if rows != len(self._batch) or answered != part.release.answered:
                raise SafeRoomError(Reason.BAD_PROOF, "rows are missing")
        parts = tuple(self._closed(self._parts[owner]) for owner in owners)
        return BatchAnswer(self._batch, self._view, parts)

    async def _require_span(self, release: BatchRelease, span: Span) -> None:
        grounds, request = self._session.grounds, self._batch.request
        charter = await grounds.charter(release.owner, span.charter)
        agreed = await grounds.agreement(span.agreement, charter)
        agreement = agreed.agreement
        covered = (agreement.institution == request.institution) and (
            request.purpose in agreement.purposes
        )
        live = {key.keyid for key in agreed.keys(release.time)}
        if not covered or not live.intersection(
            each.keyid for each in self._batch.envelope.signatures
        ):
            raise SafeRoomError(Reason.NO_AGREEMENT, "the agreement does not cover the batch")
        if span.approvals:
            counted = await grounds.approvals(
                span.approvals, charter, self._view.envelope.digest, self._view.certificate.digest
            )
            if counted != span.approvals:
                raise SafeRoomError(Reason.NOT_APPROVED, "the span names other approvals")
            require_pinned(charter, self._view.certificate.part(release.owner))
        features = self._view.certificate.part(release.owner).features
        for use in features:
            grounds.feature(self._view.statements[use.feature], charter)
        named = (
            span.charter,
            release.charter,
            span.agreement,
            *span.approvals,
            release.endorsement,
        )
        for digest in named:
            self._named[digest] = await grounds.statement(digest)

    def _closed(self, part: _Part) -> PartAnswer:
        release, named = part.release, self._named
        spans = release.spans

        def distinct(*digests: str) -> tuple[Envelope, ...]:
            return tuple(named[digest] for digest in dict.fromkeys(digests))

        features = self._view.certificate.part(release.owner).features
        charters = distinct(release.charter, *(span.charter for span in spans))
        return PartAnswer(
            release=release,
            recorded=part.recorded,
            charters=charters,
            approvals=distinct(*(each for span in spans for each in span.approvals)),
            agreements=distinct(*(span.agreement for span in spans)),
            endorsement=named[release.endorsement],
            features=tuple(self._view.statements[use.feature] for use in features),
            secret=part.secret,
            chunks=tuple(part.chunks),
            handovers=self._session.grounds.handovers_to(release.owner, *charters),
        )


def require_sound(
    chunk: JudgedRows, owned: OwnerPart, release: BatchRelease, request: BatchRequest
) -> None:
    """Refuse records that no enclave makes: it would have broken its own rules.

    Raises:
        SafeRoomError: `BAD_PROOF`, `NOT_APPROVED`, `NO_CONSENT`; `MALFORMED` for no share.
    """
    width = len(chunk.records) // chunk.count
    codes = chunk.records[::width]
    if codes.translate(None, _KNOWN):
        raise SafeRoomError(Reason.BAD_PROOF, "an outcome that is not known")
    answered = _answered(chunk)
    if not answered:
        return
    shared = owned.shared
    if codes.count(SHARED) != answered * shared:
        raise SafeRoomError(Reason.BAD_PROOF, "a share in place of an answer, or the reverse")
    _require_told(codes, owned)
    moment = moment_of(When.from_bytes(chunk.when))
    if not request.not_before <= moment < request.not_after:
        raise SafeRoomError(Reason.BAD_PROOF, "answered outside of the batch's window")
    span = release.span_of(chunk.first)
    if span is None or not span.approvals:
        raise SafeRoomError(Reason.NOT_APPROVED, "answered without approvals")
    reasoned = owned.score is not None and owned.score.reasons > 0
    if width != record_bytes(len(owned.charged), shared=shared, reasoned=reasoned):
        raise SafeRoomError(Reason.BAD_PROOF, "the charges are not those of the certificate")
    if shared or reasoned:
        _require_read(chunk.records, width, owned)
    if owned.needs_consent:
        _require_consents(codes, chunk.records, width)


def _require_told(codes: bytes, owned: OwnerPart) -> None:
    if REASONED_CODES.intersection(codes) and not (owned.score and owned.score.reasons):
        raise SafeRoomError(Reason.BAD_PROOF, "reasons where there are none")
    for code in {*codes} & OUTCOMES.keys():
        told = OUTCOMES[code]
        if not isinstance(told, Reason):
            owned.require_told(told)


def _require_read(records: bytes, width: int, owned: OwnerPart) -> None:
    """Read every record, and not only when its row is read."""
    for (record,) in split(records, width):
        outcome = outcome_of(record)
        if not isinstance(outcome, Reason):
            owned.require_told(outcome)


def _require_consents(codes: bytes, records: bytes, width: int) -> None:
    ends = range(1 + CONSENT_BYTES, len(records) + 1, width)
    without = sum(
        code in ANSWERED and records[end - CONSENT_BYTES : end] == _NO_CONSENT
        for code, end in zip(codes, ends, strict=True)
    )
    if without:
        raise SafeRoomError(Reason.NO_CONSENT, "answered without a consent")


def _answered(chunk: JudgedRows) -> int:
    codes = chunk.records[:: len(chunk.records) // chunk.count]
    return sum(codes.count(code) for code in ANSWERED)
