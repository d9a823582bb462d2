"""A subject: an enterprise that consents and takes it back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.holdings import Holdings, open_holdings
from saferoom_proto.hpke import SealingKey
from saferoom_proto.identity import subject_uri
from saferoom_proto.keys import SigningKey
from saferoom_proto.statements import (
    Consent,
    ConsentRevocation,
    Dispute,
    DisputeWithdrawal,
    HoldingsRequest,
    Purpose,
    seal_statement,
)
from saferoom_proto.uscc import make_uscc
from simulator.issuer import YEAR

if TYPE_CHECKING:
    from simulator.bank import SimBank
    from simulator.world import World

NOTICE: Final = b"The risk notice that was shown."


class SimSubject:
    """The enterprise of a serial number, with a certificate of the world's issuer."""

    def __init__(self, serial: int, world: World) -> None:
        self.world: Final = world
        self.uscc: Final = make_uscc(serial)
        self.key = world.seeds.signing(f"subject {serial}")
        self.certificate = world.issuer.issue(subject_uri(self.uscc), self.key.verify_key)
        self.reply: Final = SealingKey.generate()

    def consent(
        self,
        bank: SimBank | str,
        features: Sequence[str],
        purposes: Sequence[Purpose] = (Purpose.PRE_LOAN,),
        uses: int | None = None,
        valid_for: timedelta = YEAR,
        **changes: object,
    ) -> Envelope:
        """Make a consent; fields can be changed by name."""
        now = self.world.now()
        fields: dict[str, object] = {
            "room": self.world.room,
            "subject": self.uscc,
            "certificate": b64(self.certificate),
            "institution": bank if isinstance(bank, str) else bank.name,
            "purposes": tuple(purposes),
            "features": tuple(features),
            "uses": uses,
            "notice": self.world.seeds.suite.digest(NOTICE),
            "nonce": b64(self.world.seeds.fresh(16)),
            "valid_from": now,
            "valid_to": now + valid_for,
        }
        return seal_statement(Consent.model_validate(fields | changes), self.key)

    def give(
        self,
        bank: SimBank | str,
        features: Sequence[str],
        purposes: Sequence[Purpose] = (Purpose.PRE_LOAN,),
        uses: int | None = None,
        valid_for: timedelta = YEAR,
        **changes: object,
    ) -> Envelope:
        """Publish a consent, to every owner."""
        consent = self.consent(bank, features, purposes, uses, valid_for, **changes)
        return self.world.publish(consent)

    def revocation(self, consent: Envelope) -> Envelope:
        """Make a revocation of a consent."""
        payload = ConsentRevocation(
            room=self.world.room,
            subject=self.uscc,
            certificate=b64(self.certificate),
            consent=consent.digest,
        )
        return seal_statement(payload, self.key)

    def claim(
        self, owner_name: str, key: SigningKey | None = None, /, **changes: object
    ) -> Envelope:
        """Ask an owner for all it holds; fields can be changed, and another key may sign."""
        now = self.world.now()
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": owner_name,
            "subject": self.uscc,
            "certificate": b64(self.certificate),
            "nonce": b64(self.world.seeds.fresh(16)),
            "not_before": now,
            "not_after": now + timedelta(minutes=5),
            "reply_key": b64(self.reply.public),
        }
        payload = HoldingsRequest.model_validate(fields | changes)
        return seal_statement(payload, key or self.key)

    def dispute(self, key: SigningKey | None = None, /, **changes: object) -> Envelope:
        """Dispute a field at the tax office; fields can be changed, and another key may sign."""
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": "tax",
            "subject": self.uscc,
            "certificate": b64(self.certificate),
            "use": None,
            "field": "firms.vat",
            "words": "We paid more.",
            "nonce": b64(self.world.seeds.fresh(16)),
            "at": self.world.now(),
        }
        return seal_statement(Dispute.model_validate(fields | changes), key or self.key)

    def withdraw(
        self, dispute: Envelope, key: SigningKey | None = None, /, **changes: object
    ) -> Envelope:
        """Take a dispute with the tax office back; as with the dispute itself."""
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": "tax",
            "subject": self.uscc,
            "certificate": b64(self.certificate),
            "dispute": dispute.digest,
            "at": self.world.now(),
        }
        return seal_statement(DisputeWithdrawal.model_validate(fields | changes), key or self.key)

    def open(self, request: Envelope, owner: str, sealed: bytes) -> Holdings:
        """Open what an owner's enclave sealed to this subject."""
        return Holdings.from_bytes(open_holdings(sealed, self.reply, request.digest, owner))

    def revoke(self, consent: Envelope) -> Envelope:
        """Publish a revocation, to every owner."""
        return self.world.publish(self.revocation(consent))
