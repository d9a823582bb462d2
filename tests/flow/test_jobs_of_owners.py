"""A job over two owners' columns through a real room: asked by a bank, at two enclaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.drafts import read_template
from saferoom_client.jobs import JobEnd
from saferoom_client.refused import Refused
from saferoom_client.score_drafts import draft_score
from saferoom_client.standalone import verify_receipt
from saferoom_client.training.states import JobState
from saferoom_client.yaml_text import write_yaml
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import JobOutcome
from tests.flow.live import LiveRoom
from tests.flow.offers import COURT, POOR, SILENT, STEADY, VAT
from tests.flow.test_jobs_survive import COMMON, FIRMS, applicants, propose
from tests.flow.trainings import hold

pytestmark = pytest.mark.soak

HELD_BY_ALL = COMMON - 100
"""The court holds a hundred fewer of the bank's customers than the tax office does."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRoom]:
    """Give a room of two owners who approved a training of both, hosted by the tax office."""
    folder = tmp_path_factory.mktemp("owners")
    live = LiveRoom(folder)
    try:
        live.start()
        live.define()
        hold(live, FIRMS)
        propose(live, features=(COURT, VAT), host="tax")
        yield live
    finally:
        live.processes.stop()


def test_a_bank_trains_with_two_owners(room: LiveRoom, tmp_path: Path) -> None:
    rows = applicants(tmp_path / "own.csv")
    with room.open("bank-a", "desk") as bank:
        job = bank.submit_job("default-model", rows, purpose="product-design").job
        end: JobEnd = bank.take_part(job)
        (listed,) = [each for each in bank.list_jobs() if each.job == job]
    assert end.release.outcome is JobOutcome.RELEASED
    assert (end.release.owner, end.release.rows) == ("tax", HELD_BY_ALL)
    assert end.report is not None
    assert (listed.owner, listed.state) == ("tax", JobState.RELEASED)
    # Either owner sees that its enclave took part, and how that ended.
    for owner in room.owners:
        with room.open(owner, "li") as office:
            (seen,) = [each for each in office.list_jobs() if each.job == job]
            assert (seen.owner, seen.state) == (owner, JobState.RELEASED)


def test_a_bank_scores_with_what_both_owners_hold(room: LiveRoom, tmp_path: Path) -> None:
    rows = applicants(tmp_path / "own.csv")
    with room.open("bank-a", "desk") as bank:
        job = bank.submit_job("default-model", rows, purpose="product-design").job
        report = bank.take_part(job).report
        assert report is not None
        view = bank.get_template(report.template)
        draft = draft_score(view, report, name="of-two", purpose="pre-loan", edges=(Decimal(0),))
        (path := tmp_path / "of-two.yaml").write_text(write_yaml(draft), "utf-8")
        proposal = bank.propose_template(read_template(path, bank.profile))
    room.approve(proposal.recorded.statement.digest)
    own = {weight.name: 1.0 for weight in report.weights}
    firms = (STEADY, POOR, SILENT)
    with room.open("bank-a", "desk") as bank:
        with pytest.raises(Refused) as refused:
            bank.score("of-two", subject=STEADY, purpose="pre-loan", own=own)
        assert refused.value.reason is Reason.NO_CONSENT
        for firm in firms[:2]:
            room.consent(firm, "bank-a")
        alone = bank.score("of-two", subject=STEADY, purpose="pre-loan", own=own)
        many = bank.score_many("of-two", [(each, own) for each in firms], purpose="pre-loan")
        taken = bank.row_receipt(many.receipt, 1)
        trust = bank.profile.trust
    assert alone.bands == many.bands == 3
    assert alone.points() is not None
    assert {each.feature for each in alone.charges} == {COURT, VAT}
    folder = str(room.member("tax", "li"))
    shown = CliRunner().invoke(app, ["template", "show", "of-two", "-p", folder])
    assert "band 3 of the sum stands for 1" in shown.output
    told = list(many)
    assert (told[0].band, told[0].points()) == (alone.band, alone.points())
    assert told[1].band is not None
    assert told[2].reason is Reason.NO_CONSENT
    pinned = trust.model_dump_json().encode()
    for receipt, band in ((alone.receipt, told[0].band), (taken, told[1].band)):
        said = verify_receipt.verify(receipt.to_json(), pinned)
        assert (said["answer"], said["court said"]) == (f"band {band}", "a share of the answer")


def test_a_bank_that_cancels_ends_it_at_every_owner(room: LiveRoom, tmp_path: Path) -> None:
    rows = applicants(tmp_path / "own.csv")
    with room.open("bank-a", "desk") as bank:
        job = bank.submit_job("default-model", rows, purpose="product-design").job
        assert bank.cancel_job(job, "enough").release.outcome is JobOutcome.CANCELLED
    for owner in room.owners:
        with room.open(owner, "li") as office:
            (seen,) = [each for each in office.list_jobs() if each.job == job]
            assert seen.state is JobState.CANCELLED


def test_an_owner_that_withdraws_ends_it_at_every_owner(room: LiveRoom, tmp_path: Path) -> None:
    """The last one here: nothing runs after it."""
    rows = applicants(tmp_path / "own.csv")
    with room.open("bank-a", "desk") as bank:
        job = bank.submit_job("default-model", rows, purpose="product-design").job
        with room.open("court", "li") as office:
            office.withdraw(office.get_template("default-model").envelope.digest, "enough")
        # The host hears of it though its label side says nothing more.
        seen = bank.watch_job(job, lambda _: None)
        assert (seen.owner, seen.state, seen.reason) == ("tax", JobState.CANCELLED, "NOT_APPROVED")


def test_the_log_of_it_is_whole(room: LiveRoom) -> None:
    with room.open("auditor", "desk") as auditor:
        folder = str(auditor.profile.folder)
    result = CliRunner().invoke(app, ["audit", "verify", "-p", folder, "--json"])
    told = json.loads(result.output)
    assert (told["violations"], told["unjudged"]) == ([], 0)
