"""A request for tables, from its envelope to the enclave's word on it, in the order of its steps.

    identify, admit, charge    (begin)     a refusal is a verdict: signed, an entry of the chain
    make the tables            (beside the work, in a child: any thread waits for it)
    (the price alone           (begin)     is a refusal that says it)
    admit and charge again     (finish)    what allowed it must still hold
    release, or refuse                     one commit with what was released

One request is under way at a time: the next one must know what this one let out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.admit import Rules
from saferoom_enclaves.children.jobs import Tabulate, Tabulated
from saferoom_enclaves.data import Data
from saferoom_enclaves.gate import Moment
from saferoom_enclaves.indexing import Opened
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.judge import PASSING
from saferoom_enclaves.logs import Log
from saferoom_enclaves.making import made_or_none
from saferoom_enclaves.requests import Requests, Seen
from saferoom_enclaves.state import State
from saferoom_enclaves.statistics.laplace import require_noise
from saferoom_enclaves.storework import StoreWork
from saferoom_enclaves.tables.account import TableAccounts
from saferoom_enclaves.tables.admit import AskedTable, admit_table, identify_table
from saferoom_enclaves.tables.charge import ChargedTable, charge_table, price_table
from saferoom_enclaves.tables.gate import ReleasedTables, SealedTables, TableGate, make_tables
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Table
from saferoom_proto.statements.tables import PrivacySpent
from saferoom_proto.tables.told import Numbers


@dataclass(frozen=True, slots=True)
class _OverStore:
    """Has a child make tables over a snapshot that is held open for it, but for those it has.

    Attributes:
        opened: the snapshot.
        tables: its columns.
        work: has a child make tables.
        kept: numbers with noise that were told before; made anew, it could be averaged away.
    """

    opened: Opened
    tables: tuple[Table, ...]
    work: StoreWork
    kept: tuple[Numbers, ...] | None

    def tabulate(self, charged: ChargedTable) -> Tabulated:
        """Make the tables, and check that they are those of the plan."""
        if self.kept is not None:
            return Tabulated(numbers=self.kept, shown=())
        order = Tabulate(
            tables=self.tables,
            aggregate=charged.admitted.tables.aggregate,
            epoch=charged.plan.epoch,
            features=charged.features,
            bounds=charged.bounds,
            shown=charged.kept.account.shown,
            rules=charged.rules,
            first=charged.first,
            groups=charged.groups,
            in_steps=bool(charged.admitted.tables.owners),
        )
        made = self.work.tabulate(self.opened.memory, order)
        if sum(map(len, made.numbers)) != charged.plan.numbers:
            raise SafeRoomError(Reason.INTERNAL, "a child gave other tables than it was asked for")
        return made


@dataclass(frozen=True, slots=True)
class BegunTable:
    """A request whose tables may be made: in any thread, and nobody waits for it."""

    envelope: Envelope
    charged: ChargedTable
    over: _OverStore
    log: Log

    def make(self) -> SealedTables | None:
        """Make the tables, once; none whatever failed, for that may depend on records.

        Raises:
            SafeRoomError: `UNAVAILABLE` if there is nobody to make them.
        """
        request = self.charged.admitted.asked.request_id
        return made_or_none(lambda: make_tables(self.charged, self.over), request, self.log)

    def close(self) -> None:
        """Let the store go: whoever began it does, whatever becomes of it."""
        self.over.opened.close()


class TableDesk:
    """Answers requests for tables.

    Args:
        state: the enclave's database, opened.
        rules: what requests are held to.
        requests: which were asked before.
        journal: the enclave's chain.
        data: the store.
        work: has children make the tables.
        gate: where they leave.
        accounts: what was released before.
        ready: under what it speaks now; refuses while it may not.
        log: the operator's.
    """

    def __init__(
        self,
        *,
        state: State,
        rules: Rules,
        requests: Requests,
        journal: Journal,
        data: Data,
        work: StoreWork,
        gate: TableGate,
        accounts: TableAccounts,
        ready: Callable[[], Moment],
        log: Log,
    ) -> None:
        self._state: Final = state
        self._rules: Final = rules
        self._requests: Final = requests
        self._journal: Final = journal
        self._data: Final = data
        self._work: Final = work
        self._gate: Final = gate
        self._accounts: Final = accounts
        self._ready: Final = ready
        self._log: Final = log

    def expect(self, envelope: Envelope) -> Judged | AskedTable:
        """Tell who asks, before it waits for its turn; a repeat gets the same bytes.

        Raises:
            SafeRoomError: as `identify_table`; `LOCKED`, `STALE_HEAD`, `OUTBOX_WAITING`.
        """
        asked = identify_table(envelope, self._rules.standing, self._ready().now)
        seen = self._requests.look_up(asked.request, asked.request_id)
        return asked if seen.answered is None else self._journal.read(seen.answered)

    def begin(self, envelope: Envelope) -> Judged | BegunTable:
        """Let tables be made, or refuse them; whoever gets it closes it.

        Raises:
            SafeRoomError: as `expect`; `NO_DATA` while there is no store to make them of.
        """
        asked = self.expect(envelope)
        if isinstance(asked, Judged):
            return asked
        moment = self._ready()
        with self._state.transaction():
            charged = self._charged(asked, self._seen(asked), moment)
            if isinstance(charged, Judged):
                return charged
            kept = self._kept(charged)
        opened = self._data.opened()
        schema = self._rules.standing.schemas[opened.schema]
        over = _OverStore(opened.held(), schema.loaded, self._work, kept)
        return BegunTable(envelope, charged, over, self._log)

    def finish(self, begun: BegunTable, sealed: SealedTables | None) -> Judged:
        """Let out what was made, if all that allowed it at the beginning still holds.

        Raises:
            SafeRoomError: as `begin`; `UNAVAILABLE` if the store was changed meanwhile.
        """
        asked = self.expect(begun.envelope)
        if isinstance(asked, Judged):
            return asked
        moment = self._ready()
        with self._state.transaction():
            seen = self._seen(asked)
            charged = self._charged(asked, seen, moment)
            if isinstance(charged, Judged):
                return charged
            same = charged.plan == begun.charged.plan
            if not same or not charged.kept.is_still(begun.charged.kept):
                raise SafeRoomError(Reason.UNAVAILABLE, "the store was changed meanwhile")
            if sealed is None:
                released = self._gate.withhold(charged, moment)
            else:
                released = self._gate.release(charged, sealed, moment)
            return self._remembered(asked, seen, released)

    def same_records(self, epoch: int, earlier: int) -> None:
        """Note, within a transaction, that a new epoch's records are those of an earlier one."""
        self._accounts.same_records(epoch, earlier)

    def _kept(self, charged: ChargedTable) -> tuple[Numbers, ...] | None:
        """Read numbers with noise that were told before; a price needs none of these megabytes."""
        noise = charged.noise
        if noise is None or not noise.made:
            return None
        return self._accounts.noisy.read(charged.kept.records, noise.told.plan)

    def _seen(self, asked: AskedTable) -> Seen:
        return self._requests.look_up(asked.request, asked.request_id)

    def _charged(self, asked: AskedTable, seen: Seen, moment: Moment) -> ChargedTable | Judged:
        """Admit and charge, or record the refusal; so, too, where only the price was asked."""
        price: PrivacySpent | None = None
        try:
            admitted = admit_table(asked, seen, self._rules, moment.now)
            if asked.request.price:
                price = price_table(
                    admitted, self._accounts, self._rules.standing.groups, moment.grounds.epoch
                )
            admitted.tables.require_computed(self._data.index().features)
            charged = charge_table(
                admitted,
                self._accounts,
                self._state.marks,
                self._rules.standing.groups,
                epoch=moment.grounds.epoch,
                now=moment.now,
            )
            if charged.noise is not None and not charged.noise.made:
                require_noise()
        except SafeRoomError as refusal:
            if refusal.reason in PASSING:
                raise
            if refusal.reason is Reason.NOT_INSTALLED:
                # No verdict: the operator's log says what to install, and it is asked again.
                self._log.refused(asked.request_id, asked.request.institution, refusal)
                raise
            self._log.refused(asked.request_id, asked.request.institution, refusal)
            told = price if refusal.reason is Reason.OVER_BUDGET else None
            refused = self._gate.refuse(asked, refusal.reason, moment, told)
            return self._remembered(asked, seen, refused)
        if not asked.request.price:
            return charged
        priced = self._gate.refuse(asked, Reason.PRICE_ONLY, moment, price)
        return self._remembered(asked, seen, priced)

    def _remembered(self, asked: AskedTable, seen: Seen, released: ReleasedTables) -> Judged:
        judged = released.judged
        index = judged.entry.chain_index
        self._requests.remember(asked.request, asked.request_id, seen, index)
        return judged
