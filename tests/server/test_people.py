"""Organisations that are revoked, and the roll of members' certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import grpc
import pytest

from saferoom_proto.reasons import Reason
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.v1 import check_pb2, identity_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import World, sample
from tests.server.conftest import INSTITUTION, Ready, make_ready
from tests.server.room.opened import SECONDS, OpenedRoom, opened, until


async def revoke(room: OpenedRoom, name: str, by: str = "operator") -> identity_pb2.Organisation:
    request = identity_pb2.RevokeOrganisationRequest(name=name)
    told = await room.calls(by).identity.RevokeOrganisation(request, timeout=SECONDS)
    return told.organisation


async def refusal(call: Awaitable[object]) -> Reason:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value).reason


async def people(room: OpenedRoom, organisation: str = "") -> list[identity_pb2.MemberCertificate]:
    request = identity_pb2.ListCertificatesRequest(organisation=organisation)
    told = await room.calls("operator").identity.ListCertificates(request, timeout=SECONDS)
    return list(told.certificates)


async def test_a_revoked_organisations_members_are_refused_at_the_next_call(ready: Ready) -> None:
    room, bank = ready.room, ready.sample.bank.name
    await room.ask(bank, ready.question())
    assert list((await revoke(room, bank)).roles) == []
    message = check_pb2.CheckRequest(request=envelope_to_proto(ready.question()))
    for desk in ("desk", "another"):  # on a connection from before, and on a new one
        call = room.calls(bank, desk).check.Check(message, timeout=SECONDS)
        assert await refusal(call) is Reason.NOT_ALLOWED
    await room.ask(ready.sample.other_bank.name, ready.question(ready.sample.other_bank))


async def test_a_revocation_outlasts_a_restart_and_ends_with_another_enrolment(
    tmp_path: Path,
) -> None:
    said = sample("revoked")
    async with opened(tmp_path / "room", said.world) as room:
        ready = await make_ready(room, said)
        await revoke(room, said.bank.name)
    async with opened(tmp_path / "room", said.world) as room:
        for owner in (said.tax, said.court):
            room.attend(owner)
            await room.until_state(owner.name, "serving")
        message = check_pb2.CheckRequest(request=envelope_to_proto(ready.question()))
        call = room.calls(said.bank.name).check.Check(message, timeout=SECONDS)
        assert await refusal(call) is Reason.NOT_ALLOWED
        await room.enrol(said.bank.name, INSTITUTION)
        assert len((await room.ask(said.bank.name, ready.question())).parts) == 1


@pytest.mark.parametrize(
    ("by", "name", "reason"),
    [
        ("bank-a", "bank-b", Reason.NOT_ALLOWED),
        ("tax", "bank-a", Reason.NOT_ALLOWED),
        ("stranger", "bank-a", Reason.NOT_ALLOWED),
        ("operator", "operator", Reason.CONFLICT),
        ("operator", "nobody", Reason.UNKNOWN_STATEMENT),
        ("operator", "Bank A", Reason.MALFORMED),
    ],
)
async def test_who_may_not_revoke_and_what_is_not_revoked(
    ready: Ready, by: str, name: str, reason: Reason
) -> None:
    request = identity_pb2.RevokeOrganisationRequest(name=name)
    call = ready.room.calls(by).identity.RevokeOrganisation(request, timeout=SECONDS)
    assert await refusal(call) is reason
    await ready.room.ask("bank-a", ready.question())


async def test_a_revoked_owners_agent_gets_no_enclave_its_key(ready: Ready) -> None:
    room = ready.room
    await revoke(room, "tax")
    room.server.links.start("tax")  # its charter changes, say: the enclave is started anew
    await until(lambda: _logged(room, "tax was revoked"))
    assert "serving" not in {
        each.state
        for each in (
            await room.calls("operator").identity.GetRoom(
                identity_pb2.GetRoomRequest(), timeout=SECONDS
            )
        ).enclaves
        if each.owner == "tax"
    }


async def _logged(room: OpenedRoom, words: str) -> bool:
    await asyncio.sleep(0)
    return words in room.log.getvalue()


async def test_the_operator_sees_who_has_called_and_whose_certificate_was_revoked(
    ready: Ready,
) -> None:
    room, said = ready.room, ready.sample
    for name in ("desk", "second"):
        await room.calls("bank-a", name).identity.WhoAmI(
            identity_pb2.WhoAmIRequest(), timeout=SECONDS
        )
    await room.calls("stranger").identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=SECONDS)
    await room.subject_calls(said.world.subject(1)).identity.WhoAmI(
        identity_pb2.WhoAmIRequest(), timeout=SECONDS
    )

    async def both_are_there() -> bool:
        return len(await people(room, "bank-a")) == 2

    await until(both_are_there)
    found = await people(room)
    assert [each.name for each in found if each.organisation == "bank-a"] == ["desk", "second"]
    assert {each.organisation for each in found} <= {"operator", "bank-a", "bank-b", "tax", "court"}
    second = room.member("bank-a", "second").fingerprint
    assert second in {each.fingerprint for each in found}
    assert not any(each.revoked for each in found)
    await room.enrol(said.world.issuer.name, identity_pb2.ROLE_ISSUER)
    taken_back = said.world.issuer.revocation(room.member("bank-a", "second").der, said.world.now())
    await room.hand_in(taken_back)
    assert {each.fingerprint for each in await people(room) if each.revoked} == {second}


async def test_the_roll_outlasts_a_restart(tmp_path: Path) -> None:
    world = World("roll")
    seen: list[list[identity_pb2.MemberCertificate]] = []
    made = {}
    for _ in range(2):
        async with opened(tmp_path / "room", world) as room:
            room.made |= made
            await people(room)
            seen.append(await people(room))
            made = room.made
    assert seen[0] == seen[1]
    assert [each.organisation for each in seen[1]] == ["operator"]
