"""Has a child fit a model over a snapshot that is held open for it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from saferoom_enclaves.answers import answered, frozen, garbled, lent_memory
from saferoom_enclaves.children.fit_jobs import FindRows, Fit, Fitted, Made, RowsFound
from saferoom_enclaves.children.workshop import Stop
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.fits.charge import ChargedFit
from saferoom_enclaves.indexing import Opened
from saferoom_enclaves.jobs.ground import MOST_NUMBERS
from saferoom_enclaves.jobs.partners import TrainedOn
from saferoom_enclaves.storework import StoreWork
from saferoom_proto.statements.feature import Table
from saferoom_proto.uscc import SUBJECT_BYTES

_NUMBER_BYTES: Final = 8


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """What a child made of the records.

    Attributes:
        made: the model, and what was measured.
        trained_on: of whom and of what of this owner's; the label is its last column.
    """

    made: Made
    trained_on: TrainedOn


@dataclass(frozen=True, slots=True, repr=False)
class Beside:
    """What other owners gave: whom all of them hold, and their columns of these, row by row."""

    subjects: bytes
    columns: bytes


@dataclass(frozen=True, slots=True)
class OverStore:
    """Fits models over a snapshot.

    Attributes:
        opened: the snapshot.
        tables: its schema.
        work: has children work.
        stop: gives it up.
    """

    opened: Opened
    tables: tuple[Table, ...]
    work: StoreWork
    stop: Stop = field(default_factory=Stop)

    def find(self, charged: ChargedFit) -> bytes:
        """Find whom a model would be fitted to, in any thread: their codes.

        Raises:
            SafeRoomError: as `fit`.
        """
        use = charged.admitted.use
        order = FindRows(
            tables=self.tables,
            features=tuple(FeatureDefinition.of(each.definition) for each in use.features),
            label=FeatureDefinition.of(use.label.definition),
        )
        with lent_memory() as written:
            frame = self.work.fit(order, (self.opened.memory, written), self.stop)
            frame.close()
            rows, codes = answered(frame, RowsFound).rows, bytes(frozen(written))
        if len(codes) != rows * SUBJECT_BYTES:
            raise garbled("other rows than it said")
        return codes

    def fit(self, charged: ChargedFit, seed: bytes, beside: Beside | None = None) -> Outcome | None:
        """Fit a model, in any thread; none where a child finds too few rows for it.

        Args:
            charged: what is asked.
            seed: says which rows are held out; nobody outside knows it.
            beside: of several owners, what the others gave.

        Raises:
            SafeRoomError: `UNAVAILABLE` if there is nobody to do it; what a child ends with.
        """
        use, request = charged.admitted.use, charged.admitted.asked.request
        order = Fit(
            tables=self.tables,
            features=tuple(FeatureDefinition.of(each.definition) for each in use.features),
            label=FeatureDefinition.of(use.label.definition),
            columns=use.part.columns,
            others=use.columns[len(use.part.columns) :],
            inverse_ridge=None if request.inverse_ridge is None else float(request.inverse_ridge),
            trees=request.trees or 0,
            leaves=request.leaves or 0,
            seed=seed.hex(),
            least_rows=use.fit.least_rows,
            least_events=use.fit.least_events,
            most_numbers=MOST_NUMBERS,
            epsilon=None if use.fit.bands is None else use.fit.bands.epsilon,
        )
        given = () if beside is None else (beside.subjects, beside.columns)
        with ExitStack() as until_fitted:
            written, *lent = (
                until_fitted.enter_context(lent_memory(each)) for each in (b"", *given)
            )
            frame = self.work.fit(order, (self.opened.memory, written, *lent), self.stop)
            frame.close()
            made = answered(frame, Fitted).made
            if made is None:
                return None
            if (made.bands is None) != (use.fit.bands is None):
                raise garbled("bands that were not asked for, or none")
            kept = (*use.part.columns, use.fit.label)
            return Outcome(made, _rows(written, made, use.columns, kept))


def _rows(written: int, made: Made, whole: tuple[str, ...], columns: tuple[str, ...]) -> TrainedOn:
    """Hold what a child wrote to what it said, and to what it was asked for.

    Args:
        written: what it wrote.
        made: what it said.
        whole: all owners' columns, which the model is of.
        columns: this owner's own and the label, which the rows are of.
    """
    model = made.model
    lengths = {len(model.weights), len(model.means), len(model.scales)}
    if lengths != {len(whole)} or model.names != whole:
        raise garbled("a model of other columns")
    if model.boosted is not None and len(model.boosted.edges) != len(whole):
        raise garbled("trees of other columns")
    codes, numbers = SUBJECT_BYTES * made.rows, _NUMBER_BYTES * len(columns) * made.rows
    content = bytes(frozen(written))
    if len(content) != codes + numbers:
        raise garbled("other rows than it said")
    return TrainedOn(content[:codes], columns, content[codes:])
