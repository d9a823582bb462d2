"""Options that many commands share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.cli.output import remember_json
from saferoom_client.tongue import say
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.uscc import parse_uscc

ProfileOption = Annotated[
    Path,
    typer.Option(
        "--profile",
        "-p",
        envvar="SAFEROOM_PROFILE",
        help="Your member folder.",
        file_okay=False,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON document.",
        callback=remember_json,
        is_eager=True,
    ),
]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, for the log.")]
PurposeOption = Annotated[
    list[str],
    typer.Option(
        "--purpose",
        help="pre-loan, in-loan, post-loan, product-design or supervision.",
    ),
]
RoomCardOption = Annotated[
    Path,
    typer.Option(
        "--room",
        help="The room's card, room-card.json, from its operator.",
        exists=True,
        dir_okay=False,
    ),
]
UnitsFolder = Annotated[
    Path,
    typer.Option("--out", "-o", help="The folder to write units into.", file_okay=False),
]
UserOption = Annotated[str, typer.Option(help="As which user it runs.")]
InputFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, show_default=False)
]
NewFile = Annotated[
    Path,
    typer.Option("--out", "-o", help="The file to write.", dir_okay=False),
]


def group(about: str) -> typer.Typer:
    """Make a group of commands."""
    return typer.Typer(help=about, no_args_is_help=True, add_completion=False)


def subject_code(text: str) -> str:
    """Read a subject's code from the command line."""
    try:
        return parse_uscc(text)
    except SafeRoomError as error:
        rules = "; ".join(say(fault.rule) for fault in error.fields)
        words = error.words
        told = f"{say(words.what)} {rules}. {say(words.next_step)}"
        raise typer.BadParameter(told) from None


SubjectOption = Annotated[
    str,
    typer.Option(
        "--subject",
        parser=subject_code,
        metavar="USCC",
        help="The unified social credit code, 18 characters.",
    ),
]


def pairs(texts: Sequence[str], what: str) -> dict[str, str]:
    """Read NAME=VALUE texts; each name once."""
    read: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise typer.BadParameter(say("{text!r} is not {what}", text=text, what=what))
        if name in read:
            raise typer.BadParameter(say("{name!r} is given twice", name=name))
        read[name] = value
    return read


def window(now: datetime, days: int) -> tuple[datetime, datetime]:
    """Give the validity that begins now and lasts so many days."""
    start = now - timedelta(microseconds=now.microsecond)
    return start, start + timedelta(days=days)
