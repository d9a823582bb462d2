"""A template of joint training in plain words: who brings what, what crosses, what stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_client.band_words import describe_measuring
from saferoom_client.cli.beside_others import beside_others
from saferoom_client.cli.table_words import describe_features
from saferoom_client.tongue import later, say, titled
from saferoom_client.values import TemplateView
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.statements import Figure, Training
from saferoom_proto.statements.training import NEAREST_SETS, TrainingPart

_FIGURES: Final = {
    Figure.ROWS: later("how many rows it was trained on, in tens"),
    Figure.ROUNDS: later("how many rounds it took"),
    Figure.CONVERGENCE: later("whether it converged"),
    Figure.BANDS: later("how it ranks rows held out"),
}


def describe_training(training: Training) -> Iterator[str]:
    """Tell what is trained, before the owner's part."""
    yield say(
        "    a logistic regression that foretells {label}, by rounds of encrypted sums",
        label=titled(training.label),
    )
    yield say(
        "    the institution brings the label and at most {columns} columns of its own customers",
        columns=training.label_columns,
    )
    yield say(
        "    at most {rounds} rounds, an inverse ridge from {least} to {most}",
        rounds=training.rounds,
        least=training.inverse_ridge.least,
        most=training.inverse_ridge.most,
    )
    if training.host is not None:
        yield say(
            "    the columns of {owners} are brought together in the enclave of {host}, for the"
            " subjects that the institution and all of these owners hold",
            owners=", ".join(training.owners),
            host=training.host,
        )


def describe_training_part(
    view: TemplateView, part: OwnerPart, training: TrainingPart
) -> Iterator[str]:
    """Tell what an owner's enclave does for a training, and what of it gets out."""
    yield say(
        "  {owner} ({title}) brings {columns} columns:",
        owner=part.owner,
        title=titled(view.charters[part.owner].charter.title),
        columns=len(training.columns),
    )
    yield from describe_features(view, part)
    if training.host is not None:
        yield from beside_others(part.owner, training.host)
        if part.owner != training.host:
            yield from _told_of_customers(part.owner, training.host)
    yield say(
        "    which of the institution's customers it holds, the enclave learns first; then the"
        " institution does, of its own ones alone, without asking the subjects"
    )
    yield say(
        "    fewer than {rows} common subjects, or a set that differs from an earlier one by 1 to"
        " {nearest}: nothing is told, and it counts as a run",
        rows=training.least_rows,
        nearest=NEAREST_SETS - 1,
    )
    yield say(
        "    at least {events} rows of the rarer label, which only the institution can count",
        events=training.least_events,
    )
    yield say(
        "    what crosses to the institution: at most {numbers} sums over all rows; never a row's"
        " value, and no weight of {owner}'s columns",
        numbers=training.numbers,
        owner=part.owner,
    )
    told = ", ".join(say(_FIGURES[each]) for each in training.releases) or say("nothing")
    yield say("    what leaves beside the institution's own weights: {told}", told=told)
    if training.bands is not None:
        yield from describe_measuring(training, training.bands, part.owner)
    yield say(
        "    at most {most} jobs in {days} days for an institution and those that share what they"
        " learn, whatever became of each",
        most=training.runs.most,
        days=training.runs.days,
    )


def _told_of_customers(owner: str, host: str) -> Iterator[str]:
    yield say(
        "    which of the institution's customers {host} holds, the enclave of {owner} is told,"
        " and keeps those alone that all owners hold",
        host=host,
        owner=owner,
    )
