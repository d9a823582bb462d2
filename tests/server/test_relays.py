"""Relays: what they say and carry, and how little comes of it when they lie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from saferoom.place import LinkState
from saferoom.relays import CARRIED_BYTES, Attendance, SaidDoor
from saferoom.room import Room
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.v1 import identity_pb2, relay_pb2, relay_pb2_grpc
from simulator import SimOwner, World
from tests.server.room.attending import Elsewhere, Stream, attend, elsewhere, ordered, relayed, said
from tests.server.room.opened import SECONDS, OpenedRoom, opened, until

SETTINGS = '[enclaves.run_by]\ntax = "owner"\n[heads]\ninterval_seconds = 0.1\n'


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[OpenedRoom]:
    """Give a room whose tax office runs its enclave itself, and has handed in its charter."""
    async with opened(tmp_path / "room", World("relays"), SETTINGS) as made:
        await made.join(made.world.owner("tax"), attend=False)
        yield made


@pytest.fixture
def tax(room: OpenedRoom) -> SimOwner:
    return room.world.owner("tax")


@pytest.fixture
async def enclave(room: OpenedRoom, tax: SimOwner, tmp_path: Path) -> AsyncIterator[Elsewhere]:
    async with elsewhere(room, tax, tmp_path / "elsewhere") as made:
        yield made


def state(room: OpenedRoom, owner: str = "tax") -> LinkState:
    return next(each.state for each in room.server.links.statuses() if each.owner == owner)


async def refusal(stream: Stream) -> Reason:
    """Read to the end of a call that is refused; give why."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(to_its_end(stream), SECONDS)
    return from_rpc_error(caught.value).reason


async def to_its_end(stream: Stream) -> None:
    while isinstance(await stream.read(), relay_pb2.AttendResponse):
        pass


async def test_an_enclave_that_nobody_connects_is_away(room: OpenedRoom) -> None:
    assert state(room) is LinkState.AWAY
    (status,) = room.server.links.statuses()
    assert (str(status.run_by), status.connected) == ("owner", False)
    assert list((room.folder / "enclaves").iterdir()) == []


async def test_an_enclave_that_a_relay_connects_serves_until_it_leaves(
    room: OpenedRoom, tax: SimOwner, enclave: Elsewhere
) -> None:
    room.attend(tax)
    async with relayed(room, enclave):
        await room.until_state("tax", "serving")
        assert room.server.links.statuses()[0].connected
    await room.until_state("tax", "away")
    assert list((room.folder / "run").iterdir()) == []


async def test_an_enclave_that_comes_back_goes_on_without_its_key_agent(
    room: OpenedRoom, tax: SimOwner, enclave: Elsewhere
) -> None:
    room.attend(tax)
    async with relayed(room, enclave):
        await room.until_state("tax", "serving")
        before = room.server.links.serving("tax").endorsed
    room.agents[0].cancel()
    await room.until_state("tax", "away")
    async with relayed(room, enclave):
        await room.until_state("tax", "serving")
        after = room.server.links.serving("tax").endorsed
    assert before is not None
    assert after is before
    assert "enclave is back" in room.log.getvalue()


async def test_a_line_that_breaks_again_at_once_does_not_make_it_forgotten(
    room: OpenedRoom, tax: SimOwner, enclave: Elsewhere
) -> None:
    room.attend(tax)
    async with relayed(room, enclave):
        await room.until_state("tax", "serving")
        endorsed = room.server.links.serving("tax").endorsed
    room.agents[0].cancel()
    silent = await attend(room, "tax", enclave.door)
    await ordered(silent)
    await room.until_state("tax", "locked")
    silent.cancel()
    await room.until_state("tax", "away")
    async with relayed(room, enclave):
        await room.until_state("tax", "serving")
        assert room.server.links.serving("tax").endorsed is endorsed


async def test_an_enclave_that_comes_back_after_its_endorsement_needs_its_key_agent(
    room: OpenedRoom, tax: SimOwner, enclave: Elsewhere
) -> None:
    room.attend(tax)
    async with relayed(room, enclave):
        await room.until_state("tax", "serving")
        before = room.server.links.serving("tax").endorsed
    room.agents[0].cancel()
    room.world.clock.advance(25 * 3600)
    async with relayed(room, enclave):
        await room.until_state("tax", "locked")
        room.attend(tax)
        await room.until_state("tax", "serving")
        assert room.server.links.serving("tax").endorsed is not before


async def test_another_start_of_the_enclave_needs_its_key_agent(
    room: OpenedRoom, tax: SimOwner, enclave: Elsewhere, tmp_path: Path
) -> None:
    room.attend(tax)
    async with relayed(room, enclave):
        await room.until_state("tax", "serving")
    room.agents[0].cancel()
    async with elsewhere(room, tax, tmp_path / "again") as again, relayed(room, again):
        await room.until_state("tax", "locked")
        await asyncio.sleep(0.3)
        assert state(room) is LinkState.LOCKED


async def test_a_relay_that_alters_what_it_carries_breaks_the_connection_and_no_more(
    room: OpenedRoom, tax: SimOwner, enclave: Elsewhere
) -> None:
    """Every record of TLS is authenticated: a flipped bit ends it."""
    room.attend(tax)
    count = 0

    def flip(data: bytes) -> bytes:
        nonlocal count
        count += 1
        # The handshake passes, and what follows it does not.
        return data if count < 4 else data[:-1] + bytes([data[-1] ^ 1])

    async with relayed(room, enclave, alter=flip):
        async with asyncio.timeout(SECONDS):
            while count < 4:  # noqa: ASYNC110 - the relay's own doing
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        assert state(room) is not LinkState.SERVING
        assert room.server.books.ledger.tip().size <= 3  # at most what the key agent endorsed
    async with relayed(room, enclave):
        await room.until_state("tax", "serving")


async def test_a_relay_that_shows_a_certificate_and_connects_another_enclave_gets_nowhere(
    room: OpenedRoom, tax: SimOwner, enclave: Elsewhere, tmp_path: Path
) -> None:
    room.attend(tax)
    async with elsewhere(room, tax, tmp_path / "other") as other:
        lied = Elsewhere(enclave.started, enclave.socket, other.door)
        async with relayed(room, lied):
            await until(lambda: logged(room, "relay attends"))
            await asyncio.sleep(0.5)
            assert state(room) is not LinkState.SERVING
            assert "enclave unlocked" not in room.log.getvalue()


async def test_an_owner_whose_enclave_the_server_starts_is_told_where_that_stands(
    room: OpenedRoom, enclave: Elsewhere
) -> None:
    await room.enrol("court", identity_pb2.ROLE_OWNER)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ordered(await attend(room, "court", enclave.door))
    error = from_rpc_error(caught.value)
    assert error.reason is Reason.NOT_ALLOWED
    assert error.fields[0].field == "room.toml, enclaves.run_by.court"


async def test_the_newest_relay_wins_and_the_other_is_told(
    room: OpenedRoom, tax: SimOwner, enclave: Elsewhere
) -> None:
    room.attend(tax)
    first = await attend(room, "tax", enclave.door, "first")
    await ordered(first)
    async with relayed(room, enclave):
        assert await refusal(first) is Reason.CONFLICT
        await room.until_state("tax", "serving")
    assert "relay replaced by a newer one" in room.log.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"charter": "sha256:" + "1" * 64},
        {"switchboard": "sha256:" + "1" * 64},
        {"certificate": b""},
    ],
)
async def test_an_enclave_that_was_started_otherwise_is_given_the_order_and_sent_away(
    room: OpenedRoom, tax: SimOwner, enclave: Elsewhere, changes: dict[str, str | bytes]
) -> None:
    door = relay_pb2.EnclaveDoor()
    door.CopyFrom(enclave.door)
    for name, value in changes.items():
        setattr(door, name, value)
    stream = await attend(room, "tax", door)
    order = await ordered(stream)
    assert order.charter.payload == tax.charters[-1].payload
    assert order.switchboard.payload == Room.open(room.folder).switchboard.statement.payload
    assert await stream.read() is grpc.aio.EOF
    assert "relay attends" not in room.log.getvalue()


async def test_a_later_charter_sends_the_relay_away_for_the_new_order(
    room: OpenedRoom, tax: SimOwner, enclave: Elsewhere
) -> None:
    room.attend(tax)
    async with relayed(room, enclave):
        await room.until_state("tax", "serving")
        await room.hand_in(tax.adopt(max_head_age_seconds=30))
        await room.until_state("tax", "away")
    stream = await attend(room, "tax", enclave.door)
    assert (await ordered(stream)).charter.payload == tax.charters[-1].payload
    assert await stream.read() is grpc.aio.EOF


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (relay_pb2.AttendRequest(carried=b"first"), Reason.MALFORMED),
        (relay_pb2.AttendRequest(), Reason.MALFORMED),
        (
            relay_pb2.AttendRequest(door=relay_pb2.EnclaveDoor(certificate=b"none")),
            Reason.MALFORMED,
        ),
        (relay_pb2.AttendRequest(door=relay_pb2.EnclaveDoor(charter="x")), Reason.MALFORMED),
        (relay_pb2.AttendRequest(door=relay_pb2.EnclaveDoor(sandbox_level=4)), Reason.MALFORMED),
    ],
)
async def test_a_first_message_that_is_no_door_is_refused(
    room: OpenedRoom, message: relay_pb2.AttendRequest, reason: Reason
) -> None:
    stub = relay_pb2_grpc.RelayServiceStub(room.calls("tax", "relay").channel)
    stream = stub.Attend()
    await said(stream, message)
    assert await refusal(stream) is reason


async def test_a_relay_that_says_nothing_is_not_waited_for(
    room: OpenedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saferoom.services.relay.FIRST_SECONDS", 0.2)
    stub = relay_pb2_grpc.RelayServiceStub(room.calls("tax", "relay").channel)
    assert await refusal(stub.Attend()) is Reason.DEADLINE


async def test_a_room_that_closes_sends_its_relays_away(tmp_path: Path) -> None:
    world = World("closing")
    async with opened(tmp_path / "room", world, SETTINGS) as room:
        await room.join(world.owner("tax"), attend=False)
        async with elsewhere(room, world.owner("tax"), tmp_path / "there") as at:
            stream = await attend(room, "tax", at.door)
            await ordered(stream)
            await until(lambda: logged(room, "relay attends"))
            await room.server.close()
    assert '"why": "the room closes"' in room.log.getvalue()


async def logged(room: OpenedRoom, words: str) -> bool:
    return words in room.log.getvalue()


# One connection, whose bytes wait in bounded places only.


@pytest.fixture
async def attendance() -> Attendance:
    certificate = x509.load_pem_x509_certificate(World("one").issuer.certificate.encode())
    return Attendance(SaidDoor(certificate, "", "", 0, (), None))


async def test_a_room_that_reads_slowly_is_written_to_slowly(
    attendance: Attendance, tmp_path: Path
) -> None:
    listener = await asyncio.start_unix_server(attendance.connect, tmp_path / "s")
    _, writer = await asyncio.open_unix_connection(tmp_path / "s", limit=1)
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while True:
            await attendance.to_room(bytes(CARRIED_BYTES))
            sent += 1

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(flood(), 0.5)
    assert 0 < sent < 32
    attendance.leave("enough")
    writer.close()
    listener.close()


async def test_there_is_one_connection(attendance: Attendance, tmp_path: Path) -> None:
    listener = await asyncio.start_unix_server(attendance.connect, tmp_path / "s")
    first, one = await asyncio.open_unix_connection(tmp_path / "s")
    second, other = await asyncio.open_unix_connection(tmp_path / "s")
    assert await second.read() == b""
    await attendance.to_room(b"for the first")
    assert await first.read(99) == b"for the first"
    attendance.leave("the end")
    assert await first.read() == b""
    assert [piece async for piece in attendance.from_room()] == []
    with pytest.raises(SafeRoomError) as caught:
        await attendance.to_room(b"too late")
    assert caught.value.reason is Reason.UNAVAILABLE
    for writer in (one, other):
        writer.close()
    listener.close()
