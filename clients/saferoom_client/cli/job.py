"""Commands about jobs of joint training: ask for one and take part, watch, list, cancel, report."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from saferoom_client.cli.fit_compare import compare_in_room
from saferoom_client.cli.job_words import (
    LISTED_HEADINGS,
    describe_end,
    describe_progress,
    describe_report,
    listed_row,
)
from saferoom_client.cli.next_steps import Asked, saying_next
from saferoom_client.cli.options import (
    JsonOption,
    ProfileOption,
    WhyOption,
    group,
)
from saferoom_client.cli.output import show
from saferoom_client.cli.page_options import FormerHtml, FormerPdf, PagesOption, page_files
from saferoom_client.cli.room_jobs import (
    cancel_in_room,
    price_in_room,
    report_in_room,
    require_no_rows,
    resume_in_room,
    seen_in_room,
    submit_in_room,
)
from saferoom_client.cli.tables import table
from saferoom_client.files import write_file
from saferoom_client.fits.kept import find_fit, required_kept
from saferoom_client.fits.requests import Chosen
from saferoom_client.jobs import JobEnd, JobRows, read_report
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_client.training.folder import JobFolder, find_job
from saferoom_client.training.page import write_page, write_pdf
from saferoom_client.training.progress import JobProgress, Stage, Told
from saferoom_client.training.states import JobView
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import JobOutcome

app = group("Train a model together with an owner in the room.")

_FAILED: Final = 1
_BAR_COLUMNS: Final = 20

JobName = Annotated[str, typer.Argument(metavar="JOB", help="Its id, or the first digits of it.")]
RowsOption = Annotated[
    Path | None,
    typer.Option("--rows", help="Your table: CSV, Excel, Parquet or Arrow.", exists=True),
]


@app.command()
def submit(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its digest, or its name.")],
    profile: ProfileOption,
    *,
    rows: RowsOption = None,
    label: Annotated[
        str | None, typer.Option(help="The column of labels: 1 for the event, else 0.")
    ] = None,
    purpose: Annotated[str, typer.Option(help="What the model is for.")],
    column: Annotated[
        list[str], typer.Option(help="A column to train on; repeat it. All others, if not given.")
    ] = [],  # noqa: B006 - Typer copies it
    subject_column: Annotated[
        str | None, typer.Option(help="The column of subjects, if it is not uscc.")
    ] = None,
    ridge: Annotated[
        str | None,
        typer.Option(help="The inverse ridge (C); proposed by your events if not given."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="The most rounds.")] = None,
    rank: Annotated[
        int, typer.Option(min=2, max=8, help="2, 4, 6 or 8: a higher rank is more exact.")
    ] = 4,
    trees: Annotated[
        int | None, typer.Option(min=1, help="Of a training in the room: how many trees.")
    ] = None,
    leaves: Annotated[
        int | None, typer.Option(min=2, help="Of a training in the room: the most of a tree.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Take part at once, to the end.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Ask for a training, and take part in it to its end; in the room, give no rows."""
    inverse_ridge = _number(ridge)
    bar, told = progress_bar(quiet=as_json)
    with Room.open(profile) as room, _workers() as executor:
        view = room.get_template(template)
        if view.template.fit is not None:
            require_no_rows(view, rows, label)
            chosen = Chosen(inverse_ridge, trees, leaves)
            submit_in_room(room, view, purpose, chosen, as_json=as_json)
            return
        if rows is None or label is None:
            raise typer.BadParameter(later("give your table with --rows, and its --label"))
        own = JobRows(rows, label, subject_column, tuple(column))
        with _saying_where_it_shows(), bar:
            told(JobProgress(Stage.ASKING))
            folder = room.submit_job(
                template,
                own,
                purpose=purpose,
                inverse_ridge=inverse_ridge,
                rank=rank,
                rounds=rounds,
                executor=executor,
            )
        if not wait:
            _show_admitted(folder, as_json=as_json)
            return
        _go_through(room, folder.job, None, executor, as_json=as_json)


@app.command()
def cost(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its digest, or its name.")],
    profile: ProfileOption,
    purpose: Annotated[str, typer.Option(help="What the model is for.")],
    as_json: JsonOption = False,
) -> None:
    """See what a training in the room would cost and whether it would be refused; none is made."""
    with Room.open(profile) as room, saying_next(Asked(profile, template, purpose=purpose)):
        price_in_room(room, room.get_template(template), purpose, as_json=as_json)


@app.command()
def resume(
    job: JobName,
    profile: ProfileOption,
    rows: Annotated[
        Path | None,
        typer.Option(help="Where your table is now, if it was moved.", exists=True),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take a job up where it stopped, to its end."""
    with Room.open(profile) as room, _workers() as executor:
        if (kept := find_fit(room.profile, job)) is not None:
            resume_in_room(room, kept, as_json=as_json)
            return
        _go_through(room, job, rows, executor, as_json=as_json)


@app.command()
def watch(job: JobName, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Show how a job stands, until it has ended; taking part is another command's."""
    with Room.open(profile) as room:
        named = _named(room, job)
        bar, told = progress_bar(quiet=as_json)
        with bar:
            view = room.watch_job(named, lambda one: told(_seen(one)))
    show(as_json, view.document(), *table(LISTED_HEADINGS, [listed_row(view)]))


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List your institution's jobs, or those at your own enclave."""
    with Room.open(profile) as room:
        jobs = room.list_jobs()
    document = {"jobs": [each.document() for each in jobs]}
    show(as_json, document, *table(LISTED_HEADINGS, [listed_row(each) for each in jobs]))


@app.command(name="show")
def show_(job: JobName, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Show how one job stands."""
    with Room.open(profile) as room:
        kept = find_fit(room.profile, job)
        if kept is not None and kept.receipt.exists():
            report_in_room(kept, {}, as_json=as_json)
            return
        named = _named(room, job)
        view = next((each for each in room.list_jobs() if each.job == named), None)
    if view is None:
        rule = later("the room lists no such job: saferoom job list")
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("job", rule)])
    show(as_json, view.document(), *table(LISTED_HEADINGS, [listed_row(view)]))


@app.command()
def cancel(
    job: JobName, profile: ProfileOption, why: WhyOption, as_json: JsonOption = False
) -> None:
    """End a job of yours, or a training in the room."""
    with Room.open(profile) as room:
        if (kept := find_fit(room.profile, job)) is not None:
            cancel_in_room(room, kept, why, as_json=as_json)
            return
        end = room.cancel_job(job, why)
    show(as_json, _end_document(end), *describe_end(end))


@app.command()
def compare(
    job: JobName,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Another one.")],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Show two models trained in the room beside each other, offline."""
    with Room.open(profile) as room:
        kept = (required_kept(room.profile, job), required_kept(room.profile, other))
    compare_in_room(kept, as_json=as_json)


@app.command()
def report(
    job: JobName,
    profile: ProfileOption,
    *,
    out: PagesOption = [],  # noqa: B006 - Typer makes each call's own
    html: FormerHtml = None,
    pdf: FormerPdf = None,
    as_json: JsonOption = False,
) -> None:
    """Show what can be told of a trained model, offline."""
    pages = page_files(out, html, pdf)
    with Room.open(profile) as room:
        if (kept := find_fit(room.profile, job)) is not None:
            report_in_room(kept, pages, as_json=as_json)
            return
        folder = find_job(room.profile, job)
    found = read_report(folder)
    if found is None:
        over = folder.ended() is not None
        rule = later("this job ended without a model") if over else later("no model yet")
        refusal = SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("job", rule)])
        refusal.add_note("saferoom job list" if over else f"saferoom job resume {folder.job}")
        raise refusal
    lines = list(describe_report(found))
    document = found.model_dump(mode="json")
    for form, path in pages.items():
        write_file(path, _PAGES[form](found))
        document[form] = str(path)
        lines.append(say("wrote the page to {path}; it holds your own numbers", path=path))
    show(as_json, document, *lines)


_PAGES: Final = {"html": write_page, "pdf": write_pdf}


def _go_through(
    room: Room, job: str, file: Path | None, executor: Executor, *, as_json: bool
) -> None:
    """Take part in a job to its end, and show how it ended."""
    folder = find_job(room.profile, job)
    bar, told = progress_bar(quiet=as_json)
    try:
        with bar:
            end = room.take_part(folder.job, file=file, told=told, executor=executor)
    except KeyboardInterrupt:
        typer.echo(
            say("stopped; it goes on with: saferoom job resume {job}", job=folder.job), err=True
        )
        raise
    lines = list(describe_end(end))
    if end.report is not None:
        lines += describe_report(end.report)
        lines.append(say("next: saferoom job report {job} --out report.html", job=end.job))
    show(as_json, _end_document(end), *lines)
    if end.release.outcome is not JobOutcome.RELEASED:
        raise typer.Exit(_FAILED)


@contextmanager
def _saying_where_it_shows() -> Generator[None]:
    """Say, where Ctrl-C stops a request, how to see whether the room has it."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(say("stopped; whether it was asked for shows: saferoom job list"), err=True)
        raise


def _show_admitted(folder: JobFolder, *, as_json: bool) -> None:
    show(
        as_json,
        {"job": folder.job, "folder": str(folder.folder), "owners": [folder.owner, *folder.givers]},
        say("the enclave of {owner} lets it begin", owner=folder.owner),
        *(
            say("  with columns of {owner}, whose enclave lets it begin, too", owner=owner)
            for owner in folder.givers
        ),
        say("  id    {job}", job=folder.job),
        say("next: saferoom job resume {job}", job=folder.job),
    )


def _end_document(end: JobEnd) -> dict[str, object]:
    release = end.release
    return {
        "job": end.job,
        "outcome": str(release.outcome),
        "ended_in": str(release.ended_in),
        "reason": None if release.reason is None else str(release.reason),
        "rows": release.rows,
        "rounds": release.rounds,
        "converged": release.converged,
        "model": release.model,
        "time": release.time.isoformat(),
        "report": None if end.report is None else end.report.model_dump(mode="json"),
    }


def _number(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise typer.BadParameter(later("--ridge is a number, such as 0.1"))
    return number


@contextmanager
def _workers() -> Generator[Executor]:
    """Give processes; they are started with the first work they get, that of large sets."""
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as executor:
        yield executor


def progress_bar(*, quiet: bool) -> tuple[Progress, Told]:
    """Make a progress bar on standard error, and what moves it; silent for programs."""
    stream = sys.stderr
    bar = Progress(
        TextColumn("{task.description}", table_column=Column(ratio=1)),  # folded, not cut
        BarColumn(_BAR_COLUMNS),
        console=Console(file=stream),
        transient=True,
        expand=True,
        disable=quiet or not stream.isatty(),
    )
    task = bar.add_task("", total=1.0)

    def move(progress: JobProgress) -> None:
        bar.update(task, completed=progress.share, description=describe_progress(progress))

    return bar, move


def _named(room: Room, job: str) -> str:
    """Give the whole name of a job, of which the first digits may be enough."""
    if ":" in job:
        return job
    kept = find_fit(room.profile, job)
    return find_job(room.profile, job).job if kept is None else kept.job


def _seen(view: JobView) -> JobProgress:
    """Give what the room sees of a job as its progress: no gradient, no separation."""
    if not view.rounds:
        return seen_in_room(view)
    stage = Stage.TRAINING if view.round else Stage.ALIGNING
    rounds = view.rounds if view.round else 0
    over = max(0, view.round - 1)
    return JobProgress(stage, round=over, rounds=rounds, sent=view.received, received=view.sent)
