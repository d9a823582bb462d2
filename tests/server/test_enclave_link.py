"""The room's end of an enclave: unlocked only by its owner's agent, followed through its deaths."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from saferoom.place import LinkState
from saferoom_proto.keys import SigningKey
from saferoom_proto.load import LoadHeader, LoadTable
from saferoom_proto.load_order import LoadOrder
from saferoom_proto.reasons import Reason
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.statements import Snapshot, load, seal_statement
from saferoom_proto.v1 import identity_pb2, ledger_pb2, owner_pb2
from saferoom_proto.wire import envelope_from_proto, recorded_from_proto
from simulator import SimOwner, World
from tests.server.conftest import Ready
from tests.server.room.opened import SECONDS, OpenedRoom, endorse, opened, until

HEALTH = "/grpc.health.v1.Health/Check"


async def health(room: OpenedRoom, service: str) -> int:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = room.calls(
        "operator"
    ).channel.unary_unary(HEALTH)
    name = service.encode()
    told = await call(b"\n" + bytes([len(name)]) + name if name else b"", timeout=5)
    return told[1] if told else 0


async def end_process(room: OpenedRoom, owner: str) -> None:
    """Kill an enclave's process, as the kernel would when memory runs out."""
    os.kill(room.process(owner).pid, signal.SIGKILL)
    await until_down(room, owner)


async def until_down(room: OpenedRoom, owner: str) -> None:
    async def down() -> bool:
        states = {each.owner: each.state for each in room.server.links.statuses()}
        return states[owner] is not LinkState.SERVING

    await until(down)


async def test_no_enclave_is_started_for_an_owner_without_a_charter(
    empty_room: OpenedRoom,
) -> None:
    await empty_room.enrol("tax", identity_pb2.ROLE_OWNER)
    assert empty_room.server.links.statuses() == ()
    assert list((empty_room.folder / "enclaves").iterdir()) == []


async def test_an_enclave_without_its_key_is_locked(empty_room: OpenedRoom) -> None:
    tax = empty_room.world.owner("tax")
    await empty_room.join(tax, attend=False)
    await empty_room.until_state("tax", "locked")
    assert await health(empty_room, "enclave/tax") == 2
    assert await health(empty_room, "") == 1
    call = empty_room.calls("tax").owner.GetEndorsement
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(owner_pb2.GetEndorsementRequest(owner="tax"), timeout=5)
    assert from_rpc_error(caught.value).reason is Reason.LOCKED
    empty_room.attend(tax)
    await empty_room.until_state("tax", "serving")
    assert await health(empty_room, "enclave/tax") == 1
    told = await call(owner_pb2.GetEndorsementRequest(owner="tax"), timeout=5)
    envelope_from_proto(told.endorsement).verify([tax.key_agent.verify_key])


async def test_an_agent_of_another_key_opens_nothing(empty_room: OpenedRoom) -> None:
    tax = empty_room.world.owner("tax")
    await empty_room.join(tax, attend=False)
    empty_room.attend(tax, SigningKey.generate())
    await until(logged(empty_room, "BAD_ENDORSEMENT"))
    assert empty_room.server.links.statuses()[0].state is LinkState.LOCKED


def logged(room: OpenedRoom, word: str) -> Callable[[], Awaitable[bool]]:
    async def found() -> bool:
        return word in room.log.getvalue()

    return found


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"identity": SigningKey.generate().verify_key.public}, "BAD_ENDORSEMENT"),
        ({"tls": "sha256:" + "1" * 64}, "BAD_ENDORSEMENT"),
        ({"evidence": "sha256:" + "1" * 64}, "BAD_ENDORSEMENT"),
        ({"code": "sha256:" + "1" * 64}, "BAD_ENDORSEMENT"),
        ({"sandbox_level": 3}, "BAD_ENDORSEMENT"),
        ({"charter": "sha256:" + "1" * 64}, "BAD_ENDORSEMENT"),
        ({"owner": "court"}, "BAD_ENDORSEMENT"),
    ],
)
async def test_an_endorsement_of_something_else_than_was_claimed_opens_nothing(
    empty_room: OpenedRoom,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    reason: str,
) -> None:
    def lying(statement: object, owner: SimOwner, key: SigningKey) -> object:
        return endorse(statement, owner, key, **changes)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr("tests.server.room.opened.endorse", lying)
    tax = empty_room.world.owner("tax")
    await empty_room.join(tax, attend=False)
    empty_room.attend(tax)
    await until(logged(empty_room, reason))
    assert empty_room.server.links.statuses()[0].state is LinkState.LOCKED


async def test_a_made_up_enclave_that_endorses_itself_is_refused(
    empty_room: OpenedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's member attends, but the endorsement is signed by the enclave's own maker."""
    own = SigningKey.generate()

    def self_made(statement: object, owner: SimOwner, key: SigningKey) -> object:
        return endorse(statement, owner, own)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr("tests.server.room.opened.endorse", self_made)
    tax = empty_room.world.owner("tax")
    await empty_room.join(tax, attend=False)
    empty_room.attend(tax)
    await until(logged(empty_room, "BAD_ENDORSEMENT"))
    assert empty_room.server.links.statuses()[0].state is LinkState.LOCKED
    assert empty_room.server.books.ledger.tip().size == 1  # the charter, and no endorsement


async def test_an_agent_whose_certificate_was_revoked_is_not_asked(ready: Ready) -> None:
    room, world = ready.room, ready.sample.world
    await room.enrol("issuer", identity_pb2.ROLE_ISSUER)
    revocation = world.issuer.revocation(room.member("tax", "key-agent").der, world.now())
    await room.hand_in(revocation)
    await end_process(room, "tax")
    await until(logged(room, "CERTIFICATE_REVOKED"))
    assert room.server.links.statuses()[1].state is LinkState.LOCKED


async def test_an_endorsement_is_renewed_at_half_its_time(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    await look_often(ready, monkeypatch)
    first = ready.room.server.links.serving("tax").endorsed
    assert first is not None
    ready.sample.world.clock.advance(13 * 3600)

    async def renewed() -> bool:
        now = ready.room.server.links.serving("tax").endorsed
        return now is not None and now.digest != first.digest

    await until(renewed)
    await ready.room.ask("bank-a", ready.question())


async def test_an_enclave_whose_endorsement_ran_out_serves_no_more(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = ready.room
    await look_often(ready, monkeypatch)
    for agent in room.agents:
        agent.cancel()
    await asyncio.gather(*room.agents, return_exceptions=True)
    ready.sample.world.clock.advance(13 * 3600)
    await asyncio.sleep(0.2)
    await room.ask("bank-a", ready.question())
    ready.sample.world.clock.advance(12 * 3600)
    await room.until_state("tax", "locked")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await room.ask("bank-a", ready.question())
    assert from_rpc_error(caught.value).reason is Reason.LOCKED
    room.attend(ready.sample.tax)
    await room.until_state("tax", "serving")
    await room.ask("bank-a", ready.question())


async def look_often(ready: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have new sessions look at the world's clock often."""
    monkeypatch.setattr("saferoom.session._LONGEST_SLEEP_SECONDS", 0.05)
    for owner in ("tax", "court"):
        await end_process(ready.room, owner)
    for owner in ("tax", "court"):
        await ready.room.until_state(owner, "serving")


async def test_who_is_no_owner_has_no_endorsement_and_no_evidence(ready: Ready) -> None:
    owner = ready.room.calls("bank-a").owner
    asked = (
        owner.GetEndorsement(owner_pb2.GetEndorsementRequest(owner="water"), timeout=SECONDS),
        owner.GetEvidence(
            owner_pb2.GetEvidenceRequest(owner="water", nonce=bytes(32)), timeout=SECONDS
        ),
    )
    for call in asked:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        error = from_rpc_error(caught.value)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert error.reason is Reason.UNKNOWN_STATEMENT
        assert [each.rule for each in error.fields] == ["water is no data owner"]


async def test_the_endorsement_and_its_evidence_stand_in_the_log(ready: Ready) -> None:
    calls = ready.room.calls("bank-a")
    told = await calls.owner.GetEndorsement(
        owner_pb2.GetEndorsementRequest(owner="tax"), timeout=SECONDS
    )
    for statement in (told.endorsement, told.claims):
        digest = envelope_from_proto(statement).digest
        answer = await calls.ledger.GetStatement(
            ledger_pb2.GetStatementRequest(digest=digest), timeout=SECONDS
        )
        assert answer.recorded.statement == statement


async def test_a_killed_enclave_is_started_again_and_answers_the_same(ready: Ready) -> None:
    room = ready.room
    question = ready.question()
    first = await room.ask("bank-a", question)
    await end_process(room, "tax")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await room.ask("bank-a", ready.question())
    assert from_rpc_error(caught.value).reason in {Reason.UNAVAILABLE, Reason.LOCKED}
    assert await room.ask("bank-a", question) == first
    await room.until_state("tax", "serving")
    assert await room.ask("bank-a", question) == first
    await room.ask("bank-a", ready.question())


async def test_an_idle_enclave_gets_fresh_heads(tmp_path: Path) -> None:
    world = World("heads")
    settings = "[heads]\ninterval_seconds = 0.05\n"
    async with opened(tmp_path / "room", world, settings) as room:
        await room.join(world.owner("tax"))
        session = room.server.links.serving("tax")
        nonces: set[bytes] = set()

        async def three() -> bool:
            nonces.add(session._standing().standing.head_nonce)
            return len(nonces) >= 3

        await until(three)
        assert room.server.links.serving("tax") is session


async def test_a_later_charter_restarts_the_enclave_under_it(ready: Ready) -> None:
    room, tax = ready.room, ready.sample.tax
    before = room.server.links.serving("tax")
    await room.hand_in(tax.adopt(max_head_age_seconds=30))

    async def restarted() -> bool:
        statuses = {each.owner: each for each in room.server.links.statuses()}
        session = room.server.links._links["tax"].session
        serves = statuses["tax"].state is LinkState.SERVING
        return serves and session is not None and session is not before

    await until(restarted)
    session = room.server.links.serving("tax")
    assert session.charter.charter.version == 2
    assert session.endorsed is not None
    assert session.endorsed.endorsement.charter == tax.charter.digest


async def test_a_room_that_lost_its_newest_entries_is_noticed(tmp_path: Path) -> None:
    """An older copy of the database: the enclave is ahead of it, and gets no head of it."""
    world = World("rollback")
    tax = world.owner("tax")
    folder = tmp_path / "room"
    async with opened(folder, world) as room:
        await room.join(tax)
    older = {name: (folder / name).read_bytes() for name in ("state.db",)}
    async with opened(folder, world) as room:
        room.attend(tax)
        await room.until_state("tax", "serving")
        session = room.server.links.serving("tax")
        newest = session._standing().standing
    for name, data in older.items():
        (folder / name).write_bytes(data)
    async with opened(folder, world) as room:
        room.behave("tax", stands={"sequence": newest.sequence + 3, "size": 50})
        room.attend(tax)
        await until(logged(room, "BROKEN_STREAM"))
        assert room.server.links.statuses()[0].state is not LinkState.SERVING


async def test_a_load_is_passed_on_and_its_order_and_snapshot_recorded(ready: Ready) -> None:
    room, tax = ready.room, ready.sample.tax
    calls = room.calls("tax")
    order, pieces = the_load(ready)
    told = await calls.owner.LoadData(iter(pieces), timeout=SECONDS)
    recorded = recorded_from_proto(told.snapshot)
    snapshot = load(recorded.statement, Snapshot)
    assert (snapshot.order, dict(snapshot.rows)) == (order, {"pieces": 30})
    statement = await calls.ledger.GetStatement(
        ledger_pb2.GetStatementRequest(digest=order), timeout=SECONDS
    )
    envelope_from_proto(statement.recorded.statement).verify(tax.charter.approver_keys)
    for member, shown in (("tax", True), ("court", False), ("bank-a", False)):
        endorsement = await room.calls(member).owner.GetEndorsement(
            owner_pb2.GetEndorsementRequest(owner="tax"), timeout=SECONDS
        )
        assert endorsement.HasField("snapshot") is shown


async def test_rows_that_are_refused_come_back_sealed(ready: Ready) -> None:
    _, pieces = the_load(ready)
    told = await ready.room.calls("tax").owner.LoadData(iter(pieces[:1]), timeout=SECONDS)
    assert not told.HasField("snapshot")
    assert told.sealed_faults == b"sealed faults"


@pytest.mark.parametrize(
    ("member", "reason"), [("court", Reason.NOT_ALLOWED), ("bank-a", Reason.NOT_ALLOWED)]
)
async def test_nobody_loads_for_another_owner(ready: Ready, member: str, reason: Reason) -> None:
    _, pieces = the_load(ready)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ready.room.calls(member).owner.LoadData(iter(pieces), timeout=SECONDS)
    assert from_rpc_error(caught.value).reason is reason


async def test_a_load_begins_with_its_header(ready: Ready) -> None:
    _, pieces = the_load(ready)
    for wrong in ([], pieces[1:]):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ready.room.calls("tax").owner.LoadData(iter(wrong), timeout=SECONDS)
        assert from_rpc_error(caught.value).reason is Reason.MALFORMED


def the_load(ready: Ready) -> tuple[str, list[owner_pb2.LoadDataRequest]]:
    """Give a load for the stand-in enclave: its order's digest, and its pieces."""
    tax, world = ready.sample.tax, ready.sample.world
    schema = next(
        each.digest
        for each in world.streams["tax"].statements
        if "schema" in each.payload_type.split(".")[2]
    )
    header = LoadHeader("tax", schema, (LoadTable("firms", 3),))
    order = seal_statement(
        LoadOrder.of(
            header,
            bytes(32),
            room=world.room,
            approver="chen",
            follows=None,
            reply_key=ready.sample.bank.reply.public,
            at=world.now(),
        ),
        tax.approvers["chen"],
    )
    message = owner_pb2.LoadHeader(
        owner="tax",
        schema=schema,
        sealed_key=order.to_json(),
        tables=[owner_pb2.LoadTable(name="firms", pieces=3)],
    )
    sealed = [owner_pb2.LoadDataRequest(sealed=b"s" * 10) for _ in range(3)]
    return order.digest, [owner_pb2.LoadDataRequest(header=message), *sealed]


async def test_enclaves_end_with_the_room(tmp_path: Path) -> None:
    world = World("end")
    async with opened(tmp_path / "room", world) as room:
        await room.join(world.owner("tax"))
        process = room.process("tax")
    assert process.returncode is not None
    assert list((tmp_path / "room" / "run").iterdir()) == []
    await asyncio.sleep(0)
