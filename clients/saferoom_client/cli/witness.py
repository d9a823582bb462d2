"""Commands of a witness, which an auditor, an institution or an owner runs beside the room."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from saferoom_client.cli.options import (
    InputFile,
    JsonOption,
    ProfileOption,
    RoomCardOption,
    UnitsFolder,
    UserOption,
    group,
)
from saferoom_client.cli.output import in_one_line, mapping, print_error, show, show_units
from saferoom_client.cli.rules_said import say_rule
from saferoom_client.cli.staying import run_until_told, teller
from saferoom_client.events import Event, Happening
from saferoom_client.files import read_model
from saferoom_client.profile import Profile, RoomCard
from saferoom_client.session import Session
from saferoom_client.tongue import later, say
from saferoom_client.units import write_unit
from saferoom_client.witness.accusation import Judged, Verdict
from saferoom_client.witness.accusation import judge as judge_evidence
from saferoom_client.witness.folder import PROFILE, PUBLIC, Evidence, Witness
from saferoom_client.witness.judging import Judging
from saferoom_client.witness.watch import (
    EVERY_SECONDS,
    LEAST_SECONDS,
    CaughtError,
    look,
    require_same_room,
    watch,
)
from saferoom_proto.checkpoint import require_name
from saferoom_proto.cosignature import Algorithm
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

app = group("Watch a room's log and cosign it.")

_VERDICTS: Final = (later("proven"), later("refuted"), later("unproven"))
"""The verdicts (`Verdict`), listed for translation."""

CAUGHT: Final = 3
"""The exit status of a witness that caught the room; other failures have 1."""

WitnessFolder = Annotated[Path, typer.Argument(help="The witness's folder.", file_okay=False)]


@app.command()
def init(
    folder: WitnessFolder,
    *,
    room: RoomCardOption,
    name: Annotated[
        str, typer.Option(help="Its name in every cosignature: bank-a.example/witness.")
    ],
    key: Annotated[Algorithm, typer.Option(help="How it signs.")] = Algorithm.ML_DSA_44,
    as_json: JsonOption = False,
) -> None:
    """Make a witness with a fresh key."""
    try:
        require_name(name)
    except SafeRoomError as error:
        rule = later("a key name is not empty and holds no space and no plus")
        raise SafeRoomError(error.reason, rule, [FieldFault("--name", rule)]) from error
    witness = Witness.create(folder, name, key, read_model(room, RoomCard))
    show(
        as_json,
        {"name": name, "key": witness.cosigner.key.text, "origin": witness.watched.origin},
        say("made the witness {name} in {folder}", name=name, folder=folder),
        say("its verifier key, for whoever relies on it: {path}", path=folder / PUBLIC),
        say(
            "next: saferoom issuer enrol ISSUER --organisation YOURS --name witness --room {room}"
            " --out {profile}",
            room=room,
            profile=folder / PROFILE,
        ),
    )


@app.command()
def run(
    folder: WitnessFolder,
    *,
    profile: Annotated[
        Path | None,
        typer.Option(
            "--profile", "-p", help="Another member folder than its own.", file_okay=False
        ),
    ] = None,
    every: Annotated[
        float, typer.Option(min=LEAST_SECONDS, max=600, help="Seconds between two looks.")
    ] = EVERY_SECONDS,
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
    audit: Annotated[
        bool,
        typer.Option("--audit", help="Judge every entry first, as an auditor's witness can."),
    ] = False,
    since: Annotated[int, typer.Option(min=0, help="With --audit: judge from this entry on.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Watch the log, and cosign it as long as it only grows, until stopped.

    The exit status is 3 if the room rewrote, cut or forked its log, or signed with another key.
    """
    if since and not audit:
        rule = later("it goes with --audit")
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--since", rule)])
    witness = Witness.load(folder)
    member = Profile.load(profile or folder / PROFILE)
    witness = require_same_room(witness, member)
    tell = teller(as_json)
    judging = Judging(member, since) if audit else None

    async def program() -> None:
        if not once:
            await watch(witness, member, judging=judging, every_seconds=every, on_event=tell)
            return
        async with Session(member) as session:
            if judging is not None:
                await judging.require_able(session)
            looked = await look(session, witness, judging)
        witness.show_figures(looked.time)
        size = f"{looked.checkpoint.size:,} entries, {looked.grown:,} of them new"
        tell(Event(Happening.COSIGNED, size))

    with witness.alone():
        try:
            run_until_told(program())
        except CaughtError as caught:
            print_error(caught, as_json=as_json)
            raise typer.Exit(CAUGHT) from caught


@app.command(name="show")
def show_(folder: WitnessFolder, as_json: JsonOption = False) -> None:
    """Show how far a witness has come, and the evidence it holds.

    The exit status is 3 if there is any.
    """
    witness = Witness.load(folder)
    checkpoint, evidence = witness.seen_checkpoint, witness.evidence()
    document = {
        "name": witness.watched.name,
        "key": witness.cosigner.key.text,
        "origin": witness.watched.origin,
        "size": None if checkpoint is None else checkpoint.size,
        "root": None if checkpoint is None else checkpoint.root.hex(),
        "evidence": [str(path) for path in evidence],
    }
    seen = (
        say("nothing yet")
        if checkpoint is None
        else say("{size:,} entries, root {root}", size=checkpoint.size, root=checkpoint.root.hex())
    )
    lines = mapping(
        {
            "witness": witness.watched.name,
            "signs with": str(witness.cosigner.key.algorithm),
            "log": witness.watched.origin,
            "cosigned up to": seen,
        }
    )
    for path in evidence:
        found = read_model(path, Evidence)
        lines.append(say("the log was {misdeed}: {path}", misdeed=found.misdeed, path=path))
        lines.append(f"  {in_one_line(say_rule(found.what))}")
    show(as_json, document, *lines)
    if evidence:
        raise typer.Exit(CAUGHT)


@app.command()
def judge(evidence: InputFile, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Judge a witness's evidence: what the room signed, and whether it can join it.

    A witness can lie too. The exit status is 3 if the evidence proves a misdeed.
    """

    async def program() -> Judged:
        async with Session(Profile.load(profile)) as session:
            return await judge_evidence(session, read_model(evidence, Evidence))

    judged = asyncio.run(program())
    show(
        as_json,
        {"verdict": judged.verdict, "why": judged.why},
        say("{verdict}: {why}", verdict=say(judged.verdict), why=say(judged.why)),
    )
    if judged.verdict is Verdict.PROVEN:
        raise typer.Exit(CAUGHT)


@app.command()
def units(
    folder: WitnessFolder,
    *,
    out: UnitsFolder,
    user: UserOption = "saferoom-witness",
    as_json: JsonOption = False,
) -> None:
    """Write the systemd unit that runs the witness with as little as it needs."""
    origin = Witness.load(folder).watched.origin
    written = write_unit(out, "witness", folder, user, {"origin": origin})
    show_units(as_json, written, folder, user)
