"""A sum over three owners through a real room: approved, priced, asked for, shown and audited."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_proto.statements import Schema
from saferoom_proto.suite import Suite
from saferoom_proto.uscc import make_uscc
from tests.flow.live import LiveRoom
from tests.flow.offers import tax_schema, vat_paid
from tests.flow.pages import DOCS

pytestmark = pytest.mark.soak

OWNERS = ("east", "north", "west")
DRAFT = """\
kind: Aggregate
name: firms-by-vat
title: {en: Firms of three districts by VAT paid, zh: 三区企业按纳税额分布}
purposes: [product-design]
aggregate:
  owners: [east, north, west]
  dimensions: [east.vat_paid]
  measures:
    - {kind: count}
    - {kind: sum, of: east.vat_paid, low: 0, high: 100000}
  ways: 1
  privacy: {epsilon: 0.5, cap: 1}
"""
NAME = "firms-by-vat"
OF_ALL = ("--purpose", "product-design")
SPENT = {"charged": "0.5", "spent": "0.5", "cap": "1"}


@pytest.fixture(scope="module", params=list(Suite))
def room(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveRoom]:
    """Give a room of three tax offices that have loaded, and agreed with a bank."""
    live = LiveRoom(tmp_path_factory.mktemp("offices"), owners=OWNERS, suite=request.param)
    try:
        live.start()
        for at, owner in enumerate(OWNERS):
            schema = Schema.model_validate({**tax_schema().model_dump(), "owner": owner})
            with live.open(owner, "li") as office:
                live.schemas[owner] = office.put_schema(schema).statement.digest
                office.put_feature(vat_paid(owner=owner))
            load(live, owner, 100 + 20 * at)
            live.agree(owner, "bank-a")
        yield live
    finally:
        live.processes.stop()


def load(live: LiveRoom, owner: str, firms: int) -> None:
    paid = live.folder / f"{owner}.csv"
    rows = "".join(f"{make_uscc(n)},{1000 * (n % 60)}\n" for n in range(firms))
    paid.write_text("uscc,paid\n" + rows, "utf-8")
    with live.open(owner, "li") as office:
        assert not office.load_data(live.schemas[owner], {"vat": paid}).bad_row_count


def typed(live: LiveRoom, organisation: str, name: str, *command: str, fails: bool = False) -> str:
    folder = str(live.member(organisation, name))
    result = CliRunner().invoke(app, [*command, "-p", folder])
    assert (result.exit_code != 0) == fails, result.output
    return " ".join(result.output.split())


def as_json(live: LiveRoom, *command: str) -> Any:
    folder = str(live.member("bank-a", "desk"))
    result = CliRunner().invoke(app, ["stats", *command, *OF_ALL, "-p", folder, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.fixture(scope="module")
def approved(room: LiveRoom) -> str:
    """Have it proposed, and approved by two of each office."""
    draft = room.folder / "sums.yaml"
    draft.write_text(DRAFT, "utf-8")
    said = typed(room, "bank-a", "desk", "template", "propose", str(draft), "--json")
    digest = str(json.loads(said)["template"])
    for owner in OWNERS:
        for approver in ("li", "wang"):
            typed(room, owner, approver, "template", "approve", digest, "--yes")
    return digest


def test_the_page_shows_the_draft_that_is_proposed_here() -> None:
    assert DRAFT in (DOCS / "statistics.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("was", "wrong", "told"),
    [
        ("[east, north, west]", "[east, north]", "a sum is over three owners or more"),
        ("[east, north, west]", "[north, west, yonder]", "of a sum they are named as the first's"),
        ("  privacy: {epsilon: 0.5, cap: 1}\n", "", "a sum over owners leaves with noise only"),
        ("kind: sum", "kind: mean", "over owners are added up: count, sum, histogram"),
    ],
)
def test_who_drafts_no_sum_is_told_what_one_is(
    room: LiveRoom, tmp_path: Path, was: str, wrong: str, told: str
) -> None:
    assert was in DRAFT
    (draft := tmp_path / "sums.yaml").write_text(DRAFT.replace(was, wrong), "utf-8")
    assert told in typed(room, "bank-a", "desk", "template", "propose", str(draft), fails=True)


def test_an_approver_reads_what_is_told_and_what_hides_its_own_cells(
    room: LiveRoom, approved: str
) -> None:
    shown = typed(room, "north", "li", "template", "show", approved)
    assert "added up over east, north, west: only the sum of all their cells is told" in shown
    assert "unless all of east, west join forces with the bank" in shown
    assert "of the same records north tells no table alone" in shown


def test_a_sum_is_priced_told_shown_and_audited(room: LiveRoom, approved: str) -> None:
    (before,) = as_json(room, "cost", approved)
    assert before["refused"] is None
    assert {owner: each["privacy"] for owner, each in before["owners"].items()} == dict.fromkeys(
        OWNERS, SPENT
    )
    receipt, numbers, page = (room.folder / each for each in ("sum.json", "sum.csv", "sum.html"))
    files = ("--receipt", str(receipt), "--csv", str(numbers), "--chart", str(page))
    told = as_json(room, "ask", approved, *files)
    assert {each["epoch"] for each in told["owners"].values()} == {1}
    total = told["tables"][0]["cells"][0]["number"]
    # Three offices' noise of a scale of 12 each: a chance in a thousand million of being farther.
    assert abs(int(total) - 360) < 1000
    again = as_json(room, "ask", approved)
    assert again["tables"] == told["tables"]
    assert {each["privacy"]["charged"] for each in again["owners"].values()} == {"0"}
    verified = typed(room, "bank-a", "desk", "receipt", "verify", str(receipt))
    assert "verified: the charters, agreements, approvals, enclaves, all shares, and the log" in (
        verified
    )
    assert all(f"{owner}, period 1: epsilon 0.5 charged" in verified for owner in OWNERS)
    report = json.loads(typed(room, "auditor", "desk", "audit", "verify", "--json"))
    assert report["violations"] == []
    assert "east, north, west" in page.read_text("utf-8")
    assert NAME in typed(room, "north", "li", "uses")
    assert "vat_paid" in numbers.read_text("utf-8").partition("\n")[0]


def test_one_owner_that_loads_alone_or_pauses_is_told_of_in_no_second_sum(
    room: LiveRoom, approved: str, tmp_path: Path
) -> None:
    receipt = tmp_path / "refused.json"
    load(room, "west", 141)
    refused = typed(
        *(room, "bank-a", "desk", "stats", "ask", approved, *OF_ALL, "--receipt", str(receipt)),
        fails=True,
    )
    # West's own records of before were told within the month; so it says, before any is charged.
    assert "OVER_BUDGET" in refused
    assert "west" in refused
    shown = typed(room, "bank-a", "desk", "receipt", "verify", str(receipt))
    assert "west, period 2: refused, OVER_BUDGET" in shown
    typed(room, "north", "li", "pause", "--template", approved, "--why", "looking into it")
    paused = typed(room, "bank-a", "desk", "stats", "cost", approved, *OF_ALL)
    assert "it would be refused by north, PAUSED" in paused
