"""The enclave's process: how it starts, whom it talks to, and what it says when it refuses."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from saferoom_enclaves.children.forkserver import MOST_CHILDREN
from saferoom_enclaves.journal import Judged
from saferoom_enclaves.keys import TlsKey
from saferoom_enclaves.serve import new_loop
from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import dump
from saferoom_proto.reasons import CATALOGUE, Reason, SafeRoomError
from saferoom_proto.rpc_errors import from_rpc_error, metadata_of
from saferoom_proto.statements import Release, load
from saferoom_proto.v1 import enclave_pb2, enclave_pb2_grpc
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto
from simulator import Clock, Sample, sample, tax_csv
from simulator.attended import Attended
from simulator.process import COMMAND, EnclaveProcess

SERVICE = enclave_pb2.DESCRIPTOR.services_by_name["EnclaveService"].full_name


@pytest.fixture
def room() -> Sample:
    """Give the sample room at this host's own time."""
    return sample(clock=Clock(), release_tick_milliseconds=5)


@pytest.fixture
def process(room: Sample, tmp_path: Path) -> Iterator[EnclaveProcess]:
    """Give the tax office's enclave as a process, locked."""
    with EnclaveProcess(room.tax, tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnclaveProcess]:
    """Give one that stays locked, whatever it is asked."""
    with EnclaveProcess(sample(clock=Clock()).tax, tmp_path_factory.mktemp("locked")) as started:
        yield started


@dataclass(frozen=True, slots=True)
class Open:
    """An enclave unlocked, loaded, with consents, that tests ask one after another."""

    room: Sample
    process: EnclaveProcess
    attended: Attended


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Give it, open."""
    room = sample(clock=Clock(), release_tick_milliseconds=5)
    with EnclaveProcess(room.tax, tmp_path_factory.mktemp("opened")) as process:
        attended = Attended(process.owner, process)
        attended.unlock()
        for serial in (1, 2, 3, 4):
            room.consent(serial)
        attended.follow()
        process.load({"firms": tax_csv(attended.world)})
        yield Open(room, process, attended)


@pytest.fixture
def serving(opened: Open) -> Open:
    """Give it with a fresh head."""
    opened.attended.follow()
    return opened


def judged(process: EnclaveProcess, question: Envelope) -> Judged:
    (outcome,) = process.judge([question])
    assert isinstance(outcome, Judged)
    return outcome


def truth(room: Sample, question: Envelope, outcome: Judged) -> Truth:
    return room.bank.open(question, "tax", outcome.sealed).truth


def test_a_question_is_answered_over_the_socket(serving: Open) -> None:
    room, process, attended = serving.room, serving.process, serving.attended
    for serial, expected in ((1, Truth.YES), (2, Truth.NO), (4, Truth.NOT_FOUND)):
        question = room.question(serial)
        assert truth(room, question, judged(process, question)) is expected
    attended.follow()
    assert process.outbox(0) == []


def test_a_refusal_with_a_verdict_is_an_entry_and_a_plain_one_an_error(serving: Open) -> None:
    room, process, attended = serving.room, serving.process, serving.attended
    verdict = load(judged(process, room.question(9)).entry.statement, Release)
    assert verdict.reason is Reason.NO_CONSENT
    forged = room.question(key=room.other_bank.key)
    request = enclave_pb2.JudgeRequest(request=envelope_to_proto(forged))
    with pytest.raises(grpc.RpcError) as error:
        process.stub.Judge(request, timeout=10)
    assert from_rpc_error(error.value).reason is Reason.BAD_SIGNATURE
    assert metadata_of(error.value) == {"owner": "tax", "request_id": forged.digest}
    words = CATALOGUE[Reason.BAD_SIGNATURE]
    assert isinstance(error.value, grpc.Call)
    assert error.value.details() == f"{words.what} {words.next_step}"
    assert attended.world.ledger.size > 0


def test_questions_in_one_call_are_judged_each_for_itself(serving: Open) -> None:
    room, process, attended = serving.room, serving.process, serving.attended
    asked = [room.question(1), room.question(key=room.other_bank.key), room.question(9)]
    message = enclave_pb2.JudgeManyRequest(requests=[envelope_to_proto(each) for each in asked])
    outcomes = list(process.stub.JudgeMany(message, timeout=10).outcomes)
    assert [each.WhichOneof("outcome") for each in outcomes] == ["judged", "refusal", "judged"]
    assert outcomes[1].refusal.reason == Reason.BAD_SIGNATURE
    for each, question in ((outcomes[0], asked[0]), (outcomes[2], asked[2])):
        release = load(envelope_from_proto(each.judged.entry.statement), Release)
        assert release.request == question.digest
    attended.follow()
    assert process.outbox(0) == []


def test_many_questions_at_once_share_commits_and_none_is_lost(serving: Open) -> None:
    room, process, attended = serving.room, serving.process, serving.attended
    questions = [room.question(serial) for serial in (1, 2, 3, 4) for _ in range(8)]
    outcomes: dict[str, Judged] = {}

    def ask(question: Envelope) -> None:
        outcomes[question.digest] = judged(process, question)

    threads = [threading.Thread(target=ask, args=(question,)) for question in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    indexes = sorted(each.entry.chain_index for each in outcomes.values())
    assert indexes == list(range(indexes[0], indexes[0] + len(questions)))
    attended.follow()
    assert process.outbox(0) == []


def test_a_locked_enclave_refuses_all_but_its_unlocking(
    room: Sample, locked: EnclaveProcess
) -> None:
    (refusal,) = locked.judge([room.question()])
    assert isinstance(refusal, SafeRoomError)
    assert refusal.reason is Reason.LOCKED
    for attempt in (lambda: locked.outbox(0), lambda: locked.load({"firms": b""})):
        with pytest.raises(grpc.RpcError) as error:
            attempt()
        assert from_rpc_error(error.value).reason is Reason.LOCKED
    assert not locked.whereabouts().unlocked


def test_its_health_says_whether_it_judges(process: EnclaveProcess, room: Sample) -> None:
    states = [health(process)]
    Attended(room.tax, process).unlock()
    states.append(health(process))
    answers = health_pb2.HealthCheckResponse
    assert states == [answers.NOT_SERVING, answers.SERVING]


def health(process: EnclaveProcess) -> int:
    """Ask the standard health service, whose package has no types."""
    check: grpc.UnaryUnaryMultiCallable[Any, Any] = process.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=10).status


def test_it_talks_to_nobody_but_the_pinned_certificate(
    room: Sample, locked: EnclaveProcess
) -> None:
    stranger = TlsKey.generate(room.world.clock.utc())
    with locked.connect(stranger) as channel:
        stub = enclave_pb2_grpc.EnclaveServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.GetState(enclave_pb2.GetStateRequest(), timeout=5)
    assert isinstance(error.value, grpc.Call)
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE


def test_what_is_missing_in_a_message_is_named(locked: EnclaveProcess) -> None:
    with pytest.raises(grpc.RpcError) as error:
        locked.stub.Judge(enclave_pb2.JudgeRequest(), timeout=10)
    refusal = from_rpc_error(error.value)
    assert refusal.reason is Reason.MALFORMED
    assert [fault.field for fault in refusal.fields] == ["request"]


def test_messages_and_metadata_past_their_limits_are_refused(locked: EnclaveProcess) -> None:
    request = enclave_pb2.AttestRequest(nonce=bytes(65 << 20))
    with pytest.raises(grpc.RpcError) as error:
        locked.stub.Attest(request, timeout=30)
    assert from_rpc_error(error.value).reason is Reason.TOO_LARGE
    metadata = (("x-much", "a" * (200 << 10)),)
    with pytest.raises(grpc.RpcError):
        locked.stub.GetState(enclave_pb2.GetStateRequest(), metadata=metadata, timeout=10)
    assert locked.whereabouts().sequence == 0


def test_it_stops_cleanly_when_asked_and_goes_on_where_it_was(room: Sample, tmp_path: Path) -> None:
    with EnclaveProcess(room.tax, tmp_path) as process:
        first = Attended(room.tax, process)
        first.unlock()
        first.follow()
        before = process.whereabouts()
        assert process.stop() == 0
    assert '"event": "stopped"' in process.log.read_text()
    with EnclaveProcess(room.tax, tmp_path) as process:
        again = Attended(room.tax, process)
        after = again.unlock()
        assert (after.sequence, after.running) == (before.sequence, before.running)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"unknown": 1}, "BAD_CONFIG"),
        ({"owner": "court"}, "BAD_CHARTER"),
        ({"folder": "/no/such/folder"}, "BAD_CONFIG"),
        ({"scratch": "/no/such/folder"}, "BAD_CONFIG"),
        ({"max_memory_mib": 1}, "BAD_CONFIG"),
        ({"charter": "{}"}, "MALFORMED"),
    ],
)
def test_it_does_not_start_with_a_wrong_document(
    room: Sample, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(RuntimeError, match=reason):
        EnclaveProcess(room.tax, tmp_path, changes)


def test_it_does_not_start_below_its_charters_sandbox_level(tmp_path: Path) -> None:
    strict = sample(clock=Clock(), min_sandbox_level=1)
    with pytest.raises(RuntimeError, match="SANDBOX_TOO_WEAK"):
        EnclaveProcess(strict.tax, tmp_path)


def test_two_enclaves_do_not_share_a_folder(room: Sample, tmp_path: Path) -> None:
    with EnclaveProcess(room.tax, tmp_path), pytest.raises(RuntimeError, match="CONFLICT"):
        EnclaveProcess(room.tax, tmp_path)


def test_two_documents_are_refused(tmp_path: Path) -> None:
    run = subprocess.run(
        COMMAND, input=dump({}) * 2, capture_output=True, check=False, cwd=tmp_path, timeout=60
    )
    assert run.returncode == 1
    assert b"BAD_CONFIG" in run.stderr
    assert run.stdout == b""


def test_it_works_confined_as_far_as_this_host_allows(room: Sample, tmp_path: Path) -> None:
    with EnclaveProcess(room.tax, tmp_path, {"sandbox": True}) as process:
        room.consent(1)
        attended = Attended(room.tax, process)
        attended.unlock()
        attended.follow()
        assert process.load({"firms": tax_csv(room.world)}).snapshot is not None
        attended.follow()
        question = room.question(1)
        assert truth(room, question, judged(process, question)) is Truth.YES
        assert process.whereabouts().sandbox_level == process.greeting["sandbox_level"]
        assert process.stop() == 0


def test_whoever_waits_for_children_holds_up_no_other_work() -> None:
    meeting = threading.Barrier(MOST_CHILDREN + 1)

    async def meet() -> list[int]:
        waits = (asyncio.to_thread(meeting.wait, 30) for _ in range(meeting.parties))
        return await asyncio.gather(*waits)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        met = runner.run(meet())
    assert sorted(met) == list(range(meeting.parties))
