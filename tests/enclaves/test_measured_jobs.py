"""A joint model is measured on rows held out: with noise, charged, as often as epsilon lasts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from saferoom_models.appraisal import appraise
from saferoom_models.vertical import terms as model_terms
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Figure, JobAdmission, JobOutcome, JobRelease, Runs
from saferoom_proto.statements import training as contract
from saferoom_proto.statements.training import FitBands, rows_held_out
from simulator import tax_csv
from simulator.job import JobRoom, asked, firms, job_room
from simulator.job_places import OneOwner, one_owner, own_template

ROWS = 1700
"""Of both sides: a quarter of the common ones is held out."""
BANDS = FitBands(epsilon=Decimal(2), cap=Decimal(4))
MEASURED = {"releases": tuple(Figure), "bands": BANDS, "least_rows": 1400}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneOwner]:
    with one_owner(tmp_path_factory.mktemp("measured"), "measured") as (said, enclave):
        enclave.load({"firms": tax_csv(said.world, firms(ROWS))})
        yield said, enclave


@pytest.fixture
async def jobs(place: OneOwner, request: pytest.FixtureRequest) -> JobRoom:
    said, enclave = place
    return job_room(enclave, said, own_template(request.node.name), **MEASURED)


async def test_rows_held_out_are_counted_with_noise_though_both_sides_are_killed(
    jobs: JobRoom,
) -> None:
    side = jobs.label_side(count=ROWS)
    admission = side.submit()
    assert isinstance(admission, JobAdmission)
    assert admission.privacy is not None
    assert (admission.privacy.charged, admission.privacy.spent) == (2, 2)
    while side.side.progress is None or not side.side.progress.over:
        assert await side.take_part(most=1) is None
    # The rounds are over, and the model is not yet anybody's.
    assert not side.side.over
    jobs.kill()
    side.killed()
    release = await side.take_part()
    assert release is not None
    assert (release.outcome, release.rows) == (JobOutcome.RELEASED, 1200)
    found = appraise(side.side, 0.1, noise=1)
    assert found.held == rows_held_out(ROWS + 1 - 101)
    assert found.ranked is not None
    # Whatever stands in the enclave: both halves, laid together as nobody can, rank them alike.
    values, labels = side.side.held_out()
    codes = np.array(side.brought.identifiers)[side.side._set.aligned][side.side._split()[1]]
    held = {jobs.said.world.subject(serial).uscc: firm for serial, firm in firms(ROWS).items()}
    kept = jobs.kept(side.job)
    columns = {"tax.arrears": [float(held[code].arrears) for code in codes]}
    columns |= {
        f"tax.rating = {letter}": [float(held[code].rating == letter) for code in codes]
        for letter in "ABCD"
    }
    theirs = np.zeros(len(labels))
    for name, weight, mean, scale in zip(
        *(kept[each] for each in ("names", "weights", "means", "scales")), strict=True
    ):
        if str(name) in columns:
            theirs += (
                (np.array(columns[str(name)]) - float(str(mean)))
                / float(str(scale))
                * float(str(weight))
            )
    own = side.side.trained().points(values)
    counts = found.ranked.counts
    assert abs(found.ranked.auc - roc_auc_score(labels, own + theirs)) < found.ranked.margin
    bands = np.floor((own - counts.middles[0]) / 0.25 + 0.5) + np.floor(theirs / 0.25 + 0.5)
    exact = np.bincount(np.clip(bands, 0, 31).astype(int)[labels == 1], minlength=32)
    apart = np.abs(exact - counts.events)
    assert 0 < apart.sum() < 96, "there is noise in them, and nothing else"


async def test_jobs_are_charged_whatever_becomes_of_them_and_past_the_cap_none_begins(
    place: OneOwner, jobs: JobRoom
) -> None:
    said, enclave = place
    # In a room of its own month: the first test's job counts too.
    first = jobs.label_side(count=ROWS)
    told = first.submit()
    assert isinstance(told, JobAdmission)
    assert told.privacy is not None
    assert told.privacy.spent == 4
    jobs.enclave.enclave.jobs.end(first.cancel())
    refused = jobs.label_side(count=ROWS).submit()
    assert isinstance(refused, JobRelease)
    assert (refused.outcome, refused.reason) == (JobOutcome.REFUSED, Reason.OVER_BUDGET)
    # Another template without bands is charged nothing.
    plain = job_room(enclave, said, "plain-after-bands", runs=Runs(most=3, days=30))
    silent = plain.label_side().submit()
    assert isinstance(silent, JobAdmission)
    assert silent.privacy is None
    # And another one with them is of the same owner, so of the same budget.
    again = job_room(enclave, said, "measured-again", **MEASURED)
    refused = again.label_side(count=ROWS).submit()
    assert isinstance(refused, JobRelease)
    assert refused.reason is Reason.OVER_BUDGET


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"bands": None}, "stands their noise"),
        ({"releases": (Figure.ROWS,)}, "stands their noise"),
        ({"least_rows": 1332}, "at least 1333"),
    ],
)
def test_a_template_says_bands_whole(changes: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        asked(**{**MEASURED, **changes})


def test_both_halves_of_the_code_hold_out_as_many() -> None:
    for rows in (1333, 1400, 60_000, 65_536, 300_000):
        assert rows_held_out(rows) == model_terms.rows_held_out(rows)
    assert contract.MEASURED_BANDS == model_terms.MEASURED_CELLS
    assert asked(**{**MEASURED, "least_rows": 1333}).bands == BANDS
