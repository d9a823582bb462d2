"""Tables through a real room: proposed, approved, asked for, verified, and seen by everybody."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client import AsyncRoom, Refused
from saferoom_client.cli import app
from saferoom_client.stats import TableAnswer
from saferoom_client.table_page import write_page
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import TableRelease, load
from saferoom_proto.tables.receipt import TableReceipt, verify_table_receipt
from saferoom_proto.use_receipt import verify_use_receipt
from tests.flow.live import LiveRoom
from tests.flow.offers import PAID, POOR
from tests.flow.pages import DOCS

DRAFT = """\
kind: Aggregate
name: paid-by-band
title: {en: Firms by what they paid, zh: 按纳税额的企业数}
purposes: [product-design]
aggregate:
  dimensions: [tax.vat_paid]
  measures:
    - {kind: count}
    - {kind: mean, of: tax.vat_paid, low: 0, high: 100000}
  ways: 1
"""
NAME = "paid-by-band"


def typed(live: LiveRoom, organisation: str, name: str, *command: str) -> str:
    folder = str(live.member(organisation, name))
    result = CliRunner().invoke(app, [*command, "-p", folder])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def approved(live: LiveRoom, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Have the tables proposed and approved in the shell, as their people do."""
    draft = tmp_path_factory.mktemp("draft") / "tables.yaml"
    draft.write_text(DRAFT, "utf-8")
    proposed = typed(live, "bank-a", "desk", "template", "propose", str(draft), "--json")
    digest = str(json.loads(proposed)["template"])
    shown = " ".join(typed(live, "tax", "li", "template", "show", digest).split())
    assert "bank-a asks, for product-design, for tables about all subjects" in shown
    assert "tax (tax) tells at most 12 numbers, in 4 tables" in shown
    assert "no number about fewer than 10" in shown
    for approver in ("li", "wang"):
        typed(live, "tax", approver, "template", "approve", digest, "--yes")
    return digest


@pytest.fixture(scope="module")
def answer(live: LiveRoom, approved: str) -> TableAnswer:
    with live.open("bank-a", "desk") as room:
        return room.tabulate(approved, purpose="product-design")


def test_the_page_shows_the_draft_that_is_proposed_here() -> None:
    assert DRAFT in (DOCS / "statistics.md").read_text("utf-8")


def test_the_tables_verify_and_their_receipt_shows_it_offline(
    live: LiveRoom, answer: TableAnswer
) -> None:
    tables = answer.verified.tables
    assert tables is not None
    total, bands, mean, _ = tables
    assert [cell.number for cell in total.cells] == [str(5 * round(len(PAID) / 5))]
    assert sum(cell.number is not None for cell in bands.cells) >= 2
    assert mean.cells[0].number is not None
    receipt = TableReceipt.from_json(answer.receipt.to_json())
    with live.open("auditor", "desk") as auditor:
        trust = auditor.profile.trust
    assert verify_table_receipt(receipt, trust) == answer.verified


SPOILT = {
    "another number": ("tables", '"numbers":[["', '"numbers":[["9', Reason.BAD_PROOF),
    "another purpose": ("request", "product-design", "supervision", Reason.BAD_PROOF),
    "no approvals": ("approvals", None, (), Reason.NOT_APPROVED),
    "no tables": ("tables", None, None, Reason.BAD_PROOF),
    "no features": ("features", None, (), Reason.UNKNOWN_FEATURE),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_receipt_that_was_altered_is_refused(
    live: LiveRoom, answer: TableAnswer, what: str
) -> None:
    field, was, now, reason = SPOILT[what]
    held = json.loads(answer.receipt.to_json())
    held[field] = now if was is None else held[field].replace(was, now)
    if what == "another purpose":
        envelope = json.loads(held["request"])
        payload = b64decode(envelope["payload"]).replace(b"product-design", b"supervision")
        held["request"] = json.dumps({**envelope, "payload": b64encode(payload).decode()})
    altered = TableReceipt.from_json(json.dumps(held).encode())
    trust = live.profile("auditor", "desk").trust
    with pytest.raises(SafeRoomError) as caught:
        verify_table_receipt(altered, trust)
    assert caught.value.reason is reason


def test_the_owner_the_auditor_and_no_subject_see_the_use(
    live: LiveRoom, answer: TableAnswer, tmp_path: Path
) -> None:
    request_id = answer.verified.request_id
    with live.open("tax", "li") as owner:
        (use,) = (each for each in owner.list_uses().uses if each.request_id == request_id)
        assert (use.kind, use.institution, use.subject, use.bits) == ("table", "bank-a", None, 0)
        verified = verify_use_receipt(owner.use_receipt(use), owner.profile.trust)
        assert isinstance(verified.word, TableRelease)
        assert verified.request == answer.verified.request
    with live.open(POOR, "self") as subject:
        assert request_id not in {each.request_id for each in subject.list_uses().uses}
    (tmp_path / "table.json").write_bytes(answer.receipt.to_json())
    command = ("audit", "verify", "--receipts", str(tmp_path), "--json")
    report = json.loads(typed(live, "auditor", "desk", *command))
    assert report["violations"] == []
    with live.open("auditor", "desk") as auditor:
        entry = next(iter(auditor.entries(answer.verified.index, 1)))
        assert entry.statement is not None
        assert load(entry.statement, TableRelease) == answer.verified.release


def test_a_bank_asks_in_the_shell_and_keeps_csv_and_receipt(
    live: LiveRoom, approved: str, tmp_path: Path
) -> None:
    receipt, lines = tmp_path / "receipt.json", tmp_path / "numbers.csv"
    ask = ("stats", "ask", NAME, "--purpose", "product-design")
    page = tmp_path / "tables.html"
    files = ("--receipt", str(receipt), "--csv", str(lines), "--chart", str(page))
    told = typed(live, "bank-a", "desk", *ask, *files)
    assert "tax.vat_paid" in told
    assert max(map(len, told.splitlines())) <= 80
    assert "tax.vat_paid" in page.read_text("utf-8")
    with lines.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert rows[0]["measure"] == "count"
    assert all(bool(row["number"]) != bool(row["withheld"]) for row in rows)
    shown = typed(live, "bank-a", "desk", "receipt", "verify", str(receipt))
    assert "verified: the charters, agreement, approvals, enclave, its tables, and the log" in shown
    listed = json.loads(typed(live, "bank-a", "desk", "stats", "list", "--json"))
    assert [each["numbers"] for each in listed if each["template"] == approved] == [12]


def test_the_page_draws_every_table_and_names_what_is_withheld(answer: TableAnswer) -> None:
    page, tables = write_page(answer), answer.verified.tables
    assert tables
    assert page.count("<svg") == len(tables)
    withheld = sum(cell.number is None for told in tables for cell in told.cells)
    assert 0 < page.count(": WITHHELD") == withheld
    assert "<script" not in page
    assert all(f": {cell.number}" in page for cell in tables[0].cells)


def test_a_page_that_cannot_be_drawn_is_refused_before_anything_is_asked(
    live: LiveRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    folder, page = str(live.member("bank-a", "desk")), tmp_path / "tables.html"
    command = ("stats", "ask", NAME, "--purpose", "product-design", "--chart", str(page))
    with live.open("tax", "li") as owner:
        before = len(owner.list_uses().uses)
        result = CliRunner().invoke(app, [*command, "-p", folder])
        assert (result.exit_code, page.exists()) == (1, False)
        assert "NOT_INSTALLED" in result.output
        assert len(owner.list_uses().uses) == before


def test_a_dry_run_tells_the_outlook_from_public_counts(
    live: LiveRoom, approved: str, tmp_path: Path
) -> None:
    counts = tmp_path / "counts.yaml"
    classes = ("below 1000", "1000 to below 5000", "5000 to below 50000", "50000 or more")
    given = {**dict.fromkeys(classes, 40), "below 1000": 3, "unknown": 5}
    counts.write_text(json.dumps({"tax.vat_paid": given}), "utf-8")
    told = typed(live, "bank-a", "desk", "stats", "dry-run", approved, str(counts))
    assert "below 1000           withheld" in told
    assert "large enough" in told
    folder = str(live.member("bank-a", "desk"))
    for bad in ({"below 1000": 3}, {**given, "unknown": True}):
        counts.write_text(json.dumps({"tax.vat_paid": bad}), "utf-8")
        wrong = CliRunner().invoke(app, ["stats", "dry-run", approved, str(counts), "-p", folder])
        assert wrong.exit_code == 1
        assert "a count of each of its classes is expected" in " ".join(wrong.stderr.split())


def test_who_may_not_ask_and_what_is_no_table_is_refused_with_words(
    live: LiveRoom, approved: str
) -> None:
    with live.open("bank-b", "desk") as room, pytest.raises(Refused) as refusal:
        room.tabulate(approved, purpose="product-design")
    assert refusal.value.reason is Reason.NO_AGREEMENT
    with live.open("bank-a", "desk") as room:
        for purpose, reason in (("pre-loan", Reason.WRONG_PURPOSE), ("fun", Reason.MALFORMED)):
            with pytest.raises(SafeRoomError) as caught:
                room.tabulate(approved, purpose=purpose)
            assert caught.value.reason is reason
        with pytest.raises(SafeRoomError) as caught:
            room.tabulate("paid-enough", purpose="pre-loan")
        assert caught.value.reason is Reason.NOT_ALLOWED
        with pytest.raises(SafeRoomError) as caught:
            room.check(approved, subject=POOR, purpose="product-design")
        [command] = caught.value.__notes__
        assert command.startswith("saferoom stats ask ")


def test_asyncio_programs_ask_and_are_told_the_same_again(
    live: LiveRoom, approved: str, answer: TableAnswer
) -> None:
    async def asked() -> TableAnswer:
        async with AsyncRoom.open(live.member("bank-a", "desk")) as room:
            return await room.tabulate(approved, purpose="product-design")

    again = asyncio.run(asked())
    assert again.verified.tables == answer.verified.tables
    assert again.verified.request_id != answer.verified.request_id
