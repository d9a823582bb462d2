"""Firms of one legal group are one unit: who belongs together, and what is then not told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from saferoom_enclaves.statistics.groups import legal_groups
from saferoom_enclaves.statistics.lattice import Lattice
from saferoom_enclaves.statistics.primary import count_family, sum_family
from saferoom_enclaves.statistics.tabulate import Columns, Table, Units
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.stated import TAG_BYTES, in_form, tag_of
from saferoom_proto.statements import Aggregate, FeatureKind, Outcome
from saferoom_proto.statements.aggregate import Privacy
from saferoom_proto.statements.feature import StatedForm, StatedRule
from saferoom_proto.tables.plan import Variable
from saferoom_proto.tables.rules import Rules
from saferoom_proto.uscc import make_uscc
from simulator.sample import Approved, feature
from simulator.tabled import TableRoom, numbers, plan

A, B, C, D, E = (make_uscc(serial) for serial in range(5))


def numbered(named: Mapping[str, str | None]) -> list[int]:
    """Number the groups of firms, each with the code that it names."""
    tags = np.zeros((len(named), TAG_BYTES), dtype=np.uint8)
    for at, code in enumerate(named.values()):
        if code is not None:
            tags[at] = np.frombuffer(tag_of(in_form(code, StatedForm.CODE)), dtype=np.uint8)
    return legal_groups(np.array(list(named), dtype="S18"), tags).tolist()


def together(named: Mapping[str, str | None]) -> list[set[str]]:
    found: dict[int, set[str]] = {}
    for code, group in zip(named, numbered(named), strict=True):
        found.setdefault(group, set()).add(code)
    return sorted(found.values(), key=min)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({A: None, B: None}, [{A}, {B}]),
        # A parent that names nobody belongs to those that name it; so does one that names itself.
        ({A: None, B: A, C: A, D: None}, [{A, B, C}, {D}]),
        ({A: A, B: A, C: C}, [{A, B}, {C}]),
        # Along a chain, whatever the order of rows; and in a ring of holdings.
        ({A: B, B: C, C: None, D: None}, [{A, B, C}, {D}]),
        ({A: B, B: C, C: A}, [{A, B, C}]),
        # A code of no firm here: a holding abroad, or a number of the register's own.
        ({A: "HK-0042", B: "hk 0042", C: "HK-0043"}, [{A, B}, {C}]),
        ({A: E, B: E, C: None}, [{A, B}, {C}]),
    ],
)
def test_who_belongs_together(named: dict[str, str | None], expected: list[set[str]]) -> None:
    assert together(named) == sorted(expected, key=min)
    backwards = dict(reversed(named.items()))
    assert together(backwards) == sorted(expected, key=min)


def marked(amounts: list[float], parents: list[int | None]) -> tuple[bool, bool, bool]:
    """Tell of the one cell that all are in: too few counted, too few in the sum, dominated.

    Args:
        amounts: of each firm.
        parents: the place of the firm that each names as its parent.
    """
    codes = [make_uscc(serial) for serial in range(len(amounts))]
    named = {
        code: None if parent is None else codes[parent]
        for code, parent in zip(codes, parents, strict=True)
    }
    columns = Columns(
        {"a": np.zeros(len(amounts), dtype=np.int8)},
        {"x": np.array(amounts)},
        np.array(numbered(named), dtype=np.int64),
    )
    table = Table(Lattice((2,), [(0,)]), ("a",), columns)
    units = Units(columns)
    counts = count_family(table, units, Rules())
    sums = sum_family(table, units, columns, Variable("x", 0.0, 1e6), Rules())
    return bool(counts.small[1]), bool(sums.small[1]), bool(sums.dominated[1])


NONE = [None] * 20


def test_the_threshold_counts_groups() -> None:
    # Twenty firms, eleven of which are one group: ten units, which is enough. One more, and not.
    amounts = [float(100 + at) for at in range(20)]
    assert marked(amounts, [*NONE]) == (False, False, False)
    assert marked(amounts, [*[0] * 11, *NONE[11:]])[:2] == (False, False)
    assert marked(amounts, [*[0] * 12, *NONE[12:]])[:2] == (True, True)


def test_the_two_largest_groups_must_not_make_up_85_percent() -> None:
    # Of 1,600: a group of six has 1,200 and the next firm 100, 81 %. With three more the group has
    # 1,350 and the next firm 25, 86 %.
    amounts = [*[200.0] * 6, 100.0, *[25.0] * 12]
    assert not marked(amounts, [*NONE[:19]])[2]
    assert not marked(amounts, [*[0] * 6, *NONE[6:19]])[2]
    assert marked(amounts, [*[0] * 9, *NONE[9:19]])[2]


def test_a_rival_must_not_reckon_the_largest_group_to_ten_percent() -> None:
    # The largest group has 5,000, the next 4,000 and all others 450 together: 9 % of the largest.
    # Firm by firm the largest has 1,000, of which nobody is within 10 %.
    amounts = [*[1000.0] * 5, *[1000.0] * 4, *[45.0] * 10]
    assert not marked(amounts, [*NONE[:19]])[2]
    assert marked(amounts, [*[0] * 5, *[5] * 4, *NONE[9:19]])[2]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[TableRoom]:
    made = TableRoom.make(tmp_path)
    # Thirty large firms are of one group, whose code is no firm's; so are ninety middle ones.
    for name, sizes in (("holding", "('large')"), ("owners", "('large', 'middle')")):
        sql = f"SELECT uscc AS subject, CASE WHEN size IN {sizes} THEN size END AS value FROM firms"
        stated = StatedRule(form=StatedForm.CODE, per_day=3, for_life=20)
        made.tax.define(feature("tax", name, sql, FeatureKind.STATED, level=2, stated=stated))
    made.enclave.follow()
    yield made
    made.enclave.close()


def grouped(*dimensions: str, by: str | None = "tax.holding") -> Aggregate:
    return Aggregate.model_validate(plan(*dimensions).model_dump() | {"groups": by})


def refused(room: TableRoom, tables: Approved) -> Reason | None:
    said = room.said(room.enclave.tabulate(room.request(tables)))
    assert said.outcome is Outcome.REFUSED
    return said.reason


def test_a_plan_that_names_groups_counts_them_and_so_do_those_after_it(room: TableRoom) -> None:
    # Thirty large firms are enough; one group is not.
    tables = room.approved("by-groups", grouped("size"))
    assert numbers(room.ask(tables)[1])["large",] is None
    room.enclave.kill()
    plainly = room.approved("by-firms", plan("size"))
    assert numbers(room.ask(plainly)[1])["large",] is None
    # The group's code is told nowhere, and other groups of the same records are another protection.
    other = room.approved("otherwise", grouped("late", by="tax.owners"))
    assert refused(room, other) is Reason.CONFLICT


def test_groups_after_tables_of_firms_hold_from_then_on(room: TableRoom) -> None:
    plainly = room.approved("by-firms", plan("size"))
    assert numbers(room.ask(plainly)[1])["large",] == "30"
    tables = room.approved("by-groups", grouped("size", "late"))
    told = room.ask(tables)
    assert numbers(told[1])["large",] == "30"  # as it was told


def test_groups_are_named_by_stated_codes_and_are_no_column() -> None:
    with pytest.raises(ValueError, match="neither a column nor measured"):
        grouped("size", by="tax.size")
    noise = Privacy(epsilon=Decimal(1), cap=Decimal(1)).model_dump()
    with pytest.raises(ValueError, match="single subjects"):
        Aggregate.model_validate(grouped("size").model_dump() | {"privacy": noise})
    with pytest.raises(ValueError, match="one owner"):
        grouped("size", by="court.holding")


def test_a_feature_that_names_no_codes_is_refused_by_everybody(room: TableRoom) -> None:
    with pytest.raises(SafeRoomError) as caught:
        room.bank.tables("wrong", grouped("size", by="tax.vat"))
    assert caught.value.reason is Reason.NOT_ALLOWED
