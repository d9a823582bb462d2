"""Asking about many subjects at once, and opening the answers only once all of them verify."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final

import grpc

from saferoom_client.batch import Asked, Batch, make_batch
from saferoom_client.batch_answer import BatchAnswer
from saferoom_client.batch_opening import Opening
from saferoom_client.checks import current_view, forget_stale_views, kept_view
from saferoom_client.heads import require_witnessed
from saferoom_client.question import Value
from saferoom_client.refused import Refused, refusal_of
from saferoom_client.session import Session
from saferoom_proto.batch import (
    ROW_BYTES,
)
from saferoom_proto.batch_receipt import (
    BatchReceipt,
    RowReceipt,
    consents_of,
    take_row,
    verify_row_receipt,
)
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Purpose
from saferoom_proto.v1 import batch_pb2
from saferoom_proto.wire import (
    envelope_to_proto,
)

Progress = Callable[[int, int], None]
"""Called with how many rows are judged, and how many there are."""

_PIECE_BYTES: Final = 8192 * ROW_BYTES
_IDLE_SECONDS: Final = 60.0
"""The longest silence: an enclave judges a chunk in a fraction of a second."""


async def check_many(
    session: Session,
    template: str,
    rows: Iterable[Asked],
    *,
    purpose: Purpose | str,
    params: Mapping[str, Value] | None = None,
    progress: Progress | None = None,
) -> BatchAnswer:
    """Ask one question about many subjects, up to a million.

    Args:
        session: of the institution that asks.
        template: its digest, or its name for the newest of that name.
        rows: the subjects; each a code, or a code and parameters of the row's own.
        purpose: what the answers are for.
        params: parameters of all rows.
        progress: is told how many rows are judged.

    Returns:
        The answers, opened and verified; iterate for one `RowAnswer` each.

    Raises:
        Refused: the batch as a whole was refused; rows are refused one by one.
        SafeRoomError: what came back does not verify and is not returned.
    """
    view = await current_view(session, template)
    batch = await prepare_many(session, view.envelope.digest, rows, purpose=purpose, params=params)
    return await ask_many(session, batch, progress=progress)


async def prepare_many(
    session: Session,
    template: str,
    rows: Iterable[Asked],
    *,
    purpose: Purpose | str,
    params: Mapping[str, Value] | None = None,
) -> Batch:
    """Sign a batch without asking it, to be kept and asked with `ask_many`, as often as needed.

    Of a template of scores as of one of checks: `ask_scores` asks it.
    """
    return make_batch(
        session.profile,
        await kept_view(session, template),
        rows=rows,
        purpose=purpose,
        params=params or {},
        now=session.clock(),
    )


async def ask_many(
    session: Session, batch: Batch, *, progress: Progress | None = None
) -> BatchAnswer:
    """Ask a signed batch, the first time or again; it goes on where it stopped."""
    view = await kept_view(session, batch.request.template, batch.request.certificate)
    opening = Opening(session, batch, view)
    try:
        await _hear(session, opening, batch, len(view.certificate.parts), progress)
    except Refused as refused:
        forget_stale_views(session, refused.reason)
        raise
    if progress is not None:
        progress(len(batch), len(batch))
    await require_witnessed(session)
    return opening.close()


async def row_receipt(session: Session, receipt: BatchReceipt, index: int) -> RowReceipt:
    """Take one row's receipt out of a batch's, with its consents, and verify it.

    Raises:
        SafeRoomError: `MALFORMED` if there is no such row; else the step that fails.
    """
    consents = {
        digest: (await session.grounds.statement(digest)).to_json().decode()
        for digest in consents_of(receipt, index)
    }
    taken = take_row(receipt, index, consents)
    verify_row_receipt(taken, session.profile.trust)
    return taken


async def _hear(
    session: Session, opening: Opening, batch: Batch, owners: int, progress: Progress | None
) -> None:
    """Ask a batch, and open whatever comes of it as it comes."""
    judged: dict[str, int] = {}
    async for owner, message in _exchange(session, batch):
        match message.WhichOneof("piece"):
            case "progress":
                judged[owner] = message.progress.judged
                if progress is not None:
                    progress(min(judged.values()) if len(judged) == owners else 0, len(batch))
            case "word":
                await opening.word(owner, message.word)
            case "chunk":
                opening.chunk(owner, message.chunk)
            case _:
                raise SafeRoomError(Reason.MALFORMED, "the room tells nothing known")


async def _exchange(
    session: Session, batch: Batch
) -> AsyncIterator[tuple[str, batch_pb2.CheckManyResponse]]:
    """Send the header, and the rows once they are wanted; give what comes back after that."""
    wanted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def pieces() -> AsyncIterator[batch_pb2.CheckManyRequest]:
        header = batch_pb2.BatchHeader(
            request=envelope_to_proto(batch.envelope), blinding=batch.blinding
        )
        yield batch_pb2.CheckManyRequest(header=header)
        if await wanted:
            for start in range(0, len(batch.packed), _PIECE_BYTES):
                rows = batch.packed[start : start + _PIECE_BYTES]
                yield batch_pb2.CheckManyRequest(rows=rows)

    call = session.batches.CheckMany(pieces())
    try:
        while True:
            async with asyncio.timeout(_IDLE_SECONDS):
                message = await call.read()
            if not isinstance(message, batch_pb2.CheckManyResponse):
                await call.code()  # raises, unless the room has told all
                return
            if message.WhichOneof("piece") == "begun" and not wanted.done():
                wanted.set_result(message.begun.rows_wanted)
            else:
                yield message.owner, message
    except grpc.aio.AioRpcError as error:
        raise refusal_of(error) from error
    except TimeoutError as error:
        raise Refused(SafeRoomError(Reason.DEADLINE, "the room is silent"), {}) from error
    finally:
        wanted.cancel()
        call.cancel()
