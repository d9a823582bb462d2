"""Attacks on the connection and the call, before any service sees it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from saferoom.server import HARD_METADATA_BYTES, MAX_MESSAGE_BYTES
from saferoom_proto.identity import organisation_uri
from saferoom_proto.reasons import Reason
from saferoom_proto.rpc_errors import from_rpc_error, metadata_of
from saferoom_proto.v1 import check_pb2, evidence_pb2, identity_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import START, SimIssuer, World, sample
from tests.server.conftest import INSTITUTION, Ready, make_ready
from tests.server.room.members import YEARS, Connection, connection
from tests.server.room.opened import SECONDS, Calls, OpenedRoom, opened

DESK = organisation_uri("bank-a", "desk")
WHO = "/saferoom.v1.IdentityService/WhoAmI"
REFUSED_BY_TLS = {grpc.StatusCode.UNAVAILABLE}


async def refused(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def raw(channel: grpc.aio.Channel, method: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    """Call a method with bytes as they are."""
    return channel.unary_unary(method)


async def who_am_i(room: OpenedRoom, own: Connection | None) -> identity_pb2.WhoAmIResponse:
    calls = Calls(room.channel(own))
    return await calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=5)


def foreign(world: World) -> Connection:
    """Give a certificate of an issuer with the room's issuer's name and other keys."""
    other = World("another room").issuer
    assert other._subject == world.issuer._subject
    return connection(DESK, other)


def of_a_leaf(world: World) -> Connection:
    """Give a certificate that an ordinary member made, as if it were an issuer."""
    issuer = SimIssuer("issuer", world.room, World("leaf").seeds)
    return connection(DESK, issuer)


@pytest.mark.parametrize("kind", ["none", "self-signed", "expired", "not yet", "foreign", "leaf"])
async def test_a_certificate_of_no_known_issuer_or_time_does_not_connect(
    empty_room: OpenedRoom, kind: str
) -> None:
    issuer = empty_room.world.issuer
    past, future = START - timedelta(days=3), START + YEARS
    made = {
        "none": lambda: None,
        "self-signed": lambda: connection(DESK, None),
        "expired": lambda: connection(DESK, issuer, past, START - timedelta(days=1)),
        "not yet": lambda: connection(DESK, issuer, future, future + YEARS),
        "foreign": lambda: foreign(empty_room.world),
        "leaf": lambda: of_a_leaf(empty_room.world),
    }[kind]()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await who_am_i(empty_room, made)
    assert caught.value.code() in REFUSED_BY_TLS


@pytest.mark.parametrize(
    "uri", ["urn:saferoom:org:bank-a", "https://bank-a.example/desk", "urn:saferoom:org:Bank:x"]
)
async def test_a_known_issuers_certificate_without_a_name_of_ours_names_nobody(
    empty_room: OpenedRoom, uri: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await who_am_i(empty_room, connection(uri, empty_room.world.issuer))
    assert from_rpc_error(caught.value).reason is Reason.UNAUTHENTICATED


async def test_a_certificate_that_ends_while_its_connection_lives_counts_no_more(
    empty_room: OpenedRoom,
) -> None:
    calls = empty_room.calls("operator")
    await calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=5)
    empty_room.world.clock.turn(YEARS.total_seconds() + 1)
    error = await refused(calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=5))
    assert from_rpc_error(error).reason is Reason.UNAUTHENTICATED


async def test_a_certificate_revoked_on_a_live_connection_is_refused_at_its_next_call(
    ready: Ready,
) -> None:
    room, world = ready.room, ready.sample.world
    calls, own = room.calls("bank-a"), room.member("bank-a")
    await calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=5)
    revocation = world.issuer.revocation(own.der, world.now())
    await room.enrol("issuer", identity_pb2.ROLE_ISSUER)
    await room.calls("issuer").identity.RevokeCertificate(
        identity_pb2.RevokeCertificateRequest(revocation=envelope_to_proto(revocation)),
        timeout=SECONDS,
    )
    error = await refused(calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=5))
    assert from_rpc_error(error).reason is Reason.CERTIFICATE_REVOKED
    told = await who_am_i(room, connection(DESK, world.issuer))
    assert told.organisation == "bank-a"


async def test_what_metadata_says_of_the_caller_is_ignored(empty_room: OpenedRoom) -> None:
    await empty_room.enrol("bank-a", INSTITUTION)
    spoof = (
        ("x-org", "operator"),
        ("x-forwarded-client-cert", 'Hash=1;URI="urn:saferoom:org:operator:desk"'),
        ("authorization", "Bearer operator"),
        ("x509_pem_cert", empty_room.member("operator").certificate.decode().replace("\n", " ")),
    )
    calls = empty_room.calls("bank-a")
    told = await calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=5, metadata=spoof)
    assert (told.organisation, list(told.roles)) == ("bank-a", [INSTITUTION])


async def test_who_is_not_enrolled_is_told_so_and_does_nothing_else(
    empty_room: OpenedRoom,
) -> None:
    calls = empty_room.calls("stranger")
    told = await calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=5)
    assert (told.organisation, list(told.roles)) == ("stranger", [])
    listing = calls.identity.ListOrganisations(identity_pb2.ListOrganisationsRequest(), timeout=5)
    assert from_rpc_error(await refused(listing)).reason is Reason.NOT_ALLOWED
    before = empty_room.server
    assert before.port


@pytest.mark.parametrize(
    "method",
    [
        "/saferoom.v1.CheckService/Chek",
        "/saferoom.v1.EnclaveService/Judge",
        "/saferoom.v1.EnclaveService/Unlock",
        "/grpc.channelz.v1.Channelz/GetServers",
        "/a/b",
    ],
)
async def test_an_unknown_method_fails_closed(empty_room: OpenedRoom, method: str) -> None:
    channel = empty_room.channel(empty_room.member("operator"))
    error = await refused(raw(channel, method)(b"", timeout=5))
    assert from_rpc_error(error).reason is Reason.NOT_ALLOWED
    streaming: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
    stream = streaming(iter([b""]), timeout=5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_an_oversized_message_is_refused(empty_room: OpenedRoom) -> None:
    channel = empty_room.channel(empty_room.member("operator"))
    error = await refused(raw(channel, WHO)(bytes(MAX_MESSAGE_BYTES + 1), timeout=5))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert from_rpc_error(error).reason is Reason.TOO_LARGE


async def test_a_compressed_bomb_is_refused(empty_room: OpenedRoom) -> None:
    bomb = bytes(32 << 20)
    assert len(gzip.compress(bomb)) < 64 << 10
    channel = empty_room.channel(empty_room.member("operator"))
    error = await refused(raw(channel, WHO)(bomb, timeout=10, compression=grpc.Compression.Gzip))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_200_kib_of_metadata_are_refused(empty_room: OpenedRoom) -> None:
    calls = empty_room.calls("operator")
    metadata = (("x-filler", "f" * (200 << 10)),)
    error = await refused(
        calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=5, metadata=metadata)
    )
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    small = (("x-filler", "f" * (HARD_METADATA_BYTES // 4)),)
    told = await calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=5, metadata=small)
    assert told.organisation == "operator"


async def test_a_message_that_breaks_a_rule_is_refused_with_the_field_and_not_the_value(
    ready: Ready,
) -> None:
    envelope = evidence_pb2.Envelope(
        payload_type="application/json",
        payload=b"{}",
        signatures=[evidence_pb2.Signature(keyid="SECRET" * 40, sig=bytes(64))],
    )
    calls = ready.room.calls("bank-a")
    error = await refused(
        calls.check.Check(check_pb2.CheckRequest(request=envelope), timeout=SECONDS)
    )
    told = from_rpc_error(error)
    assert told.reason is Reason.MALFORMED
    assert [fault.field for fault in told.fields] == ["request.signatures[0].keyid"]
    assert "SECRET" not in str(error)
    assert "SECRET" not in ready.room.log.getvalue()


async def test_a_message_of_half_a_million_faults_holds_up_nobody(ready: Ready) -> None:
    empty = evidence_pb2.Envelope(signatures=[evidence_pb2.Signature()] * (500 << 10))
    flood = check_pb2.CheckRequest(request=empty).SerializeToString()
    assert len(flood) < MAX_MESSAGE_BYTES
    check = raw(ready.room.channel(ready.room.member("bank-a")), "/saferoom.v1.CheckService/Check")
    error = await asyncio.wait_for(refused(check(flood, timeout=SECONDS)), SECONDS)
    told = from_rpc_error(error)
    assert told.reason is Reason.MALFORMED
    assert len(told.fields) == 1  # to name them all took the room a minute and a half


async def test_bytes_that_are_no_message_are_refused(empty_room: OpenedRoom) -> None:
    channel = empty_room.channel(empty_room.member("operator"))
    error = await refused(raw(channel, WHO)(b"\xff\xff\xff", timeout=5))
    assert from_rpc_error(error).reason is Reason.MALFORMED


async def test_twelve_slow_callers_do_not_starve_another(ready: Ready) -> None:
    room, said = ready.room, ready.sample
    slow = [room.calls("bank-a", f"desk-{number}") for number in range(12)]
    room.behave("tax", delay_seconds=2)
    questions = [
        calls.check.Check(
            check_pb2.CheckRequest(request=envelope_to_proto(ready.question())), timeout=30
        )
        for calls in slow
        for _ in range(8)
    ]
    waiting = [asyncio.ensure_future(_outcome(each)) for each in questions]
    await asyncio.sleep(0.5)
    room.behave("tax")
    answer = await room.ask("bank-b", ready.question(said.other_bank))
    assert len(answer.parts) == 1
    outcomes = [each.result() for each in waiting if each.done()]
    assert Reason.TOO_MANY_REQUESTS in outcomes
    for each in questions:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def _outcome(call: Awaitable[object]) -> Reason | None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error).reason
    except asyncio.CancelledError:
        pass
    return None


async def test_twelve_silent_loads_do_not_starve_another(ready: Ready) -> None:
    room = ready.room
    loads = [
        room.calls("tax", f"loader-{number}").owner.LoadData(timeout=30) for number in range(12)
    ]
    outcomes = [asyncio.ensure_future(_outcome(each)) for each in loads]
    done, held = await asyncio.wait(outcomes, timeout=1)
    assert {each.result() for each in done} <= {Reason.TOO_MANY_REQUESTS}
    assert held
    answer = await room.ask("bank-a", ready.question())
    assert len(answer.parts) == 1
    for each in loads:
        each.cancel()
    await asyncio.gather(*outcomes, return_exceptions=True)


async def test_a_load_that_falls_silent_ends(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = World("silent")
    settings = "[limits]\nload_idle_seconds = 0.2\n"
    async with opened(tmp_path_factory.mktemp("silent") / "room", world, settings) as room:
        await room.enrol("tax", identity_pb2.ROLE_OWNER)
        load = room.calls("tax").owner.LoadData(timeout=10)
        assert await _outcome(load) is Reason.DEADLINE


async def test_a_callers_own_deadline_ends_its_call(ready: Ready) -> None:
    ready.room.behave("tax", delay_seconds=2)
    message = check_pb2.CheckRequest(request=envelope_to_proto(ready.question()))
    error = await refused(ready.room.calls("bank-a").check.Check(message, timeout=0.3))
    assert from_rpc_error(error).reason is Reason.DEADLINE


async def test_the_rooms_deadline_holds_for_who_sets_none(tmp_path: Path) -> None:
    said = sample("deadline")
    settings = "[limits]\ndeadline_seconds = 3\n"
    async with opened(tmp_path / "room", said.world, settings) as room:
        ready = await make_ready(room, said)
        room.behave("tax", delay_seconds=5)
        message = check_pb2.CheckRequest(request=envelope_to_proto(ready.question()))
        error = await refused(room.calls("bank-a").check.Check(message))
        assert from_rpc_error(error).reason is Reason.DEADLINE
        assert metadata_of(error).keys() == {"request_id"}


async def test_a_member_of_no_owner_attends_no_keys(ready: Ready) -> None:
    # It says nothing: it is refused by whose certificate it comes with, and may be before it could.
    stream = ready.room.calls("bank-a").owner.AttendKeys(timeout=5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert from_rpc_error(caught.value).reason is Reason.NOT_ALLOWED
