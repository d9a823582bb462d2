"""A made-up city to try a room on: files of records that `data load` takes."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from saferoom_city.making import City, Manifest, make_city
from saferoom_client.cli.options import JsonOption
from saferoom_client.cli.output import progress_of, show
from saferoom_client.cli.tables import table
from saferoom_client.sandbox.run import until_stopped
from saferoom_client.tongue import say

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
    chosen = City(firms, seed, as_of.date(), tuple(types))
    bar, move = progress_of("firms", quiet=as_json)
    made: list[Manifest] = []
    with until_stopped(say("stopped before the end; what was written is taken away again")), bar:
        made.append(make_city(chosen, out, workers, move))
    if not made:
        raise typer.Exit(STOPPED)
    (manifest,) = made
    rows = [
        (each.page.type_id or "-", each.page.path, f"{each.rows:,}", f"{each.size:,}")
        for each in manifest.files
    ]
    show(
        as_json,
        manifest.document(),
        *table(("TYPE", "FILE", "ROWS", "BYTES"), rows),
        say("made {firms:,} firms of {out}, which do not exist", firms=firms, out=out),
        say("next: saferoom data check TABLE={out}/CATEGORY/TABLE.csv", out=out),
    )
