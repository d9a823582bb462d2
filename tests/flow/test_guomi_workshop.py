"""The workshop in a room of the suite guomi: two owners' columns, trained on in every way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_proto.fit_receipt import FitReceipt, verify_fit_receipt
from saferoom_proto.statements import JobOutcome
from saferoom_proto.suite import Suite, suite_of
from tests.flow.live import LiveRoom
from tests.flow.offers import COURT, VAT
from tests.flow.test_jobs_survive import FIRMS, applicants, propose
from tests.flow.trainings import OF_TWO, fit_of, have_approved, hold

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRoom]:
    """Give a room of two owners with firms enough, of whom the tax office knows who was late."""
    live = LiveRoom(tmp_path_factory.mktemp("guomi"), suite=Suite.GUOMI)
    try:
        live.start()
        live.define()
        hold(live, FIRMS)
        yield live
    finally:
        live.processes.stop()


def test_two_owners_train_in_the_room(room: LiveRoom) -> None:
    have_approved(room, "arrears-2", fit_of(OF_TWO))
    with room.open("bank-a", "desk") as bank:
        answer = bank.train_in_room("arrears-2", purpose="product-design")
        trust = bank.profile.trust
    assert suite_of(answer.job) is Suite.GUOMI
    receipt = FitReceipt.from_json(answer.receipt.read_bytes())
    card = verify_fit_receipt(receipt, trust).card
    assert card is not None
    assert card == answer.verified.card
    assert (card.rows, card.givers) == (FIRMS - 100, ("court",))


def test_a_bank_and_two_owners_train_jointly_and_the_log_holds(
    room: LiveRoom, tmp_path: Path
) -> None:
    propose(room, features=(COURT, VAT), host="tax")
    with room.open("bank-a", "desk") as bank:
        rows = applicants(tmp_path / "own.csv")
        job = bank.submit_job("default-model", rows, purpose="product-design").job
        end = bank.take_part(job)
    assert end.release.outcome is JobOutcome.RELEASED
    assert end.report is not None
    told = typed("audit", "verify", "-p", str(room.member("auditor", "desk")))
    assert (told["violations"], told["unjudged"]) == ([], 0)


def test_a_witness_judges_every_entry_and_cosigns(room: LiveRoom) -> None:
    folder, card = room.folder / "witness", room.room / "room-card.json"
    typed("witness", "init", str(folder), "--room", str(card), "--name", "auditor.example/w")
    room.enrol("auditor", "witness", folder / "profile")
    auditor = str(room.member("auditor", "desk"))
    typed("witness", "run", str(folder), "--audit", "--once", "-p", auditor)
    seen, log = typed("witness", "show", str(folder)), typed("log", "verify", "-p", auditor)
    assert 0 < seen["size"] <= log["size"], "what enclaves say last may come between"


def typed(*command: str) -> Any:
    told = CliRunner().invoke(app, [*command, "--json"])
    assert told.exit_code == 0, told.output
    return json.loads(told.output)
