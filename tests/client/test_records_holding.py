"""An owner's files held to the catalogue: every format, every rule, and nothing lost or guessed."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saferoom_client.records.annex import FieldType, catalogue
from saferoom_client.records.drafting import draft_tables
from saferoom_client.records.faults import Fault
from saferoom_client.records.forms import FORMS
from saferoom_client.records.holding import Held, hold
from saferoom_client.records.sources import open_source
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Table
from saferoom_proto.uscc import make_uscc

ONE, TWO = make_uscc(1), make_uscc(2)
GRADES = f"企业名称,统一社会信用代码,评级年度,纳税信用等级\n甲,{ONE},2024,A\n乙,{TWO},2025,M\n"
STORED = f"company_name,uscc,rating_year,tax_credit_grade\n甲,{ONE},2024,A\n乙,{TWO},2025,M\n"


def table(name: str) -> Table:
    return draft_tables([catalogue().tables[name]], (), ())[0]


def held(name: str, path: Path, encoding: str | None = None) -> tuple[Held, str, list[Fault]]:
    out, told = io.BytesIO(), list[Fault]()
    found = hold(table(name), path, out, lambda fault, row: told.append(fault), encoding=encoding)
    return found, out.getvalue().decode(), told


def faults(name: str, path: Path) -> list[tuple[int, str, str]]:
    return [(each.line, each.column, each.rule) for each in held(name, path)[2]]


def refused(name: str, path: Path) -> str:
    with pytest.raises(SafeRoomError) as refusal:
        held(name, path)
    assert refusal.value.reason is Reason.BAD_CONFIG
    return refusal.value.detail.removeprefix(f"{path}: ")


def written(folder: Path, text: str | bytes, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def workbook(folder: Path, *rows: list[object]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return written(folder, out.getvalue(), "file.xlsx")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_an_encoding_is_found_out(tmp_path: Path, encoding: str) -> None:
    found, rows, _ = held("tax_credit_grade", written(tmp_path, GRADES.encode(encoding)))
    assert (found.bad, rows) == (0, STORED)


def test_an_encoding_that_is_said_is_kept_to(tmp_path: Path) -> None:
    path = written(tmp_path, GRADES.encode("gb18030"))
    with pytest.raises(SafeRoomError):  # its heading is not to be read so
        held("tax_credit_grade", path, "utf-8")
    assert held("tax_credit_grade", path, "gb18030")[1] == STORED


@pytest.mark.parametrize(
    "heading",
    [
        "company_name,uscc,rating_year,tax_credit_grade",
        "Company name,Unified social credit code,rating year,TAX CREDIT GRADE",
        "企业名称,统一社会信用代码, 评级年度 ,纳税信用等级",
    ],
)
def test_columns_are_found_by_name_or_either_title(tmp_path: Path, heading: str) -> None:
    path = written(tmp_path, f"{heading}\n{GRADES.partition(chr(10))[2]}")
    assert held("tax_credit_grade", path)[1] == STORED


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    path = written(tmp_path, f"纳税信用等级,评级年度,企业名称,统一社会信用代码\nA,2024,甲,{ONE}\n")
    assert held("tax_credit_grade", path)[1] == STORED.rpartition("乙")[0]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "it is empty"),
        (b"\xff\xff\xffabc,\xfe", "its text is neither UTF-8 nor GB18030"),
        (GRADES.encode("utf-16"), "its text is UTF-16: save it as CSV UTF-8, or as .xlsx"),
        (GRADES.replace(",", "\t"), "its fields are separated by commas in CSV, not by tabs"),
        (GRADES.replace("评级年度", "评级年"), "which no column is called; near it: 评级年度"),
        ("企业名称,统一社会信用代码\n", "its heading lacks rating_year (评级年度), tax_credit"),
        (
            "uscc,评级年度,企业名称,USCC,纳税信用等级\n",
            "its heading has uscc (统一社会信用代码) twice",
        ),
        (b"PK\x03\x04 and more", "it is no Excel workbook"),
        (b"\xd0\xcf\x11\xe0 and more", "an old or protected workbook: save it as .xlsx"),
        (b"PAR1 and more", "it is no whole Parquet or Arrow file"),
        (b"ARROW1 and more", "it is no whole Parquet or Arrow file"),
        (b"\xff\xff\xff\xff and more", "it is no whole Parquet or Arrow file"),
    ],
)
def test_a_file_that_is_no_table_is_refused_as_such(
    tmp_path: Path, text: str | bytes, rule: str
) -> None:
    assert rule in refused("tax_credit_grade", written(tmp_path, text))


def test_every_fault_is_told_by_line_column_and_rule(tmp_path: Path) -> None:
    bad = "".join(
        [
            GRADES,
            f"丙,{ONE[:-1]}Q,2024,A\n",
            f'"丁\n丁",{make_uscc(3)},1800,E\n',
            "戊,,2024,A\n",
            f"己,{make_uscc(4)},2024\n",
            f"甲,{ONE},2024,B\n",
        ]
    )
    found, _, _ = held("tax_credit_grade", written(tmp_path, bad))
    assert [tuple(each) for each in found.told] == [
        (4, "uscc", "the check character (the 18th) does not fit"),
        (5, "rating_year", "a year from 1900 to the next"),
        (5, "tax_credit_grade", "none of the column's codes"),
        (7, "uscc", "every row names its subject"),
        (8, "", "a row has as many fields as the heading"),
        (9, "", "an earlier row says the same of the same"),
    ]
    assert (found.bad, found.quality.rows) == (5, 7)


def test_codes_are_judged_by_the_day_they_are_of(tmp_path: Path) -> None:
    # The annex's brackets are narrow, an office's are wide.
    number = "海关注册编码\uff08企业注册号\uff09"
    heading = f"企业中文名称,统一社会信用代码,{number},信用等级,适用信用等级时间"
    rows = [
        f"甲,{ONE},4104,认证企业,2026/4/1",
        f"甲,{ONE},4104,认证企业,2026年3月31日",
        f"甲,{ONE},4104,其他,20260331",
        f"甲,{ONE},4104,其他,2026.4.1",
    ]
    path = written(tmp_path, "\n".join([heading, *rows]))
    rule = "no code of the list in force on that day"
    assert faults("customs_credit_grade", path) == [(n, "customs_grade", rule) for n in (3, 5)]
    old = GRADES.replace("2024", "2015").replace("2025", "2015")
    path = written(tmp_path, old)  # there was no grade M then
    assert faults("tax_credit_grade", path) == [(3, "tax_credit_grade", rule)]


def test_days_are_in_order_and_sums_add_up(tmp_path: Path) -> None:
    name = "tax_record_vat_invoice"
    heading = ",".join(column.zh for column in catalogue().tables[name].columns)
    rows = [
        f"{ONE},销项,1,2026-01-05,{TWO},100.00,13.00,113.00,有效",
        f"{ONE},销项,2,2026-01-05,,100.00,13.00,113.02,有效",
        f"{ONE},进项,1,2026-01-05,,-100.00,-13.00,-113.00,红冲",
        f"{ONE},销项,1,2026-02-05,,1,0,1,有效",
    ]
    assert faults(name, written(tmp_path, "\n".join([heading, *rows]))) == [
        (3, "total_amount", "it is the sum of amount_excl_tax and tax_amount"),
        (5, "", "an earlier row says the same of the same"),
    ]
    audit = "uscc,稽查案件号,稽查开始日期,稽查结束日期,违法类型,查补税款,罚款金额\n"
    row = f"{ONE},1,2026-02-01,2026-01-31,,,\n"
    assert faults("tax_record_tax_audit", written(tmp_path, audit + row)) == [
        (2, "audit_start_date", "it is not after audit_end_date")
    ]


def test_an_excel_sheet_gives_what_it_shows(tmp_path: Path) -> None:
    path = workbook(
        tmp_path,
        ["统一社会信用代码", "缴费月份", "缴存人数", "金额", "缴费日期", None],
        [ONE, "2026-01", 12, 1234.5, date(2026, 1, 31)],
        [None, None],
        [TWO, "2026年2月", 3.0, 0.1 + 0.2, date(2026, 2, 28)],
    )
    found, rows, _ = held("hf_deposit_hf_payment_record", path)
    assert found.bad == 0
    assert rows.splitlines()[1:] == [
        f"{ONE},2026-01,12,1234.5,2026-01-31",
        f"{TWO},2026-02,3,0.3,2026-02-28",
    ]


def test_a_number_that_excel_rounded_is_not_believed(tmp_path: Path) -> None:
    path = workbook(
        tmp_path,
        ["企业名称", "统一社会信用代码", "评级年度", "纳税信用等级"],
        [410400000000000017, ONE, 2024, "A"],
        ["甲", ONE, 2024, "A", None, "beside"],
    )
    assert [rule for _, _, rule in faults("tax_credit_grade", path)] == [
        "Excel rounds numbers of more than 15 digits: make the column text",
        "a row has as many fields as the heading",
    ]


def test_a_workbook_of_several_sheets_asks_which(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("二")
    out = io.BytesIO()
    book.save(out)
    told = refused("tax_credit_grade", written(tmp_path, out.getvalue(), "two.xlsx"))
    assert told == "which sheet? name it: FILE.xlsx#SHEET; it has Sheet, 二"


@pytest.mark.parametrize(
    ("whole", "broken", "row"),
    [
        (b'</row><row r="3"', b'</row><row r="3', 2),
        (b"<v>2025</v>", b"<v>2O25</v>", 2),
        (b'r="B3"', b'r="ZZZZ9"', 2),
        (b"<sheetData>", b"<sheetData", 0),
    ],
    ids=["torn", "no number", "no column", "no heading"],
)
def test_a_workbook_that_is_damaged_further_down_is_named_with_the_row(
    tmp_path: Path, whole: bytes, broken: bytes, row: int
) -> None:
    """A sheet is read as it goes, so what is wrong with it shows on the way."""
    heading = GRADES.splitlines()[0].split(",")
    path = workbook(tmp_path, list(heading), ["甲", ONE, 2024, "A"], ["乙", TWO, 2025, "M"])
    parts = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w") as torn:
        for name in parts.namelist():
            part = parts.read(name)
            if name == "xl/worksheets/sheet1.xml":
                assert whole in part
                part = part.replace(whole, broken)
            torn.writestr(name, part)
    assert refused("tax_credit_grade", path) == f"it is damaged after row {row}"


def test_a_row_that_no_sheet_can_have_ends_the_reading(tmp_path: Path) -> None:
    heading = GRADES.splitlines()[0].split(",")
    path = workbook(tmp_path, list(heading), ["甲", ONE, 2024, "A"])
    parts = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w") as made:
        for name in parts.namelist():
            part = parts.read(name)
            made.writestr(name, re.sub(rb'(<row r="|<c r="[A-Z]+)2"', rb'\g<1>30000000"', part))
    rule = "a sheet has at most 1,048,576 rows"
    assert refused("tax_credit_grade", path) == rule


def arrow_table() -> pa.Table:
    return pa.table(
        {
            "uscc": pa.array([ONE, ONE, TWO]).dictionary_encode(),
            "pay_month": ["2026-01", "202602", "2026-13"],
            "depositors": [1, None, 3],
            "amount": pa.array([Decimal("1.50"), None, Decimal("3.00")]),
            "pay_date": pa.array([date(2026, 1, 31), None, date(2026, 2, 1)]),
        }
    )


def parquet(path: Path) -> None:
    pyarrow.parquet.write_table(arrow_table(), str(path))


def arrow_file(path: Path) -> None:
    writer = pyarrow.ipc.new_file(str(path), arrow_table().schema)
    writer.write_table(arrow_table())
    writer.close()


def arrow_stream(path: Path) -> None:
    writer = pyarrow.ipc.new_stream(str(path), arrow_table().schema)
    writer.write_table(arrow_table())
    writer.close()


@pytest.mark.parametrize("write", [parquet, arrow_file, arrow_stream])
def test_parquet_and_arrow_are_read_and_a_torn_one_is_noticed(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "file"
    write(path)
    _, rows, told = held("hf_deposit_hf_payment_record", path)
    assert rows.splitlines()[1:3] == [f"{ONE},2026-01,1,1.50,2026-01-31", f"{ONE},2026-02,,,"]
    assert told == [Fault(4, "pay_month", "a month as YYYY-MM")]
    whole = path.read_bytes()
    for length in range(8, len(whole), max(1, len(whole) // 12)):
        path.write_bytes(whole[:length])
        assert "it is no whole Parquet or Arrow file" in refused(
            "hf_deposit_hf_payment_record", path
        )


@pytest.mark.parametrize("hostile", ["bytes that are no text", "an end beyond the file"])
def test_an_arrow_file_that_is_not_what_it_says_is_damaged(tmp_path: Path, hostile: str) -> None:
    path, text = tmp_path / "file", b"of the column's only row"
    table = pa.table({"uscc": [text.decode()]})
    writer = pyarrow.ipc.new_file(str(path), table.schema)
    writer.write_table(table)
    writer.close()
    whole = path.read_bytes()
    at = whole.index(text)
    if hostile == "an end beyond the file":
        at = whole.rindex(bytes(4) + len(text).to_bytes(4, "little"), 0, at) + 6
    path.write_bytes(whole[:at] + b"\xff\x7f" + whole[at + 2 :])
    with pytest.raises(SafeRoomError) as caught, open_source(path) as source:
        list(source.batches)
    assert caught.value.fields[0].rule == "it is damaged after row 0"


@pytest.mark.parametrize(
    ("part", "before", "after"),
    [
        ("xl/_rels/workbook.xml.rels", b"worksheets/sheet1.xml", b"../../../etc/passwd"),
        ("xl/styles.xml", b'numFmtId="0"', b'numFmtId="none"'),
    ],
)
def test_a_workbook_whose_parts_do_not_fit_is_none(
    tmp_path: Path, part: str, before: bytes, after: bytes
) -> None:
    path = workbook(tmp_path, ["uscc"], [ONE])
    with zipfile.ZipFile(path) as kept:
        parts = {name: kept.read(name) for name in kept.namelist()}
    assert before in parts[part]
    with zipfile.ZipFile(path, "w") as altered:
        for name, data in parts.items():
            altered.writestr(name, data.replace(before, after) if name == part else data)
    assert refused("tax_credit_grade", path) == "it is no Excel workbook"


def test_a_column_of_lists_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    pyarrow.parquet.write_table(pa.table({"uscc": [[1]]}), str(path))
    assert refused("tax_credit_grade", path) == "the column uscc holds no plain values"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (FieldType.DATE, {"2026年1月31日": "2026-01-31", "20240229": "2024-02-29"}, "2026-02-29"),
        (FieldType.DATE, {"2026-01-31 00:00:00": "2026-01-31"}, "31/01/2026"),
        (FieldType.DATE, {}, "2026-1/31"),
        (FieldType.MONTH, {"2026/1": "2026-01", "2026年12月": "2026-12"}, "2026-00"),
        (FieldType.INT, {"1,234": "1234", "0": "0"}, "-1"),
        (FieldType.INT, {}, "12,34"),
        (FieldType.MONEY, {"-1,234.5600": "-1234.5600"}, "1.23456"),
        (FieldType.RATIO, {"35%": "0.35", "1": "1"}, "1.01"),
        (FieldType.BOOL, {"是": "true", "N": "false"}, "有"),
        (FieldType.ID_NO, {"11010519491231002x": "11010519491231002X"}, "110105194912310021"),
        (FieldType.ID_NO, {"E12345678": "E12345678", ONE: ONE}, "110105194913310026"),
        (FieldType.INDUSTRY, {"c2611": "C2611", "A": "A"}, "Z12"),
        (FieldType.STRING, {" 甲 ": "甲"}, "a\0b"),
    ],
)
def test_what_offices_write_comes_into_one_form(
    kind: FieldType, good: dict[str, str], bad: str
) -> None:
    assert {text: FORMS[kind].clean(text) for text in good} == good
    assert FORMS[kind].clean(bad) is None


@settings(max_examples=60)
@given(st.sampled_from([each for each in FieldType if each in FORMS]), st.text(max_size=30))
def test_no_text_breaks_a_form_and_what_comes_out_stays_as_it_is(
    kind: FieldType, text: str
) -> None:
    cleaned = FORMS[kind].clean(text)
    assert cleaned is None or FORMS[kind].clean(cleaned) == cleaned
