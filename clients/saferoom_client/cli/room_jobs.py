"""What commands about jobs do with trainings in the room: asked once, answered once, kept here."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.status import Status

from saferoom_client.cli.fit_words import describe_card, describe_outcome, fit_document
from saferoom_client.cli.output import show
from saferoom_client.files import write_file
from saferoom_client.fit_page import write_page, write_pdf
from saferoom_client.fits import Chosen, FitAnswer, KeptFit
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_client.values import TemplateView
from saferoom_proto.fit_receipt import VerifiedFit
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

_FAILED: Final = 1


def require_no_rows(view: TemplateView, rows: Path | None, label: str | None) -> None:
    """Refuse a table where all columns lie with the owner: it would be used for nothing."""
    if rows is not None or label is not None:
        rule = f"{view.template.name} trains on the owner's columns alone: give no --rows, --label"
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--rows", rule)])


def submit_in_room(
    room: Room, view: TemplateView, purpose: str, chosen: Chosen, *, as_json: bool
) -> None:
    """Ask for a training in the room, and show what became of it."""
    try:
        with _working(as_json=as_json):
            answer = room.train_in_room(view.envelope.digest, purpose=purpose, chosen=chosen)
    except KeyboardInterrupt:
        typer.echo(say("stopped; what was asked for shows: saferoom job list"), err=True)
        raise
    _show(answer, as_json=as_json)


def resume_in_room(room: Room, kept: KeptFit, *, as_json: bool) -> None:
    """Ask again for a training in the room that broke off, and show what became of it."""
    with _working(as_json=as_json):
        answer = room.take_up_fit(kept.job)
    _show(answer, as_json=as_json)


def report_in_room(kept: KeptFit, html: Path | None, pdf: Path | None, *, as_json: bool) -> None:
    """Show what a kept training in the room came to, offline."""
    verified = require_word(kept)
    document = fit_document(verified, kept.job)
    lines = [*describe_outcome(verified, kept.job), *describe_card(verified)]
    for path, write in ((html, write_page), (pdf, write_pdf)):
        if path is not None:
            write_file(path, write(verified))
            document["html" if path is html else "pdf"] = str(path)
            lines.append(say("wrote the page to {path}", path=path))
    show(as_json, document, *lines)


def require_word(kept: KeptFit) -> VerifiedFit:
    """Give what became of a training; refuse with `UNKNOWN_STATEMENT` where that is not known."""
    verified = kept.verified()
    if verified is None:
        rule = later("no word on it was heard")
        refusal = SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("job", rule)])
        refusal.add_note(f"saferoom job resume {kept.job}")
        raise refusal
    return verified


def _working(*, as_json: bool) -> Status:
    return Console(stderr=True, quiet=as_json).status(say("the enclave trains the model"))


def _show(answer: FitAnswer, *, as_json: bool) -> None:
    verified = answer.verified
    document = {**fit_document(verified, answer.job), "receipt": str(answer.receipt)}
    lines = [*describe_outcome(verified, answer.job), *describe_card(verified)]
    lines.append(say("  receipt {path}", path=answer.receipt))
    if verified.card is not None:
        lines.append(say("next: saferoom score draft {job} --name NAME", job=answer.job))
    show(as_json, document, *lines)
    if verified.card is None:
        raise typer.Exit(_FAILED)
