"""A tax office, its enclave and a bank, and receipts of batches, rows, uses and tables.

The statements are the simulator's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final, cast

from saferoom_proto import chain
from saferoom_proto.answer import Truth
from saferoom_proto.batch import BatchKeys, JudgedRows, Record, Row, When
from saferoom_proto.batch import record_bytes as length_of
from saferoom_proto.batch_receipt import (
    BatchPart,
    BatchReceipt,
    RowReceipt,
    take_row,
)
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, digest_bytes
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    BatchRelease,
    ChainLink,
    FeatureKind,
    Outcome,
    Payload,
    Purpose,
    Report,
    ReportTable,
    Score,
    Span,
    StoreState,
    StreamPosition,
    TableRelease,
    load,
    seal_statement,
)
from saferoom_proto.tables.receipt import TableReceipt
from saferoom_proto.tables.told import Tables, commitment
from saferoom_proto.tree import Tree
from saferoom_proto.trust import Trust
from saferoom_proto.use_receipt import UseReceipt
from saferoom_proto.wire import Recorded
from simulator import World
from simulator.batch import batch_of
from simulator.fitted import asked as fit_of
from simulator.listed import listing
from simulator.sample import Approved
from simulator.tabled import plan
from tests.client.made import NOTHING, MadeEnclave, feature

NAMED = "tax.late"
POSITION = StreamPosition(sequence=1, running=chain.GENESIS)
LINK = ChainLink(index=0, previous=chain.GENESIS)
STORE = StoreState(epoch=1, digest=NOTHING)
CELLS = (1, 2)
SCORE = Score(
    model=NOTHING,
    training=NOTHING,
    features=(NAMED,),
    edges=(Decimal(0),),
    stands_for=(Decimal(-1), Decimal(1)),
)
FIT: Final = {"features": (NAMED,), "label": "tax.arrears", "releases": ["rows", "auc", "ks"]}
REPORT = Report(tables=(ReportTable(owner="tax", table="listed", columns=("case_no",)),))


@dataclass
class Desk:
    """A tax office, its enclave, and a bank that asks it; under whichever root is in force."""

    world: World = field(default_factory=lambda: World("every receipt"))

    def __post_init__(self) -> None:
        self.tax, self.bank = self.world.owner("tax"), self.world.bank("bank-a")
        self.feature = self.tax.define(feature("tax", "late", FeatureKind.FLAG))
        self.label = self.tax.define(feature("tax", "arrears", FeatureKind.FLAG))
        self.check = Approved(*self.bank.propose("late", NAMED))
        self.tables = Approved(*self.bank.tables("tables", plan("late")))
        self.score = Approved(*self.bank.scores("score", SCORE))
        self.fit = Approved(*self.bank.fits("fit", fit_of(**FIT)))
        self.listing = Approved(*self.bank.listing("listing", listing(owner="tax")))
        self.report = Approved(*self.bank.report("report", REPORT))
        purposes = (Purpose.PRE_LOAN, Purpose.PRODUCT_DESIGN)
        self.agreement = self.tax.agree(self.bank, purposes)
        self.consent = self.world.subject(1).give(self.bank, (NAMED,))
        self.stand("enclave")

    def stand(self, name: str) -> None:
        """Have an enclave endorsed, and all approved, under the charter in force."""
        self.enclave = MadeEnclave(self.tax, name)
        self.approved = {
            each.template.digest: tuple(self.tax.approve(each.template, each.certificate.digest))
            for each in (
                self.check,
                self.tables,
                self.score,
                self.fit,
                self.listing,
                self.report,
            )
        }

    def approvals(self, of: Approved) -> tuple[str, ...]:
        return tuple(sorted(each.digest for each in self.approved[of.template.digest]))

    def say(self, word: type[Payload], **fields: object) -> Recorded:
        """Have the enclave say a word, which is recorded."""
        common: dict[str, object] = {
            "room": self.world.room,
            "owner": "tax",
            "institution": "bank-a",
            "endorsement": self.enclave.endorsement.digest,
            "charter": self.tax.charter.digest,
            "agreement": self.agreement.digest,
            "stream": POSITION,
            "chain": LINK,
            "time": self.world.now(),
            "outcome": Outcome.ANSWERED,
            "reason": None,
        }
        statement = seal_statement(word.model_validate(common | fields), self.enclave.identity)
        self.world.ledger.record(statement)
        return self.world.ledger.recorded(statement)

    def part(self, of: Approved, word: Recorded) -> dict[str, object]:
        """Give what the receipts of this owner's word have alike."""
        return {
            "owner": "tax",
            "charters": (text(self.tax.charters[-1]),),
            "features": (text(self.feature),),
            "approvals": tuple(map(text, self.approved[of.template.digest])),
            "endorsement": text(self.enclave.endorsement),
            "release": text(word.statement),
            "salt": b64(word.salt),
            "proof": word.proof,
        }

    def head(self, of: Approved, request: Envelope) -> dict[str, str]:
        payload = load(of.certificate, ReleaseCertificate)
        return {
            "request": text(request),
            "template": text(of.template),
            "certificate": payload.to_bytes().decode(),
        }


def text(envelope: Envelope) -> str:
    return envelope.to_json().decode()


def batch(desk: Desk, handovers: Sequence[Envelope]) -> BatchReceipt:
    """Have a batch of two firms judged: one answered, one refused."""
    rows = [Row(desk.world.subject(serial).uscc) for serial in (1, 2)]
    asked = batch_of(desk.bank, desk.check, rows)
    request, now = asked.envelope, desk.world.now()
    consent = desk.consent
    records = (
        Record(Truth.YES, consent.digest, (CELLS,)),
        Record(Reason.NO_CONSENT, None, ()),
    )
    when = When(int(now.timestamp() * 1000), POSITION.sequence).to_bytes()
    packed, secret = b"".join(map(written, records)), bytes(range(32))
    keys = BatchKeys(secret, request.digest, "tax")
    leaves = JudgedRows(0, asked.packed, when, packed).leaves(keys.salts(0, 2), request.digest)
    span = Span(
        rows=2,
        charter=desk.tax.charter.digest,
        agreement=desk.agreement.digest,
        approvals=desk.approvals(desk.check),
        store=STORE,
        stream=POSITION,
    )
    word = desk.say(
        BatchRelease,
        request=request.digest,
        template=desk.check.template.digest,
        certificate=desk.check.certificate.digest,
        answered=1,
        refused=1,
        root=request.suite.named(Tree(leaves, request.suite).root),
        spans=(span,),
        time=now + timedelta(seconds=1),
    )
    part = BatchPart.model_validate(
        desk.part(desk.check, word)
        | {
            "agreements": (text(desk.agreement),),
            "secret": b64(secret),
            "chunks": (b64(when + packed),),
            "handovers": tuple(map(text, handovers)),
        }
    )
    return BatchReceipt.model_validate(
        desk.head(desk.check, request)
        | {"blinding": b64(asked.blinding), "rows": b64(asked.packed), "parts": (part,)}
    )


def written(record: Record) -> bytes:
    """Write a record as enclaves do: the outcome's code, the consent, and the charges."""
    code = {Truth.YES: 1, Reason.NO_CONSENT: 64}[cast("Truth", record.outcome)]
    consent = bytes(32) if record.consent is None else digest_bytes(record.consent)
    cells = [each for pair in record.charges or ((0, 0),) for each in pair]
    made = bytes([code]) + consent + struct.pack(f">{len(cells)}H", *cells)
    assert len(made) == length_of(1)
    return made


def row(desk: Desk, handovers: Sequence[Envelope]) -> RowReceipt:
    return take_row(batch(desk, handovers), 0, {desk.consent.digest: text(desk.consent)})


def use(desk: Desk, handovers: Sequence[Envelope]) -> UseReceipt:
    """Give what a subject keeps: the word on the batch, and its own row."""
    held = row(desk, handovers)
    (part,) = held.parts
    return UseReceipt(
        charter=part.charters[0],
        endorsement=part.endorsement,
        word=part.release,
        salt=part.salt,
        proof=part.proof,
        question=held.request,
        handovers=tuple(map(text, handovers)),
    )


def table(desk: Desk, handovers: Sequence[Envelope]) -> TableReceipt:
    """Have tables told: how many firms there are, and how many of them are late."""
    request = desk.bank.table_request(desk.tables.template, desk.tables.certificate)
    told = Tables(
        room=desk.world.room,
        owner="tax",
        request=request.digest,
        template=desk.tables.template.digest,
        epoch=STORE.epoch,
        numbers=(("120",), ("80", "40")),
        salt=b64(bytes(32)),
    ).to_bytes()
    word = desk.say(
        TableRelease,
        request=request.digest,
        template=desk.tables.template.digest,
        certificate=desk.tables.certificate.digest,
        approvals=desk.approvals(desk.tables),
        store=STORE,
        together=1,
        answer=commitment(told),
    )
    return TableReceipt.model_validate(
        desk.head(desk.tables, request)
        | desk.part(desk.tables, word)
        | {
            "agreement": text(desk.agreement),
            "tables": told.decode(),
            "handovers": tuple(map(text, handovers)),
        }
    )


def trust_in(desk: Desk, root: SigningKey, **changes: object) -> Trust:
    roots = {"tax": root.verify_key.public}
    return Trust.model_validate({**dict(desk.world.trust()), "charter_roots": roots, **changes})
