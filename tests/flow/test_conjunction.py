"""A private conjunction in a real room: proposed, approved, asked, shown and audited."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from saferoom_client import Refused, Truth
from saferoom_client.cli import app
from saferoom_proto.answer import Answer
from saferoom_proto.batch_receipt import RowReceipt, verify_batch_receipt, verify_row_receipt
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.shares import Share
from saferoom_proto.statements import Returns
from saferoom_proto.trust import Trust
from tests.client.mutants import mutants
from tests.flow.live import LiveRoom
from tests.flow.offers import LISTED, POOR, SILENT, STEADY, UNKNOWN
from tests.flow.test_second_verifier import loaded

NAME = "steady-as-a-whole"
LEAST = {"least": "5000"}
WHOLES = {STEADY: Truth.YES, POOR: Truth.NO, LISTED: Truth.NO, UNKNOWN: Truth.NO}


@pytest.fixture(scope="module")
def whole(live: LiveRoom) -> LiveRoom:
    """Give the room with a conjunction of its two owners, approved by both."""
    live.approve(live.propose("steady-payer", name=NAME, returns=Returns.CONJUNCTION))
    return live


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    """Load the verifier of one file by itself."""
    return loaded()


def run(live: LiveRoom, member: tuple[str, str], *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "-p", str(live.member(*member))])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(("subject", "answer"), WHOLES.items())
def test_only_the_whole_is_told(whole: LiveRoom, subject: str, answer: Truth) -> None:
    with whole.open("bank-a", "desk") as room:
        told = room.check(NAME, subject=subject, purpose="pre-loan", params=LEAST)
        assert (told.truth, told.parts) == (answer, {})
        assert {charge.feature for charge in told.charges} == {"tax.vat_paid", "court.dishonest"}
        verified = verify_receipt(Receipt.from_json(told.receipt.to_json()), room.profile.trust)
    assert verified.answer is answer
    shares = [part.answer for part in verified.parts.values()]
    assert all(isinstance(share, Share) for share in shares)


def test_who_refuses_is_named(whole: LiveRoom) -> None:
    with whole.open("bank-a", "desk") as room, pytest.raises(Refused) as refused:
        room.check(NAME, subject=SILENT, purpose="pre-loan", params=LEAST)
    assert refused.value.reason is Reason.NO_CONSENT
    receipt = refused.value.receipt()
    verified = verify_receipt(receipt, whole.profile("bank-a", "desk").trust)
    assert verified.answer is None


def test_rows_of_a_batch_are_told_as_wholes(whole: LiveRoom) -> None:
    with whole.open("bank-a", "desk") as room:
        rows = room.check_many(NAME, [*WHOLES, SILENT], purpose="pre-loan", params=LEAST)
        trust = room.profile.trust
        row = verify_row_receipt(room.row_receipt(rows.receipt, 0), trust)
    assert [each.truth for each in rows] == [*WHOLES.values(), None]
    assert row.answer is Truth.YES
    assert len(verify_batch_receipt(rows.receipt, trust)) == 2


def test_the_cli_shows_the_whole_and_a_receipt_of_shares(whole: LiveRoom, tmp_path: Path) -> None:
    receipt, desk = tmp_path / "receipt.json", ("bank-a", "desk")
    asked = ("check", NAME, "--subject", STEADY, "--purpose", "pre-loan", "--param", "least=5000")
    told = run(whole, desk, *asked, "--receipt", str(receipt))
    assert told.splitlines()[0] == "yes"
    assert "court:" not in told
    shown = run(whole, desk, "receipt", "verify", str(receipt))
    assert shown.count("its share of the answer") == 2
    document = json.loads(run(whole, desk, "receipt", "verify", str(receipt), "--json"))
    assert document["answer"] == "yes"
    assert {part["answer"] for part in document["parts"].values()} == {"share"}
    sheet = tmp_path / "receipt.txt"
    run(whole, desk, "receipt", "export", str(receipt), "--out", str(sheet), "--lang", "en")
    assert "Its share of the answer" in sheet.read_text("utf-8")
    approver = run(whole, ("tax", "li"), "template", "show", NAME)
    assert "only whether all owners' parts hold" in approver


def test_the_second_verifier_says_the_same(whole: LiveRoom, theirs: ModuleType) -> None:
    with whole.open("bank-a", "desk") as room:
        told = room.check(NAME, subject=STEADY, purpose="pre-loan", params=LEAST)
        rows = room.check_many(NAME, [LISTED, SILENT], purpose="pre-loan", params=LEAST)
        files = {
            "check": told.receipt.to_json(),
            "batch": rows.receipt.to_json(),
            "row": room.row_receipt(rows.receipt, 0).to_json(),
            "refused row": room.row_receipt(rows.receipt, 1).to_json(),
        }
        trust = room.profile.trust
    pinned = trust.model_dump_json().encode()
    shown = {kind: theirs.verify(data, pinned) for kind, data in files.items()}
    answers = [shown[kind]["answer"] for kind in ("check", "row", "refused row")]
    assert answers == ["yes", "no", "refused"]
    for kind in ("check", "row"):
        for where, altered in list(mutants(json.loads(files[kind])))[::61]:
            data = json.dumps(altered).encode("utf-8", "surrogatepass")
            ours, second = verdicts(kind, data, trust), verifies(theirs, data, pinned)
            assert ours == second, where


def verdicts(kind: str, data: bytes, trust: Trust) -> bool:
    try:
        if kind == "check":
            verify_receipt(Receipt.from_json(data), trust)
        else:
            verify_row_receipt(RowReceipt.from_json(data), trust)
    except SafeRoomError:
        return False
    return True


def verifies(theirs: ModuleType, data: bytes, trust: bytes) -> bool:
    try:
        theirs.verify(data, trust)
    except theirs.Wrong:
        return False
    return True


def test_shares_that_are_swapped_left_out_or_made_up_are_refused(
    whole: LiveRoom, theirs: ModuleType
) -> None:
    with whole.open("bank-a", "desk") as room:
        told = room.check(NAME, subject=POOR, purpose="pre-loan", params=LEAST)
        trust = room.profile.trust
    receipt = told.receipt
    court, tax = receipt.parts
    answer = b64(Answer(Truth.YES, bytes(32)).to_bytes())
    lies = {
        "swapped": (
            court.model_copy(update={"answer": tax.answer}),
            tax.model_copy(update={"answer": court.answer}),
        ),
        "left out": (court,),
        "an answer in its place": (court, tax.model_copy(update={"answer": answer})),
    }
    for parts in lies.values():
        lie = receipt.model_copy(update={"parts": parts}).to_json()
        assert not verdicts("check", lie, trust)
        assert not verifies(theirs, lie, trust.model_dump_json().encode())


def test_a_subject_sees_that_it_was_asked_about(whole: LiveRoom) -> None:
    with whole.open("bank-a", "desk") as room:
        room.check(NAME, subject=UNKNOWN, purpose="pre-loan", params=LEAST)
        room.check_many(NAME, [UNKNOWN], purpose="pre-loan", params=LEAST)
    with whole.open(UNKNOWN, "self") as room:
        held = room.get_holdings("tax")
        asked = room.get_template(NAME).envelope.digest
        mine = [each for each in held.rows if each.template == asked]
    assert mine
    assert all(each.answered and each.answer is None for each in mine)
    told = run(whole, (UNKNOWN, "self"), "mine", "--owner", "tax")
    assert "told only whether all of it holds" in told


def test_an_audit_replays_it(whole: LiveRoom) -> None:
    folder = str(whole.member("auditor", "desk"))
    result = CliRunner().invoke(app, ["audit", "verify", "--json", "-p", folder])
    told = json.loads(result.output)
    assert told["violations"] == []
    assert told["judged"] == told["size"]
