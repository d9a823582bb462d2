"""Bands of models of two owners' columns: with noise of the host's, and charged at both."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from saferoom_models.appraisal import appraise
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    Figure,
    JobAdmission,
    JobOutcome,
    JobRelease,
    Outcome,
    PrivacySpent,
    load,
)
from saferoom_proto.statements.training import FitBands, rows_held_out
from simulator import owners_fits, owners_job, tax_csv
from simulator.job import BEGINS, firms
from simulator.owners_fits import OwnersFits
from simulator.owners_job import OwnersRoom, Place, judgments, owners_room

ROWS = 1700
BANDS = FitBands(epsilon=Decimal(2), cap=Decimal(4))
FIRST = PrivacySpent(charged=Decimal(2), spent=Decimal(2), cap=Decimal(4))
SECOND = FIRST.model_copy(update={"spent": Decimal(4)})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with owners_job.two_owners(tmp_path_factory.mktemp("bands"), "bands of owners") as made:
        said, tax, court = made
        tax.load({"firms": tax_csv(said.world, firms(ROWS))})
        court.load({"judgments": judgments(said, ROWS)})
        yield made


def measured(place: Place, name: str, bands: FitBands = BANDS) -> OwnersRoom:
    return owners_room(*place, name, releases=tuple(Figure), bands=bands, least_rows=1400)


async def test_a_joint_model_of_two_owners_is_measured_though_all_sides_are_killed(
    place: Place,
) -> None:
    jobs = measured(place, "measured")
    side = jobs.label_side(count=ROWS)
    admitted = side.submit()
    assert isinstance(admitted, JobAdmission)
    given = load(jobs.court.begin(side.request_made).entry.statement, JobAdmission)
    assert admitted.privacy == given.privacy == FIRST
    while side.side.progress is None or not side.side.progress.over:
        assert await side.take_part(most=1) is None
    jobs.kill()
    jobs.court.kill()
    side.killed()
    release = await side.take_part()
    assert release is not None
    assert release.outcome is JobOutcome.RELEASED
    found = appraise(side.side, 0.1, noise=1)
    held = rows_held_out(ROWS + 1 - BEGINS)
    assert found.held == held
    assert found.ranked is not None
    assert found.ranked.auc > 0.6
    counts = found.ranked.counts
    counted = sum(counts.events) + sum(counts.others)
    assert counted == pytest.approx(held, abs=60), "there is noise in them, and nothing else"


async def test_an_owner_whose_cap_is_reached_lets_none_begin_and_no_other_can(
    place: Place,
) -> None:
    # The court alone told bands before, of another training of its own.
    jobs = measured(place, "reached", FitBands(epsilon=Decimal(1), cap=Decimal(4)))
    request = jobs.label_side(count=ROWS).request()
    said = load(jobs.court.begin(request).entry.statement, JobAdmission)
    assert said.privacy is not None
    assert (said.privacy.charged, said.privacy.spent) == (1, 3)
    other = measured(place, "refused")
    refused = load(
        other.court.begin(other.label_side(count=ROWS).request()).entry.statement, JobRelease
    )
    assert (refused.owner, refused.outcome) == ("court", JobOutcome.REFUSED)
    assert refused.reason is Reason.OVER_BUDGET


@pytest.fixture
def fits(tmp_path: Path) -> Iterator[OwnersFits]:
    with owners_fits.two_owners(tmp_path) as made:
        yield made


async def test_bands_of_a_training_in_the_room_are_charged_at_giver_and_host(
    fits: OwnersFits,
) -> None:
    of = fits.approved("banded", releases=["auc", "bands"], bands={"epsilon": "2", "cap": "4"})
    told = list[object]()
    for spent in (FIRST, SECOND):
        request = fits.room.request(of)
        admitted = fits.begun(request)
        assert isinstance(admitted, JobAdmission)
        assert admitted.privacy == spent
        judged = await fits.fitted(request)
        said = fits.room.said(judged)
        assert (said.outcome, said.privacy) == (Outcome.ANSWERED, spent)
        fits.spread(judged)
        bands = fits.room.card(request, judged).bands
        assert bands
        rows = sum(band.events + band.others for band in bands)
        assert rows == pytest.approx(owners_fits.WATER_ROWS / 4, abs=80)
        told.append(bands)
    # The same question again: of what the giver gave nothing was kept, so its noise is its own.
    assert told[0] != told[1]
    refused = fits.begun(fits.room.request(of))
    assert isinstance(refused, JobRelease)
    assert refused.reason is Reason.OVER_BUDGET
