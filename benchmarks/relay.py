"""A check through a relay, beside the same check over the server's own unix socket.

    .venv/bin/python -m benchmarks.relay [--checks 600]

One room, one run: first the server starts the enclaves; then the same stores are moved to their
owners, who start them, and relays connect them over mutual TLS on this machine. What a relay adds
is two more processes on the way, and TLS in TLS; a real line adds its own time. Times are wall
times of one run, so read the differences.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks.checks import ALONE, FLOORS, IN_FLIGHT, Bench, Prepared, show
from benchmarks.gauges import Row, measure
from saferoom_client.aio import AsyncRoom
from saferoom_client.demo.data import Borrower, read_records
from saferoom_client.demo.processes import Processes
from saferoom_client.demo.stage import Stage
from saferoom_client.premises.home import Home, HomeConfig

WARM = 20

Pairs = Sequence[tuple[Borrower, int]]


async def ask(bench: Bench, what: str, pairs: Pairs) -> list[Row]:
    """Measure new questions, one at a time and then many, and verify every answer."""
    async with AsyncRoom.open(bench.stage.member("bank-a", "desk")) as room:
        prepared = Prepared(room)
        calls = await prepared.calls(pairs)
        await measure("warm", calls[:WARM], 1)
        rows = [
            await measure(f"{what}, one at a time", calls[WARM : WARM + ALONE], 1),
            await measure(f"{what}, {IN_FLIGHT} in flight", calls[WARM + ALONE :], IN_FLIGHT),
        ]
        await prepared.verify()
    return rows


def move_to_owners(stage: Stage) -> None:
    """End the server and its enclaves, and have their owners start them where the stores are."""
    stage.processes.stop("server")
    config = stage.room / "room.toml"
    lines = "".join(f'{owner} = "owner"\n' for owner in stage.owners)
    text = config.read_text("utf-8").replace("[enclaves.run_by]\n", f"[enclaves.run_by]\n{lines}")
    config.write_text(text, "utf-8")
    stage.serve()
    for owner, keys in stage.owners.items():
        root = keys.root.verify_key.public
        made = HomeConfig(room=stage.card.origin, owner=owner, charter_root=root)
        home = Home.create(stage.folder / "homes" / owner, made)
        home.state.rmdir()
        shutil.move(stage.room / "enclaves" / owner, home.state)
        keys.agent.require([home.key.verify_key.public])
        stage.enrol(owner, "relay")
        stage.processes.start(f"enclave {owner}", "enclave", "run", str(home.folder))
        relay = ("relay", "run", str(home.exchange.folder))
        member = str(stage.member(owner, "relay"))
        stage.processes.start(f"relay {owner}", *relay, "--profile", member)
    stage.wait_for_enclaves()


def measure_both(count: int) -> None:
    """Open a room, measure it both ways, and print what was found."""
    each = WARM + ALONE + count
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as name:
        folder = Path(name).absolute()
        billed = [one for one in read_records().borrowers if one.paid_3m is not None]
        with Processes(folder / "logs") as processes:
            stage = Stage(folder, processes, release_tick_milliseconds=0)
            bench = Bench(stage, billed[: 2 * each // len(FLOORS) + 1])
            bench.prepare()
            asyncio.run(bench.consent())
            pairs = bench.pairs()
            rows = uvloop.run(ask(bench, "unix socket", pairs[:each]))
            move_to_owners(stage)
            rows += uvloop.run(ask(bench, "relay", pairs[each : 2 * each]))
    socket, socket_flight, relay, relay_flight = rows
    show(
        rows,
        {
            "what the relay adds to a check alone": (
                f"{relay.p50 - socket.p50:.2f} ms at p50, {relay.p99 - socket.p99:.2f} ms at p99"
            ),
            f"rate at {IN_FLIGHT} in flight, of the socket's": (
                f"{relay_flight.per_second / socket_flight.per_second:.2f}"
            ),
        },
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=600, help="checks at 16 in flight")
    measure_both(parser.parse_args().checks)


if __name__ == "__main__":
    main()
