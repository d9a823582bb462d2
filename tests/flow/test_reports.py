"""Reports through a real room: proposed, approved, asked for, verified, shown, and seen by all."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client import AsyncRoom, Refused
from saferoom_client.cli import app
from saferoom_client.report.asking import ReportAnswer
from saferoom_client.report.content import document, of_receipt
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.receipt import ReportReceipt, verify_report_receipt
from saferoom_proto.use_receipt import verify_use_receipt
from tests import needs
from tests.flow.live import LiveRoom
from tests.flow.offers import CASE, FICKLE, LISTED, POOR, STEADY

DRAFT = """\
kind: Report
name: {name}
title: {{en: Public credit report, zh: 公共信用报告}}
purposes: [pre-loan]
report:
  tables:
    - {{owner: court, table: cases, columns: [case_no]}}
"""
TAX = "    - {owner: tax, table: vat, columns: [paid]}\n"
ASK = ("--purpose", "pre-loan")


def run(live: LiveRoom, member: tuple[str, str], *command: str) -> tuple[int, str]:
    folder = str(live.member(*member))
    result = CliRunner().invoke(app, [*command, "-p", folder])
    return result.exit_code, result.output


def typed(live: LiveRoom, member: tuple[str, str], *command: str) -> str:
    status, output = run(live, member, *command)
    assert status == 0, output
    return output


def proposed(live: LiveRoom, folder: Path, name: str, *more: str) -> str:
    """Have a report proposed, and approved by the court, in the shell."""
    draft = folder / f"{name}.yaml"
    draft.write_text(DRAFT.format(name=name) + "".join(more), "utf-8")
    told = typed(live, ("bank-a", "desk"), "template", "propose", str(draft), "--json")
    digest = str(json.loads(told)["template"])
    for approver in ("li", "wang"):
        typed(live, ("court", approver), "template", "approve", digest, "--yes")
    return digest


@pytest.fixture(scope="module")
def template(live: LiveRoom, tmp_path_factory: pytest.TempPathFactory) -> str:
    return proposed(live, tmp_path_factory.mktemp("draft"), "flow-public-report")


@pytest.fixture(scope="module")
def answer(live: LiveRoom, template: str) -> ReportAnswer:
    with live.open("bank-a", "desk") as room:
        return room.ask_report(template, subject=LISTED, purpose="pre-loan")


def rows(answer: ReportAnswer) -> Sequence[tuple[str | None, ...]]:
    told = answer.verified.parts["court"].told
    assert told is not None
    return told.tables[0].rows


def test_an_approver_reads_what_is_told_and_to_whom(live: LiveRoom, template: str) -> None:
    shown = " ".join(typed(live, ("court", "li"), "template", "show", template).split())
    assert "for a report of what is public of one subject" in shown
    assert "cases: case_no" in shown
    assert "without asking the subject and without a limit on how many subjects" in shown
    assert "approved by li, wang: 2 of the 2 needed" in shown
    listed = typed(live, ("bank-a", "desk"), "report", "list")
    assert "flow-public-report" in listed


def test_the_report_verifies_and_its_receipt_shows_it_offline(
    live: LiveRoom, answer: ReportAnswer
) -> None:
    assert rows(answer) == ((CASE,),)
    assert answer.missing == {}
    receipt = ReportReceipt.from_json(answer.receipt.to_json())
    trust = live.profile("auditor", "desk").trust
    assert verify_report_receipt(receipt, trust) == answer.verified
    with live.open("bank-a", "desk") as room:
        nothing = room.ask_report(
            answer.verified.request.template, subject=STEADY, purpose="pre-loan"
        )
    assert rows(nothing) == ()


SPOILT = {
    "another value": ("report", CASE, "none", Reason.BAD_PROOF),
    "another subject": ("report", LISTED, POOR, Reason.BAD_PROOF),
    "no report": ("report", None, None, Reason.BAD_PROOF),
    "no approvals": ("approvals", None, (), Reason.NOT_APPROVED),
    "another owner": ("owner", None, "tax", Reason.CERTIFICATE_MISMATCH),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_receipt_that_was_altered_is_refused(
    live: LiveRoom, answer: ReportAnswer, what: str
) -> None:
    field, was, now, reason = SPOILT[what]
    held = json.loads(answer.receipt.to_json())
    part = held["parts"][0]
    part[field] = now if was is None else part[field].replace(was, now)
    altered = ReportReceipt.from_json(json.dumps(held).encode())
    with pytest.raises(SafeRoomError) as caught:
        verify_report_receipt(altered, live.profile("auditor", "desk").trust)
    assert caught.value.reason is reason


def test_a_receipt_of_another_question_is_refused(live: LiveRoom, answer: ReportAnswer) -> None:
    held = json.loads(answer.receipt.to_json())
    envelope = json.loads(held["request"])
    payload = b64decode(envelope["payload"]).replace(LISTED.encode(), POOR.encode())
    held["request"] = json.dumps({**envelope, "payload": b64encode(payload).decode()})
    altered = ReportReceipt.from_json(json.dumps(held).encode())
    with pytest.raises(SafeRoomError) as caught:
        verify_report_receipt(altered, live.profile("auditor", "desk").trust)
    assert caught.value.reason is Reason.BAD_PROOF


def test_an_owner_that_did_not_approve_is_named_and_the_others_part_stands(
    live: LiveRoom, tmp_path: Path
) -> None:
    digest = proposed(live, tmp_path, "flow-report-of-two", TAX)
    # What is no public matter is not approved by mistake.
    status, told = run(live, ("tax", "li"), "template", "approve", digest, "--yes")
    assert (status, "NOT_ALLOWED" in told) == (1, True), told
    assert "vat.paid: of level 3 by your schema" in told
    with live.open("bank-a", "desk") as room:
        answer = room.ask_report(digest, subject=LISTED, purpose="pre-loan")
    assert rows(answer) == ((CASE,),)
    assert answer.missing == {"tax": Reason.NOT_APPROVED}
    trust = live.profile("auditor", "desk").trust
    shown = verify_report_receipt(answer.receipt, trust)
    assert document(of_receipt(shown))["missing"] == {"tax": "NOT_APPROVED"}


def test_the_owner_the_subject_and_the_auditor_see_the_use(
    live: LiveRoom, answer: ReportAnswer, tmp_path: Path
) -> None:
    request_id = answer.verified.request_id
    for member in (("court", "li"), (LISTED, "self")):
        with live.open(*member) as room:
            (use,) = (each for each in room.list_uses().uses if each.request_id == request_id)
            assert (use.kind, use.institution, use.subject, use.bits) == (
                "check",
                "bank-a",
                LISTED,
                0,
            )
            verified = verify_use_receipt(room.use_receipt(use), room.profile.trust)
            assert verified.request == answer.verified.request
    (tmp_path / "report.json").write_bytes(answer.receipt.to_json())
    command = ("audit", "verify", "--receipts", str(tmp_path), "--json")
    assert json.loads(typed(live, ("auditor", "desk"), *command))["violations"] == []


@needs.chinese_font
def test_a_bank_asks_in_the_shell_and_keeps_page_and_receipt(
    live: LiveRoom, template: str, tmp_path: Path
) -> None:
    bank, receipt = ("bank-a", "desk"), tmp_path / "receipt.json"
    ask = ("report", "ask", template, "--subject", LISTED, *ASK)
    for name in ("report.html", "report.txt", "report.json", "report.pdf"):
        out = tmp_path / name
        told = typed(live, bank, *ask, "--out", str(out), "--receipt", str(receipt))
        assert CASE in told
        data = out.read_bytes()
        assert data.startswith(b"%PDF-") if name.endswith("pdf") else CASE in data.decode()
    shown = typed(live, bank, "receipt", "verify", str(receipt))
    assert "court: 1 records" in shown
    again = tmp_path / "again.pdf"
    typed(live, bank, "report", "show", str(receipt), "--out", str(again))
    assert again.read_bytes() == out.read_bytes()
    assert CASE in typed(live, bank, "report", "show", str(receipt), "--json")


def test_a_subject_sees_its_own_and_what_it_disputes_is_marked(
    live: LiveRoom, template: str
) -> None:
    firm, bank = (FICKLE, "self"), ("bank-a", "desk")
    told = json.loads(typed(live, firm, "report", "own", "--owner", "court", "--json"))
    (court,) = told["parts"]
    assert [each["rows"] for each in court["tables"]] == [[{"uscc": FICKLE, "case_no": CASE}]]
    words = ("--owner", "court", "--field", "cases.case_no", "--words", "This was settled.")
    typed(live, firm, "dispute", "open", *words)
    ask = ("report", "ask", template, "--subject", FICKLE, *ASK)
    marked = typed(live, bank, *ask)
    assert "disputed by the subject since" in marked
    assert "This was settled" not in marked
    with live.open(*firm) as room:
        said = "This was settled."
        (mine,) = (each for each in room.list_disputes() if each.dispute.words == said)
        room.withdraw_dispute(mine.digest)
    assert "disputed by the subject since" not in typed(live, bank, *ask)


def test_who_may_not_ask_and_what_is_no_report_is_refused_with_words(
    live: LiveRoom, template: str, tmp_path: Path
) -> None:
    with live.open("bank-b", "desk") as room, pytest.raises(Refused) as refusal:
        room.ask_report(template, subject=LISTED, purpose="pre-loan")
    assert refusal.value.reason is Reason.NO_AGREEMENT
    with live.open("bank-a", "desk") as room:
        for purpose, reason in (("supervision", Reason.WRONG_PURPOSE), ("fun", Reason.MALFORMED)):
            with pytest.raises(SafeRoomError) as caught:
                room.ask_report(template, subject=LISTED, purpose=purpose)
            assert caught.value.reason is reason
        with pytest.raises(SafeRoomError) as caught:
            room.ask_report("paid-enough", subject=POOR, purpose="pre-loan")
        assert caught.value.reason is Reason.NOT_ALLOWED
        with pytest.raises(SafeRoomError) as caught:
            room.check(template, subject=POOR, purpose="pre-loan")
        [command] = caught.value.__notes__
        assert command.startswith("saferoom report ask ")
    ask = ("report", "ask", template, "--subject", LISTED, *ASK, "--out", str(tmp_path / "x.doc"))
    status, told = run(live, ("bank-a", "desk"), *ask)
    assert (status, "one of .html, .pdf, .json, .txt" in told) == (1, True), told


def test_asyncio_programs_ask_too(live: LiveRoom, template: str, answer: ReportAnswer) -> None:
    async def asked() -> ReportAnswer:
        async with AsyncRoom.open(live.member("bank-a", "desk")) as room:
            return await room.ask_report(template, subject=LISTED, purpose="pre-loan")

    again = asyncio.run(asked())
    assert rows(again) == rows(answer)
    assert again.verified.request_id != answer.verified.request_id
