"""One institution has batches under way by the dozen; another's is let in all the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from saferoom_enclaves.batches.service import MOST_AT_ONCE
from saferoom_enclaves.places import Places
from saferoom_proto.batch import ROW_BYTES, Row
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.uscc import make_uscc
from saferoom_proto.v1 import batch_pb2, enclave_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import Clock, sample, tax_csv
from simulator.attended import Attended
from simulator.batch import FILLER, STEADY, SimBatch, batch_of
from simulator.process import EnclaveProcess

SECONDS = 60.0


def pieces(
    batch: SimBatch, held: threading.Event | None = None
) -> Iterator[enclave_pb2.JudgeBatchRequest]:
    """Send a batch: all of it, or all but its last row until told to go on."""
    header = batch_pb2.BatchHeader(
        request=envelope_to_proto(batch.envelope), blinding=batch.blinding
    )
    yield enclave_pb2.JudgeBatchRequest(piece=batch_pb2.CheckManyRequest(header=header))
    first, last = batch.packed[:-ROW_BYTES], batch.packed[-ROW_BYTES:]
    yield enclave_pb2.JudgeBatchRequest(piece=batch_pb2.CheckManyRequest(rows=first))
    if held is not None:
        held.wait(SECONDS)
    yield enclave_pb2.JudgeBatchRequest(piece=batch_pb2.CheckManyRequest(rows=last))


def test_a_dozen_batches_of_one_bank_leave_a_place_for_anothers(tmp_path: Path) -> None:
    room = sample(clock=Clock())
    rows = [Row(make_uscc(FILLER + at)) for at in range(2)]
    go_on = threading.Event()
    with EnclaveProcess(room.tax, tmp_path) as process:
        attended = Attended(room.tax, process)
        attended.unlock()
        attended.follow()
        process.load({"firms": tax_csv(room.world)})
        attended.follow()
        greedy = [batch_of(room.bank, room.steady, rows, STEADY) for _ in range(12)]
        outcomes: list[Reason | None] = []

        def run(batch: SimBatch) -> None:
            try:
                list(process.stub.JudgeBatch(pieces(batch, go_on), timeout=SECONDS))
                outcomes.append(None)
            except grpc.RpcError as error:
                outcomes.append(from_rpc_error(error).reason)

        threads = [threading.Thread(target=run, args=(batch,)) for batch in greedy]
        for thread in threads:
            thread.start()
        while len(outcomes) < len(greedy) - MOST_AT_ONCE // 2:
            threads[0].join(0.05)
            assert any(thread.is_alive() for thread in threads), outcomes
        other = batch_of(room.other_bank, room.steady, rows, STEADY)
        told = list(process.stub.JudgeBatch(pieces(other), timeout=SECONDS))
        go_on.set()
        for thread in threads:
            thread.join()
    assert [each for each in told if each.WhichOneof("piece") == "verdict"]
    assert outcomes.count(None) == MOST_AT_ONCE // 2
    assert set(outcomes) == {None, Reason.TOO_MANY_REQUESTS}


def test_whoever_has_no_place_gets_one_until_there_is_none() -> None:
    places = Places(4, "batches")
    with places.place("a"), places.place("a"):
        with pytest.raises(SafeRoomError, match="TOO_MANY_REQUESTS"), places.place("a"):
            pass
        with places.place("b"):
            with pytest.raises(SafeRoomError, match="TOO_MANY_REQUESTS"), places.place("b"):
                pass
            with (
                places.place("c"),
                pytest.raises(SafeRoomError, match="TOO_MANY_REQUESTS"),
                places.place("d"),
            ):
                pass
    with places.place("d"), places.place("d"):  # all were given back
        pass
