"""The auditor reads a real room's log and finds nothing; what is wrong in a log it finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from saferoom_client import Refused
from saferoom_client.cli import app
from tests.flow.live import LiveRoom
from tests.flow.offers import FICKLE, POOR, SILENT, STEADY
from tests.flow.pages import Hand, read_page, typing_in

PAGE = "auditors.md"


@pytest.fixture
def hand(live: LiveRoom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    """Give a folder in which the page's people have their member folders."""
    people = {"auditor": ("auditor", "desk"), "bank": ("bank-a", "desk"), "firm": (STEADY, "self")}
    people["tax"] = ("tax", "li")
    with typing_in(tmp_path_factory.mktemp("auditors")) as hand:
        for name, (organisation, member) in people.items():
            (hand.folder / name).symlink_to(live.member(organisation, member).resolve())
        yield hand


def test_the_page_works_as_it_stands(hand: Hand) -> None:
    page = read_page(PAGE)
    typed = "".join(one.text for one in page)
    assert "saferoom audit verify --since" in typed
    for block in page:
        hand.do(block)


def audit(live: LiveRoom, *words: str) -> dict[str, object]:
    folder = str(live.member("auditor", "desk"))
    result = CliRunner().invoke(app, ["audit", "verify", "--json", "-p", folder, *words])
    told: dict[str, object] = json.loads(result.output)
    assert result.exit_code == int(bool(told["violations"])), result.output
    return told


def test_a_room_at_work_has_no_violation(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        room.check("steady-payer", subject=STEADY, purpose="pre-loan", params={"least": "5000"})
        with pytest.raises(Refused):
            room.check("steady-payer", subject=STEADY, purpose="pre-loan", params={"least": "7"})
    consent = live.consent(FICKLE, "bank-a")
    with live.open(FICKLE, "self") as room:
        room.revoke_consent(consent)
        room.get_holdings("tax")
    told = audit(live)
    assert told["violations"] == []
    assert told["unjudged"] == 0
    assert told["judged"] == told["size"]
    since = told["size"]
    assert isinstance(since, int)
    later = audit(live, "--since", str(since - 3))
    assert later["judged"] in range(3, 60)


def test_whoever_is_no_auditor_is_shown_nothing_to_judge(live: LiveRoom) -> None:
    folder = str(live.member("bank-a", "desk"))
    result = CliRunner().invoke(app, ["audit", "verify", "-p", folder])
    assert result.exit_code == 1
    assert "the room shows what entries are to auditors only" in result.output


def test_receipts_of_every_kind_are_judged_beside_the_log(live: LiveRoom, tmp_path: Path) -> None:
    params = {"least": "5000"}
    with live.open("bank-a", "desk") as room:
        answer = room.check("paid-enough", subject=POOR, purpose="pre-loan", params=params)
        rows = room.check_many("paid-enough", [POOR, SILENT], purpose="pre-loan", params=params)
        files = {
            "check": answer.receipt,
            "batch": rows.receipt,
            "row": room.row_receipt(rows.receipt, 0),
            "refused row": room.row_receipt(rows.receipt, 1),
        }
        for name, receipt in files.items():
            (tmp_path / f"{name}.json").write_bytes(receipt.to_json())
    with live.open(POOR, "self") as room:
        own = [each for each in room.get_holdings("tax").rows if each.request_id == rows.request_id]
        (tmp_path / "own.json").write_bytes(room.use_receipt(own[0]).to_json())
    told = audit(live, "--receipts", str(tmp_path))
    assert (told["violations"], told["receipts"], told["opened"]) == ([], 5, 1)
    # A receipt that was altered is one more thing to report.
    data = (tmp_path / "check.json").read_bytes()
    (tmp_path / "check.json").write_bytes(data.replace(b'"answer": "AQ', b'"answer": "AR', 1))
    found = cast("list[dict[str, object]]", audit(live, "--receipts", str(tmp_path))["violations"])
    assert [each["entry"] for each in found] == [None]
