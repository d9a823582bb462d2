"""A case to verify: one question about two owners' features, answered by made-up enclaves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from saferoom_client.evidence import CheckEvidence, PartEvidence
from saferoom_client.issuer import Issuer
from saferoom_client.profile import Member, Profile, RoomCard
from saferoom_client.question import Question
from saferoom_client.session import utc_now
from saferoom_proto import chain, hpke
from saferoom_proto.answer import Answer, Band, Told, Truth, commitment, seal_info
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, sha256_digest, unb64
from saferoom_proto.identity import organisation_uri
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import Receipt
from saferoom_proto.shares import Share
from saferoom_proto.statements import (
    Absent,
    Acknowledgement,
    ChainLink,
    Charge,
    CheckRequest,
    Endorsement,
    Feature,
    FeatureKind,
    Outcome,
    Release,
    Returns,
    Score,
    StoreState,
    StreamPosition,
    Template,
    Title,
    load,
    seal_statement,
)
from saferoom_proto.statements.feature import StatedForm, StatedRule
from saferoom_proto.wire import Part, Recorded
from simulator import SimOwner, World

CHECK: Final = "tax.vat_paid >= :least AND court.dishonest IS FALSE"
FEATURES: Final = ("tax.vat_paid", "court.dishonest")
NOTHING: Final = sha256_digest(b"nothing of any room")
DAY: Final = timedelta(days=1)


def feature(owner: str, name: str, kind: FeatureKind, **changes: object) -> Feature:
    fields: dict[str, object] = {
        "room": "room.example",
        "owner": owner,
        "name": name,
        "version": 1,
        "title": Title(en=name, zh=name),
        "unit": "CNY",
        "level": 3,
        "family": "money",
        "information_types": (),
        "as_of": date(2026, 1, 1),
        "sql": f"SELECT uscc, {name} AS value FROM records",
        "kind": kind,
        "grid": (Decimal(1000), Decimal(5000)) if kind is FeatureKind.ORDERED else (),
        "absent": Absent.UNKNOWN if kind is FeatureKind.ORDERED else Absent.FALSE,
        "budget_bits": Decimal(3),
    }
    return Feature.model_validate(fields | changes)


class MadeEnclave:
    """What an owner's enclave signs, without an enclave: any field can be changed by name."""

    def __init__(self, owner: SimOwner, name: str = "enclave", **changes: object) -> None:
        self.owner: Final = owner
        self.world: Final = owner.world
        self.identity: Final = owner.world.seeds.signing(f"{name} of {owner.name}")
        self.sealing: Final = owner.world.seeds.sealing(f"{name} of {owner.name}")
        self.endorsement = self.endorse(**changes)
        self.world.publish(self.endorsement, owner.name)

    def endorse(self, key: SigningKey | None = None, /, **changes: object) -> Envelope:
        """Have the owner's key agent, or another key, endorse this enclave."""
        now = self.world.now()
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": self.owner.name,
            "identity": self.identity.verify_key.public,
            "sealing": b64(self.sealing.public),
            "tls": NOTHING,
            "charter": self.owner.charter.digest,
            "code": NOTHING,
            "dependencies": NOTHING,
            "evidence_kind": "software",
            "evidence": NOTHING,
            "quote": None,
            "chain": ChainLink(index=0, previous=chain.GENESIS),
            "previous": None,
            "sandbox_level": 2,
            "valid_from": now - DAY,
            "valid_to": now + DAY,
        }
        return seal_statement(
            Endorsement.model_validate(fields | changes), key or self.owner.key_agent
        )

    def release(
        self,
        request: Envelope,
        certificate: str,
        grounds: Mapping[str, object],
        said: bytes | Reason,
        key: SigningKey | None = None,
        /,
        **changes: object,
    ) -> Part:
        """Answer or refuse a request, and have the release recorded."""
        asked = load(request, CheckRequest)
        answered = isinstance(said, bytes)
        charge = Charge(feature=FEATURES[0], cells_before=1, cells_after=2)
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": self.owner.name,
            "request": request.digest,
            "institution": asked.institution,
            "endorsement": self.endorsement.digest,
            "charter": self.owner.charter.digest,
            "template": asked.template,
            "certificate": certificate,
            "approvals": (),
            "consent": None,
            "stream": StreamPosition(sequence=1, running=chain.GENESIS),
            "store": StoreState(epoch=1, digest=NOTHING),
            "outcome": Outcome.ANSWERED if answered else Outcome.REFUSED,
            "reason": None if answered else said,
            "charges": (charge,) if answered else (),
            "answer": commitment(said) if answered else None,
            "chain": ChainLink(index=0, previous=chain.GENESIS),
            "time": self.world.now(),
        }
        release = Release.model_validate(fields | dict(grounds) | changes)
        statement = seal_statement(release, key or self.identity)
        self.world.ledger.record(statement)
        sealed = b""
        if answered:
            info = seal_info(request.digest, self.owner.name)
            sealed = hpke.seal(unb64(asked.reply_key), said, info=info)
        return Part(self.world.ledger.recorded(statement), sealed)

    def acknowledge(self, revocation: Envelope, consent: str, subject: str) -> Recorded:
        """Acknowledge a consent's revocation."""
        payload = Acknowledgement(
            room=self.world.room,
            owner=self.owner.name,
            endorsement=self.endorsement.digest,
            subject=subject,
            revocation=revocation.digest,
            consent=consent,
            stream=StreamPosition(sequence=1, running=chain.GENESIS),
            chain=ChainLink(index=0, previous=chain.GENESIS),
            time=self.world.now(),
        )
        return self.world.ledger.recorded(seal_statement(payload, self.identity))


@dataclass(slots=True)
class Case:
    """A room with two owners, a bank and a subject; all that one question needs."""

    world: World
    template: Envelope
    certificate: ReleaseCertificate
    features: dict[str, Envelope]
    approvals: dict[str, tuple[Envelope, ...]]
    agreements: dict[str, Envelope]
    consent: Envelope
    enclaves: dict[str, MadeEnclave]
    known: dict[str, Envelope] = field(default_factory=dict[str, Envelope])
    """Every statement, by its digest."""

    def question(self, **changes: object) -> Question:
        """Sign a question of the bank's."""
        bank = self.world.bank("bank-a")
        params = {"least": "5000"} if load(self.template, Template).params else {}
        request = bank.request(
            self.world.subject(1), self.template, self.certificate.digest, params
        )
        if changes:
            payload = load(request, CheckRequest).model_copy(update=changes)
            request = seal_statement(payload, bank.key)
        return Question(request, load(request, CheckRequest), bank.reply)

    def grounds(self, owner: str) -> dict[str, object]:
        """Name what allows an answer of one owner."""
        return {
            "approvals": tuple(sorted(each.digest for each in self.approvals[owner])),
            "agreement": self.agreements[owner].digest,
            "consent": self.consent.digest,
        }

    def answer(
        self,
        question: Question,
        owner: str,
        told: Told | Answer | bytes | Reason = Truth.YES,
        key: SigningKey | None = None,
        /,
        **changes: object,
    ) -> Part:
        """Have one owner's enclave, or who has the key, answer or refuse."""
        if isinstance(told, Truth | Share | Band):
            told = Answer(told, os.urandom(32), scored=isinstance(told, Band))
        said = told.to_bytes() if isinstance(told, Answer) else told
        digest = self.certificate.digest
        enclave = self.enclaves[owner]
        return enclave.release(question.envelope, digest, self.grounds(owner), said, key, **changes)

    def evidence(self, question: Question, part: Part, owner: str) -> PartEvidence:
        """Put together all that belongs to one owner's part."""
        release = load(part.release.statement, Release)
        answered = release.outcome is Outcome.ANSWERED
        return PartEvidence(
            owner=owner,
            charter=self.world.owner(owner).charters[-1],
            features=(self.features[owner],),
            approvals=self.approvals[owner],
            agreement=self.agreements[owner],
            consent=self.consent,
            endorsement=self.enclaves[owner].endorsement,
            release=part.release,
            answer=question.open(part.sealed, owner) if answered else None,
        )

    def receipt(self, question: Question, parts: Mapping[str, Part]) -> Receipt:
        """Write the receipt of a question's parts."""
        evidence = tuple(self.evidence(question, part, owner) for owner, part in parts.items())
        return CheckEvidence(question.envelope, self.template, self.certificate, evidence).receipt()


def make_case(seed: int | str = 1, *, titled: str | None = None) -> Case:
    world = World(seed)
    tax, court, bank = world.owner("tax"), world.owner("court"), world.bank("bank-a")
    changes = {} if titled is None else {"title": Title(en=titled, zh=titled)}
    features = {
        "tax": tax.define(feature("tax", "vat_paid", FeatureKind.ORDERED, **changes)),
        "court": court.define(feature("court", "dishonest", FeatureKind.FLAG, **changes)),
    }
    return _case(world, features, (tax, court), bank.propose("steady", CHECK))


def make_score_case(asked: Score, seed: int | str = 1, **changes: object) -> Case:
    """Make a room in which the bank asks one owner for scores, or two for the sum of theirs."""
    world = World(seed)
    owners = [world.owner(name) for name in asked.owners]
    defined = {
        "tax": feature("tax", "vat_paid", FeatureKind.ORDERED, **changes),
        "court": feature("court", "dishonest", FeatureKind.FLAG),
    }
    features = {owner.name: owner.define(defined[owner.name]) for owner in owners}
    return _case(world, features, owners, world.bank("bank-a").scores("steady", asked))


def make_blind_case() -> Case:
    """Make a room in which the bank matches a number blindly."""
    world = World("blind")
    tax, bank = world.owner("tax"), world.bank("bank-a")
    stated = StatedRule(form=StatedForm.DIGITS, per_day=3, for_life=9)
    phone = feature("tax", "vat_paid", FeatureKind.STATED, level=4, stated=stated)
    features = {"tax": tax.define(phone)}
    proposed = bank.propose("steady", "tax.vat_paid = :number", returns=Returns.BLIND)
    return _case(world, features, (tax,), proposed)


def _case(
    world: World,
    features: dict[str, Envelope],
    owners: Sequence[SimOwner],
    proposed: tuple[Envelope, Envelope],
) -> Case:
    bank = world.bank("bank-a")
    template, certificate = proposed
    opened = load(certificate, ReleaseCertificate)
    case = Case(
        world=world,
        template=template,
        certificate=opened,
        features=features,
        approvals={owner.name: tuple(owner.approve(template, opened.digest)) for owner in owners},
        agreements={owner.name: owner.agree(bank) for owner in owners},
        consent=world.subject(1).give(bank, FEATURES),
        enclaves={owner.name: MadeEnclave(owner) for owner in owners},
    )
    statements = [each for stream in world.streams.values() for each in stream.statements]
    case.known.update({each.digest: each for each in (*statements, template, certificate)})
    return case


def make_profile(folder: Path, case: Case, issuer: Issuer, card: RoomCard) -> Profile:
    """Make the folder of the bank's system, with the keys that the simulator gave it."""
    world, member = case.world, Member(organisation="bank-a", name="system")
    key = world.bank("bank-a").key
    connection = ec.generate_private_key(ec.SECP256R1())
    profile = Profile(
        folder=folder,
        card=card,
        member=member,
        trust=world.trust(),
        tls_certificate=issuer.issue_connection(
            member, connection.public_key(), utc_now()
        ).public_bytes(Encoding.PEM),
        tls_key=connection.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        signing_certificate=issuer.issue_signing(member, key.verify_key, utc_now()).public_bytes(
            Encoding.DER
        ),
        signing_key=key,
    )
    assert member.uri == organisation_uri("bank-a", "system")
    profile.save()
    return profile
