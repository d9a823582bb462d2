"""A made-up city to try a room on: files of records that `data load` takes.

What makes it is in the source checkout (`saferoom_city`), beside the client and not in it, and is
imported by its name when it is called for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, cast

import typer

from saferoom_client.cli.options import JsonOption
from saferoom_client.cli.output import progress_of, show
from saferoom_client.cli.software import of_room
from saferoom_client.cli.tables import table
from saferoom_client.sandbox.run import until_stopped
from saferoom_client.tongue import later, say
from saferoom_proto.reasons import SafeRoomError

STOPPED: Final = 130
"""As shells report a program that Ctrl-C ended."""
AS_OF: Final = datetime(2026, 6, 30)  # noqa: DTZ001 - a day
_MOST_WORKERS: Final = 64


def city(
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to make.", file_okay=False)],
    firms: Annotated[int, typer.Option(help="How many firms.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same bytes.")] = 1,
    types: Annotated[
        list[str],
        typer.Option(help="Only a type, as 3.4, or a category, as tax; repeat it."),
    ] = [],  # noqa: B006 - Typer copies it
    as_of: Annotated[
        datetime,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="The day on which the records end."),
    ] = AS_OF,
    workers: Annotated[
        int,
        typer.Option(min=1, max=_MOST_WORKERS, help="Processes that make rows."),
    ] = min(_MOST_WORKERS, os.cpu_count() or 1),
    as_json: JsonOption = False,
) -> None:
    """Make the records of a city that does not exist, to try a room on."""
    chosen = _of_city("City")(firms, seed, as_of.date(), tuple(types))
    make = cast(
        "Callable[[object, Path, int, Callable[[int, int], None]], Mapping[str, object]]",
        _of_city("make_city"),
    )
    bar, move = progress_of("firms", quiet=as_json)
    made: list[Mapping[str, object]] = []
    with until_stopped(say("stopped before the end; what was written is taken away again")), bar:
        made.append(make(chosen, out, workers, move))
    if not made:
        raise typer.Exit(STOPPED)
    (manifest,) = made
    files = cast("Sequence[Mapping[str, object]]", manifest["files"])
    show(
        as_json,
        manifest,
        *table(("TYPE", "FILE", "ROWS", "BYTES"), [_row(each) for each in files]),
        say("made {firms:,} firms of {out}, which do not exist", firms=firms, out=out),
        say("next: saferoom data check TABLE={out}/CATEGORY/TABLE.csv", out=out),
    )


def _row(each: Mapping[str, object]) -> tuple[str, ...]:
    return (
        str(each["type"]) or "-",
        str(each["file"]),
        f"{cast('int', each['rows']):,}",
        f"{cast('int', each['bytes']):,}",
    )


def _of_city(name: str) -> Callable[..., object]:
    """Give a part of what makes cities, which is no part of what `pip install` brings."""
    try:
        return of_room("saferoom_city.making", name)
    except SafeRoomError as error:
        error.add_note(later("Call it in a checkout of the source, after make setup."))
        raise
