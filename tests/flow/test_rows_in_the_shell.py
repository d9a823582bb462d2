"""A subject's rows of batches, as it sees and keeps them in a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client import Refused
from saferoom_client.cli import app
from tests.flow.live import LiveRoom
from tests.flow.offers import LISTED, POOR

LEAST = {"least": "5000"}


def test_a_rows_receipt_is_shown_and_one_that_was_altered_is_refused(
    live: LiveRoom, tmp_path: Path
) -> None:
    with live.open("bank-a", "desk") as bank:
        rows = [POOR, LISTED]
        asked = bank.check_many("steady-payer", rows, purpose="pre-loan", params=LEAST)
    firm = str(live.member(LISTED, "self"))

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, [*words, "-p", firm])
        return result.exit_code, " ".join(result.output.split())

    command = ["mine", "--owner", "court", "--json", "-p", firm, "--receipts", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    (row,) = [each for each in told["uses"] if each["request_id"] == asked.request_id]
    assert (row["kind"], row["row"], row["answer"], row["params"]) == ("batch", 1, "no", LEAST)
    file = tmp_path / f"entry-{row['entry']}-row-2.json"
    status, shown = run("receipt", "verify", str(file))
    assert status == 0, shown
    assert "verified" in shown
    assert f"about {LISTED}" in shown
    assert "with least=5000" in shown
    assert "answer no" in shown
    words = ("dispute", "open", "--words", "We are no borrower.", "--receipt", str(file), "--json")
    result = CliRunner().invoke(app, [*words, "-p", firm])
    assert result.exit_code == 0, result.output
    disputed = json.loads(result.output)
    assert (disputed["owner"], disputed["use"], disputed["row"]) == ("court", row["use"], 1)
    with live.open("court", "li") as owner:
        (told,) = [each for each in owner.list_disputes() if each.digest == disputed["dispute"]]
        assert (told.dispute.subject, told.dispute.row, told.is_open) == (LISTED, 1, True)
    with live.open(LISTED, "self") as room, pytest.raises(Refused) as refused:
        room.open_dispute("court", "No such row.", use=row["use"], row=2)
    assert [each.rule for each in refused.value.fields] == ["the batch has 2 rows"]
    altered = json.loads(file.read_text("utf-8"))
    for subject, index in ((POOR, 1), (LISTED, 0)):
        altered["row"]["subject"], altered["row"]["row"]["index"] = subject, index
        file.write_text(json.dumps(altered), "utf-8")
        status, shown = run("receipt", "verify", str(file))
        assert status == 1
        assert "BAD_PROOF" in shown
        status, shown = run(*words[:-1])
        assert (status, "BAD_PROOF" in shown) == (1, True)
