"""What an enclave that goes on from an older copy has forgotten, counted as if all of it was asked.

The copy does not know what was asked of whom after it was made, and the log names no subjects. So
for every group and every subject each period that the copy does not know to its end counts as asked
in full, of every feature: nothing new is asked in it, and it weighs on the families' caps for as
long as a period does. Whoever puts an older copy into place gets no bit back by it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from saferoom_enclaves.accounts import Spent
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_proto.bits import MAX_BITS, most_cells
from saferoom_proto.formula import FeatureKind
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.statements.feature import CONSENT_FROM_LEVEL
from saferoom_proto.statements.source import is_period, opened


class ForgottenPeriods:
    """The periods of which too little is known.

    Args:
        state: the enclave's database, opened.
        standing: knows the features.
    """

    def __init__(self, state: State, standing: Standing) -> None:
        self._state: Final = state
        self._standing: Final = standing
        self._made: tuple[object, tuple[Spent, ...]] | None = None

    def closed(self, epoch: int) -> bool:
        """Tell whether nothing new may be asked in a period any more."""
        marks = self._state.marks
        if is_period(epoch):
            return opened(epoch) <= marks.forgotten_until
        return epoch <= marks.closed_epoch

    def spent(self, since: datetime) -> tuple[Spent, ...]:
        """Give what counts as asked by every group of every subject, as far as it still counts.

        Args:
            since: when the window of the caps begins.
        """
        marks = self._state.marks
        if not marks.forgotten:
            return ()
        epochs = {
            epoch
            for lost in marks.forgotten
            # Each of them adds a bit at least: so many pass every cap.
            for epoch in range(max(lost.first, lost.last - MAX_BITS), lost.last + 1)
            if marks.open_after(epoch, since)
        }
        known = (self._standing.generation, frozenset(epochs), since.date())
        if self._made is None or self._made[0] != known:
            features, scored = self._standing.features.values(), self._scored()
            self._made = (
                known,
                tuple(
                    _asked_in_full(feature, epoch, scored=feature.definition.full_name in scored)
                    for feature in features
                    if feature.definition.level >= CONSENT_FROM_LEVEL and feature.may_be_asked
                    for epoch in sorted(self._of_source(feature, since) or epochs)
                ),
            )
        return self._made[1]

    def _scored(self) -> frozenset[str]:
        """Name the features that any score reads."""
        scores = (template.score for template in self._standing.templates.values())
        return frozenset(name for score in scores if score is not None for name in score.features)

    def _of_source(self, feature: PinnedFeature, since: datetime) -> set[int]:
        """Give a source's own periods that the copy does not know to their end."""
        source, marks = feature.definition.source, self._state.marks
        if source is None:
            return set()
        return {
            period
            for lost in marks.forgotten
            for period in source.periods(lost.since, lost.decided, MAX_BITS + 1)
            if marks.open_after(period, since)
        }


def _asked_in_full(feature: PinnedFeature, epoch: int, *, scored: bool) -> Spent:
    """Charge a whole grid: what budget was allowed in the period is forgotten, too.

    Of stated values there is no whole, and of scores that read it neither: then as much as the
    feature's own budget buys.
    """
    shape, definition = feature.shape, feature.definition
    cells = shape.cells_told(shape.cuts)
    if shape.kind is FeatureKind.STATED:
        cells = min(cells, most_cells(definition.budget_bits))
    elif scored:
        cells = max(cells, most_cells(definition.budget_bits))
    return Spent.model_construct(
        feature=definition.full_name,
        epoch=epoch,
        value=definition.value_digest,
        kind=shape.kind,
        family=definition.family,
        unknown=shape.can_be_unknown,
        grid=(),
        cuts=(),
        null=True,
        cells=cells,
    )
