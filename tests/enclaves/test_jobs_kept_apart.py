"""What jobs are trained on is held apart: no two tell of a few subjects alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from saferoom_enclaves.jobs import book as job_book
from saferoom_enclaves.jobs import partners as job_partners
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobAdmission, JobOutcome
from simulator import tax_csv
from simulator.job import BEGINS, ROWS, JobRoom, firms, job_room
from simulator.job_places import MANY, one_owner


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[JobRoom]:
    """Give a room with firms to train on, and an approved training."""
    with one_owner(tmp_path, "kept apart") as (said, enclave):
        yield job_room(enclave, said, runs=MANY)


async def test_sets_that_differ_by_a_few_are_withheld_and_count(jobs: JobRoom) -> None:
    first = jobs.label_side()
    first.submit()
    await first.take_part(most=2)
    for begins, outcome in (
        (BEGINS + 1, JobOutcome.REFUSED),  # one common subject less
        (BEGINS - 9, JobOutcome.REFUSED),  # nine more
        (BEGINS + 10, None),
        (BEGINS, None),  # the same set again tells nothing new
    ):
        side = jobs.label_side(begins=begins)
        side.submit()
        release = await side.take_part(most=2)
        assert (None if release is None else release.outcome) == outcome
        if release is not None:
            assert (release.reason, release.rows) == (Reason.WITHHELD, None)
            assert side.side.rows is None
            assert jobs.left(side.job) == []
    last = jobs.label_side().submit()
    assert isinstance(last, JobAdmission)
    assert last.run == 6


async def test_what_a_load_changed_of_a_few_is_withheld_from_the_next_job(jobs: JobRoom) -> None:
    said, enclave = jobs.said, jobs.enclave
    taxes_only = job_room(enclave, said, "taxes-only", runs=MANY, features=("tax.vat_paid",))
    first = jobs.label_side()
    first.submit()
    await first.take_part(most=2)
    of_common = range(BEGINS, ROWS)
    for changed, by_template in (
        (of_common[:1], ((jobs, False), (taxes_only, False))),  # one firm pays more than before
        (of_common[:9], ((jobs, False),)),
        (of_common[:10], ((jobs, True),)),
        (of_common[:11], ((jobs, False),)),  # ten away from the first job, one from the last
        ((), ((jobs, True),)),  # as it was at first
    ):
        held = firms()
        for serial in changed:
            held[serial] = replace(held[serial], vat="7")
        enclave.load({"firms": tax_csv(said.world, held)})
        for each, is_told in by_template:
            side = each.label_side()
            side.submit()
            release = await side.take_part(most=2)
            assert (release is None) == is_told
            assert release is None or release.reason is Reason.WITHHELD


async def test_a_group_begins_no_more_jobs_than_are_remembered(
    jobs: JobRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.label_side().submit()
    monkeypatch.setattr(job_book, "MOST_REMEMBERED", 1)
    with pytest.raises(SafeRoomError) as refused:
        jobs.label_side().submit()
    assert refused.value.reason is Reason.TOO_MANY_REQUESTS
    assert "36 months" in refused.value.fields[0].rule
    others = jobs.label_side(jobs.said.other_bank).submit()
    assert isinstance(others, JobAdmission)


def _since(counting: datetime, _: datetime) -> datetime:
    return counting


async def test_what_counts_no_longer_is_emptied(
    jobs: JobRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    for since, begins, kept in ((timedelta(-1), BEGINS, 1), (timedelta(1), BEGINS + 1, 1)):
        counting = jobs.said.world.now() + since
        monkeypatch.setattr(job_partners, "window_start", partial(_since, counting))
        side = jobs.label_side(begins=begins)
        side.submit()
        assert await side.take_part(most=2) is None
        rows = jobs.enclave.enclave._require_open().state.found("aligned")
        assert len([row for row in rows if len(row.content) > 1000]) == kept


@pytest.mark.soak
async def test_what_others_of_a_group_aligned_counts_too(jobs: JobRoom) -> None:
    said, enclave = jobs.said, jobs.enclave
    first = jobs.label_side()
    first.submit()
    await first.take_part(most=2)
    apart = jobs.label_side(said.other_bank, begins=BEGINS + 1)
    apart.submit()
    assert await apart.take_part(most=2) is None  # a group of its own
    # In another group it stays linked with the one it was in.
    said.tax.agree(said.bank, group="shared", replaces=said.agreement)
    enclave.follow()
    again = jobs.label_side(begins=BEGINS + 1)
    again.submit()
    withheld = await again.take_part(most=2)
    assert withheld is not None
    assert withheld.reason is Reason.WITHHELD
