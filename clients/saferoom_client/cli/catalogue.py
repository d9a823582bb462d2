"""Commands about the catalogue: what the plan asks for, empty files to fill in, drafts to take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.offers import checks, features
from saferoom_client.cli.options import JsonOption, group
from saferoom_client.cli.output import mapping, show
from saferoom_client.cli.tables import table
from saferoom_client.records.annex import (
    Column,
    InformationType,
    Mode,
    TableForm,
    catalogue,
)
from saferoom_client.records.blanks import write_blanks
from saferoom_client.tongue import Language, later, say, spoken, titled
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

app = group("See what records the plan asks for, and get files and drafts for them.")
app.command()(features)
app.command()(checks)

MODES = {
    Mode.PHYSICAL: later("collected"),
    Mode.INTERFACE: later("called"),
    Mode.BOTH: later("collected or called"),
}
TypesArgument = Annotated[
    list[str], typer.Argument(metavar="TYPE...", help="Numbers of information types, as 3.4.")
]


@app.command(name="list")
def list_(
    category: Annotated[
        str | None, typer.Option(help="Only a category, by its number or key.")
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(help="Only what a unit answers for: its key, or a part of its name."),
    ] = None,
    mode: Annotated[Mode | None, typer.Option(help="Only what is shared in this way.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the information types of the plan."""
    known = catalogue()
    found = [
        each
        for each in known.types
        if category in (None, str(each.category.number), each.category.key)
        and (unit is None or unit == each.unit.key or unit in each.unit.zh or unit in each.unit.en)
        and mode in (None, each.mode)
    ]
    if category and category not in {
        name for each in known.categories for name in (each.key, str(each.number))
    }:
        rule = "no such category; they are " + ", ".join(each.key for each in known.categories)
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--category", rule)])
    rows = [
        (
            each.id,
            titled(each.category),
            titled(each),
            say(MODES[each.mode]),
            titled(each.unit),
            _due(each),
            str(each.level),
            str(len(each.fields)),
        )
        for each in found
    ]
    lines = table(("TYPE", "CATEGORY", "NAME", "SHARED", "BY", "DUE", "LEVEL", "COLUMNS"), rows)
    show(as_json, [_document(each) for each in found], *lines)


@app.command(name="show")
def show_(
    number: Annotated[str, typer.Argument(metavar="TYPE", help="Its number, as 3.4.")],
    as_json: JsonOption = False,
) -> None:
    """Show a type: who shares it how and by when, and the columns of its tables."""
    one = catalogue().type(number)
    about = mapping(
        {
            "type": f"{one.id} {titled(one)}",
            "category": titled(one.category),
            "shared": say(MODES[one.mode]),
            "by": titled(one.unit),
            "due": _due(one),
            "level": one.level,
        }
    )
    lines: list[str] = []
    for form in one.tables:
        rows = [_row(column) for column in form.columns]
        listed = table(("COLUMN", "HEADING", "TYPE", "LEVEL", "", "CODES"), rows)
        lines += ["", f"{form.name}  {titled(form)}", *listed]
    detail = {
        **_document(one),
        "fields": [_column(each) for each in one.fields],
        "tables": [_table(form) for form in one.tables],
    }
    show(
        as_json,
        detail,
        *about,
        *lines,
        "",
        say("the annex's list is a minimum: an owner may add columns"),
        say("next: saferoom catalogue template {number} --out FILE.xlsx", number=number),
    )


@app.command()
def template(
    types: TypesArgument,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="A file .xlsx, or a folder for CSV files."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Write empty files with Chinese headings to fill in, and notes on each column."""
    known = catalogue()
    forms = [form for number in types for form in known.type(number).tables]
    written = write_blanks(out, forms)
    show(
        as_json,
        {"written": [str(path) for path in written], "tables": [form.name for form in forms]},
        *(say("wrote {path}", path=path) for path in written),
        say("next: saferoom schema draft {types} --out SCHEMA.yaml", types=" ".join(types)),
    )


def _due(one: InformationType) -> str:
    return say("ongoing") if one.due == "ongoing" else one.due


def _row(column: Column) -> tuple[str, ...]:
    codes = "; ".join(",".join(each.codes) for each in column.codes)
    heading = column.zh if spoken() is Language.ZH else column.en
    flags = say("personal information") if "p" in column.flags else ""
    return (column.name, heading, str(column.type), str(column.level), flags, codes)


def _document(one: InformationType) -> dict[str, object]:
    return {
        "id": one.id,
        "category": one.category.key,
        "title": {"en": one.en, "zh": one.zh},
        "mode": one.mode,
        "unit": one.unit.key,
        "due": one.due,
        "level": one.level,
        "columns": len(one.fields),
    }


def _table(form: TableForm) -> dict[str, object]:
    return {
        "name": form.name,
        "title": {"en": form.en, "zh": form.zh},
        "key": form.key,
        "columns": [_column(each) for each in form.columns],
        "order": form.order,
        "sums": form.sums,
        "unique": form.unique,
    }


def _column(column: Column) -> dict[str, object]:
    return {
        "name": column.name,
        "title": {"en": column.en, "zh": column.zh},
        "type": column.type,
        "level": column.level,
        "personal_information": "p" in column.flags,
        "identifier": "s" in column.flags,
        "codes": [
            {"from": each.since, "to": each.until, "codes": each.codes} for each in column.codes
        ],
    }
