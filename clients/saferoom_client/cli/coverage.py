"""The auditor's and the operator's command on how far the plan is carried out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.options import JsonOption, ProfileOption
from saferoom_client.cli.output import progress_of, show
from saferoom_client.cli.tables import table
from saferoom_client.cli.who_may import require_auditor
from saferoom_client.records.annex import catalogue
from saferoom_client.records.coverage import Brought, Coverage, Store, coverage
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_client.tongue import say, titled
from saferoom_client.values import Role

DOUBTFUL = 1
"""Exit status where the log that it is read from breaks a rule."""


def plan(
    profile: ProfileOption,
    *,
    older_than: Annotated[
        int | None,
        typer.Option(min=0, help="Only what was loaded more than so many days ago, or never."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how far the plan is carried out: who brought how much of which type, and when.

    An auditor reads it from the whole log, an operator from each enclave's last word.
    """
    found = _found(profile, quiet=as_json)
    now = utc_now()
    whole = coverage(catalogue(), found.stores, now)
    shown = [each for each in whole if older_than is None or _is_older(each, older_than, now)]
    document = {
        "at": now.isoformat(),
        "whole_log": found.violations is not None,
        "violations": found.violations,
        "unpinned": list(found.unpinned),
        "types": [_document(each, now) for each in shown],
    }
    show(as_json, document, *_lines(whole, shown, now), *_doubts(found))
    if found.violations:
        raise typer.Exit(DOUBTFUL)


@dataclass(frozen=True, slots=True)
class _Found:
    """What owners hold, of whom it is not judged, and the violations of the log, if it was read."""

    stores: tuple[Store, ...]
    unpinned: tuple[str, ...]
    violations: int | None


def _found(profile: Path, *, quiet: bool) -> _Found:
    bar, move = progress_of("entries", quiet=quiet)
    with Room.open(profile) as room, bar:
        roles = room.whoami().roles
        if Role.OPERATOR in roles and Role.AUDITOR not in roles:
            held = room.list_stores()
            return _Found(held.stores, held.unpinned, None)
        require_auditor(room)
        report = room.audit_log(progress=move)
    return _Found(report.stores, tuple(report.unpinned), len(report.violations))


def _is_older(one: Coverage, days: int, now: datetime) -> bool:
    return not any(each.days(now) <= days for each in one.brought)


def _lines(whole: Sequence[Coverage], shown: Sequence[Coverage], now: datetime) -> Iterator[str]:
    rows = [row for each in shown for row in _rows(each, now)]
    yield from table(
        ("TYPE", "NAME", "DUE", "OWNER", "TABLES", "ROWS", "LOADED", "DAYS", "LACKING"), rows
    )
    brought = [each for each in whole if each.brought]
    yield say(
        "{brought} of {types} types are brought, by {owners} owners; {overdue} are overdue",
        brought=len(brought),
        types=len(whole),
        owners=len({found.owner for each in brought for found in each.brought}),
        overdue=sum(each.overdue for each in whole),
    )


def _rows(one: Coverage, now: datetime) -> Iterator[tuple[str, ...]]:
    due = say("ongoing") if one.type.due == "ongoing" else one.type.due
    about = (one.type.id, titled(one.type), due)
    if not one.brought:
        state = say("overdue") if one.overdue else "-"
        yield (*about, state, "", "", "", "", "")
    for each in one.brought:
        yield (*about, *_cells(each, len(one.type.tables), now))


def _cells(each: Brought, tables: int, now: datetime) -> tuple[str, ...]:
    return (
        each.owner,
        f"{len(each.tables)}/{tables}",
        f"{each.rows:,}",
        f"{each.loaded:%Y-%m-%d}",
        str(each.days(now)),
        str(len(each.lacking) or "-"),
    )


def _doubts(found: _Found) -> Iterator[str]:
    for owner in found.unpinned:
        yield say(
            "not judged: the words of {owner}; pin its root: saferoom trust pin {owner} ROOT",
            owner=owner,
        )
    if found.violations is None:
        yield say("by the last word of each enclave that the room gives; an auditor reads them all")
    if found.violations:
        yield say("the log breaks rules: do not rest on this; next: saferoom audit verify")


def _document(one: Coverage, now: datetime) -> dict[str, object]:
    return {
        "type": one.type.id,
        "due": one.type.due,
        "unit": one.type.unit.key,
        "overdue": one.overdue,
        "brought": [
            {
                "owner": each.owner,
                "tables": each.tables,
                "rows": each.rows,
                "loaded": each.loaded.isoformat(),
                "days": each.days(now),
                "lacking": each.lacking,
            }
            for each in one.brought
        ],
    }
