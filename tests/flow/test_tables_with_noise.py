"""Tables with noise through a real room: approved in plain words, priced, asked for, verified."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from typer.testing import CliRunner

from saferoom_client.cli import app
from tests.flow.live import LiveRoom
from tests.flow.pages import DOCS

DRAFT = """\
kind: Aggregate
name: dishonest-with-noise
title: {en: Listed firms with noise, zh: 加噪的失信企业数}
purposes: [product-design]
aggregate:
  dimensions: [court.dishonest]
  measures:
    - {kind: count}
  ways: 1
  privacy: {epsilon: 0.5, cap: 0.75}
"""
NAME = "dishonest-with-noise"
OF_ALL = ("--purpose", "product-design")


def typed(live: LiveRoom, organisation: str, name: str, *command: str, fails: bool = False) -> str:
    folder = str(live.member(organisation, name))
    result = CliRunner().invoke(app, [*command, "-p", folder])
    assert (result.exit_code != 0) == fails, result.output
    return result.output


def test_noise_is_approved_in_plain_words_priced_before_and_charged_once(
    live: LiveRoom, tmp_path: Path
) -> None:
    assert DRAFT in (DOCS / "statistics.md").read_text("utf-8")
    draft, receipt = tmp_path / "tables.yaml", tmp_path / "receipt.json"
    draft.write_text(DRAFT, "utf-8")
    proposed = json.loads(
        typed(live, "bank-a", "desk", "template", "propose", str(draft), "--json")
    )
    digest = str(proposed["template"])
    # What an approver reads.
    shown = " ".join(typed(live, "court", "li", "template", "show", digest).split())
    assert "changes the odds of any answer by a factor of e^0.5 = 1.65 at most" in shown
    # The total and a flag: one firm alters three counts, so the scale is six.
    assert "counts: 19 of 20 are within 18 of the true number" in shown
    assert "a group of institutions is told 0.75 at most" in shown
    assert "a factor of 2.12" in shown
    assert "no number about fewer than" not in shown
    for approver in ("li", "wang"):
        typed(live, "court", approver, "template", "approve", digest, "--yes")
    # What a bank is told before it asks, and what it pays.
    before = json.loads(typed(live, "bank-a", "desk", "stats", "cost", NAME, *OF_ALL, "--json"))
    priced = {"charged": "0.5", "spent": "0.5", "cap": "0.75"}
    assert (before["refused"], before["privacy"]) == (None, priced)
    assert before["within"] == {"counts": "18"}
    kept = ("--receipt", str(receipt), "--json")
    told = json.loads(typed(live, "bank-a", "desk", "stats", "ask", NAME, *OF_ALL, *kept))
    assert (told["privacy"], told["withheld"]) == (priced, 0)
    total, by_flag = ([cell["number"] for cell in each["cells"]] for each in told["tables"])
    assert len(by_flag) == 2
    assert total[0] == str(int(total[0]))
    # Again: the same numbers, and nothing is charged.
    again = json.loads(typed(live, "bank-a", "desk", "stats", "ask", NAME, *OF_ALL, "--json"))
    assert again["tables"] == told["tables"]
    assert Decimal(again["privacy"]["charged"]) == 0
    cost = typed(live, "bank-a", "desk", "stats", "cost", NAME, *OF_ALL)
    assert "epsilon: 0 would be charged; of these records your group has 0.25 of 0.75 left" in cost
    # The same cells by another plan are other noise, and more than is left.
    draft.write_text(DRAFT.replace(NAME, f"{NAME}-again"), "utf-8")
    proposed = json.loads(
        typed(live, "bank-a", "desk", "template", "propose", str(draft), "--json")
    )
    for approver in ("li", "wang"):
        other = str(proposed["template"])
        typed(live, "court", approver, "template", "approve", other, "--yes")
    for command in ("cost", "ask"):
        refused = typed(
            live,
            "bank-a",
            "desk",
            "stats",
            command,
            f"{NAME}-again",
            *OF_ALL,
            fails=command == "ask",
        )
        assert "OVER_BUDGET" in refused
        assert "saferoom stats cost" in " ".join(refused.split())
    # What anybody can verify, and an auditor replays.
    verified = typed(live, "bank-a", "desk", "receipt", "verify", str(receipt))
    assert "epsilon: 0.5 charged, 0.5 of 0.75 spent" in " ".join(verified.split())
    report = json.loads(typed(live, "auditor", "desk", "audit", "verify", "--json"))
    assert report["violations"] == []
