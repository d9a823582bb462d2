"""How often a report is told: what one institution can have kept of it at an enclave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from saferoom_enclaves.reports import times
from saferoom_enclaves.reports.desk import BegunReport
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Outcome
from simulator.reported import ROWS, ReportRoom, to_csv


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ReportRoom]:
    """Give a room that a test may break."""
    made = ReportRoom.make(tmp_path)
    yield made
    made.enclave.close()


def test_the_same_report_of_the_same_records_is_told_so_often_and_no_more(
    own: ReportRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(times, "MOST_ANSWERS", 2)
    of = own.approved()
    first = own.request(of)
    told = own.enclave.report(first)
    own.ask(of)
    own.enclave.kill()
    judged = own.enclave.report(own.request(of))
    assert (own.said(judged).reason, judged.sealed) == (Reason.OVER_BUDGET, b"")
    # A repeat gets its bytes; others' reports, and those of other subjects, are counted apart.
    assert own.enclave.report(first) == told
    assert own.ask(of, 2).tables
    other = own.banks[1].request(own.firm(), of.template, of.certificate)
    assert own.said(own.enclave.report(other)).outcome is Outcome.ANSWERED
    own.enclave.load({"listed": to_csv(own.world, ROWS)})
    assert own.ask(of).tables


def test_what_is_begun_at_once_is_not_told_more_often(
    own: ReportRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(times, "MOST_ANSWERS", 1)
    of = own.approved()
    desk = own.enclave.enclave.reports
    begun = [desk.begin(own.request(of), ()) for _ in range(2)]
    said: list[Reason | None] = []
    for each in begun:
        assert isinstance(each, BegunReport)
        said.append(own.said(desk.finish(each, each.read())).reason)
        each.close()
    assert said == [None, Reason.OVER_BUDGET]
