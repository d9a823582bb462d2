"""The auditor replays epsilon: what each group was told of the same records with noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from saferoom_client.audit.book import Book
from saferoom_client.audit.entries import TAKES
from saferoom_client.audit.noise import Noise
from saferoom_client.audit.spending import Spending
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    FeatureKind,
    Outcome,
    Privacy,
    PrivacySpent,
    Snapshot,
    StreamPosition,
    TableRelease,
)
from simulator import SimBank, World
from simulator.sample import feature
from simulator.tabled import plan
from tests.proto.golden_answers import enclaves_words
from tests.proto.golden_tables import words_on_tables

WITHIN = Privacy(epsilon=Decimal("0.5"), cap=Decimal("0.75"))
HALF = Privacy(epsilon=Decimal("0.5"), cap=Decimal(1))
RECORDS = ("tax", 1)


def told(noise: Noise, plan: str, said: str | None, **other: object) -> list[Reason]:
    """Take a word: what it says is charged, spent, and the cap; or that there is no noise."""
    group, privacy = str(other.pop("group", "ring")), other.pop("privacy", HALF)
    linked = (group, *str(other.pop("linked", "")).split())
    spent = None
    if said is not None:
        charged, total, cap = map(Decimal, said.split("/"))
        spent = PrivacySpent(charged=charged, spent=total, cap=cap)
    word = words_on_tables()["table-release"]
    assert isinstance(word, TableRelease)
    fields = {"certificate": sha256_digest(plan.encode()), "privacy": spent}
    release = word.model_copy(update=fields | other)
    assert privacy is None or isinstance(privacy, Privacy)
    return [each.reason for each in noise.take(release, RECORDS, privacy, group, linked)]


def test_what_is_charged_and_spent_as_it_should_be_is_found_right() -> None:
    noise = Noise()
    assert told(noise, "one", "0.5/0.5/1") == []
    assert told(noise, "one", "0/0.5/1") == []
    assert told(noise, "two", "0.5/1/1") == []
    assert told(noise, "two", "0.5/0.5/1", group="alone") == []
    assert told(noise, "three", None, outcome=Outcome.REFUSED) == []


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ("0.5/0.5/1", [Reason.STORE_ROLLED_BACK]),
        ("0/0.5/1", [Reason.OVER_BUDGET, Reason.STORE_ROLLED_BACK]),
        ("0.4/0.9/1", [Reason.OVER_BUDGET, Reason.STORE_ROLLED_BACK]),
        ("0.5/1/2", [Reason.OVER_BUDGET]),
        (None, [Reason.CERTIFICATE_MISMATCH]),
    ],
)
def test_an_enclave_that_charges_too_little_is_found(
    said: str | None, reasons: list[Reason]
) -> None:
    noise = Noise()
    assert told(noise, "one", "0.5/0.5/1") == []
    assert told(noise, "two", said) == reasons


def test_what_was_told_may_be_told_again_past_the_cap_and_nothing_else() -> None:
    noise, strict = Noise(), Privacy(epsilon=Decimal("0.5"), cap=Decimal("0.5"))
    assert told(noise, "one", "0.5/0.5/0.5", privacy=strict) == []
    assert told(noise, "two", "0.5/0.5/0.5", privacy=strict, group="other") == []
    # They are linked since.
    assert told(noise, "one", "0/1/0.5", privacy=strict, linked="other") == []
    assert told(noise, "two", "0/1/0.5", privacy=strict, linked="other") == []


def test_a_plan_that_only_groups_apart_were_told_is_not_free() -> None:
    noise = Noise()
    assert told(noise, "one", "0.5/0.5/1") == []
    free = [Reason.OVER_BUDGET, Reason.STORE_ROLLED_BACK]
    assert told(noise, "one", "0/0/1", group="apart") == free
    assert told(noise, "one", "0/0.5/1", group="third") == [Reason.OVER_BUDGET]


def test_what_passes_the_least_cap_of_the_plans_is_found() -> None:
    noise, strict = Noise(), Privacy(epsilon=Decimal("0.5"), cap=Decimal("0.5"))
    assert told(noise, "one", "0.5/0.5/0.5", privacy=strict) == []
    assert told(noise, "two", "0.5/1/1") == [Reason.OVER_BUDGET]


def test_the_same_plan_charged_twice_and_noise_beside_none_are_found() -> None:
    noise = Noise()
    assert told(noise, "one", "0.5/0.5/1") == []
    assert told(noise, "one", "0.5/1/1") == [Reason.CONFLICT]
    assert told(noise, "plain", None, privacy=None) == [Reason.CONFLICT]


def test_groups_that_are_linked_have_one_account() -> None:
    noise = Noise()
    assert told(noise, "one", "0.5/0.5/1") == []
    assert told(noise, "two", "0.5/0.5/1", group="other", linked="ring") == [
        Reason.STORE_ROLLED_BACK
    ]
    assert told(noise, "three", "0.5/1.5/1", linked="other") == [Reason.OVER_BUDGET]


@dataclass
class Log:
    """A log of agreements and of an enclave's words on tables, as the auditor reads it."""

    world: World = field(default_factory=lambda: World("audit"))
    entries: list[Envelope] = field(default_factory=list[Envelope])
    spoken: int = 0

    def __post_init__(self) -> None:
        self.tax = self.world.owner("tax")
        self.bank = self.world.bank("bank-a")
        self.book = Book(self.world.trust())
        self.spending = Spending(self.book, {})
        self.tax.define(feature("tax", "late", "SELECT 1", FeatureKind.FLAG, level=2))
        self.take(self.tax.charters[0])
        asked = plan("late").model_copy(update={"privacy": WITHIN})
        self.template = self.take(self.bank.tables("noisy", asked)[0])
        told = words_on_tables()["table-release with noise"]
        assert isinstance(told, TableRelease)
        loaded = enclaves_words()["snapshot"]
        assert isinstance(loaded, Snapshot)
        fields = {"owner": "tax", "store": told.store, "previous": None}
        first = loaded.chain.model_copy(update={"index": 0})
        faults = self.spending.take(0, loaded.model_copy(update=fields | {"chain": first}))
        assert list(faults) == []
        self.spoken = 1

    def take(self, statement: Envelope) -> Envelope:
        TAKES[statement.payload_type](self.book, len(self.entries), statement)
        self.book.streams.take(len(self.entries), statement)
        self.book.entries[statement.digest] = len(self.entries)
        self.entries.append(statement)
        return statement

    def agree(self, bank: SimBank, group: str, replaces: Envelope | None = None) -> Envelope:
        return self.take(self.tax.agreement(bank, group=group, replaces=replaces))

    def told(self, agreement: Envelope, said: str, heard: int | None = None) -> list[Reason]:
        """Have the enclave tell the one plan, as far as it has heard."""
        charged, total, cap = map(Decimal, said.split("/"))
        word = words_on_tables()["table-release with noise"]
        assert isinstance(word, TableRelease)
        fields = {
            "owner": "tax",
            "request": sha256_digest(f"{self.spoken}".encode()),
            "template": self.template.digest,
            "agreement": agreement.digest,
            "together": 1,
            "stream": StreamPosition(
                sequence=len(self.entries) if heard is None else heard,
                running=sha256_digest(b"heard"),
            ),
            "chain": word.chain.model_copy(update={"index": self.spoken}),
            "privacy": PrivacySpent(charged=charged, spent=total, cap=cap),
        }
        self.spoken += 1
        found = self.spending.take(len(self.entries), word.model_copy(update=fields))
        return [fault.reason for _, fault in found]


def test_groups_are_linked_by_an_agreement_that_nobody_ever_asked_under() -> None:
    log = Log()
    other = log.world.bank("bank-b")
    ring, apart = log.agree(log.bank, "ring"), log.agree(other, "apart")
    assert log.told(ring, "0.5/0.5/0.75") == []
    log.agree(other, "ring", replaces=apart)
    assert log.told(apart, "0/0.5/0.75") == []


def test_an_enclave_cannot_say_that_it_linked_groups_which_it_had_not() -> None:
    log = Log()
    other = log.world.bank("bank-b")
    ring, apart = log.agree(log.bank, "ring"), log.agree(other, "apart")
    before = len(log.entries)
    assert log.told(ring, "0.5/0.5/0.75") == []
    log.agree(other, "ring", replaces=apart)
    assert log.told(apart, "0/0.5/0.75", before) == [Reason.OVER_BUDGET]
    # It had heard of this one, which is beside one that is in force: it links all the same.
    third = log.agree(log.world.bank("bank-c"), "third")
    log.agree(log.world.bank("bank-c"), "ring")
    assert log.told(third, "0/0.5/0.75") == []
