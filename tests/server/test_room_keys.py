"""The room's keys, certificates and issuers change while it runs."""

from __future__ import annotations

import asyncio
import sqlite3
import ssl
from contextlib import closing
from io import StringIO
from pathlib import Path

import grpc
import pytest

from saferoom.logs import Level, make_log
from saferoom.room import Room
from saferoom.rotation import begin, finish, renew_server
from saferoom.server import Server
from saferoom_client.handovers import follow
from saferoom_client.heads import require_grown
from saferoom_client.members import describe, whoami
from saferoom_client.profile import Profile
from saferoom_client.seen_log import UnseenHead
from saferoom_client.session import Session
from saferoom_proto.checkpoint import open_checkpoint
from saferoom_proto.handover import Handover
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import KeyUse, RoomKeys
from saferoom_proto.suite import Suite
from saferoom_proto.v1 import identity_pb2, owner_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import Seeds, SimIssuer, World
from tests.server.conftest import Ready
from tests.server.room.forked import fake
from tests.server.room.joined import Joining, let_in
from tests.server.room.opened import SECONDS, OpenedRoom, make_room, opened, until


async def until_handed_over(room: OpenedRoom, count: int = 1) -> None:
    """Wait until the room says that its keys were handed over so many times."""

    async def said() -> bool:
        ask = identity_pb2.GetRoomRequest()
        told = await room.calls("operator").identity.GetRoom(ask, timeout=SECONDS)
        return len(told.handovers) == count

    await until(said)


async def until_in_force(room: OpenedRoom, key: str) -> None:
    """Wait until the room goes by a ledger key alone."""

    async def named() -> bool:
        ask = identity_pb2.GetRoomRequest()
        told = await room.calls("operator").identity.GetRoom(ask, timeout=SECONDS)
        return VerifyKey(told.ledger_key).public == key

    await until(named)


def opened_by(room: OpenedRoom, key: str) -> int:
    note = room.server.books.ledger.checkpoint()
    return open_checkpoint(note, room.world.room, VerifyKey.from_public(key)).size


async def test_a_member_follows_the_logs_key_and_what_it_kept_stays_valid(
    empty_room: OpenedRoom, tmp_path: Path
) -> None:
    joining = let_in(empty_room, tmp_path)
    member = joining.member("operator")
    await joining.until_known(member)
    async with Session(member, clock=empty_room.world.now) as session:
        before = (await require_grown(session)).note
        unseen = UnseenHead(checkpoint=before, since=empty_room.world.now())
        member.log.keep_unseen(before, None, unseen)
        says = begin(empty_room.folder, "ledger").says
        await until_handed_over(empty_room)
        # Both sign: who pinned the former key notices nothing.
        assert opened_by(empty_room, says.former) == opened_by(empty_room, says.following)
        await describe(session)
        await require_grown(session)
        followed = await follow(session)
        assert followed.ledger_key == says.following
        # The former key counts for what it signed in its time.
        session.profile.trust.open_checkpoint(before)
        finish(empty_room.folder, "ledger")
        await describe(session)
    kept = Profile.load(member.folder)
    assert kept.card.ledger_key == kept.trust.ledger_key == says.following
    assert [each.key for each in kept.trust.former_ledger_keys] == [says.former]
    # What its witnesses lack, they lack since when they did, whoever signs it now.
    seen = kept.log.read()
    assert seen is not None
    assert seen.unseen == UnseenHead(checkpoint=seen.checkpoint, since=unseen.since)
    assert kept.without_former_keys().trust.open_checkpoint(seen.checkpoint).size > 0


async def test_a_member_that_was_away_the_whole_time_follows_afterwards(
    empty_room: OpenedRoom, tmp_path: Path
) -> None:
    joining = let_in(empty_room, tmp_path)
    member = joining.member("operator")
    await joining.until_known(member)
    async with Session(member, clock=empty_room.world.now) as session:
        member.log.keep((await require_grown(session)).note)
    says = [await _whole_handover(empty_room, count) for count in (1, 2)]
    async with Session(Profile.load(member.folder), clock=empty_room.world.now) as session:
        with pytest.raises(SafeRoomError) as refused:
            await describe(session)
        assert refused.value.reason is Reason.BAD_PROOF
        assert f"saferoom room follow -p {member.folder}" in refused.value.__notes__
        followed = await follow(session)
        assert [each.says for each in followed.handovers] == [each.says for each in says]
        await describe(session)
        assert (await follow(session)).handovers == ()


async def _whole_handover(room: OpenedRoom, count: int) -> Handover:
    handover = begin(room.folder, "ledger")
    await until_handed_over(room, count)
    finish(room.folder, "ledger")
    await until_in_force(room, handover.says.following)
    return handover


async def test_the_former_key_is_not_ended_while_an_owners_enclave_lives_by_it(
    ready: Ready,
) -> None:
    room, said = ready.room, ready.sample
    handover = begin(room.folder, "ledger")
    await until_handed_over(room)
    with pytest.raises(SafeRoomError) as refused:
        finish(room.folder, "ledger")
    assert refused.value.reason is Reason.CONFLICT
    assert "court, tax" in refused.value.detail
    heads = room.world.heads.verify_key.public
    for owner in (said.tax, said.court):
        charter = owner.next_charter(
            room_keys=RoomKeys(ledger=handover.says.following, heads=heads)
        )
        owner.charters.append(charter)
        request = owner_pb2.PutCharterRequest(charter=envelope_to_proto(charter))
        await room.calls(owner.name).owner.PutCharter(request, timeout=SECONDS)
    card = finish(room.folder, "ledger")
    assert card.ledger_key == handover.says.following
    await until_in_force(room, handover.says.following)


async def test_a_handover_begun_and_ended_while_the_room_is_down_counts_at_its_starts(
    tmp_path: Path,
) -> None:
    folder, world = tmp_path / "room", World("down")
    async with opened(folder, world) as room:
        begun_at = room.server.books.ledger.tip().size
    for use in KeyUse:
        begin(folder, use)
    with pytest.raises(SafeRoomError, match="does not hold the handover yet"):
        finish(folder, "ledger")
    async with opened(folder, world) as room:
        await until_handed_over(room, len(KeyUse))
        assert room.server.books.ledger.tip().size == begun_at + len(KeyUse)
    async with opened(folder, world) as room:  # and once more: it is said once
        await until_handed_over(room, len(KeyUse))
    cards = [finish(folder, use) for use in KeyUse]
    async with opened(folder, world) as room:
        await until_in_force(room, cards[-1].ledger_key)
        await until_handed_over(room, len(KeyUse))
    assert sorted(each.name for each in (folder / "keys").iterdir()) == ["heads.pem", "ledger.pem"]


@pytest.mark.parametrize("cut", ["ledger-next.pem", "ledger-handover.json"])
async def test_a_handover_that_was_cut_off_is_begun_anew_or_named(tmp_path: Path, cut: str) -> None:
    folder, world = tmp_path / "room", World("cut")
    make_room(folder, world)
    first = begin(folder, "ledger").says
    (folder / "keys" / cut).unlink()
    if cut == "ledger-next.pem":  # killed before the key was there: nothing was begun
        assert begin(folder, "ledger").says.following != first.following
    else:  # nobody's doing but a hand's: the file is named, and nothing is signed
        with pytest.raises(SafeRoomError, match=r"ledger-handover\.json"):
            Room.open(folder)


async def test_a_charter_with_a_key_that_does_not_sign_is_refused(ready: Ready) -> None:
    charter = ready.sample.tax.next_charter(
        room_keys=RoomKeys(
            ledger=SigningKey.generate().verify_key.public,
            heads=ready.room.world.heads.verify_key.public,
        )
    )
    request = owner_pb2.PutCharterRequest(charter=envelope_to_proto(charter))
    with pytest.raises(grpc.aio.AioRpcError):
        await ready.room.calls("tax").owner.PutCharter(request, timeout=SECONDS)


async def test_nothing_is_ended_that_was_not_begun(empty_room: OpenedRoom) -> None:
    for use in KeyUse:
        with pytest.raises(SafeRoomError) as refused:
            finish(empty_room.folder, use)
        assert refused.value.reason is Reason.CONFLICT
    begin(empty_room.folder, "heads")
    with pytest.raises(SafeRoomError) as refused:
        begin(empty_room.folder, "heads")
    assert refused.value.reason is Reason.CONFLICT


async def test_new_connections_get_the_renewed_certificate_and_open_ones_go_on(
    empty_room: OpenedRoom,
) -> None:
    calls = empty_room.calls("operator")
    await calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=SECONDS)
    before = await _served(empty_room)
    renew_server(empty_room.folder)

    async def renewed() -> bool:
        await calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=SECONDS)
        return await _served(empty_room) != before

    await until(renewed)
    fresh = empty_room.calls("operator", "another")
    told = await fresh.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=SECONDS)
    assert told.name == "another"


async def _served(room: OpenedRoom) -> str:
    """Give the certificate that a new connection is shown."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("localhost", room.server.port))


@pytest.mark.parametrize("name", ["server.key", "server.pem", "switchboard.pem"])
async def test_a_half_made_change_of_the_folder_changes_nothing(
    empty_room: OpenedRoom, name: str
) -> None:
    key = empty_room.folder / "tls" / name
    whole = key.read_bytes()
    key.write_bytes(b"half a key")
    await until(lambda: _told(empty_room, "does not count yet"))
    fresh = empty_room.calls("operator", "meanwhile")
    told = await fresh.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=SECONDS)
    assert told.name == "meanwhile"
    key.write_bytes(whole)
    await until(lambda: _told(empty_room, "the folder changed"))


async def test_the_last_issuer_is_not_shut_out(empty_room: OpenedRoom) -> None:
    (issuer,) = (empty_room.folder / "issuers").iterdir()
    whole = issuer.read_bytes()
    issuer.unlink()
    await until(lambda: _told(empty_room, "nobody could connect"))
    fresh = empty_room.calls("operator", "still-in")
    told = await fresh.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=SECONDS)
    assert told.name == "still-in"
    issuer.write_bytes(whole)


async def test_an_issuer_that_names_no_connections_is_not_left_alone(
    empty_room: OpenedRoom,
) -> None:
    (issuer,) = (empty_room.folder / "issuers").iterdir()
    of_guomi = SimIssuer("second", "room", Seeds("second", Suite.GUOMI))
    issuer.write_text(of_guomi.certificate)
    await until(lambda: _told(empty_room, "nobody could connect"))
    fresh = empty_room.calls("operator", "still-in")
    told = await fresh.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=SECONDS)
    assert told.name == "still-in"


async def test_a_file_that_cannot_even_be_looked_at_does_not_end_the_watch(
    empty_room: OpenedRoom, tmp_path: Path
) -> None:
    loop = empty_room.folder / "issuers" / "loop"
    loop.symlink_to(loop)
    await until(lambda: _told(empty_room, "symbolic link"))
    assert empty_room.log.getvalue().count("does not count yet") == 1
    loop.unlink()
    joining = let_in(empty_room, tmp_path)
    await joining.until_known(joining.member("operator"))


async def test_a_handover_that_could_not_be_recorded_is_tried_again(empty_room: OpenedRoom) -> None:
    with closing(sqlite3.connect(empty_room.folder / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # somebody copies the file
        before = empty_room.server.books.ledger.tip().size
        begin(empty_room.folder, "heads")
        await until(lambda: _told(empty_room, "database is locked"))
        other.execute("ROLLBACK")
    await until_handed_over(empty_room)
    assert empty_room.server.books.ledger.tip().size == before + 1


async def test_what_changed_while_the_room_was_opening_counts(tmp_path: Path) -> None:
    folder, world = tmp_path / "room", World("opening")
    room = Room.open(make_room(folder, world))
    says = begin(folder, "ledger").says
    log = make_log(Level.INFO, StringIO())
    server = await Server.open(room, log=log, command=(fake(),), clock=world.clock.utc)
    try:
        note = server.books.ledger.checkpoint()
    finally:
        await server.close()
    for key in (says.former, says.following):
        assert open_checkpoint(note, world.room, VerifyKey.from_public(key)).size > 0


async def _told(room: OpenedRoom, words: str) -> bool:
    return words in room.log.getvalue()


async def test_an_issuer_that_is_shut_out_names_nobody_any_more(
    empty_room: OpenedRoom, tmp_path: Path
) -> None:
    joining: Joining = let_in(empty_room, tmp_path)
    member = joining.member("operator", "of-the-second")
    await joining.until_known(member)
    async with Session(member, clock=empty_room.world.now) as session:
        assert (await whoami(session)).name == "of-the-second"
        (empty_room.folder / "issuers" / "second.pem").unlink()

        # Also on the connection that is open.
        async def refused() -> bool:
            try:
                await whoami(session)
            except SafeRoomError as error:
                return error.reason is Reason.UNAUTHENTICATED
            return False

        await until(refused)
    # The members of the other issuer go on.
    calls = empty_room.calls("operator")
    await calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=SECONDS)
