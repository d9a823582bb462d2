"""Commands about an owner's data."""

from __future__ import annotations

from typing import Annotated

import typer

from saferoom_client.cli.options import JsonOption, ProfileOption, group, pairs
from saferoom_client.cli.output import progress_of, show, table
from saferoom_client.room import Room
from saferoom_proto.encoding import check_digest

app = group("Load an owner's data. 数据装载。")

REFUSED_ROWS = 1


@app.callback()
def data() -> None:
    """Load an owner's data."""


@app.command()
def load(
    files: Annotated[
        list[str], typer.Argument(metavar="TABLE=FILE.csv...", help="Each table's file. 各表文件。")
    ],
    profile: ProfileOption,
    schema: Annotated[str, typer.Option(help="The digest that `schema put` gave. 表结构摘要。")],
    as_json: JsonOption = False,
) -> None:
    """Seal CSV files to your own enclave and load them: all or nothing.

    加密装载数据。
    """
    tables = pairs(files, "TABLE=FILE")
    bar, move = progress_of("loading", quiet=as_json)
    with Room.open(profile) as room, bar:
        report = room.load_data(check_digest(schema), tables, progress=move)
    if report.snapshot is not None:
        store = report.snapshot.store
        counts = report.snapshot.rows.items()
        rows = ", ".join(f"{name} ({count:,} row{'s'[: count != 1]})" for name, count in counts)
        document = {
            "epoch": store.epoch,
            "store": store.digest,
            "rows": report.snapshot.rows,
        }
        show(as_json, document, f"loaded {rows}; the store is at epoch {store.epoch}")
        return
    bad = [
        {"table": row.table, "line": row.line, "column": row.column, "rule": row.rule}
        for row in report.bad_rows
    ]
    rows = [(row.table, str(row.line), row.column, row.rule) for row in report.bad_rows]
    show(
        as_json,
        {"bad_row_count": report.bad_row_count, "bad_rows": bad},
        f"nothing was loaded: {report.bad_row_count:,} rows break the schema",
        *table(("TABLE", "LINE", "COLUMN", "RULE"), rows),
        "next: correct the files and load them again",
    )
    raise typer.Exit(REFUSED_ROWS)
