"""An owner's enclave: locked until its key agent releases the keys, then judge and vault.

Every method but `settle` is called one at a time, by the event loop or its worker's thread. What
takes long is handed out, to be done beside: the `build` of a load or rollback, the `collect` of a
disclosure, the `verdict` of a trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from saferoom_enclaves.attest import Attestation, Attester, Makeup
from saferoom_enclaves.batches.desk import Batches
from saferoom_enclaves.disclose import Disclosures
from saferoom_enclaves.fetched.records import FetchedRecords
from saferoom_enclaves.fetched.wanting import Needed
from saferoom_enclaves.jobs.desk import Jobs
from saferoom_enclaves.journal import OutboxEntry
from saferoom_enclaves.judge import Outcome
from saferoom_enclaves.keys import ReleasedKeys, open_release
from saferoom_enclaves.loads import LoadJob, NewStore, granted, require_next
from saferoom_enclaves.opened import Endorsed, OpenEnclave, Surroundings
from saferoom_enclaves.reports.desk import ReportDesk
from saferoom_enclaves.rollbacks import RollbackJob, kept_snapshots, require_kept
from saferoom_enclaves.state import State
from saferoom_enclaves.stream import Delivery
from saferoom_enclaves.tables.desk import TableDesk
from saferoom_enclaves.trials import Trial
from saferoom_enclaves.whereabouts import Whereabouts
from saferoom_proto.dsse import Envelope
from saferoom_proto.load import LoadHeader
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import Decision, keys_info, open_decision
from saferoom_proto.rollback import open_rollback
from saferoom_proto.statements import EvidenceClaims, FeatureTrial, Snapshot, StoreState
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.verification import PinnedCharter, verify_endorsement

STATE_FILE: Final = "state.db"
_CLAIMS_REMEMBERED: Final = 64
"""Attestations whose endorsement is still taken; the key agent answers one within seconds."""


class Enclave:
    """One owner's enclave.

    Args:
        charter: the charter it is started with.
        makeup: its keys, its code, its sandbox.
        attester: vouches for its claims.
        around: its files, clock, randomness and log.
        most_load_bytes: the most that the tables of a load may take.
    """

    def __init__(
        self,
        charter: PinnedCharter,
        makeup: Makeup,
        attester: Attester,
        around: Surroundings,
        most_load_bytes: int,
    ) -> None:
        self._launch: Final = charter
        self._makeup: Final = makeup
        self._attester: Final = attester
        self._around: Final = around
        self._most_load_bytes: Final = most_load_bytes
        self._state: Final = State(around.folder / STATE_FILE, charter.suite)
        self._claimed: Final[dict[str, EvidenceClaims]] = {}
        self._open: OpenEnclave | None = None

    def close(self) -> None:
        """Close store and state."""
        if self._open is not None:
            self._open.data.close()
            self._open = None
        self._state.close()

    @property
    def charter(self) -> PinnedCharter:
        """The charter in force: the launch's until the stream is known."""
        return self._launch if self._open is None else self._open.standing.charter

    @property
    def store(self) -> StoreState | None:
        """The snapshot that answers come from, or would come from with the keys."""
        return self._state.position.store

    def attest(self, nonce: bytes, *, shown: bool = False) -> Attestation:
        """Give evidence for a challenge.

        Args:
            nonce: a key agent's, or a member's.
            shown: a member only looks. It is not remembered: however many look, none pushes out
                what the key agent is about to endorse.
        """
        claims = self._makeup.claims(nonce, self.charter, self._state.position)
        attestation = self._attester.attest(claims)
        if shown:
            return attestation
        self._claimed[attestation.claims.digest] = claims
        while len(self._claimed) > _CLAIMS_REMEMBERED:
            self._claimed.pop(next(iter(self._claimed)))
        return attestation

    def unlock(
        self, endorsement: Envelope, sealed_keys: bytes, recoveries: Sequence[Envelope] = ()
    ) -> Whereabouts:
        """Open state and store with the keys that came with an endorsement, or renew the latter.

        Args:
            endorsement: the key agent's.
            sealed_keys: sealed to this enclave, under the endorsement and the recoveries.
            recoveries: the approvers' decision that this older copy goes on, if there is one.

        Raises:
            SafeRoomError: `BAD_ENDORSEMENT`, `BAD_SEAL`, `CONFLICT` for other keys than before,
                `STORE_DAMAGED`, `STORE_ROLLED_BACK`; `NOT_APPROVED`.
        """
        # Step 1: the owner's key agent endorses this very enclave, for evidence it gave.
        endorsed = verify_endorsement(endorsement, self.charter, self._now())
        self._makeup.require_meant(endorsed)
        claims = self._claimed.get(endorsed.evidence)
        if claims is None or claims.chain != endorsed.chain:
            raise SafeRoomError(Reason.BAD_ENDORSEMENT, "for evidence that was not given here")
        info = keys_info(endorsement.digest, (each.digest for each in recoveries))
        keys = open_release(sealed_keys, self._makeup.keys.sealing, info)
        held, decision = Endorsed(endorsed, endorsement.digest), self._decision(recoveries, claims)
        # Step 2: an open enclave goes on under the new endorsement; a locked one opens.
        if self._open is None:
            self._open = self._opened(keys, held, decision)
        elif self._open.keys.same_as(keys):
            self._open.endorsed = held
        elif self._open.keys.gives_way_to(keys):
            self._open.endorsed = held
            self._open.change_store_key(keys, self._now())
        else:
            raise SafeRoomError(Reason.CONFLICT, "opened with other keys")
        self._around.log.info("unlocked", endorsement=endorsement.digest)
        return self.whereabouts()

    def _decision(self, recoveries: Sequence[Envelope], claims: EvidenceClaims) -> Decision | None:
        """Hold a recovery to the approvers' signatures, and to the copy that lies here."""
        if not recoveries:
            return None
        decision = open_decision(recoveries, self.charter)
        if decision.found != claims.chain:
            raise SafeRoomError(Reason.STORE_ROLLED_BACK, "decided about another copy")
        return decision

    def _opened(
        self, keys: ReleasedKeys, endorsed: Endorsed, decision: Decision | None
    ) -> OpenEnclave:
        opens = self._key_that_opens(keys)
        self._around.clock.advance_to(self._state.marks.time)
        opened = OpenEnclave(
            self._state,
            opens,
            endorsed,
            launch=self._launch,
            makeup=self._makeup,
            around=self._around,
        )
        if decision is not None:
            opened.recover(decision, self._now())
        opened.start()
        if not opens.same_as(keys):
            opened.change_store_key(keys, self._now())
        return opened

    def _key_that_opens(self, keys: ReleasedKeys) -> ReleasedKeys:
        """Open the state, under the earlier key if it was not sealed under the new one yet."""
        try:
            self._state.open(keys.store)
        except SafeRoomError as error:
            if keys.earlier is None or error.reason is not Reason.STORE_DAMAGED:
                raise
            try:
                self._state.open(keys.earlier)
            except SafeRoomError:
                raise error from None  # it was not for the key
            return ReleasedKeys(keys.earlier, keys.pairing)
        return keys

    def whereabouts(self) -> Whereabouts:
        """Tell where the enclave stands; each time with a nonce of its own."""
        position, ledger = self._state.position, self._state.marks.ledger
        opened = self._open
        return Whereabouts(
            unlocked=self._judges(),
            sequence=position.stream.sequence,
            running=position.stream.running,
            head_nonce=b"" if opened is None else opened.freshness.nonce(),
            ledger_size=0 if ledger is None else ledger.size,
            sandbox_level=self._makeup.confinement.level,
            sandbox_missing=self._makeup.confinement.missing,
            has_data=opened is not None and opened.data.is_there,
            chain_length=position.chain.index,
            store_fault="" if opened is None else opened.data.fault,
        )

    def deliver(self, delivery: Delivery) -> list[OutboxEntry]:
        """Take the next statements, a head and proofs, whole or not at all."""
        opened = self._require_open()
        acknowledged = opened.follower.deliver(delivery, self._now())
        opened.refresh()
        opened.jobs.look_through()
        opened.fetched.throw_away(self._now())
        opened.kept_loads.expire()
        return acknowledged

    def settle(self, seconds: float) -> None:
        """Wait until the features in force are computed, or cannot be; or for so long.

        From any thread: nobody else waits meanwhile.
        """
        if (opened := self._open) is not None:
            opened.settle(seconds)

    def judge(self, questions: Sequence[Envelope]) -> list[Outcome]:
        """Judge signed questions, under one durable commit."""
        return self._require_open().judge.judge(questions)

    @property
    def asks_sources(self) -> bool:
        """Whether there are records that must be fetched before they are asked about."""
        return self._open is not None and self._open.standing.asks_sources

    def wanted(self, question: Envelope) -> tuple[Needed, ...]:
        """Tell what must be fetched before a question can be judged; nothing for one refused."""
        return self._require_open().judge.wanted(question)

    @property
    def fetched(self) -> FetchedRecords:
        """What was fetched, once the enclave has its keys; `LOCKED` before."""
        return self._require_open().fetched

    @property
    def batches(self) -> Batches:
        """The batches, once the enclave has its keys; `LOCKED` before."""
        return self._require_open().batches

    @property
    def disclosures(self) -> Disclosures:
        """What subjects are shown, once the enclave has its keys; `LOCKED` before."""
        return self._require_open().disclosures

    @property
    def jobs(self) -> Jobs:
        """The jobs, once the enclave has its keys; `LOCKED` before."""
        return self._require_open().jobs

    @property
    def tables(self) -> TableDesk:
        """The tables, once the enclave has its keys; `LOCKED` before."""
        return self._require_open().tables

    @property
    def reports(self) -> ReportDesk:
        """The reports, once the enclave has its keys; `LOCKED` before."""
        return self._require_open().reports

    def outbox(self, start: int) -> list[OutboxEntry]:
        """Give entries that no proof has come back for, from a chain index on."""
        return self._require_open().journal.outbox(start)

    def expect_trial(self, order: Envelope) -> FeatureTrial:
        """Tell what an approver has tried, before it waits."""
        opened, now = self._require_open(), self._now()
        opened.grounds(now)
        return opened.trials.expect(order, now)

    def begin_trial(self, order: Envelope) -> Trial:
        """Let a trial of a feature's draft begin."""
        opened, now = self._require_open(), self._now()
        opened.grounds(now)
        return opened.trials.begin(order, now)

    def kept_of_load(self, header: LoadHeader, sealed_key: bytes) -> int:
        """Tell how many pieces of an ordered load have arrived before.

        Raises:
            SafeRoomError: `BAD_SEAL`, `BAD_SIGNATURE`.
        """
        opened = self._require_open()
        return opened.kept_loads.count(opened.load_order(header, sealed_key).order)

    def begin_load(self, header: LoadHeader, sealed_key: bytes, pieces: int = 0) -> LoadJob:
        """Let an ordered load begin, or go on from so many pieces on.

        Raises:
            SafeRoomError: `BAD_SEAL`, `BAD_SIGNATURE`; `CONFLICT` under another schema than the one
                in force, or ordered before one that was taken; `MALFORMED`, `TOO_LARGE`.
        """
        opened = self._require_open()
        opened.grounds(self._now())
        order = opened.load_order(header, sealed_key)
        require_next(order.order, opened.state.marks, self._now())
        epoch = self._next_epoch(opened.state)
        grant = granted(opened.standing, header, order, epoch, opened.state.ring.of_snapshot(epoch))
        kept = opened.kept_loads.take_up(order.order, pieces)
        try:
            return LoadJob(grant, opened.data, self._around.work, self._most_load_bytes, kept)
        except BaseException:
            kept.close()
            raise

    def begin_rollback(self, statement: Envelope) -> RollbackJob:
        """Let an ordered rollback begin.

        Raises:
            SafeRoomError: `BAD_SIGNATURE`; `CONFLICT` if something else was ordered first, or the
                snapshot's schema is not in force any more; `SNAPSHOT_GONE`.
        """
        opened = self._require_open()
        opened.grounds(self._now())
        standing, state = opened.standing, opened.state
        order = open_rollback(statement, standing.charter)
        require_next(order, state.marks, self._now())
        target = require_kept(order, kept_snapshots(state.marks, opened.journal))
        if target.schema_digest not in standing.schemas:
            raise SafeRoomError(Reason.CONFLICT, "its schema is not in force")
        epoch = self._next_epoch(state)
        return RollbackJob(
            order=order,
            statement=statement,
            target=target,
            epoch=epoch,
            schema=standing.schemas[target.schema_digest],
            features=dict(standing.features),
            key=state.ring.of_snapshot(epoch),
            target_key=state.ring.of_snapshot(target.store.epoch),
            data=opened.data,
        )

    def commit_store(self, new: NewStore) -> OutboxEntry:
        """Answer from a new store from now on, and say so in the chain.

        Raises:
            SafeRoomError: `CONFLICT` if a later order was carried out meanwhile; `LOCKED`.
        """
        opened = self._require_open()
        now = self._now()
        try:
            require_next(new.order, opened.state.marks, now)
            grounds = opened.grounds(now)
            store = new.opened.state
            with opened.state.transaction():
                opened.state.marks = opened.state.marks.with_store(
                    store, new.opened.schema, new.order.at, now
                )
                payload = Snapshot(
                    room=grounds.room,
                    owner=grounds.owner,
                    endorsement=grounds.endorsement,
                    schema_digest=new.opened.schema,
                    store=store,
                    previous=grounds.store,
                    order=new.statement.digest,
                    rows=new.rows,
                    chain=opened.journal.link,
                    time=now,
                )
                entry = opened.journal.append(payload, now, order=new.statement).entry
                if new.records_of is not None:
                    opened.tables.same_records(store.epoch, new.records_of)
        except BaseException:
            new.opened.close()
            raise
        opened.data.use(new.opened, new.computed)
        opened.refresh()
        kept = kept_snapshots(opened.state.marks, opened.journal)
        opened.data.keep_only(each.store.epoch for each in kept)
        self._around.log.info("store in use", epoch=store.epoch, digest=store.digest)
        return entry

    def _next_epoch(self, state: State) -> int:
        """Take the number of a snapshot to be made; no other gets it, even if this one fails."""
        with state.transaction():
            state.marks = state.marks.with_epoch_begun()
        return state.marks.last_epoch

    def _require_open(self) -> OpenEnclave:
        if self._open is None:
            raise SafeRoomError(Reason.LOCKED, "no keys yet")
        return self._open

    def _judges(self) -> bool:
        if self._open is None:
            return False
        try:
            self._open.grounds(self._now())
        except SafeRoomError:
            return False
        return True

    def _now(self) -> datetime:
        return whole_milliseconds(self._around.clock.now())
