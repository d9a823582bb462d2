"""Commands of the operator, and of anybody who wants to know how the room does.

The room's own software is imported by its name when it is called for: a light client has none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Protocol, cast

import typer

from saferoom_client.cli import room_care, room_keys
from saferoom_client.cli.faults import fault_lines
from saferoom_client.cli.options import (
    JsonOption,
    ProfileOption,
    SuiteOption,
    UnitsFolder,
    UserOption,
    group,
    require_suite,
)
from saferoom_client.cli.output import show, show_units
from saferoom_client.cli.software import of_room
from saferoom_client.cli.tables import table
from saferoom_client.files import read_file
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_client.tongue import say
from saferoom_client.units import write_unit
from saferoom_proto.suite import Suite

app = group("Make and run a room; see how it does.")

RoomFolder = Annotated[Path, typer.Argument(help="The room's folder.", file_okay=False)]
CARD = "room-card.json"


@app.command()
def init(
    folder: RoomFolder,
    origin: Annotated[str, typer.Option(help="The room's name, as example.org/credit.")],
    address: Annotated[
        str, typer.Option(help="HOST:PORT where members reach it.")
    ] = "localhost:7443",
    suite: SuiteOption = Suite.INTERNATIONAL,
    as_json: JsonOption = False,
) -> None:
    """Make a room in a new folder: its keys, certificates and configuration."""
    require_suite(suite)
    of_room("saferoom.room", "init_room")(folder, origin, address, suite=suite)
    card = folder / CARD
    show(
        as_json,
        {"folder": str(folder), "card": str(card), "suite": suite},
        say("made the room {origin} in {folder}", origin=origin, folder=folder),
        say("its card, for every member: {card}", card=card),
        say(
            "next: saferoom room admit {folder} ISSUER/issuer.pem,"
            " then saferoom room serve {folder}",
            folder=folder,
        ),
    )


@app.command()
def admit(
    folder: RoomFolder,
    certificate: Annotated[
        Path, typer.Argument(help="An identity issuer's issuer.pem.", exists=True)
    ],
    name: Annotated[str, typer.Option(help="Its name in the room's folder.")] = "issuer",
    as_json: JsonOption = False,
) -> None:
    """Let the members that an identity issuer names into the room, which may run."""
    of_room("saferoom.room", "add_issuer")(folder, name, read_file(certificate), certificate)
    show(
        as_json,
        {"issuer": name},
        say(
            "admitted the identity issuer {name}; a room that runs sees it within a second",
            name=name,
        ),
    )


class _Setting(Protocol):
    key: str
    value: object
    is_default: bool


class _Examined(Protocol):
    origin: str
    settings: Sequence[_Setting]
    warnings: Sequence[str]


@app.command()
def check(folder: RoomFolder, as_json: JsonOption = False) -> None:
    """Check configuration, keys and certificates without starting the room; show what counts."""
    found = cast("_Examined", of_room("saferoom.examine", "examine_room")(folder, utc_now()))
    rows = [
        (
            one.key,
            "" if one.value is None else json.dumps(one.value, ensure_ascii=False),
            say("default") if one.is_default else "room.toml",
        )
        for one in found.settings
    ]
    show(
        as_json,
        {
            "origin": found.origin,
            "settings": {one.key: one.value for one in found.settings},
            "warnings": list(found.warnings),
        },
        *table(("KEY", "VALUE", "FROM"), rows),
        *(say("warning: {problem}", problem=say(each)) for each in found.warnings),
        say(
            "the room {origin} can be served: saferoom room serve {folder}",
            origin=found.origin,
            folder=folder,
        ),
    )


@app.command()
def serve(folder: RoomFolder) -> None:
    """Run the room until it is stopped."""
    of_room("saferoom.serving", "run")(folder)


@app.command()
def status(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Show how the room and the owners' enclaves do."""
    with Room.open(profile) as room:
        state = room.describe()
    rows = [
        (
            each.owner,
            say(each.run_by),
            say(each.state),
            str(each.sandbox_level),
            ", ".join(each.sandbox_missing) or say("nothing"),
            each.endorsement or say("none"),
        )
        for each in state.enclaves
    ]
    document = {
        "origin": state.origin,
        "version": state.version,
        "enclaves": [
            {
                "owner": each.owner,
                "run_by": each.run_by,
                "connected": each.connected,
                "state": each.state,
                "sandbox_level": each.sandbox_level,
                "sandbox_missing": list(each.sandbox_missing),
                "endorsement": each.endorsement,
                "fault": each.fault,
            }
            for each in state.enclaves
        ],
    }
    show(
        as_json,
        document,
        say(
            "{origin}, version {version}, with the keys that you pinned",
            origin=state.origin,
            version=state.version,
        ),
        *table(("OWNER", "RUN BY", "ENCLAVE", "SANDBOX", "LACKS", "ENDORSEMENT"), rows),
        *fault_lines(state.enclaves),
    )


@app.command()
def units(
    folder: RoomFolder,
    *,
    out: UnitsFolder,
    user: UserOption = "saferoom",
    memory_mib: Annotated[
        int, typer.Option(min=512, help="The most memory, enclaves included.")
    ] = 8192,
    as_json: JsonOption = False,
) -> None:
    """Write the systemd unit that runs the room with as little as it needs."""
    ports = cast("tuple[int, ...]", of_room("saferoom.config", "listening_ports")(folder))
    settings = {
        "memory_mib": str(memory_mib),
        "binds": "\n".join(f"SocketBindAllow=tcp:{port}" for port in ports),
    }
    written = write_unit(out, "room", folder, user, settings)
    show_units(as_json, written, folder, user)


app.add_typer(room_care.app)
app.add_typer(room_keys.app)
