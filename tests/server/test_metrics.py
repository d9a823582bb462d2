"""What the room counts: what an operator needs, and nothing of a subject."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import grpc
import pytest

from saferoom.metrics import MOST_CONNECTIONS
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import check_pb2, consent_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import sample
from tests.server.conftest import Ready, make_ready
from tests.server.room.opened import SECONDS, opened
from tests.server.test_witnesses import hand_in, heads, opened_note

SETTINGS: Final = '[metrics]\naddress = "127.0.0.1:0"\n'


@pytest.fixture
async def counted(tmp_path: Path) -> AsyncIterator[Ready]:
    """Give a room that serves its metrics."""
    said = sample("counted")
    async with opened(tmp_path / "room", said.world, SETTINGS) as room:
        yield await make_ready(room, said)


async def page(ready: Ready) -> str:
    """Fetch the page as Prometheus does."""
    address = f"http://127.0.0.1:{ready.room.server.metrics_port}/metrics"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def fetch() -> str:
        with direct.open(address, timeout=SECONDS) as answer:
            return answer.read().decode()

    return await asyncio.to_thread(fetch)


def value(text: str, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
    assert found is not None, f"{line} is not in:\n{text}"
    return float(found[1])


async def test_calls_are_counted_by_method_and_outcome(counted: Ready) -> None:
    room, bank = counted.room, counted.sample.bank.name
    for _ in range(3):
        await room.ask(bank, counted.question())
    with pytest.raises(grpc.aio.AioRpcError):
        await room.calls(bank).check.Check(check_pb2.CheckRequest(), timeout=SECONDS)
    with pytest.raises(grpc.aio.AioRpcError):
        await room.calls("stranger").check.Check(check_pb2.CheckRequest(), timeout=SECONDS)
    text = await page(counted)
    check = 'method="CheckService/Check"'
    assert value(text, f'saferoom_calls_total{{{check},outcome="OK"}}') == 3
    assert value(text, f'saferoom_calls_total{{{check},outcome="MALFORMED"}}') == 1
    assert value(text, f'saferoom_calls_total{{{check},outcome="NOT_ALLOWED"}}') == 1
    assert value(text, f"saferoom_call_seconds_count{{{check}}}") == 5
    by = "saferoom_calls_by_organisation_total"
    assert value(text, f'{by}{{failed="yes",organisation="{bank}"}}') == 1
    assert value(text, f'{by}{{failed="yes",organisation="other"}}') == 1


async def test_the_ledger_and_the_enclaves_are_shown(counted: Ready) -> None:
    await counted.room.ask(counted.sample.bank.name, counted.question())
    text = await page(counted)
    tip = counted.room.server.books.ledger.tip()
    assert value(text, "saferoom_ledger_entries") == tip.size
    assert value(text, "saferoom_ledger_commit_seconds_count") > 0
    assert value(text, 'saferoom_enclave_state{owner="tax",state="serving"}') == 1
    assert value(text, 'saferoom_enclave_state{owner="tax",state="down"}') == 0
    followed = value(text, 'saferoom_enclave_stream_followed{owner="tax"}')
    assert followed == value(text, 'saferoom_enclave_stream_newest{owner="tax"}') > 0
    assert value(text, 'saferoom_enclave_head_age_seconds{owner="tax"}') < SECONDS
    assert value(text, 'saferoom_in_use{limit="streams"}') == 2  # both key agents attend


async def test_how_long_ago_a_witness_cosigned_is_shown(counted: Ready) -> None:
    room, bank = counted.room, counted.sample.bank.name
    await hand_in(room, bank, opened_note(room, (await heads(room, bank)).to_cosign), by="bank")
    room.world.clock.advance(30)
    text = await page(counted)
    assert value(text, f'saferoom_witness_age_seconds{{organisation="{bank}"}}') == 30


async def test_no_label_names_a_subject_a_request_or_an_unknown_method(counted: Ready) -> None:
    room, said = counted.room, counted.sample
    question = counted.question()
    await room.ask(said.bank.name, question)
    subject = said.world.subject(1)
    listed = consent_pb2.ListConsentsRequest()
    await room.subject_calls(subject).consent.ListConsents(listed, timeout=SECONDS)
    odd: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = room.calls(
        said.bank.name
    ).channel.unary_unary(f"/saferoom.v1.{subject.uscc}/Ask")
    with pytest.raises(grpc.aio.AioRpcError):
        await odd(b"", timeout=SECONDS)
    text = await page(counted)
    assert subject.uscc not in text
    assert question.digest.removeprefix("sha256:") not in text
    assert 'organisation="other"' in text
    assert 'method="other"' in text


async def test_the_page_is_off_unless_it_is_asked_for(ready: Ready) -> None:
    assert ready.room.server.metrics_port is None


async def test_a_crowd_that_says_little_keeps_nobody_from_the_page_and_holds_few_threads(
    counted: Ready,
) -> None:
    before = threading.active_count()
    with ExitStack() as left:
        for _ in range(10 * MOST_CONNECTIONS):
            address = ("127.0.0.1", counted.room.server.metrics_port)
            one = left.enter_context(socket.create_connection(address))
            one.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        assert "saferoom_ledger_entries" in await page(counted)
        assert threading.active_count() <= before + MOST_CONNECTIONS + 1  # and the reader's own


@pytest.mark.parametrize("line", [b"GET /" + b"a" * (1 << 17), b"X: 1\r\n" * 1000])
async def test_what_is_longer_than_any_request_is_cut_off(counted: Ready, line: bytes) -> None:
    port = counted.room.server.metrics_port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(line if line.startswith(b"GET") else b"GET / HTTP/1.1\r\n" + line)
    with suppress(ConnectionError):
        status = (await asyncio.wait_for(reader.readline(), SECONDS)).split()[1]
        assert status in {b"414", b"431"}
    writer.transport.abort()
    assert "saferoom_ledger_entries" in await page(counted)


async def test_an_address_that_is_taken_is_named(counted: Ready, tmp_path: Path) -> None:
    taken = f'[metrics]\naddress = "127.0.0.1:{counted.room.server.metrics_port}"\n'
    said = sample("taken")
    with pytest.raises(SafeRoomError, match=r"metrics\.address") as refusal:
        async with opened(tmp_path / "other", said.world, taken):
            pass
    assert refusal.value.reason is Reason.BAD_CONFIG


async def test_a_flood_of_one_banks_bad_requests_is_slowed_and_anothers_checks_are_not(
    tmp_path: Path,
) -> None:
    said = sample("flood")
    limits = "calls_per_caller = 32\nbad_requests_at_once = 32\nbad_requests_per_second = 5\n"
    settings = f"{SETTINGS}[limits]\n{limits}"
    async with opened(tmp_path / "room", said.world, settings) as room:
        ready = await make_ready(room, said)
        ask = room.calls(said.bank.name).check.Check
        bad = [
            asyncio.ensure_future(ask(check_pb2.CheckRequest(), timeout=SECONDS))
            for _ in range(400)
        ]
        began = time.monotonic()
        await asyncio.sleep(0.5)
        for _ in range(5):
            question = envelope_to_proto(ready.question(said.other_bank))
            answer = await room.calls(said.other_bank.name).check.Check(
                check_pb2.CheckRequest(request=question), timeout=SECONDS
            )
            assert len(answer.parts) == 1
        done = sum(each.done() for each in bad)
        text = await page(ready)
        # Some at once, and those that were being read meanwhile; then so many a second, and a slow
        # machine had more seconds. Nobody slowed, all 400 would be done.
        assert 32 <= done < 200 + 5 * (time.monotonic() - began)
        assert value(text, "saferoom_callers_held") == 1
        assert value(text, "saferoom_calls_held") > 100
        # What waits is bounded by the connection's streams; the rest has not left its sender.
        for each in bad:
            each.cancel()
        await asyncio.gather(*bad, return_exceptions=True)
