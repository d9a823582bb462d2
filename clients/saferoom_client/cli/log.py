"""Commands about the room's log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from saferoom_client.cli.options import JsonOption, ProfileOption, group
from saferoom_client.cli.output import moment, progress_of, show
from saferoom_client.room import Room
from saferoom_client.tongue import say
from saferoom_proto.statements.witnesses import Witnessed

app = group("Verify the room's log.")


@app.command()
def checkpoint(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Print the newest checkpoint, signed by the room: a C2SP signed note."""
    with Room.open(profile) as room:
        note = room.checkpoint()
    show(as_json, {"checkpoint": note}, note.rstrip("\n"))


@app.command()
def verify(
    profile: ProfileOption,
    whole: Annotated[bool, typer.Option("--whole", help="Read and hash every entry.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Verify that the log only grew since you last looked.

    Auditors open every entry with --whole.
    """
    bar, move = progress_of("entries", quiet=as_json)
    with Room.open(profile) as room, bar:
        report = room.verify_log(whole=whole, progress=move)
    size = report.checkpoint.size
    since = None if report.since is None else report.since.size
    document = {
        "size": size,
        "root": report.checkpoint.root.hex(),
        "since": since,
        "entries_read": report.entries,
        "entries_opened": report.opened,
        "entries_erased": report.erased,
        "witnesses": None
        if report.witnessed is None
        else {
            "size": report.witnessed.checkpoint.size,
            "cosigned": {each.witness: each.time for each in report.witnessed.by},
        },
    }
    grown = (
        say(
            "the log has {size:,} entries and extends the {since:,} you verified before",
            size=size,
            since=since,
        )
        if since is not None
        else say(
            "the log has {size:,} entries; this is the first head you have seen, and it is kept",
            size=size,
        )
    )
    lines = [grown]
    if whole:
        lines.append(
            say(
                "{entries:,} entries hash to the signed root; {opened:,} were opened and commit"
                " to their statements, {erased:,} were erased",
                entries=report.entries,
                opened=report.opened,
                erased=report.erased,
            )
        )
    if report.witnessed is not None:
        lines += cosigned_lines(report.witnessed)
    show(as_json, document, *lines)


def cosigned_lines(witnessed: Witnessed) -> list[str]:
    """Tell who cosigned a head, and when."""
    size = witnessed.checkpoint.size
    return [
        say(
            "{witness} cosigned {size:,} entries, {moment}",
            witness=each.witness,
            size=size,
            moment=moment(datetime.fromtimestamp(each.time, UTC)),
        )
        for each in witnessed.by
    ]
