"""Batches between the room and an enclave: pieces that pass through, and what the enclave tells."""

from __future__ import annotations

from saferoom.enclave_wire import outbox_entry_from
from saferoom.exchange import BatchBegun, BatchChunk, BatchProgress, BatchTold, BatchVerdict
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import batch_pb2, enclave_pb2
from saferoom_proto.wire import envelope_from_proto

BatchPiece = batch_pb2.CheckManyRequest
"""A piece of a batch, which passes through the room as it came."""


def batch_request(piece: BatchPiece) -> Envelope:
    """Read the signed request that a batch begins with.

    Raises:
        SafeRoomError: `MALFORMED` if the piece is no header.
    """
    if piece.WhichOneof("piece") != "header":
        raise SafeRoomError(Reason.MALFORMED, "a batch begins with its header")
    return envelope_from_proto(piece.header.request)


def packed_rows(piece: BatchPiece) -> bytes:
    """Read the rows of a later piece.

    Raises:
        SafeRoomError: `MALFORMED` if the piece holds none.
    """
    if piece.WhichOneof("piece") != "rows":
        raise SafeRoomError(Reason.MALFORMED, "rows follow a batch's header")
    return piece.rows


def judge_request(piece: BatchPiece) -> enclave_pb2.JudgeBatchRequest:
    """Pass a piece of a batch on as it came."""
    return enclave_pb2.JudgeBatchRequest(piece=piece)


def told_from(message: enclave_pb2.JudgeBatchResponse) -> BatchTold:
    """Take off the wire what an enclave tells of a batch."""
    match message.WhichOneof("piece"):
        case "begun":
            return BatchBegun(message.begun.rows_wanted)
        case "progress":
            return BatchProgress(message.progress.judged)
        case "verdict":
            verdict = message.verdict
            return BatchVerdict(outbox_entry_from(verdict.entry), verdict.sealed_secret)
        case "chunk":
            chunk = message.chunk
            return BatchChunk(chunk.number, chunk.sealed, tuple(chunk.proof))
        case _:
            raise SafeRoomError(Reason.INTERNAL, "the enclave tells nothing known")
