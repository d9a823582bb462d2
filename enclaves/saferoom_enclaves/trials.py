"""Trying a feature's draft: held to every rule, and counted over the store, for its owner's eyes.

Nothing is kept of it, and nothing of a record leaves: the rule that the draft breaks, in our
words, or rounded counts of subjects, sealed to the approver who ordered the trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, cast

from saferoom_enclaves.data import Data
from saferoom_enclaves.engine import silenced
from saferoom_enclaves.feature_sql import Gate, wrapped
from saferoom_enclaves.materialise import (
    ABSENT,
    FeatureDefinition,
    check_definition,
    materialise,
)
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.store import Store
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FeatureTrial
from saferoom_proto.statements.feature import MAX_GRID, Absent, FeatureKind, Table
from saferoom_proto.verdict import Counted, Verdict, seal_verdict, told
from saferoom_proto.verification import verify_by_named_approver

TRIAL_SECONDS: Final = 10.0
"""The longest that a trial may hold up the questions."""
WINDOW: Final = timedelta(minutes=5)
"""How far an order's instant may be from the enclave's clock: an old one is not carried out."""
FEWEST_FOR_GRID: Final = 100
"""Known values below which no grid is suggested."""

_MOST: Final = Decimal(10) ** 17
"""A threshold has 18 digits at most."""
_DIGITS: Final = 2
"""Significant digits of a suggested threshold."""


def try_feature(order: Envelope, standing: Standing, data: Data, now: datetime) -> bytes:
    """Try a draft as an approver ordered it.

    Returns:
        The verdict, sealed to the order's reply key; always of one length.

    Raises:
        SafeRoomError: `BAD_SIGNATURE` or `BAD_CHARTER` without an approver's signature or for
            another owner's store; `EXPIRED` or `NOT_YET_VALID` for an order of another time;
            `CONFLICT` if no schema is in force.
    """
    trial = verify_by_named_approver(order, standing.charter, FeatureTrial)
    if trial.draft.owner != trial.owner or trial.draft.room != trial.room:
        raise SafeRoomError(Reason.BAD_SIGNATURE, "a draft of another owner or room")
    if now - trial.at > WINDOW:
        raise SafeRoomError(Reason.EXPIRED, f"the order is of {trial.at}")
    if trial.at - now > WINDOW:
        raise SafeRoomError(Reason.NOT_YET_VALID, f"the order is of {trial.at}")
    if standing.schema is None:
        raise SafeRoomError(Reason.CONFLICT, "no schema is in force")
    tables = {table.name: table for table in standing.schemas[standing.schema].tables}
    try:
        verdict = Verdict(fault=None, counted=_tried(trial, tables, standing.schema, data))
    except SafeRoomError as error:
        verdict = Verdict(fault=_fault(error), counted=None)
    return seal_verdict(verdict, unb64(trial.reply_key), order.digest)


def _fault(error: SafeRoomError) -> str:
    """Say which rule a draft breaks; a failure of DuckDB's own is told by its kind alone."""
    if error.fields:
        return "; ".join(fault.rule for fault in error.fields)
    if error.reason is Reason.MALFORMED_SQL:
        return "it fails on the records"
    return f"it cannot be computed over the records: {error.words.what}"


def _tried(
    trial: FeatureTrial, tables: Mapping[str, Table], schema: str, data: Data
) -> Counted | None:
    definition = FeatureDefinition.of(trial.draft)
    check_definition(definition, tables)
    opened = data.in_use
    if opened is None or opened.schema != schema:
        return None
    with opened.store.interrupt_after(TRIAL_SECONDS):
        index = materialise(opened.store, [definition], tables)
        counts = index.counts(definition.shape.ref)
        unknown = counts.pop(ABSENT, 0)
        if definition.shape.absent is Absent.FALSE:
            counts[0], unknown = counts.get(0, 0) + unknown, 0
        suggested: tuple[Decimal, ...] = ()
        if definition.shape.kind is FeatureKind.ORDERED and sum(counts.values()) >= FEWEST_FOR_GRID:
            suggested = _quantiles(opened.store, definition, tables)
    cells = tuple(told(counts.get(cell, 0)) for cell in range(definition.shape.cells))
    return Counted(cells=cells, unknown=told(unknown), suggested=suggested)


def _quantiles(
    store: Store, definition: FeatureDefinition, tables: Mapping[str, Table]
) -> tuple[Decimal, ...]:
    """Give the values at equal shares, rounded, each once."""
    shares = [(place + 1) / (MAX_GRID + 1) for place in range(MAX_GRID)]
    gate = Gate(tables)
    try:
        checked = gate.check(definition.sql)
    finally:
        gate.close()
    query = f"SELECT quantile_disc(value, {shares}) FROM ({wrapped(checked)})"  # noqa: S608 - checked
    with silenced(Reason.MALFORMED_SQL, "quantiles"):
        row = store.connection.execute(query, checked.parameters(definition.as_of)).fetchone()
    found = cast("list[int | float | Decimal] | None", row[0] if row else None) or []
    values = [Decimal(str(value)) for value in found]
    fit = [value for value in values if value.is_finite() and abs(value) < _MOST]
    return tuple(sorted({_rounded(value) for value in fit}))


def _rounded(value: Decimal) -> Decimal:
    """Round to the digits that a threshold is suggested with, in the form a grid has."""
    if not value:
        return Decimal(0)
    places = max(value.adjusted() - _DIGITS + 1, -4)
    return Decimal(format(value.quantize(Decimal(1).scaleb(places)), "f"))
