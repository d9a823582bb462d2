"""A real enclave, in this process: its own code from unlocking to release, without a sandbox."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from saferoom_enclaves.attest import Confinement, Makeup, Software, SoftwareAttester
from saferoom_enclaves.clock import EnclaveClock
from saferoom_enclaves.enclave import Enclave, Whereabouts
from saferoom_enclaves.journal import InclusionClaim, Judged, OutboxEntry
from saferoom_enclaves.keys import EnclaveKeys, release_info
from saferoom_enclaves.loads import LoadReport
from saferoom_enclaves.logs import make_log
from saferoom_enclaves.opened import Surroundings
from saferoom_enclaves.stream import Delivery
from saferoom_proto import hpke
from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, dump, unb64
from saferoom_proto.load import LoadHeader, LoadSealer, LoadTable, make_content_key, seal_order
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    CheckRequest,
    Endorsement,
    EvidenceClaims,
    Outcome,
    Release,
    load,
    seal_statement,
)
from simulator.owner import SimOwner

MEMORY: Final = Path("/dev/shm")
SOFTWARE: Final = Software("sha256:" + "c" * 64, "sha256:" + "d" * 64, "3.11.2")
MOST_LOAD_BYTES: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an enclave said to a question, opened by its asker."""

    judged: Judged
    release: Release
    truth: Truth | None

    @property
    def reason(self) -> Reason | None:
        """Why it was refused; none if it was answered."""
        return self.release.reason


class EnclaveHarness:
    """Runs an owner's enclave against the world.

    Args:
        owner: whose.
        folder: where its state and sealed store lie.
        start: unlock it and follow the stream at once.
    """

    def __init__(self, owner: SimOwner, folder: Path, *, start: bool = True) -> None:
        self.owner: Final = owner
        self.world: Final = owner.world
        self.folder = folder / f"enclave-{owner.name}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.scratch: Final = Path(mkdtemp(prefix="saferoom-test-", dir=MEMORY))
        self.log: Final = io.StringIO()
        """All that the enclave wrote to its log."""
        self.keys = EnclaveKeys.generate(self.world.clock.utc())
        self.enclave = self._made()
        if start:
            self.unlock()
            self.follow()

    def _made(self) -> Enclave:
        makeup = Makeup(self.keys, SOFTWARE, Confinement(0, ("everything",)))
        around = Surroundings(
            self.folder,
            self.scratch,
            EnclaveClock(self.world.clock),
            os.urandom,
            make_log(self.owner.name, self.log),
        )
        attester = SoftwareAttester(self.keys.identity)
        return Enclave(self.owner.charter, makeup, attester, around, MOST_LOAD_BYTES)

    def close(self) -> None:
        """End it cleanly, and leave nothing in memory."""
        self.enclave.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    # What its owner's key agent does.

    def endorsement(self, **changes: object) -> Envelope:
        """Challenge the enclave and endorse what it claims; fields can be changed by name."""
        claims_envelope = self.enclave.attest(self.world.seeds.fresh(32)).claims
        claims = load(claims_envelope, EvidenceClaims)
        now = self.world.now()
        fields: dict[str, object] = {
            "room": claims.room,
            "owner": claims.owner,
            "identity": claims.identity,
            "sealing": claims.sealing,
            "tls": claims.tls,
            "charter": claims.charter,
            "code": claims.code,
            "dependencies": claims.dependencies,
            "evidence_kind": "software",
            "evidence": claims_envelope.digest,
            "sandbox_level": claims.sandbox_level,
            "valid_from": now,
            "valid_to": now + timedelta(hours=24),
        }
        return seal_statement(Endorsement.model_validate(fields | changes), self.owner.key_agent)

    def sealed_keys(self, endorsement: Envelope, store_key: bytes | None = None) -> bytes:
        """Seal the owner's keys to the enclave that an endorsement names."""
        key = self.owner.store_key if store_key is None else store_key
        keys = {"store_key": b64(key), "pairing_key": b64(self.owner.pairing.private_bytes_raw())}
        sealing = unb64(load(endorsement, Endorsement).sealing)
        return hpke.seal(sealing, dump(keys), info=release_info(endorsement.digest))

    def unlock(self) -> Whereabouts:
        """Endorse the enclave and release its keys."""
        endorsement = self.endorsement()
        self.world.ledger.record(endorsement)
        self.endorsed = endorsement
        return self.enclave.unlock(endorsement, self.sealed_keys(endorsement))

    # What the room does.

    def delivery(self, most: int = 1000, **head: object) -> Delivery:
        """Make the next delivery: statements, a head, proofs; the head's fields can be changed."""
        where = self.enclave.whereabouts()
        stream = self.world.streams[self.owner.name]
        statements = stream.statements[where.sequence : where.sequence + most]
        reached = where.sequence + len(statements)
        outbox = self.enclave.outbox(0)
        for entry in outbox:
            self.world.ledger.record(entry.statement, entry.salt)
        proofs = [self._proof(entry) for entry in outbox]
        fields: dict[str, object] = {"sequence": reached, "running": stream.running[reached]}
        return Delivery(
            tuple(statements),
            self.world.head(self.owner.name, where.head_nonce, **(fields | head)),
            self.world.ledger.consistency(where.ledger_size),
            tuple(proofs),
        )

    def _proof(self, entry: OutboxEntry) -> InclusionClaim:
        index = self.world.ledger.index_of[entry.statement.digest]
        return InclusionClaim(entry.chain_index, index, self.world.ledger.inclusion(index))

    def follow(self, most: int = 1000) -> list[OutboxEntry]:
        """Deliver all that is new, and a fresh head; give the acknowledgements."""
        acknowledged: list[OutboxEntry] = []
        while True:
            acknowledged += self.enclave.deliver(self.delivery(most))
            if self.enclave.whereabouts().sequence == len(
                self.world.streams[self.owner.name].statements
            ):
                return acknowledged

    # What the owner does.

    def load(self, tables: Mapping[str, bytes], schema: str | None = None) -> LoadReport:
        """Load tables from CSV, sealed and ordered as the owner's client does it."""
        schema = schema or self.newest_schema()
        header = LoadHeader(
            self.owner.name,
            schema,
            tuple(LoadTable.of(name, len(data)) for name, data in tables.items()),
        )
        key = make_content_key()
        sealed_key = self.order(header, key)
        sealer = LoadSealer(header.digest, key)
        pieces = [
            piece
            for number, data in enumerate(tables.values())
            for piece in sealer.table(number, data)
        ]
        return self.load_pieces(header, sealed_key, pieces)

    def order(self, header: LoadHeader, key: bytes) -> bytes:
        """Order a load, as an approver."""
        self.world.clock.advance(0.001)  # of two orders one is the later
        approver = next(iter(self.owner.approvers.values()))
        sealing = self.keys.sealing.public
        return seal_order(header, self.world.room, key, approver, sealing, at=self.world.now())

    def load_pieces(
        self, header: LoadHeader, sealed_key: bytes, pieces: Sequence[bytes]
    ) -> LoadReport:
        """Pass a load on as it came."""
        job = self.enclave.begin_load(header, sealed_key)
        try:
            for piece in pieces:
                job.add(piece)
            built = job.build()
            if isinstance(built, LoadReport):
                return built
            return self.enclave.commit_load(job, built)
        finally:
            job.close()

    def newest_schema(self) -> str:
        """Give the digest of the newest schema in the owner's stream."""
        return [
            each.digest
            for each in self.world.streams[self.owner.name].statements
            if ".schema." in each.payload_type
        ][-1]

    # What an institution does.

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
        truth = None
        if release.outcome is Outcome.ANSWERED:
            bank = self.world.bank(load(request, CheckRequest).institution)
            truth = bank.open(request, self.owner.name, judged.sealed).truth
        return Verdict(judged, release, truth)

    # What befalls it.

    def restart(self, *, follow: bool = True) -> None:
        """End it and start it again on the same folder, with fresh keys."""
        self.enclave.close()
        self._again(follow=follow)

    def kill(self, *, follow: bool = True) -> None:
        """Start it again from what was on disk, as if it had been killed this instant."""
        copied = self.folder.with_name(self.folder.name + "+")
        shutil.copytree(self.folder, copied)
        with suppress(SafeRoomError):
            self.enclave.close()
        self.folder = copied
        self._again(follow=follow)

    def _again(self, *, follow: bool) -> None:
        self.keys = EnclaveKeys.generate(self.world.clock.utc())
        self.enclave = self._made()
        self.unlock()
        if follow:
            self.follow()
