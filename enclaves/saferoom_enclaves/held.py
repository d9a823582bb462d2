"""What is held about one subject: rows, features' values, who asked, in which batches and lists.

What is read goes under seal at once (`gate.collect`) and leaves to its subject only. A child reads
it (`reading.py`), beside the work; what it gives is held to the schema and to the subject here.

A row about a subject can name others: an invoice its buyer, a licence its owner's identity number.
Text of level 4, but for the key, is therefore counted and not shown; numbers, dates and flags of
level 4 are the subject's own record-level detail and are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from saferoom_enclaves.batches.about_subjects import FoundBatches, Search
from saferoom_enclaves.children.jobs import About, TableWanted
from saferoom_enclaves.data import Data
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.fetched.computing import memory_of
from saferoom_enclaves.fetched.records import FetchedAbout, FetchedRecords
from saferoom_enclaves.indexing import Opened
from saferoom_enclaves.reports.shown import FoundLists
from saferoom_enclaves.spending import Spending
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.storework import StoreWork
from saferoom_proto.holdings import (
    HeldAccount,
    HeldBatch,
    HeldColumn,
    HeldFeature,
    HeldList,
    HeldTable,
)
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Column,
    ColumnType,
    FeatureKind,
    Schema,
    StoreState,
    Table,
)

MOST_ROWS: Final = 50_000
"""Rows of one table about one subject; more would not fit into what a subject can be sent."""
_IDENTIFYING: Final = 4


@dataclass(frozen=True, slots=True, repr=False)
class Held:
    """What is held about one subject, in the clear. It shows no text form."""

    store: StoreState
    schema: str
    tables: tuple[HeldTable, ...]
    features: tuple[HeldFeature, ...]
    accounts: tuple[HeldAccount, ...]
    batches: tuple[HeldBatch, ...]
    earlier: int
    lists: tuple[HeldList, ...]
    earlier_lists: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is held, and as what: in the store, or as a source's answer."""

    memory: int
    tables: tuple[Table, ...]
    features: tuple[PinnedFeature, ...]
    answer: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What is to be read about a subject, in any thread: of a store that is held open for it."""

    subject: str
    opened: Opened
    schema: Schema
    features: tuple[PinnedFeature, ...]
    fetched: tuple[FetchedAbout, ...]
    accounts: tuple[HeldAccount, ...]
    batches: FoundBatches
    lists: FoundLists
    work: StoreWork

    def read(self) -> Held:
        """Read everything, once.

        Raises:
            SafeRoomError: `DEADLINE`, `TOO_LARGE`, `UNAVAILABLE` or `INTERNAL` if it cannot be
                read. What went wrong quotes no value.
        """
        tables, features = self._of(Place(self.opened.memory, self.schema.loaded, self.features))
        for each in self.fetched:
            with memory_of(each.data) as memory:
                place = Place(memory, each.recipe.tables, each.features(), answer=True)
                more_tables, more_features = self._of(place)
            tables, features = (*tables, *more_tables), (*features, *more_features)
        return Held(
            self.opened.state,
            self.opened.schema,
            tables,
            features,
            self.accounts,
            *self.batches.read(),
            self.lists.lists,
            self.lists.earlier,
        )

    def _of(self, place: Place) -> tuple[tuple[HeldTable, ...], tuple[HeldFeature, ...]]:
        """Read one place."""
        columns = [tuple(_column(table, each) for each in table.columns) for table in place.tables]
        wanted = [
            TableWanted(table=table, withheld=tuple(column.withheld for column in held))
            for table, held in zip(place.tables, columns, strict=True)
        ]
        definitions = [
            FeatureDefinition.of(pinned.definition) for pinned in place.features if _shown(pinned)
        ]
        order = About(
            subject=self.subject,
            tables=tuple(wanted),
            features=tuple(definitions),
            most_rows=MOST_ROWS,
            answer=place.answer,
        )
        found = self.work.about(place.memory, order)
        values = iter(found.values)
        tables = tuple(
            HeldTable(
                name=table.name,
                title=table.title,
                columns=held,
                rows=rows.rows,
                withheld=rows.withheld,
            )
            for table, held, rows in zip(place.tables, columns, found.tables, strict=True)
        )
        features = tuple(
            HeldFeature(
                feature=each.definition.full_name,
                digest=each.digest,
                value=next(values) if _shown(each) else None,
            )
            for each in place.features
        )
        return tables, features

    def close(self) -> None:
        """Let the store go."""
        self.opened.close()


class Records:
    """Begins to read what is held about one subject.

    Args:
        data: the store.
        work: has children read.
        standing: schema, features and agreements.
        spending: the leakage ledger.
        batches: finds the rows about a subject in batches.
        lists: finds the pages of lists that showed a subject.
        fetched: what was fetched of sources.
    """

    def __init__(
        self,
        data: Data,
        work: StoreWork,
        standing: Standing,
        spending: Spending,
        batches: Callable[[Search], FoundBatches],
        *,
        lists: Callable[[str], FoundLists],
        fetched: FetchedRecords,
    ) -> None:
        self._data: Final = data
        self._work: Final = work
        self._standing: Final = standing
        self._spending: Final = spending
        self._batches: Final = batches
        self._lists: Final = lists
        self._fetched: Final = fetched

    def about(self, search: Search, now: datetime) -> Reading:
        """Say what is to be read about a subject; whoever gets it closes it.

        Args:
            search: for its rows of batches.
            now: the instant: what was fetched is held until its period is over.

        Raises:
            SafeRoomError: `NO_DATA` if there is no store.
        """
        opened = self._data.opened()
        schema = self._standing.schemas.get(opened.schema)
        if schema is None:
            raise SafeRoomError(Reason.NO_DATA, "the store's schema is not in force")
        # Only those that answers are made from: one that cannot be computed is no feature here.
        computed = self._data.index().features
        features = [
            each for ref, each in sorted(self._standing.features.items()) if ref in computed
        ]
        subject = search.subject
        return Reading(
            subject=subject,
            schema=schema,
            features=tuple(features),
            fetched=self._fetched.held(subject, now),
            accounts=self._accounts(subject),
            batches=self._batches(search),
            lists=self._lists(subject),
            work=self._work,
            opened=opened.held(),  # last: nothing that fails leaves it open
        )

    def _accounts(self, subject: str) -> tuple[HeldAccount, ...]:
        return tuple(
            HeldAccount(
                group=group,
                institutions=institutions,
                feature=spent.feature,
                epoch=spent.epoch,
                cuts=spent.cuts,
                cells=spent.cells,
                scores=tuple(score.answers for score in spent.scores),
            )
            for group, institutions in sorted(self._standing.groups.institutions().items())
            for spent in self._spending.own_account(group, subject)
        )


def _shown(feature: PinnedFeature) -> bool:
    """Tell whether a feature's value is shown: one that others state can name somebody else."""
    return feature.definition.kind is not FeatureKind.STATED


def _column(table: Table, column: Column) -> HeldColumn:
    names_others = (
        column.level == _IDENTIFYING and column.type is ColumnType.TEXT and column.name != table.key
    )
    return HeldColumn(
        name=column.name,
        title=column.title,
        type=column.type,
        level=column.level,
        withheld=names_others,
    )
