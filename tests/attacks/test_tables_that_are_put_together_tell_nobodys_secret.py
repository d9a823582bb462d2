"""Tables are asked for to be subtracted from each other: by two templates, by banks that share what
they learn or do not, over kills, loads and earlier records, from a copy that forgot what it told.

The intruder knows every number that left before it was rounded, and that no cell is below nothing.
What she can derive of a cell is an interval, by linear programmes that share no code with the
enclave's.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from scipy.optimize import linprog

from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Aggregate, Snapshot, Template, load, seal_statement
from saferoom_proto.tables.told import Told
from simulator.bank import SimBank
from simulator.sample import Approved
from simulator.tabled import SIZES, FirmOf, TableRoom, numbers, plan, to_csv

FIRMS = {"small": 60, "middle": 40, "large": 30}
LATE = 27
"""All of them large: the intruder knows that none of the others is late."""
ROWS = [
    FirmOf(size, late=size == "large" and at < LATE, vat=3_000 + at)
    for size in SIZES
    for at in range(FIRMS[size])
]
BY_SIZE, BY_LATE = plan("size"), plan("late")
"""Thirty are large, twenty-seven late: the one less the other are three."""
NUMBERS = {
    "": 130,
    **FIRMS,
    "true": LATE,
    "false": 130 - LATE,
}
CELLS = (("small", "false"), ("middle", "false"), ("large", "false"), ("large", "true"))
PUNCTUAL = CELLS.index(("large", "false"))


def derived(tables: Sequence[Told]) -> tuple[float, float]:
    """Derive between which bounds the large firms that are not late are."""
    shown = [cell.classes for told in tables for cell in told.cells if cell.number is not None]
    sums = [[int(set(classes) <= set(cell)) for cell in CELLS] for classes in shown]
    exact = [NUMBERS["".join(classes)] for classes in shown]
    ends: list[float] = []
    for sign in (1, -1):
        wanted = [sign * (at == PUNCTUAL) for at in range(len(CELLS))]
        solved = cast("Any", linprog)(wanted, A_eq=sums, b_eq=exact, bounds=(0, None))
        ends.append(sign * float(solved.fun))
    return ends[0], ends[1]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[TableRoom]:
    made = TableRoom.make(tmp_path, ROWS)
    yield made
    made.enclave.close()


def a_month_later(room: TableRoom) -> None:
    room.world.clock.advance(30 * 24 * 3600 + 60)
    room.enclave.unlock()
    room.enclave.follow()


def asked(room: TableRoom, name: str, aggregate: Aggregate, bank: SimBank) -> tuple[Told, ...]:
    return room.ask(room.approved(name, aggregate, bank), bank)


def test_the_control_can_be_subtracted(tmp_path: Path) -> None:
    # Each table protected by itself, as if nobody kept what left before.
    tables: list[Told] = []
    for at, aggregate in enumerate((BY_SIZE, BY_LATE)):
        alone = TableRoom.make(tmp_path / str(at), ROWS)
        tables += asked(alone, "alone", aggregate, alone.bank)
        alone.enclave.close()
    assert derived(tables) == (3, 3)


@pytest.mark.parametrize(
    ("first", "then", "second"),
    [(BY_SIZE, BY_LATE, 1), (BY_LATE, BY_SIZE, 2)],
    ids=["two of one group", "two of different groups"],
)
def test_two_templates_of_two_banks_cannot_be_subtracted(
    room: TableRoom, first: Aggregate, then: Aggregate, second: int
) -> None:
    tables = [*asked(room, "first", first, room.bank)]
    room.enclave.kill()
    tables += asked(room, "then", then, room.banks[second])
    low, high = derived(tables)
    assert high - low >= 10, "three firms are told apart"


def test_an_owner_that_goes_back_to_earlier_records_goes_back_to_what_was_told(
    room: TableRoom,
) -> None:
    first = room.enclave.enclave.store
    assert first is not None
    tables = [*asked(room, "by-size", BY_SIZE, room.bank)]
    room.world.clock.advance(1)
    room.enclave.follow()
    room.enclave.load({"firms": to_csv(ROWS[:-20])})
    room.enclave.follow()
    entry = room.enclave.roll_back(room.enclave.rollback_order(first.digest))
    assert load(entry.statement, Snapshot).store.epoch == 3
    room.enclave.restart()
    by_late = room.approved("by-late", BY_LATE)
    request = room.request(by_late)
    judged = room.enclave.tabulate(request)
    assert room.said(judged).together == 2
    tables += room.opened(by_late, request, judged)
    low, high = derived(tables)
    assert high - low >= 10


def test_a_copy_that_forgot_what_it_told_tells_nothing_of_those_records(room: TableRoom) -> None:
    by_late = room.approved("by-late", BY_LATE)
    found = room.enclave.enclave._state.position.chain
    room.enclave.enclave.close()
    copy = room.enclave.folder.with_name("copy")
    shutil.copytree(room.enclave.folder, copy)
    room.enclave.restart()
    asked(room, "by-size", BY_SIZE, room.bank)
    follows = room.enclave.enclave._state.position.chain
    room.enclave.put_back(copy)
    recoveries = [room.tax.recovery(found, follows, 1, each) for each in ("chen", "li")]
    room.enclave.unlock(recoveries)
    room.enclave.follow()
    room.world.clock.advance(120)
    room.enclave.follow()
    judged = room.enclave.tabulate(room.request(by_late))
    assert room.said(judged).reason is Reason.OVER_BUDGET
    room.enclave.load({"firms": to_csv(ROWS)})
    room.enclave.follow()
    assert room.said(room.enclave.tabulate(room.request(by_late))).reason is Reason.OVER_BUDGET
    a_month_later(room)
    assert room.said(room.enclave.tabulate(room.request(by_late))).together == 1


def test_two_tables_that_a_few_firms_came_between_are_not_both_told(
    room: TableRoom, tmp_path: Path
) -> None:
    late = FirmOf("large", late=False, vat=9_000)
    by_size = room.approved("by-size", BY_SIZE)
    before = numbers(room.ask(by_size)[1])
    # The control: a room that had told nothing of the records before.
    alone = TableRoom.make(tmp_path / "alone", [*ROWS, *[late] * 3])
    after = numbers(asked(alone, "by-size", BY_SIZE, alone.bank)[1])
    alone.enclave.close()
    assert (before["large",], after["large",]) == ("30", "35"), "the edge of rounding was passed"
    room.enclave.load({"firms": to_csv([*ROWS, *[late] * 3])})
    room.enclave.follow()
    room.enclave.kill()
    request = room.request(by_size)
    assert room.said(room.enclave.tabulate(request)).reason is Reason.OVER_BUDGET
    a_month_later(room)
    assert room.ask(by_size)


def test_what_was_approved_is_what_runs_and_nothing_like_it(room: TableRoom) -> None:
    approved = room.approved("by-size", BY_SIZE)
    template = load(approved.template, Template)
    more = template.model_copy(update={"aggregate": BY_LATE})
    altered = seal_statement(more, room.bank.key)
    for published in (altered, room.bank.certificate(altered)):
        room.world.publish(published)
    room.enclave.follow()
    certificate = room.bank.certificate(altered)
    lies = (
        Approved(altered, certificate),
        Approved(altered, approved.certificate),
        Approved(approved.template, certificate),
    )
    for lie in lies:
        said = room.said(room.enclave.tabulate(room.request(lie)))
        assert said.reason in {Reason.NOT_APPROVED, Reason.CERTIFICATE_MISMATCH}


def test_a_server_makes_up_no_request_and_passes_on_no_altered_one(room: TableRoom) -> None:
    approved = room.approved("by-size", BY_SIZE)
    genuine = room.request(approved)
    made_up = room.request(approved, key=room.world.seeds.signing("server"))
    another = room.world.seeds.sealing("server")
    altered = room.request(
        approved, key=room.world.seeds.signing("server"), reply_key=b64(another.public)
    )
    for forged in (made_up, altered):
        with pytest.raises(SafeRoomError) as caught:
            room.enclave.tabulate(forged)
        assert caught.value.reason is Reason.BAD_SIGNATURE
    first = room.enclave.tabulate(genuine)
    assert room.enclave.tabulate(genuine) == first, "a replay is answered anew"
