"""Trying a feature's draft: held to every rule, and counted over the store, for its owner's eyes.

Children do both, the first without any record. Nothing is kept of it, and nothing of a record
leaves: the rule that the draft breaks, or rounded counts of subjects, sealed to the approver who
ordered the trial.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from saferoom_enclaves.children.jobs import Tried
from saferoom_enclaves.data import Data
from saferoom_enclaves.days import Days, Earlier
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.indexing import Opened
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_enclaves.storework import StoreWork
from saferoom_proto import hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import FeatureTrial, Schema
from saferoom_proto.statements.feature import MAX_GRID, Absent, FeatureKind
from saferoom_proto.verdict import Counted, Verdict, seal_verdict, told
from saferoom_proto.verification import verify_by_named_approver

WINDOW: Final = timedelta(minutes=5)
"""How far an order's instant may be from the enclave's clock: an old one is not carried out."""
MOST_A_DAY: Final = 40
"""Trials of one approver: a day's work on drafts. One can tell a little of a single record where a
count lies beside an edge of rounding (SECURITY.md, promise 10), and this many no more than that."""
FEWEST_FOR_GRID: Final = 100
"""Known values below which no grid is suggested."""

_MOST: Final = Decimal(10) ** 17
"""A threshold has 18 digits at most."""
_DIGITS: Final = 2
"""Significant digits of a suggested threshold."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An ordered trial, to be made in any thread; nobody waits for it.

    Attributes:
        ordered: what is tried, and who is told.
        order: digest of the order.
        schema: what the draft is held to.
        opened: the store, held open for it; none if none is open that has this schema.
        work: has children try it.
    """

    ordered: FeatureTrial
    order: str
    schema: Schema
    opened: Opened | None
    work: StoreWork

    def verdict(self) -> bytes:
        """Try the draft, once.

        Returns:
            The verdict, sealed to the order's reply key; always of one length.
        """
        try:
            verdict = self._tried()
        except SafeRoomError as error:
            fault = f"it cannot be computed over the records: {error.words.what}"
            verdict = Verdict(fault=fault, counted=None)
        return seal_verdict(verdict, unb64(self.ordered.reply_key), self.order)

    def close(self) -> None:
        """Let the store go: whoever began it does, whatever becomes of it."""
        if self.opened is not None:
            self.opened.close()

    def _tried(self) -> Verdict:
        definition = FeatureDefinition.of(self.ordered.draft)
        fault = self.work.check(definition, self.schema.tables)
        if fault is not None or self.opened is None:
            return Verdict(fault=fault, counted=None)
        of_numbers = definition.shape.kind is FeatureKind.ORDERED
        shares = [(place + 1) / (MAX_GRID + 1) for place in range(MAX_GRID)] if of_numbers else []
        found = self.work.trial(
            self.opened.memory, self.schema.loaded, definition, shares, FEWEST_FOR_GRID
        )
        if found.rule is not None:
            return Verdict(fault=str(found.rule), counted=None)
        return Verdict(fault=None, counted=_counted(definition, found))


class Trials:
    """Lets approvers have drafts tried, so many a day.

    Args:
        state: the enclave's database, opened: it keeps each approver's last day.
        standing: what is in force.
        data: the store.
        work: has children try.
    """

    def __init__(self, state: State, standing: Standing, data: Data, work: StoreWork) -> None:
        self._state: Final = state
        self._standing: Final = standing
        self._data: Final = data
        self._work: Final = work
        self._days: Final = Days(state, "trials")

    def expect(self, order: Envelope, now: datetime) -> FeatureTrial:
        """Tell what an approver has tried, before it waits.

        Raises:
            SafeRoomError: `BAD_SIGNATURE` or `BAD_CHARTER` without an approver's signature or for
                another owner's store; `BAD_SEAL` if nothing can be sealed to its reply key;
                `EXPIRED` or `NOT_YET_VALID` for an order of another time; `CONFLICT` if no schema
                is in force; `TOO_MANY_REQUESTS`.
        """
        return self._allowed(order, now)[0]

    def begin(self, order: Envelope, now: datetime) -> Trial:
        """Let a trial begin, and count it; whoever gets it closes it.

        Raises:
            SafeRoomError: as `expect`.
        """
        trial, schema, others = self._allowed(order, now)
        with self._state.transaction():
            own = Earlier(request_id=order.digest, at=now)
            self._days.write(trial.approver, (*others, own))
        opened = self._data.in_use
        fits = opened is not None and opened.schema == self._standing.schema
        # Of a source there is no population to count.
        fits = fits and trial.draft.source is None
        held = opened.held() if opened is not None and fits else None
        return Trial(trial, order.digest, schema, held, self._work)

    def _allowed(
        self, order: Envelope, now: datetime
    ) -> tuple[FeatureTrial, Schema, tuple[Earlier, ...]]:
        """Give an order's trial, the schema in force, and what else its approver had tried."""
        trial = verify_by_named_approver(order, self._standing.charter, FeatureTrial)
        if trial.draft.owner != trial.owner or trial.draft.room != trial.room:
            raise SafeRoomError(Reason.BAD_SIGNATURE, "a draft of another owner or room")
        hpke.require_public(unb64(trial.reply_key))
        if now - trial.at > WINDOW:
            raise SafeRoomError(Reason.EXPIRED, f"the order is of {trial.at}")
        if trial.at - now > WINDOW:
            raise SafeRoomError(Reason.NOT_YET_VALID, f"the order is of {trial.at}")
        if self._standing.schema is None:
            raise SafeRoomError(Reason.CONFLICT, "no schema is in force")
        # The same order tried again says the same again.
        day = self._days.of(trial.approver, now)
        others = tuple(each for each in day if each.request_id != order.digest)
        if len(others) >= MOST_A_DAY:
            rule = "this day's trials are used up: try again tomorrow, or have another approver try"
            fault = FieldFault("order.approver", rule)
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, f"{MOST_A_DAY} trials in a day", [fault])
        return trial, self._standing.schemas[self._standing.schema], others


def _counted(definition: FeatureDefinition, found: Tried) -> Counted:
    unknown, *cells = found.counts
    if definition.shape.absent is Absent.FALSE:
        cells[0], unknown = cells[0] + unknown, 0
    values = [value for value in map(_number, found.values) if value is not None]
    suggested = tuple(sorted({_rounded(value) for value in values}))
    return Counted(
        cells=tuple(told(count) for count in cells), unknown=told(unknown), suggested=suggested
    )


def _number(text: str) -> Decimal | None:
    """Read a value that a threshold can be; none if it cannot."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < _MOST else None


def _rounded(value: Decimal) -> Decimal:
    """Round to the digits that a threshold is suggested with, in the form a grid has."""
    if not value:
        return Decimal(0)
    places = max(value.adjusted() - _DIGITS + 1, -4)
    return Decimal(format(value.quantize(Decimal(1).scaleb(places)), "f"))
