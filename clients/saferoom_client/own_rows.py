"""Rows of batches, and lists, as an owner's enclave shows them to their subject: verified."""

from __future__ import annotations

import asyncio
from typing import Final

from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.use import Use
from saferoom_proto.batch_row import SubjectRow, verify_row
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.holdings import HeldBatch, HeldList, Holdings
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import BatchRelease, Charge, ListRequest, Release, load
from saferoom_proto.v1 import ledger_pb2
from saferoom_proto.wire import Recorded

_AT_ONCE: Final = 8
"""Proofs fetched at once."""


class UnprovenError(Exception):
    """The room proves no place in the log to a word."""


async def own_rows(session: Session, held: Holdings) -> tuple[tuple[Use, ...], int]:
    """Verify the rows that an owner's enclave shows of its batches, the newest first.

    Returns:
        The rows, and of how many batches the room proves no place in the log: the word on it was
        not recorded yet, or cannot be opened any more. That hides none of the others.

    Raises:
        SafeRoomError: `BAD_PROOF`, `BAD_SIGNATURE` or `BAD_ENDORSEMENT` for what is not the
            enclave's recorded word on a row about this very subject.
    """
    places = asyncio.Semaphore(_AT_ONCE)

    async def rows_of(batch: HeldBatch) -> tuple[Use, ...] | None:
        async with places:
            try:
                return await _rows(session, held, batch)
            except UnprovenError:
                return None

    told = await asyncio.gather(*(rows_of(batch) for batch in held.batches))
    rows = tuple(use for uses in told if uses is not None for use in uses)
    return rows, sum(uses is None for uses in told)


async def own_lists(session: Session, held: Holdings) -> tuple[tuple[Use, ...], int]:
    """Verify the pages of lists that an owner's enclave says it told of the subject.

    Whom a page told of is known to its asker and to the enclave, whose word it is that the subject
    was among them.

    Returns:
        The pages, the newest first, and of how many the room proves no place in the log.

    Raises:
        SafeRoomError: as `own_rows`.
    """
    places = asyncio.Semaphore(_AT_ONCE)

    async def page_of(shown: HeldList) -> Use | None:
        async with places:
            try:
                return await _page(session, held, shown)
            except UnprovenError:
                return None

    told = await asyncio.gather(*map(page_of, held.lists))
    pages = tuple(use for use in told if use is not None)
    return pages, len(told) - len(pages)


async def _page(session: Session, held: Holdings, shown: HeldList) -> Use:
    statement, question = Envelope.from_text(shown.word), Envelope.from_text(shown.question)
    word, _ = await session.grounds.word(statement, Release)
    if word.owner != held.owner or question.payload_type != ListRequest.payload_type():
        raise SafeRoomError(Reason.BAD_PROOF, "a list of another owner's enclave, or no list")
    recorded, index = await _proven(session, statement, unb64(shown.salt))
    use = Use(
        index=index,
        word=recorded,
        owner=word.owner,
        institution=word.institution,
        request_id=word.request,
        template=word.template,
        reason=word.reason,
        time=word.time,
        epoch=None if word.store is None else word.store.epoch,
    )
    return use.with_question(question)


async def _rows(session: Session, held: Holdings, batch: HeldBatch) -> tuple[Use, ...]:
    # Step 1: the enclave's word, and its place in the log.
    statement = Envelope.from_text(batch.word)
    question = Envelope.from_text(batch.question)
    word, _ = await session.grounds.word(statement, BatchRelease)
    if word.owner != held.owner:
        raise SafeRoomError(Reason.BAD_PROOF, "a batch of another owner's enclave")
    recorded, index = await _proven(session, statement, unb64(batch.salt))
    charged = await _charged(session, word)
    uses: list[Use] = []
    for row in batch.rows:
        # Step 2: the row, which is about this subject, under the word's root.
        shown = SubjectRow(subject=held.subject, row=row)
        verify_row(word, question, shown)
        record = shown.record(question.suite)
        use = Use(
            index=index,
            word=recorded,
            owner=word.owner,
            institution=word.institution,
            request_id=word.request,
            template=word.template,
            reason=record.outcome if isinstance(record.outcome, Reason) else None,
            time=shown.judged_at,
            charges=_charges(charged, record.charges),
            consent=record.consent,
            epoch=_epoch(word, row.index),
            row=shown,
        )
        uses.append(use.with_question(question))
    return tuple(uses)


async def _proven(session: Session, statement: Envelope, salt: bytes) -> tuple[Recorded, int]:
    """Have the room prove a statement's place in the log, which its salt opens."""
    ask = ledger_pb2.GetProofRequest(digest=statement.digest, salt=salt)
    try:
        told = await session.call(session.ledger.GetProof, ask)
    except Refused as refused:
        if refused.reason is Reason.UNKNOWN_STATEMENT:
            raise UnprovenError from refused
        raise
    recorded = Recorded(statement, salt, told.proof)
    _, index = session.grounds.require_recorded(recorded)
    return recorded, index


async def _charged(session: Session, word: BatchRelease) -> tuple[str, ...]:
    """Name the features that a row was charged for, in the order of its record."""
    certificate = load(await session.grounds.statement(word.certificate), ReleaseCertificate)
    part = next((each for each in certificate.parts if each.owner == word.owner), None)
    return () if part is None else tuple(use.feature for use in part.charged)


def _charges(features: tuple[str, ...], cells: tuple[tuple[int, int], ...]) -> tuple[Charge, ...]:
    if not any(after for _, after in cells):
        return ()  # refused before its price was looked at
    if len(features) != len(cells):
        raise SafeRoomError(Reason.BAD_PROOF, "a row was charged for other features")
    return tuple(
        Charge(feature=name, cells_before=before, cells_after=after)
        for name, (before, after) in zip(features, cells, strict=True)
    )


def _epoch(word: BatchRelease, index: int) -> int | None:
    span = word.span_of(index)
    return None if span is None or span.store is None else span.store.epoch
