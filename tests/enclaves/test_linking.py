"""Rows that name an account find their subject through a map: reported where not, never guessed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from saferoom_enclaves.rows import BuiltStore, TableLoad
from saferoom_enclaves.store import build_database, open_store
from saferoom_proto.load import Change
from saferoom_proto.load_links import (
    AMBIGUOUS_RULE,
    ENDED_RULE,
    MOST_SAID,
    NUMBER_RULE,
    OFTEN_RULE,
    PERIOD_RULE,
    UNLINKED_RULE,
)
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.link import Link
from tests.enclaves.linked import BILLS, DAYS, MAP, MONTHS, ONE, THREE, TWO, accounts, load
from tests.enclaves.tables import build

BILLED = "SELECT uscc, CAST(paid AS INT) FROM bills"


def content(built: BuiltStore) -> bytes:
    assert built.plaintext is not None, built.bad_rows
    with built.plaintext as file:
        return file.read()


@contextmanager
def memory(store: bytes) -> Generator[int]:
    memfd = os.memfd_create("test", os.MFD_CLOEXEC)
    try:
        os.write(memfd, store)
        yield memfd
    finally:
        os.close(memfd)


def stored(built: BuiltStore | bytes, sql: str = BILLED) -> set[object]:
    whole = built if isinstance(built, bytes) else content(built)
    with memory(whole) as memfd, open_store(memfd) as store:
        return set(store.execute(sql).fetchall())


def told(built: BuiltStore) -> list[tuple[int, str]]:
    return [(row.line, row.rule) for row in built.bad_rows]


def test_each_row_is_its_accounts_subjects_and_a_subject_has_all_of_its_accounts() -> None:
    maps = accounts((ONE, "A-1"), (ONE, "A-2"), (TWO, "B-1"), (ONE, "A-1"))
    built = build(maps, load(BILLS, [("A-1", 1), ("A-2", 2), ("B-1", 3), ("A-1", 4)]))
    assert stored(built) == {(ONE, 1), (ONE, 2), (ONE, 4), (TWO, 3)}
    (link,) = built.links
    assert (link.linked, link.left, link.unused) == (4, 0, 0)


def test_the_order_of_the_tables_does_not_matter() -> None:
    built = build(load(BILLS, [("A-1", 1)]), accounts((ONE, "A-1")))
    assert stored(built) == {(ONE, 1)}


ROWS: Sequence[tuple[object, ...]] = [("A-1", 1), ("X-9", 2), ("S-1", 3), (None, 4), ("a-1", 5)]
STRAY = [(3, UNLINKED_RULE), (4, AMBIGUOUS_RULE), (5, UNLINKED_RULE), (6, UNLINKED_RULE)]
SHARED = ((ONE, "A-1"), (ONE, "S-1"), (TWO, "S-1"), (THREE, "U-1"))


def test_rows_that_lead_to_nobody_or_to_two_are_told_by_line_and_nothing_is_built() -> None:
    built = build(accounts(*SHARED), load(BILLS, ROWS))
    assert built.plaintext is None
    assert told(built) == STRAY
    (link,) = built.links
    assert (link.linked, link.unlinked, link.ambiguous, link.unused) == (1, 3, 1, None)


def test_where_the_order_says_so_they_are_left_out_and_told() -> None:
    built = build(accounts(*SHARED), load(BILLS, ROWS, leaves=True))
    assert [(row.line, row.rule) for row in built.left] == STRAY
    assert built.rows == {"accounts": 4, "bills": 1}
    (link,) = built.links
    assert (link.linked, link.unlinked, link.ambiguous, link.unused) == (1, 3, 1, 2)
    assert stored(built) == {(ONE, 1)}


def test_an_account_is_whose_it_was_on_the_day() -> None:
    maps = accounts(
        (ONE, "A-1", None, "2026-03-31"), (TWO, "A-1", "2026-04-01"), (ONE, "A-2", "2026-01-01")
    )
    rows = [("A-1", "2026-03-31", 1), ("A-1", "2026-04-01", 2), ("A-1", "1999-01-01", 3)]
    late = [("A-2", "2025-12-31", 4), ("A-2", None, 5)]
    built = build(maps, load(DAYS, [*rows, *late], leaves=True))
    assert stored(built) == {(ONE, 1), (TWO, 2), (ONE, 3)}
    assert [(row.line, row.rule) for row in built.left] == [(5, ENDED_RULE), (6, ENDED_RULE)]


def test_on_a_day_that_two_share_an_account_is_neithers() -> None:
    maps = accounts((ONE, "A-1", None, "2026-04-01"), (TWO, "A-1", "2026-04-01"))
    built = build(maps, load(DAYS, [("A-1", "2026-04-01", 1)]))
    assert told(built) == [(2, AMBIGUOUS_RULE)]


def test_a_month_in_which_an_account_changed_hands_is_neithers() -> None:
    maps = accounts((ONE, "A-1", None, "2026-02-14"), (TWO, "A-1", "2026-02-15"))
    rows = [("A-1", month, at) for at, month in enumerate(("2026-01", "2026-02", "2026-03"))]
    built = build(maps, load(MONTHS, [*rows, ("A-1", "March", 9)], leaves=True))
    assert stored(built) == {(ONE, 0), (TWO, 2)}
    assert [(row.line, row.rule) for row in built.left] == [(3, AMBIGUOUS_RULE), (5, ENDED_RULE)]


def test_names_link_nobody() -> None:
    built = build(accounts((ONE, "张三")), load(BILLS, [("张三", 1)], leaves=True))
    assert ("accounts", NUMBER_RULE) in [(row.table, row.rule) for row in built.bad_rows]
    assert built.plaintext is None
    assert told(build(accounts((ONE, "A-1")), load(BILLS, [("李四", 1)], leaves=True))) == [
        (2, NUMBER_RULE)
    ]


def test_a_map_is_held_to_its_rules_by_line() -> None:
    maps = accounts((ONE, "A-1"), ("91330100AAAAAAAAAA", "A-2"), (ONE, None))
    built = build(maps, load(BILLS, [("A-1", 1)]))
    assert [(row.table, row.line, row.column) for row in built.bad_rows] == [
        ("accounts", 3, "uscc"),
        ("accounts", 4, "account"),
    ]
    turned = accounts((ONE, "A-1", "2026-02-01", "2026-01-01"))
    built = build(turned, load(DAYS, [("A-1", "2026-01-01", 1)]))
    assert told(built) == [(2, PERIOD_RULE)]


def test_a_map_says_only_so_much_of_one_number() -> None:
    days = [f"2026-{at // 28 + 1:02}-{at % 28 + 1:02}" for at in range(MOST_SAID + 1)]
    maps = accounts(*((ONE, "A-1", day, day) for day in days))
    built = build(maps, load(DAYS, [("A-1", "2026-01-01", 1)]))
    assert told(built)[0] == (1, OFTEN_RULE)


def test_of_what_is_no_row_none_is_counted() -> None:
    maps = accounts((ONE, "A-1"))
    for file in (b"account,paid\nA-1\nA-1,2,3\n", b"account\nA-1\n", b"paid,account,uscc\n"):
        built = build(maps, TableLoad(BILLS, file, leaves=True))
        assert built.bad_row_count
        (link,) = built.links
        assert (built.rows["bills"], link.linked, link.left) == (0, 0, 0)


def test_each_table_is_linked_through_its_own_map() -> None:
    meters = MAP.model_copy(update={"name": "meters"})
    by_meter = Link(column="account", map="meters")
    gas = BILLS.model_copy(update={"name": "gas", "link": by_meter})
    maps = (accounts((ONE, "A-1")), load(meters, [(TWO, "A-1", None, None)]))
    built = build(*maps, load(BILLS, [("A-1", 1)]), load(gas, [("A-1", 2)]))
    assert {each.table: each.linked for each in built.links} == {"bills": 1, "gas": 1}
    both = f"{BILLED} UNION {BILLED.replace('bills', 'gas')}"
    assert stored(built, both) == {(ONE, 1), (TWO, 2)}


def test_what_is_wrong_with_a_row_is_told_before_where_it_leads() -> None:
    built = build(accounts((ONE, "A-1")), load(BILLS, [("X-1", "much")]))
    assert [(row.line, row.column) for row in built.bad_rows] == [(2, "paid")]


def changed(before: bytes, *loads: TableLoad) -> BuiltStore:
    with memory(before) as memfd, tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        return build_database(loads, Path(name), before=memfd)


def test_a_table_alone_is_linked_through_the_map_that_is_stored() -> None:
    maps = accounts((ONE, "A-1"), (ONE, "A-2"), (TWO, "B-1"))
    before = content(build(maps, load(BILLS, [("A-1", 1), ("A-2", 2), ("B-1", 3)])))
    kept = load(MAP, [], Change.KEEP)
    # All rows about the subject that the account leads to are replaced, of its other account too.
    after = content(changed(before, kept, load(BILLS, [("A-1", 9)], Change.REPLACE)))
    assert stored(after) == {(ONE, 9), (TWO, 3)}
    after = content(changed(after, kept, load(BILLS, [("A-2", 0)], Change.DELETE)))
    assert stored(after) == {(TWO, 3)}
    stray = changed(after, kept, load(BILLS, [("C-1", 0)], Change.DELETE))
    assert told(stray) == [(2, UNLINKED_RULE)]


def test_no_row_stays_that_an_earlier_map_linked() -> None:
    before = content(build(accounts((ONE, "A-1")), load(BILLS, [("A-1", 1)])))
    other = accounts((TWO, "A-1"))
    for change in (Change.KEEP, Change.REPLACE, Change.DELETE):
        with pytest.raises(SafeRoomError) as refusal:
            changed(before, other, load(BILLS, [], change))
        assert refusal.value.reason is Reason.CONFLICT
        assert refusal.value.fields[0].field == "bills"
    assert stored(changed(before, other, load(BILLS, [("A-1", 1)]))) == {(TWO, 1)}


def day(at: int | None) -> str | None:
    return None if at is None else f"2026-01-{at:02}"


def test_a_row_is_linked_exactly_where_the_map_names_one_subject() -> None:
    draw = Random(7)
    days = (None, *range(1, 29))
    entries = [
        (
            draw.choice((ONE, TWO, THREE)),
            f"{draw.randrange(300)}",
            draw.choice(days),
            draw.choice(days),
        )
        for _ in range(600)
    ]
    kept = [each for each in entries if (each[2] or 1) <= (each[3] or 28)]
    rows = [(f"{draw.randrange(320)}", draw.randrange(1, 29)) for _ in range(2000)]
    expected: set[tuple[str, int]] = set()
    for place, (number, at) in enumerate(rows):
        owners = {
            who
            for who, own, since, until in kept
            if own == number and (since or 0) <= at <= (until or 99)
        }
        if len(owners) == 1:
            expected.add((owners.pop(), place))
    maps = accounts(*((who, number, day(since), day(until)) for who, number, since, until in kept))
    placed = [(number, day(at), place) for place, (number, at) in enumerate(rows)]
    built = build(maps, load(DAYS, placed, leaves=True))
    (link,) = built.links
    assert 0 < link.linked == len(expected) == len(rows) - link.left
    assert link.unlinked
    assert link.ended
    assert link.ambiguous
    assert stored(built) == expected
