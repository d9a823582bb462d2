"""One run of an enclave, as the room goes through it: unlock, catch up, serve.

1  the key agent endorses the enclave and its keys go in (`keydesk.py`); if only the line to it was
   cut, it shows that it is the same and goes on
2  it knows all that the log holds of it; what it said earlier and the log lacks is recorded
3  it gets its stream, up to a fresh head; from then on it serves
4  every interval, and at once after a statement, it gets the next delivery; what it said and
   nobody waited for is fetched and recorded
5  at half the endorsement's time the key agent is asked again, or when it wants to be
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from saferoom.archive import Archive
from saferoom.batches.pieces import BatchPiece
from saferoom.channel import EnclaveChannel
from saferoom.courier import Courier, HeadSigner
from saferoom.enclave_wire import LoadHeader, LoadPiece
from saferoom.endorsement import Endorsed, require_same
from saferoom.exchange import AttestedClaims, BatchTold, Judged, Loaded, OutboxEntry, Standing
from saferoom.judging import JudgeQueue
from saferoom.keydesk import KeyDesk
from saferoom.ledger.ledger import Ledger
from saferoom.logs import Log
from saferoom.notary import Notary
from saferoom.outbox import Outbox
from saferoom.place import Running
from saferoom.tracing import Tracer
from saferoom_proto.attestation import NONCE_BYTES
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_errors import TOLD
from saferoom_proto.starting import certificate_digest
from saferoom_proto.statements import (
    ChainLink,
    Endorsement,
    EvidenceClaims,
    load,
)
from saferoom_proto.verification import PinnedCharter

UNLOCK_SECONDS: Final = 600.0
"""Opening a store of millions of rows and computing its features takes minutes."""

JUDGE_SECONDS: Final = 30.0
TABLE_SECONDS: Final = 660.0
"""Tables are made in five minutes at most, and wait for others' as long."""
_DELIVER_SECONDS: Final = 30.0
MISSING_SECONDS: Final = 10.0
"""How long an entry of an enclave's may be missing in the log before it is fetched: far longer than
it takes to record one, far shorter than the 60 s after which it stops the enclave."""
OFFER_PAUSE_SECONDS: Final = 30.0
"""Between two askings of an agent that wants to be asked: each is recorded, for ever."""
_LONGEST_SLEEP_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Office:
    """What every session works with."""

    desk: KeyDesk
    notary: Notary
    archive: Archive
    ledger: Ledger
    signer: HeadSigner
    clock: Callable[[], datetime]
    log: Log
    interval_seconds: float
    tracer: Tracer
    cosigned: Callable[[str], str]
    """Gives the newest checkpoint that an owner's witnesses cosigned; empty if there is none."""


@dataclass(frozen=True, slots=True)
class _Missing:
    """An entry that the log lacks: its index, how long the chain was, and since when."""

    index: int
    chain_length: int
    since: float


class Session:
    """One enclave from its start to its end.

    Args:
        charter: the one it was started with.
        running: where it is reached.
        channel: its RPCs.
        office: what the session works with.
        serving: called with every head: whether the enclave serves, which it does not once its
            endorsement ran out.
        earlier: the endorsement under which an earlier session of this enclave ended, if any.
    """

    def __init__(
        self,
        charter: PinnedCharter,
        running: Running,
        channel: EnclaveChannel,
        office: Office,
        serving: Callable[[bool], None],
        *,
        earlier: Endorsed | None = None,
    ) -> None:
        self.charter: Final = charter
        self.owner: Final = charter.charter.owner
        self.running: Final = running
        self._channel: Final = channel
        self.jobs: Final = channel
        """Its work on jobs of joint training."""
        self._questions: Final = JudgeQueue(partial(channel.judge, seconds=JUDGE_SECONDS))
        self._office: Final = office
        self._serving: Final = serving
        self.outbox: Final = Outbox(office.notary, office.archive)
        self.snapshot: Envelope | None = None
        """The newest snapshot of this run, as its enclave signed it; none before the first."""
        self._tls: Final = certificate_digest(running.door.certificate)
        self._courier: Courier | None = None
        self._earlier: Final = earlier
        self._endorsed: Endorsed | None = None
        self._claimed: ChainLink | None = None
        """The end of the enclave's chain, as it claimed it when this session began."""
        self._missing: _Missing | None = None
        self._refusal = ""
        self._offers_from = 0.0
        """From when on, of this machine's clock, the key agent is asked because it wants to be."""
        self._headed_at: float | None = None
        self._wake: Final = asyncio.Event()
        self._waiting: Final[list[tuple[int, asyncio.Future[None]]]] = []

    @property
    def endorsed(self) -> Endorsed | None:
        """The endorsement in force; none while the enclave is locked."""
        return self._endorsed

    @property
    def fault(self) -> str:
        """Why the enclave cannot answer: its key agent refuses, or its store does not open."""
        if self._courier is None:
            return self._refusal
        return self._courier.standing.store_fault

    @property
    def head_age_seconds(self) -> float | None:
        """How long ago the enclave took its last head; None before the first."""
        return None if self._headed_at is None else time.monotonic() - self._headed_at

    @property
    def followed(self) -> int:
        """The last statement of its stream that the enclave has taken."""
        return 0 if self._courier is None else self._courier.standing.sequence

    @property
    def waiting(self) -> int:
        """How many questions wait for the enclave."""
        return self._questions.waiting

    async def run(self) -> None:
        """Go through the whole run; ends only with an error."""
        # Step 1: the keys.
        if not await self._resumed():
            await self._unlock()
        # Step 2: what an earlier run left unrecorded.
        await self._replay()
        # Steps 3 to 5 go on side by side.
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._renew())
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            for _, reached in self._waiting:
                if not reached.done():
                    reached.set_exception(SafeRoomError(Reason.UNAVAILABLE, "the enclave ended"))

    async def show_evidence(self, nonce: bytes) -> AttestedClaims:
        """Have the enclave give evidence for a member's challenge."""
        return await self._channel.attest(nonce, shown=True)

    async def judge(self, request: Envelope) -> Judged:
        """Have a request judged."""
        about = {"saferoom.owner": self.owner, "saferoom.request_id": request.digest}
        with self._office.tracer.span("enclave judges", about):
            return await self._questions.judge(request)

    async def disclose(self, request: Envelope) -> Judged:
        """Have a subject shown what is held about it."""
        return await self._channel.disclose(request, JUDGE_SECONDS)

    async def tabulate(self, request: Envelope) -> Judged:
        """Have tables made."""
        return await self._channel.tabulate(request, TABLE_SECONDS)

    async def fit_model(self, request: Envelope) -> Judged:
        """Have a model trained on the owner's columns."""
        return await self._channel.fit_model(request, TABLE_SECONDS)

    async def report(self, request: Envelope, disputes: Sequence[Envelope]) -> Judged:
        """Have what is public of a subject told, with what it disputes marked."""
        return await self._channel.report(request, disputes, JUDGE_SECONDS)

    def judge_batch(self, pieces: AsyncIterator[BatchPiece]) -> AsyncGenerator[BatchTold]:
        """Have a batch judged."""
        return self._channel.judge_batch(pieces)

    async def load(self, pieces: AsyncIterator[LoadPiece], seconds: float) -> Loaded:
        """Pass a load on."""
        return await self._channel.load(pieces, seconds)

    async def tell_load(self, header: LoadHeader) -> int:
        """Ask how many pieces of a load have arrived before."""
        return await self._channel.tell_load(header, JUDGE_SECONDS)

    async def try_feature(self, order: Envelope) -> bytes:
        """Have the enclave try a feature's draft; gives the sealed verdict."""
        return await self._channel.try_feature(order)

    async def rollback(self, order: Envelope, seconds: float) -> OutboxEntry:
        """Have the enclave go back to an earlier snapshot."""
        return await self._channel.rollback(order, seconds)

    async def reach(self, sequence: int) -> None:
        """Wait until the enclave has taken the stream up to a statement."""
        if self._standing().standing.sequence >= sequence:
            return
        reached = asyncio.get_running_loop().create_future()
        self._waiting.append((sequence, reached))
        self._wake.set()
        await reached

    async def _resumed(self) -> bool:
        """Go on with an enclave that is open, if it is the one that was endorsed before."""
        office, earlier = self._office, self._earlier
        if earlier is None or earlier.endorsement.tls != self._tls:
            return False
        # Nobody takes the enclave's word without an endorsement in force, under this charter.
        in_force = office.clock() < earlier.endorsement.valid_to
        if not in_force or earlier.endorsement.charter != self.charter.digest:
            return False
        standing = await self._channel.standing()
        if not standing.unlocked:
            return False
        nonce = secrets.token_bytes(NONCE_BYTES)
        attested = await self._channel.attest(nonce)
        claims = require_same(attested, earlier, nonce=nonce, tls=self._tls)
        office.log.info("enclave is back", owner=self.owner, endorsement=earlier.digest)
        self._begin(earlier, claims.chain, standing)
        return True

    async def _unlock(self) -> None:
        office = self._office
        unlocked = await office.desk.obtain(
            self.charter, self._channel, self._tls, self.running.launch, self._refused
        )
        endorsed = unlocked.endorsed
        # The endorsement stands in the log before the enclave can use it.
        claims = load(endorsed.claims, EvidenceClaims)
        await office.notary.record(EvidenceClaims, claims, endorsed.claims)
        await office.notary.record(Endorsement, endorsed.endorsement, endorsed.statement)
        standing = await self._channel.unlock(unlocked.unlocking, UNLOCK_SECONDS)
        office.log.info("enclave unlocked", owner=self.owner, endorsement=endorsed.digest)
        self._begin(endorsed, unlocked.goes_on(self.charter), standing)

    def _refused(self, error: SafeRoomError) -> None:
        self._refusal = told(error)

    def _begin(self, endorsed: Endorsed, claimed: ChainLink, standing: Standing) -> None:
        """Take the enclave's word under an endorsement, from where it stands."""
        office = self._office
        self.outbox.endorsed(endorsed.digest, endorsed.endorsement)
        self._endorsed = endorsed
        if self._courier is None:
            self._claimed = claimed
            self._courier = Courier(
                self.owner,
                ledger=office.ledger,
                archive=office.archive,
                signer=office.signer,
                outbox=self.outbox,
                standing=standing,
                cosigned=office.cosigned,
            )

    async def _replay(self) -> None:
        """Record what the enclave said before the log could take it.

        Raises:
            SafeRoomError: `STORE_ROLLED_BACK` if the log holds words that the enclave forgot.
        """
        size = self._office.ledger.tip().size
        if self._claimed is not None:
            await self.outbox.require_newest(self.owner, self._claimed, size)
        start = 0
        while entries := await self._channel.outbox(start):
            for entry in entries:
                found = await self._office.archive.find(entry.statement.digest)
                if found is None:
                    recorded = await self.outbox.take(entry)
                    self._office.log.info("recorded late", owner=self.owner, index=recorded.index)
                else:
                    self.outbox.recorded(entry.chain_index, found.position.index)
            start = entries[-1].chain_index + 1
        self.outbox.replayed(self._standing().standing.chain_length)

    async def _follow(self) -> None:
        """Deliver for ever: what is new at once, and a fresh head every interval."""
        while True:
            self._wake.clear()
            await self._deliver()
            # Without an endorsement in force nobody takes the enclave's word.
            self._serving(self._office.clock() < self._require_endorsed().endorsement.valid_to)
            while self._standing().behind:
                await self._deliver()
            await self._collect()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._office.interval_seconds):
                    await self._wake.wait()

    async def _deliver(self) -> None:
        courier = self._standing()
        delivery = await courier.next()
        standing, outbox = await self._channel.deliver(delivery, _DELIVER_SECONDS)
        courier.delivered(delivery, standing)
        self._headed_at = time.monotonic()
        for entry in outbox:
            await self.outbox.take(entry)
        waiting = [each for each in self._waiting if not each[1].done()]
        for sequence, reached in waiting:
            if sequence <= standing.sequence:
                reached.set_result(None)
        self._waiting[:] = [each for each in waiting if not each[1].done()]

    async def _collect(self) -> None:
        """Record what the enclave said on a way that broke off: its asker left, or waited too long.

        Left alone, the entry would stop the enclave for everybody.
        """
        length = self._standing().standing.chain_length
        index, noticed = self.outbox.first_missing(length), self._missing
        if index is None or noticed is None or noticed.index != index:
            self._missing = None if index is None else _Missing(index, length, time.monotonic())
            return
        if time.monotonic() - noticed.since < MISSING_SECONDS:
            return
        for entry in await self._channel.outbox(index):
            # Those that came since then may be on their way.
            fetched = entry.chain_index < noticed.chain_length
            if fetched and not self.outbox.is_recorded(entry.chain_index):
                recorded = await self.outbox.take(entry)
                self._office.log.info("recorded late", owner=self.owner, index=recorded.index)

    async def _renew(self) -> None:
        """Have the endorsement renewed at half its time, however long the agent takes for it."""
        while True:
            endorsement = self._require_endorsed().endorsement
            length = endorsement.valid_to - endorsement.valid_from
            await self._until_offered_or(endorsement.valid_from + length / 2)
            await self._unlock()

    async def _until_offered_or(self, moment: datetime) -> None:
        """Wait until the key agent wants to be asked, or a moment comes."""
        offered = self._office.desk.offered(self.owner)
        # In pieces: the wall clock may be set meanwhile, and no event tells of that.
        while (left := (moment - self._office.clock()).total_seconds()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LONGEST_SLEEP_SECONDS)):
                    await offered.wait()
            if offered.is_set():
                offered.clear()
                await asyncio.sleep(max(0.0, self._offers_from - time.monotonic()))
                self._offers_from = time.monotonic() + OFFER_PAUSE_SECONDS
                return

    def _standing(self) -> Courier:
        if self._courier is None:
            raise SafeRoomError(Reason.LOCKED, f"the enclave of {self.owner} has no keys yet")
        return self._courier

    def _require_endorsed(self) -> Endorsed:
        if self._endorsed is None:
            raise SafeRoomError(Reason.LOCKED, f"the enclave of {self.owner} has no keys yet")
        return self._endorsed


def told(error: SafeRoomError) -> str:
    """Tell why an enclave cannot answer, as `room status` shows it."""
    known = error.detail and error.detail != TOLD
    return f"{error.reason}: {error.detail if known else error.words.what}"
