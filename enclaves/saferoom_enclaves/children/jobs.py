"""What a child is asked to do, and the closed form in which it answers.

A child that held records says nothing in words of its own: what it found is told in numbers, names
of the schema, and rules of closed lists. The exceptions are the check of a feature, which sees no
record and may quote the database; and what is held about one subject, a page of a list, the values
at the shares of a feature that is tried, and the numbers of tables, which go under seal.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from saferoom_enclaves.children.fit_jobs import BoostedTold, FindRows, Fit, Fitted, RowsFound
from saferoom_enclaves.features.computed import FeatureDefinition, FeatureRule
from saferoom_enclaves.rows import MAX_TOLD
from saferoom_enclaves.tables.shown import ShownFamily, SumBounds
from saferoom_proto.load import Change
from saferoom_proto.load_faults import LinkCount
from saferoom_proto.reasons import Reason
from saferoom_proto.statements.aggregate import Aggregate, TableRules
from saferoom_proto.statements.base import FeatureName, Owner, Part, Uscc
from saferoom_proto.statements.feature import Table
from saferoom_proto.statements.listing import Code, Only
from saferoom_proto.tables.told import Numbers

_Place = Annotated[int, Field(ge=0, lt=1 << 16)]
_Count = Annotated[int, Field(ge=0, lt=1 << 53)]
_Text = Annotated[str, StringConstraints(max_length=400)]


class Build(Part):
    """Build a store. With it comes a file a table, its rows as CSV; and the store that changes."""

    kind: Literal["build"] = "build"
    tables: tuple[Table, ...]
    changes: tuple[Change, ...]
    leaves: tuple[Owner, ...] = ()
    """The linked tables whose rows are left out that lead to no subject, or to two."""
    scratch: str


class BadRowTold(Part):
    """A row that breaks its schema."""

    table: Owner
    line: _Count
    column: str
    rule: _Text


class Built(Part):
    """A store, whose file comes with it, or the rows for which there is none."""

    rows: dict[Owner, _Count]
    bad_rows: Annotated[tuple[BadRowTold, ...], Field(max_length=MAX_TOLD)]
    bad_row_count: _Count
    left: Annotated[tuple[BadRowTold, ...], Field(max_length=MAX_TOLD)] = ()
    links: tuple[LinkCount, ...] = ()


class Materialise(Part):
    """Compute features. With it come the store, and a file to write the cells to."""

    kind: Literal["materialise"] = "materialise"
    tables: tuple[Table, ...]
    features: tuple[FeatureDefinition, ...]
    answer_about: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{18}$")] | None = None
    """Whom a provider's answer is about that comes in the place of a store."""


class FeatureRefused(Part):
    """A feature that is not computed, by its place."""

    feature: _Place
    rule: FeatureRule


class Cells(Part):
    """What the file now holds."""

    subjects: _Count
    refused: tuple[FeatureRefused, ...]


class Check(Part):
    """Check a feature against a schema, without any record."""

    kind: Literal["check"] = "check"
    tables: tuple[Table, ...]
    feature: FeatureDefinition


class Checked(Part):
    """Whether it could be computed; if not, the rule it breaks, for its author."""

    broken: _Text | None


class Try(Part):
    """Count a feature's cells, and give values at shares of its subjects. With it: the store."""

    kind: Literal["try"] = "try"
    tables: tuple[Table, ...]
    feature: FeatureDefinition
    shares: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    fewest: _Count
    """Known values below which no value at a share is given."""


class Tried(Part):
    """How many subjects are in each cell, from that of the unknown on; and values at the shares.

    The rule instead, if the feature cannot be computed.
    """

    rule: FeatureRule | None
    counts: tuple[_Count, ...]
    values: tuple[Annotated[str, StringConstraints(max_length=80)], ...]


class MakeKey(Part):
    """Make a Paillier key for one blind match."""

    kind: Literal["make-key"] = "make-key"
    bits: Annotated[int, Field(ge=512, le=4096)]


_Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,2048}$")]


class KeyMade(Part):
    """Its two primes, and a random number to the power of N, all in hex."""

    p: _Hex
    q: _Hex
    mask: _Hex


class TableWanted(Part):
    """A table to read about a subject, and which of its columns are only counted."""

    table: Table
    withheld: tuple[bool, ...]


class About(Part):
    """Read what a store holds about one subject. With it comes the store."""

    kind: Literal["about"] = "about"
    answer: bool = False
    """Whether a provider's answer comes in the place of a store."""
    subject: Uscc
    tables: tuple[TableWanted, ...]
    features: tuple[FeatureDefinition, ...]
    most_rows: _Count


class TableFound(Part):
    """A table's rows about the subject, as text.

    Attributes:
        rows: by column; none where there is no value, or it is withheld.
        withheld: how many values of each column are there and not shown.
    """

    rows: tuple[tuple[str | None, ...], ...]
    withheld: tuple[_Count, ...]


class Found(Part):
    """What is held. It, `Picked` and `Tried` are the answers that hold records' values."""

    tables: tuple[TableFound, ...]
    values: tuple[str | None, ...]


class Pick(Part):
    """Read a page of a list. With it comes the store."""

    kind: Literal["pick"] = "pick"
    table: Table
    """The register, with no more columns than are told or its rows are held to."""
    columns: tuple[Owner, ...]
    """Those that are told."""
    only: tuple[Only, ...]
    by: Table | None
    """The table whose column picks the firms; none where the division in their codes does."""
    by_column: Owner | None
    code: Code
    first: _Count
    """How many firms stand on the pages before."""
    firms: _Count
    """The most of this page, and of the whole list."""
    most: _Count
    most_rows: _Count


class Picked(Part):
    """A page of a list: how many firms the whole has, whether there are more, and rows.

    Attributes:
        rows: each with its firm's code, then the told columns as text; none where there is none.
    """

    firms: _Count
    more: bool
    rows: tuple[tuple[str | None, ...], ...]


class Tabulate(Part):
    """Make tables, protected together with what was released before. With it comes the store."""

    kind: Literal["tabulate"] = "tabulate"
    tables: tuple[Table, ...]
    aggregate: Aggregate
    epoch: Annotated[int, Field(ge=1)]
    features: tuple[FeatureDefinition, ...]
    """The plan's, and those of what was released before."""
    bounds: tuple[SumBounds, ...]
    shown: tuple[ShownFamily, ...]
    """What became of every cell before."""
    rules: TableRules
    """Those that the tables keep to; no laxer than the plan's own."""
    first: TableRules
    """By whose base and digits they are rounded before they are by the plan's."""
    groups: FeatureName | None = None
    """Which of the features names legal groups."""
    in_steps: bool = False
    """Numbers are told in whole steps: others are added to them."""


class Tabulated(Part):
    """The tables' numbers as they were rounded, and what became of every cell by now."""

    numbers: tuple[Numbers, ...]
    shown: tuple[ShownFamily, ...]


class Columns(Part):
    """Read features' values. With it: the store, the subjects' codes, and a file to write to."""

    kind: Literal["columns"] = "columns"
    tables: tuple[Table, ...]
    features: tuple[FeatureDefinition, ...]


class ColumnsRead(Part):
    """What the file now holds: numbers of 8 bytes, row by row."""

    rows: _Count
    columns: _Count


class ModelTold(Part):
    """The room's part of a model. A column that was left out of training has no scale.

    The whole of one that was trained in the room: it has an intercept, and may be of trees.
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float | None, ...]
    intercept: float = 0.0
    boosted: BoostedTold | None = None


class Score(Part):
    """Tell in which band of a model's points every subject is.

    With it: the store, and a file to write to.
    """

    kind: Literal["score"] = "score"
    tables: tuple[Table, ...]
    features: tuple[FeatureDefinition, ...]
    model: ModelTold
    edges: tuple[float, ...]
    silent: bool
    """Whether nobody's points are told of whom all features are silent."""
    reasons: _Count = 0
    """The most features that are named, of those that raise the odds; none for 0."""


NO_BAND: Final = 255
"""Where a band stands of whom nothing is known."""


class Banded(Part):
    """What the file now holds: so many subjects' codes, ascending; their bands, and one more.

    The last is the band of everybody else. Where reasons are told, behind the bands stand these, 8
    bytes each.
    """

    subjects: _Count


class Align(Part):
    """Be the room's side of an alignment. With it: the subjects' codes, and a state or nothing.

    Of a job of several owners it is told which of the common subjects count, by their places: 4
    bytes each. Only then it says what lets the label side know its rows.
    """

    kind: Literal["align"] = "align"
    job: str
    label_items: _Count
    commitment: str
    narrowed: bool = False


class Train(Part):
    """Be the room's side of a training.

    With it: the columns, the opening or nothing, a state or nothing, and a file for SEAL. Where
    there is an epsilon, rows are held out, and counted with so much noise.
    """

    kind: Literal["train"] = "train"
    job: str
    names: tuple[str, ...]
    rows: _Count
    label_columns: _Count
    inverse_ridge: float
    rank: _Count
    rounds: _Count
    epsilon: Decimal | None = None


class Exchanged(Part):
    """What came of a message of the other side's; so many frames follow."""

    refused: Annotated[str, StringConstraints(pattern=r"^[A-Z_]{1,40}$")] | None = None
    frames: _Count = 0
    over: bool = False
    rounds: _Count = 0
    converged: bool = False


class Failed(Part):
    """The job failed as a whole."""

    reason: Reason


Once = (
    Build
    | Materialise
    | Check
    | Try
    | About
    | Pick
    | Tabulate
    | Columns
    | Score
    | MakeKey
    | FindRows
    | Fit
)
"""What a child does that answers once."""
Outcome = (
    Built
    | Cells
    | Checked
    | Tried
    | Found
    | Picked
    | Tabulated
    | ColumnsRead
    | Banded
    | KeyMade
    | RowsFound
    | Fitted
)
"""What comes of it."""


class Order(Part):
    """A job as it arrives."""

    job: Annotated[Once | Align | Train, Field(discriminator="kind")]


class Answer(Part):
    """A job's outcome."""

    answer: Outcome | Failed
