"""Commands about scores: drafting a template of a trained model, and asking by one."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Final

import typer

from saferoom_client.cli.check_file import (
    AnswersOption,
    ColumnOption,
    FileAsked,
    FileOption,
    require_whole,
)
from saferoom_client.cli.next_steps import Asked, saying_next
from saferoom_client.cli.options import JsonOption, MaybeSubjectOption, ProfileOption, group, pairs
from saferoom_client.cli.output import mapping, show
from saferoom_client.cli.receipt_files import show_answer, unwritten, write_refusal
from saferoom_client.cli.score_file import score_file
from saferoom_client.files import require_writable
from saferoom_client.refused import Refused
from saferoom_client.room import Room
from saferoom_client.score_drafts import describe_points, draft_score, edges_of
from saferoom_client.scores import Scale, ScoreAnswer
from saferoom_client.tongue import later, say
from saferoom_client.trained import trained_model
from saferoom_client.yaml_text import write_yaml
from saferoom_proto.statements.score import MOST_REASONS

app = group("Score with a model that was trained together.")

_USUAL: Final = Scale()

DoubleOption = Annotated[float, typer.Option(help="Points to double the odds.")]


@app.command()
def draft(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Its digest, or the first digits.")],
    profile: ProfileOption,
    *,
    name: Annotated[str, typer.Option(help="What the template is to be called.")],
    purpose: Annotated[str, typer.Option(help="What scores are asked for.")] = "pre-loan",
    edge: Annotated[
        list[str],
        typer.Option(help="Where a band ends, in log-odds of the event; repeat it, upwards."),
    ] = [],  # noqa: B006 - Typer copies it
    reasons: Annotated[
        int,
        typer.Option(
            min=0, max=MOST_REASONS, help="Features to be named that raise the odds the most."
        ),
    ] = 0,
    edge_points: Annotated[
        list[float],
        typer.Option(help="The same in points that the owner's part adds; repeat it."),
    ] = [],  # noqa: B006
    double: DoubleOption = _USUAL.double,
    as_json: JsonOption = False,
) -> None:
    """Write the draft of a template that scores with a trained model, to be proposed."""
    if edge and edge_points:
        raise typer.BadParameter(later("edges are in log-odds (--edge) or points (--edge-points)"))
    scale = Scale(double=double)
    edges = tuple(map(_decimal, edge)) or edges_of(edge_points, scale)
    with Room.open(profile) as room:
        trained = trained_model(room.profile, job)
        view = room.get_template(trained.template)
    document = draft_score(view, trained, name=name, purpose=purpose, edges=edges, reasons=reasons)
    show(as_json, document, write_yaml(document).rstrip(), *describe_points(document, scale))


@app.command()
def ask(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its digest, or its name.")],
    profile: ProfileOption,
    *,
    subject: MaybeSubjectOption = None,
    purpose: Annotated[str, typer.Option(help="What the answer is for.")],
    own: Annotated[
        list[str],
        typer.Option(help="NAME=NUMBER of a column of yours that the model reads; repeat it."),
    ] = [],  # noqa: B006 - Typer copies it
    points: Annotated[float, typer.Option(help="Points at the base odds.")] = _USUAL.points,
    odds: Annotated[float, typer.Option(help="Base odds: so many good to one bad.")] = _USUAL.odds,
    double: DoubleOption = _USUAL.double,
    receipt: Annotated[
        Path | None, typer.Option(help="Write the receipt here.", dir_okay=False)
    ] = None,
    file: FileOption = None,
    out: AnswersOption = None,
    column: ColumnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for the score of one subject or of a file of them, verified, with your own part added."""
    scale = Scale(points, odds, double)
    values = {name: _float(name, text) for name, text in pairs(own, "NAME=NUMBER").items()}
    if file is not None:
        if subject or values:
            raise typer.BadParameter(
                later("with --file, subjects and own values stand in its columns")
            )
        whither = require_whole(template, purpose, out)
        asked = FileAsked(template, purpose, {}, file, whither, column, receipt)
        with Room.open(profile) as room, saying_next(Asked(profile, template, "", purpose)):
            score_file(room, asked, scale, as_json=as_json)
        return
    if subject is None:
        raise typer.BadParameter(later("give --subject, or --file"))
    require_writable(receipt)
    with (
        Room.open(profile) as room,
        saying_next(Asked(profile, template, subject, purpose)),
    ):
        try:
            answer = room.score(template, subject=subject, purpose=purpose, own=values or None)
        except Refused as refused:
            write_refusal(receipt, refused)
            raise
    failed = None if receipt is None else unwritten(receipt, answer.receipt)
    show_answer(as_json, _document(answer, scale), *_lines(answer, scale), failed=failed)


def _lines(answer: ScoreAnswer, scale: Scale) -> Sequence[str]:
    found = answer.points(scale)
    first = say("not found") if answer.band is None else _band(answer)
    told: dict[str, str] = {}
    if answer.stands_for is not None:
        several = len(answer.evidence.parts) > 1
        part = later("the owners' parts") if several else later("the owner's part")
        told[say(part)] = say("{number} of the log-odds", number=answer.stands_for)
    if answer.own is not None:
        told[say("your own part")] = say("{number} of the log-odds", number=f"{answer.own:+.3f}")
    if found is not None:
        told[say("points")] = f"{found:.0f}"
    if answer.reasons:
        told[say("raised most by")] = ", ".join(answer.reasons)
    return [
        first,
        *(f"  {line}" for line in mapping(told)),
        say("  id    {request_id}", request_id=answer.request_id),
        say("  cost  {bits:.2f} bits beyond what was asked before", bits=answer.bits),
    ]


def _band(answer: ScoreAnswer) -> str:
    return say("band {band} of {bands}", band=answer.band, bands=answer.bands)


def _document(answer: ScoreAnswer, scale: Scale) -> dict[str, object]:
    return {
        "band": answer.band,
        "bands": answer.bands,
        "stands_for": None if answer.stands_for is None else str(answer.stands_for),
        "own": answer.own,
        "log_odds": answer.log_odds,
        "points": answer.points(scale),
        "reasons": list(answer.reasons),
        "request_id": answer.request_id,
        "time": answer.time.isoformat(),
        "bits": round(answer.bits, 3),
        "charges": [charge.model_dump(mode="json") for charge in answer.charges],
    }


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise typer.BadParameter(later("--edge is a number of log-odds, such as -0.5"))
    return number


def _float(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        told = say("{name} is a number", name=f"--own {name}")
        raise typer.BadParameter(told) from None
