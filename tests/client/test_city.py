"""A made-up city as its user sees it: files that hold, the same for a seed, nothing left behind."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from saferoom_city import making
from saferoom_city.days import Days
from saferoom_city.firm import OLDEST, make_firm
from saferoom_city.loans import LOANS
from saferoom_city.pages import Filling, choose_pages
from saferoom_client.files import bad_file
from saferoom_client.records.annex import TableForm, catalogue
from saferoom_client.records.drafting import draft_tables
from saferoom_client.records.holding import hold
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import parse_uscc
from tests.client.made_city import AS_OF, SEED, SMALL, city_rows
from tests.client.test_cli import run, three_parts

FORMS: Final = catalogue().tables
HELD: Final = 2000
"""Rows of a table that are held to the catalogue: of some there are ten times as many."""
PAGES: Final = {page.table: page for page in choose_pages(())}


def cells(table: str) -> list[dict[str, str]]:
    """Give the rows of a table of the city, by the columns' names."""
    names = [column.name for column in FORMS[table].columns]
    text = io.StringIO(city_rows()[table][0].decode())
    return [dict(zip(names, row, strict=True)) for row in csv.reader(text, strict=True)]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_table_holds_to_the_catalogue(form: TableForm, tmp_path: Path) -> None:
    lines, rows = city_rows()[form.name]
    assert rows > 0
    path = tmp_path / f"{form.name}.csv"
    held_lines = b"".join(lines.splitlines(keepends=True)[:HELD])
    path.write_bytes(PAGES[form.name].heading.encode() + held_lines)
    (table,) = draft_tables([form], [], [])
    faults: list[str] = []
    held = hold(table, path, io.BytesIO(), lambda fault, row: faults.append(f"{fault} {row}"))
    assert faults == []
    assert held.quality.rows == min(rows, HELD)
    of_catalogue = [column.zh for column in form.columns]
    assert [title.removeprefix("\ufeff") for title in held.heading] == of_catalogue


def test_the_same_seed_makes_the_same_bytes_on_every_machine() -> None:
    """The digest stands here: a Python or a machine that draws or rounds otherwise is found."""
    whole = sha256()
    for table, (lines, _) in Filling(3, Days(AS_OF), tuple(PAGES.values())).fill(0, 60).items():
        whole.update(table.encode() + lines)
    assert whole.hexdigest() == "6422e7f6e547d66e62c04031c2c0840fa333815ecb22c4372102b53e986a954a"


def test_a_larger_city_begins_with_a_smaller_and_a_part_is_as_in_the_whole() -> None:
    days, some = Days(AS_OF), choose_pages(["tax", "12.2", "bank"])
    part = Filling(SEED, days, some).fill(0, 40)
    assert set(part) < set(PAGES)
    for table, (lines, _) in part.items():
        assert city_rows()[table][0].startswith(lines), table
    later = Filling(SEED, days, some).fill(40, 80)
    both = part["tax_record_vat_invoice"][0] + later["tax_record_vat_invoice"][0]
    assert city_rows()["tax_record_vat_invoice"][0].startswith(both)


def test_another_seed_or_day_makes_another_city() -> None:
    page = choose_pages(["1.1"])
    made = {
        Filling(seed, Days(day), page).fill(0, 20)["reg_business_licence"][0]
        for seed in (1, 2)
        for day in (date(2025, 1, 1), date(2026, 2, 28))
    }
    assert len(made) == 4


@pytest.mark.parametrize("day", [date(2022, 1, 1), date(2024, 2, 29)])
def test_a_city_of_any_day_holds_and_nothing_of_it_is_to_come(day: date, tmp_path: Path) -> None:
    made = Filling(1, Days(day), tuple(PAGES.values())).fill(0, 50)
    past = re.compile(r"(pay|paid|filing|publish|change|decision|registration|publicity)_date")
    for form in FORMS.values():
        path = tmp_path / f"{form.name}.csv"
        path.write_bytes(PAGES[form.name].heading.encode() + made[form.name][0])
        (table,) = draft_tables([form], [], [])
        out = io.BytesIO()
        faults: list[str] = []
        hold(table, path, out, lambda fault, row: faults.append(f"{fault} {row}"))  # noqa: B023
        assert faults == [], form.name
        for row in csv.DictReader(io.StringIO(out.getvalue().decode())):
            found = {name: value for name, value in row.items() if past.fullmatch(name)}
            assert all(value <= day.isoformat() for value in found.values()), (form.name, found)


def test_no_code_is_a_real_firm_s_and_no_two_firms_share_a_code_or_a_name() -> None:
    for table in FORMS:
        for row in cells(table)[:HELD]:
            for name, value in row.items():
                if name.endswith("uscc") and value:
                    assert parse_uscc(value)[2:4] == "99"
                if name.endswith("id_no") and value:
                    assert value.startswith("99") or parse_uscc(value)[2:4] == "99"
    firms = cells("reg_business_licence")
    assert len({each["uscc"] for each in firms}) == len({each["company_name"] for each in firms})
    assert len(firms) == SMALL


def test_names_stay_apart_in_the_largest_city() -> None:
    numbers = [*range(3000), *range(17_000, 18_000), *range(341_000, 342_000)]
    firms = [make_firm(SEED, number) for number in numbers]
    assert len({each.code for each in firms}) == len(numbers)
    assert len({each.short for each in firms}) == len(numbers)
    assert max(each.age for each in firms) <= OLDEST


def test_records_of_one_firm_agree_across_owners() -> None:
    """Whoever owes the housing fund has a gap in its months; seasons follow the trade."""
    owing = {each["uscc"] for each in cells("hf_deposit_hf_arrears")}
    months = {
        each["uscc"]: int(each["continuous_normal_months_12m"]) for each in cells("hf_statistics")
    }
    assert owing
    assert {months[code] for code in owing} == {0}
    unpaid = {
        each["uscc"]
        for each in cells("util_gas_gas_bill_detail")
        if each["bill_month"] == "2026-06" and not each["paid_date"]
    }
    arrears = {each["uscc"] for each in cells("util_gas") if each["is_in_arrears"] == "true"}
    assert arrears
    assert arrears <= unpaid
    trades = {each["uscc"]: each["industry_code"] for each in cells("reg_industry")}
    feasts = [0.0] * 12
    for each in cells("util_gas_gas_bill_detail"):
        if trades[each["uscc"]] == "H6210" and each["bill_month"].startswith("2025"):
            feasts[int(each["bill_month"][5:]) - 1] += float(each["billed"])
    assert feasts[1] > 1.2 * feasts[2]  # the New Year's feasts, and after them


def test_the_command_makes_a_city_and_says_what_is_in_it(tmp_path: Path) -> None:
    out = tmp_path / "city"
    said = run(
        "city", "--firms", "30", "--seed", "7", "--out", str(out), "--workers", "1", "--json"
    )
    assert said.exit_code == 0, said.output
    manifest = json.loads(said.stdout)
    assert manifest == json.loads((out / "manifest.json").read_bytes())
    assert {each["table"] for each in manifest["files"]} == {*FORMS, LOANS}
    for each in manifest["files"]:
        data = (out / each["file"]).read_bytes()
        assert (len(data), sha256(data).hexdigest()) == (each["bytes"], each["sha256"])
        assert data.count(b"\n") == each["rows"] + 1
    again = run("city", "--firms", "30", "--out", str(out))
    assert "holds a city already" in three_parts(again, Reason.BAD_CONFIG)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--firms", "0"), "--firms: 1 to 342,260 firms"),
        (("--firms", "1000000"), "names are not given twice"),
        (("--seed", "-1"), "--seed: a whole number below 4,294,967,296"),
        (("--as-of", "2019-01-01"), "--as-of: a date from 2022 on"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_written(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    out = tmp_path / "city"
    assert said in three_parts(
        run("city", "--firms", "5", *words, "--out", str(out)), Reason.MALFORMED
    )
    assert not out.exists()


def test_a_type_that_there_is_not_is_named_with_where_they_are_listed(tmp_path: Path) -> None:
    said = run("city", "--types", "3.9", "--out", str(tmp_path / "city"))
    assert said.exit_code == 1
    assert "--types: 3.9: no type or category of the catalogue, nor bank" in said.output
    assert "next  saferoom catalogue list" in said.output


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    said = three_parts(run("city", "--firms", "5", "--out", str(tmp_path)), Reason.BAD_CONFIG)
    assert "is no empty folder" in said
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_manifest_that_cannot_be_written_takes_the_rest_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object) -> None:
        raise bad_file(path, "No space left on device")

    monkeypatch.setattr(making, "write_file", full)
    out = tmp_path / "city"
    with pytest.raises(SafeRoomError) as refused:
        making.make_city(
            making.City(5, 1, date(2026, 6, 30), ("3.1",)), out, 1, lambda done, whole: None
        )
    assert refused.value.reason is Reason.BAD_CONFIG
    assert not out.exists()


def test_ctrl_c_takes_away_what_was_written(tmp_path: Path) -> None:
    out = tmp_path / "city"
    process = _making(out)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "stopped before the end" in said
    assert "Traceback" not in said
    assert not out.exists()


def test_a_killed_run_leaves_no_process_and_no_manifest(tmp_path: Path) -> None:
    out = tmp_path / "city"
    process = _making(out)
    workers = _children(process.pid)
    assert workers
    process.kill()
    process.communicate(timeout=60)
    ends = time.monotonic() + 60
    while any(map(_runs, workers)):
        assert time.monotonic() < ends, "a process that makes rows went on"
        time.sleep(0.05)
    assert not (out / "manifest.json").exists()
    assert "holds no whole city" in three_parts(run("city", "--out", str(out)), Reason.BAD_CONFIG)


def _making(out: Path) -> subprocess.Popen[str]:
    """Begin a city that takes long, and wait until some of it is written."""
    words = ["city", "--firms", "300000", "--types", "1.1", "--workers", "1", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "saferoom_client", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SAFEROOM_LANG": "en"},
    )
    licences = out / "registration" / "reg_business_licence.csv"
    ends = time.monotonic() + 60
    while not licences.exists() or licences.stat().st_size < 10_000:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends, "nothing was written"
        time.sleep(0.02)
    return process


def _children(pid: int) -> list[int]:
    """Find the processes that a process started (proc(5))."""
    return [
        int(found)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for found in (task / "children").read_text().split()
    ]


def _runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
