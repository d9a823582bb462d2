"""Members follow an owner's root by its own hand, if the log holds that; no lie leads them on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_client.files import read_model
from saferoom_client.profile import TRUST
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.trust import Trust
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.wire import envelope_to_proto, recorded_to_proto
from simulator import SimOwner
from tests.client import fakeroom
from tests.client.fakeroom import Said
from tests.client.made import Case

THIEF: Final = SigningKey.generate()


class Handed:
    """What the room says of the tax office's charter and its root."""

    def __init__(self, case: Case) -> None:
        self.case: Final = case
        self.told: Final[list[Envelope]] = []
        self.spoil: Callable[[owner_pb2.GetCharterResponse], None] = lambda _: None
        self.know()

    @property
    def tax(self) -> SimOwner:
        return self.case.world.owner("tax")

    def know(self) -> None:
        """Have the room give every charter by its digest."""
        self.case.known |= {each.digest: each for each in self.tax.charters}

    def say(self, handover: Envelope) -> Envelope:
        """Have the room tell of a handover that its log holds."""
        self.case.world.ledger.record(handover)
        self.told.append(handover)
        return handover

    def hand_over(self, following: SigningKey | None = None) -> Envelope:
        """Have the tax office hand its root over."""
        handover = self.tax.hand_over(following)
        self.told.append(handover)
        return handover

    def adopt(self) -> None:
        self.tax.adopt()
        self.know()

    def response(self) -> owner_pb2.GetCharterResponse:
        recorded = self.case.world.ledger.recorded
        told = owner_pb2.GetCharterResponse(
            charter=envelope_to_proto(self.tax.charters[-1]),
            handovers=[recorded_to_proto(recorded(each)) for each in self.told],
        )
        self.spoil(told)
        return told


@pytest.fixture
def handed(said: Said, monkeypatch: pytest.MonkeyPatch) -> Handed:
    made = Handed(said.case)

    async def get_charter(
        said: Said, request: owner_pb2.GetCharterRequest, context: object
    ) -> owner_pb2.GetCharterResponse:
        return made.response()

    call = (get_charter, owner_pb2.GetCharterRequest)
    monkeypatch.setitem(fakeroom.CALLS, "OwnerService/GetCharter", call)
    return made


async def refused(room: AsyncRoom) -> Reason:
    """Have the member follow, which is refused, and changes nothing."""
    before = room.profile.trust
    with pytest.raises(SafeRoomError) as error:
        await room.follow_root("tax")
    assert room.profile.trust == before
    return error.value.reason


async def test_a_member_follows_over_two_handovers_and_keeps_the_charters_of_before(
    handed: Handed, room: AsyncRoom
) -> None:
    tax = handed.tax
    roots = [tax.root.verify_key.public]
    handed.adopt()
    for name in ("second", "third"):
        handed.hand_over(handed.case.world.seeds.signing(name))
        handed.adopt()
        roots.append(tax.root.verify_key.public)
    with pytest.raises(SafeRoomError) as told:
        await room.get_charter("tax")
    assert "saferoom trust follow tax" in told.value.__notes__[0]
    followed = await room.follow_root("tax")
    assert [each.former for each in followed.handovers] == roots[:2]
    assert followed.root == roots[2]
    assert (await room.get_charter("tax")).charter.version == 4
    trust = read_model(room.profile.folder / TRUST, Trust)
    kept = trust.former_charter_roots["tax"]
    assert [each.charters for each in kept] == [
        tuple(each.digest for each in tax.charters[:2]),
        (tax.charters[2].digest,),
    ]
    assert (await room.follow_root("tax")).handovers == ()
    assert room.profile.trust == trust


async def test_a_member_that_pinned_the_new_root_learns_of_those_before_it(
    handed: Handed, room: AsyncRoom
) -> None:
    handed.hand_over()
    first = handed.tax.charters[0]
    handed.adopt()
    trust = room.profile.trust
    new = {**trust.charter_roots, "tax": handed.tax.root.verify_key.public}
    room.profile = room.profile.keep_trust(trust.model_copy(update={"charter_roots": new}))
    followed = await room.follow_root("tax")
    assert (followed.handovers, followed.former) == ((), 1)
    assert room.profile.trust.former_charters("tax") == {first.digest}


async def test_two_handovers_of_one_root_lead_nowhere(handed: Handed, room: AsyncRoom) -> None:
    handed.say(handed.tax.handover(THIEF))
    handed.hand_over()
    assert await refused(room) is Reason.BAD_PROOF


async def test_a_handover_that_one_root_signed_or_another_owner_leads_nowhere(
    handed: Handed, room: AsyncRoom
) -> None:
    tax, court = handed.tax, handed.case.world.owner("court")
    for wrong, reason in (
        (tax.handover(THIEF, THIEF), Reason.BAD_SIGNATURE),
        (tax.handover(THIEF, tax.root), Reason.BAD_SIGNATURE),
        (tax.handover(THIEF, tax.approvers["chen"], THIEF), Reason.BAD_SIGNATURE),
        (court.handover(THIEF), Reason.BAD_CHARTER),
        (tax.handover(THIEF, room="other.example"), Reason.BAD_CHARTER),
    ):
        handed.told[:] = []
        handed.say(wrong)
        assert await refused(room) is reason


async def test_a_handover_that_the_log_does_not_hold_leads_nowhere(
    handed: Handed, room: AsyncRoom
) -> None:
    handed.hand_over()

    def another_salt(told: owner_pb2.GetCharterResponse) -> None:
        told.handovers[0].salt = bytes(32)

    handed.spoil = another_salt
    assert await refused(room) is Reason.BAD_PROOF


async def test_a_charter_that_no_root_leads_to_stops_the_member_where_it_is(
    handed: Handed, room: AsyncRoom
) -> None:
    # The room shows the thief's charter and keeps the handover to itself, or shows the handover and
    # then a charter of the former root.
    stolen, following = handed.tax.root, handed.case.world.seeds.signing("next")
    handed.tax.root = following
    handed.adopt()
    assert await refused(room) is Reason.BAD_CHARTER
    handed.tax.charters.pop()
    handed.tax.root = stolen
    handed.hand_over(following)
    handed.tax.root = stolen
    handed.adopt()
    assert await refused(room) is Reason.BAD_CHARTER


async def test_a_handover_after_a_charter_that_the_room_made_up_leads_nowhere(
    handed: Handed, room: AsyncRoom
) -> None:
    court = handed.case.world.owner("court").charters[0]
    handed.case.known[court.digest] = court
    handed.say(handed.tax.handover(THIEF, previous=court.digest))
    assert await refused(room) is Reason.BAD_CHARTER
    handed.told[:] = []
    handed.say(handed.tax.handover(THIEF, version=3))
    assert await refused(room) is Reason.BAD_CHARTER
