"""What a subject can do in a real room: see what is held and who asked, dispute, be asked."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from saferoom_client import Refused
from saferoom_client.cli import app
from saferoom_client.consent_requests import consent_of
from saferoom_client.uses import UsesPage
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CheckRequest, Finding, Purpose
from tests.flow.live import LiveRoom
from tests.flow.offers import COURT, CURIOUS, LISTED, POOR, STEADY, VAT


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
        assert isinstance(use.request, CheckRequest)
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


def test_a_subject_sees_what_every_owner_holds_about_it_and_that_it_looked(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        room.check("steady-payer", subject=LISTED, purpose="pre-loan", params={"least": "5000"})
    with live.open(LISTED, "self") as room:
        held = {owner: room.get_holdings(owner) for owner in live.owners}
        page = room.list_uses()
    (vat,) = held["tax"].holdings.tables
    assert vat.rows == ((LISTED, "60000"),)
    values = {each.feature: each.value for each in held["tax"].holdings.features}
    assert values[VAT] == "60000"  # other tests of this room define more
    assert held["tax"].features[VAT].grid
    accounts = {(each.group, each.feature): each.cuts for each in held["tax"].holdings.accounts}
    assert "5000" in accounts["bank-a", VAT]
    assert {each.feature: each.value for each in held["court"].holdings.features} == {COURT: "true"}
    looked = {each.owner: each for each in reversed(page.uses) if each.by_itself}  # the newest
    assert {owner: each.index for owner, each in looked.items()} == {
        owner: each.index for owner, each in held.items()
    }


@pytest.mark.parametrize(("organisation", "name"), [("bank-a", "desk"), ("tax", "li")])
def test_nobody_else_is_shown_what_is_held(live: LiveRoom, organisation: str, name: str) -> None:
    with live.open(organisation, name) as room, pytest.raises(SafeRoomError) as refused:
        room.get_holdings("tax")
    assert refused.value.reason is Reason.NOT_ALLOWED


def test_a_dispute_is_recorded_and_reaches_its_owner_and_nobody_else(live: LiveRoom) -> None:
    with live.open(STEADY, "self") as room:
        room.open_dispute("tax", "We paid more than this.", field="vat.paid")
    with live.open("bank-a", "desk") as room:
        room.check("steady-payer", subject=STEADY, purpose="pre-loan", params={"least": "5000"})
    with live.open(STEADY, "self") as room:
        use = next(each for each in room.list_uses().uses if each.owner == "tax")
        room.open_dispute("tax", "We never applied there.", use=use.digest)
        with pytest.raises(Refused) as refused:
            room.open_dispute("court", "We never applied there.", use=use.digest)
        own = room.list_disputes()
    assert refused.value.reason is Reason.UNKNOWN_STATEMENT
    with live.open("tax", "wang") as room:
        to_tax = room.list_disputes()
    # Other tests of this room dispute, too; these are the newest.
    assert [each.dispute.words for each in to_tax[-2:]] == [each.dispute.words for each in own[-2:]]
    assert [each.dispute.use for each in own[-2:]] == [None, use.digest]
    with live.open("court", "li") as room:
        elsewhere = {each.digest for each in room.list_disputes()}
    assert elsewhere.isdisjoint(each.digest for each in own)
    with live.open(POOR, "self") as room, pytest.raises(Refused) as refused:
        room.open_dispute("tax", "Whose use is this?", use=use.digest)
    assert refused.value.reason is Reason.UNKNOWN_STATEMENT


def test_a_subject_sees_what_came_of_its_dispute_and_takes_another_back(live: LiveRoom) -> None:
    with live.open(POOR, "self") as room:
        first, second = (
            room.open_dispute("tax", "We paid more.", field=field).statement.digest
            for field in ("vat.paid", "vat.uscc")
        )
    with live.open("tax", "li") as room:
        epoch = room.list_versions()[-1].snapshot.store.epoch
        room.answer_dispute(first, Finding.PASSED_ON, "Our east office looks.")
        room.answer_dispute(second, Finding.PASSED_ON, "A code is not ours to change.")
        assert {each.digest for each in room.list_disputes() if each.is_open} >= {first, second}
    with live.open("tax", "wang") as room:
        room.answer_dispute(first, Finding.CORRECTED, "A payment was missing.", epoch=epoch)
    with live.open(POOR, "self") as room:
        room.withdraw_dispute(second)
        own = {each.digest: each for each in room.list_disputes()}
    assert [(each.approver, each.finding, each.epoch) for each in own[first].answers] == [
        ("li", Finding.PASSED_ON, None),
        ("wang", Finding.CORRECTED, epoch),
    ]
    assert not own[first].is_open
    assert own[second].withdrawal is not None
    assert not own[second].is_open


def test_a_subject_grants_what_a_bank_asked_it_for(live: LiveRoom) -> None:
    with live.open("bank-b", "desk") as room:
        digest = room.request_consent(
            CURIOUS,
            purposes=(Purpose.IN_LOAN,),
            features=(VAT,),
            notice="Bank B will learn whether your VAT reaches an amount.\n",
            why="your credit line",
            days=90,
            uses=2,
        ).statement.digest
        with pytest.raises(Refused) as refused:
            room.request_consent(
                CURIOUS,
                purposes=(Purpose.IN_LOAN,),
                features=("tax.nothing",),
                notice="n",
                why="w",
                days=1,
            )
    assert refused.value.reason is Reason.UNKNOWN_FEATURE
    with live.open(CURIOUS, "self") as room:
        asked = room.get_consent_request(digest)
        consent = consent_of(room.session, asked)
        room.grant_consent(consent)
        given = room.list_consents()[-1].consent
    firm = str(live.member(CURIOUS, "self"))
    words = ["consent", "grant", "--request", digest, "-p", firm]
    shown = CliRunner().invoke(app, words, input="n\n").output
    assert "you granted this already; both count:" in shown
    assert (given.institution, given.notice, given.uses) == ("bank-b", asked.request.notice, 2)
    with live.open(POOR, "self") as room:
        assert not room.list_consent_requests()
