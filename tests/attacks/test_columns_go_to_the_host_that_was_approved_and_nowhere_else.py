"""A job of several owners: what a server, an owner or a bank could try, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from saferoom_enclaves.jobs import between
from saferoom_enclaves.jobs.between import Step, open_state, state_key
from saferoom_enclaves.jobs.kept import JobRows, Kept
from saferoom_enclaves.jobs.wire import papers_of
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    JobOutcome,
    JobRelease,
    JobStep,
    Purpose,
    load,
    seal_statement,
)
from saferoom_proto.v1 import enclave_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import EnclaveHarness, sample
from simulator.job import BEGINS, LabelSideOfJob, Line, asked
from simulator.job_places import MANY, own_template
from simulator.owners_job import (
    COMMON_TO_ALL,
    OF_TWO,
    OwnersLine,
    OwnersRoom,
    Place,
    give,
    heard_of,
    owners_room,
    papers,
    two_owners,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give a room with two owners' firms, for all tests here: each has a template of its own."""
    with two_owners(tmp_path_factory.mktemp("owners"), "columns that go astray") as made:
        yield made


@pytest.fixture
async def jobs(place: Place, request: pytest.FixtureRequest) -> OwnersRoom:
    """Give it in this test's event loop, with a training that both owners approved."""
    return owners_room(*place, own_template(request.node.name), runs=MANY)


async def reason_of(line: OwnersLine, side: LabelSideOfJob) -> Reason:
    """Take part until something is refused, with the line as it was tampered with."""
    with pytest.raises(SafeRoomError) as refused:
        await line.through(side)
    await line.close()
    return refused.value.reason


def endorsing(**changes: object) -> Callable[[EnclaveHarness], enclave_pb2.OwnerPapers]:
    """Have the key agent endorse something else."""

    def made(enclave: EnclaveHarness) -> enclave_pb2.OwnerPapers:
        told = papers(enclave)
        told.endorsement.CopyFrom(envelope_to_proto(enclave.endorsement(**changes)))
        return told

    return made


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": "sha256:" + "0" * 64}, Reason.BAD_ENDORSEMENT),
        ({"owner": "court"}, Reason.BAD_ENDORSEMENT),
        ({"charter": "sha256:" + "0" * 64}, Reason.BAD_ENDORSEMENT),
    ],
)
async def test_no_other_enclave_is_taken_for_the_host_or_a_giver(
    jobs: OwnersRoom, changes: dict[str, object], reason: Reason
) -> None:
    side = jobs.label_side()
    side.submit()
    line = jobs.line(side.job)
    line.papers = endorsing(**changes)
    assert await reason_of(line, side) is reason


async def test_a_weaker_sandbox_than_the_giver_asks_of_its_own_gets_nothing(
    place: Place, jobs: OwnersRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = jobs.label_side()
    side.submit()
    standing = jobs.court.enclave.enclave._require_open().standing
    charter = standing.charter
    asks_more = charter.charter.model_copy(update={"min_sandbox_level": 2})
    monkeypatch.setattr(standing, "charter", replace(charter, charter=asks_more))
    peers = jobs.court.enclave.enclave.jobs._peers
    told, moment = papers_of(papers(jobs.enclave)), jobs.said.world.now()
    with pytest.raises(SafeRoomError) as refused:
        peers.verified(told, jobs.certificate.digest, moment)
    assert refused.value.reason is Reason.SANDBOX_TOO_WEAK
    # Nor does one that only says so of itself, where hardware vouches for the giver's.
    monkeypatch.setattr(standing, "charter", charter)
    opened = jobs.court.enclave.enclave._require_open()
    vouched = opened.endorsed.endorsement.model_copy(update={"evidence_kind": "tdx"})
    monkeypatch.setattr(opened, "endorsed", replace(opened.endorsed, endorsement=vouched))
    with pytest.raises(SafeRoomError) as refused:
        peers.verified(told, jobs.certificate.digest, moment)
    assert refused.value.reason is Reason.BAD_ENDORSEMENT


def test_a_charter_that_was_followed_by_another_is_no_host_s(tmp_path: Path) -> None:
    """Its owner may have had to give up its key agent: its word counts no more here."""
    said = sample("a charter that changes")
    tax, court = (EnclaveHarness(owner, tmp_path) for owner in (said.tax, said.court))
    of_two = asked(features=OF_TWO, host="tax")
    _, certificate = said.bank.training("of-two", of_two, (Purpose.PRE_LOAN,))
    court.follow()
    peers, now = court.enclave.jobs._peers, said.world.now()
    told = papers_of(papers(tax))
    assert peers.verified(told, certificate.digest, now).owner == "tax"
    following = said.tax.adopt(max_head_age_seconds=59)
    said.world.publish(following, "court")
    court.follow()
    with pytest.raises(SafeRoomError) as refused:
        peers.verified(told, certificate.digest, now)
    assert refused.value.reason is Reason.CERTIFICATE_MISMATCH
    tax.close()
    court.close()


def flipped(message: bytes) -> bytes:
    return message[:-1] + bytes([message[-1] ^ 1])


async def test_an_altered_ask_or_answer_opens_nowhere_and_the_job_stays(jobs: OwnersRoom) -> None:
    side = jobs.label_side()
    side.submit(rounds=1)
    line = jobs.line(side.job)
    line.alters_ask = flipped
    assert await reason_of(line, side) is Reason.BAD_SEAL
    line = jobs.line(side.job)
    line.alters_answer = flipped
    assert await reason_of(line, side) is Reason.BAD_SEAL
    # Nothing was decided by it.
    release = await side.take_part()
    assert release is not None
    assert release.outcome is JobOutcome.RELEASED


async def test_an_answer_to_another_ask_is_no_answer(jobs: OwnersRoom) -> None:
    side = jobs.label_side()
    side.submit()
    line = jobs.line(side.job)
    await line.through(side, 3)
    going_on = line.given[-1]
    await line.close()
    line = jobs.line(side.job)
    line.alters_answer = lambda _: going_on  # a "go on" of before, in the place of another answer
    assert await reason_of(line, side) is Reason.BAD_SEAL


async def test_no_ask_is_answered_to_another_than_the_job_s_host(jobs: OwnersRoom) -> None:
    side = jobs.label_side()
    side.submit(rounds=1)
    line = jobs.line(side.job)
    await line.through(side, 2)
    await line.close()
    holds, columns = line.asked
    # In another owner's name, and with papers that fit: the job has one host.
    with pytest.raises(SafeRoomError) as refused:
        await give(jobs.court.calls, papers(jobs.court.enclave), columns)
    assert refused.value.reason is Reason.CONFLICT
    # Repeated, it is answered to the host's enclave again, and to no later start of it.
    jobs.kill()
    with pytest.raises(SafeRoomError) as refused:
        await give(jobs.court.calls, papers(jobs.enclave), flipped(holds))
    assert refused.value.reason is Reason.BAD_SEAL
    answer = await give(jobs.court.calls, papers(jobs.enclave), columns)
    assert answer != line.given[1]
    assert len(answer) == len(line.given[1])
    await side.take_part()


async def test_what_lies_at_the_host_is_of_no_use_without_every_giver(jobs: OwnersRoom) -> None:
    side = jobs.label_side()
    side.submit()
    await side.take_part(most=4)
    rows = JobRows(jobs.enclave.enclave._require_open().state)
    columns, state = rows.get(side.job, Kept.COLUMNS), rows.get(side.job, Kept.STATE)
    # Of the eight columns seven are the host's own; the court's is kept at the court alone.
    assert len(columns) == COMMON_TO_ALL * 7 * 8
    theirs = JobRows(jobs.court.enclave.enclave._require_open().state)
    given = np.frombuffer(theirs.get(side.job, Kept.COLUMNS))
    assert len(given) == COMMON_TO_ALL
    # The training's state opens with the court's share, which goes when the job ends there.
    record = jobs.court.enclave.enclave.jobs.stands(side.job)
    key = state_key(side.job, [unb64(record.secret)])
    assert open_state(key, state)
    with pytest.raises(SafeRoomError) as refused:
        open_state(bytes(32), state)
    assert refused.value.reason is Reason.STORE_DAMAGED
    jobs.court.enclave.enclave.jobs.end(side.cancel())
    assert jobs.court.enclave.enclave.jobs.stands(side.job).secret == ""
    assert jobs.court.left(side.job) == []


async def test_a_server_that_tells_the_host_nothing_stops_nothing(
    place: Place, jobs: OwnersRoom
) -> None:
    said, _, court = place
    side = jobs.label_side()
    side.submit()
    await side.take_part(most=4)
    said.court.withdraw(jobs.template)
    court.follow()  # the court's enclave has heard of it; nobody says so to the host
    release = await side.take_part()
    assert release is not None
    assert (release.owner, release.outcome) == ("tax", JobOutcome.CANCELLED)
    assert release.reason is Reason.NOT_APPROVED
    assert (jobs.left(side.job), jobs.court.left(side.job)) == ([], [])


async def test_a_giver_that_is_kept_from_its_stream_gives_nothing(jobs: OwnersRoom) -> None:
    side = jobs.label_side()
    side.submit(rounds=1)
    await side.take_part(most=3)
    jobs.said.world.clock.advance(61)
    jobs.enclave.follow()
    line = jobs.line(side.job)
    assert await reason_of(line, side) is Reason.STALE_HEAD
    # It waits, and goes on once the court's enclave knows what is in force.
    jobs.court.enclave.follow()
    release = await side.take_part()
    assert release is not None
    assert release.outcome is JobOutcome.RELEASED


async def test_without_the_giver_s_own_word_the_host_alone_trains_nothing(
    jobs: OwnersRoom,
) -> None:
    side = jobs.label_side()
    request = side.request()
    side.took(jobs.enclave.enclave.jobs.begin(request))  # the court was not asked
    assert await reason_of(jobs.line(side.job), side) is Reason.UNKNOWN_STATEMENT
    assert side.side.rows is None


async def test_no_label_side_talks_with_a_giver(jobs: OwnersRoom) -> None:
    side = jobs.label_side()
    side.submit()
    line = Line(jobs.court.calls, side.job)
    await line.join()
    with pytest.raises(SafeRoomError) as refused:
        await line.exchange(0, side.sealed())
    assert refused.value.reason is Reason.CONFLICT
    await line.close()


async def test_no_enclave_is_made_to_end_a_job_by_what_no_owner_s_enclave_said(
    jobs: OwnersRoom,
) -> None:
    side = jobs.label_side()
    side.submit()
    court, host = jobs.court.enclave, jobs.enclave.enclave.jobs
    told = papers_of(papers(court))
    said = load(court.enclave.jobs.end(side.cancel()).entry.statement, JobRelease)
    cancelled = said.model_copy(update={"endorsement": told.endorsement.digest})
    paused = cancelled.model_copy(update={"cancel": None, "reason": Reason.PAUSED})
    # A cancel is its institution's to tell; a word on another job ends nothing, nor does another's.
    elsewhere = paused.model_copy(update={"template": jobs.certificate.digest})
    for word, key, reason in (
        (cancelled, court.keys.identity, Reason.CONFLICT),
        (elsewhere, court.keys.identity, Reason.CONFLICT),
        (paused, court.owner.key_agent, Reason.BAD_SIGNATURE),
        (said, court.keys.identity, Reason.BAD_ENDORSEMENT),
    ):
        with pytest.raises(SafeRoomError) as refused:
            host.end_as(told, seal_statement(word, key))
        assert refused.value.reason is reason
        assert host.stands(side.job).ended is None
    # What that enclave itself signed does.
    host.end_as(told, seal_statement(paused, court.keys.identity))
    ended = host.stands(side.job)
    assert (ended.outcome, ended.reason) == (JobOutcome.CANCELLED, Reason.PAUSED)


async def test_a_set_that_one_owner_has_nearly_seen_is_withheld_by_that_owner(
    place: Place, jobs: OwnersRoom
) -> None:
    _, _, court = place
    first = jobs.label_side()
    first.submit(rounds=1)
    await first.take_part()
    # Of this bank's customers a few are others; at the tax office only those change.
    near = jobs.label_side(begins=BEGINS + 3)
    near.submit(rounds=1)
    release = await near.take_part()
    assert release is not None
    assert (release.outcome, release.reason) == (JobOutcome.REFUSED, Reason.WITHHELD)
    assert near.side.rows is None
    ended = court.enclave.jobs.stands(near.job)
    assert (ended.outcome, ended.reason) == (JobOutcome.REFUSED, Reason.WITHHELD)


def court_s_part(asks: int = 1) -> bytes:
    """Write a part of a model, as a host has it kept that has asked so often."""
    part = {"names": ["court.dishonest"], "weights": [0.5], "means": [0.1], "scales": [1.0]}
    told = between.Kept(rounds=1, converged=True, asks=asks).model_dump_json()
    return f"{told}\n{json.dumps(part | {'findings': []})}".encode()


async def test_a_giver_says_one_last_word_whatever_comes_between_ask_and_answer(
    jobs: OwnersRoom,
) -> None:
    host, court = jobs.enclave.enclave.jobs, jobs.court.enclave.enclave.jobs
    cancelled, kept = jobs.label_side(), jobs.label_side()
    for side in (cancelled, kept):
        side.submit(rounds=1)
        await side.take_part(most=2)
    # Step 1: a cancel comes after the ask was opened: no model is kept, and nothing is given.
    asks = [
        heard_of(jobs, cancelled.job, step, body)
        for step, body in ((Step.KEEP, court_s_part()), (Step.GOES_ON, b""), (Step.COLUMNS, b""))
    ]
    last = court.end(cancelled.cancel())
    for heard, ask in asks:
        is_columns = heard.head.step is Step.COLUMNS
        answer = court.giving.columns(heard) if is_columns else court.giving.answer(heard)
        assert isinstance(answer, bytes)
        told, body = between.open_answer(ask, heard.peer, host._peers.sealing, answer)
        assert (told.outcome, body) == (JobOutcome.CANCELLED, b"")
    assert court.stands(cancelled.job).ended == last.entry.chain_index
    # Step 2: a part of a model is kept, and is none before the host has said that there is one.
    first, second, later = (
        heard_of(jobs, kept.job, Step.KEEP, court_s_part(asks)) for asks in (1, 1, 2)
    )
    for heard, ask in (first, second, later):
        answer = court.giving.answer(heard)
        told, _ = between.open_answer(ask, heard.peer, host._peers.sealing, answer)
        assert told.outcome is None
    # One of before a break, that the room brings once more, takes no later one's place.
    with pytest.raises(SafeRoomError) as refused:
        court.giving.answer(first[0])
    assert refused.value.reason is Reason.CONFLICT
    assert court.stands(kept.job).ended is None
    jobs.said.court.withdraw(jobs.template)
    jobs.court.enclave.follow()
    assert court.stands(kept.job).reason is Reason.NOT_APPROVED
    assert jobs.court.left(kept.job) == []


async def test_who_withheld_is_not_told_by_the_step(
    jobs: OwnersRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host alone withholds, after the giver gave: both say the same."""
    first, near = jobs.label_side(), jobs.label_side(begins=BEGINS + 3)
    first.submit(rounds=1)
    await first.take_part(most=2)
    court = jobs.court.enclave.enclave.jobs
    partners = type(court.course._ground.partners)
    judged = partners.keep_apart

    def of_host(self: object, *about: object) -> None:
        if self is not court.course._ground.partners:
            judged(self, *about)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(partners, "keep_apart", of_host)
    near.submit(rounds=1)
    said = await near.take_part(most=2)
    assert said is not None
    assert (said.reason, said.ended_in) == (Reason.WITHHELD, JobStep.ALIGNMENT)
    record, book = court.stands(near.job), court._book
    assert record.step is JobStep.TRAINING
    word = book.end(record, JobOutcome.REFUSED, Reason.WITHHELD, book.ready())
    release = load(word.entry.statement, JobRelease)
    assert (release.reason, release.ended_in) == (Reason.WITHHELD, JobStep.ALIGNMENT)
