"""A broker whose enclave asks too much at once, or goes away in mid-call."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from saferoom_client.broker import guards
from saferoom_client.broker.asking import Source
from saferoom_client.broker.attend import MOST_AT_ONCE, broker
from saferoom_client.broker.config import BrokerConfig, SourceConfig
from saferoom_client.broker.provider import Outcome, Reply
from saferoom_proto.uscc import make_uscc
from simulator.fetching import BOUND_SECONDS, write_config
from simulator.provider import Exchange, Provider, provider

SUBJECT = make_uscc(77)


@pytest.fixture
def given(tmp_path: Path) -> Iterator[tuple[Provider, Path]]:
    """Give a provider, and the folder of its broker."""
    with provider(tmp_path) as running:
        write_config(tmp_path, tmp_path / "s", running.port, seconds=8.0, tries=1)
        yield running, tmp_path


async def test_a_broker_that_is_given_more_than_it_does_at_once_says_so_and_goes_on(
    given: tuple[Provider, Path],
) -> None:
    running, folder = given
    over = threading.Event()

    def held_up(exchange: Exchange, source: str, subject: str) -> None:
        over.wait(BOUND_SECONDS)
        running.honest(exchange, source, subject)

    running.behaviour = held_up
    config = BrokerConfig.load(folder)
    first, *others = await asyncio.wait_for(_overfull(config, over), BOUND_SECONDS)
    assert first == {"id": MOST_AT_ONCE, "outcome": "unavailable"}
    assert {each["outcome"] for each in others} == {"nobody"}
    assert len(others) == MOST_AT_ONCE + 1


async def _overfull(config: BrokerConfig, over: threading.Event) -> list[Mapping[str, object]]:
    """Be an enclave that gives one order too many, and then another, on the same line."""
    told, ended = list[Mapping[str, object]](), asyncio.Event()

    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for number in range(MOST_AT_ONCE + 1):
            order = {"id": number, "source": "tax_arrears", "subject": SUBJECT}
            writer.write(json.dumps(order).encode() + b"\n")
        told.append(json.loads(await reader.readline()))
        over.set()
        told.extend([json.loads(await reader.readline()) for _ in range(MOST_AT_ONCE)])
        order = {"id": 99, "source": "tax_arrears", "subject": SUBJECT}
        writer.write(json.dumps(order).encode() + b"\n")
        told.append(json.loads(await reader.readline()))
        writer.close()
        ended.set()

    server = await asyncio.start_unix_server(give, str(config.socket))
    running = asyncio.ensure_future(broker(config))
    try:
        await ended.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        server.close()
    return told


async def test_a_provider_is_asked_again_after_the_one_request_to_try_it_was_given_up(
    given: tuple[Provider, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "FIRST_PAUSE_SECONDS", 0.0)
    replies = [Reply(Outcome.UNAVAILABLE)] * guards.FAILURES
    over = threading.Event()

    def get(config: SourceConfig, tls: ssl.SSLContext, subject: str, seconds: float) -> Reply:
        del config, tls, subject, seconds
        if replies:
            return replies.pop()
        over.wait(BOUND_SECONDS)
        return Reply(Outcome.ANSWERED, data=b"{}")

    config = BrokerConfig.load(given[1])
    with ThreadPoolExecutor(2) as pool:
        source = Source(config.folder, config.sources["tax_arrears"], pool, get)
        for number in range(guards.FAILURES):
            assert (await source.ask(f"firm {number}")).outcome is Outcome.UNAVAILABLE
        trying = asyncio.ensure_future(source.ask("x"))
        await asyncio.sleep(0)  # it is let through, and the next is not
        assert (await source.ask("x")).outcome is Outcome.UNAVAILABLE
        trying.cancel()  # as the end of the line does
        await asyncio.gather(trying, return_exceptions=True)
        over.set()
        assert (await source.ask("x")).outcome is Outcome.ANSWERED


def test_one_subject_that_a_provider_always_fails_for_holds_nobody_else_up() -> None:
    now = 0.0
    breaker = guards.Breaker(lambda: now)
    for _ in range(3 * guards.FAILURES):
        breaker.failed("always")
    assert breaker.lets_through()
    for number in range(guards.FAILURES - 1):
        breaker.failed(f"firm {number}")
    assert not breaker.lets_through()
    # What was under way then fails, too, and makes the pause no longer.
    for number in range(MOST_AT_ONCE):
        breaker.failed(f"other {number}")
    now = guards.FIRST_PAUSE_SECONDS
    assert breaker.lets_through()
    breaker.failed("firm 1")  # the one that was let through: now it is longer
    now += guards.FIRST_PAUSE_SECONDS
    assert not breaker.lets_through()
    now += guards.FIRST_PAUSE_SECONDS
    assert breaker.lets_through()
    breaker.succeeded()
    assert breaker.lets_through()
