"""What a subject can do in a real room: see who asked what about it."""

from __future__ import annotations

import pytest

from saferoom_client import Refused
from saferoom_client.uses import UsesPage
from saferoom_proto.statements import Purpose
from tests.flow.live import LiveRoom
from tests.flow.offers import CURIOUS, POOR


def listed(live: LiveRoom, organisation: str, name: str) -> UsesPage:
    with live.open(organisation, name) as room:
        return room.list_uses()


def test_a_subject_and_both_owners_see_a_question_and_what_it_could_tell(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        answer = room.check(
            "steady-payer", subject=POOR, purpose="pre-loan", params={"least": "5000"}
        )
    seen = [use for use in listed(live, POOR, "self").uses if use.request_id == answer.request_id]
    assert {use.owner for use in seen} == {"court", "tax"}
    for use in seen:
        assert use.owner is not None
        assert use.request is not None
        asked = (use.institution, use.request.purpose, use.request.params)
        assert asked == ("bank-a", Purpose.PRE_LOAN, {"least": "5000"})
        assert use.answered
        assert use.consent == live.consents[POOR, "bank-a"]
        of_owner = listed(live, use.owner, "li").uses
        assert use.digest in {each.digest for each in of_owner}
        assert {each.owner for each in of_owner} == {use.owner}
    told = {use.owner: use.bits for use in seen}
    assert sum(told.values()) == answer.bits


def test_a_subject_sees_who_tried_in_vain(live: LiveRoom) -> None:
    with live.open("bank-b", "desk") as room, pytest.raises(Refused) as refused:
        room.check("paid-enough", subject=CURIOUS, purpose="pre-loan", params={"least": "5000"})
    newest = listed(live, CURIOUS, "self").uses[0]
    assert (newest.institution, newest.reason) == ("bank-b", refused.value.reason)
