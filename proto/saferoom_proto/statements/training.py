"""What a template of joint training asks: columns, an algorithm within bounds, what is told of it.

The room's side has the columns of one owner, or of several: then the enclave of one of them, the
host, brings them together. `docs/joint-training.md` says what each side sees.
"""

from __future__ import annotations

import operator
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from saferoom_proto.statements.aggregate import LEAST_EPSILON, MOST_CAP, MOST_EPSILON, Epsilon
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
FEWEST_IN_BAND = 10
"""Rows of each label in a band of a model's card: the threshold of tables."""
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


HELD_OUT = 4
"""One common row of so many is held out of a joint training whose model is measured."""
MOST_MEASURED = 16_384
"""So many rows of it are counted at most (`saferoom_models.vertical.measuring`)."""
MEASURED_BANDS = 32
"""Of two numbers each."""


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
    BANDS = "bands"
    """How the model ranks rows held out, to the label side alone: events and others in bands of the
    joint log-odds, with noise (ADR 62)."""


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


class FitBands(Part):
    """With how much noise bands of the rows held out leave.

    Whatever is known of one row that is held out, its model and all other rows: the odds of what it
    says change by a factor of e to the power of epsilon at most.

    Attributes:
        epsilon: what the bands of one training tell.
        cap: what those of all models of this owner tell one group of institutions in a period.
        least: the fewest rows with the event, and the fewest others, in a band.
    """

    epsilon: Annotated[Epsilon, Field(ge=LEAST_EPSILON, le=MOST_EPSILON)]
    cap: Annotated[Epsilon, Field(ge=LEAST_EPSILON, le=MOST_CAP)]
    least: Annotated[int, Field(ge=FEWEST_IN_BAND, le=MOST_ROWS)] = FEWEST_IN_BAND

    @model_validator(mode="after")
    def _within(self) -> FitBands:
        if self.epsilon > self.cap:
            raise ValueError("one training's epsilon is within the cap of all")
        return self


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
        bands: with how much noise the rows held out are counted, where they are; each owner is
            charged for them.
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
    bands: Annotated[FitBands | None, Field(exclude_if=operator.not_)] = None

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

    @model_validator(mode="after")
    def _measured(self) -> Training:
        if (Figure.BANDS in self.releases) != (self.bands is not None):
            raise ValueError("where bands are told, and nowhere else, stands their noise: bands")
        if self.bands is None:
            return self
        if self.least_rows - rows_held_out(self.least_rows) < FEWEST_ROWS:
            raise ValueError("with bands a quarter is held out: least_rows is at least 1333")
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
        bands: with how much noise the rows held out are counted.
    """

    columns: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_COLUMNS)]
    label_columns: Annotated[int, Field(ge=1)]
    numbers: Annotated[int, Field(ge=1)]
    least_rows: Annotated[int, Field(ge=FEWEST_ROWS)]
    least_events: Annotated[int, Field(ge=FEWEST_EVENTS)]
    releases: tuple[Figure, ...]
    runs: Runs
    host: Annotated[Owner | None, Field(exclude_if=operator.not_)] = None
    bands: Annotated[FitBands | None, Field(exclude_if=operator.not_)] = None

    @classmethod
    def of(cls, training: Training, columns: tuple[str, ...]) -> TrainingPart:
        """Derive it from what the template asks and the columns that its features give."""
        # Its own sums rest on the room's columns too.
        own = training.label_columns + OWN_SUMS
        measured = 0 if training.bands is None else 2 * MEASURED_BANDS
        return cls(
            columns=columns,
            label_columns=training.label_columns,
            numbers=training.rounds * (own + SCALARS_A_ROUND) + measured,
            least_rows=training.least_rows,
            least_events=training.least_events,
            releases=training.releases,
            runs=training.runs,
            host=training.host,
            bands=training.bands,
        )


def rows_held_out(rows: int) -> int:
    """Say how many of so many common rows are held out where a model is measured."""
    return min(rows // HELD_OUT, MOST_MEASURED)


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
