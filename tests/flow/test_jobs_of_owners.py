"""A job over two owners' columns through a real room: asked by a bank, at two enclaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.jobs import JobEnd
from saferoom_client.training.states import JobState
from saferoom_proto.statements import JobOutcome
from saferoom_proto.uscc import make_uscc
from tests.flow.live import LiveRoom
from tests.flow.offers import COURT, VAT
from tests.flow.test_jobs_survive import COMMON, FIRMS, applicants, propose

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
        paid = "".join(f"{make_uscc(n)},{1000 * (n % 97)}\n" for n in range(FIRMS))
        listed = "".join(f"{make_uscc(n)},{str(n % 7 == 0).lower()},\n" for n in range(FIRMS - 100))
        load(live, folder, "tax", "vat", "uscc,paid\n" + paid)
        load(live, folder, "court", "cases", "uscc,listed,case_no\n" + listed)
        for owner in live.owners:
            live.agree(owner, "bank-a")
        propose(live, features=(COURT, VAT), host="tax")
        yield live
    finally:
        live.processes.stop()


def load(live: LiveRoom, folder: Path, owner: str, table: str, rows: str) -> None:
    path = folder / f"{table}.csv"
    path.write_text(rows, "utf-8")
    with live.open(owner, "li") as office:
        assert not office.load_data(live.schemas[owner], {table: path}).bad_row_count


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
