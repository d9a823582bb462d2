"""Arguments and options that commands about scorecards share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CardFile = Annotated[
    Path,
    typer.Argument(
        metavar="CARD", help="The card's file.", exists=True, dir_okay=False, show_default=False
    ),
]
LabelOption = Annotated[
    str | None, typer.Option(help="The column of labels, to measure the points with.")
]
EventOption = Annotated[str, typer.Option(help="The label of the event.")]


RiskOption = Annotated[
    list[str],
    typer.Option(
        help="How risk goes along a column, NAME=rising, falling, either or free; without a"
        " name for all other columns; repeat it."
    ),
]
ClassesOption = Annotated[
    list[str],
    typer.Option("--classes", help="A column of classes that look like numbers; repeat it."),
]
TableFile = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE",
        help="Your table: CSV, Excel, Parquet or Arrow.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
ReceiptFiles = Annotated[
    list[Path],
    typer.Argument(
        metavar="RECEIPT...",
        help="Receipts of tables: saferoom stats ask --receipt.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
ShareOption = Annotated[
    float, typer.Option(help="The share of rows that is held out, to measure with.")
]
TestOption = Annotated[
    Path | None, typer.Option(help="A table to measure with, as of a later year.", exists=True)
]
BinShareOption = Annotated[float, typer.Option(help="The least share of rows in a bin.")]
BinEventsOption = Annotated[
    int, typer.Option(help="The fewest events in a bin, and the fewest others.")
]
BinsOption = Annotated[int, typer.Option(help="The most bins, beside that of missing values.")]
ValueOption = Annotated[
    float, typer.Option(min=0, help="Columns of less information value are left out.")
]
PointsOption = Annotated[float, typer.Option(help="Points at the base odds.")]
OddsOption = Annotated[float, typer.Option(help="Base odds: so many good to one bad.")]
DoubleOption = Annotated[float, typer.Option(help="Points to double the odds.")]
ColumnOption = Annotated[
    list[str], typer.Option(help="A column to take; repeat it. All others, if not given.")
]
LeaveOption = Annotated[list[str], typer.Option(help="A column not to take; repeat it.")]
NameOption = Annotated[str, typer.Option(help="The card's name; its file's, if not given.")]
