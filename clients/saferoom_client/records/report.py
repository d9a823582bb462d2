"""The report on the quality of a load, as one HTML file: for the owner, who keeps it.

What was counted stands in it for programs too: the next report reads it and tells what has drifted.
It holds counts, days, the least and the most of numbers, and codes; no text of a record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from html import escape
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from saferoom_client.files import bad_file, read_file
from saferoom_client.records.quality import CHANGED, WATCH, ColumnQuality, TableQuality
from saferoom_client.tongue import Language, say, spoken, titled

_COUNTED: Final = re.compile(
    r'<script type="application/json" id="counted">(.*?)</script>', re.DOTALL
)
_TABLES: Final = TypeAdapter(list[TableQuality])
_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;margin:2em auto;max-width:70em;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #ccc;padding:.3em .6em;text-align:left}"
    "h1,h2,td,th{overflow-wrap:anywhere}"
    ".n{text-align:right}.bad{background:#fde2e0}.watch{background:#fff3cd}"
)


def write_report(
    tables: Sequence[TableQuality], before: Mapping[str, TableQuality], made: datetime
) -> bytes:
    """Write a report.

    Args:
        tables: what was counted of this load.
        before: what was counted of an earlier one, by table.
        made: when.
    """
    title = say("Quality of the records")
    counted = json.dumps(
        _TABLES.dump_python(list(tables), mode="json"), ensure_ascii=False, separators=(",", ":")
    ).replace("<", "\\u003c")
    body = "".join(_table(each, before.get(each.name), made.date()) for each in tables)
    lang = "zh-CN" if spoken() is Language.ZH else "en"
    return (
        f'<!doctype html><html lang="{lang}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"<p>{made:%Y-%m-%d %H:%M} UTC</p>{body}"
        f'<script type="application/json" id="counted">{counted}</script></html>\n'
    ).encode()


def read_report(path: Path) -> dict[str, TableQuality]:
    """Read what an earlier report counted.

    Raises:
        SafeRoomError: `BAD_CONFIG` for a file that is no such report.
    """
    found = _COUNTED.search(read_file(path).decode("utf-8", "replace"))
    try:
        tables = _TABLES.validate_json(found[1] if found else "")
    except ValidationError as error:
        raise bad_file(path, "it is no report on the quality of records") from error
    return {table.name: table for table in tables}


def _table(table: TableQuality, before: TableQuality | None, today: date) -> str:
    good = table.rows - table.bad - table.left
    told = say("{rows:,} rows, {bad:,} of them bad", rows=table.rows, bad=table.bad)
    if table.left:
        told += say("; {left:,} are left out: their number leads to no subject", left=table.left)
    share = f"{good / table.rows:.2%}" if table.rows else "-"
    earlier = {column.name: column for column in before.columns} if before else {}
    headings = (
        *(say("Column"), say("Filled"), say("Valid"), say("Least"), say("Most")),
        say("Drift"),
    )
    head = "".join(f"<th>{escape(each)}</th>" for each in headings)
    rows = "".join(_row(column, table.rows, earlier.get(column.name)) for column in table.columns)
    return (
        f"<h2>{escape(titled(table))} <small>{escape(table.name)}</small></h2>"
        f"<p>{escape(told)} ({escape(say('valid'))} {share}). {escape(_fresh(table, today))} "
        f"{escape(_grown(before))}</p><table><tr>{head}</tr>{rows}</table>"
    )


def _fresh(table: TableQuality, today: date) -> str:
    newest = table.newest(today)
    if newest is None:
        return say("No column tells how fresh the records are.")
    whole = newest if len(newest) > len("2026-01") else f"{newest}-01"
    days = (today - date.fromisoformat(whole)).days
    return say("The newest record is of {newest}, {days:,} days ago.", newest=newest, days=days)


def _grown(before: TableQuality | None) -> str:
    if before is None:
        return say("There is no earlier report to compare with.")
    return say("The earlier load had {rows:,} rows.", rows=before.rows)


def _row(column: ColumnQuality, rows: int, before: ColumnQuality | None) -> str:
    filled = column.filled / rows if rows else 0.0
    valid = 1 - column.wrong / column.filled if column.filled else 1.0
    drift = column.drift(before) if before else None
    cells = (
        (f"{titled(column)}", "bad" if column.wrong else ""),
        (f"{filled:.2%}", "n"),
        (f"{valid:.2%}", "n bad" if column.wrong else "n"),
        (column.least or "", "n"),
        (column.most or "", "n"),
        _drift(drift),
    )
    told = "".join(f'<td class="{kind}">{escape(text)}</td>' for text, kind in cells)
    return f"<tr>{told}</tr>"


def _drift(index: float | None) -> tuple[str, str]:
    if index is None:
        return "", ""
    if index >= CHANGED:
        return f"{index:.2f} {say('another one')}", "bad"
    if index >= WATCH:
        return f"{index:.2f} {say('watch it')}", "watch"
    return f"{index:.2f} {say('as it was')}", ""
