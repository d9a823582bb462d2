"""What commands about jobs do with trainings in the room: asked once, answered once, kept here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from saferoom_client.cli.fit_words import (
    describe_card,
    describe_outcome,
    describe_price,
    fit_document,
    price_document,
)
from saferoom_client.cli.job_words import describe_progress
from saferoom_client.cli.output import show
from saferoom_client.files import write_file
from saferoom_client.fits.asking import FitAnswer
from saferoom_client.fits.kept import KeptFit
from saferoom_client.fits.page import write_page, write_pdf
from saferoom_client.fits.requests import Chosen
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_client.training.progress import JobProgress, Stage
from saferoom_client.training.states import JobState, JobView
from saferoom_client.values import TemplateView
from saferoom_proto.fit_receipt import VerifiedFit
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

_FAILED: Final = 1
_INTERRUPTED: Final = "interrupted at the keyboard"
"""What the log says of a training that Ctrl-C ended."""


def require_no_rows(view: TemplateView, rows: Path | None, label: str | None) -> None:
    """Refuse a table where all columns lie with the owner: it would be used for nothing."""
    if rows is not None or label is not None:
        rule = f"{view.template.name} trains on the owner's columns alone: give no --rows, --label"
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--rows", rule)])


def submit_in_room(
    room: Room, view: TemplateView, purpose: str, chosen: Chosen, *, as_json: bool
) -> None:
    """Ask for a training in the room, and show what became of it."""
    kept = room.prepare_fit(view.envelope.digest, purpose=purpose, chosen=chosen)
    with _ended_by_interrupt(room, kept), _working(as_json=as_json) as seen:
        answer = room.ask_fit(kept, seen=seen)
    _show(answer, as_json=as_json)


def price_in_room(room: Room, view: TemplateView, purpose: str, *, as_json: bool) -> None:
    """Ask what a training in the room would cost, and show it."""
    told = room.price_fit(view.envelope.digest, purpose=purpose)
    show(as_json, price_document(told), *describe_price(told))


def resume_in_room(room: Room, kept: KeptFit, *, as_json: bool) -> None:
    """Ask again for a training in the room that broke off, and show what became of it."""
    with _ended_by_interrupt(room, kept), _working(as_json=as_json) as seen:
        answer = room.take_up_fit(kept.job, seen=seen)
    _show(answer, as_json=as_json)


def cancel_in_room(room: Room, kept: KeptFit, why: str, *, as_json: bool) -> None:
    """End a training in the room, and show what became of it."""
    answer = room.cancel_fit(kept.job, why)
    document: dict[str, object] = {"job": kept.job, "outcome": None}
    if answer is not None:
        document = fit_document(answer.verified, kept.job)
    show(as_json, document, *_ended(answer, kept.job))


def seen_in_room(view: JobView) -> JobProgress:
    """Give how a training in the room stands as its progress."""
    return JobProgress(Stage.QUEUED if view.state is JobState.WAITING else Stage.TRAINING)


def report_in_room(kept: KeptFit, pages: Mapping[str, Path], *, as_json: bool) -> None:
    """Show what a kept training in the room came to, offline."""
    verified = require_word(kept)
    document = fit_document(verified, kept.job)
    lines = [*describe_outcome(verified, kept.job), *describe_card(verified)]
    for form, path in pages.items():
        write_file(path, _PAGES[form](verified))
        document[form] = str(path)
        lines.append(say("wrote the page to {path}", path=path))
    show(as_json, document, *lines)


_PAGES: Final = {"html": write_page, "pdf": write_pdf}


def require_word(kept: KeptFit) -> VerifiedFit:
    """Give what became of a training; refuse with `UNKNOWN_STATEMENT` where that is not known."""
    verified = kept.verified()
    if verified is None:
        rule = later("no word on it was heard")
        refusal = SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("job", rule)])
        refusal.add_note(f"saferoom job resume {kept.job}")
        raise refusal
    return verified


def _ended(answer: FitAnswer | None, job: str) -> Iterator[str]:
    if answer is None:
        yield say("no enclave has it under way: it was not begun, and nothing was counted")
        return
    yield from describe_outcome(answer.verified, job)


@contextmanager
def _ended_by_interrupt(room: Room, kept: KeptFit) -> Generator[None]:
    """Have Ctrl-C end a training; once more leaves it to the enclave."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(say("ending it; Ctrl-C once more leaves it to go on"), err=True)
        try:
            for line in _ended(room.cancel_fit(kept.job, _INTERRUPTED), kept.job):
                typer.echo(line, err=True)
        except (KeyboardInterrupt, SafeRoomError):
            typer.echo(
                say("it may go on: saferoom job resume {job}", job=kept.job),
                err=True,
            )
        raise


@contextmanager
def _working(*, as_json: bool) -> Generator[Callable[[JobView], None]]:
    """Show on standard error how a training stands, and for how long; silent for programs."""
    stream = sys.stderr
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(file=stream),
        transient=True,
        disable=as_json or not stream.isatty(),
    )
    task = progress.add_task(say("asking"))

    def seen(view: JobView) -> None:
        progress.update(task, description=describe_progress(seen_in_room(view)))

    with progress:
        yield seen


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
