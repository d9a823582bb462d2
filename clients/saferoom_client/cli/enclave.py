"""Commands of an owner that runs its enclave on its own premises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.options import (
    JsonOption,
    RoomCardOption,
    UnitsFolder,
    UserOption,
    group,
)
from saferoom_client.cli.output import show, show_units
from saferoom_client.cli.staying import run_until_told, teller
from saferoom_client.files import read_model
from saferoom_client.premises.home import EXCHANGE, Home, HomeConfig
from saferoom_client.premises.supervise import measured_here, supervise
from saferoom_client.profile import RoomCard
from saferoom_client.tongue import say
from saferoom_client.units import plain, write_unit

app = group("Run an owner's enclave on its premises.")

HomeFolder = Annotated[Path, typer.Argument(help="The enclave's folder.", file_okay=False)]


@app.command()
def init(
    folder: HomeFolder,
    *,
    room: RoomCardOption,
    owner: Annotated[str, typer.Option(help="The data owner.")],
    charter_root: Annotated[str, typer.Option(help="The owner's charter root key.")],
    exchange: Annotated[
        Path | None,
        typer.Option(
            help="A folder shared with the relay's user; else one inside.",
            file_okay=False,
        ),
    ] = None,
    memory_mib: Annotated[int, typer.Option(min=256, help="The most address space.")] = 4096,
    sandbox: Annotated[bool, typer.Option(help="Without it, for development only.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Make the folder of an enclave that the owner runs, and its supervisor's key."""
    home = Home.create(
        folder,
        HomeConfig(
            room=read_model(room, RoomCard).origin,
            owner=owner,
            charter_root=charter_root,
            exchange=EXCHANGE if exchange is None else str(exchange.resolve()),
            max_memory_mib=memory_mib,
            sandbox=sandbox,
        ),
    )
    key = home.key.verify_key.public
    show(
        as_json,
        {"owner": owner, "supervisor": key, "exchange": str(home.exchange.folder)},
        say("made the enclave's folder of {owner} in {folder}", owner=owner, folder=folder),
        say("its supervisor's key: {key}", key=key),
        say("next: saferoom agent require AGENT --supervisor {key}", key=key),
        say("then: saferoom enclave run {folder}", folder=folder),
        say("and: saferoom relay run {folder} -p PROFILE", folder=home.exchange.folder),
    )


@app.command()
def run(folder: HomeFolder, as_json: JsonOption = False) -> None:
    """Run the enclave, and start it again whenever it ends, until stopped."""
    home = Home.load(folder)
    measured_here()
    run_until_told(supervise(home, on_event=teller(as_json)))


@app.command()
def units(
    folder: HomeFolder,
    *,
    out: UnitsFolder,
    user: UserOption = "saferoom-enclave",
    memory_mib: Annotated[int, typer.Option(min=512, help="The most memory.")] = 6144,
    as_json: JsonOption = False,
) -> None:
    """Write the systemd unit that runs the enclave, with no network and little else."""
    home = Home.load(folder)
    owner = home.config.owner
    settings = {
        "owner": owner,
        "memory_mib": str(memory_mib),
        "exchange": plain(home.exchange.folder),
    }
    written = write_unit(out, "enclave", folder, user, settings, suffix=f"-{owner}")
    show_units(as_json, written, folder, user)
