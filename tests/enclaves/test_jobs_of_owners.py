"""Jobs of joint training over two owners' columns, at two real enclaves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import timedelta

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from saferoom_enclaves.jobs import between
from saferoom_enclaves.jobs import course as job_course
from saferoom_enclaves.jobs import ground as job_ground
from saferoom_enclaves.jobs import wire as job_wire
from saferoom_enclaves.jobs.between import Step
from saferoom_enclaves.jobs.giving import Heard
from saferoom_enclaves.jobs.kept import Kept
from saferoom_enclaves.jobs.model import part_of_model
from saferoom_enclaves.jobs.peers import Papers
from saferoom_proto.job_channel import Direction, seal_message
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    JobAdmission,
    JobOutcome,
    JobRelease,
    JobStep,
    Runs,
    load,
    seal_statement,
)
from saferoom_proto.v1 import enclave_pb2
from simulator.job import BEGINS, ROWS, LabelSideOfJob, firms
from simulator.job_places import MANY, own_template
from simulator.owners_job import (
    COMMON_TO_ALL,
    COURT_ROWS,
    OwnersLine,
    OwnersRoom,
    Place,
    heard_of,
    judgments,
    owners_room,
    papers,
    two_owners,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give a room with two owners' firms, for all tests here: each has a template of its own."""
    with two_owners(tmp_path_factory.mktemp("owners"), "jobs of owners") as made:
        yield made


@pytest.fixture
async def jobs(place: Place, request: pytest.FixtureRequest) -> OwnersRoom:
    """Give it in this test's event loop, with a training that both owners approved."""
    return owners_room(*place, own_template(request.node.name), runs=MANY)


def pooled(side: LabelSideOfJob) -> np.ndarray:
    """Fit the same rows in one place: the bank's columns, arrears, the class of D, the list."""
    own, labels = side.side.common()
    serials, held = [BEGINS + at for at in side.side._set.aligned], firms()
    columns = [
        own,
        [float(held[each].arrears) for each in serials],
        [float(held[each].rating == "D") for each in serials],
        [float(each % 7 == 0) for each in serials],
    ]
    whole = np.column_stack(columns)
    scaled = (whole - whole.mean(axis=0)) / whole.std(axis=0)
    return LogisticRegression(C=0.1, max_iter=500).fit(scaled, labels).coef_[0]


async def test_columns_of_two_owners_are_trained_together(jobs: OwnersRoom) -> None:
    side = jobs.label_side()
    admission = side.submit()
    assert isinstance(admission, JobAdmission)
    assert admission.columns == 8
    release = await side.take_part()
    assert release is not None
    assert (release.outcome, release.ended_in) == (JobOutcome.RELEASED, JobStep.TRAINING)
    assert (release.rows, release.converged) == (COMMON_TO_ALL, True)
    # Each owner's enclave keeps the weights of its own columns, and no others.
    tax, court = jobs.model(side.job), jobs.court.model(side.job)
    assert {name.partition(".")[0] for name in tax} == {"tax"}
    assert list(court) == ["court.dishonest"]
    # They are those of one fit over all columns.
    fitted = pooled(side)
    assert tax["tax.arrears"] == pytest.approx(fitted[2], abs=0.05)
    assert court["court.dishonest"] == pytest.approx(fitted[4], abs=0.03)
    assert side.side.trained().weights == pytest.approx(fitted[:2], abs=0.05)
    assert (jobs.left(side.job), jobs.court.left(side.job)) == ([Kept.ANSWER], [])


@pytest.mark.soak
async def test_whichever_enclave_is_killed_the_job_goes_on_to_the_same_model(
    jobs: OwnersRoom,
) -> None:
    side = jobs.label_side()
    side.submit(rounds=2)
    for number in range(5):
        assert await side.take_part(most=1) is None
        (jobs if number % 2 else jobs.court).kill()
    release = await side.take_part()
    assert release is not None
    assert release.outcome is JobOutcome.RELEASED
    other = jobs.label_side()
    other.submit(rounds=2)
    await other.take_part()
    assert jobs.court.model(side.job) == pytest.approx(jobs.court.model(other.job), abs=1e-3)


async def test_a_break_before_the_host_s_last_word_loses_no_model(jobs: OwnersRoom) -> None:
    side = jobs.label_side()
    side.submit(rounds=1)
    line, asked = jobs.line(side.job), list[Step]()

    def lost(answer: bytes) -> bytes:
        asked.append(between.read_head(line.asked[-1])[0].step)
        return b"lost" if asked[-1] is Step.KEEP else answer

    line.alters_answer = lost
    with pytest.raises(SafeRoomError):
        await line.through(side)
    assert asked[-1] is Step.KEEP
    # The court has its part, and has not said that there is a model: nor has the host.
    assert Kept.PART in jobs.court.left(side.job)
    for room in (jobs, jobs.court):
        assert room.enclave.enclave.jobs.stands(side.job).ended is None
        room.kill()
    release = await side.take_part()
    assert release is not None
    assert release.outcome is JobOutcome.RELEASED
    court = jobs.court.enclave.enclave.jobs
    word = court.word(court.stands(side.job))
    assert word is not None
    theirs = load(word.entry.statement, JobRelease)
    assert (theirs.outcome, theirs.rows) == (JobOutcome.RELEASED, release.rows)
    assert list(jobs.court.model(side.job)) == ["court.dishonest"]
    assert jobs.court.left(side.job) == []


async def test_a_load_at_a_giver_ends_what_aligns_and_disturbs_nothing_that_trains(
    place: Place, jobs: OwnersRoom
) -> None:
    said, _, court = place
    aligns, trains = jobs.label_side(), jobs.label_side()
    aligns.submit(rounds=1)
    trains.submit(rounds=1)
    await aligns.take_part(most=1)
    await trains.take_part(most=2)
    court.load({"judgments": judgments(said)})
    ended = await aligns.take_part()
    assert ended is not None
    assert (ended.outcome, ended.reason) == (JobOutcome.FAILED, Reason.CONFLICT)
    release = await trains.take_part()
    assert release is not None
    assert release.outcome is JobOutcome.RELEASED


async def test_each_owner_counts_its_own_runs(place: Place) -> None:
    jobs = owners_room(*place, "one-run", runs=Runs(most=1, days=30))
    first, second = jobs.label_side(), jobs.label_side()
    first.submit(rounds=1)
    word = load(jobs.court.begin(second.request(rounds=1)).entry.statement, JobRelease)
    assert (word.owner, word.reason) == ("court", Reason.OVER_BUDGET)
    await first.take_part()


async def test_more_than_one_owner_s_enclave_can_give_at_once_is_withheld_before_it_gives(
    jobs: OwnersRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_ground, "MOST_GIVEN", COMMON_TO_ALL - 1)
    side = jobs.label_side()
    side.submit()
    release = await side.take_part()
    assert release is not None
    assert (release.outcome, release.reason) == (JobOutcome.REFUSED, Reason.WITHHELD)
    assert jobs.court.enclave.enclave.jobs.stands(side.job).rows == 0


async def without_papers(jobs: OwnersRoom, side: LabelSideOfJob) -> OwnersLine:
    """Take part as through a room that says that the giver does not serve."""
    line = jobs.line(side.job)
    line.put(enclave_pb2.WorkOnJobRequest(piece=line.joining()))
    await line.told()
    return line


async def waits(jobs: OwnersRoom, side: LabelSideOfJob) -> None:
    """Take part until the host says that it waits for the giver, which it asked nothing."""
    line = await without_papers(jobs, side)
    with pytest.raises(SafeRoomError) as refused:
        await line.on(side)
    await line.close()
    assert refused.value.reason is Reason.UNAVAILABLE
    assert line.asked == []


async def test_how_many_are_common_shows_in_no_ask_and_in_no_waiting(jobs: OwnersRoom) -> None:
    lengths = set[tuple[int, int]]()
    for begins in (BEGINS, BEGINS + ROWS, BEGINS + ROWS - 1):
        side = jobs.label_side(begins=begins)
        side.submit(rounds=1)
        # The giver is down: the job waits, whoever is common, be it nobody.
        await waits(jobs, side)
        line = jobs.line(side.job)
        await line.through(side, 1)
        await line.close()
        lengths.add((len(line.asked[0]), len(line.given[0])))
        ended = jobs.enclave.enclave.jobs.stands(side.job)
        assert ended.reason is (None if begins == BEGINS else Reason.WITHHELD)
    assert len(lengths) == 1


async def test_a_bank_asks_about_one_set_in_a_job_whatever_is_kept_from_it(
    jobs: OwnersRoom,
) -> None:
    side = jobs.label_side()
    side.submit(rounds=1)
    blinded = side.side.waiting
    await waits(jobs, side)
    doubled = side.side.waiting
    assert blinded is not None
    assert doubled is not None
    other = doubled[: -ROWS * 32] + blinded[-ROWS * 32 :]
    line = await without_papers(jobs, side)
    said = await line.exchange(1, seal_message(side.secret, side.job, Direction.TO_ROOM, 1, other))
    await line.close()
    assert isinstance(said, JobRelease)
    assert (said.outcome, said.reason) == (JobOutcome.FAILED, Reason.MALFORMED)


async def test_a_host_finds_one_set_in_a_job_and_opens_columns_of_no_other(
    jobs: OwnersRoom,
) -> None:
    side = jobs.label_side()
    side.submit(rounds=1)
    giving, subject = jobs.court.enclave.enclave.jobs.giving, jobs.said.world.subject
    codes = [subject(serial).uscc.encode() for serial in range(1, COURT_ROWS + 21)]

    def heard(step: Step, subjects: list[bytes]) -> tuple[Heard, between.Ask]:
        body = between.filled_up(b"".join(subjects), ROWS)
        return heard_of(jobs, side.job, step, body)

    # Before anything was found, nothing is given.
    with pytest.raises(SafeRoomError) as refused:
        giving.columns(heard(Step.COLUMNS, codes[:COURT_ROWS])[0])
    assert refused.value.reason is Reason.MALFORMED
    asked = codes[100:]
    for _ in range(2):
        holds, ask = heard(Step.HOLDS, asked)
        sealing = jobs.enclave.enclave.jobs._peers.sealing
        _, found = between.open_answer(ask, holds.peer, sealing, giving.answer(holds))
        assert found == b"\1" * (COURT_ROWS - 100) + bytes(ROWS - COURT_ROWS + 100)
    with pytest.raises(SafeRoomError) as refused:
        giving.answer(heard(Step.HOLDS, codes[:100])[0])
    assert refused.value.reason is Reason.CONFLICT
    for subjects in (codes[:COURT_ROWS], asked):
        with pytest.raises(SafeRoomError) as refused:
            giving.columns(heard(Step.COLUMNS, subjects)[0])
        assert refused.value.reason is Reason.MALFORMED
    # Nor is anything said to an ask that shows how many it names, or names one twice.
    for body in (b"".join(asked), between.filled_up(codes[0] * 2, ROWS)):
        with pytest.raises(SafeRoomError) as refused:
            giving.answer(heard_of(jobs, side.job, Step.HOLDS, body)[0])
        assert refused.value.reason is Reason.MALFORMED


async def test_an_end_that_is_told_late_counts_if_it_was_said_while_the_job_stood(
    jobs: OwnersRoom,
) -> None:
    side = jobs.label_side()
    side.submit()
    court, host, clock = jobs.court.enclave, jobs.enclave.enclave.jobs, jobs.said.world.clock
    now = jobs.said.world.now()
    hour, second = timedelta(hours=1), timedelta(seconds=1)
    then = Papers("court", court.endorsement(valid_from=now - hour, valid_to=now + second))
    ended = load(court.enclave.jobs.end(side.cancel()).entry.statement, JobRelease)
    of_then = {"endorsement": then.endorsement.digest, "cancel": None, "reason": Reason.PAUSED}
    paused = ended.model_copy(update=of_then)
    clock.advance(2)
    # The endorsement is over: what it says of now, or of before the job, is nothing any more.
    for moment in (now - second, now + hour):
        word = seal_statement(paused.model_copy(update={"time": moment}), court.keys.identity)
        with pytest.raises(SafeRoomError) as refused:
            host.end_as(then, word)
        assert refused.value.reason is Reason.EXPIRED
        assert host.stands(side.job).ended is None
    host.end_as(then, seal_statement(paused, court.keys.identity))
    assert host.stands(side.job).reason is Reason.PAUSED


async def test_a_bank_that_breaks_off_has_the_owners_asked_so_often_and_no_more(
    jobs: OwnersRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_course, "MOST_ASKS", 3)
    side = jobs.label_side()
    side.submit()
    await side.take_part(most=2)  # whom they hold, and their columns
    assert await side.take_part(most=1) is None  # their columns once more
    ended = await side.take_part(most=1)
    assert ended is not None
    assert (ended.outcome, ended.reason) == (JobOutcome.FAILED, Reason.OVER_BUDGET)


async def test_a_long_ask_is_kept_only_in_a_place_and_only_as_long_as_an_ask_can_be(
    jobs: OwnersRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, heard = jobs.court.calls, list[int]()

    async def pieces(count: int) -> AsyncIterator[enclave_pb2.GiveToJobRequest]:
        yield enclave_pb2.GiveToJobRequest(papers=papers(jobs.enclave))
        for at in range(count):
            heard.append(at)
            yield enclave_pb2.GiveToJobRequest(data=b"x" * 100)

    async def refused(count: int) -> Reason:
        heard.clear()
        with pytest.raises(SafeRoomError) as refusal:
            await anext(aiter(calls.give(pieces(count))))
        return refusal.value.reason

    with ExitStack() as places:
        for owner in ("a", "b", "c", "d"):
            places.enter_context(calls._giving.place(owner))
        assert await refused(1) is Reason.MALFORMED
        assert await refused(9) is Reason.TOO_MANY_REQUESTS
        assert heard == [0, 1]
    assert await refused(9) is Reason.MALFORMED
    monkeypatch.setattr(job_wire, "MOST_ASK_BYTES", 300)
    assert await refused(9) is Reason.TOO_LARGE
    assert heard == [0, 1, 2, 3]
    with calls._giving.place("tax"):  # what was refused has left its place
        assert await refused(3) is Reason.MALFORMED


def test_what_stood_out_goes_to_the_owner_of_that_very_column() -> None:
    ours, theirs = ("city-tax.paid", "city-tax.paid unknown"), ("tax.paid", "tax.grade = A, B")
    findings = [
        {"kind": "rare", "place": place, "detail": "left out"}
        for place in (
            *ours,
            *theirs,
            ", ".join(ours),
            f"{ours[0]}, {theirs[0]}",
            f"{theirs[1]}, {ours[1]}",
            "9 rounds",
        )
    ]
    names = (*ours, *theirs)
    numbers = {key: [1.0] * len(names) for key in ("weights", "means", "scales")}
    model = json.dumps({"names": names, "findings": findings} | numbers).encode()

    def told(part: tuple[str, ...]) -> list[str]:
        return [each["place"] for each in json.loads(part_of_model(model, part))["findings"]]

    assert told(ours) == [*ours, ", ".join(ours), "9 rounds"]
    assert told(theirs) == [*theirs, "9 rounds"]
