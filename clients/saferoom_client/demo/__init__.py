"""The demo: one room, two owners, a bank and four borrowers, with real processes and records."""

from __future__ import annotations

import fcntl
import shutil
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from saferoom_client.cli.options import SuiteOption, require_suite
from saferoom_client.demo.city import show_city
from saferoom_client.demo.data import read_records
from saferoom_client.demo.play import Play
from saferoom_client.demo.processes import Processes
from saferoom_client.demo.screen import Screen
from saferoom_client.demo.stage import Stage
from saferoom_client.demo.tables import tabulate
from saferoom_client.demo.training import train
from saferoom_client.tongue import later
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.suite import Suite

FOLDER: Final = Path("demo-room")


def run(
    folder: Annotated[
        Path, typer.Argument(help="Where the room is made; a demo's own is made anew.")
    ] = FOLDER,
    suite: SuiteOption = Suite.INTERNATIONAL,
) -> None:
    """Open a room in a folder and run the main job on real records."""
    require_suite(suite)
    _clear(folder)
    screen = Screen()
    screen.open(str(folder))
    with Processes(folder.absolute() / "logs") as processes:
        stage = Stage(folder.absolute(), processes, suite=suite)
        play = Play(stage, screen, read_records())
        for act in (
            play.found_the_room,
            play.load_and_define,
            play.approve,
            play.agree_and_consent,
            play.ask,
            play.be_refused,
            partial(train, stage, screen, play.records, play.cast["silent"]),
            partial(tabulate, stage, screen),
            partial(show_city, stage, screen),
            play.meet_a_dishonest_server,
            play.verify,
        ):
            act()
    screen.close(folder)


def _clear(folder: Path) -> None:
    """Remove an earlier demo's folder, and nobody else's."""
    mark = folder / "demo.txt"
    if folder.exists() and any(folder.iterdir()):
        if not mark.exists():
            rule = "is not empty and not a demo's; name another folder"
            fault = FieldFault(str(folder), rule)
            raise SafeRoomError(Reason.BAD_CONFIG, f"{folder} {rule}", [fault])
        _require_closed(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark.write_text("Made by `saferoom demo`; the next one makes it anew.\n")


def _require_closed(folder: Path) -> None:
    """Refuse to remove the folder of a room that runs: its server holds a lock beside its state."""
    lock = folder / "room" / "state.db.lock"
    if not lock.exists():
        return
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            rule = "is open already, in another window"
            fault = FieldFault(str(folder), rule)
            refusal = SafeRoomError(Reason.CONFLICT, f"{folder} {rule}", [fault])
            refusal.add_note(later("Close it there with Ctrl-C, or name another folder."))
            raise refusal from None
