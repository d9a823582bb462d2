"""Lists through a real room: approved, asked for, verified, shown, and seen by whom they name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saferoom_client import Refused
from saferoom_client.report.listing import ListAnswer
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.list_receipt import ListReceipt, verify_list_receipt
from saferoom_proto.statements.listing import division_of
from saferoom_proto.use_receipt import verify_use_receipt
from tests.flow.live import LiveRoom
from tests.flow.offers import CASE, FICKLE, LISTED, STEADY
from tests.flow.test_reports import run, typed
from tests.flow.test_second_verifier import loaded

DRAFT = """\
kind: List
name: flow-public-list
title: {en: Listed by the court, zh: 法院名单}
purposes: [pre-loan]
listing:
  owner: court
  table: cases
  columns: [case_no]
  by: {of: division, fewest: 6}
  most: 100
"""
BANK = ("bank-a", "desk")
DISTRICT = division_of(LISTED)


@pytest.fixture(scope="module")
def template(live: LiveRoom, tmp_path_factory: pytest.TempPathFactory) -> str:
    draft = tmp_path_factory.mktemp("draft") / "list.yaml"
    draft.write_text(DRAFT, "utf-8")
    told = typed(live, BANK, "template", "propose", str(draft), "--json")
    digest = str(json.loads(told)["template"])
    for approver in ("li", "wang"):
        typed(live, ("court", approver), "template", "approve", digest, "--yes")
    return digest


@pytest.fixture(scope="module")
def answer(live: LiveRoom, template: str) -> ListAnswer:
    with live.open(*BANK) as room:
        return room.ask_list(template, code=DISTRICT, purpose="pre-loan")


def test_a_list_verifies_and_its_receipt_shows_it_offline(
    live: LiveRoom, answer: ListAnswer
) -> None:
    told = answer.verified.told
    assert told is not None
    assert {each.subject: each.rows for each in told.listed} == dict.fromkeys(
        (LISTED, FICKLE), ((CASE,),)
    )
    receipt = ListReceipt.from_json(answer.receipt.to_json())
    assert verify_list_receipt(receipt, live.profile("auditor", "desk").trust) == answer.verified


@pytest.mark.parametrize(
    ("field", "was", "now", "reason"),
    [
        ("page", CASE, "none", Reason.BAD_PROOF),
        ("page", LISTED, STEADY, Reason.BAD_PROOF),
        ("page", None, None, Reason.BAD_PROOF),
        ("approvals", None, (), Reason.NOT_APPROVED),
        ("request", None, "template", Reason.MALFORMED),
    ],
    ids=["another value", "another firm", "no page", "no approvals", "another question"],
)
def test_a_receipt_that_was_altered_is_refused(  # noqa: PLR0917 - what is altered, and how
    live: LiveRoom,
    answer: ListAnswer,
    field: str,
    was: str | None,
    now: object,
    reason: Reason,
) -> None:
    held = json.loads(answer.receipt.to_json())
    held[field] = held.get(now, now) if was is None else held[field].replace(was, now)
    altered = ListReceipt.from_json(json.dumps(held).encode())
    with pytest.raises(SafeRoomError) as caught:
        verify_list_receipt(altered, live.profile(*BANK).trust)
    assert caught.value.reason is reason


def test_the_owner_sees_that_a_list_was_asked_for_and_can_show_it(
    live: LiveRoom, answer: ListAnswer
) -> None:
    asked = answer.verified.said
    with live.open("court", "li") as room:
        (use,) = (each for each in room.list_uses().uses if each.request_id == asked.request_id)
        receipt = room.use_receipt(use)
    assert (use.kind, use.subject, use.index) == ("list", None, asked.index)
    trust = live.profile("auditor", "desk").trust
    assert verify_use_receipt(receipt, trust).request == asked.request
    # The second verifier reads it too, and says of the page's receipt that it does not.
    theirs, pinned = loaded(), trust.model_dump_json().encode()
    told = theirs.verify(receipt.to_json(), pinned)
    assert (told["about"], told["for"], told["outcome"]) == ("a list", "pre-loan", "answered")
    with pytest.raises(theirs.Wrong, match="a receipt of a page of a list"):
        theirs.verify(answer.receipt.to_json(), pinned)


def test_an_approver_reads_it_and_signs_no_list_of_what_is_not_public(
    live: LiveRoom, template: str, tmp_path: Path
) -> None:
    shown = " ".join(typed(live, ("court", "li"), "template", "show", template).split())
    assert "tells which firms stand in cases, with their codes and of each row: case_no" in shown
    assert "of 6 digits at least at most 100 firms of a list" in shown
    draft = tmp_path / "secret.yaml"
    secret = DRAFT.replace("flow-public-list", "flow-secret-list")
    draft.write_text(secret + "  only: [{column: listed, values: ['true']}]\n", "utf-8")
    told = typed(live, BANK, "template", "propose", str(draft), "--json")
    digest = str(json.loads(told)["template"])
    status, told = run(live, ("court", "li"), "template", "approve", digest, "--yes")
    assert (status, "cases.listed: of level 2 by your schema" in told) == (1, True)


def test_who_asks_amiss_is_told_how(live: LiveRoom, template: str, tmp_path: Path) -> None:
    ask = ("listing", "ask", template, "--purpose", "pre-loan")
    status, told = run(live, BANK, *ask, "--code", "9900")
    assert (status, "at least 6 characters of it" in told) == (1, True)
    status, told = run(live, BANK, *ask, "--code", DISTRICT, "--page", "2")
    assert (status, "a list of at most 100 firms has no page 2" in told) == (1, True)
    status, told = run(live, BANK, *ask, "--code", DISTRICT, "--out", str(tmp_path / "list.doc"))
    assert (status, ".html, .pdf, .json, .txt" in told) == (1, True)
    status, told = run(live, BANK, "report", "ask", template, "--subject", LISTED, *ask[-2:])
    assert (status, "saferoom listing ask flow-public-list" in told) == (1, True)
    with live.open("bank-b", "desk") as room, pytest.raises(Refused) as refusal:
        room.ask_list(template, code=DISTRICT, purpose="in-loan")
    assert refusal.value.reason is Reason.WRONG_PURPOSE
