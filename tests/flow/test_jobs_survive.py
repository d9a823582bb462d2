"""A job through a real room, whose server and enclave are killed while it trains."""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.jobs import JobEnd, JobRows
from saferoom_client.refused import Refused
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    JobOutcome,
)
from saferoom_proto.uscc import make_uscc
from tests.flow.live import LiveRoom
from tests.flow.offers import VAT
from tests.flow.trainings import have_approved, joint

FIRMS = 1400
COMMON = 1200


@pytest.fixture
def room(tmp_path: Path) -> Iterator[LiveRoom]:
    """Give a room whose tax office holds firms enough, and a training it approved."""
    live = LiveRoom(tmp_path, owners=("tax",))
    try:
        live.start()
        live.define()
        paid = tmp_path / "vat.csv"
        rows = "".join(f"{make_uscc(n)},{1000 * (n % 97)}\n" for n in range(FIRMS))
        paid.write_text("uscc,paid\n" + rows, "utf-8")
        with live.open("tax", "li") as office:
            assert not office.load_data(live.schemas["tax"], {"vat": paid}).bad_row_count
        for bank in ("bank-a", "bank-b"):
            live.agree("tax", bank)
        propose(live)
        yield live
    finally:
        live.processes.stop()


def propose(live: LiveRoom, *, features: tuple[str, ...] = (VAT,), host: str | None = None) -> None:
    """Have a bank propose a training, and every owner approve it."""
    have_approved(live, "default-model", joint(features, 3, host))


def applicants(path: Path) -> JobRows:
    draw = np.random.default_rng(3)
    values = draw.normal(size=(FIRMS, 2))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["uscc", "defaulted", "income", "debt"])
        for at, serial in enumerate(range(FIRMS - COMMON, 2 * FIRMS - COMMON)):
            odds = values[at] @ np.array([0.9, -0.6]) - 0.5 - 0.02 * (serial % 97)
            label = int(draw.random() < 1 / (1 + np.exp(-odds)))
            writer.writerow([make_uscc(serial), label, *values[at].round(6).tolist()])
    return JobRows(path, "defaulted")


def wait_for(ready: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, "in vain"
        time.sleep(0.02)


@pytest.mark.soak
def test_a_job_goes_on_whoever_is_killed(room: LiveRoom, tmp_path: Path) -> None:
    ended: list[JobEnd] = []
    with room.open("bank-a", "desk") as bank:
        job = bank.submit_job(
            "default-model", applicants(tmp_path / "own.csv"), purpose="product-design"
        ).job

    def take_part() -> None:
        with room.open("bank-a", "desk") as bank:
            ended.append(bank.take_part(job))

    def training() -> bool:
        with room.open("bank-a", "desk") as bank:
            return any(each.job == job and each.round for each in bank.list_jobs())

    participant = threading.Thread(target=take_part)
    participant.start()
    wait_for(training)
    room.processes.kill("server")  # and with it the enclave, its fork server and its children
    room.start_server()
    participant.join(120)
    assert ended
    assert ended[0].release.outcome is JobOutcome.RELEASED
    assert ended[0].report is not None
    with room.open("auditor", "desk") as auditor:
        folder = str(auditor.profile.folder)
    result = CliRunner().invoke(app, ["audit", "verify", "-p", folder, "--json"])
    told = json.loads(result.output)
    assert told["violations"] == []
    assert told["unjudged"] == 0
    # A snapshot, the admission, that a new start took it up, the release.
    assert ended[0].release.chain.index == 3


@pytest.mark.soak
def test_a_job_is_nobody_elses(room: LiveRoom, tmp_path: Path) -> None:
    with room.open("bank-a", "desk") as bank:
        job = bank.submit_job(
            "default-model", applicants(tmp_path / "own.csv"), purpose="product-design"
        ).job
    with room.open("bank-b", "desk") as other:
        assert other.list_jobs() == ()
        with pytest.raises(Refused) as refused:
            other.watch_job(job, lambda _: None)
        assert refused.value.reason is Reason.UNKNOWN_STATEMENT
    with room.open("tax", "li") as office:
        assert [each.job for each in office.list_jobs()] == [job]
    with room.open("bank-a", "desk") as bank:
        end = bank.cancel_job(job, "enough")
        assert end.release.outcome is JobOutcome.CANCELLED
        with pytest.raises(SafeRoomError):
            bank.cancel_job("sha256:" + "0" * 64, "enough")
