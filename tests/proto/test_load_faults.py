"""What is wrong with a load's rows: for who ordered it, and the same to everybody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto import hpke
from saferoom_proto.hpke import SealingKey
from saferoom_proto.load_faults import (
    MOST_ROWS,
    Faults,
    FaultyRow,
    faults_info,
    open_faults,
    seal_faults,
)
from saferoom_proto.reasons import Reason, SafeRoomError

LOAD, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
REPLY = SealingKey.generate()
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,62}", fullmatch=True)
ROWS = st.builds(
    FaultyRow,
    table=NAMES,
    line=st.integers(1, 1 << 40),
    column=st.none() | NAMES,
    rule=st.sampled_from(["a date as YYYY-MM-DD", "统一社会信用代码", "x" * 200]),
)
FAULTS = st.builds(
    Faults, rows=st.lists(ROWS, min_size=1, max_size=4).map(tuple), count=st.integers(1, 1 << 40)
)
ONE = Faults(rows=(FaultyRow(table="vat", line=7, column="paid", rule="a number"),), count=1)


def refused(reason: Reason) -> pytest.RaisesExc[SafeRoomError]:
    return pytest.raises(SafeRoomError, match=f"^{reason}")


@given(FAULTS)
def test_who_ordered_the_load_reads_what_is_wrong(faults: Faults) -> None:
    assert open_faults(seal_faults(faults, REPLY.public, LOAD), REPLY, LOAD) == faults


def test_one_bad_row_and_a_million_are_as_long_as_each_other() -> None:
    row = FaultyRow(table="t" * 63, line=(1 << 53) - 1, column="c" * 63, rule="规" * 200)
    few = Faults(rows=(row,), count=1)
    # The longest names and rules that there are: a hundred rows of them find room.
    rows = tuple(row.model_copy(update={"rule": "r" * 200}) for _ in range(MOST_ROWS))
    many = Faults(rows=rows, count=1_000_000)
    lengths = {len(seal_faults(each, REPLY.public, LOAD)) for each in (ONE, few, many)}
    assert len(lengths) == 1


def test_faults_open_for_their_own_load_and_reader_only() -> None:
    sealed = seal_faults(ONE, REPLY.public, LOAD)
    for key, header in ((REPLY, OTHER), (SealingKey.generate(), LOAD)):
        with refused(Reason.BAD_SEAL):
            open_faults(sealed, key, header)
    with refused(Reason.BAD_SEAL):
        open_faults(b"", REPLY, LOAD)


@pytest.mark.parametrize(
    "written",
    [
        b"{}",
        b'{"rows":[],"count":0}',
        b'{"rows":[{"table":"vat","line":0,"column":null,"rule":"r"}],"count":1}',
        b'{"rows":[{"table":"vat","line":1,"column":null,"rule":"\\u001b[2J"}],"count":1}',
        b'{"rows":[{"table":"vat","line":1,"column":null,"rule":"r","value":"3"}],"count":1}',
    ],
)
def test_faults_of_another_form_are_refused(written: bytes) -> None:
    sealed = hpke.seal(REPLY.public, written, info=faults_info(LOAD))
    with refused(Reason.MALFORMED):
        open_faults(sealed, REPLY, LOAD)
