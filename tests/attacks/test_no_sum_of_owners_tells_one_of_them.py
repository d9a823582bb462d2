"""Sums over owners set against each other: of no two can one owner's cells be told.

Each attack is told by the control of the same room: sums that differ by all owners are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from saferoom_enclaves.state import State
from saferoom_enclaves.tables.sums import ToldSum, ToldSums
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import OwnersPeriod
from saferoom_proto.suite import Suite
from simulator.added_up import OFFICES, Offices, rows_of, sums_of
from simulator.sample import Approved


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offices]:
    """Give a room in which a sum was told to the first bank, and a month went by."""
    made = Offices.make(tmp_path_factory.mktemp("attacked"))
    yield made
    made.close()


def refused(room: Offices, of: Approved, at: int = 0) -> dict[str, Reason | None]:
    words = room.said(room.ask(room.request(of, room.banks[at])))
    return {name: said.reason for name, said in words.items()}


def test_whoever_waits_until_one_owner_loads_alone_subtracts_nothing(room: Offices) -> None:
    of = room.approved("monthly", sums_of())
    first = room.summed(of)
    room.a_month_later()
    room.load("west")
    # The offices that did not load would give the same numbers: the west's would be left.
    told = refused(room, of)
    assert told == dict.fromkeys(OFFICES, Reason.CONFLICT)
    assert refused(room, of, at=1) == told
    # A bank that is linked with none of these is held up by none of them.
    assert set(refused(room, of, at=2).values()) == {None}
    # The control: all have loaded, and no part stands in both sums.
    room.a_month_later()
    former = room.enclaves["west"].enclave.store
    assert former is not None
    room.load("north", "east")
    assert room.summed(of) != first
    # Whose records are its former ones again has its former numbers, under a period that is new.
    room.load("west")
    room.go_back("west", former.digest)
    assert refused(room, of)["west"] is Reason.CONFLICT
    assert "of records that were gone back to no sum" in room.enclaves["west"].log.getvalue()


def sums(**periods: int) -> ToldSum:
    about = tuple(OwnersPeriod(owner=name, epoch=at) for name, at in sorted(periods.items()))
    return ToldSum(group="ring", periods=about)


@pytest.mark.parametrize(
    ("later", "differing"),
    [
        ({"east": 1, "north": 1, "west": 1}, 0),
        ({"east": 1, "north": 1, "west": 2}, 1),
        ({"east": 1, "north": 1, "west": 1, "yonder": 1}, 1),
        ({"east": 1, "west": 1, "yonder": 1}, 2),
        ({"east": 2, "north": 2, "west": 2}, 3),
    ],
)
def test_sums_differ_by_whose_cells_stand_in_one_of_them(
    later: dict[str, int], differing: int
) -> None:
    assert sums(east=1, north=1, west=1).differs_by(sums(**later)) == differing


def test_whoever_asks_about_ever_other_periods_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An enclave remembers so many sums, each of which a bank can make up periods for."""
    monkeypatch.setattr("saferoom_enclaves.tables.sums.MOST_SUMS", 3)
    state = State(tmp_path / "db")
    state.open(bytes(32))
    kept = ToldSums(state)

    def ask(at: int, group: str, *linked: str) -> None:
        told = sums(east=1, north=at, west=at, yonder=at).model_copy(update={"group": group})
        with state.transaction():
            kept.require_apart(told, (group, *linked))
            kept.told(told)

    for at in range(1, 4):
        ask(at, "ring")
    for group, linked in (("ring", ()), ("friends", ("ring",))):
        with pytest.raises(SafeRoomError) as caught:
            ask(4, group, *linked)
        assert caught.value.reason is Reason.TOO_LARGE
    # What was told may be told again; and another group has room of its own.
    ask(3, "ring")
    ask(4, "alone")
    state.close()


@pytest.mark.soak
def test_in_a_room_of_the_chinese_suite_sums_add_up_too(tmp_path: Path) -> None:
    made = Offices.make(tmp_path, Suite.GUOMI)
    try:
        of = made.approved("monthly", sums_of(epsilon="10"))
        total = made.summed(of)[0].cells[0].number
        assert abs(int(total or 0) - sum(len(rows_of(at)) for at in range(3))) < 100
    finally:
        made.close()


@pytest.mark.soak
def test_under_another_charter_of_an_owner_no_part_is_given(tmp_path: Path) -> None:
    """A key that followed hides otherwise; and what an owner gave up may be known to others."""
    made = Offices.make(tmp_path)
    try:
        of = made.approved("monthly", sums_of())
        made.owners["north"].adopt()
        made.follow()
        made.enclaves["north"].unlock()
        made.follow()
        assert refused(made, of)["north"] is Reason.CERTIFICATE_MISMATCH
    finally:
        made.close()
