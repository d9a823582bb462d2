"""A scorecard as a file: all that it was made of, and how it does, for people and programs.

The counts in it are the bank's own; the file is private unless its bank gives it away.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from saferoom_client.files import read_model, write_file
from saferoom_client.scores import Scale
from saferoom_client.tongue import later
from saferoom_proto.encoding import JSON_LIMIT_BYTES
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.base import Part, ShortText

Number = Annotated[int, Field(ge=0, le=2**53)]
Points = Annotated[int, Field(ge=-(10**6), le=10**6)]
Index = Annotated[float, Field(ge=0)]


class KeptBin(Part):
    """A bin: an interval from `low` on to below `high`, or `classes`, or rows without a value."""

    low: float | None = None
    high: float | None = None
    classes: tuple[ShortText, ...] = ()
    missing: bool = False
    events: Number
    others: Number
    woe: float
    """The log-odds of the event in it, less those of all rows."""
    points: Points

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.classes or self.missing) and not (self.low is self.high is None):
            raise ValueError("a bin is an interval, or classes, or of missing values")
        if self.classes and self.missing:
            raise ValueError("a bin is of classes or of missing values")
        return self


class KeptColumn(Part):
    """A column: its bins, the last of missing values, and its weight in log-odds."""

    name: ShortText
    weight: float
    value: Index
    """How much its bins tell: the information value."""
    missing_known: bool
    """Whether the last bin's weight is of its own rows; else it is the riskiest bin's."""
    bins: Annotated[tuple[KeptBin, ...], Field(min_length=3, max_length=64)]

    @model_validator(mode="after")
    def _bins_fit(self) -> Self:
        *known, last = self.bins
        if not last.missing or any(each.missing for each in known):
            raise ValueError("the last bin is that of missing values, and no other")
        names = [name for each in known for name in each.classes]
        if len(set(names)) != len(names):
            raise ValueError("a class is in two bins")
        if not names:
            _require_whole(known)
        elif not all(each.classes for each in known):
            raise ValueError("the bins of a column are intervals, or classes")
        return self

    @property
    def of_classes(self) -> bool:
        """Whether its values are classes; else they are numbers."""
        return bool(self.bins[0].classes)

    @property
    def most(self) -> int:
        """The points of its best bin."""
        return max(each.points for each in self.bins)


def _require_whole(bins: list[KeptBin]) -> None:
    """See that intervals hold every number once, in order."""
    if bins[0].low is not None or bins[-1].high is not None:
        raise ValueError("the first bin has no lower end, the last no upper one")
    for one, other in pairwise(bins):
        if one.high is None or one.high != other.low:
            raise ValueError("a bin begins where the one before ends")
        if one.low is not None and one.low >= one.high:
            raise ValueError("a bin's lower end is below its upper one")


class KeptScale(Part):
    """How log-odds become points."""

    points: float
    odds: Annotated[float, Field(gt=0)]
    double: Annotated[float, Field(gt=0)]

    def scale(self) -> Scale:
        """Give it as what turns log-odds into points."""
        return Scale(self.points, self.odds, self.double)


class KeptMeasure(Part):
    """A number, and between what it lies with 95 % confidence."""

    value: float
    low: float
    high: float


class KeptBand(Part):
    """Rows whose points lie from `low` on, to below `high`."""

    low: int | None
    high: int | None
    events: Number
    others: Number

    @property
    def rows(self) -> int:
        """All of them."""
        return self.events + self.others

    @property
    def rate(self) -> float:
        """The share with the event; 0 where there are no rows."""
        return self.events / self.rows if self.rows else 0.0


class KeptMeasures(Part):
    """How the points tell some rows apart; bands of all rows the same, the riskiest first."""

    rows: Number
    events: Number
    auc: KeptMeasure
    ks: KeptMeasure
    bands: Annotated[tuple[KeptBand, ...], Field(min_length=1, max_length=64)]

    @property
    def rate(self) -> float:
        """The share with the event."""
        return self.events / self.rows if self.rows else 0.0


class KeptNote(Part):
    """What stood out: what kind, at which column, and the column's information value."""

    kind: str
    column: str
    value: float


class KeptRules(Part):
    """What bins had to keep; `shapes` of columns, "" for all others."""

    least_share: float
    least_events: int
    most_bins: int
    least_value: float
    shapes: dict[str, str]


class FittedOn(Part):
    """What a card was fitted on."""

    file: str
    digest: str
    """SHA-256 of the file's bytes."""
    label: str
    event: str
    """The label of the event."""
    rows: Number
    events: Number
    held_out: str
    """What was held out: a share of the rows, or a file."""


class KeptMembership(Part):
    """How far rows it was fitted on can be told from held-out ones, and how far by chance."""

    advantage: Index
    by_chance: Index


class KeptApproval(Part):
    """An owner whose approvers approved what a joint model was trained under."""

    owner: str
    approvers: tuple[str, ...]


class KeptJoint(Part):
    """Of a card that is the bank's half of a joint model: which job, and who let it be trained."""

    job: str
    template: str
    template_digest: str
    owners: tuple[str, ...]
    institution: str
    purpose: str
    time: datetime
    rows: Number
    events: Number
    room_columns: Number
    separation: float
    alone_separation: float
    model: str
    approvals: tuple[KeptApproval, ...]


class KeptTables(Part):
    """Tables of an owner's that passed its gate, whose counts a card stands on."""

    receipt: str
    """SHA-256 of the receipt's file."""
    request: str
    institution: str
    owner: str
    template: str
    template_digest: str
    certificate: str
    purpose: str
    epoch: Number
    """Of the owner's store."""
    time: datetime
    entry: Number
    """Of the owner's word, in the log."""
    columns: tuple[str, ...]
    """Those that the card has of it."""
    base: Number | None
    """To whose multiples counts were rounded; none of counts with noise."""
    epsilon: str | None
    """Of the noise."""


class Scorecard(Part):
    """A scorecard. `fitted` and `held` are measured with this card's own points.

    A half of a joint model has neither: without the owner's part its points rank nobody. Nor has
    one of tables: nobody gave rows to measure it with.
    """

    format: Literal["saferoom-scorecard/v1"] = "saferoom-scorecard/v1"
    name: ShortText
    time: datetime
    scale: KeptScale
    intercept: float
    columns: Annotated[tuple[KeptColumn, ...], Field(min_length=1, max_length=500)]
    rules: KeptRules
    on: FittedOn
    fitted: KeptMeasures | None
    held: KeptMeasures | None
    stability: Index | None
    """The population stability index of the held-out rows over the bands."""
    membership: KeptMembership | None
    notes: tuple[KeptNote, ...]
    joint: KeptJoint | None = None
    tables: Annotated[
        tuple[KeptTables, ...], Field(max_length=64, exclude_if=lambda each: not each)
    ] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = [each.name for each in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("a column stands twice in it")
        if (self.fitted is None) != (self.joint is not None or bool(self.tables)):
            raise ValueError(
                "a half of a joint model, and a card of tables, is not measured, and every other is"
            )
        return self

    @classmethod
    def read(cls, path: Path) -> Scorecard:
        """Read a card; `BAD_CONFIG` names what is wrong in it."""
        return read_model(path, cls)

    def write(self, path: Path) -> None:
        """Write the card so that it can be read again.

        Raises:
            SafeRoomError: `MALFORMED` for one that is too long, `BAD_CONFIG` naming the file.
        """
        data = self.model_dump_json(indent=1).encode() + b"\n"
        if len(data) > JSON_LIMIT_BYTES:
            rule = later("the card is too long to be read again: take fewer columns or classes")
            raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault(str(path), rule)])
        write_file(path, data)
