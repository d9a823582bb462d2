"""What the askers of batches are told: an owner's word only once it is recorded."""

from __future__ import annotations

from typing import assert_never

from saferoom import wire
from saferoom.evidence import Recorded
from saferoom.exchange import BatchBegun, BatchChunk, BatchProgress, BatchWord
from saferoom_proto.v1 import batch_pb2


def told(
    owner: str, piece: BatchBegun | BatchProgress | Recorded[BatchWord] | BatchChunk
) -> batch_pb2.CheckManyResponse:
    """Tell an asker a piece: an owner's word only once it is recorded."""
    response = batch_pb2.CheckManyResponse(owner=owner)
    match piece:
        case BatchBegun(rows_wanted):
            response.begun.CopyFrom(batch_pb2.BatchBegun(rows_wanted=rows_wanted))
        case BatchProgress(judged):
            response.progress.CopyFrom(batch_pb2.BatchProgress(judged=judged))
        case Recorded(said=word):
            release = wire.recorded(piece)
            message = batch_pb2.BatchWord(release=release, sealed_secret=word.sealed_secret)
            response.word.CopyFrom(message)
        case BatchChunk(number, sealed, proof):
            chunk = batch_pb2.BatchChunk(number=number, sealed=sealed, proof=proof)
            response.chunk.CopyFrom(chunk)
        case _:
            assert_never(piece)
    return response
