"""An enclave that has its keys: everything that needs them, built in one place."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from saferoom_enclaves.admit import Rules
from saferoom_enclaves.approved import ApprovedUses
from saferoom_enclaves.attest import Makeup
from saferoom_enclaves.batches.desk import Batches
from saferoom_enclaves.clock import EnclaveClock
from saferoom_enclaves.consents import Consents
from saferoom_enclaves.data import Data
from saferoom_enclaves.disclose import Disclosures
from saferoom_enclaves.fetched.kept import Kept
from saferoom_enclaves.fetched.records import FetchedRecords
from saferoom_enclaves.freshness import Freshness
from saferoom_enclaves.gate import Gate, Grounds, Moment
from saferoom_enclaves.held import Records
from saferoom_enclaves.jobs.desk import Jobs
from saferoom_enclaves.jobs.peers import Peers
from saferoom_enclaves.journal import Journal
from saferoom_enclaves.judge import Judge
from saferoom_enclaves.kept_loads import KeptLoads
from saferoom_enclaves.keys import ReleasedKeys
from saferoom_enclaves.logs import Log
from saferoom_enclaves.models import Models
from saferoom_enclaves.offers import KeyPool, Offers
from saferoom_enclaves.pairing import Pairing
from saferoom_enclaves.reports.desk import ReportDesk
from saferoom_enclaves.reports.gate import ReportGate
from saferoom_enclaves.reports.shown import ShownLists
from saferoom_enclaves.reports.times import TimesReported
from saferoom_enclaves.requests import Requests
from saferoom_enclaves.scores.bands import Bands
from saferoom_enclaves.spending import Spending
from saferoom_enclaves.standing import MOST_AHEAD, Standing
from saferoom_enclaves.state import State
from saferoom_enclaves.storework import StoreWork
from saferoom_enclaves.stream import Follower
from saferoom_enclaves.tables.account import TableAccounts
from saferoom_enclaves.tables.desk import TableDesk
from saferoom_enclaves.tables.gate import TableGate
from saferoom_enclaves.trials import Trials
from saferoom_enclaves.witnessed import Witnesses
from saferoom_proto.load import LoadHeader
from saferoom_proto.load_order import OpenedOrder, open_order
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import Decision
from saferoom_proto.statements import Endorsement, KeyChange, Recovered, Returns
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.store_key import name_of
from saferoom_proto.verification import PinnedCharter


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an enclave is given from outside: its folder, children, clock, randomness and log."""

    folder: Path
    work: StoreWork
    clock: EnclaveClock
    randomness: Callable[[int], bytes]
    log: Log


@dataclass(frozen=True, slots=True)
class Endorsed:
    """The endorsement that this enclave speaks under, and its digest."""

    endorsement: Endorsement
    digest: str


class OpenEnclave:
    """All parts of an enclave whose state and store are open.

    Args:
        state: the database, opened.
        keys: what the key agent released.
        endorsed: the endorsement they came with.
        launch: the charter the enclave was started with.
        makeup: its own keys.
        around: its surroundings.
    """

    def __init__(
        self,
        state: State,
        keys: ReleasedKeys,
        endorsed: Endorsed,
        *,
        launch: PinnedCharter,
        makeup: Makeup,
        around: Surroundings,
    ) -> None:
        clock, randomness, log = around.clock, around.randomness, around.log
        self._clock: Final = clock
        self._sealing: Final = makeup.keys.sealing
        self._log: Final = log
        self.state: Final = state
        self.keys = keys
        self.endorsed = endorsed
        self.standing: Final = Standing(launch)
        self.consents: Final = Consents(state, self.standing)
        self.journal: Final = Journal(state, makeup.keys.identity, randomness)
        self.kept_loads: Final = KeptLoads(around.folder, log)
        self.freshness: Final = Freshness(clock, randomness)
        self.witnesses: Final = Witnesses(clock)
        self.data: Final = Data(launch.charter.owner, around.folder, around.work, log)
        self.follower: Final = Follower(
            state=state,
            standing=self.standing,
            consents=self.consents,
            journal=self.journal,
            clock=clock,
            freshness=self.freshness,
            witnesses=self.witnesses,
            grounds=self.speaks,
            log=log,
        )
        rules = self._rules(keys)
        self.bands: Final = self._bands(rules, around)
        self.fetched: Final = FetchedRecords(Kept(state), self.standing, around.work, log)
        requests, spending = Requests(state), Spending(state, self.standing)
        gate = Gate(self.journal, randomness)
        self.batches: Final = Batches(
            state=state,
            rules=rules,
            requests=requests,
            spending=spending,
            journal=self.journal,
            ready=self.ready,
            index=self.data.index,
            bands=self.bands,
            randomness=randomness,
            log=log,
        )
        self._shown: Final = ShownLists(state, self.journal)
        self.disclosures: Final = self._disclosures(spending, gate, around)
        self.tables: Final = self._table_desk(rules, requests, around)
        self.reports: Final = self._report_desk(rules, requests, gate, around)
        self.trials: Final = Trials(state, self.standing, self.data, around.work)
        self.jobs: Final = self._jobs(rules, requests, makeup, around)
        self.offers: Final = Offers(KeyPool(around.work.match_key, log), state)
        self.judge: Final = self._judge(rules, requests, spending, gate)

    def _judge(self, rules: Rules, requests: Requests, spending: Spending, gate: Gate) -> Judge:
        return Judge(
            state=self.state,
            rules=rules,
            requests=requests,
            spending=spending,
            journal=self.journal,
            gate=gate,
            ready=self.ready,
            index=self.data.index,
            bands=self.bands,
            fetched=self.fetched,
            offers=self.offers,
            log=self._log,
        )

    def _rules(self, keys: ReleasedKeys) -> Rules:
        uses = ApprovedUses(self.standing, Pairing(keys.pairing))
        return Rules(
            self.standing, uses, self.consents, self.state, Models(self.state, self.standing)
        )

    def _bands(self, rules: Rules, around: Surroundings) -> Bands:
        return Bands(
            standing=self.standing,
            uses=rules.uses,
            models=rules.models,
            data=self.data,
            work=around.work,
            log=around.log,
        )

    def _table_desk(self, rules: Rules, requests: Requests, around: Surroundings) -> TableDesk:
        accounts = TableAccounts(self.state)
        return TableDesk(
            state=self.state,
            rules=rules,
            requests=requests,
            journal=self.journal,
            data=self.data,
            work=around.work,
            gate=TableGate(self.journal, accounts, around.randomness),
            accounts=accounts,
            ready=self.ready,
            log=around.log,
        )

    def _disclosures(self, spending: Spending, gate: Gate, around: Surroundings) -> Disclosures:
        records = Records(
            self.data,
            around.work,
            self.standing,
            spending,
            self.batches.about,
            lists=self._shown.about,
            fetched=self.fetched,
        )
        return Disclosures(
            state=self.state,
            standing=self.standing,
            records=records,
            journal=self.journal,
            gate=gate,
            ready=self.ready,
            log=around.log,
        )

    def _report_desk(
        self, rules: Rules, requests: Requests, gate: Gate, around: Surroundings
    ) -> ReportDesk:
        return ReportDesk(
            state=self.state,
            rules=rules,
            requests=requests,
            journal=self.journal,
            data=self.data,
            work=around.work,
            gate=gate,
            reports=ReportGate(self.journal, self._shown, around.randomness),
            times=TimesReported(self.state),
            ready=self.ready,
            log=around.log,
        )

    def _jobs(self, rules: Rules, requests: Requests, makeup: Makeup, around: Surroundings) -> Jobs:
        return Jobs(
            state=self.state,
            rules=rules,
            requests=requests,
            journal=self.journal,
            ready=self.ready,
            data=self.data,
            work=around.work,
            randomness=around.randomness,
            peers=Peers(
                self.standing,
                makeup,
                Pairing(self.keys.pairing),
                lambda: self.endorsed.endorsement,
            ),
            log=around.log,
        )

    def load_order(self, header: LoadHeader, sealed_key: bytes) -> OpenedOrder:
        """Open the order of a load, which was sealed to this very start of the enclave.

        Raises:
            SafeRoomError: `BAD_SEAL`, `BAD_SIGNATURE`.
        """
        return open_order(sealed_key, header, self._sealing, self.standing.charter)

    def recover(self, decision: Decision, now: datetime) -> None:
        """Go on from an older copy, and say so in the chain, before anything else.

        Raises:
            SafeRoomError: `NOT_YET_VALID` if it was decided in the future: until then no question
                would count as new.
        """
        if decision.at > now + MOST_AHEAD:
            raise SafeRoomError(Reason.NOT_YET_VALID, "the decision is dated ahead")
        state = self.state
        with state.transaction():
            found, store = state.marks.position.chain, state.marks.position.store
            state.marks = state.marks.with_recovery(decision, now)
            grounds = self.speaks()
            payload = Recovered(
                room=grounds.room,
                owner=grounds.owner,
                endorsement=grounds.endorsement,
                recoveries=decision.digests,
                found=found,
                store=store,
                stream=grounds.stream,
                closed_epoch=state.marks.closed_epoch,
                chain=self.journal.link,
                time=now,
            )
            self.journal.append(payload, now)
        self._log.warning(
            "goes on from an older copy", found=found.index, goes_on=decision.follows.index
        )

    def start(self) -> None:
        """Take up where the last start ended: what is in force, and the store."""
        marks = self.state.marks
        self.follower.rebuild()
        if marks.position.store is not None and marks.store_schema is not None:
            store = marks.position.store
            self.data.open_at_start(
                self.state.ring.of_snapshot(store.epoch), store, marks.store_schema
            )
            self.refresh()

    def refresh(self) -> None:
        """Have computed what is in force and not computed yet, and keys made for blind matches."""
        self.data.refresh(self.standing)
        self.bands.refresh()
        # What is only proposed costs no key: anybody may propose.
        templates, approved = self.standing.templates, self.standing.is_approved_by_some
        if any(each.returns is Returns.BLIND and approved(by) for by, each in templates.items()):
            self.offers.pool.fill()

    def settle(self, seconds: float) -> None:
        """Wait until what is in force is computed, or cannot be; or for so long."""
        until = time.monotonic() + seconds
        self.data.settle(seconds)
        self.bands.settle(max(0.0, until - time.monotonic()))

    def change_store_key(self, keys: ReleasedKeys, now: datetime) -> None:
        """Go over to another store key, and say so in the chain.

        No record is rewritten: the enclave's own keys are sealed anew (`keyring`).
        """
        grounds, state = self.speaks(), self.state
        suite = state.ring.suite
        from_epoch = state.marks.last_epoch + 1
        with state.transaction():
            state.change_key(keys.store, from_epoch)
            payload = KeyChange(
                room=grounds.room,
                owner=grounds.owner,
                endorsement=grounds.endorsement,
                store_key=name_of(keys.store, suite),
                previous=name_of(self.keys.store, suite),
                from_epoch=from_epoch,
                chain=self.journal.link,
                time=now,
            )
            self.journal.append(payload, now)
        self.keys = keys
        state.forget_replaced()

    def speaks(self) -> Grounds:
        """Give under what the enclave signs."""
        charter, position = self.standing.charter, self.state.marks.position
        return Grounds(
            room=charter.charter.room,
            owner=charter.charter.owner,
            endorsement=self.endorsed.digest,
            charter=charter.digest,
            stream=position.stream,
            store=position.store,
        )

    def grounds(self, now: datetime) -> Grounds:
        """Give under what the enclave judges.

        Raises:
            SafeRoomError: `LOCKED` unless its endorsement is for the charter in force, and valid.
        """
        endorsement = self.endorsed.endorsement
        if endorsement.charter != self.standing.charter.digest:
            raise SafeRoomError(
                Reason.LOCKED, "endorsed under another charter than the one in force"
            )
        if not endorsement.valid_from <= now < endorsement.valid_to:
            raise SafeRoomError(Reason.LOCKED, "the endorsement is not valid now")
        return self.speaks()

    def ready(self) -> Moment:
        """Give under what, and when, the enclave judges: now, if it may.

        Raises:
            SafeRoomError: as `grounds`; `STALE_HEAD` unless what it knows is fresh;
                `NOT_WITNESSED` unless the charter's witnesses cosigned the ledger lately;
                `OUTBOX_WAITING` unless what it said stands in it.
        """
        now = whole_milliseconds(self._clock.now())
        grounds = self.grounds(now)
        charter = self.standing.charter.charter
        most_seconds = charter.max_head_age_seconds
        self.freshness.require_fresh(most_seconds)
        self.witnesses.require(charter.witnesses, now)
        self.journal.require_recorded(now, timedelta(seconds=most_seconds))
        return Moment(grounds, now)
