"""Attacks on a job of joint training: by the server, by other banks, by its own label side."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from saferoom_enclaves.jobs import book as job_book
from saferoom_enclaves.jobs import wire as job_wire
from saferoom_enclaves.jobs.work import Columns, JobWork
from saferoom_proto.answer import Truth
from saferoom_proto.job_channel import Direction, seal_message
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    JobAdmission,
    JobOutcome,
    JobRelease,
    JobRequest,
    Runs,
    load,
    seal_statement,
)
from saferoom_proto.v1 import enclave_pb2
from simulator import sample
from simulator.job import BEGINS, JobRoom, LabelSideOfJob, Line, job_enclave, job_room
from simulator.job_places import OneOwner, one_owner, own_template


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneOwner]:
    """Give a room with firms to train on, for all tests here: each has a template of its own."""
    with one_owner(tmp_path_factory.mktemp("jobs"), "attacked jobs") as made:
        yield made


@pytest.fixture
async def jobs(place: OneOwner, request: pytest.FixtureRequest) -> JobRoom:
    """Give it in this test's event loop, with a training that was approved."""
    said, enclave = place
    return job_room(enclave, said, own_template(request.node.name), runs=Runs(most=3, days=30))


async def begun(jobs: JobRoom, messages: int = 0, begins: int = BEGINS) -> LabelSideOfJob:
    side = jobs.label_side(begins=begins)
    assert isinstance(side.submit(), JobAdmission)
    if messages:
        await side.take_part(most=messages)
    return side


async def refused(jobs: JobRoom, side: LabelSideOfJob, number: int, sealed: bytes) -> Reason:
    line = Line(jobs.calls, side.job)
    await line.join()
    with pytest.raises(SafeRoomError) as error:
        await line.exchange(number, sealed)
    await line.close()
    return error.value.reason


async def test_a_message_that_is_not_its_label_sides_at_its_place_changes_nothing(
    jobs: JobRoom,
) -> None:
    side, other = await begun(jobs, 1), await begun(jobs)
    before = jobs.enclave.enclave.jobs.stands(side.job)
    sealed, number = side.sealed(), side.side.number
    altered = bytearray(sealed)
    altered[len(altered) // 2] ^= 1
    back = seal_message(side.secret, side.job, Direction.TO_LABEL_SIDE, number, b"sent back")
    made_up = seal_message(bytes(32), side.job, Direction.TO_ROOM, number, side.side.waiting)
    for forged in (bytes(altered), sealed[:-1], back, made_up, other.sealed(), b"\0"):
        assert await refused(jobs, side, number, forged) is Reason.BAD_SEAL
    # Left out, or brought forward: another message is due.
    later = seal_message(side.secret, side.job, Direction.TO_ROOM, number + 1, side.side.waiting)
    assert await refused(jobs, side, number + 1, later) is Reason.CONFLICT
    # What was answered is not answered otherwise: its place was another message's.
    swapped = seal_message(side.secret, side.job, Direction.TO_ROOM, number - 1, b"another one")
    assert await refused(jobs, side, number - 1, swapped) is Reason.CONFLICT
    assert jobs.enclave.enclave.jobs.stands(side.job) == before
    assert await side.take_part(most=2) is None


async def test_what_the_room_answers_is_noticed_when_it_was_altered_or_swapped(
    jobs: JobRoom,
) -> None:
    side = await begun(jobs)
    line = Line(jobs.calls, side.job)
    await line.join()
    said = await line.exchange(0, side.sealed())
    assert not isinstance(said, JobRelease)
    number, sealed = said
    side.take(number, sealed)
    with pytest.raises(SafeRoomError) as error:
        side.take(1, sealed)  # the first answer in the place of the second
    assert error.value.reason is Reason.BAD_SEAL
    await line.close()


async def test_a_message_longer_than_any_is_not_read(
    jobs: JobRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = await begun(jobs)
    monkeypatch.setattr(job_wire, "MOST_MESSAGE_BYTES", 1 << 20)
    assert await refused(jobs, side, 0, bytes((1 << 20) + 1)) is Reason.TOO_LARGE


async def test_a_server_cannot_make_up_a_job(jobs: JobRoom) -> None:
    side = jobs.label_side()
    request = load(side.request(), JobRequest)
    world = jobs.said.world
    own = seal_statement(request, world.seeds.signing("the server"))
    others = seal_statement(request, jobs.said.other_bank.key)
    for forged in (own, others):
        with pytest.raises(SafeRoomError) as error:
            jobs.begin(forged)
        assert error.value.reason in {Reason.BAD_SIGNATURE, Reason.NO_AGREEMENT}
    with pytest.raises(SafeRoomError) as error:
        jobs.enclave.enclave.jobs.stands(own.digest)
    assert error.value.reason is Reason.UNKNOWN_STATEMENT


async def test_a_server_that_puts_its_own_channel_key_in_has_no_signature(jobs: JobRoom) -> None:
    side = jobs.label_side()
    request = load(side.request(), JobRequest)
    other = jobs.label_side()
    swapped = request.model_copy(
        update={"channel_key": load(other.request(), JobRequest).channel_key}
    )
    forged = seal_statement(swapped, side.bank.key)
    # The bank's signature over its own bytes, on other bytes.
    copied = type(forged)(forged.payload_type, swapped.to_bytes(), side.request_made.signatures)
    with pytest.raises(SafeRoomError) as error:
        jobs.begin(copied)
    assert error.value.reason is Reason.BAD_SIGNATURE


async def test_another_template_than_was_approved_does_not_run(jobs: JobRoom) -> None:
    said = jobs.said
    # Altered after it was approved: more may leave, under the same name.
    altered = job_room(jobs.enclave, said, "laxer", runs=Runs(most=100, days=1))
    word = jobs.label_side().submit(template=altered.template.digest)
    assert isinstance(word, JobRelease)
    assert word.reason is Reason.CERTIFICATE_MISMATCH
    # A check's template trains nothing, and a training answers no question.
    steady = said.steady
    word = jobs.label_side().submit(
        template=steady.template.digest, certificate=steady.certificate.digest
    )
    assert isinstance(word, JobRelease)
    assert word.reason is Reason.NOT_ALLOWED
    asked = said.bank.request(said.world.subject(1), jobs.template, jobs.certificate, {})
    assert jobs.enclave.ask(asked).truth is None


async def test_a_job_over_its_runs_is_refused_whoever_of_the_group_asks(jobs: JobRoom) -> None:
    for run in (1, 2, 3):
        word = jobs.label_side().submit()
        assert isinstance(word, JobAdmission)
        assert word.run == run
    jobs.kill()
    word = jobs.label_side().submit()
    assert isinstance(word, JobRelease)
    assert word.reason is Reason.OVER_BUDGET
    other = jobs.label_side(jobs.said.other_bank).submit()
    assert isinstance(other, JobAdmission)  # a group of its own has runs of its own


async def test_one_institution_leaves_no_more_jobs_lying_about_than_may_be(
    jobs: JobRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [each for each in jobs.enclave.enclave.jobs.newest() if each.ended is None]
    own = sum(each.institution == jobs.said.bank.name for each in before)
    monkeypatch.setattr(job_book, "MOST_UNDER_WAY", own + 1)
    first = await begun(jobs)
    again = jobs.label_side()
    request = again.request()
    with pytest.raises(SafeRoomError) as error:
        jobs.begin(request)
    assert error.value.reason is Reason.TOO_MANY_REQUESTS
    # Who asks for a job that has begun is told of it; others are not held up.
    assert jobs.begin(first.request_made).sealed
    assert isinstance(jobs.label_side(jobs.said.other_bank).submit(), JobAdmission)
    # Nothing was counted, and the same request may begin once there is room for it.
    jobs.enclave.enclave.jobs.end(first.cancel())
    admission = again.took(jobs.begin(request))
    assert isinstance(admission, JobAdmission)
    assert admission.run == 2


async def test_nobody_is_told_of_ever_more_jobs_and_nobodys_are_pushed_out(
    jobs: JobRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_book, "MOST_TOLD", 2)
    clock, others = jobs.said.world.clock, jobs.label_side(jobs.said.other_bank)
    clock.advance(0.01)  # each is newer than all before it
    others.submit()
    own: list[str] = []
    for _ in range(3):
        clock.advance(0.01)
        own.append((await begun(jobs)).job)
    told = await jobs.calls.tell(enclave_pb2.TellJobsRequest())
    name = jobs.said.bank.name
    assert [each.job for each in told.jobs if each.institution == name] == own[:0:-1]
    assert others.job in [each.job for each in told.jobs]


async def test_another_set_than_was_committed_to_ends_the_job(jobs: JobRoom) -> None:
    side, other = await begun(jobs), jobs.label_side()
    sealed = seal_message(side.secret, side.job, Direction.TO_ROOM, 0, other.side.waiting)
    line = Line(jobs.calls, side.job)
    await line.join()
    release = await line.exchange(0, sealed)
    assert isinstance(release, JobRelease)
    assert (release.outcome, release.reason) == (JobOutcome.FAILED, Reason.MALFORMED)


async def test_of_two_near_sets_that_are_judged_at_once_one_is_withheld(
    jobs: JobRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await begun(jobs, 1, BEGINS + 40)  # far from what the other tests of the room align
    second = await begun(jobs, 1, BEGINS + 41)  # one common subject less
    read_columns, loop = JobWork.read_columns, asyncio.get_running_loop()
    reads, goes_on = asyncio.Event(), threading.Event()

    def and_wait(work: JobWork, wanted: Columns) -> bytes:
        if not reads.is_set():
            loop.call_soon_threadsafe(reads.set)
            assert goes_on.wait(30)
        return read_columns(work, wanted)

    monkeypatch.setattr(JobWork, "read_columns", and_wait)
    taking_part = asyncio.create_task(first.take_part(most=1))
    try:
        # The first one's rows are read: it was not told yet. The second one is judged meanwhile.
        await asyncio.wait_for(reads.wait(), 30)
        assert await second.take_part(most=1) is None
    finally:
        goes_on.set()
    assert second.side.rows is not None
    release = await taking_part
    assert release is not None
    assert (release.outcome, release.reason) == (JobOutcome.REFUSED, Reason.WITHHELD)
    assert first.side.rows is None


async def test_malformed_ciphertexts_end_their_job_and_touch_nothing_else(jobs: JobRoom) -> None:
    draw = np.random.default_rng(5)
    whole = await begun(jobs, 3)
    state = whole.side.save()
    message = bytearray(whole.side.waiting)
    for at in draw.integers(len(message) // 4, len(message), 40).tolist():
        message[at] ^= int(draw.integers(1, 256))
    number = whole.side.number
    for _ in range(4):
        sealed = seal_message(whole.secret, whole.job, Direction.TO_ROOM, number, bytes(message))
        line = Line(jobs.calls, whole.job)
        await line.join()
        try:
            said = await line.exchange(number, sealed)
        except SafeRoomError as error:
            assert error.reason in {Reason.INTERNAL, Reason.UNAVAILABLE}
            continue  # the child broke down: three times, and the job is over
        finally:
            await line.close()
        if isinstance(said, JobRelease):
            assert (said.outcome, said.reason) in {
                (JobOutcome.FAILED, Reason.MALFORMED),
                (JobOutcome.FAILED, Reason.INTERNAL),
            }
            break
        # SEAL read numbers in it that nobody sealed: the sums are nonsense, and nobody's.
        whole.side = type(whole.side).resume(whole.alignment, whole.brought, whole.course, state)
        break
    # The enclave answers as before, and another job goes on.
    jobs.said.consent(1)
    jobs.enclave.follow()
    question = jobs.said.question(1, asked=jobs.said.public)
    assert jobs.enclave.ask(question).truth is Truth.YES
    other = await begun(jobs, 3)
    assert other.side.rows is not None


async def test_an_older_copy_that_goes_on_goes_on_with_no_job_and_gives_no_run_back(
    tmp_path: Path,
) -> None:
    said = sample("a lost copy of jobs")
    enclave = job_enclave(said, tmp_path)
    jobs = job_room(enclave, said, runs=Runs(most=3, days=30))
    side = await begun(jobs, 2)
    found = enclave.enclave._state.position.chain
    enclave.enclave.close()
    copy = enclave.folder.with_name("copy")
    shutil.copytree(enclave.folder, copy)
    enclave.restart()
    jobs.serve()
    # The bank hears an answer under masks that the copy knows nothing of; and the copy is back.
    assert await side.take_part(most=2) is None
    jobs.label_side().submit()
    follows = enclave.enclave._state.position.chain
    enclave.put_back(copy)
    enclave.unlock([said.tax.recovery(found, follows, 1, each) for each in ("chen", "li")])
    said.world.clock.advance(1)
    enclave.follow()
    jobs.serve()
    release = await side.take_part()
    assert release is not None
    assert (release.outcome, release.reason) == (JobOutcome.FAILED, Reason.EXPIRED)
    word = jobs.label_side().submit()
    assert isinstance(word, JobRelease)
    assert word.reason is Reason.OVER_BUDGET
    enclave.close()
