"""What stands around an enclave: its owner's key agent, and the room that delivers to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

from saferoom_enclaves.attest import Attestation
from saferoom_enclaves.journal import InclusionClaim, OutboxEntry
from saferoom_enclaves.stream import Delivery
from saferoom_enclaves.whereabouts import Whereabouts
from saferoom_proto import hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, dump, unb64
from saferoom_proto.load import LoadHeader
from saferoom_proto.load_order import LoadOrder, seal_order
from saferoom_proto.recovery import keys_info
from saferoom_proto.statements import (
    Endorsement,
    EvidenceClaims,
    Feature,
    FeatureTrial,
    Schema,
    StoreState,
    load,
    seal_statement,
)
from simulator.owner import APPROVERS, SimOwner


class Reached(Protocol):
    """An enclave as it can be reached: in this process, or over its socket."""

    def attest(self, nonce: bytes) -> Attestation:
        """Give evidence."""
        ...

    def unlock(
        self, endorsement: Envelope, sealed_keys: bytes, recoveries: Sequence[Envelope] = ()
    ) -> Whereabouts:
        """Take an endorsement and keys."""
        ...

    def whereabouts(self) -> Whereabouts:
        """Tell where it stands."""
        ...

    def deliver(self, delivery: Delivery) -> list[OutboxEntry]:
        """Take a delivery."""
        ...

    def outbox(self, start: int) -> list[OutboxEntry]:
        """Give what lacks a proof."""
        ...

    def settle(self, seconds: float) -> None:
        """Wait until its features are computed, or for so long."""
        ...


SETTLE_SECONDS: Final = 60.0


class Attended:
    """An enclave with its key agent and its room.

    Args:
        owner: whose enclave it is.
        enclave: the enclave.
    """

    def __init__(self, owner: SimOwner, enclave: Reached) -> None:
        self.owner: Final = owner
        self.world: Final = owner.world
        self._reached = enclave
        self.endorsed: Envelope | None = None
        """What it speaks under."""

    def endorsement(self, **changes: object) -> Envelope:
        """Challenge the enclave and endorse what it claims; fields can be changed by name."""
        claims_envelope = self._reached.attest(self.world.seeds.fresh(32)).claims
        claims = load(claims_envelope, EvidenceClaims)
        self.world.ledger.record(claims_envelope)
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
            "quote": None,
            "chain": claims.chain,
            "previous": None,
            "sandbox_level": claims.sandbox_level,
            "valid_from": now,
            "valid_to": now + timedelta(hours=24),
        }
        return seal_statement(Endorsement.model_validate(fields | changes), self.owner.key_agent)

    def sealed_keys(
        self,
        endorsement: Envelope,
        store_key: bytes | None = None,
        earlier: bytes | None = None,
        recoveries: Sequence[Envelope] = (),
    ) -> bytes:
        """Seal the owner's keys to the enclave that an endorsement names."""
        key = self.owner.store_key if store_key is None else store_key
        keys = {"store_key": b64(key), "pairing_key": b64(self.owner.pairing.private_bytes_raw())}
        if earlier is not None:
            keys["earlier_store_key"] = b64(earlier)
        sealing = unb64(load(endorsement, Endorsement).sealing)
        info = keys_info(endorsement.digest, (each.digest for each in recoveries))
        return hpke.seal(sealing, dump(keys), info=info)

    def trial(self, draft: Feature, approver: str = APPROVERS[0], **changes: object) -> Envelope:
        """Order a draft tried; the order's fields can be changed by name."""
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": self.owner.name,
            "approver": approver,
            "draft": draft,
            "reply_key": b64(fault_key(self.owner).public),
            "at": self.world.now(),
        }
        trial = FeatureTrial.model_validate(fields | changes)
        return seal_statement(trial, self.owner.approvers[approver])

    def unlock(self, recoveries: Sequence[Envelope] = ()) -> Whereabouts:
        """Endorse the enclave and release its keys, an older copy's by its owner's decision."""
        endorsement = self.endorsement()
        self.world.ledger.record(endorsement)
        sealed = self.sealed_keys(endorsement, recoveries=recoveries)
        self._reached.unlock(endorsement, sealed, recoveries)
        self.endorsed = endorsement
        self._reached.settle(SETTLE_SECONDS)
        return self._reached.whereabouts()

    def delivery(self, most: int = 1000, **head: object) -> Delivery:
        """Make the next delivery: statements, a head, proofs; the head's fields can be changed."""
        where = self._reached.whereabouts()
        stream = self.world.streams[self.owner.name]
        statements = stream.statements[where.sequence : where.sequence + most]
        reached = where.sequence + len(statements)
        outbox = self._reached.outbox(0)
        for entry in outbox:
            if entry.order is not None:
                self.world.ledger.record(entry.order)
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
            acknowledged += self._reached.deliver(self.delivery(most))
            self._reached.settle(SETTLE_SECONDS)
            if self._reached.whereabouts().sequence == len(
                self.world.streams[self.owner.name].statements
            ):
                return acknowledged


def newest_schema(owner: SimOwner) -> str:
    """Give the digest of the newest schema in an owner's stream."""
    statements = owner.world.streams[owner.name].statements
    kind = Schema.payload_type()
    return [each.digest for each in statements if each.payload_type == kind][-1]


def fault_key(owner: SimOwner) -> hpke.SealingKey:
    """Give the key that what is wrong with a load is sealed to."""
    return owner.world.seeds.sealing(f"loads of {owner.name}")


def ordered(
    owner: SimOwner,
    header: LoadHeader,
    key: bytes,
    sealing: bytes,
    store: StoreState | None,
    /,
    **changes: object,
) -> bytes:
    """Order a load, as the first approver; the order's fields can be changed by name."""
    name, approver = next(iter(owner.approvers.items()))
    order = LoadOrder.of(
        header,
        key,
        room=owner.world.room,
        approver=name,
        follows=None if store is None else store.digest,
        reply_key=fault_key(owner).public,
        at=owner.world.now(),
    )
    changed = LoadOrder.model_validate(order.model_dump() | changes)
    return seal_order(seal_statement(changed, approver), header, key, sealing)
