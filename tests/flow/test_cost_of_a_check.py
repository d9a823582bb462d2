"""What a check would cost, asked of real enclaves through a real server, and in the shell."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client import AsyncRoom, Refused
from saferoom_client.cli import app
from saferoom_client.question import make_cost_request
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import CostEstimate
from saferoom_proto.use_receipt import verify_use_receipt
from saferoom_proto.v1 import check_pb2
from saferoom_proto.wire import envelope_to_proto
from tests.flow.live import LiveRoom
from tests.flow.offers import LISTED, POOR, SILENT, UNKNOWN, VAT

LEAST = {"least": "5000"}


def test_the_price_is_told_before_and_is_what_the_check_then_costs(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        told = room.cost("steady-payer", subject=LISTED, purpose="pre-loan", params=LEAST)
        assert told.refused is None
        assert sorted(told.estimates) == ["court", "tax"]
        answer = room.check("steady-payer", subject=LISTED, purpose="pre-loan", params=LEAST)
        assert answer.bits == pytest.approx(told.bits)
        again = room.cost("steady-payer", subject=LISTED, purpose="pre-loan", params=LEAST)
        assert (again.bits, again.refused) == (0, None)
        more = room.cost(
            "steady-payer", subject=LISTED, purpose="pre-loan", params={"least": "1000"}
        )
        assert more.refused is Reason.OVER_BUDGET
        assert [each.within for each in more.features if each.feature == VAT] == [False]
        assert room.price("steady-payer").most_bits >= told.bits


def test_a_price_stands_in_the_log_and_the_auditor_can_open_it(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as bank, live.open("auditor", "desk") as auditor:
        before = auditor.verify_log(whole=True).entries
        told = bank.cost("paid-enough", subject=POOR, purpose="pre-loan", params=LEAST)
        report = auditor.verify_log(whole=True)
        assert report.opened == report.entries > before
        kinds = {
            entry.statement.payload_type: told.request_id in entry.statement.payload.decode()
            for entry in auditor.entries(before, report.entries - before)
            if entry.statement is not None
        }
    assert kinds["application/vnd.saferoom.cost-estimate.v1+json"]


def test_a_subject_sees_who_asked_for_a_price_and_keeps_the_receipt(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as bank:
        told = bank.cost("paid-enough", subject=POOR, purpose="pre-loan", params=LEAST)
    with live.open(POOR, "self") as subject:
        (use,) = (each for each in subject.list_uses().uses if each.request_id == told.request_id)
        assert (use.kind, use.institution, use.bits, use.subject) == ("price", "bank-a", 0, POOR)
        verified = verify_use_receipt(subject.use_receipt(use), subject.profile.trust)
    assert isinstance(verified.word, CostEstimate)
    assert verified.request == use.request
    command = ["mine", "--uses-only", "-p", str(live.member(POOR, "self"))]
    shown = " ".join(CliRunner().invoke(app, command).output.split())
    assert "bank-a asked what 'paid-enough' costs at tax" in shown
    assert "told the price; nothing was charged" in shown


def test_asyncio_programs_ask_for_many_prices_at_once(live: LiveRoom) -> None:
    async def many() -> list[float]:
        async with AsyncRoom.open(live.member("bank-a", "desk")) as room:
            calls = [
                room.cost("paid-enough", subject=UNKNOWN, purpose="pre-loan", params=LEAST)
                for _ in range(8)
            ]
            return [told.bits for told in await asyncio.gather(*calls)]

    assert len(set(asyncio.run(many()))) == 1


def test_a_request_for_a_price_is_refused_as_a_question_and_the_reverse(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        view = room.get_template("paid-enough")
        inquiry, _ = make_cost_request(
            room.profile,
            view,
            subject=POOR,
            purpose="pre-loan",
            params=LEAST,
            now=room.session.clock(),
        )
        question = room.prepare("paid-enough", subject=POOR, purpose="pre-loan", params=LEAST)
    wrong = (
        ("Check", check_pb2.CheckRequest(request=envelope_to_proto(inquiry))),
        ("Cost", check_pb2.CostRequest(request=envelope_to_proto(question.envelope))),
    )

    async def call(method: str, message: object) -> Reason:
        async with AsyncRoom.open(live.member("bank-a", "desk")) as room:
            with pytest.raises(Refused) as refusal:
                await room.call(getattr(room.checks, method), message)
            return refusal.value.reason

    assert [asyncio.run(call(*each)) for each in wrong] == [Reason.MALFORMED] * 2


def test_a_bank_without_an_agreement_learns_no_price(live: LiveRoom) -> None:
    with live.open("bank-b", "desk") as room, pytest.raises(Refused) as refusal:
        room.cost("paid-enough", subject=POOR, purpose="pre-loan", params=LEAST)
    assert refusal.value.reason is Reason.NO_AGREEMENT


def test_the_list_of_templates_tells_who_approved_what_it_costs_and_whether_it_needs_consent(
    live: LiveRoom,
) -> None:
    bank, runner = str(live.member("bank-a", "desk")), CliRunner()
    listed = runner.invoke(app, ["template", "list", "-p", bank]).output
    (line,) = [each for each in listed.splitlines() if each.startswith("steady-payer")]
    for known in ("court 2/2, tax 2/2", "2.58 bits", "needed", "sha256:"):
        assert known in line
    told = json.loads(runner.invoke(app, ["template", "list", "-p", bank, "--json"]).stdout)
    (found,) = [each for each in told if each["name"] == "paid-enough"]
    assert found["approved"] == {"tax": {"approvals": 2, "needed": 2}}


def test_a_template_of_an_owner_whose_root_is_not_pinned_is_listed_with_its_problem(
    live: LiveRoom, tmp_path: Path
) -> None:
    profile = live.profile("bank-a", "desk")
    roots = {"court": profile.trust.charter_roots["court"]}
    trust = profile.trust.model_copy(update={"charter_roots": roots})
    folder = tmp_path / "desk"
    shutil.copytree(profile.folder, folder)
    (folder / "trust.json").write_text(trust.model_dump_json())
    listed = CliRunner().invoke(app, ["template", "list", "-p", str(folder)])
    assert listed.exit_code == 0, listed.output
    assert "paid-enough: no charter root of tax is pinned" in listed.output


def test_a_refused_check_tells_what_to_type_next(live: LiveRoom) -> None:
    bank, runner = str(live.member("bank-a", "desk")), CliRunner()
    asked = ["check", "paid-enough", "-p", bank, "--subject", POOR, "--purpose", "pre-loan"]
    refused = runner.invoke(app, [*asked, "--param", "least=4999"])
    assert refused.exit_code == 1
    assert f"next  saferoom template show paid-enough -p {bank}" in refused.output


def test_the_same_from_the_command_line(live: LiveRoom) -> None:
    bank, runner = str(live.member("bank-a", "desk")), CliRunner()
    about = ["--purpose", "pre-loan", "--param", "least=5000", "-p", bank]
    static = runner.invoke(app, ["cost", "paid-enough", "-p", bank])
    assert "one question costs at most 1.58 bits" in static.output, static.output
    told = runner.invoke(app, ["cost", "paid-enough", "--subject", UNKNOWN, *about, "--json"])
    document = json.loads(told.stdout)
    assert document["owners"]["tax"]["features"][0]["budget_bits"] == "2"
    silent = runner.invoke(app, ["cost", "paid-enough", "--subject", SILENT, *about])
    assert silent.exit_code == 0
    assert "it would be refused, NO_CONSENT" in silent.output
    assert VAT not in silent.output
    lonely = runner.invoke(app, ["cost", "paid-enough", "--subject", UNKNOWN, "-p", bank])
    assert lonely.exit_code == 2
