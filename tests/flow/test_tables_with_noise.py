"""Tables with noise through a real room: approved in plain words, priced, asked for, verified."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
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
PRICED = {"charged": "0.5", "spent": "0.5", "cap": "0.75"}


@dataclass(frozen=True, slots=True)
class Told:
    """What the command printed for programs, and where it left the receipt."""

    document: Any
    receipt: Path


def typed(live: LiveRoom, organisation: str, name: str, *command: str, fails: bool = False) -> str:
    folder = str(live.member(organisation, name))
    result = CliRunner().invoke(app, [*command, "-p", folder])
    assert (result.exit_code != 0) == fails, result.output
    return result.output


def proposed(live: LiveRoom, folder: Path, name: str) -> str:
    """Have a plan with noise proposed; gives its template's digest."""
    draft = folder / "tables.yaml"
    draft.write_text(DRAFT.replace(NAME, name), "utf-8")
    said = typed(live, "bank-a", "desk", "template", "propose", str(draft), "--json")
    return str(json.loads(said)["template"])


def approve(live: LiveRoom, digest: str) -> None:
    for approver in ("li", "wang"):
        typed(live, "court", approver, "template", "approve", digest, "--yes")


def as_json(live: LiveRoom, *command: str) -> Any:
    return json.loads(typed(live, "bank-a", "desk", "stats", *command, *OF_ALL, "--json"))


@pytest.fixture(scope="session")
def approved(live: LiveRoom, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Have it approved, and priced while nothing is told: once a session, as the room is."""
    digest = proposed(live, tmp_path_factory.mktemp("draft"), NAME)
    approve(live, digest)
    (before,) = as_json(live, "cost", digest)
    assert (before["refused"], before["privacy"]) == (None, PRICED)
    assert before["within"] == {"counts": "18"}
    return digest


@pytest.fixture(scope="session")
def told(live: LiveRoom, approved: str, tmp_path_factory: pytest.TempPathFactory) -> Told:
    receipt = tmp_path_factory.mktemp("told") / "receipt.json"
    return Told(as_json(live, "ask", approved, "--receipt", str(receipt)), receipt)


def test_the_page_shows_the_draft_that_is_proposed_here() -> None:
    assert DRAFT in (DOCS / "statistics.md").read_text("utf-8")


def test_an_approver_reads_what_noise_does_in_plain_words(live: LiveRoom, approved: str) -> None:
    shown = " ".join(typed(live, "court", "li", "template", "show", approved).split())
    assert "changes the odds of any answer by a factor of e^0.5 = 1.65 at most" in shown
    # The total and a flag: one firm alters three counts, so the scale is six.
    assert "counts: 19 of 20 are within 18 of the true number" in shown
    assert "a group of institutions is told 0.75 at most" in shown
    assert "a factor of 2.12" in shown
    assert "no number about fewer than" not in shown


def test_the_same_numbers_are_told_again_and_nothing_is_charged(
    live: LiveRoom, approved: str, told: Told
) -> None:
    assert (told.document["privacy"], told.document["withheld"]) == (PRICED, 0)
    total, by_flag = (
        [cell["number"] for cell in each["cells"]] for each in told.document["tables"]
    )
    assert (len(by_flag), total[0]) == (2, str(int(total[0])))
    again = as_json(live, "ask", approved)
    assert again["tables"] == told.document["tables"]
    assert again["privacy"] == PRICED | {"charged": "0"}
    cost = typed(live, "bank-a", "desk", "stats", "cost", approved, *OF_ALL)
    assert "epsilon: 0 would be charged; of these records your group has 0.25 of 0.75 left" in cost


def test_another_plan_of_the_same_cells_is_more_than_is_left(
    live: LiveRoom, approved: str, told: Told, tmp_path: Path
) -> None:
    assert told.document["privacy"] == PRICED
    other = proposed(live, tmp_path, f"{NAME}-again")
    approve(live, other)
    for command in ("cost", "ask"):
        refused = typed(
            live, "bank-a", "desk", "stats", command, other, *OF_ALL, fails=command == "ask"
        )
        assert "OVER_BUDGET" in refused
        assert "saferoom stats cost" in " ".join(refused.split())
    both = typed(live, "bank-a", "desk", "stats", "cost", approved, other, *OF_ALL)
    assert "not all together: epsilon 0.5 of court's records, 0.25 left" in " ".join(both.split())


def test_public_counts_tell_of_no_cell_that_it_would_be_withheld(
    live: LiveRoom, approved: str, tmp_path: Path
) -> None:
    counts = tmp_path / "counts.yaml"
    counts.write_text("court.dishonest: {'false': 90, 'true': 3}", "utf-8")
    expected = typed(live, "bank-a", "desk", "stats", "dry-run", approved, str(counts))
    assert "told, with noise" in expected
    assert "withheld" not in expected


def test_anybody_verifies_the_charge_and_an_auditor_replays_it(live: LiveRoom, told: Told) -> None:
    verified = typed(live, "bank-a", "desk", "receipt", "verify", str(told.receipt))
    assert "epsilon: 0.5 charged, 0.5 of 0.75 spent" in " ".join(verified.split())
    report = json.loads(typed(live, "auditor", "desk", "audit", "verify", "--json"))
    assert report["violations"] == []
