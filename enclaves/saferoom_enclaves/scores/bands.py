"""The bands of approved scores: computed over the whole store beside the work, then looked up.

Like the index of cells (`data`): a child makes them whenever a score is approved or the store
changes. A question reads one small number, and no weight and no value is in reach of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from saferoom_enclaves.approved import ApprovedUse, ApprovedUses
from saferoom_enclaves.data import Data
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.indexing import Indexer, Opened
from saferoom_enclaves.logs import Log
from saferoom_enclaves.models import Model, Models
from saferoom_enclaves.scores.index import BandIndex, ScoreOrder
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.storework import StoreWork
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Template
from saferoom_proto.statements.feature import Table
from saferoom_proto.statements.score import ScorePart

Name = tuple[str, tuple[str, ...]]
"""Of what bands are: the score's mark, and the digests of the features that it reads."""


@dataclass(frozen=True, slots=True)
class WantedBands:
    """What bands are to be made of; the snapshot is held open for it."""

    opened: Opened
    tables: tuple[Table, ...]
    scores: Mapping[Name, ScoreOrder]


class Bands:
    """Has the bands of what the owner approved computed, and gives them.

    All but `settle` are used by one thread at a time.

    Args:
        standing: what is in force.
        uses: what the owner approved.
        models: the models that there are.
        data: the store.
        work: has children compute.
        log: the operator's.
    """

    def __init__(
        self,
        *,
        standing: Standing,
        uses: ApprovedUses,
        models: Models,
        data: Data,
        work: StoreWork,
        log: Log,
    ) -> None:
        self._standing: Final = standing
        self._uses: Final = uses
        self._models: Final = models
        self._data: Final = data
        self._work: Final = work
        self._log: Final = log
        self._indexer: Final = Indexer[WantedBands, None](self._compute, log)
        self._finished: Final = SimpleQueue[tuple[str, Name, BandIndex]]()
        """Bands as they are made, each beside the snapshot that they are of."""
        self._made: dict[Name, BandIndex] = {}
        self._snapshot = ""
        self._asked: tuple[str, int] | None = None
        """The snapshot and the state of what is in force for which bands were wanted last."""

    def refresh(self) -> None:
        """Have what is not computed yet computed; outside of transactions."""
        self._take()
        opened = self._data.in_use
        snapshot = "" if opened is None else opened.state.digest
        asked = (snapshot, self._standing.generation)
        if self._asked == asked:
            return
        schema = None if opened is None else self._standing.schemas.get(opened.schema)
        usable = {} if schema is None else self._usable()
        kept = self._made if self._snapshot == snapshot else {}
        self._made = {name: bands for name, bands in kept.items() if name in usable}
        self._snapshot = snapshot
        missing = {
            name: self._order(*each) for name, each in usable.items() if name not in self._made
        }
        if opened is not None and schema is not None and missing:
            self._indexer.want(WantedBands(opened.held(), schema.tables, missing))
        self._asked = asked  # only now: what could not even begin is tried again

    def of(self, use: ApprovedUse, part: ScorePart) -> BandIndex:
        """Give the bands of an approved score; `NO_DATA` while they are not computed."""
        self._take()
        opened, bands = self._data.opened(), self._made.get(_name(use, part))
        if bands is None or self._snapshot != opened.state.digest:
            raise SafeRoomError(Reason.NO_DATA, "the score's bands are not computed")
        return bands

    def settle(self, seconds: float) -> None:
        """Wait until what was wanted is made, or cannot be; or for so long."""
        self._indexer.settle(seconds)

    def _usable(self) -> dict[Name, tuple[ApprovedUse, ScorePart, Model]]:
        """Give what the owner approved, of models that there are."""
        approved = list(self._approved())
        # Only now: a template that nobody approved makes no work.
        self._models.look_for(part for _, part, _ in approved)
        usable: dict[Name, tuple[ApprovedUse, ScorePart, Model]] = {}
        for use, part, template in approved:
            try:
                model = self._models.usable(part, template, None, use.features.values())
                usable[_name(use, part)] = (use, part, model)
            except SafeRoomError as error:
                self._log.warning("no bands", model=part.model, reason=str(error.reason))
        return usable

    def _approved(self) -> Iterator[tuple[ApprovedUse, ScorePart, Template]]:
        templates = self._standing.templates
        for certificate, says in list(self._standing.certificates.items()):
            template = templates.get(says.template)
            if template is None or template.score is None:
                continue
            if not self._standing.approvals(says.template, certificate):
                continue  # whoever proposes much has no part derived of it
            try:
                use = self._uses.use(says.template, certificate)
            except SafeRoomError:
                continue  # not approved: whoever asks is told so
            if use.part.score is not None:
                yield use, use.part.score, template

    def _order(self, use: ApprovedUse, part: ScorePart, model: Model) -> ScoreOrder:
        # In the order of training, which the columns' names follow.
        named = [FeatureRef.parse(name) for name in model.job.recipes]
        definitions = (FeatureDefinition.of(use.features[ref].definition) for ref in named)
        return ScoreOrder(part, tuple(definitions), self._models.told(model))

    def _compute(self, wanted: WantedBands) -> None:
        unavailable: SafeRoomError | None = None
        for name, order in wanted.scores.items():
            try:
                made = self._work.bands(wanted.opened.memory, wanted.tables, order)
            except SafeRoomError as error:
                # One that cannot be computed holds none of the others up.
                self._log.error("bands not computed", model=order.part.model, reason=str(error))
                unavailable = error if error.reason is Reason.UNAVAILABLE else unavailable
                continue
            self._finished.put((wanted.opened.state.digest, name, made))
        if unavailable is not None:
            raise unavailable  # no fault of the score: what is missing is tried again

    def _take(self) -> None:
        ended = self._indexer.made()
        while not self._finished.empty():
            snapshot, name, made = self._finished.get_nowait()
            if snapshot == self._snapshot:
                self._made[name] = made
        if ended is not None and isinstance(ended[1], SafeRoomError):
            self._asked = None  # it is tried again


def _name(use: ApprovedUse, part: ScorePart) -> Name:
    return part.mark(()), tuple(each.digest for each in use.part.features)
