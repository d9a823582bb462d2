"""`saferoom sandbox`: a room on this machine to test an integration by, made or opened again."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer

from saferoom_client.cli.options import JsonOption
from saferoom_client.cli.output import show
from saferoom_client.cli.tables import table
from saferoom_client.demo.processes import Processes
from saferoom_client.demo.stage import Stage
from saferoom_client.files import PUBLIC_FILE, write_file
from saferoom_client.profile import Profile
from saferoom_client.sandbox.build import BANK, LOCKED, SANDBOX, Builder
from saferoom_client.sandbox.codes import CODES, DESK, SLOW, documents, how
from saferoom_client.sandbox.leftovers import LOCK, alone_in
from saferoom_client.sandbox.line import SlowLine
from saferoom_client.tongue import say, titled
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Title

_ROOMS_OWN: Final = ("sqlalchemy", "duckdb")
"""What a server and an enclave need, and a light client lacks."""
MARK: Final = "sandbox.txt"
CODES_FILE: Final = "codes.json"
"""Written last: a folder without it was left half made."""


def run(
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Where the room is made, or lies already."),
    ] = Path("sandbox"),
    as_json: JsonOption = False,
) -> None:
    """Open a room with made-up firms for every kind of answer, until Ctrl-C."""
    if missing := [each for each in _ROOMS_OWN if find_spec(each) is None]:
        raise SafeRoomError(Reason.NOT_INSTALLED, f"there is no module {missing[0]}")
    folder = out.absolute()
    require_own(folder)
    closed = say("the sandbox is closed; the same command opens it again")
    with until_stopped(closed), alone_in(folder), Processes(folder / "logs") as processes:
        stage = Stage(folder, processes, SANDBOX)
        if (folder / CODES_FILE).exists():
            reopen(stage)
        else:
            clear(folder)
            Builder(stage, lambda step: typer.echo(f"  {step}", err=True)).build()
            write_file(folder / CODES_FILE, json.dumps(documents(), indent=1).encode(), PUBLIC_FILE)
        bank = stage.member(BANK, DESK)
        slow = Profile.load(stage.member(BANK, SLOW)).card.address
        with SlowLine(slow, stage.card.address):
            show(as_json, _document(bank), *_lines(out, bank))
            processes.wait_until(lambda: False, "", seconds=float("inf"))


def require_own(folder: Path) -> None:
    """Make a sandbox's folder, or see that it is one.

    Raises:
        SafeRoomError: `BAD_CONFIG` if something else lies there.
    """
    mark = folder / MARK
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        rule = "is not empty and no sandbox; name another folder with --out"
        fault = FieldFault(str(folder), rule)
        raise SafeRoomError(Reason.BAD_CONFIG, f"{folder} {rule}", [fault])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark.write_text("Made by `saferoom sandbox`; remove the folder to have it made anew.\n")


def clear(folder: Path) -> None:
    """Remove what a sandbox left that was half made."""
    for each in folder.iterdir():
        if each.name not in (MARK, LOCK):
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def reopen(stage: Stage) -> None:
    """Start the processes of a sandbox that was made before."""
    stage.serve()
    stage.start_agents(LOCKED)
    stage.wait_for_enclaves(LOCKED)


@contextmanager
def until_stopped(words: str) -> Generator[None]:
    """Let Ctrl-C and SIGTERM end what is done within, cleanly and without an error; say so."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(words, err=True)
    finally:
        signal.signal(signal.SIGTERM, before)


def _lines(out: Path, bank: Path) -> Iterator[str]:
    rows = [
        (
            str(code.ends_in),
            code.subject,
            code.template,
            how(code).replace("`", ""),
            titled(Title(en=code.why, zh=code.why_zh)),
        )
        for code in CODES
    ]
    yield from table(("ENDS IN", "SUBJECT", "TEMPLATE", "WITH", "BECAUSE"), rows)
    yield ""
    yield say("the sandbox is open; your bank's member folder is {bank}", bank=bank)
    first = CODES[0]
    params = " ".join(f"--param {name}={value}" for name, value in first.params.items())
    yield say(
        "try: saferoom check {template} --subject {subject} --purpose {purpose} {params} -p {bank}",
        template=first.template,
        subject=first.subject,
        purpose=first.purpose,
        params=params,
        bank=bank,
    )
    yield say(
        "Ctrl-C closes it, and every check then ends in UNAVAILABLE; remove {out} to begin anew",
        out=out,
    )


def _document(bank: Path) -> dict[str, object]:
    return {"profile": str(bank), "codes": documents()}
