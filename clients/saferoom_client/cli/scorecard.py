"""Commands about scorecards: fit, tables, show, report, export, apply, join to a joint model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from saferoom_client.bars import require_drawing
from saferoom_client.cli.options import (
    JsonOption,
    NewFile,
    ProfileOption,
    group,
    pairs,
)
from saferoom_client.cli.output import show
from saferoom_client.cli.page_options import FormerHtml, FormerPdf, PagesOption, page_files
from saferoom_client.cli.scorecard_options import (
    BinEventsOption,
    BinShareOption,
    BinsOption,
    CardFile,
    ClassesOption,
    ColumnOption,
    DoubleOption,
    EventOption,
    LabelOption,
    LeaveOption,
    NameOption,
    OddsOption,
    PointsOption,
    ReceiptFiles,
    RiskOption,
    ShareOption,
    TableFile,
    TestOption,
    ValueOption,
)
from saferoom_client.cli.scorecard_words import (
    describe_card,
    describe_scored,
    describe_values,
    scored_document,
    values_document,
)
from saferoom_client.files import require_writable, write_file
from saferoom_client.jobs import JobRows, require_report
from saferoom_client.profile import Profile
from saferoom_client.room import Room
from saferoom_client.scorecards.applying import score_table, score_values, write_points, write_woe
from saferoom_client.scorecards.cards import refused
from saferoom_client.scorecards.document import KeptApproval, Scorecard
from saferoom_client.scorecards.exporting import card_as_onnx, card_as_pmml
from saferoom_client.scorecards.fitting import (
    HELD_OUT,
    LEAST_EVENTS,
    LEAST_SHARE,
    LEAST_VALUE,
    MOST_BINS,
    Wanted,
    fit_scorecard,
)
from saferoom_client.scorecards.joint import join_card
from saferoom_client.scorecards.page import write_page, write_pdf
from saferoom_client.scorecards.table import EVENT, Columns
from saferoom_client.scorecards.tabled import EVENT as TRUE
from saferoom_client.scorecards.tabled import card_of_tables
from saferoom_client.scores import Scale
from saferoom_client.templates import approved_by
from saferoom_client.tongue import later, say
from saferoom_client.training.folder import find_job
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

app = group("Make scorecards of your own rows, read, export and apply them; no room is needed.")

_USUAL: Final = Scale()


@app.command()
def fit(
    table: TableFile,
    out: NewFile,
    *,
    label: Annotated[str, typer.Option(help="The column of labels.")],
    event: EventOption = EVENT,
    name: NameOption = "",
    column: ColumnOption = [],  # noqa: B006 - Typer copies it
    leave: LeaveOption = [],  # noqa: B006
    classes: ClassesOption = [],  # noqa: B006
    risk: RiskOption = [],  # noqa: B006
    held_out: ShareOption = HELD_OUT,
    test: TestOption = None,
    least_share: BinShareOption = LEAST_SHARE,
    least_events: BinEventsOption = LEAST_EVENTS,
    most_bins: BinsOption = MOST_BINS,
    least_value: ValueOption = LEAST_VALUE,
    points: PointsOption = _USUAL.points,
    odds: OddsOption = _USUAL.odds,
    double: DoubleOption = _USUAL.double,
    as_json: JsonOption = False,
) -> None:
    """Fit a card on a table of yours, and measure it on rows held out."""
    require_writable(out)
    wanted = Wanted(
        Columns(label, event, tuple(column), tuple(leave), tuple(classes)),
        Scale(points, odds, double),
        held_out if test is None else test,
        _shapes(risk),
        least_share,
        least_events,
        most_bins,
        least_value,
    )
    with Console(stderr=True, quiet=as_json).status(say("the card is fitted")):
        card = fit_scorecard(table, wanted, name=name or out.stem)
    card.write(out)
    lines = describe_card(card)
    step = say("next: saferoom scorecard report {path} --out card.html", path=out)
    show(as_json, _document(card, "card", out), *lines, say("wrote {path}", path=out), step)


@app.command()
def tables(
    receipts: ReceiptFiles,
    profile: ProfileOption,
    out: NewFile,
    *,
    label: Annotated[str, typer.Option(help="The feature that is foretold.")],
    event: Annotated[str, typer.Option(help="The label's class that is the event.")] = TRUE,
    name: NameOption = "",
    column: ColumnOption = [],  # noqa: B006 - Typer copies it
    leave: LeaveOption = [],  # noqa: B006
    risk: RiskOption = [],  # noqa: B006
    least_share: BinShareOption = LEAST_SHARE,
    least_events: BinEventsOption = LEAST_EVENTS,
    most_bins: BinsOption = MOST_BINS,
    least_value: ValueOption = LEAST_VALUE,
    points: PointsOption = _USUAL.points,
    odds: OddsOption = _USUAL.odds,
    double: DoubleOption = _USUAL.double,
    as_json: JsonOption = False,
) -> None:
    """Make a card over an owner's columns, of tables by the label that its gate let out."""
    require_writable(out)
    wanted = Wanted(
        Columns(label, event, tuple(column), tuple(leave)),
        Scale(points, odds, double),
        shapes=_shapes(risk),
        least_share=least_share,
        least_events=least_events,
        most_bins=most_bins,
        least_value=least_value,
    )
    trust = Profile.load(profile).trust
    card = card_of_tables(receipts, wanted, trust, name=name or out.stem)
    card.write(out)
    lines = describe_card(card, bins=True)
    show(as_json, _document(card, "card", out), *lines, say("wrote {path}", path=out))


@app.command(name="show")
def show_(file: CardFile, as_json: JsonOption = False) -> None:
    """Show a card: its measures, bins, points and what stood out."""
    card = Scorecard.read(file)
    show(as_json, card.model_dump(mode="json"), *describe_card(card, bins=True))


@app.command()
def report(
    file: CardFile,
    *,
    out: PagesOption = [],  # noqa: B006 - Typer makes each call's own
    html: FormerHtml = None,
    pdf: FormerPdf = None,
    as_json: JsonOption = False,
) -> None:
    """Write a card's report, with charts and a model card."""
    pages = page_files(out, html, pdf)
    _require_some(*pages.values(), places="--out")
    require_drawing()
    told = later("wrote the page to {path}; it holds your own numbers")
    _write(
        file, {form: (path, _PAGES[form]) for form, path in pages.items()}, told, as_json=as_json
    )


_PAGES: Final = {"html": write_page, "pdf": write_pdf}


@app.command()
def export(
    file: CardFile,
    pmml: Annotated[
        Path | None, typer.Option(help="Write it here as PMML 4.4.", dir_okay=False)
    ] = None,
    onnx: Annotated[
        Path | None, typer.Option(help="Write it here as ONNX.", dir_okay=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a card for other systems: its bins and points, and no counts of rows."""
    _require_some(pmml, onnx, places="--pmml, --onnx")
    told = later("wrote {path}")
    files = {"pmml": (pmml, card_as_pmml), "onnx": (onnx, card_as_onnx)}
    _write(file, files, told, as_json=as_json)


@app.command()
def apply(
    file: CardFile,
    *,
    rows: Annotated[
        Path | None,
        typer.Option(help="A table with the card's columns.", exists=True, dir_okay=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write points and reasons here, CSV.", dir_okay=False),
    ] = None,
    woe: Annotated[
        Path | None,
        typer.Option(
            help="Write weights of evidence here, CSV, to train a job on.", dir_okay=False
        ),
    ] = None,
    keep: Annotated[
        list[str], typer.Option(help="A column to write beside the points; repeat it.")
    ] = [],  # noqa: B006 - Typer copies it
    label: LabelOption = None,
    event: EventOption = EVENT,
    value: Annotated[
        list[str],
        typer.Option(help="NAME=VALUE of one applicant, in place of a table; repeat it."),
    ] = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Score a table, or one applicant whose values are typed, with the reasons."""
    if (rows is None) == (not value):
        rule = later("either a table is scored (--rows) or one applicant (--value)")
        raise refused("--rows, --value", rule, "saferoom scorecard apply --help")
    require_writable(out, woe)
    card = Scorecard.read(file)
    if rows is None:
        points, reasons = score_values(card, pairs(value, "NAME=VALUE"))
        show(as_json, values_document(points, reasons), *describe_values(card, points, reasons))
        return
    with Console(stderr=True, quiet=as_json).status(say("rows are scored")):
        scored = score_table(card, rows, Columns(label, event, kept=tuple(keep)))
    document = scored_document(scored)
    lines = list(describe_scored(scored))
    for path, kind in ((out, "out"), (woe, "woe")):
        if path is None:
            continue
        if path is out:
            write_points(path, scored)
        else:
            write_woe(path, scored, label)
        document[kind] = str(path)
        lines.append(say("wrote {path}", path=path))
    show(as_json, document, *lines)


@app.command()
def join(
    file: CardFile,
    profile: ProfileOption,
    out: NewFile,
    *,
    job: Annotated[str, typer.Option(help="A job that was trained on its weights of evidence.")],
    rows: Annotated[
        Path | None,
        typer.Option(help="Where the job's table is now, if it was moved.", exists=True),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a card of your half of a joint model: the card's bins with the joint weights."""
    require_writable(out)
    card = Scorecard.read(file)
    with Room.open(profile) as room:
        folder = find_job(room.profile, job)
        found = require_report(folder)
        view = room.get_template(folder.request.template)
    kept = folder.rows
    own = JobRows(rows or Path(kept.file), kept.label, kept.subject, kept.columns).read()
    if own.digest != kept.digest:
        rule = later("other rows than the job began with; give the table as it was, with --rows")
        raise SafeRoomError(Reason.CONFLICT, rule, [FieldFault("--rows", rule)])
    owners = sorted(view.charters)
    half = join_card(
        card,
        found,
        own,
        template_digest=view.envelope.digest,
        owners=owners,
        approvals=[
            KeptApproval(owner=owner, approvers=approved_by(view, owner)) for owner in owners
        ],
    )
    half.write(out)
    lines = describe_card(half)
    show(as_json, _document(half, "card", out), *lines, say("wrote {path}", path=out))


def _write(
    file: Path,
    files: Mapping[str, tuple[Path | None, Callable[[Scorecard], bytes]]],
    message: str,
    *,
    as_json: bool,
) -> None:
    """Write a card in the forms that a file was named for: all of them, or none."""
    card = Scorecard.read(file)
    wanted = {kind: (path, make) for kind, (path, make) in files.items() if path is not None}
    require_writable(*(path for path, _ in wanted.values()))
    made = {kind: (path, make(card)) for kind, (path, make) in wanted.items()}
    for path, data in made.values():
        write_file(path, data)
    document = {"card": card.name, **{kind: str(path) for kind, (path, _) in made.items()}}
    show(as_json, document, *(say(message, path=path) for path, _ in made.values()))


def _document(card: Scorecard, kind: str, path: Path) -> dict[str, object]:
    return {**card.model_dump(mode="json"), kind: str(path)}


def _require_some(*paths: Path | None, places: str) -> None:
    if not any(paths):
        rule = later("nothing is to be written: name a file")
        raise refused(places, rule, "saferoom scorecard --help")


def _shapes(texts: list[str]) -> dict[str, str]:
    """Read how risk goes along columns: with a name, or without one for all others."""
    named = [text if "=" in text else f"={text}" for text in texts]
    found: dict[str, str] = {}
    for text in named:
        name, _, shape = text.rpartition("=")
        if name in found:
            raise typer.BadParameter(f"{name or shape} is given twice")
        found[name] = shape
    return found
