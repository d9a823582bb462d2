from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import StringIO

import pytest

from saferoom import keydesk
from saferoom.evidence import Caller, Role
from saferoom.exchange import AttestedClaims
from saferoom.keydesk import (
    FromAgent,
    KeyChallenge,
    KeyDesk,
    KeyEvidence,
    KeyRefusal,
    KeyRelease,
    KeyWanted,
    Seat,
    ToAgent,
)
from saferoom.logs import Level, make_log
from saferoom.register import Register
from saferoom_proto import chain
from saferoom_proto.encoding import b64
from saferoom_proto.identity import Identity, IdentityKind
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    ChainLink,
    EvidenceClaims,
    StreamPosition,
    seal_statement,
)
from simulator import World

WORLD = World("keydesk")
TAX = WORLD.owner("tax")
AGENT = Caller(
    Identity(IdentityKind.ORGANISATION, "tax", "key-agent", "sha256:" + "0" * 64),
    frozenset({Role.OWNER}),
)


KEY = WORLD.seeds.signing("enclave")
CLAIMS = seal_statement(
    EvidenceClaims(
        room=WORLD.room,
        owner="tax",
        nonce=b64(bytes(32)),
        identity=KEY.verify_key.public,
        sealing=b64(WORLD.seeds.sealing("enclave").public),
        tls=TAX.charter.digest,
        charter=TAX.charter.digest,
        code=TAX.charter.digest,
        dependencies=TAX.charter.digest,
        python="3.11.7",
        sandbox_level=2,
        sandbox_missing=(),
        store=None,
        chain=ChainLink(index=0, previous=chain.GENESIS),
        stream=StreamPosition(sequence=0, running=chain.GENESIS),
    ),
    KEY,
)


class Enclave:
    """Gives evidence that nobody accepts."""

    def __init__(self) -> None:
        self.challenges: list[bytes] = []

    async def attest(self, nonce: bytes) -> AttestedClaims:
        self.challenges.append(nonce)
        return AttestedClaims(CLAIMS, "software", b"")


@pytest.fixture
def log() -> StringIO:
    return StringIO()


@pytest.fixture
def desk(log: StringIO, monkeypatch: pytest.MonkeyPatch) -> KeyDesk:
    monkeypatch.setattr(keydesk, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(keydesk, "ANSWER_SECONDS", 0.3)
    return KeyDesk(Register(), WORLD.clock.utc, make_log(Level.INFO, log))


async def told(seat: Seat) -> ToAgent:
    async with asyncio.timeout(5):
        async for message in seat.told():
            return message
    raise AssertionError


async def until(log: StringIO, word: str) -> None:
    async with asyncio.timeout(5):
        while word not in log.getvalue():  # noqa: ASYNC110 - the log tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture
async def wanting(desk: KeyDesk) -> asyncio.Task[object]:
    return asyncio.create_task(
        desk.obtain(TAX.charter, Enclave(), "sha256:" + "1" * 64, None, lambda _: None)
    )


async def test_an_enclave_waits_for_an_agent_of_its_owner(
    desk: KeyDesk, wanting: asyncio.Task[object]
) -> None:
    other = Caller(
        Identity(IdentityKind.ORGANISATION, "court", "key-agent", "sha256:" + "2" * 64),
        frozenset({Role.OWNER}),
    )
    with desk.attend(other) as foreign:
        await asyncio.sleep(0.02)
        assert foreign._told.empty()
        with desk.attend(AGENT) as seat:
            message = await told(seat)
            assert isinstance(message, KeyWanted)
            assert message.owner == "tax"
    wanting.cancel()


async def test_an_agent_that_refuses_is_asked_again_later(
    desk: KeyDesk, wanting: asyncio.Task[object], log: StringIO
) -> None:
    with desk.attend(AGENT) as seat:
        for _ in range(2):
            wanted = await told(seat)
            seat.hear(KeyChallenge(wanted.task, b"n" * 32))
            evidence = await told(seat)
            assert isinstance(evidence, KeyEvidence)
            seat.hear(KeyRefusal(evidence.task, "code is not on my list"))
    assert "code is not on my list" in log.getvalue()
    assert not wanting.done()
    wanting.cancel()


async def test_an_endorsement_that_does_not_verify_opens_nothing(
    desk: KeyDesk, wanting: asyncio.Task[object], log: StringIO
) -> None:
    with desk.attend(AGENT) as seat:
        wanted = await told(seat)
        seat.hear(KeyChallenge(wanted.task, b"n" * 32))
        evidence = await told(seat)
        seat.hear(KeyRelease(evidence.task, TAX.charters[0], b"sealed"))
        await until(log, "no key")
    assert not wanting.done()
    wanting.cancel()


def of_another_task(task: str) -> FromAgent:
    return KeyChallenge(f"not {task}", b"n" * 32)


def too_early(task: str) -> FromAgent:
    return KeyRelease(task, TAX.charters[0], b"sealed")


@pytest.mark.parametrize("answer", [of_another_task, too_early])
async def test_an_agent_that_answers_out_of_turn_is_sent_away(
    desk: KeyDesk,
    wanting: asyncio.Task[object],
    log: StringIO,
    answer: Callable[[str], FromAgent],
) -> None:
    with desk.attend(AGENT) as seat:
        wanted = await told(seat)
        seat.hear(answer(wanted.task))
        await until(log, "MALFORMED")
        assert not seat.open
    wanting.cancel()


async def test_a_silent_agent_gives_way_to_another(
    desk: KeyDesk, wanting: asyncio.Task[object], log: StringIO
) -> None:
    with desk.attend(AGENT) as other, desk.attend(AGENT) as silent:
        assert isinstance(await told(silent), KeyWanted)
        await until(log, "UNAVAILABLE")
        assert not silent.open
        assert isinstance(await told(other), KeyWanted)
    wanting.cancel()


async def test_an_agent_that_leaves_in_mid_exchange_ends_it(
    desk: KeyDesk, wanting: asyncio.Task[object], log: StringIO
) -> None:
    with desk.attend(AGENT) as seat:
        await told(seat)
    await until(log, "the key agent left")
    assert not wanting.done()
    wanting.cancel()


async def test_a_closed_desk_sends_everyone_away(desk: KeyDesk) -> None:
    with desk.attend(AGENT) as seat:
        desk.close()
        assert [message async for message in seat.told()] == []
    with pytest.raises(SafeRoomError) as refusal, desk.attend(AGENT):
        pass
    assert refusal.value.reason is Reason.UNAVAILABLE


async def test_an_answer_that_nobody_waits_for_any_more_sends_no_agent_away() -> None:
    """An enclave that is cut off while its agent thinks comes back, and is asked about anew."""
    seat = Seat(AGENT)
    first = asyncio.create_task(seat.ask(KeyWanted("first", "tax"), KeyChallenge))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    seat.hear(KeyChallenge("first", bytes(32)))
    seat.hear(KeyChallenge("second", bytes(32)))
    answer = await seat.ask(KeyWanted("second", "tax"), KeyChallenge)
    assert (answer.task, seat.open) == ("second", True)
    # Once: an agent that goes on about it answers something else.
    seat.hear(KeyChallenge("first", bytes(32)))
    with pytest.raises(SafeRoomError, match="something else"):
        await seat.ask(KeyWanted("third", "tax"), KeyChallenge)
    assert not seat.open
