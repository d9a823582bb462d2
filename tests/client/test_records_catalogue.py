"""The catalogue as its user sees it: types found, empty files to fill in, drafts of tables."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import openpyxl
import pytest

from saferoom_client.records.annex import TableForm, catalogue
from saferoom_client.records.blanks import NOTES, sheet_name
from saferoom_client.records.drafting import draft_tables
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Schema
from saferoom_proto.statements.feature import ColumnType
from tests.client.test_cli import run, three_parts


def test_types_are_found_by_category_unit_and_mode() -> None:
    def ids(*options: str) -> list[str]:
        said = run("catalogue", "list", *options, "--json")
        return [each["id"] for each in json.loads(said.stdout)]

    assert len(ids()) == 48
    assert ids("--category", "tax") == ids("--category", "3") == ["3.1", "3.2", "3.3", "3.4", "3.5"]
    assert ids("--unit", "自来水") == ids("--unit", "water_company") == ["12.1"]
    assert ids("--mode", "both") == ["14.1", "15.1"]
    assert ids("--unit", "nobody") == []


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("show", "3.9"), "TYPE: 3.9: no information type of the catalogue"),
        (("template", "3.1", "tax", "--out", "x"), "TYPE: tax: no information type"),
        (("list", "--category", "taxes"), "--category: no such category; they are registration"),
    ],
)
def test_what_there_is_not_is_named(words: tuple[str, ...], place: str) -> None:
    said = run("catalogue", *words)
    assert said.exit_code == 1
    assert place in said.output


def test_a_type_is_shown_with_its_columns_in_either_language() -> None:
    said = run("--lang", "zh", "catalogue", "show", "3.1").output
    assert "纳税信用等级信息" in said
    assert "物理归集" in said
    assert "tax_credit_grade  纳税信用等级" in said
    tables = json.loads(run("catalogue", "show", "3.4", "--json").stdout)["tables"]
    invoice = next(each for each in tables if each["name"] == "tax_record_vat_invoice")
    assert invoice["columns"][1]["codes"] == [{"from": None, "to": None, "codes": ["销项", "进项"]}]
    assert {column["level"] for column in invoice["columns"]} == {1, 4}


def test_empty_csv_files_have_chinese_headings_and_notes(tmp_path: Path) -> None:
    folder = tmp_path / "tax"
    assert run("catalogue", "template", "3.1", "12.1", "--out", str(folder)).exit_code == 0
    names = {path.stem for path in folder.iterdir()}
    assert names == {NOTES, *(form.name for each in ("3.1", "12.1") for form in tables(each))}
    grade = (folder / "tax_credit_grade.csv").read_bytes()
    assert grade.startswith(b"\xef\xbb\xbf")  # Excel reads it as UTF-8
    assert grade.decode("utf-8-sig") == "企业名称,统一社会信用代码,评级年度,纳税信用等级\r\n"
    notes = list(csv.DictReader((folder / f"{NOTES}.csv").read_text("utf-8-sig").splitlines()))
    told = {note["列名"]: note for note in notes if note["表"] == "纳税信用等级信息"}
    assert told["uscc"]["必填"] == "是"
    assert "A、B、M、C、D" in told["tax_credit_grade"]["可取值"]
    again = three_parts(
        run("catalogue", "template", "3.1", "--out", str(folder)), Reason.BAD_CONFIG
    )
    assert "is not written over" in again


@pytest.mark.parametrize("name", ["grades.csv", "grades.XLS"])
def test_a_folder_is_not_made_under_a_file_s_name(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    said = three_parts(run("catalogue", "template", "3.1", "--out", str(place)), Reason.BAD_CONFIG)
    assert "it is no folder; for Excel, name a file .xlsx" in said
    assert not place.exists()


def test_an_empty_workbook_has_a_sheet_for_each_table_and_notes(tmp_path: Path) -> None:
    path = tmp_path / "all.xlsx"
    every = [each.id for each in catalogue().types]
    assert run("catalogue", "template", *every, "--out", str(path)).exit_code == 0
    book = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=True)
    forms = catalogue().tables.values()
    assert book.sheetnames == [*(sheet_name(form) for form in forms), NOTES]
    for form in forms:
        (heading,) = book[sheet_name(form)].iter_rows(values_only=True)
        assert list(heading) == [column.zh for column in form.columns]
    book.close()


def tables(number: str) -> tuple[TableForm, ...]:
    return catalogue().type(number).tables


def test_every_table_of_the_catalogue_is_one_that_a_store_can_have() -> None:
    forms = list(catalogue().tables.values())
    drafted = [*draft_tables(forms[:40], (), ()), *draft_tables(forms[40:], (), ())]
    assert [table.name for table in drafted] == [form.name for form in forms]
    for form, table in zip(forms, drafted, strict=True):
        made = Schema(room="r", owner="tax", version=1, tables=(table,))
        assert Schema.model_validate_json(made.model_dump_json()) == made
        assert [column.level for column in table.columns] == [each.level for each in form.columns]
        key = next(column for column in table.columns if column.name == table.key)
        assert key.type is ColumnType.TEXT


def test_a_draft_keeps_the_tables_that_are_there_and_takes_columns_of_the_owner_s_own() -> None:
    grade, profile = catalogue().tables["tax_credit_grade"], catalogue().type("3.4").tables[0]
    first = draft_tables([grade], ["tax_credit_grade.points:DECIMAL:2:评分"], ())
    assert first[0].columns[-1].title.zh == "评分"
    second = draft_tables([grade, profile], (), first)
    assert second[0] == first[0]
    assert [table.name for table in second] == [grade.name, profile.name]


@pytest.mark.parametrize(
    "added",
    ["points", "nix.points:DECIMAL:2:评分", "tax_credit_grade.points:MONEY:2:x"],
)
def test_an_added_column_that_is_not_written_so_is_refused(added: str) -> None:
    with pytest.raises(SafeRoomError) as refused:
        draft_tables([catalogue().tables["tax_credit_grade"]], [added], ())
    assert refused.value.reason is Reason.MALFORMED
    assert refused.value.fields[0].field == "--add"
