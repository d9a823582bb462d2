"""A bank with a great many batches of one row makes no subject's look hold up others' questions.

Each leaves a list of its own behind, and a subject's rows are found by going through all lists.
"""

from __future__ import annotations

import pytest

from saferoom_enclaves.batches import about_subjects
from saferoom_enclaves.disclose import Begun
from saferoom_proto.answer import Truth
from saferoom_proto.batch import Row
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator import EnclaveHarness, Sample
from simulator.batch import STEADY, ask_batch, batch_of, steady_batch

LISTS = 7
AT_ONCE = 2


def test_questions_are_judged_between_the_pieces_of_a_search(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(about_subjects, "LOOKED_AT_ONCE", AT_ONCE)
    ask_batch(enclave, steady_batch(room, 1))
    others = [Row(room.world.subject(2).uscc)]
    for _ in range(LISTS - 1):
        ask_batch(enclave, batch_of(room.bank, room.steady, others, STEADY))
    subject = room.world.subject(1)
    request = subject.claim("tax")
    batches = enclave.enclave.batches
    search = batches.search(subject.uscc)
    pieces = 0
    while not search.done:
        batches.go_on(search)
        pieces += 1
        assert enclave.ask(room.question(1)).truth is Truth.YES
    assert pieces == LISTS // AT_ONCE + 1
    begun = enclave.enclave.disclosures.begin(request, search)
    assert isinstance(begun, Begun)
    begun.close()
    assert [len(chunks) for chunks in search.numbers.values()] == [1]


def test_a_search_counts_for_its_own_subject_only(room: Sample, enclave: EnclaveHarness) -> None:
    ask_batch(enclave, steady_batch(room, 1, 2))
    anothers = enclave.enclave.batches.search(room.world.subject(2).uscc)
    with pytest.raises(SafeRoomError, match="another subject") as refused:
        enclave.enclave.disclosures.begin(room.world.subject(1).claim("tax"), anothers)
    assert refused.value.reason is Reason.INTERNAL
