"""Commands of the relay, which connects an enclave on its owner's premises to the room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.options import JsonOption, ProfileOption, UnitsFolder, UserOption, group
from saferoom_client.cli.output import show_units
from saferoom_client.cli.staying import run_until_told, teller
from saferoom_client.files import bad_file
from saferoom_client.premises.exchange import Exchange
from saferoom_client.premises.relay import relay
from saferoom_client.profile import Profile
from saferoom_client.units import plain, write_unit

app = group("Connect an owner's enclave to the room.")

ExchangeFolder = Annotated[
    Path,
    typer.Argument(
        help="The folder shared with the enclave's supervisor.",
        file_okay=False,
    ),
]


@app.command()
def run(exchange: ExchangeFolder, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Carry what passes between room and enclave, unread, until stopped."""
    member = Profile.load(profile)
    if not exchange.is_dir():
        raise bad_file(exchange, "no such folder; saferoom enclave init makes it")
    run_until_told(relay(Exchange(exchange), member, on_event=teller(as_json)))


@app.command()
def units(
    exchange: ExchangeFolder,
    profile: ProfileOption,
    *,
    out: UnitsFolder,
    user: UserOption = "saferoom-relay",
    as_json: JsonOption = False,
) -> None:
    """Write the systemd unit that runs the relay with as little as it needs."""
    owner = Profile.load(profile).member.organisation
    settings = {"owner": owner, "profile": plain(profile)}
    written = write_unit(out, "relay", exchange, user, settings, suffix=f"-{owner}")
    show_units(as_json, written, exchange, user)
