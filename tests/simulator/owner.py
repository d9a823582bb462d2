"""A data owner: its root, its approvers, its key agent, and all that they sign."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.statements import (
    Agreement,
    AgreementEnd,
    Approval,
    Approver,
    ChainLink,
    Charter,
    Dispute,
    DisputeAnswer,
    Feature,
    Finding,
    LevelLimits,
    Pause,
    Purpose,
    Recovery,
    RoomKeys,
    RootHandover,
    Schema,
    Title,
    Withdrawal,
    load,
    seal_statement,
)
from saferoom_proto.statements.template import InstitutionKey
from saferoom_proto.verification import PinnedCharter
from simulator.issuer import YEAR

if TYPE_CHECKING:
    from simulator.bank import SimBank
    from simulator.world import World

APPROVERS: Final = ("chen", "li", "wang")
LIMITS: Final = ((0, 0), (3, 12), (3, 12), (1, 3))
"""Bits per feature and per family, by level."""


class SimOwner:
    """A data owner. Nouns make a statement; verbs make it and publish it to the room."""

    def __init__(self, name: str, world: World) -> None:
        self.name: Final = name
        self.world: Final = world
        seeds = world.seeds
        self.root = seeds.signing(f"root of {name}")
        self.approvers: Final = {
            each: seeds.signing(f"approver {each} of {name}") for each in APPROVERS
        }
        self.key_agent: Final = seeds.signing(f"key agent of {name}")
        self.store_key = seeds.some(f"store key of {name}")
        self.pairing = X25519PrivateKey.from_private_bytes(seeds.some(f"pairing of {name}"))
        self.charters: list[Envelope] = []

    @property
    def charter(self) -> PinnedCharter:
        """The charter in force."""
        newest = self.charters[-1]
        return PinnedCharter(load(newest, Charter), newest.digest)

    def next_charter(self, **changes: object) -> Envelope:
        """Make the first charter, or the next one; fields can be changed by name."""
        world, version = self.world, len(self.charters) + 1
        fields: dict[str, object] = {
            "room": world.room,
            "owner": self.name,
            "title": Title(en=self.name, zh=self.name),
            "version": version,
            "previous": self.charters[-1].digest if self.charters else None,
            "suite": world.seeds.suite.value,
            "root": self.root.verify_key.public,
            "approvers": tuple(
                Approver(name=name, key=key.verify_key.public)
                for name, key in self.approvers.items()
            ),
            "threshold": 2,
            "issuers": (world.issuer.pinned(),),
            "key_agent": self.key_agent.verify_key.public,
            "pairing": b64(self.pairing.public_key().public_bytes_raw()),
            "room_keys": RoomKeys(
                ledger=world.ledger.key.verify_key.public, heads=world.heads.verify_key.public
            ),
            "registrars": ("registry",),
            "max_head_age_seconds": 60,
            "min_sandbox_level": 0,
            "release_tick_milliseconds": 0,
            "limits": tuple(
                LevelLimits(level=level, feature_bits=Decimal(bits), family_bits=Decimal(family))
                for level, (bits, family) in enumerate(LIMITS, start=1)
            ),
        }
        return seal_statement(Charter.model_validate(fields | changes), self.root)

    def adopt(self, **changes: object) -> Envelope:
        """Publish the first charter, or the next one."""
        charter = self.next_charter(**changes)
        self.charters.append(charter)
        return self.world.publish(charter, self.name)

    def handover(self, following: SigningKey, *keys: SigningKey, **changes: object) -> Envelope:
        """Make a handover of the root, by both roots or by these keys; fields can be changed."""
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": self.name,
            "former": self.root.verify_key.public,
            "following": following.verify_key.public,
            "version": len(self.charters) + 1,
            "previous": self.charters[-1].digest,
            "time": self.world.now(),
        }
        says = RootHandover.model_validate(fields | changes)
        return seal_statement(says, *(keys or (self.root, following)))

    def hand_over(self, following: SigningKey | None = None) -> Envelope:
        """Publish a handover of the root to another one, which signs from then on."""
        following = following or self.world.seeds.signing(f"next root of {self.name}")
        statement = self.world.publish(self.handover(following), self.name)
        self.root = following
        return statement

    def publish_schema(self, schema: Schema) -> Envelope:
        """Sign and publish the store's schema."""
        return self.world.publish(seal_statement(schema, self._first), self.name)

    def define(self, feature: Feature) -> Envelope:
        """Sign and publish a feature, to every owner."""
        return self.world.publish(seal_statement(feature, self._first))

    def approval(self, template: Envelope, certificate: str, approver: str) -> Envelope:
        """Let one approver approve exact bytes."""
        payload = Approval(
            room=self.world.room,
            owner=self.name,
            approver=approver,
            charter=self.charter.digest,
            template=template.digest,
            certificate=certificate,
            at=self.world.now(),
        )
        return seal_statement(payload, self.approvers[approver])

    def approve(
        self, template: Envelope, certificate: str, approvers: Sequence[str] = APPROVERS[:2]
    ) -> list[Envelope]:
        """Publish the approvals of some approvers."""
        given = [self.approval(template, certificate, each) for each in approvers]
        return [self.world.publish(each, self.name) for each in given]

    def withdraw(self, template: Envelope, approver: str = APPROVERS[0]) -> Envelope:
        """Take a template's approval back."""
        payload = Withdrawal(
            room=self.world.room,
            owner=self.name,
            approver=approver,
            template=template.digest,
            why="no longer wanted",
            at=self.world.now(),
        )
        return self._publish(payload, self.approvers[approver])

    def pause(
        self, template: Envelope | None = None, *, paused: bool = True, approver: str = APPROVERS[0]
    ) -> Envelope:
        """Stop all use, or one template's; or let it go on."""
        payload = Pause(
            room=self.world.room,
            owner=self.name,
            approver=approver,
            template=None if template is None else template.digest,
            paused=paused,
            why="under review",
            at=self.world.now(),
        )
        return self._publish(payload, self.approvers[approver])

    def recovery(
        self,
        copy: ChainLink,
        goes_on: ChainLink,
        last_epoch: int = 1,
        approver: str = APPROVERS[0],
        **changes: object,
    ) -> Envelope:
        """Have one approver let the enclave go on from an older copy; fields can be changed."""
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": self.name,
            "approver": approver,
            "found": copy,
            "follows": goes_on,
            "last_epoch": last_epoch,
            "why": "the disk died",
            "at": self.world.now(),
        }
        recovery = Recovery.model_validate(fields | changes)
        statement = seal_statement(recovery, self.approvers[approver])
        self.world.ledger.record(statement)
        return statement

    def agreement(
        self,
        bank: SimBank,
        purposes: Sequence[Purpose] = (Purpose.PRE_LOAN,),
        group: str | None = None,
        valid_for: timedelta = YEAR,
        replaces: Envelope | None = None,
    ) -> Envelope:
        """Make an agreement that both sides signed."""
        now = self.world.now()
        payload = Agreement(
            room=self.world.room,
            owner=self.name,
            institution=bank.name,
            group=group or bank.name,
            keys=(InstitutionKey(name="checks", certificate=b64(bank.certified)),),
            purposes=tuple(purposes),
            replaces=None if replaces is None else replaces.digest,
            valid_from=now,
            valid_to=now + valid_for,
        )
        signers = [self.approvers[each] for each in APPROVERS[:2]]
        return seal_statement(payload, *signers, bank.key)

    def agree(
        self,
        bank: SimBank,
        purposes: Sequence[Purpose] = (Purpose.PRE_LOAN,),
        group: str | None = None,
        valid_for: timedelta = YEAR,
        replaces: Envelope | None = None,
    ) -> Envelope:
        """Publish an agreement."""
        made = self.agreement(bank, purposes, group, valid_for, replaces)
        return self.world.publish(made, self.name)

    def end(self, agreement: Envelope, approver: str = APPROVERS[0]) -> Envelope:
        """End an agreement."""
        payload = AgreementEnd(
            room=self.world.room,
            owner=self.name,
            approver=approver,
            agreement=agreement.digest,
            why="moved on",
            at=self.world.now(),
        )
        return self._publish(payload, self.approvers[approver])

    def answer(
        self, dispute: Envelope, key: SigningKey | None = None, /, **changes: object
    ) -> Envelope:
        """Settle a dispute; fields can be changed, and another key may sign."""
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": self.name,
            "approver": APPROVERS[0],
            "charter": self.charter.digest,
            "subject": load(dispute, Dispute).subject,
            "dispute": dispute.digest,
            "finding": Finding.STANDS,
            "epoch": None,
            "words": "It is as you filed it.",
            "at": self.world.now(),
        }
        return seal_statement(DisputeAnswer.model_validate(fields | changes), key or self._first)

    @property
    def _first(self) -> SigningKey:
        return self.approvers[APPROVERS[0]]

    def _publish(self, payload: Withdrawal | Pause | AgreementEnd, key: SigningKey) -> Envelope:
        return self.world.publish(seal_statement(payload, key), self.name)
