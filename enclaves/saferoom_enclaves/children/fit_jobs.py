"""What a child is asked to fit in the room, and the closed form in which it answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_proto.fit_bands import MOST_BANDS
from saferoom_proto.statements.aggregate import Epsilon
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.feature import Table
from saferoom_proto.statements.fit import MOST_LEAVES, MOST_TREES
from saferoom_proto.statements.training import MOST_COLUMNS

_Count = Annotated[int, Field(ge=0, lt=1 << 53)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Noisy = Annotated[int, Field(gt=-(1 << 53), lt=1 << 53)]
_MOST_NODES = 2 * MOST_LEAVES


class FindRows(Part):
    """Name whom a model would be fitted to. With it: the store, and a file to write them to."""

    kind: Literal["find-rows"] = "find-rows"
    tables: tuple[Table, ...]
    features: tuple[FeatureDefinition, ...]
    label: FeatureDefinition


class RowsFound(Part):
    """How many the file names: their codes, ascending."""

    rows: _Count


class Fit(Part):
    """Fit a model to the store. With it: the store, and a file to write the rows to.

    Of several owners two more: whom it is fitted to, and the others' columns of them, row by row.
    A ridge is a logistic regression's; else trees and leaves are boosting's.
    """

    kind: Literal["fit"] = "fit"
    tables: tuple[Table, ...]
    features: tuple[FeatureDefinition, ...]
    label: FeatureDefinition
    columns: tuple[str, ...]
    """The names of the features' columns."""
    others: tuple[str, ...] = ()
    """Those of the other owners' columns, which stand behind them."""
    inverse_ridge: float | None
    trees: _Count
    leaves: _Count
    seed: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    least_rows: _Count
    least_events: _Count
    most_numbers: _Count
    """Rows times columns beyond which nothing is fitted."""
    epsilon: Epsilon | None
    """Of the bands of the rows held out; none where no bands are told."""

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return (*self.columns, *self.others)


FitOrder = FindRows | Fit
"""What a child is asked for a training in the room."""


class NodeTold(Part):
    """A node of a tree, as `saferoom_models.pooled.boosting` has it."""

    column: Annotated[int, Field(ge=0, lt=MOST_COLUMNS)]
    threshold: _Count
    left: Annotated[int, Field(ge=0, lt=_MOST_NODES)]
    right: Annotated[int, Field(ge=0, lt=_MOST_NODES)]
    value: _Finite


class BoostedTold(Part):
    """Edges of bins by column, and trees."""

    edges: tuple[tuple[_Finite, ...], ...]
    trees: Annotated[
        tuple[Annotated[tuple[NodeTold, ...], Field(max_length=_MOST_NODES)], ...],
        Field(max_length=MOST_TREES),
    ]

    @model_validator(mode="after")
    def _walkable(self) -> BoostedTold:
        """Every node leads on, to places and columns that there are: no walk is without an end."""
        for tree in self.trees:
            for at, node in enumerate(tree):
                leaf = node.left == node.right == 0
                if not (leaf or at < min(node.left, node.right)):
                    raise ValueError("a node that leads back")
                if max(node.left, node.right) >= len(tree) or node.column >= len(self.edges):
                    raise ValueError("a node that leads nowhere")
        if not all(self.trees) or any(list(one) != sorted(set(one)) for one in self.edges):
            raise ValueError("a tree without a root, or edges that do not ascend")
        return self


class ModelFitted(Part):
    """A whole model, as it is kept: of boosting, weights and scales say nothing.

    Unknown numbers are foretold as if they were the means.
    """

    names: tuple[str, ...]
    weights: tuple[_Finite, ...]
    means: tuple[_Finite, ...]
    scales: tuple[_Finite | None, ...]
    intercept: _Finite
    boosted: BoostedTold | None

    def part(self, columns: int) -> ModelFitted:
        """Take the part of the first so many columns; the whole is a part of itself."""
        if self.boosted is not None or columns == len(self.names):
            return self
        cut = {
            "names": self.names[:columns],
            "weights": self.weights[:columns],
            "means": self.means[:columns],
            "scales": self.scales[:columns],
        }
        return self.model_copy(update=cut)


class NoisyBandMade(Part):
    """A band of the rows held out: numbers with their noise, as `saferoom_proto.fit_bands`."""

    events: _Noisy
    others: _Noisy
    foretold: _Noisy


class Made(Part):
    """A model and what was measured; the file now holds the rows' codes, then their numbers.

    The numbers are this owner's own; the label's is the last of each row.
    """

    rows: _Count
    model: ModelFitted
    auc: _Share
    ks: _Share
    membership: _Share
    by_chance: _Share
    bands: Annotated[tuple[NoisyBandMade, ...] | None, Field(max_length=MOST_BANDS)] = None
    """The riskiest first; no exact number leaves the child."""


class Fitted(Part):
    """A model; none where there are too few rows, or too many, or no column tells them apart."""

    made: Made | None
