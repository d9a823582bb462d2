"""Commands about federated training: propose, join, run, score, list, show, end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from saferoom_client.cli.federation_words import (
    LISTED_HEADINGS,
    describe,
    describe_model,
    describe_scores,
    listed_row,
    scored_document,
)
from saferoom_client.cli.job import progress_bar
from saferoom_client.cli.options import JsonOption, ProfileOption, WhyOption, group
from saferoom_client.cli.output import in_one_line, progress_of, show
from saferoom_client.cli.rules_said import say_rule
from saferoom_client.cli.tables import table
from saferoom_client.federating.scoring import score_file
from saferoom_client.federating.taking_part import FederationProgress
from saferoom_client.federating.view import FederationView
from saferoom_client.federations import FederationTrained
from saferoom_client.profile import Profile
from saferoom_client.room import Room
from saferoom_client.tongue import say
from saferoom_client.training.progress import JobProgress, Stage
from saferoom_proto.reasons import SafeRoomError

app = group("Train a model together with other banks; each keeps its own rows.")

_FAILED: Final = 1

FederationName = Annotated[
    str, typer.Argument(metavar="FEDERATION", help="Its id, the first digits of it, or its name.")
]


@app.command()
def propose(
    draft: Annotated[Path, typer.Argument(metavar="FILE", help="The draft, YAML.", exists=True)],
    profile: ProfileOption,
    as_json: JsonOption = False,
) -> None:
    """Propose that banks train together; you have to join, too."""
    with Room.open(profile) as room:
        view = room.propose_federation(draft)
    _show(view, as_json, say("next: saferoom federation join {id}", id=view.federation))


@app.command()
def join(name: FederationName, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Take part, with all the banks that it names; look at it first (show)."""
    with Room.open(profile) as room:
        view = room.join_federation(name)
    following = say(
        "next: saferoom federation run {id} --rows FILE --label COLUMN", id=view.federation
    )
    _show(view, as_json, following)


@app.command()
def run(
    name: FederationName,
    profile: ProfileOption,
    *,
    rows: Annotated[
        Path, typer.Option("--rows", help="Your table: CSV, Excel, Parquet or Arrow.", exists=True)
    ],
    label: Annotated[str, typer.Option(help="The column of labels: 1 for the event, else 0.")],
    subject_column: Annotated[
        str | None, typer.Option(help="The column of subjects, if it is not uscc.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train, from where it stands to its end; stopped, it can be run again."""
    bar, told = progress_bar(quiet=as_json)

    def tell(now: FederationProgress) -> None:
        stage = Stage.TRAINING if now.reached else Stage.WAITING
        told(JobProgress(stage, round=now.round, rounds=now.rounds))

    with Room.open(profile) as room:
        try:
            with bar:
                trained = room.train_federation(
                    name, rows, label=label, subject=subject_column, told=tell
                )
        except KeyboardInterrupt:
            again = say("stopped; the others wait for you: run the same command again")
            typer.echo(again, err=True)
            raise
    following: list[str] = []
    if trained.model is not None:
        federation = trained.view.federation
        following.append(
            say("next: saferoom federation score {id} FILE --out SCORES.csv", id=federation)
        )
    show(as_json, _document(trained), *describe_model(trained), *following)
    if trained.model is None:
        raise typer.Exit(_FAILED)


@app.command()
def score(
    name: FederationName,
    rows: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Your table: CSV, Excel, Parquet or Arrow.", exists=True
        ),
    ],
    profile: ProfileOption,
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where the rows go with their scores, as CSV.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Score your own rows with the model that you hold; nothing is sent."""
    bar, move = progress_of("scoring rows", quiet=as_json)
    with bar:
        scored = score_file(
            Profile.load(profile),
            name,
            rows,
            out,
            words=str if as_json else say_rule,
            told=lambda done: move(done, 0),
        )
    show(as_json, scored_document(scored), *describe_scores(scored))
    if scored.bad:
        raise typer.Exit(_FAILED)


@app.command(name="list")
def list_(profile: ProfileOption, as_json: JsonOption = False) -> None:
    """List the federations that name your institution."""

    def skipped(federation: str, error: SafeRoomError) -> None:
        note = say("not shown, for it cannot be verified: {id}", id=federation)
        typer.echo(in_one_line(f"{note}: {error.reason}: {error.detail}"), err=True)

    with Room.open(profile) as room:
        found = room.list_federations(skipped=skipped)
    document = {"federations": [each.document() for each in found]}
    show(as_json, document, *table(LISTED_HEADINGS, [listed_row(each) for each in found]))


@app.command(name="show")
def show_(name: FederationName, profile: ProfileOption, as_json: JsonOption = False) -> None:
    """Show what would be trained with whom, who joined, and how far it is."""
    with Room.open(profile) as room:
        view = room.show_federation(name)
    _show(view, as_json)


@app.command()
def end(
    name: FederationName, profile: ProfileOption, why: WhyOption, as_json: JsonOption = False
) -> None:
    """Take part no longer: it ends for all."""
    with Room.open(profile) as room:
        view = room.end_federation(name, why)
    _show(view, as_json)


def _show(view: FederationView, as_json: bool, *more: str) -> None:
    show(as_json, view.document(), *describe(view), *more)


def _document(trained: FederationTrained) -> dict[str, object]:
    model = trained.model
    return {
        **trained.view.document(),
        "ended_early": trained.ended,
        "model": None if model is None else model.model_dump(mode="json"),
        "file": None if model is None else str(trained.file),
    }
