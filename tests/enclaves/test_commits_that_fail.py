"""A disk that fails: what was not committed is not known either, and what was known still is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from saferoom_enclaves.loads import LoadReport
from saferoom_enclaves.opened import OpenEnclave
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason
from simulator import EnclaveHarness, Sample, tax_csv
from simulator.batch import ask_batch, judge_batch, steady_batch


@contextmanager
def failing_disk(enclave: EnclaveHarness) -> Generator[None]:
    """Have the database take no write meanwhile, and make sure that one was tried."""
    database = of(enclave).state._db
    database.execute("PRAGMA query_only = ON")
    try:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            yield
    finally:
        database.execute("PRAGMA query_only = OFF")


def of(enclave: EnclaveHarness) -> OpenEnclave:
    return enclave.enclave._require_open()


def waiting(enclave: EnclaveHarness) -> list[int]:
    """Name the entries without a proof, the oldest first."""
    return list(of(enclave).journal._waiting)


def known(enclave: EnclaveHarness) -> tuple[object, ...]:
    """Give what an enclave holds in memory of what it committed."""
    opened = of(enclave)
    index, accounts = opened.consents._newest, opened.judge._spending._accounts
    revoked = {
        (institution, subject): bool(index._columns["revoked"][place])
        for institution, places in index._places.items()
        for subject, place in places.items()
        if place >= 0
    }
    held = {
        (group, subject): accounts.account(number)
        for group, numbers in accounts._groups.items()
        for subject, number in numbers.items()
        if number
    }
    marks = opened.state.marks
    return (
        waiting(enclave),
        set(opened.consents._revoked),
        revoked,
        held,
        marks,
        opened.state._tally,
    )


def proven_out_of_turn(room: Sample, enclave: EnclaveHarness) -> None:
    """Have three questions asked, of which the second alone gets its proof."""
    for serial in (1, 2, 3):
        enclave.ask(room.question(serial))
    delivery = enclave.delivery()
    assert len(delivery.proofs) == 3
    enclave.enclave.deliver(replace(delivery, proofs=delivery.proofs[1:2]))


def judging(room: Sample, enclave: EnclaveHarness) -> Callable[[], object]:
    question = room.question(4)
    return lambda: enclave.enclave.judge([question])


def batching(room: Sample, enclave: EnclaveHarness) -> Callable[[], object]:
    batch = steady_batch(room, 1, 4)
    return lambda: judge_batch(enclave, batch)


def disclosing(room: Sample, enclave: EnclaveHarness) -> Callable[[], object]:
    request = room.world.subject(1).claim(enclave.owner.name)
    return lambda: enclave.disclose(request)


def loading(room: Sample, enclave: EnclaveHarness) -> Callable[[], object]:
    header, sealed_key, pieces = enclave.sealed({"firms": tax_csv(room.world)})
    job = enclave.enclave.begin_load(header, sealed_key)
    for piece in pieces:
        job.add(piece)
    built = job.build()
    job.close()
    assert not isinstance(built, LoadReport)
    return lambda: enclave.enclave.commit_store(built)


@pytest.mark.parametrize("begin", [judging, batching, disclosing, loading])
def test_what_is_not_committed_is_not_known_and_what_was_known_still_is(
    room: Sample,
    enclave: EnclaveHarness,
    begin: Callable[[Sample, EnclaveHarness], Callable[[], object]],
) -> None:
    proven_out_of_turn(room, enclave)
    work = begin(room, enclave)
    before = known(enclave)
    with failing_disk(enclave):
        work()
    assert known(enclave) == before
    assert len(waiting(enclave)) == 2
    enclave.follow()
    assert (enclave.enclave.outbox(0), enclave.ask(room.question(1)).truth) == ([], Truth.YES)


def test_a_delivery_that_is_not_committed_has_changed_nothing(
    room: Sample, enclave: EnclaveHarness
) -> None:
    revoked = room.consent(8)
    enclave.follow()
    proven_out_of_turn(room, enclave)
    room.world.subject(8).revoke(revoked)
    room.consent(7)
    batches = [steady_batch(room, 8, 7) for _ in range(2)]
    before = known(enclave)
    with failing_disk(enclave):
        enclave.follow()
    assert known(enclave) == before
    # Neither the revocation nor the new consent counts, one by one or in a batch.
    told = [record.outcome for record in ask_batch(enclave, batches[0]).records]
    assert told == [Truth.NOT_FOUND, Reason.NO_CONSENT]
    assert enclave.ask(room.question(8)).truth is Truth.NOT_FOUND
    assert enclave.ask(room.question(7)).reason is Reason.NO_CONSENT
    # The same statements come again, and count.
    assert len(enclave.follow()) == 1
    told = [record.outcome for record in ask_batch(enclave, batches[1]).records]
    assert told == [Reason.NO_CONSENT, Truth.NOT_FOUND]
    assert enclave.ask(room.question(8)).reason is Reason.NO_CONSENT
    assert enclave.ask(room.question(7)).truth is Truth.NOT_FOUND
