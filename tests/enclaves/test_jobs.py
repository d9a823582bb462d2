"""Jobs of joint training at a real enclave, with a participant as a bank runs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from saferoom_enclaves.jobs import course as job_course
from saferoom_enclaves.jobs.kept import Kept
from saferoom_enclaves.jobs.work import Partner, Trained
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    JobAdmission,
    JobOutcome,
    JobRelease,
    JobStep,
    Purpose,
    load,
)
from simulator import EnclaveHarness, sample, tax_csv
from simulator.job import COMMON, ROWS, JobRoom, Line, firms, job_room
from simulator.job_places import MANY, OneOwner, one_owner, own_template


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneOwner]:
    """Give a room with firms to train on, for all tests here: each has a template of its own."""
    with one_owner(tmp_path_factory.mktemp("jobs"), "jobs") as made:
        yield made


@pytest.fixture
async def jobs(place: OneOwner, request: pytest.FixtureRequest) -> JobRoom:
    """Give it in this test's event loop, with a training that was approved."""
    said, enclave = place
    return job_room(enclave, said, own_template(request.node.name), runs=MANY)


def pooled(jobs: JobRoom, own: np.ndarray, labels: np.ndarray, names: list[str]) -> np.ndarray:
    """Fit the same rows in one place: arrears and the class of D, beside the bank's columns."""
    world, held = jobs.said.world, firms()
    by_code = {world.subject(serial).uscc: firm for serial, firm in held.items()}
    found = [by_code[name] for name in names]
    arrears = np.array([float(firm.arrears) for firm in found])
    bad = np.array([float(firm.rating == "D") for firm in found])
    whole = np.column_stack([own, arrears, bad])
    scaled = (whole - whole.mean(axis=0)) / whole.std(axis=0)
    return LogisticRegression(C=0.1, max_iter=500).fit(scaled, labels).coef_[0]


async def test_a_job_goes_from_request_to_model_and_leaves_nothing_else(jobs: JobRoom) -> None:
    side = jobs.label_side()
    admission = side.submit()
    assert isinstance(admission, JobAdmission)
    assert (admission.columns, admission.run) == (7, 1)
    release = await side.take_part()
    assert release is not None
    assert (release.outcome, release.ended_in) == (JobOutcome.RELEASED, JobStep.TRAINING)
    assert (release.rows, release.converged) == (COMMON, True)
    trained = side.side.trained()
    assert trained.rounds == release.rounds
    # Both halves are those of one fit, row by row: the room's columns are of the bank's subjects.
    weights = jobs.model(side.job)
    own, labels = side.side.common()
    at = side.side._set.aligned
    names = [side.brought.identifiers[place] for place in at]
    whole = pooled(jobs, own, labels, names)
    assert weights["tax.arrears"] == pytest.approx(whole[2], abs=0.05)
    assert weights["tax.rating = D"] == pytest.approx(whole[3], abs=0.12)
    assert trained.weights == pytest.approx(whole[:2], abs=0.05)
    # Nothing of it stays but the last answer, and that no longer than its window.
    assert jobs.left(side.job) == [Kept.ANSWER]
    jobs.said.world.clock.advance(timedelta(days=2).total_seconds())
    jobs.kill()
    assert jobs.left(side.job) == []


async def test_whoever_is_killed_takes_it_up_again(jobs: JobRoom) -> None:
    side = jobs.label_side()
    side.submit(rounds=2)
    began = jobs.enclave.enclave.whereabouts().chain_length
    for number in range(4):
        assert await side.take_part(most=1) is None
        if number % 2:
            jobs.kill()
        else:
            side.killed()
    release = await side.take_part()
    assert release is not None
    assert release.outcome is JobOutcome.RELEASED
    # Each start that took it up stands in the chain, so that no older copy does so unnoticed.
    assert jobs.enclave.enclave.whereabouts().chain_length == began + 2 + 1
    assert jobs.enclave.enclave.jobs.stands(side.job).starts == 2
    # An undisturbed job over the same rows comes to the same model.
    other = jobs.label_side()
    other.submit(rounds=2)
    await other.take_part()
    assert side.side.trained().weights == pytest.approx(other.side.trained().weights, abs=1e-3)


async def test_no_job_is_taken_up_by_ever_more_starts(
    jobs: JobRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_course, "MOST_STARTS", 1)
    side = jobs.label_side()
    side.submit()
    await side.take_part(most=1)
    jobs.kill()
    assert await side.take_part(most=1) is None
    jobs.kill()
    release = await side.take_part()
    assert release is not None
    assert (release.outcome, release.reason) == (JobOutcome.FAILED, Reason.OVER_BUDGET)


async def test_a_message_again_gets_its_answer_again_and_no_second_one(jobs: JobRoom) -> None:
    side = jobs.label_side()
    side.submit()
    await side.take_part(most=3)
    before = side.side.save()
    await side.take_part(most=1)
    number, answer = side.answered[-1]
    side.side = type(side.side).resume(side.alignment, side.brought, side.course, before)
    await side.take_part(most=1)
    assert side.answered[-1] == (number, answer)


async def test_who_lacks_the_last_answer_is_given_it_and_how_the_job_ended(jobs: JobRoom) -> None:
    side = jobs.label_side()
    side.submit(rounds=1)
    line = Line(jobs.calls, side.job)
    await line.join()
    while True:
        said = await line.exchange(side.side.number, side.sealed())
        assert not isinstance(said, JobRelease)
        if jobs.enclave.enclave.jobs.stands(side.job).ended is not None:
            break  # the answer was lost, and the line with it
        side.take(*said)
    await line.close()
    again = Line(jobs.calls, side.job)
    assert await again.join() == side.side.number + 1
    said = await again.hear()
    assert not isinstance(said, JobRelease)
    side.take(*said)
    assert (await again.ended()).outcome is JobOutcome.RELEASED
    assert side.side.trained().rounds == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"columns": 3}, Reason.OFF_DOMAIN),
        ({"inverse_ridge": Decimal("1.5")}, Reason.OFF_DOMAIN),
        ({"inverse_ridge": Decimal("0.001")}, Reason.OFF_DOMAIN),
        ({"template": "sha256:" + "0" * 64}, Reason.NOT_APPROVED),
        ({"certificate": "sha256:" + "0" * 64}, Reason.CERTIFICATE_MISMATCH),
        ({"window": (timedelta(hours=1), timedelta(hours=2))}, Reason.NOT_YET_VALID),
        ({"window": (-timedelta(hours=2), -timedelta(hours=1))}, Reason.EXPIRED),
    ],
)
async def test_a_job_that_may_not_begin_is_refused_on_the_record(
    jobs: JobRoom, changes: dict[str, object], reason: Reason
) -> None:
    if "window" in changes:
        now = jobs.said.world.now()
        begins, ends = cast("tuple[timedelta, timedelta]", changes["window"])
        changes = {"not_before": now + begins, "not_after": now + ends}
    word = jobs.label_side().submit(**changes)
    assert isinstance(word, JobRelease)
    assert (word.outcome, word.ended_in, word.reason) == (
        JobOutcome.REFUSED,
        JobStep.ADMISSION,
        reason,
    )


async def test_the_same_request_again_is_the_same_job(jobs: JobRoom) -> None:
    side = jobs.label_side()
    request = side.request()
    first = jobs.begin(request)
    assert jobs.begin(request).entry == first.entry
    assert jobs.begin(request).sealed == first.sealed
    other = jobs.label_side()
    word = other.submit(nonce=side.nonce)
    assert isinstance(word, JobRelease)
    assert word.reason is Reason.NONCE_REUSED


async def test_a_purpose_that_was_not_agreed_is_nobodys_job(jobs: JobRoom) -> None:
    with pytest.raises(SafeRoomError) as refused:
        jobs.label_side().submit(purpose=Purpose.SUPERVISION)
    assert refused.value.reason is Reason.NO_AGREEMENT


async def test_too_few_common_subjects_are_withheld(jobs: JobRoom) -> None:
    side = jobs.label_side(begins=ROWS - 998)
    side.submit()
    release = await side.take_part()
    assert release is not None
    assert (release.outcome, release.reason) == (JobOutcome.REFUSED, Reason.WITHHELD)


async def test_a_store_of_nobody_is_withheld_like_too_few(tmp_path: Path) -> None:
    said = sample("a store of nobody")
    enclave = EnclaveHarness(said.tax, tmp_path)
    enclave.load({"firms": tax_csv(said.world, {})})
    side = job_room(enclave, said).label_side()
    side.submit()
    release = await side.take_part()
    enclave.close()
    assert release is not None
    assert (release.outcome, release.reason) == (JobOutcome.REFUSED, Reason.WITHHELD)


async def test_a_pause_stops_a_job_at_once(jobs: JobRoom) -> None:
    side = jobs.label_side()
    side.submit()
    await side.take_part(most=3)
    jobs.said.tax.pause(jobs.template)
    jobs.enclave.follow()
    assert jobs.left(side.job) == []
    release = await side.take_part()
    assert release is not None
    assert (release.outcome, release.reason) == (JobOutcome.CANCELLED, Reason.PAUSED)
    assert jobs.left(side.job) == []


async def test_a_job_that_nobody_goes_on_with_ends_with_its_window(jobs: JobRoom) -> None:
    side = jobs.label_side()
    side.submit()
    await side.take_part(most=3)
    jobs.said.world.clock.advance(timedelta(days=2).total_seconds())
    jobs.kill()
    stands = jobs.enclave.enclave.jobs.stands(side.job)
    assert (stands.outcome, stands.reason) == (JobOutcome.FAILED, Reason.EXPIRED)
    assert jobs.left(side.job) == []


async def test_what_is_stopped_while_a_child_works_lets_nothing_out(
    jobs: JobRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = jobs.label_side()
    side.submit(rounds=1)
    await side.take_part(most=5)
    trained = Partner.trained

    def and_then_paused(partner: Partner, message: bytes) -> Trained:
        told = trained(partner, message)
        assert told.over
        loop.call_soon_threadsafe(paused.set)
        assert stopped.wait(30)
        return told

    loop, paused, stopped = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    monkeypatch.setattr(Partner, "trained", and_then_paused)
    taking_part = asyncio.create_task(side.take_part())
    await paused.wait()
    jobs.said.tax.pause(jobs.template)
    jobs.enclave.follow()
    stopped.set()
    release = await taking_part
    assert release is not None
    assert (release.outcome, release.reason) == (JobOutcome.CANCELLED, Reason.PAUSED)
    assert not side.side.over


async def test_a_withdrawal_stops_a_job_too(jobs: JobRoom) -> None:
    side = jobs.label_side()
    side.submit()
    jobs.said.tax.withdraw(jobs.template)
    jobs.enclave.follow()
    release = await side.take_part()
    assert release is not None
    assert (release.outcome, release.reason) == (JobOutcome.CANCELLED, Reason.NOT_APPROVED)


async def test_its_institution_ends_a_job_and_nobody_elses_does(jobs: JobRoom) -> None:
    side = jobs.label_side()
    side.submit()
    await side.take_part(most=3)
    others = jobs.label_side(jobs.said.other_bank)
    others.envelope = side.envelope
    for forged in (others.cancel(), others.cancel(institution=side.bank.name)):
        with pytest.raises(SafeRoomError) as refused:
            jobs.enclave.enclave.jobs.end(forged)
        assert refused.value.reason is Reason.BAD_SIGNATURE
    cancel = side.cancel()
    ended = jobs.enclave.enclave.jobs.end(cancel)
    release = load(ended.entry.statement, JobRelease)
    assert (release.outcome, release.cancel) == (JobOutcome.CANCELLED, cancel.digest)
    assert ended.entry.order == cancel
    assert jobs.left(side.job) == []
    again = await side.take_part()
    assert again == release


async def test_a_load_ends_a_job_that_aligns_and_disturbs_none_that_trains(jobs: JobRoom) -> None:
    begun, aligning, training = jobs.label_side(), jobs.label_side(), jobs.label_side()
    begun.submit()
    aligning.submit()
    await aligning.take_part(most=1)
    training.submit(rounds=1)
    await training.take_part(most=3)
    jobs.enclave.load({"firms": tax_csv(jobs.said.world, firms())})
    for side in (begun, aligning):
        release = await side.take_part()
        assert release is not None
        assert (release.outcome, release.reason) == (JobOutcome.FAILED, Reason.CONFLICT)
    release = await training.take_part()
    assert release is not None
    assert release.outcome is JobOutcome.RELEASED


async def test_who_leaves_has_given_its_place_back(jobs: JobRoom) -> None:
    side = jobs.label_side()
    side.submit()
    assert await side.take_part(most=1) is None
    with ExitStack() as held:  # an institution has two places, and no third
        for _ in range(2):
            held.enter_context(jobs.calls._places.place(side.bank.name))
        with pytest.raises(SafeRoomError) as refused:
            held.enter_context(jobs.calls._places.place(side.bank.name))
    assert refused.value.reason is Reason.TOO_MANY_REQUESTS


async def test_who_joins_anew_is_answered_and_who_joined_before_is_not(jobs: JobRoom) -> None:
    side = jobs.label_side()
    side.submit()
    old, new = Line(jobs.calls, side.job), Line(jobs.calls, side.job)
    await old.join()
    waiting = asyncio.create_task(old.hear())
    await new.join()
    with pytest.raises(SafeRoomError) as refused:
        await waiting
    assert refused.value.reason is Reason.CONFLICT
    assert not isinstance(await new.exchange(0, side.sealed()), JobRelease)
    await new.close()
