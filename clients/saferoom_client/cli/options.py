"""Options that many commands share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from saferoom_client.cli.output import remember_json
from saferoom_client.tongue import later
from saferoom_proto import sm2
from saferoom_proto.encoding import check_digest
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import FieldFault, SafeRoomError
from saferoom_proto.suite import Suite
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
MOST_DAYS: Final = 36_525
"""A century: nothing that is signed here lasts longer, and a calendar's end is never met."""
DaysOption = Annotated[int, typer.Option(min=1, max=MOST_DAYS, help="Days of validity.")]
BlindOption = Annotated[
    bool,
    typer.Option(
        "--blind", help="Match the value without telling it; refused if it would be told."
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
SuiteOption = Annotated[
    Suite,
    typer.Option("--suite", help="The room's crypto suite; guomi is SM2, SM3 and SM4."),
]
UserOption = Annotated[str, typer.Option(help="As which user it runs.")]
InputFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, show_default=False)
]
NewFile = Annotated[
    Path,
    typer.Option("--out", "-o", help="The file to write.", dir_okay=False),
]


def require_suite(suite: Suite) -> None:
    """Refuse with `NOT_INSTALLED` a suite that needs what is not here, before anything is made."""
    if suite is Suite.GUOMI:
        sm2.require_installed()


def group(about: str) -> typer.Typer:
    """Make a group of commands."""
    return typer.Typer(help=about, no_args_is_help=True, add_completion=False)


def subject_code(text: str) -> str:
    """Read a subject's code from the command line."""
    try:
        return parse_uscc(text)
    except SafeRoomError as error:
        rules = "; ".join(fault.rule for fault in error.fields)
        told = f"{rules} (GB 32100-2015)"
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


MaybeSubjectOption = Annotated[
    str | None,
    typer.Option(
        "--subject",
        parser=subject_code,
        metavar="USCC",
        help="The unified social credit code, 18 characters.",
    ),
]


def public_key(text: str) -> str:
    """Read a public key from the command line, as statements carry it."""
    try:
        return VerifyKey.from_public(text).public
    except SafeRoomError:
        raise typer.BadParameter(later("no public key in base64")) from None


def digest_of(text: str, place: str, listing: str) -> str:
    """Read a digest from the command line.

    Args:
        text: as it was typed.
        place: the argument or option.
        listing: the command that lists such digests.

    Raises:
        SafeRoomError: `MALFORMED` naming the place, with the command to type next.
    """
    try:
        return check_digest(text)
    except SafeRoomError as error:
        refusal = SafeRoomError(error.reason, error.detail, [FieldFault(place, error.detail)])
        refusal.add_note(f"saferoom {listing}")
        raise refusal from None


def pairs(texts: Sequence[str], what: str) -> dict[str, str]:
    """Read NAME=VALUE texts; each name once."""
    read: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise typer.BadParameter(f"{text} is not written as {what}")
        if name in read:
            raise typer.BadParameter(f"{name} is given twice")
        read[name] = value
    return read


def window(now: datetime, days: int) -> tuple[datetime, datetime]:
    """Give the validity that begins now and lasts so many days."""
    start = now - timedelta(microseconds=now.microsecond)
    return start, start + timedelta(days=days)
