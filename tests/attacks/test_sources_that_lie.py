"""A provider, a broker or a bank that lies, where records are asked for one subject at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from saferoom_client.broker import attend
from saferoom_client.broker.attend import broker
from saferoom_client.broker.config import BrokerConfig
from saferoom_client.broker.provider import MOST_BYTES
from saferoom_enclaves.fetched.records import Sound
from saferoom_enclaves.fetched.wanting import Recipe
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator.fetching import BOUND_SECONDS, FetchRoom, fetch_room, row, write_config
from simulator.provider import HOST, Authority, Exchange, answer_of, authority, provider

SAID = {"tax_arrears": [row("12000")]}
SECRET = "4711.0815"
"""Part of a record that no log may hold."""


@pytest.fixture(scope="module")
def one_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FetchRoom]:
    """Give a room whose arrears are asked for; every test has firms of its own."""
    with fetch_room(tmp_path_factory.mktemp("sources"), seconds=1.5, tries=2) as made:
        yield made


@pytest.fixture
def room(one_room: FetchRoom) -> FetchRoom:
    """Give the room with its provider honest, and nobody asked."""
    one_room.disconnect()
    one_room.connect()  # one that was left alone is asked again
    one_room.provider.behaviour = one_room.provider.honest
    one_room.provider.asked.clear()
    return one_room


def outcome(
    room: FetchRoom, serial: int, check: str = "owes", **params: str
) -> Truth | Reason | None:
    """Ask about a firm, and give what came of it."""
    try:
        verdict = room.ask(serial, check, **params)
    except SafeRoomError as refusal:
        return refusal.reason
    return verdict.truth or verdict.reason


def test_nothing_is_asked_for_without_consent(room: FetchRoom) -> None:
    assert outcome(room, 3) is Reason.NO_CONSENT
    other = room.question(room.firm(SAID), bank=room.said.other_bank)
    room.prepare(other)
    assert room.enclave.ask(other).reason is Reason.NO_CONSENT
    assert room.provider.asked == []


def test_nothing_is_asked_for_after_consent_was_taken_back(room: FetchRoom) -> None:
    consent = room.consent(4)
    room.said.world.publish(room.said.world.subject(4).revocation(consent))
    room.enclave.follow()
    assert outcome(room, 4) is Reason.NO_CONSENT
    assert room.provider.asked == []


def test_a_consent_that_is_taken_back_while_its_record_is_fetched_gives_no_answer(
    room: FetchRoom,
) -> None:
    consent, question = room.consent(5), room.question(5)
    revoked = room.said.world.subject(5).revocation(consent)

    def slow(exchange: Exchange, source: str, subject: str) -> None:
        room.said.world.publish(revoked)
        room.enclave.follow()
        room.provider.honest(exchange, source, subject)

    room.provider.behaviour = slow
    room.prepare(question)
    assert room.enclave.ask(question).reason is Reason.NO_CONSENT
    assert len(room.provider.asked) == 1


def test_a_consent_that_is_taken_back_right_before_the_broker_is_asked_counts(
    room: FetchRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm = 6
    consent, records = room.consent(firm), room.enclave.enclave.fetched
    tried = records.tried

    def revoked_meanwhile(recipe: Recipe) -> Sound:
        room.said.world.publish(room.said.world.subject(firm).revocation(consent))
        room.enclave.follow()
        return tried(recipe)

    monkeypatch.setattr(records, "tried", revoked_meanwhile)
    assert outcome(room, firm) is Reason.NO_CONSENT
    assert room.provider.asked == []


def test_a_question_nobody_signed_or_approved_fetches_nothing(room: FetchRoom) -> None:
    stranger = room.said.world.seeds.signing("stranger")
    asked = room.checks["owes"]
    subject = room.said.world.subject(room.firm(SAID))
    forged = room.said.bank.request(subject, asked.template, asked.certificate, key=stranger)
    own = room.said.bank.propose("own", "tax.owes IS TRUE")
    room.enclave.follow()
    for question in (forged, room.said.bank.request(subject, *own)):
        room.prepare(question)
    assert room.provider.asked == []


def other_subject(exchange: Exchange, source: str, subject: str) -> None:
    """Answer about somebody else."""
    del source, subject
    exchange.send(answer_of("9199000000000102X8", SAID))


def other_in_rows(exchange: Exchange, source: str, subject: str) -> None:
    """Answer with a row that names somebody else."""
    del source
    rows = [{**row("1"), "uscc": "9199000000000102X8"}]
    exchange.send(answer_of(subject, {"tax_arrears": rows}))


def too_much(exchange: Exchange, source: str, subject: str) -> None:
    """Answer with ten megabytes."""
    del source
    body = answer_of(subject, {"tax_arrears": [row("1", "x" * MOST_BYTES * 10)]})
    exchange.send(body)


def too_much_unsaid(exchange: Exchange, source: str, subject: str) -> None:
    """Answer without an end."""
    del source, subject
    exchange.send_response(200)
    exchange.send_header("Content-Type", "application/json")
    exchange.send_header("Connection", "close")
    exchange.end_headers()
    while True:
        exchange.wfile.write(b" " * MOST_BYTES)


def nested(exchange: Exchange, source: str, subject: str) -> None:
    """Answer with a hundred thousand brackets."""
    del source, subject
    exchange.send(b'{"subject":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def repeated(exchange: Exchange, source: str, subject: str) -> None:
    """Answer with a key that stands twice."""
    del source
    rows = json.dumps([row("1")])
    exchange.send(
        f'{{"subject":"x","subject":"{subject}","tables":{{"tax_arrears":{rows}}}}}'.encode()
    )


def many_rows(exchange: Exchange, source: str, subject: str) -> None:
    """Answer with more rows than anybody has."""
    del source
    rows = [{"is_in_arrears": None, "arrears_amount": None, "tax_type": None}] * 15_000
    exchange.send(answer_of(subject, {"tax_arrears": rows}))


def other_types(exchange: Exchange, source: str, subject: str) -> None:
    """Answer with values of other types, one of them SQL."""
    del source
    rows = [row("1); DROP TABLE tax_arrears; --")]
    exchange.send(answer_of(subject, {"tax_arrears": rows}))


def a_column_too_many(exchange: Exchange, source: str, subject: str) -> None:
    """Answer with a column that the schema does not have."""
    del source
    exchange.send(answer_of(subject, {"tax_arrears": [{**row("1"), "note": SECRET}]}))


def not_json(exchange: Exchange, source: str, subject: str) -> None:
    """Answer with bytes that are no JSON, and say that they are."""
    del source, subject
    exchange.send(b"\xff\xfe" + SECRET.encode())


UNUSABLE = (
    other_subject,
    other_in_rows,
    too_much,
    too_much_unsaid,
    nested,
    repeated,
    many_rows,
    other_types,
    a_column_too_many,
    not_json,
)


def test_whatever_cannot_be_used_is_unknown_charged_alike_and_poisons_nothing(
    room: FetchRoom,
) -> None:
    """What a provider says depends on a record: so it is sealed, and at the price of any answer."""
    before, firms = room.firm(SAID), list[int]()
    whole = room.ask(before).release
    for lie in UNUSABLE:
        room.provider.behaviour = lie
        firms.append(room.firm())
        verdict = room.ask(firms[-1])
        # The room sees of it what it sees of any answer: no reason, and one price.
        assert (verdict.reason, verdict.truth) == (None, Truth.NO), lie
        assert verdict.release.charges == whole.charges, lie
        assert outcome(room, firms[-1], "owed", most="10000") is Truth.NOT_FOUND, lie
        assert not room.enclave.enclave.fetched.held(room.code(firms[-1]), room.said.world.now())
    log = room.enclave.log.getvalue()
    assert SECRET not in log
    assert not any(room.code(firm) in log for firm in firms)
    # What was said holds for the period, also where the provider tells the truth by now: else a
    # question that costs nothing any more would be told something new.
    room.provider.behaviour = room.provider.honest
    assert outcome(room, before) is Truth.NO
    asked = len(room.provider.asked)
    room.restart()
    assert outcome(room, firms[0]) is Truth.NO
    assert len(room.provider.asked) == asked
    room.later(days=7)
    assert outcome(room, firms[0]) is Truth.YES


def redirect(exchange: Exchange, source: str, subject: str) -> None:
    """Send the broker to another host."""
    del source
    exchange.send(b"", 302, Location=f"https://127.0.0.2/v1/x/{subject}")


def failing(exchange: Exchange, source: str, subject: str) -> None:
    """Fail."""
    del source, subject
    exchange.send(SECRET.encode(), 500)


def not_its_path(exchange: Exchange, source: str, subject: str) -> None:
    """Know no such path, as a gateway says it: that is no word on the subject."""
    del source, subject
    exchange.send(b"<h1>Not Found</h1>", 404, kind="text/html")


def dripping(exchange: Exchange, source: str, subject: str) -> None:
    """Answer a byte at a time."""
    del source
    exchange.drip(answer_of(subject, SAID), 0.2)


def cut_off(exchange: Exchange, source: str, subject: str) -> None:
    """Promise more than is sent."""
    del source, subject
    exchange.send_response(200)
    exchange.send_header("Content-Type", "application/json")
    exchange.send_header("Content-Length", "1000")
    exchange.end_headers()
    exchange.wfile.write(b"{")
    exchange.close_connection = True


def test_a_provider_that_does_not_answer_is_unavailable_and_costs_nothing(room: FetchRoom) -> None:
    for lie in (redirect, failing, not_its_path, dripping, cut_off):
        room.provider.behaviour, firm = lie, room.firm(SAID)
        assert outcome(room, firm) is Reason.SOURCE_UNAVAILABLE, lie
    # It failed for five firms: it is left alone, though it would answer by now.
    room.provider.behaviour = room.provider.honest
    asked, other = len(room.provider.asked), room.firm(SAID)
    assert outcome(room, other) is Reason.SOURCE_UNAVAILABLE
    assert len(room.provider.asked) == asked
    room.disconnect()
    room.connect()
    # About a firm that it failed for it is not asked again yet, and nobody else is held up.
    assert outcome(room, firm) is Reason.SOURCE_UNAVAILABLE
    assert len(room.provider.asked) == asked
    assert outcome(room, room.firm(SAID)) is Truth.NO
    room.restart()
    verdict = room.ask(firm)
    assert (verdict.truth, verdict.release.charges[0].cells_before) == (Truth.NO, 1)
    assert SECRET not in room.enclave.log.getvalue()


@pytest.mark.parametrize(
    ("signer", "strict"), [(Authority.make("stranger"), True), (authority(), False)]
)
def test_a_provider_whose_certificate_is_not_in_order_is_not_asked(
    room: FetchRoom, tmp_path: Path, signer: Authority, *, strict: bool
) -> None:
    port, ours = room.provider.port, room.folder
    with provider(tmp_path, signer.issue("provider", HOST, strict=strict)) as other:
        write_config(ours, ours / "s", other.port)
        room.disconnect()
        room.connect()
        assert outcome(room, room.firm(SAID)) is Reason.SOURCE_UNAVAILABLE
        assert other.asked == []
    write_config(ours, ours / "s", port, seconds=1.5, tries=2)


def test_a_broker_that_is_killed_in_mid_call_loses_nothing(room: FetchRoom) -> None:
    room.provider.behaviour = dripping
    question = room.question(room.firm(SAID))
    room.prepare(question, patience_seconds=0.2)
    room.disconnect()
    room.prepare(question)
    with pytest.raises(SafeRoomError) as refusal:
        room.enclave.judge(question)
    assert refusal.value.reason is Reason.SOURCE_UNAVAILABLE
    room.provider.behaviour = room.provider.honest
    room.connect()
    room.prepare(question)
    assert room.enclave.ask(question).truth is Truth.NO


ORDERS = (
    {"id": 1, "source": "tax_arrears", "subject": "../../admin/0000000"},
    {"id": 1, "source": "tax_arrears", "subject": "91990000000001011G?x=1"},
    {"id": 1, "source": "tax_arrears", "subject": "919900000000010110"},
    {"id": 1, "source": "tax_arrears", "subject": "91990000000001011g"},
    {"id": 1, "source": "bank_accounts", "subject": "91990000000001011G"},
    {"id": 1, "source": "tax_arrears", "subject": ["91990000000001011G"]},
    {"id": "1", "source": "tax_arrears", "subject": "91990000000001011G"},
    {"id": 1, "source": "tax_arrears", "subject": "91990000000001011G", "note": SECRET},
    {"id": 1, "source": "tax_arrears"},
    "x" * 10_000,
)


def test_a_broker_takes_nothing_but_a_source_that_it_knows_and_a_code(
    room: FetchRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An enclave that was taken over can send its owner's provider codes, and nobody anything."""
    room.disconnect()
    write_config(room.folder, tmp_path / "s", room.provider.port)
    config = BrokerConfig.load(room.folder)
    write_config(room.folder, room.folder / "s", room.provider.port, seconds=1.5, tries=2)
    monkeypatch.setattr(attend, "LONGEST_PAUSE_SECONDS", 0.1)
    ended = asyncio.run_coroutine_threadsafe(_sent(config, ORDERS), room.loop)
    assert ended.result(BOUND_SECONDS) == [b""] * len(ORDERS)
    assert room.provider.asked == []


async def _sent(config: BrokerConfig, orders: Sequence[object]) -> list[bytes]:
    """Be an enclave that gives one order a line, and give what comes back until each ends."""
    told: list[bytes] = []
    left, over = list(orders), asyncio.Event()

    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        if left:
            writer.write(json.dumps(left.pop(0)).encode() + b"\n")
            told.append(await reader.read())
        else:
            over.set()
        writer.close()

    server = await asyncio.start_unix_server(give, str(config.socket))
    running = asyncio.ensure_future(broker(config))
    try:
        await over.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        server.close()
    return told


LINES = (
    b'{"id": 1, "outcome": "answered", "bytes": 99999999}\n',
    b'{"id": 1, "outcome": "answered", "bytes": -1}\n',
    b'{"id": 1, "outcome": "maybe"}\n',
    b"[" * 5000 + b"\n",
    b"x" * 100_000,
)


def test_a_broker_that_sends_nonsense_is_hung_up_on(room: FetchRoom) -> None:
    room.disconnect()

    async def pretend(line: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(room.folder / "s")
        writer.write(b'{"sources": ["tax_arrears"]}\n' + line)
        rest = await reader.read()
        writer.close()
        return rest

    for line in LINES:
        ended = asyncio.run_coroutine_threadsafe(pretend(line), room.loop)
        assert ended.result(BOUND_SECONDS) == b""
    assert outcome(room, room.firm(SAID)) is Reason.SOURCE_UNAVAILABLE
