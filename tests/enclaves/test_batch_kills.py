"""An enclave that is killed in the middle of a batch: nothing is lost, nothing charged twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from saferoom_enclaves.journal import Judged
from saferoom_proto.batch import CHUNK_ROWS, ROW_BYTES, Row
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.statements import BatchRelease, Release, load
from saferoom_proto.uscc import make_uscc
from saferoom_proto.v1 import batch_pb2, enclave_pb2
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto
from simulator import Clock, Firm, Sample, sample, tax_csv
from simulator.attended import Attended
from simulator.batch import FILLER, STEADY, SimBatch, batch_of
from simulator.process import EnclaveProcess

CHUNKS = 6
Told = enclave_pb2.JudgeBatchResponse


def pieces(batch: SimBatch) -> Iterator[enclave_pb2.JudgeBatchRequest]:
    header = batch_pb2.BatchHeader(
        request=envelope_to_proto(batch.envelope), blinding=batch.blinding
    )
    yield enclave_pb2.JudgeBatchRequest(piece=batch_pb2.CheckManyRequest(header=header))
    for start in range(0, len(batch.packed), 8192 * ROW_BYTES):
        rows = batch.packed[start : start + 8192 * ROW_BYTES]
        yield enclave_pb2.JudgeBatchRequest(piece=batch_pb2.CheckManyRequest(rows=rows))


def started(room: Sample, folder: Path) -> tuple[EnclaveProcess, Attended]:
    process = EnclaveProcess(room.tax, folder)
    attended = Attended(room.tax, process)
    attended.unlock()
    attended.follow()
    return process, attended


def killed_after(process: EnclaveProcess, batch: SimBatch, progress: int) -> list[Told]:
    """Kill the enclave once so many chunks are judged; give what it told until then."""
    told: list[Told] = []
    try:
        for message in process.stub.JudgeBatch(pieces(batch)):
            told.append(message)
            if sum(each.WhichOneof("piece") == "progress" for each in told) == progress:
                process.kill()
    except grpc.RpcError as error:
        from_rpc_error(error)
    return told


@pytest.mark.soak
def test_a_batch_is_judged_once_however_often_its_enclave_is_killed(tmp_path: Path) -> None:
    room = sample(clock=Clock())
    firms = {serial: Firm("120000", arrears=False, rating="A") for serial in range(1, CHUNKS + 1)}
    for serial in firms:
        room.consent(serial)
    process, attended = started(room, tmp_path)
    process.load({"firms": tax_csv(room.world, firms)})
    attended.follow()
    # One firm that is answered at the head of each chunk, and then nobody.
    rows: list[Row] = []
    for serial in firms:
        rows.append(Row(room.world.subject(serial).uscc))
        first = FILLER + serial * CHUNK_ROWS
        rows += [Row(make_uscc(first + at)) for at in range(CHUNK_ROWS - 1)]
    batch = batch_of(room.bank, room.steady, rows, STEADY)
    for _ in range(3):
        told = killed_after(process, batch, 1)
        assert all(each.WhichOneof("piece") != "chunk" for each in told)
        process, attended = started(room, tmp_path)
    whole = list(process.stub.JudgeBatch(pieces(batch)))
    process.kill()
    process, attended = started(room, tmp_path)
    again = list(process.stub.JudgeBatch(pieces(batch)))
    kept = [each for each in whole if each.WhichOneof("piece") in {"verdict", "chunk"}]
    assert [each for each in again if each.WhichOneof("piece") != "begun"] == kept
    (verdict,) = (each.verdict for each in kept if each.WhichOneof("piece") == "verdict")
    release = load(envelope_from_proto(verdict.entry.statement), BatchRelease)
    assert (release.answered, release.refused) == (CHUNKS, len(rows) - CHUNKS)
    attended.follow()
    for serial in firms:
        (outcome,) = process.judge([room.question(serial, "50000")])
        assert isinstance(outcome, Judged)
        charges = load(outcome.entry.statement, Release).charges
        assert [charge.cells_before == charge.cells_after for charge in charges] == [True, True]
    process.stop()


@pytest.mark.parametrize("sent", [0, 1])
def test_a_caller_who_hangs_up_before_its_rows_are_there_has_nothing_judged(
    tmp_path: Path, sent: int
) -> None:
    room = sample(clock=Clock())
    process, attended = started(room, tmp_path)
    process.load({"firms": tax_csv(room.world)})
    attended.follow()
    rows = [Row(make_uscc(FILLER + at)) for at in range(2 * 8192)]
    batch = batch_of(room.bank, room.steady, rows, STEADY)
    first = list(pieces(batch))[: 1 + sent]
    with pytest.raises(grpc.RpcError):
        list(process.stub.JudgeBatch(iter(first)))
    assert process.whereabouts().chain_length == 1  # the load's own entry
    assert len(list(process.stub.JudgeBatch(pieces(batch)))) > CHUNKS
    process.stop()
