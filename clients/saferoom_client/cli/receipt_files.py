"""Writes receipts beside what a command shows: of an answer, and of a refusal."""

from __future__ import annotations

from pathlib import Path

import typer

from saferoom_client.cli.output import in_one_line
from saferoom_client.cli.rules_met import say_rule
from saferoom_client.files import PUBLIC_FILE, write_file
from saferoom_client.refused import Refused
from saferoom_client.tongue import say
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.receipt import Receipt


def unwritten(path: Path, receipt: Receipt, kept: Path | None = None) -> SafeRoomError | None:
    """Write an answer's receipt; gives why it could not be, and how to have it yet."""
    try:
        write_file(path, receipt.to_json(), PUBLIC_FILE)
    except SafeRoomError as error:
        if kept is not None:
            error.add_note(f"saferoom check --again {kept} --receipt FILE")
        return error
    return None


def write_refusal(path: Path | None, refused: Refused) -> None:
    """Write a refusal's receipt, if its enclave signed one; what fails is only said."""
    if path is None:
        return
    try:
        receipt = refused.receipt()
    except SafeRoomError:
        typer.echo(say("no enclave signed this refusal, so there is no receipt"), err=True)
        return
    if (failed := unwritten(path, receipt)) is not None:
        why = in_one_line(say_rule(failed.detail))
        typer.echo(say("the receipt was not written: {why}", why=why), err=True)
