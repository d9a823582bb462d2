"""Trainings in the room over two owners' columns, at two real enclaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from saferoom_enclaves.jobs.between import Step
from saferoom_enclaves.worker import Worker
from saferoom_models.pooled.rows import ends_of, means_of, split
from saferoom_models.vertical.columns import prepare
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    JobAdmission,
    JobOutcome,
    JobRelease,
    Outcome,
    load,
    seal_statement,
)
from saferoom_proto.v1 import enclave_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator.fitted import firms, numbers
from simulator.job import serve_jobs
from simulator.owners_fits import FIRST, WATER_ROWS, Meters, OwnersFits, meters, two_owners

TOLD = ["rows", "auc", "ks", "weights"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnersFits]:
    """Give a room with two owners: what a test changes in it, it changes back."""
    with two_owners(tmp_path_factory.mktemp("owners")) as made:
        yield made


def refusal(call: Callable[[], object]) -> Reason | None:
    """Call, and give why it was refused."""
    try:
        call()
    except SafeRoomError as refused:
        return refused.reason
    return None


def test_a_price_begins_nothing_at_a_giver_and_is_the_host_s_to_tell(place: OwnersFits) -> None:
    request = place.room.request(place.approved("priced"), price=True)
    refused = place.begun(request)
    assert isinstance(refused, JobRelease)
    assert (refused.outcome, refused.reason) == (JobOutcome.REFUSED, Reason.NOT_ALLOWED)
    told = place.room.said(place.host.fit(request))
    assert (told.reason, told.run, told.privacy) == (Reason.PRICE_ONLY, None, None)


async def test_columns_of_two_owners_are_fitted_together(place: OwnersFits) -> None:
    of = place.approved("told", releases=TOLD)
    request = place.room.request(of)
    admitted = place.begun(request)
    assert isinstance(admitted, JobAdmission)
    assert (admitted.owner, admitted.run, admitted.columns) == ("water", 1, 3)
    judged = await place.fitted(request)
    said, theirs = place.room.said(judged), place.spread(judged)
    assert (said.outcome, theirs.outcome) == (Outcome.ANSWERED, JobOutcome.RELEASED)
    card = place.room.card(request, judged)
    assert (card.owner, card.givers, card.rows) == ("tax", ("water",), WATER_ROWS)
    # It is scikit-learn's fit of the same rows in one place.
    held, metered = firms(), meters()
    at = np.arange(FIRST - 1, FIRST - 1 + WATER_ROWS)
    unknown = np.isnan(metered.used).astype(np.float64)
    water = np.column_stack([metered.used, unknown, metered.leaks.astype(np.float64)])
    whole = np.hstack([numbers(held, at), water])
    labels = held.arrears[at]
    parts = split(labels, place.seed(), 4)
    ends = ends_of(whole[parts.train], 50)
    filled = np.where(np.isnan(whole), means_of(np.clip(whole[parts.train], *ends)), whole)
    ready = prepare([str(one) for one in range(8)], np.clip(filled[parts.train], *ends))
    pooled = LogisticRegression(C=1, tol=1e-6, max_iter=2000).fit(ready.values, labels[parts.train])
    told = [float(one.weight) for one in card.weights or ()]
    assert told == pytest.approx(pooled.coef_[0], abs=0.0051)
    # Each owner's enclave keeps the weights of its own columns, and no others.
    ours, given = (place.kept(each, request.digest) for each in (place.host, place.giver))
    assert {name.partition(".")[0] for name in cast("list[str]", ours["names"])} == {"tax"}
    assert given["names"] == ["water.used", "water.used unknown", "water.leaks"]
    assert given["weights"] == pytest.approx(pooled.coef_[0][5:], rel=1e-6)
    assert place.left(request.digest) == []
    # The same request again is told the same, and counts at neither owner once more.
    assert place.begun(request) == admitted
    assert await place.fitted(request) == judged
    assert place.spread(judged) == theirs
    another = place.begun(place.room.request(of))
    assert isinstance(another, JobAdmission)
    assert another.run == 2


async def test_a_giver_that_is_killed_between_its_count_and_the_card_goes_on(
    place: OwnersFits,
) -> None:
    of = place.approved("killed")
    request = place.room.request(of)
    admitted = place.begun(request)

    def lost(step: Step, sealed: bytes) -> bytes:
        return b"lost" if step is Step.KEEP else sealed

    assert await place.fails(request, answer=lost) is Reason.BAD_SEAL
    place.giver.kill()
    place.host.kill()
    place.follow()
    # It is the same job to both: what the giver counted and gave before, it gives again.
    assert place.begun(request) == admitted
    judged = await place.fitted(request)
    said, theirs = place.room.said(judged), place.spread(judged)
    assert (said.run, said.reason, theirs.outcome) == (1, None, JobOutcome.RELEASED)
    assert place.left(request.digest) == []


async def test_one_that_is_ended_in_between_ends_at_both_and_leaves_nothing(
    place: OwnersFits,
) -> None:
    of = place.approved("ended")
    request = place.room.request(of)
    assert isinstance(place.begun(request), JobAdmission)
    order, calls = place.room.cancel(request), serve_jobs(Worker(place.host.enclave))
    ending = list[asyncio.Task[object]]()

    def ends(step: Step, sealed: bytes) -> bytes:
        if step is Step.COLUMNS:
            cancel = enclave_pb2.EndJobRequest(cancel=envelope_to_proto(order))
            ending.append(asyncio.create_task(calls.end(cancel)))
        return sealed

    said = place.room.said(await place.fitted(request, ask=ends, by=calls))
    assert (said.cancel, said.run, said.model, len(ending)) == (order.digest, 1, None, 1)
    assert place.left(request.digest)
    # The room brings the giver the same order; it is the institution's, and names the host.
    theirs = load(place.giver.enclave.jobs.end(order).entry.statement, JobRelease)
    assert (theirs.outcome, theirs.cancel) == (JobOutcome.CANCELLED, order.digest)
    assert place.left(request.digest) == []
    # It counted at both.
    another = place.room.request(of)
    admitted = place.begun(another)
    assert isinstance(admitted, JobAdmission)
    assert (admitted.run, place.room.said(await place.fitted(another)).run) == (2, 2)


async def test_each_owner_s_runs_bound_it_and_a_refusal_gives_nothing(place: OwnersFits) -> None:
    of = place.approved("one-run", runs={"most": 1, "days": 30})
    first, second = place.room.request(of), place.room.request(of)
    assert isinstance(place.begun(first), JobAdmission)
    word = place.begun(second)
    assert isinstance(word, JobRelease)
    assert (word.owner, word.reason) == ("water", Reason.OVER_BUDGET)
    # Whatever the room says, the host alone has nobody to train with, and counts nothing.
    assert await place.fails(second) is Reason.UNKNOWN_STATEMENT


async def test_records_at_a_giver_that_changed_by_a_few_are_withheld_by_it(
    place: OwnersFits,
) -> None:
    of = place.approved("near")
    assert await place.reason(place.room.request(of)) is None
    held = meters()
    few = held.leaks.copy()
    few[:3] += 1
    place.load(Meters(held.used, few))
    request = place.room.request(of)
    assert isinstance(place.begun(request), JobAdmission)
    judged = await place.fitted(request)
    said, theirs = place.room.said(judged), place.spread(judged)
    # The host would have told of them: its own columns, and its subjects, are the same as before.
    assert (said.reason, said.run, judged.sealed) == (Reason.WITHHELD, 2, b"")
    assert (theirs.outcome, theirs.reason) == (JobOutcome.REFUSED, Reason.WITHHELD)
    place.load(held)


async def test_too_few_common_subjects_are_withheld_and_asked_about_alike(
    place: OwnersFits,
) -> None:
    few = place.approved("too-few", least_rows=WATER_ROWS + 1)
    enough = place.approved("enough", least_rows=WATER_ROWS)
    lengths = list[int]()
    for of, reason in ((few, Reason.WITHHELD), (enough, None)):
        place.asked.clear()
        assert await place.reason(place.room.request(of)) is reason
        step, ask = place.asked[0]
        assert step is Step.HOLDS
        lengths.append(len(ask))
        assert (len(place.asked) > 1) == (reason is None), "no columns are asked for"
    assert lengths[0] == lengths[1]


async def test_the_host_trains_on_no_column_less_than_was_approved(place: OwnersFits) -> None:
    of = place.approved("alone")
    request = place.room.request(of)
    # Asked as of one owner; without the giver's papers; without the giver's own word.
    assert refusal(lambda: place.host.fit(request)) is Reason.CONFLICT
    place.asked.clear()
    assert await place.fails(request, brings=False) is Reason.UNAVAILABLE
    assert place.asked == [], "whom the host holds is asked of nobody before all serve"
    assert await place.fails(request) is Reason.UNKNOWN_STATEMENT
    # Nor does a host begin it as a job, or a giver train it.
    begun = load(place.host.enclave.jobs.begin(request).entry.statement, JobRelease)
    assert begun.reason is Reason.NOT_ALLOWED
    another = place.room.request(of)
    assert place.room.said(place.giver.fit(another)).reason is Reason.CERTIFICATE_MISMATCH
    # None of this was a run.
    said, theirs = await place.trained(place.room.request(of))
    assert (said.run, theirs.outcome) == (1, JobOutcome.RELEASED)


async def test_what_is_altered_or_replayed_on_its_way_opens_nowhere(place: OwnersFits) -> None:
    of = place.approved("altered")
    request = place.room.request(of)
    place.begun(request)

    def flipped(step: Step, sealed: bytes) -> bytes:
        return sealed[:-1] + bytes([sealed[-1] ^ 1]) if step is Step.COLUMNS else sealed

    assert await place.fails(request, ask=flipped) is Reason.BAD_SEAL
    before = place.given[-1]

    def replayed(step: Step, sealed: bytes) -> bytes:
        return before if step is Step.HOLDS else sealed

    assert await place.fails(request, answer=replayed) is Reason.BAD_SEAL
    assert await place.fails(request, answer=flipped) is Reason.BAD_SEAL
    judged = await place.fitted(request)
    assert place.room.said(judged).run == 1, "nothing was decided by it"
    place.spread(judged)


async def test_a_giver_s_withdrawal_stops_it_though_the_host_is_told_nothing(
    place: OwnersFits,
) -> None:
    of = place.approved("withdrawn")
    request = place.room.request(of)
    place.begun(request)

    def withdrawn(step: Step, sealed: bytes) -> bytes:
        if step is Step.KEEP:  # it has given its columns, and the model is made
            place.water.withdraw(of.template)
            place.giver.follow()
        return sealed

    judged = await place.fitted(request, ask=withdrawn)
    said, theirs = place.room.said(judged), place.spread(judged)
    assert (said.reason, said.run, judged.sealed) == (Reason.NOT_APPROVED, None, b"")
    assert (theirs.outcome, theirs.reason) == (JobOutcome.CANCELLED, Reason.NOT_APPROVED)
    assert place.left(request.digest) == []
    assert place.kept(place.giver, request.digest) == place.kept(place.host, request.digest) == {}


async def test_no_part_of_a_model_counts_before_its_host_says_so(place: OwnersFits) -> None:
    of = place.approved("said")
    request = place.room.request(of)
    place.begun(request)
    refused = place.room.said(place.host.fit(place.room.request(of, inverse_ridge="100")))
    assert refused.reason is Reason.OFF_DOMAIN
    jobs, host = place.giver.enclave.jobs, place.papers_of_host()
    released = {"outcome": Outcome.ANSWERED, "reason": None, "run": 1, "request": request.digest}
    released |= dict.fromkeys(("model", "answer"), of.certificate.digest)
    said = refused.model_copy(update=released | {"approvals": (of.template.digest,)})
    for word, key, reason in (
        (said, place.host.keys.identity, Reason.CONFLICT),  # no part of it came here
        (said, place.room.tax.key_agent, Reason.BAD_SIGNATURE),
        (
            said.model_copy(update={"certificate": of.template.digest}),
            place.host.keys.identity,
            Reason.CONFLICT,
        ),
    ):
        forged = seal_statement(word, key)
        assert refusal(lambda forged=forged: jobs.end_as(host, forged)) is reason
        assert jobs.stands(request.digest).ended is None


async def test_of_a_giver_s_rows_nothing_stays_at_the_host(place: OwnersFits) -> None:
    of = place.approved("stays")
    request = place.room.request(of)
    assert await place.reason(request) is None
    held = meters()
    used, leaks = held.used[5], float(held.leaks[5])
    row = np.array([used, 0.0, leaks]).tobytes()
    opened = place.host.enclave._require_open()
    contents = [
        row.content
        for table in ("job", "job_part", "model", "aligned")
        for row in opened.state.found(table)
    ]
    assert contents
    assert not any(row in each for each in contents)
    # What trainings are kept apart by is of the host's own columns.
    sets, _ = place.host.enclave.jobs.fits._ground.partners._listed("ring")
    assert {name.partition(".")[0] for each in sets.sets for name in each.columns} == {"tax"}
