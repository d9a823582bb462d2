"""Commands about tables: asking for them, what to expect of them, and which there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console

from saferoom_client.bars import require_drawing
from saferoom_client.cli.next_steps import Asked, saying_next
from saferoom_client.cli.noise_words import (
    noise_lines,
    price_document,
    price_lines,
    spent_document,
    spent_line,
    together_lines,
)
from saferoom_client.cli.options import InputFile, JsonOption, ProfileOption, group
from saferoom_client.cli.output import mapping, moment, show
from saferoom_client.cli.plainly import listed_document, listed_row
from saferoom_client.cli.sum_words import (
    charged_notes,
    sum_document,
    sum_lines,
    sum_price_document,
    sum_price_lines,
)
from saferoom_client.cli.table_receipt import tables_document
from saferoom_client.cli.tables import table
from saferoom_client.files import PUBLIC_FILE, bad_file, read_file, require_writable, write_file
from saferoom_client.refused import Refused
from saferoom_client.room import Room
from saferoom_client.stats import TableAnswer, plan_by, require_tables
from saferoom_client.sums import SumAnswer
from saferoom_client.table_csv import csv_of
from saferoom_client.table_page import write_page, write_sum_page
from saferoom_client.table_words import count_withheld, heading, of_all
from saferoom_client.templates import ListedTemplate
from saferoom_client.tongue import later, say
from saferoom_client.yaml_text import read_yaml
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import TableRelease
from saferoom_proto.tables.dryrun import Expected, Outlook
from saferoom_proto.tables.plan import Margin, ReleasePlan
from saferoom_proto.tables.told import Told

app = group("Ask for tables about all subjects together.")

TemplateName = Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its digest, or its name.")]

OUTLOOKS = {
    Outlook.WITHHELD: later("withheld"),
    Outlook.LIKELY_WITHHELD: later("likely withheld"),
    Outlook.LIKELY: later("likely released"),
    Outlook.LARGE: later("large enough"),
    Outlook.NOISY: later("told, with noise"),
}
"""What public counts say of a cell."""
STEPS = {
    Reason.OVER_BUDGET: later(
        "Tables of other records were told too recently: `template show` names the days. After a"
        " recovery the owner loads first. Or you were told these tables 20 times: your receipts"
        " hold them. Or, of tables with noise, your group has too little of epsilon left:"
        " `saferoom stats cost` tells."
    ),
    Reason.CONFLICT: later(
        "Earlier tables of these records have a feature, or its bounds, otherwise: ask by those, or"
        " of the owner's next load. Or they left with noise, and these would without, or the other"
        " way round. Or, of a sum over owners: of these records an owner told tables alone, or a"
        " sum of others; or since your last sum so few owners have loaded that the two would tell"
        " of them: wait until the others have loaded too."
    ),
    Reason.TOO_LARGE: later(
        "No more plans fit to those that were told of these records: ask by one of those, or of the"
        " owner's next load."
    ),
    Reason.NOT_INSTALLED: later(
        "The owner's enclave makes no noise yet: its operator runs"
        " `pip install 'saferoom[privacy]'` and starts it anew."
    ),
    Reason.WITHHELD: later(
        "Nothing more can be told. A plan of fewer columns, classes or margins may fit."
    ),
}
"""What is advised where an enclave refuses tables."""


_MORE_WITHHELD = later(
    "an outlook, from public counts alone: more is withheld so that nothing follows"
)


@app.command()
def ask(
    template: TemplateName,
    profile: ProfileOption,
    purpose: Annotated[str, typer.Option(help="What the tables are for.")],
    *,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", help="Write every number here, a line each.", dir_okay=False),
    ] = None,
    receipt: Annotated[
        Path | None, typer.Option(help="Write the receipt here.", dir_okay=False)
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option(help="Write a page here, with each table drawn.", dir_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for a template's tables, verify them, and print them."""
    require_writable(csv_file, receipt, chart)
    if chart is not None:
        require_drawing()
    asked = Asked(profile, template, purpose=purpose, steps=STEPS)
    working = Console(stderr=True, quiet=as_json).status(say("the tables are being made"))
    with Room.open(profile) as room, saying_next(asked), working:
        answer = _asked(room, template, purpose)
    if receipt is not None:
        write_file(receipt, answer.receipt.to_json(), PUBLIC_FILE)
    refused = _refused(answer)
    if refused is not None and refused.reason is not None:
        verdict = SafeRoomError(refused.reason, "the enclave's verdict")
        told = {"request_id": answer.verified.request_id, "owner": refused.owner}
        refusal = Refused(verdict, told)
        if isinstance(answer, SumAnswer):
            for note in charged_notes(answer.verified):
                refusal.add_note(note)
        with saying_next(asked):
            raise refusal
    tables = answer.verified.tables or ()
    if csv_file is not None:
        write_file(csv_file, csv_of(plan_by(answer.view), tables).encode(), PUBLIC_FILE)
    if chart is not None:
        page = write_page(answer) if isinstance(answer, TableAnswer) else write_sum_page(answer)
        write_file(chart, page.encode(), PUBLIC_FILE)
    if isinstance(answer, TableAnswer):
        show(as_json, _document(answer, tables), *_tables(tables), *_lines(answer, tables))
    else:
        show(as_json, sum_document(answer.verified), *_tables(tables), *sum_lines(answer))


def _asked(room: Room, template: str, purpose: str) -> TableAnswer | SumAnswer:
    """Ask one owner for its tables, or several for their sum."""
    view = room.get_template(template)
    if require_tables(view).owners:
        return room.add_up(view.envelope.digest, purpose=purpose)
    return room.tabulate(view.envelope.digest, purpose=purpose)


def _refused(answer: TableAnswer | SumAnswer) -> TableRelease | None:
    """Give the enclave's word that it is refused; none if it is answered."""
    if isinstance(answer, SumAnswer):
        return answer.verified.refused
    return None if answer.refused is None else answer.verified.release


@app.command()
def cost(
    templates: Annotated[
        list[str],
        typer.Argument(metavar="TEMPLATE...", help="Their digests or names: one or several."),
    ],
    profile: ProfileOption,
    purpose: Annotated[str, typer.Option(help="What the tables are for.")],
    as_json: JsonOption = False,
) -> None:
    """See what tables would cost and whether they would be refused; none are made."""
    told: list[TableAnswer] = []
    documents: list[dict[str, object]] = []
    lines: list[str] = []
    with Room.open(profile) as room:
        for template in templates:
            asked = Asked(profile, template, purpose=purpose, steps=STEPS)
            with saying_next(asked):
                priced = _priced(room, template, purpose)
            if isinstance(priced, TableAnswer):
                told.append(priced)
                documents.append(price_document(priced))
                lines += price_lines(priced, asked)
            else:
                documents.append(sum_price_document(priced))
                lines += sum_price_lines(priced, asked)
    show(as_json, documents, *lines, *together_lines(told))


def _priced(room: Room, template: str, purpose: str) -> TableAnswer | SumAnswer:
    view = room.get_template(template)
    if require_tables(view).owners:
        return room.price_sum(view.envelope.digest, purpose=purpose)
    return room.price_tables(view.envelope.digest, purpose=purpose)


@app.command(name="dry-run")
def dry_run(
    template: TemplateName,
    counts: InputFile,
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Tell from public counts which cells can be expected to be withheld; no enclave is asked.

    COUNTS is YAML: for each column, how many subjects there are of each class.
    """
    with Room.open(profile) as room, saying_next(Asked(profile, template)):
        view = room.get_template(template)
        plan = plan_by(view)
        expected = room.expect_tables(template, _counts(counts, plan))
    aggregate, ending = require_tables(view), [say(_MORE_WITHHELD)]
    if aggregate.privacy is not None:
        owners = len(aggregate.asked_of)
        ending = list(noise_lines(plan, aggregate.privacy.epsilon, owners=owners))
    show(as_json, _expected_document(expected), *_expected_lines(expected), *ending)


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List the templates of tables: who has approved each, and how many numbers it tells."""
    with Room.open(profile) as room:
        listed = [each for each in room.survey_templates() if each.template.aggregate is not None]
    headings = (
        later("NAME"),
        later("PROPOSED BY"),
        later("APPROVED"),
        later("NUMBERS"),
        later("DIGEST"),
    )
    show(
        as_json,
        [listed_document(each) | {"numbers": _numbers(each)} for each in listed],
        *table(headings, [_row(each) for each in listed]),
    )


def _row(listed: ListedTemplate) -> tuple[str, ...]:
    name, proposer, approved, _, _, digest = listed_row(listed)
    numbers = _numbers(listed)
    return (name, proposer, approved, "?" if numbers is None else f"{numbers:,}", digest)


def _numbers(listed: ListedTemplate) -> int | None:
    if listed.view is None:
        return None
    # Of a sum over owners each gives shares of the same numbers.
    parts = listed.view.certificate.parts
    return max(part.table.cells for part in parts if part.table is not None)


def _tables(tables: Sequence[Told]) -> Iterator[str]:
    """Lay the tables out: those of the same columns side by side."""
    side_by_side: dict[Margin, list[Told]] = {}
    for told in tables:
        side_by_side.setdefault(told.columns, []).append(told)
    for columns, alike in side_by_side.items():
        headings = [*columns, *(heading(told.measure) for told in alike)]
        rows = [
            (*cells[0].classes, *(cell.number or str(Reason.WITHHELD) for cell in cells))
            for cells in zip(*(told.cells for told in alike), strict=True)
        ]
        yield from table(headings, rows)
        yield ""


def _lines(answer: TableAnswer, tables: Sequence[Told]) -> Iterator[str]:
    """Tell what follows the tables."""
    verified = answer.verified
    release = verified.release
    yield of_all(tables)
    yield from mapping(
        {
            "of": say(
                "{owner}, the records of period {epoch}",
                owner=release.owner,
                epoch=0 if release.store is None else release.store.epoch,
            ),
            "at": moment(release.time),
            "id": verified.request_id,
        }
    )
    told = verified.part.table
    if release.privacy is not None and told is not None and told.privacy is not None:
        yield from noise_lines(plan_by(answer.view), told.privacy.epsilon)
        yield spent_line(release.privacy)


def _document(answer: TableAnswer, tables: Sequence[Told]) -> dict[str, object]:
    verified = answer.verified
    release = verified.release
    numbers, withheld = count_withheld(tables)
    return {
        "template": verified.template.name,
        "owner": release.owner,
        "request_id": verified.request_id,
        "time": release.time.isoformat(),
        "epoch": None if release.store is None else release.store.epoch,
        "together": release.together,
        "numbers": numbers,
        "withheld": withheld,
        "privacy": spent_document(release.privacy),
        "tables": tables_document(tuple(tables)),
    }


def _counts(path: Path, plan: ReleasePlan) -> dict[str, tuple[int, ...]]:
    """Read public counts, in the order of the plan's classes."""
    try:
        document = read_yaml(read_file(path).decode("utf-8")).document
    except UnicodeDecodeError as error:
        raise bad_file(path, "not UTF-8") from error
    found: dict[str, tuple[int, ...]] = {}
    for dimension in plan.dimensions:
        given = document.get(dimension.name)
        of = cast("dict[str, object]", given) if isinstance(given, dict) else {}
        numbers = [of.get(name) for name in dimension.classes]
        # YAML's `true` is no count, though Python has it for a 1.
        whole = [each for each in numbers if type(each) is int and each >= 0]
        if len(whole) != len(dimension.classes) or len(of) != len(dimension.classes):
            named = ", ".join(dimension.classes)
            rule = f"a count of each of its classes is expected: {named}"
            fault = FieldFault(f"{path}: {dimension.name}", rule)
            raise SafeRoomError(Reason.MALFORMED, f"{path} is not usable", [fault])
        found[dimension.name] = tuple(whole)
    return found


def _expected_lines(expected: Mapping[Margin, Sequence[Expected]]) -> Iterator[str]:
    for margin, cells in expected.items():
        headings = [*margin, later("OUTLOOK"), later("EXPECTED")]
        rows = [
            (*cell.classes, say(OUTLOOKS[cell.outlook]), f"{cell.expected:,.0f}") for cell in cells
        ]
        yield from table(headings, rows)
        yield ""


def _expected_document(
    expected: Mapping[Margin, Sequence[Expected]],
) -> list[dict[str, object]]:
    return [
        {
            "margin": margin,
            "cells": [
                {
                    "classes": cell.classes,
                    "outlook": cell.outlook,
                    "expected": round(cell.expected),
                }
                for cell in cells
            ],
        }
        for margin, cells in expected.items()
    ]
