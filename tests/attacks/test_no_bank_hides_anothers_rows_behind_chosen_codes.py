"""A subject is shown so many chunks with rows about it: none is taken by one that has no such row.

The enclave finds a subject's rows by marks of four bytes. Marks by a hash that anybody can compute
let a bank ask about others whose marks are the same: then the subject is shown nothing.
"""

from __future__ import annotations

import zlib
from typing import Final

import pytest

from saferoom_enclaves.batches import about_subjects
from saferoom_proto.batch import Row
from saferoom_proto.uscc import parse_uscc
from simulator import EnclaveHarness, Sample
from simulator.batch import STEADY, ask_batch, batch_of, steady_batch
from tests.enclaves.test_rows_shown import held

SAME_CRC: Final = "911472490009490480"
"""The code of another firm, found in seven seconds: halves of codes meet in the middle."""


def test_no_chosen_codes_take_the_place_of_a_subjects_rows(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = room.world.subject(1).uscc
    assert zlib.crc32(subject.encode()) == zlib.crc32(parse_uscc(SAME_CRC).encode())
    monkeypatch.setattr(about_subjects, "MOST_CHUNKS", 2)
    ask_batch(enclave, steady_batch(room, 1))
    for _ in range(2):
        ask_batch(enclave, batch_of(room.bank, room.steady, [Row(SAME_CRC)], STEADY))
    holdings = held(room, enclave, 1)
    assert (len(holdings.batches), holdings.earlier) == (1, 0)
