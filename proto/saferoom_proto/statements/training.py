"""What a template of joint training asks: columns, an algorithm within bounds, what is told of it.

The room's side has the columns of one owner, or of several: then the enclave of one of them, the
host, brings them together. `docs/joint-training.md` says what each side sees.
"""

from __future__ import annotations

import operator
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from saferoom_proto.statements.base import FeatureName, Owner, Part, Title, distinct
from saferoom_proto.statements.feature import Absent, Feature, FeatureKind, Number

FEWEST_ROWS = 1_000
"""A gradient is a sum over all rows; over fewer it would say too much of each."""
MOST_ROWS = 300_000
"""So many were run (`docs/numbers.md`)."""
MOST_COLUMNS = 500
"""Of one side."""
MOST_ROUNDS = 25
"""What a side learns grows with the rounds; a fit that needs more does not converge."""
MOST_FEATURES = 64
MOST_OWNERS = 8
"""Each of them is asked before every answer to the label side."""
FEWEST_EVENTS = 10
MOST_RUNS = 100
"""In one period: each is an alignment too, which tells a little of who else is there."""
MOST_DAYS = 366


NEAREST_SETS = 10
"""Two sets of common subjects differ by none, or by so many at least: else what one of a few
subjects adds shows in what both jobs tell (DESIGN section 8)."""
OWN_SUMS = 2
"""Sums over all rows that the label side reads in a round beside its columns': its intercept's, and
its labels'."""
SHARE_OF_ROWS = 3
"""A side's columns times rounds stay at most a third of the rows (docs/joint-training.md)."""
SCALARS_A_ROUND = 9
"""Dot products that one side tells the other in a round: L-BFGS with a memory of four steps."""


class TrainingMethod(StrEnum):
    """How is trained."""

    VERTICAL_LOGISTIC = "vertical-logistic-1"
    """Logistic regression over columns of two sides, by exact encrypted inner products."""


class Figure(StrEnum):
    """What is told of a training that ended well, beside the label side's own weights."""

    ROWS = "rows"
    """How many rows were trained on, in tens."""
    ROUNDS = "rounds"
    CONVERGENCE = "convergence"
    """Whether it ended because the gradient had become small."""


class Bounds(Part):
    """From where to where a number may be chosen for a job."""

    least: Number
    most: Number

    @model_validator(mode="after")
    def _in_order(self) -> Bounds:
        if not 0 < self.least <= self.most:
            raise ValueError("least is above zero, and at most as large as most")
        return self


class Runs(Part):
    """How often a template may be run by an institution and those that share what they learn."""

    most: Annotated[int, Field(ge=1, le=MOST_RUNS)]
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)]


class Training(Part):
    """A joint training: what the room brings, what the label side brings, and what is told.

    Attributes:
        features: the room's columns are their values.
        label: what is foretold; its values stay with the label side.
        label_columns: the most columns that the label side may bring.
        inverse_ridge: scikit-learn's C, of both sides' weights.
        rounds: the most.
        least_rows: the fewest subjects that both sides hold, below which nothing is trained.
        least_events: the fewest rows of the rarer label; only the label side can count them.
        releases: what is told beside the label side's own weights; the room's stay with the owner.
        runs: how many jobs there may be in a period, whatever became of each.
        host: of several owners the one in whose enclave the room's side runs: the others' columns
            of the common subjects are opened there. None where there is one owner.
    """

    algorithm: TrainingMethod
    features: Annotated[
        tuple[FeatureName, ...],
        Field(min_length=1, max_length=MOST_FEATURES),
        AfterValidator(distinct),
    ]
    label: Title
    label_columns: Annotated[int, Field(ge=1, le=MOST_COLUMNS)]
    inverse_ridge: Bounds
    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS)]
    least_rows: Annotated[int, Field(ge=FEWEST_ROWS, le=MOST_ROWS)]
    least_events: Annotated[int, Field(ge=FEWEST_EVENTS, le=MOST_ROWS)]
    releases: Annotated[tuple[Figure, ...], Field(max_length=len(Figure)), AfterValidator(distinct)]
    runs: Runs
    host: Annotated[Owner | None, Field(exclude_if=operator.not_)] = None
    """Trainings were of one owner at first: one of those is written without."""

    @model_validator(mode="after")
    def _hosted(self) -> Training:
        owners = self.owners
        if len(owners) > MOST_OWNERS:
            raise ValueError(f"features are of at most {MOST_OWNERS} owners")
        if len(owners) == 1 and self.host is not None:
            raise ValueError("a host stands only where features are of several owners")
        if len(owners) > 1 and self.host not in owners:
            raise ValueError("with features of several owners, host names one of them")
        return self

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose features it reads, in order."""
        return tuple(sorted({name.partition(".")[0] for name in self.features}))

    @property
    def hosted_by(self) -> str:
        """In whose enclave the room's side runs."""
        return self.host or self.owners[0]

    def features_of(self, owner: str) -> tuple[str, ...]:
        """Name one owner's features that it reads, in the template's order."""
        return tuple(name for name in self.features if name.partition(".")[0] == owner)


class TrainingPart(Part):
    """What an owner's enclave lets out of a training.

    Attributes:
        columns: the names of this owner's columns, in order.
        label_columns: the most of the label side's.
        numbers: the most numbers made of the room's columns, all owners', that the label side is
            told: each is a sum over all rows.
        least_rows: below so many common subjects it is told nothing.
        least_events: the fewest rows of the rarer label.
        releases: what is told of a training that ended well.
        runs: how often.
        host: in whose enclave its columns are opened beside those of others; none where there are
            no others.
    """

    columns: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_COLUMNS)]
    label_columns: Annotated[int, Field(ge=1)]
    numbers: Annotated[int, Field(ge=1)]
    least_rows: Annotated[int, Field(ge=FEWEST_ROWS)]
    least_events: Annotated[int, Field(ge=FEWEST_EVENTS)]
    releases: tuple[Figure, ...]
    runs: Runs
    host: Annotated[Owner | None, Field(exclude_if=operator.not_)] = None

    @classmethod
    def of(cls, training: Training, columns: tuple[str, ...]) -> TrainingPart:
        """Derive it from what the template asks and the columns that its features give."""
        # Its own sums rest on the room's columns too.
        own = training.label_columns + OWN_SUMS
        return cls(
            columns=columns,
            label_columns=training.label_columns,
            numbers=training.rounds * (own + SCALARS_A_ROUND),
            least_rows=training.least_rows,
            least_events=training.least_events,
            releases=training.releases,
            runs=training.runs,
            host=training.host,
        )


def columns_of(feature: Feature) -> tuple[str, ...]:
    """Name the columns that a feature becomes: the same whatever the store holds.

    A number or flag is one; where the store's silence means "unknown", a second one marks it. An
    unordered feature has one for each class.
    """
    name = feature.full_name
    if feature.kind is FeatureKind.CLASSES:
        return tuple(f"{name} = {cell.name}" for cell in feature.classes)
    unknown = (unknown_column(name),) if feature.absent is Absent.UNKNOWN else ()
    return (name, *unknown)


def unknown_column(name: str) -> str:
    """Name the column that marks where another's value is unknown."""
    return f"{name} unknown"
