"""A real enclave, in this process: its own code from unlocking to release, without a sandbox."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom_enclaves.attest import Confinement, Makeup, Software, SoftwareAttester
from saferoom_enclaves.clock import EnclaveClock
from saferoom_enclaves.disclose import Begun
from saferoom_enclaves.enclave import Enclave
from saferoom_enclaves.journal import Judged, OutboxEntry
from saferoom_enclaves.keys import EnclaveKeys
from saferoom_enclaves.loads import LoadReport
from saferoom_enclaves.logs import Log
from saferoom_enclaves.opened import Surroundings
from saferoom_enclaves.storework import StoreWork
from saferoom_proto import verdict
from saferoom_proto.answer import Told, Truth
from saferoom_proto.blind import Offer, is_offer
from saferoom_proto.dsse import Envelope
from saferoom_proto.load import Change, LoadHeader, LoadSealer, LoadTable, make_content_key
from saferoom_proto.load_faults import Faults, open_faults
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.shares import Share
from saferoom_proto.statements import (
    CheckRequest,
    Outcome,
    Release,
    load,
    seal_statement,
)
from simulator.attended import Attended, fault_key, newest_schema, ordered
from simulator.children import children, scratch
from simulator.owner import APPROVERS, SimOwner

SOFTWARE: Final = Software("sha256:" + "c" * 64, "sha256:" + "d" * 64, "3.11.2")
MOST_LOAD_BYTES: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an enclave said to a question, opened by its asker."""

    judged: Judged
    release: Release
    told: Told | None
    offer: Offer | None = None
    """What it gave to the first message of a blind match."""

    @property
    def truth(self) -> Truth | None:
        """What it answered a check; none of a share or a band."""
        return self.told if isinstance(self.told, Truth) else None

    @property
    def share(self) -> Share | None:
        """What it gave of a private conjunction."""
        return self.told if isinstance(self.told, Share) else None

    @property
    def reason(self) -> Reason | None:
        """Why it was refused; none if it was answered."""
        return self.release.reason


class EnclaveHarness(Attended):
    """Runs an owner's enclave against the world.

    Args:
        owner: whose.
        folder: where its state and sealed store lie.
        start: unlock it and follow the stream at once.
        ready: modules that its children have imported already.
    """

    def __init__(
        self, owner: SimOwner, folder: Path, *, start: bool = True, ready: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder / f"enclave-{owner.name}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.scratch: Final = scratch()
        self.log: Final = io.StringIO()
        """All that the enclave wrote to its log."""
        self._work: Final = children(*ready)
        self.keys, self.enclave = _made(owner, self.folder, self.log, self._work)
        super().__init__(owner, self.enclave)
        if start:
            self.unlock()
            self.follow()

    def close(self) -> None:
        """End it cleanly."""
        self.enclave.close()

    # What the owner does.

    def load(
        self,
        tables: Mapping[str, bytes],
        schema: str | None = None,
        change: Change | Mapping[str, Change] = Change.WHOLE,
        leaves: Collection[str] = (),
    ) -> LoadReport:
        """Load tables from CSV, sealed and ordered as the owner's client does it."""
        return self.load_pieces(*self.sealed(tables, schema, change, leaves))

    def sealed(
        self,
        tables: Mapping[str, bytes],
        schema: str | None = None,
        change: Change | Mapping[str, Change] = Change.WHOLE,
        leaves: Collection[str] = (),
    ) -> tuple[LoadHeader, bytes, Sequence[bytes]]:
        """Seal tables from CSV, and order their load; what `load_pieces` passes on.

        The change is that of every table, or of each by its name; `leaves` names the linked tables
        whose rows may be left out.
        """
        schema = schema or self.newest_schema()
        of = dict.fromkeys(tables, change) if isinstance(change, Change) else change
        header = LoadHeader(
            self.owner.name,
            schema,
            tuple(
                LoadTable.of(name, len(data), of[name], leaves=name in leaves)
                for name, data in tables.items()
            ),
        )
        key = make_content_key()
        sealed_key = self.order(header, key)
        sealer = LoadSealer(header.digest, key)
        pieces = [
            piece
            for number, data in enumerate(tables.values())
            for piece in sealer.table(number, data)
        ]
        return header, sealed_key, pieces

    def order(self, header: LoadHeader, key: bytes, **changes: object) -> bytes:
        """Order a load, as the first approver; the order's fields can be changed by name."""
        self.world.clock.advance(0.001)  # of two orders one is the later
        sealing = self.keys.sealing.public
        return ordered(self.owner, header, key, sealing, self.enclave.store, **changes)

    def verdict(self, order: Envelope) -> verdict.Verdict:
        """Have a draft tried, and open the verdict as who ordered it."""
        sealed = self.tried(order)
        return verdict.open_verdict(sealed, fault_key(self.owner), order.digest)

    def rollback_order(self, to: str, approver: str = APPROVERS[0], **changes: object) -> Envelope:
        """Order the enclave back to a snapshot; the order's fields can be changed by name."""
        self.world.clock.advance(0.001)
        store = self.enclave.store
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": self.owner.name,
            "approver": approver,
            "to": to,
            "follows": "" if store is None else store.digest,
            "why": "a wrong load",
            "at": self.world.now(),
        }
        order = RollbackOrder.model_validate(fields | changes)
        return seal_statement(order, self.owner.approvers[approver])

    def roll_back(self, order: Envelope) -> OutboxEntry:
        """Have an order to go back carried out."""
        return self.enclave.commit_store(self.enclave.begin_rollback(order).build())

    def faults(self, report: LoadReport, header: LoadHeader) -> Faults:
        """Open what was wrong with a load's rows, as who ordered it."""
        return open_faults(report.sealed_faults, fault_key(self.owner), header.digest)

    def load_pieces(
        self, header: LoadHeader, sealed_key: bytes, pieces: Sequence[bytes], kept: int = 0
    ) -> LoadReport:
        """Pass a load on as it came, or from so many pieces on."""
        job = self.enclave.begin_load(header, sealed_key, kept)
        try:
            job.take_up()
            for piece in pieces:
                job.add(piece)
            built = job.build()
            if isinstance(built, LoadReport):
                return built
            entry = self.enclave.commit_store(built)
            job.settled()
            return LoadReport(entry, built.sealed_links)
        finally:
            job.close()

    def newest_schema(self) -> str:
        """Give the digest of the newest schema in the owner's stream."""
        return newest_schema(self.owner)

    def tried(self, order: Envelope) -> bytes:
        """Have a draft tried; gives the sealed verdict."""
        with closing(self.enclave.begin_trial(order)) as trial:
            return trial.verdict()

    # What a subject does.

    def begin_disclosure(self, request: Envelope) -> Judged | Begun:
        """Let a subject be shown what is held about it, as the service does."""
        claimed = self.enclave.disclosures.expect(request)
        if isinstance(claimed, Judged):
            return claimed
        search = self.enclave.batches.search(claimed.request.subject)
        return self.enclave.disclosures.begin(request, search)

    def disclose(self, request: Envelope) -> Judged:
        """Have a subject shown what is held about it."""
        begun = self.begin_disclosure(request)
        if isinstance(begun, Judged):
            return begun
        with closing(begun):
            return self.enclave.disclosures.finish(begun, begun.collect())

    # What an institution does.

    def tabulate(self, request: Envelope) -> Judged:
        """Have tables made, as the service does; a plain refusal is raised."""
        begun = self.enclave.tables.begin(request)
        if isinstance(begun, Judged):
            return begun
        with closing(begun):
            return self.enclave.tables.finish(begun, begun.make())

    def fit(self, request: Envelope) -> Judged:
        """Have a model trained in the room, as the service does; a plain refusal is raised."""
        desk = self.enclave.jobs.fits
        begun = desk.begin(request)
        if isinstance(begun, Judged):
            return begun
        with closing(begun):
            return desk.finish(begun, begun.make_alone())

    def report(self, request: Envelope, disputes: Sequence[Envelope] = ()) -> Judged:
        """Have a report told, as the service does; a plain refusal is raised."""
        begun = self.enclave.reports.begin(request, tuple(disputes))
        if isinstance(begun, Judged):
            return begun
        with closing(begun):
            return self.enclave.reports.finish(begun, begun.read())

    def judge(self, request: Envelope) -> Judged:
        """Have one question judged; a plain refusal is raised."""
        (outcome,) = self.enclave.judge([request])
        if isinstance(outcome, SafeRoomError):
            raise outcome
        return outcome

    def ask(self, request: Envelope) -> Verdict:
        """Have one question judged, and open the answer as its asker."""
        judged = self.judge(request)
        release = load(judged.entry.statement, Release)
        if release.outcome is Outcome.REFUSED:
            return Verdict(judged, release, None)
        bank = self.world.bank(load(request, CheckRequest).institution)
        opened = bank.unseal(request, self.owner.name, judged.sealed)
        if is_offer(opened):
            return Verdict(judged, release, None, Offer.of_answer(opened))
        return Verdict(judged, release, bank.open(request, self.owner.name, judged.sealed).value)

    # What befalls it.

    def restart(self, *, follow: bool = True, recoveries: Sequence[Envelope] = ()) -> None:
        """End it and start it again on the same folder, with fresh keys."""
        self.enclave.close()
        self._again(follow=follow, recoveries=recoveries)

    def put_back(self, folder: Path) -> None:
        """Put another folder into the place of its own, while it is down."""
        self.enclave.close()
        self.folder = folder
        self.keys, self.enclave = _made(self.owner, self.folder, self.log, self._work)
        self._reached = self.enclave

    def kill(self, *, follow: bool = True) -> None:
        """Start it again from what was on disk, as if it had been killed this instant."""
        copied = self.folder.with_name(self.folder.name + "+")
        shutil.copytree(self.folder, copied)
        with suppress(SafeRoomError):
            self.enclave.close()
        self.folder = copied
        self._again(follow=follow)

    def _again(self, *, follow: bool, recoveries: Sequence[Envelope] = ()) -> None:
        self.keys, self.enclave = _made(self.owner, self.folder, self.log, self._work)
        self._reached = self.enclave
        self.unlock(recoveries)
        if follow:
            self.follow()


def _made(
    owner: SimOwner, folder: Path, log: io.StringIO, work: StoreWork
) -> tuple[EnclaveKeys, Enclave]:
    clock = owner.world.clock
    keys = EnclaveKeys.generate(clock.utc(), owner.world.seeds.suite)
    makeup = Makeup(keys, SOFTWARE, Confinement(0, ("everything",)))
    around = Surroundings(folder, work, EnclaveClock(clock), os.urandom, Log(owner.name, log))
    attester = SoftwareAttester(keys.identity)
    return keys, Enclave(owner.charter, makeup, attester, around, MOST_LOAD_BYTES)
