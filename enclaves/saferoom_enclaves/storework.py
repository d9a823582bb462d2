"""What an enclave has its children do with stores: build, compute, check, try, read.

All that comes back is checked here: its form, its length, its names and rules. A feature whose
child had to be stopped, or broke down, is left out and the others are computed without it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from saferoom_enclaves.answers import (
    answered,
    frozen,
    garbled,
    lent_memory,
    require_about,
    require_built,
    require_file,
    require_picked,
)
from saferoom_enclaves.children import fit_jobs, jobs
from saferoom_enclaves.children.bounds import Bounds, Ending
from saferoom_enclaves.children.frames import Frame
from saferoom_enclaves.children.workshop import ChildError, Heard, Job, Stop, Workshop
from saferoom_enclaves.features.computed import FeatureDefinition, FeatureRule
from saferoom_enclaves.index import FeatureIndex
from saferoom_enclaves.offers import MatchKey
from saferoom_enclaves.rows import BadRow, BuiltStore
from saferoom_enclaves.scores.index import BandIndex, ScoreOrder
from saferoom_proto.blind import MODULUS_BITS
from saferoom_proto.formula import FeatureRef
from saferoom_proto.load import Change
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Table

A = TypeVar("A")

_LEAST_FILE_BYTES: Final = 64 << 20
"""A store of a few rows takes DuckDB 256 KiB a table and more."""
_STORE_PER_LOAD: Final = 3  # a store is smaller than its tables as text, but for short ones


@dataclass(frozen=True, slots=True)
class Allowance:
    """What children may use.

    Attributes:
        memory_bytes: address space of each.
        feature_seconds: the longest that one feature may take.
        check_seconds: the longest that the check of one feature may take.
        build_seconds: the longest that building a store may take.
        trial_seconds: the longest that a trial of one feature may take.
        about_seconds: the longest that reading about one subject, or a page of a list, may take.
        table_seconds: the longest that making one plan's tables may take.
        key_seconds: the longest that making a key for a blind match may take.
        index_bytes: the largest index of cells.
    """

    memory_bytes: int = 4 << 30
    feature_seconds: float = 60.0
    check_seconds: float = 20.0
    build_seconds: float = 1800.0
    trial_seconds: float = 20.0
    about_seconds: float = 10.0
    table_seconds: float = 300.0
    key_seconds: float = 60.0
    index_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class ComputedFeatures:
    """The index of those features that could be computed, and why the others could not."""

    index: FeatureIndex
    refused: dict[FeatureRef, FeatureRule]


class StoreWork:
    """Has children work on stores. Any thread may use it.

    Args:
        workshop: gives children.
        scratch: a folder on tmpfs that belongs to this enclave alone.
        allowance: what children may use.
    """

    def __init__(
        self, workshop: Workshop, scratch: Path, allowance: Allowance | None = None
    ) -> None:
        self._workshop: Final = workshop
        self._scratch: Final = scratch
        self._allowance: Final = allowance or Allowance()

    @property
    def workshop(self) -> Workshop:
        """Gives children."""
        return self._workshop

    @property
    def is_possible(self) -> bool:
        """Whether there are children to be had."""
        return self._workshop.is_there

    def close(self) -> None:
        """Let the fork server go."""
        self._workshop.close()

    def build(
        self,
        tables: Sequence[tuple[Table, int]],
        changes: Sequence[Change] = (),
        before: int | None = None,
        leaves: Sequence[str] = (),
    ) -> BuiltStore:
        """Build a store from tables, held to their schemas row by row.

        Args:
            tables: each table's schema, and its rows as CSV: memory that nobody can write.
            changes: what each table's rows do to those before; without them they are all rows.
            before: the store that is changed; none where nothing of it is kept.
            leaves: the linked tables whose rows are left out that lead to no subject, or to two.

        Raises:
            SafeRoomError: BAD_CONFIG, the scratch folder is not in memory; MALFORMED, a table's
                schema cannot be a store's; TOO_LARGE, memory is exhausted; DEADLINE; INTERNAL.
        """
        size = sum(os.fstat(file).st_size for _, file in tables)
        kept = () if before is None else (before,)
        bounds = self._bounds(
            self._allowance.build_seconds,
            output_bytes=_LEAST_FILE_BYTES
            + _STORE_PER_LOAD * size
            + 2 * sum(os.fstat(file).st_size for file in kept),
            scratch=True,
        )
        schemas = tuple(schema for schema, _ in tables)
        told = tuple(changes) or (Change.WHOLE,) * len(schemas)
        order = jobs.Build(
            tables=schemas, changes=told, leaves=tuple(leaves), scratch=str(self._scratch)
        )
        frame = self._done(order, (*(file for _, file in tables), *kept), bounds)
        try:
            built = answered(frame, jobs.Built)
            require_built(built, order)
            require_file(frame.files, bounds.output_bytes, wanted=not built.bad_row_count)
        except BaseException:
            frame.close()
            raise
        plaintext = os.fdopen(frame.files[0], "rb") if frame.files else None
        bad, left = (
            tuple(BadRow(row.table, row.line, row.column, row.rule) for row in rows)
            for rows in (built.bad_rows, built.left)
        )
        rows, count = dict(built.rows), built.bad_row_count
        return BuiltStore(plaintext, rows, bad, count, left, built.links)

    def compute(
        self, store: int, tables: Sequence[Table], features: Sequence[FeatureDefinition]
    ) -> ComputedFeatures:
        """Compute features over a store.

        Args:
            store: the memfd that `vault.open_snapshot` gave.
            tables: its schema.
            features: what to compute.

        Raises:
            SafeRoomError: STORE_DAMAGED, the content is not a store; UNAVAILABLE, there is no fork
                server; INTERNAL, DEADLINE or TOO_LARGE, none could be computed.
        """
        left = list(features)
        refused: dict[FeatureRef, FeatureRule] = {}
        while True:
            reached: list[int] = []
            try:
                index, found = self._computed(store, tuple(tables), left, reached.append)
            except SafeRoomError as error:
                # Which one it was at, when it ended: it is left out, and the others begin anew.
                rule = _rule_of(error)
                at = reached[-1] if reached else len(left)
                if rule is None or at >= len(left):
                    raise
                refused[left.pop(at).shape.ref] = rule
                continue
            return ComputedFeatures(index, refused | found)

    def check(self, feature: FeatureDefinition, tables: Sequence[Table]) -> str | None:
        """Check a feature against a schema, without any record.

        Returns:
            The rule that it breaks, for its author; none if it can be computed.
        """
        bounds = self._bounds(self._allowance.check_seconds, output_bytes=1)
        order = jobs.Check(tables=tuple(tables), feature=feature)
        frame = self._done(order, (), bounds)
        frame.close()
        return answered(frame, jobs.Checked).broken

    def trial(
        self,
        store: int,
        tables: Sequence[Table],
        feature: FeatureDefinition,
        shares: Sequence[float],
        fewest: int,
    ) -> jobs.Tried:
        """Count a checked feature's cells over a store.

        Args:
            store: the memfd that `vault.open_snapshot` gave.
            tables: its schema.
            feature: the feature.
            shares: where values are wanted.
            fewest: known values below which none is given.

        Returns:
            The counts and values; or the rule that the feature breaks on the records.
        """
        order = jobs.Try(tables=tuple(tables), feature=feature, shares=tuple(shares), fewest=fewest)
        bounds = self._bounds(self._allowance.trial_seconds, output_bytes=1)
        try:
            frame = self._done(order, (store,), bounds)
            frame.close()
            tried = answered(frame, jobs.Tried)
        except SafeRoomError as error:
            rule = _rule_of(error)
            if rule is None:
                raise
            return jobs.Tried(rule=rule, counts=(), values=())
        whole = len(tried.counts) == (0 if tried.rule else feature.shape.cells + 1)
        if not whole or len(tried.values) > len(shares):
            raise garbled("counts of other cells")
        return tried

    def bands(self, store: int, tables: Sequence[Table], order: ScoreOrder) -> BandIndex:
        """Band a model's points over a store.

        Args:
            store: the memfd that `vault.open_snapshot` gave.
            tables: its schema.
            order: the score.

        Raises:
            SafeRoomError: CONFLICT, the model has other columns; MALFORMED_SQL; DEADLINE;
                TOO_LARGE; INTERNAL; UNAVAILABLE, there is no fork server.
        """
        job = jobs.Score(
            tables=tuple(tables),
            features=order.features,
            model=order.model,
            edges=tuple(map(float, order.part.edges)),
            silent=order.part.silent,
            reasons=order.part.reasons,
        )
        seconds = self._allowance.feature_seconds * (len(order.features) + 1)
        with lent_memory() as written:
            bounds = self.bounds(seconds, self._allowance.index_bytes)
            frame = self._done(job, (store, written), bounds)
            frame.close()
            return BandIndex(frozen(written), answered(frame, jobs.Banded).subjects, order.part)

    def read_columns(self, order: jobs.Columns, files: tuple[int, int, int]) -> Frame:
        """Have features' values read for joint training, into the last of the files."""
        seconds = self._allowance.feature_seconds * (len(order.features) + 1)
        return self._done(order, files, self.bounds(seconds, self._allowance.index_bytes))

    def fit(self, order: fit_jobs.FitOrder, files: tuple[int, ...], stop: Stop) -> Frame:
        """Have a model fitted to a store, or its rows named, and written into the second file."""
        bounds = self.bounds(self._allowance.table_seconds, self._allowance.index_bytes)
        return self._done(order, files, bounds, stop=stop)

    def about(self, store: int, order: jobs.About) -> jobs.Found:
        """Read what a store holds about one subject, or what a provider's answer does.

        Raises:
            SafeRoomError: TOO_LARGE, a table has more rows than the most; DEADLINE; INTERNAL;
                UNAVAILABLE, there is no fork server.
        """
        found = self._told(order, (store,), self._allowance.about_seconds, jobs.Found)
        if len(found.tables) != len(order.tables) or len(found.values) != len(order.features):
            raise garbled("other tables or features than were asked for")
        for each, told in zip(order.tables, found.tables, strict=True):
            require_about(told, each, order.subject)
            if len(told.rows) > order.most_rows:
                raise SafeRoomError(Reason.TOO_LARGE, "more rows in a table than are wanted")
        return found

    def pick(self, store: int, order: jobs.Pick) -> jobs.Picked:
        """Read a page of a list.

        Raises:
            SafeRoomError: as `about`.
        """
        found = self._told(order, (store,), self._allowance.about_seconds, jobs.Picked)
        require_picked(found, order)
        return found

    def match_key(self) -> MatchKey:
        """Have a key made for one blind match; DEADLINE, INTERNAL or UNAVAILABLE if not."""
        bits, seconds = jobs.MakeKey(bits=MODULUS_BITS), self._allowance.key_seconds
        made = self._told(bits, (), seconds, jobs.KeyMade)
        return MatchKey.of(int(made.p, 16), int(made.q, 16), int(made.mask, 16))

    def tabulate(self, store: int, order: jobs.Tabulate) -> jobs.Tabulated:
        """Make tables over a store, protected together with what was released before.

        Args:
            store: the memfd that `vault.open_snapshot` gave.
            order: what is to be made.

        Raises:
            SafeRoomError: TOO_LARGE; DEADLINE; INTERNAL; UNAVAILABLE, there is no fork server.
        """
        return self._told(order, (store,), self._allowance.table_seconds, jobs.Tabulated)

    def _computed(
        self,
        store: int,
        tables: tuple[Table, ...],
        features: Sequence[FeatureDefinition],
        heard: Heard,
    ) -> tuple[FeatureIndex, dict[FeatureRef, FeatureRule]]:
        each = self._allowance.feature_seconds
        bounds = self._bounds(each * (len(features) + 2), output_bytes=self._allowance.index_bytes)
        order = jobs.Materialise(tables=tables, features=tuple(features))
        return self.cells(order, store, bounds, heard, each)

    def cells(
        self,
        order: jobs.Materialise,
        memory: int,
        bounds: Bounds,
        heard: Heard = lambda _: None,
        quiet_seconds: float | None = None,
    ) -> tuple[FeatureIndex, dict[FeatureRef, FeatureRule]]:
        """Have cells computed once; gives the features that have none, with the rule."""
        features = order.features
        with lent_memory() as written:
            frame = self._done(order, (memory, written), bounds, heard, quiet_seconds=quiet_seconds)
            frame.close()
            cells = answered(frame, jobs.Cells)
            places = {one.feature: one.rule for one in cells.refused}
            if any(at >= len(features) for at in places):
                raise garbled("a feature that was not asked for")
            kept = [each.shape for at, each in enumerate(features) if at not in places]
            index = FeatureIndex.of(frozen(written), cells.subjects, kept)
        return index, {features[at].shape.ref: rule for at, rule in places.items()}

    def _told(self, order: jobs.Once, files: tuple[int, ...], seconds: float, kind: type[A]) -> A:
        """Have a child answer that writes nothing."""
        frame = self._done(order, files, self._bounds(seconds, output_bytes=1))
        frame.close()
        return answered(frame, kind)

    def _done(
        self,
        order: jobs.Once,
        files: tuple[int, ...],
        bounds: Bounds,
        heard: Heard = lambda _: None,
        *,
        quiet_seconds: float | None = None,
        stop: Stop | None = None,
    ) -> Frame:
        message = jobs.Order(job=order).model_dump_json().encode()
        return self._workshop.run(Job(message, files, bounds, quiet_seconds, stop), heard)

    def bounds(self, seconds: float, output_bytes: int) -> Bounds:
        """Give what a child may use that writes nothing but into memory it was given."""
        return self._bounds(seconds, output_bytes=output_bytes)

    def _bounds(self, seconds: float, *, output_bytes: int, scratch: bool = False) -> Bounds:
        return Bounds(
            address_space_bytes=self._allowance.memory_bytes,
            cpu_seconds=max(1, round(seconds)),
            wall_seconds=seconds,
            output_bytes=output_bytes,
            scratch=scratch,
        )


def _rule_of(error: SafeRoomError) -> FeatureRule | None:
    """Say what a child's end tells of the feature that it was at; none if nothing."""
    if not isinstance(error, ChildError):
        return FeatureRule.MEMORY if error.reason is Reason.TOO_LARGE else None
    match error.ending:
        case Ending.PROCESSOR_TIME | Ending.TIME:
            return FeatureRule.TIME
        case Ending.CRASHED:
            return FeatureRule.BROKE_DOWN
        case _:
            return None
