"""Writes receipts beside what a command shows: of an answer, and of a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import typer

from saferoom_client.cli.output import error_document, in_one_line, show
from saferoom_client.cli.rules_said import say_rule
from saferoom_client.files import PUBLIC_FILE, write_file
from saferoom_client.refused import Refused
from saferoom_client.tongue import say
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.receipt import Receipt

_UNWRITTEN: Final = 1
"""The exit status where the answer is there, and its receipt could not be written."""


def unwritten(path: Path, receipt: Receipt, kept: Path | None = None) -> SafeRoomError | None:
    """Write an answer's receipt; gives why it could not be, and how to have it yet."""
    try:
        write_file(path, receipt.to_json(), PUBLIC_FILE)
    except SafeRoomError as error:
        if kept is not None:
            error.add_note(f"saferoom check --again {kept} --receipt FILE")
        return error
    return None


def show_answer(
    as_json: bool, document: Mapping[str, object], *lines: str, failed: SafeRoomError | None
) -> None:
    """Show an answer, and why its receipt could not be written: what was charged is shown.

    Raises:
        SafeRoomError: what failed, behind the lines; in JSON one document holds both.
    """
    if failed is None:
        show(as_json, document, *lines)
        return
    show(as_json, {**document, **error_document(failed)}, *lines)
    raise typer.Exit(_UNWRITTEN) if as_json else failed


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
