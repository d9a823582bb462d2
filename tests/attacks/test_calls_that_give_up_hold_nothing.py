"""Calls that are cut off while they wait or work: no descriptor stays, no attempt is free.

An enclave may have 256 descriptors open. Whoever makes it keep one for each call that gives up has
it stand still after some hundred calls.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from saferoom_enclaves import held
from saferoom_enclaves.claim import MOST_A_DAY
from saferoom_enclaves.disclose import Begun
from saferoom_enclaves.service import AT_ONCE, WAITING
from saferoom_enclaves.trials import MOST_A_DAY as TRIALS
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.statements import HoldingsRequest, load
from saferoom_proto.v1 import enclave_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import APPROVERS, Clock, EnclaveHarness, Sample, sample, tax_csv
from simulator.attended import Attended
from simulator.process import EnclaveProcess
from simulator.sample import ordered

CALLS = 50
VAT = "SELECT uscc AS subject, vat AS value FROM firms"
SECONDS = 60.0


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Attended, EnclaveProcess, Sample]]:
    """Give the tax office's enclave as a process, loaded."""
    room = sample(clock=Clock())
    with EnclaveProcess(room.tax, tmp_path) as process:
        attended = Attended(room.tax, process)
        attended.unlock()
        attended.follow()
        process.load({"firms": tax_csv(room.world)})
        attended.follow()
        yield attended, process, room


def stores(process: EnclaveProcess) -> int:
    """Count the descriptors through which a process holds something in memory."""
    folder = Path(f"/proc/{process.process.pid}/fd")
    targets: list[str] = []
    for each in folder.iterdir():
        try:
            targets.append(str(each.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    return sum(target.startswith("/memfd:") for target in targets)


def settled(process: EnclaveProcess, before: int) -> int:
    """Wait until a process holds no more than before, for so long; give how much it holds."""
    until = time.monotonic() + SECONDS
    while (held_now := stores(process)) != before and time.monotonic() < until:
        time.sleep(0.05)
    return held_now


def disclosure(room: Sample, serial: int) -> enclave_pb2.DiscloseRequest:
    claim = room.world.subject(serial).claim("tax")
    return enclave_pb2.DiscloseRequest(request=envelope_to_proto(claim))


@pytest.mark.soak
def test_fifty_disclosures_that_give_up_leave_no_store_open(
    running: tuple[Attended, EnclaveProcess, Sample],
) -> None:
    _, process, room = running
    before = stores(process)
    assert before > 0
    for first in range(1, CALLS, AT_ONCE + WAITING):
        serials = range(first, min(first + AT_ONCE + WAITING, CALLS + 1))
        calls = [process.stub.Disclose.future(disclosure(room, each)) for each in serials]
        time.sleep(0.2)  # two are read about, the others wait
        for call in calls:
            call.cancel()
        assert settled(process, before) == before
    process.stub.Disclose(disclosure(room, CALLS + 1), timeout=SECONDS)


def test_fifty_trials_that_give_up_leave_no_store_open(
    running: tuple[Attended, EnclaveProcess, Sample],
) -> None:
    attended, process, _ = running
    before = stores(process)
    for at in range(CALLS):
        draft = ordered("tax", f"drafted_{at}", VAT, ("50000",))
        order = attended.trial(draft, APPROVERS[at % len(APPROVERS)])
        request = enclave_pb2.TryFeatureRequest(order=envelope_to_proto(order))
        call = process.stub.TryFeature.future(request)
        time.sleep(0.02)
        call.cancel()
    assert settled(process, before) == before


def test_three_readings_under_way_leave_no_fourth(room: Sample, enclave: EnclaveHarness) -> None:
    subject = room.world.subject(1)
    requests = [subject.claim("tax") for _ in range(MOST_A_DAY)]
    begun = [enclave.begin_disclosure(request) for request in requests]
    with pytest.raises(SafeRoomError, match="TOO_MANY_REQUESTS") as refusal:
        enclave.begin_disclosure(subject.claim("tax"))
    assert refusal.value.fields[0].rule.endswith("ask again tomorrow")
    # One of them is answered, and its repeat gets the same bytes; the others never are.
    first = begun[0]
    assert isinstance(first, Begun)
    answer = enclave.enclave.disclosures.finish(first, first.collect())
    for each in begun:
        assert isinstance(each, Begun)
        each.close()
    assert enclave.disclose(requests[0]) == answer
    enclave.kill()
    assert enclave.disclose(requests[0]) == answer
    for request in (subject.claim("tax"), requests[1]):
        with pytest.raises(SafeRoomError, match="TOO_MANY_REQUESTS"):
            enclave.begin_disclosure(request)


def test_readings_that_fail_count_and_a_repeat_of_one_is_another(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "MOST_ROWS", 0)
    subject = room.world.subject(1)
    first = subject.claim("tax")
    for request in (first, first, subject.claim("tax")):
        with pytest.raises(SafeRoomError, match="WITHHELD"):
            enclave.disclose(request)
    monkeypatch.undo()
    for request in (first, subject.claim("tax")):
        with pytest.raises(SafeRoomError, match="TOO_MANY_REQUESTS"):
            enclave.disclose(request)


def test_a_nonce_of_a_reading_under_way_is_taken(room: Sample, enclave: EnclaveHarness) -> None:
    subject = room.world.subject(1)
    request = subject.claim("tax")
    begun = enclave.begin_disclosure(request)
    assert isinstance(begun, Begun)
    begun.close()
    room.world.clock.advance(0.001)
    with pytest.raises(SafeRoomError, match="NONCE_REUSED"):
        enclave.disclose(subject.claim("tax", nonce=load(request, HoldingsRequest).nonce))
    enclave.disclose(request)


def test_of_one_subject_one_reading_is_under_way(
    running: tuple[Attended, EnclaveProcess, Sample],
) -> None:
    _, process, room = running
    calls = [process.stub.Disclose.future(disclosure(room, 1)) for _ in range(4)]
    refused = [_reason(call) for call in calls]
    assert refused.count(None) >= 1
    assert set(refused) == {None, Reason.TOO_MANY_REQUESTS}


def _reason(call: grpc.Future[enclave_pb2.DiscloseResponse]) -> Reason | None:
    try:
        call.result(SECONDS)
    except grpc.RpcError as error:
        return from_rpc_error(error).reason
    return None


def test_no_reading_is_done_for_a_reply_key_that_nothing_can_be_sealed_to(
    room: Sample, enclave: EnclaveHarness
) -> None:
    subject = room.world.subject(1)
    for x25519 in (bytes(32), (1).to_bytes(32, "little")):
        useless = b64(subject.reply.public[:-32] + x25519)
        with pytest.raises(SafeRoomError, match="BAD_SEAL"):
            enclave.begin_disclosure(subject.claim("tax", reply_key=useless))
        with pytest.raises(SafeRoomError, match="BAD_SEAL"):
            enclave.enclave.begin_trial(
                enclave.trial(ordered("tax", "drafted", VAT, ("50000",)), reply_key=useless)
            )


def test_an_approver_has_so_many_drafts_tried_a_day_also_after_a_kill(
    room: Sample, enclave: EnclaveHarness
) -> None:
    first = enclave.trial(ordered("tax", "drafted", VAT, ("1",)))
    orders = [
        first,
        *(enclave.trial(ordered("tax", "drafted", VAT, (str(at),))) for at in range(2, TRIALS + 1)),
    ]
    for order in orders:
        enclave.enclave.begin_trial(order).close()
    enclave.enclave.begin_trial(first).close()  # tried again, it says the same again
    another = ordered("tax", "drafted", VAT, ("7000",))
    enclave.kill()
    with pytest.raises(SafeRoomError, match="TOO_MANY_REQUESTS") as refusal:
        enclave.enclave.begin_trial(enclave.trial(another))
    assert "tomorrow, or have another approver try" in refusal.value.fields[0].rule
    enclave.enclave.begin_trial(enclave.trial(another, APPROVERS[1])).close()
    room.world.clock.advance(timedelta(days=1).total_seconds())
    enclave.unlock()
    enclave.follow()
    enclave.enclave.begin_trial(enclave.trial(another)).close()


def test_an_index_that_could_not_be_begun_is_begun_later(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    room.tax.define(ordered("tax", "later", VAT, ("50000",)))
    monkeypatch.setattr(os, "dup", none_left)
    with pytest.raises(OSError, match="too many"):
        enclave.follow()
    monkeypatch.undo()
    enclave.follow()
    subject = room.world.subject(1)
    request = subject.claim("tax")
    holdings = subject.open(request, "tax", enclave.disclose(request).sealed)
    assert "tax.later" in {each.feature for each in holdings.features}
