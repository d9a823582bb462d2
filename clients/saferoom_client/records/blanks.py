"""Empty files for an owner to fill in: CSV or Excel with Chinese headings, and what belongs where.

What stands in them is Chinese whatever the command line speaks: they go to the office that keeps
the records.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from saferoom_client.extras import Extra, needing
from saferoom_client.files import PUBLIC_FILE, bad_file, refuse_existing, write_file
from saferoom_client.records.annex import Column, FieldType, TableForm

WRITTEN: Final = {
    FieldType.STRING: "文本",
    FieldType.TEXT: "长文本",
    FieldType.DATE: "日期, 如 2026-01-31",
    FieldType.MONTH: "月份, 如 2026-01",
    FieldType.YEAR: "年份, 如 2026",
    FieldType.INT: "非负整数",
    FieldType.DECIMAL: "数字, 至多 4 位小数",
    FieldType.MONEY: "金额(元), 至多 4 位小数",
    FieldType.RATIO: "比例, 0 至 1",
    FieldType.BOOL: "是 或 否",
    FieldType.ENUM: "代码",
    FieldType.TAX_GRADE: "纳税信用等级",
    FieldType.CUSTOMS_GRADE: "海关信用等级",
    FieldType.USCC: "统一社会信用代码, 18 位",
    FieldType.ID_NO: "证件号码",
    FieldType.INDUSTRY: "国民经济行业分类代码(GB/T 4754)",
}
NOTES: Final = "填写说明"
_NOTE_HEADINGS: Final = ("表", "栏目", "列名", "填写", "可取值", "必填", "级别", "个人信息")
_SHEET_CHARACTERS: Final = 31
"""The longest name of a sheet that Excel takes; nor does it take these characters in one."""
_NOT_IN_SHEETS: Final = str.maketrans("[]:*?/\\", "       ")
_ROWS: Final = 10_000
"""Rows of an empty sheet that offer their codes for choice."""


def sheet_name(form: TableForm) -> str:
    """Name the sheet of a table: the number of its type, and what it is called within it."""
    name = f"{form.type_id} {form.zh.rpartition(': ')[2]}"
    return name.translate(_NOT_IN_SHEETS)[:_SHEET_CHARACTERS].strip()


def write_blanks(path: Path, forms: Sequence[TableForm]) -> tuple[Path, ...]:
    """Write empty files: an Excel workbook where the name says so, else a folder of CSV files.

    Raises:
        SafeRoomError: `BAD_CONFIG` for a file that is there already; `NOT_INSTALLED`.
    """
    if path.suffix.lower() in {".xlsx", ".xlsm"}:
        refuse_existing(path)
        write_file(path, _workbook(forms), PUBLIC_FILE)
        return (path,)
    if path.suffix.lower() in {".csv", ".xls", ".txt"} or (path.exists() and not path.is_dir()):
        raise bad_file(path, "it is no folder; for Excel, name a file .xlsx")
    files = {path / f"{form.name}.csv": [[one.zh for one in form.columns]] for form in forms}
    files[path / f"{NOTES}.csv"] = [list[str](_NOTE_HEADINGS), *_notes(forms)]
    for file in files:
        refuse_existing(file)
    path.mkdir(parents=True, exist_ok=True)
    for file, rows in files.items():
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        # With a byte order mark: without it Excel reads UTF-8 as something else.
        write_file(file, text.getvalue().encode("utf-8-sig"), PUBLIC_FILE)
    return tuple(files)


def _notes(forms: Sequence[TableForm]) -> list[list[str]]:
    return [
        [
            form.zh,
            one.zh,
            one.name,
            WRITTEN[one.type],
            _codes(one),
            "是" if one.name == form.key else "",
            str(one.level),
            "是" if "p" in one.flags else "",
        ]
        for form in forms
        for one in form.columns
    ]


def _codes(column: Column) -> str:
    return "; ".join(
        "、".join(each.codes)
        + (f" ({each.since or ''} 至 {each.until or ''})" if each.since else "")
        for each in column.codes
    )


def _workbook(forms: Sequence[TableForm]) -> bytes:
    with needing(Extra.OWNER, "Excel"):
        from openpyxl import Workbook  # noqa: PLC0415 - an extra
        from openpyxl.styles import Font  # noqa: PLC0415
        from openpyxl.utils import get_column_letter  # noqa: PLC0415
        from openpyxl.worksheet.datavalidation import DataValidation  # noqa: PLC0415

    book = Workbook()
    book.remove(book.active)
    for form in forms:
        sheet = book.create_sheet(sheet_name(form))
        sheet.append([one.zh for one in form.columns])
        for at, column in enumerate(form.columns, 1):
            letter = get_column_letter(at)
            sheet.cell(1, at).font = Font(bold=True)
            # Text stays as it is typed: a number would lose digits, or its zeros in front.
            dated = column.type is FieldType.DATE
            sheet.column_dimensions[letter].number_format = "yyyy-mm-dd" if dated else "@"
            sheet.column_dimensions[letter].width = max(12, 2 * len(column.zh) + 2)
            if column.codes:
                choice = DataValidation("list", formula1=f'"{",".join(column.codes[-1].codes)}"')
                choice.add(f"{letter}2:{letter}{_ROWS}")
                sheet.add_data_validation(choice)
        sheet.freeze_panes = "A2"
    notes = book.create_sheet(NOTES)
    for row in (_NOTE_HEADINGS, *_notes(forms)):
        notes.append(list(row))
    held = io.BytesIO()
    book.save(held)
    return held.getvalue()
