"""Commands of an owner's broker, which asks a provider's interface for the enclave."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, cast

import typer

from saferoom_client.broker.asking import Source
from saferoom_client.broker.attend import broker
from saferoom_client.broker.config import BrokerConfig
from saferoom_client.broker.provider import MOST_BYTES, Outcome, Reply
from saferoom_client.cli.options import (
    JsonOption,
    SubjectOption,
    UnitsFolder,
    UserOption,
    group,
)
from saferoom_client.cli.output import show, show_units
from saferoom_client.cli.staying import run_until_told, teller
from saferoom_client.tongue import later, say
from saferoom_client.units import plain, write_unit
from saferoom_proto.encoding import parse_object
from saferoom_proto.reasons import Reason, SafeRoomError

app = group("Ask a provider's interface for an owner's enclave.")

BrokerFolder = Annotated[
    Path, typer.Argument(help="The broker's folder, with its broker.toml.", file_okay=False)
]

_OUTCOMES = (later("answered"), later("nobody"), later("unusable"), later("unavailable"))
"""What became of a request (`Outcome`), listed for translation."""


@app.command()
def run(folder: BrokerFolder, as_json: JsonOption = False) -> None:
    """Ask what the enclave orders, and nothing else, until stopped."""
    run_until_told(broker(BrokerConfig.load(folder), on_event=teller(as_json)))


@app.command(name="try")
def try_source(
    folder: BrokerFolder,
    source: Annotated[str, typer.Argument(help="The source's name.")],
    subject: SubjectOption,
    as_json: JsonOption = False,
) -> None:
    """Ask a source about one subject, and show how it answers, but not what.

    For a subject of the provider's that is there to try with: nobody's consent is looked at here.
    """
    config = BrokerConfig.load(folder)
    with ThreadPoolExecutor(1) as pool:
        asked = Source(folder, config.source(source), pool)
        began = time.monotonic()
        reply = asyncio.run(asked.ask(subject))
        seconds = time.monotonic() - began
    rows = _rows(reply, subject)
    document = {
        "source": source,
        "outcome": reply.outcome,
        "why": reply.why,
        "seconds": round(seconds, 3),
        "bytes": len(reply.data),
        "rows": rows,
    }
    show(
        as_json,
        document,
        say(
            "{source}: {outcome}, after {seconds:.2f} s",
            source=source,
            outcome=say(reply.outcome),
            seconds=seconds,
        ),
        *([reply.why] if reply.why else []),
        *(say("{table}: {count} rows", table=name, count=count) for name, count in rows.items()),
    )
    if reply.outcome in (Outcome.UNAVAILABLE, Outcome.UNUSABLE):
        raise SafeRoomError(Reason.SOURCE_UNAVAILABLE, f"{source}: {reply.why}")


@app.command()
def units(
    folder: BrokerFolder,
    *,
    out: UnitsFolder,
    owner: Annotated[str, typer.Option(help="The data owner.")],
    user: UserOption = "saferoom-broker",
    as_json: JsonOption = False,
) -> None:
    """Write the systemd unit that runs the broker with as little as it needs."""
    exchange = plain(BrokerConfig.load(folder).socket.parent)
    settings = {"owner": owner, "exchange": exchange}
    written = write_unit(out, "broker", folder, user, settings, suffix=f"-{owner}")
    show_units(as_json, written, folder, user)


def _rows(reply: Reply, subject: str) -> dict[str, int]:
    """Count an answer's rows by table; the enclave looks at the rest.

    Raises:
        SafeRoomError: `MALFORMED` if it is not of the form that the enclave reads.
    """
    if reply.outcome is not Outcome.ANSWERED:
        return {}
    told = parse_object(reply.data, MOST_BYTES)
    tables = told.get("tables")
    if told.get("subject") != subject or not isinstance(tables, dict):
        raise SafeRoomError(Reason.MALFORMED, "an answer names its subject, and its tables")
    named = cast("dict[str, object]", tables)
    return {
        name: len(cast("list[object]", rows))
        for name, rows in named.items()
        if isinstance(rows, list)
    }
