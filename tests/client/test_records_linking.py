"""An owner hears by line which rows its map leads nowhere, before anything is sent."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from random import Random

import pytest

from saferoom_client.records.collecting import Collected, Rejects, collected
from saferoom_client.records.drafting import draft_tables
from saferoom_client.records.linking import links_of
from saferoom_proto.load import Change
from saferoom_proto.load_links import (
    AMBIGUOUS_RULE,
    ENDED_RULE,
    LONG_RULE,
    MOST_SAID,
    NUMBER_RULE,
    OFTEN_RULE,
    PERIOD_RULE,
    UNLINKED_RULE,
    require_linked_anew,
)
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Table
from tests.enclaves.linked import BILLS, DAYS, MAP, MONTHS, ONE, TWO, accounts, load
from tests.enclaves.tables import build

ZH_MAP = "统一社会信用代码,户号,起,止"


def titled(schema: Table, *titles: str) -> Table:
    """Give a table whose columns have Chinese titles."""
    columns = tuple(
        column.model_copy(update={"title": column.title.model_copy(update={"zh": zh})})
        for column, zh in zip(schema.columns, titles, strict=True)
    )
    return schema.model_copy(update={"columns": columns})


ACCOUNTS = titled(MAP, *ZH_MAP.split(","))
PAID = titled(BILLS, "统一社会信用代码", "户号", "缴费")
BY_DAY = titled(DAYS, "统一社会信用代码", "户号", "日期", "缴费")
BY_MONTH = titled(MONTHS, "统一社会信用代码", "户号", "月份", "缴费")


def collect(
    folder: Path, bills: Table, maps: str | None, rows: str, *, leaves: bool = False
) -> tuple[Collected, list[tuple[int, str]], list[list[str]]]:
    """Collect a map and a table linked by it; give the faults, and the rejects' file."""
    files = {"bills": str(folder / "bills.csv")}
    (folder / "bills.csv").write_text(rows, "gb18030")
    if maps is not None:
        files["accounts"] = str(folder / "accounts.csv")
        (folder / "accounts.csv").write_text(f"{ZH_MAP}\n{maps}", "gb18030")
    place = folder / "rejects.csv"
    rejects = Rejects(place, str, ("table", "line", "column", "rule"))
    tables = (bills, ACCOUNTS)
    with collected(
        tables, files, rejects, whole=maps is not None, leaves=leaves, progress=lambda rows: None
    ) as found:
        pass
    text = place.read_text("utf-8-sig") if place.exists() else ""
    told = list(csv.reader(io.StringIO(text)))
    return found, [(fault.line, fault.rule) for _, fault in found.told], told


SHARED = f"{ONE},A-1,,\n{ONE},S-1,,\n{TWO},S-1,,\n"


def test_stray_rows_are_bad_and_go_to_their_owner_as_they_stood(tmp_path: Path) -> None:
    rows = "户号,缴费\nA-1,1\nX-9,2\nS-1,3\n,4\n"
    found, told, rejects = collect(tmp_path, PAID, SHARED, rows)
    assert told == [(3, UNLINKED_RULE), (4, AMBIGUOUS_RULE), (5, UNLINKED_RULE)]
    assert rejects[2] == ["bills", "4", "户号", AMBIGUOUS_RULE, "S-1", "3"]
    found, told, rejects = collect(tmp_path, PAID, SHARED, rows, leaves=True)
    assert (found.bad, told, found.left) == (0, [], {"bills": 3})
    assert found.held["bills"].quality.left == len(rejects) - 1 == 3


def test_a_map_is_read_by_the_day_or_the_whole_month_of_a_row(tmp_path: Path) -> None:
    maps = f"{ONE},A-1,,2026年2月14日\n{TWO},A-1,2026-02-15,\n{TWO},B-1,2026/03/01,\n"
    days = "户号,日期,缴费\nA-1,2026-02-14,1\nA-1,20260215,2\nB-1,2026-02-28,3\nB-1,,4\n"
    _, told, _ = collect(tmp_path, BY_DAY, maps, days)
    assert told == [(4, ENDED_RULE), (5, ENDED_RULE)]
    months = "户号,月份,缴费\nA-1,2026-01,1\nA-1,2026-02,2\nB-1,2026-03,3\nB-1,March,4\n"
    _, told, _ = collect(tmp_path, BY_MONTH, maps, months)
    assert told == [(3, AMBIGUOUS_RULE), (5, ENDED_RULE)]


def test_of_a_map_that_is_wrong_the_map_is_told_and_no_row_that_it_would_lead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "户号,日期,缴费\nA-1,2026-01-01,1\n李四,2026-01-01,2\n"
    maps = f"{ONE}X,A-1,,\n{ONE},张三,,\n{ONE},,,\n{ONE},A-2,2026-02-01,2026-01-01\n"
    _, told, _ = collect(tmp_path, BY_DAY, maps, rows)
    assert [line for line, _ in told] == [2, 3, 4, 5, 3]
    assert [rule for _, rule in told[1:]] == [NUMBER_RULE, NUMBER_RULE, PERIOD_RULE, NUMBER_RULE]
    often = "".join(
        f"{ONE},A-1,2026-01-{at % 28 + 1:02},20{at // 28 + 50}-01-01\n"
        for at in range(MOST_SAID + 1)
    )
    _, told, _ = collect(tmp_path, BY_DAY, often, "户号,日期,缴费\nA-1,2026-01-01,1\n")
    assert told == [(MOST_SAID + 2, OFTEN_RULE)]
    monkeypatch.setattr("saferoom_client.records.linking.MOST_MAPPED", 2)
    _, told, _ = collect(tmp_path, PAID, SHARED, "户号,缴费\nA-1,1\n")
    assert told == [(4, LONG_RULE)]


def test_through_a_map_that_is_not_brought_only_the_enclave_can_tell(tmp_path: Path) -> None:
    found, told, _ = collect(tmp_path, PAID, None, "户号,缴费\nX-9,1\n")
    assert (found.bad, told, found.left) == (0, [], {})


def test_a_file_that_has_the_subjects_code_is_none_of_a_linked_table(tmp_path: Path) -> None:
    with pytest.raises(SafeRoomError, match="which no column is called"):
        collect(tmp_path, PAID, SHARED, f"统一社会信用代码,户号,缴费\n{ONE},A-1,1\n")


def test_a_load_that_brings_a_map_brings_what_it_leads_to() -> None:
    for changes in (
        {"accounts": Change.WHOLE},
        {"accounts": Change.DELETE, "bills": Change.DELETE},
    ):
        with pytest.raises(SafeRoomError) as refusal:
            require_linked_anew((BILLS, MAP), changes)
        assert (refusal.value.reason, refusal.value.fields[0].field) == (Reason.CONFLICT, "bills")
    require_linked_anew((BILLS, MAP), {"bills": Change.REPLACE})
    require_linked_anew((BILLS, MAP), {"accounts": Change.WHOLE, "bills": Change.WHOLE})


def test_a_column_that_is_added_to_a_draft_leaves_the_link() -> None:
    drafted = draft_tables((), ["bills.late:BOOLEAN:2:逾期"], (MAP, BILLS))
    assert drafted[1].link == BILLS.link


def test_the_client_finds_what_the_enclave_does() -> None:
    draw, days = Random(11), ("", *(f"2026-01-{at:02}" for at in range(1, 29)))
    said = [
        (draw.choice((ONE, TWO)), f"{draw.randrange(40)}", draw.choice(days), draw.choice(days))
        for _ in range(80)
    ]
    said = [each for each in said if not each[3] or each[2] <= each[3]]
    asked = [(f"{draw.randrange(50)}", draw.choice(days), f"{at}") for at in range(400)]
    links = links_of((DAYS, MAP), {"accounts", "bills"})
    lines = range(2, 2 + len(said))
    assert not list(links["accounts"].bad(lines, list(zip(*said, strict=True))))
    lines = range(2, 2 + len(asked))
    stray = links["bills"].stray(lines, list(zip(*asked, strict=True)), ())
    here = [(fault.line, fault.rule) for _, fault in stray]
    built = build(accounts(*said), load(DAYS, asked))
    there = [(row.line, row.rule) for row in built.bad_rows]
    assert {rule for _, rule in here} == {UNLINKED_RULE, ENDED_RULE, AMBIGUOUS_RULE}
    assert here[: len(there)] == there
    assert built.bad_row_count == len(here)
