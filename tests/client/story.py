"""A small room's log, written entry by entry, for an auditor to judge."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from saferoom_client.audit.book import Book
from saferoom_client.audit.questions import Receipts
from saferoom_client.audit.run import Auditor
from saferoom_client.values import LogEntry
from saferoom_proto import chain
from saferoom_proto.answer import Answer, Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, sha256_digest
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.keys import SigningKey
from saferoom_proto.load_order import LoadOrder
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    BatchRelease,
    ChainLink,
    Charge,
    FeatureKind,
    Outcome,
    Payload,
    Release,
    Snapshot,
    Span,
    StoreState,
    StreamPosition,
    load,
    seal_statement,
)
from simulator import SimBank, SimOwner, SimSubject, World
from simulator.sample import TAX_TABLES, schema
from tests.client.made import NOTHING, MadeEnclave, feature

VAT = ("tax.vat_paid",)
ONE_CUT = 3
"""Cells that one threshold of the feature tells apart: below, from there on, and unknown."""


def records(epoch: int) -> str:
    """Name the records of a period."""
    return sha256_digest(f"records {epoch}".encode())


@dataclass
class Story:
    """A small room's log, written entry by entry; a test writes it otherwise."""

    world: World = field(default_factory=lambda: World("audit"))
    log: list[Envelope] = field(default_factory=list[Envelope])
    followed: list[Envelope] = field(default_factory=list[Envelope])
    spoken: list[Envelope] = field(default_factory=list[Envelope])
    asked: list[Envelope] = field(default_factory=list[Envelope])
    cells: int = 1
    """That the bank's group was charged about the subject so far."""

    def __post_init__(self) -> None:
        self.tax: SimOwner = self.world.owner("tax")
        self.bank: SimBank = self.world.bank("bank-a")
        self.subject: SimSubject = self.world.subject(1)
        self.feature = self.tax.define(feature("tax", "vat_paid", FeatureKind.ORDERED))
        self.template, self.certificate = self.bank.propose("enough", "tax.vat_paid >= 5000")
        self.approvals = tuple(self.tax.approve(self.template, self.certificate.digest))
        self.agreement = self.tax.agree(self.bank)
        self.consent = self.subject.consent(self.bank, VAT)
        self.enclave = MadeEnclave(self.tax, evidence=self.tax.charters[0].digest)
        tables = schema("tax", *TAX_TABLES)
        self.schema = seal_statement(tables, self.tax.approvers["li"])
        self.store: StoreState | None = None

    def begin(self, *left_out: Envelope) -> Story:
        """Write all that an answer needs, but for what is left out."""
        grounds = (
            *(self.tax.charters[0], self.schema, self.feature, self.template, self.certificate),
            *(*self.approvals, self.agreement, self.consent),
        )
        self.follow(*(each for each in grounds if each not in left_out))
        if self.enclave.endorsement not in left_out:
            self.log.append(self.enclave.endorsement)
        self.load()
        return self

    def follow(self, *statements: Envelope) -> None:
        """Write statements that the enclave follows, and that it hears of at once."""
        self.log += statements
        self.followed += statements

    def hear_nothing_of(self, statement: Envelope) -> None:
        """Write a statement that the enclave has not heard of when it speaks next."""
        self.log.append(statement)

    def order(self, approver: str = "li", **changes: object) -> Envelope:
        """Write an approver's order for a load in the place of what was loaded last."""
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": "tax",
            "approver": approver,
            "load": NOTHING,
            "key": NOTHING,
            "follows": None if self.store is None else self.store.digest,
            "reply_key": b64(self.enclave.sealing.public),
            "at": self.world.now(),
        }
        order = LoadOrder.model_validate(fields | changes)
        self.log.append(seal_statement(order, self.tax.approvers["li"]))
        return self.log[-1]

    def load(self, epoch: int = 1, order: Envelope | None = None, **changes: object) -> Envelope:
        """Have the enclave load records as an approver orders, which opens a period."""
        fields: dict[str, object] = {
            "room": self.world.room,
            "owner": "tax",
            "endorsement": self.enclave.endorsement.digest,
            "schema_digest": self.schema.digest,
            "store": StoreState(epoch=epoch, digest=records(epoch)),
            "previous": self.store,
            "order": (order or self.order()).digest,
            "rows": {},
            "chain": self.link,
            "time": self.world.now(),
        }
        snapshot = Snapshot.model_validate(fields | changes)
        self.store = snapshot.store
        return self.say(snapshot)

    def say(self, payload: Payload) -> Envelope:
        """Have the enclave say something more."""
        self.log.append(seal_statement(payload, self.enclave.identity))
        self.spoken.append(self.log[-1])
        return self.log[-1]

    @property
    def heard(self) -> StreamPosition:
        """How far the enclave has followed."""
        running = chain.head_of(each.whole for each in self.followed)
        return StreamPosition(sequence=len(self.followed), running=running)

    @property
    def link(self) -> ChainLink:
        """Where the enclave's next word stands in its chain."""
        previous = chain.head_of(each.digest for each in self.spoken)
        return ChainLink(index=len(self.spoken), previous=previous)

    def release(
        self, said: Truth | Reason = Truth.YES, key: SigningKey | None = None, /, **changes: object
    ) -> Envelope:
        """Have the enclave answer a question, as far as it has heard."""
        request = self.bank.request(self.subject, self.template, self.certificate, {})
        self.asked.append(request)
        if not isinstance(said, Reason):
            charge = Charge(feature=VAT[0], cells_before=self.cells, cells_after=ONE_CUT)
            changes = {"charges": (charge,)} | changes
            self.cells = ONE_CUT
        grounds: dict[str, object] = {
            "approvals": tuple(sorted(each.digest for each in self.approvals)),
            "agreement": self.agreement.digest,
            "consent": self.consent.digest,
            "stream": self.heard,
            "store": self.store,
            "chain": self.link,
        }
        answer = said if isinstance(said, Reason) else Answer(said, os.urandom(32)).to_bytes()
        part = self.enclave.release(
            request, self.certificate.digest, grounds, answer, key, **changes
        )
        self.log.append(part.release.statement)
        self.spoken.append(part.release.statement)
        return part.release.statement

    def batch(self, *spans: Span, **changes: object) -> Envelope:
        """Have the enclave say that it judged a batch whose rows stand in spans."""
        said = load(self.release(), Release)
        self.log.remove(self.spoken.pop())  # it says the same, of more rows
        fields = {
            name: getattr(said, name) for name in BatchRelease.model_fields if hasattr(said, name)
        }
        judged = {
            "outcome": Outcome.ANSWERED,
            "answered": sum(span.rows for span in spans if span.approvals),
            "refused": sum(span.rows for span in spans if not span.approvals),
            "root": NOTHING,
            "spans": spans,
        }
        return self.say(BatchRelease.model_validate(fields | judged | changes))

    def span(self, rows: int = 1, **changes: object) -> Span:
        """Give rows that were judged on what the enclave has heard by now."""
        fields: dict[str, object] = {
            "rows": rows,
            "charter": self.tax.charter.digest,
            "agreement": self.agreement.digest,
            "approvals": tuple(sorted(each.digest for each in self.approvals)),
            "store": self.store,
            "stream": self.heard,
        }
        return Span.model_validate(fields | changes)

    def audit(
        self,
        since: int = 0,
        spoilt: Sequence[int] = (),
        receipts: Receipts | None = None,
        erased: Sequence[int] = (),
    ) -> Auditor:
        """Have the log audited; the leaves of spoilt entries commit to something else.

        So may those of erased ones, which no salt opens any more.
        """
        book, heads = Book(self.world.trust()), [self.world.heads.verify_key]
        auditor = Auditor(book, heads, since, receipts)
        for index, statement in enumerate(self.log):
            salt = b"" if index in erased else os.urandom(32)
            hidden = index in (*spoilt, *erased)
            committed = bytes(32) if hidden else commitment(salt, statement.digest)
            auditor.take(LogEntry(index, leaf(committed), statement, salt))
        auditor.finish()
        return auditor

    def found(self, since: int = 0, spoilt: Sequence[int] = ()) -> list[tuple[int | None, Reason]]:
        """Give the violations, by entry and rule."""
        return [(each.entry, each.reason) for each in self.audit(since, spoilt).violations]
