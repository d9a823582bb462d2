"""A score of several owners: each gives a share, and only the band of the sum is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from saferoom_proto.answer import Band, Truth
from saferoom_proto.batch import CHUNK_ROWS, Row
from saferoom_proto.batch_receipt import folded
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.shares import MODULUS, Share
from saferoom_proto.statements import Purpose, Score, load, seal_statement
from saferoom_proto.suite import Suite
from saferoom_proto.uscc import make_uscc
from simulator.batch import FILLER, ask_batch, batch_of, judge_batch
from simulator.conjoined import Conjoined, conjoined
from simulator.owner import APPROVERS
from simulator.sample import FIRMS, Approved
from simulator.score import Weights, plant, score

JOB: Final = "job of three"
PARTS: Final = {
    # Half a band for each standard deviation of the amount; a firm with none is as the mean.
    "tax": (("tax.vat_paid",), Weights((-1.0, 0.0), (50_000.0, 0.0), (50_000.0, 1.0))),
    "court": (("court.dishonest",), Weights((1.0,), (0.0,), (1.0,))),
    "water": (("water.months_paid",), Weights((-1.0, 0.0), (6.0, 0.0), (6.0, 1.0))),
}
CONSENTED: Final = ("tax.vat_paid", "water.months_paid")
EDGES: Final = (Decimal("-0.5"), Decimal("0.5"))
LISTED: Final = frozenset({2})
"""By the court, and by no one else."""
STANDS_FOR: Final = tuple(Decimal(each) for each in range(-3, 4))


@dataclass(frozen=True, slots=True)
class Summed:
    """Three owners with a model in parts, and an approved score of it."""

    of: Conjoined
    model: str
    training: str
    asked: Approved

    @property
    def certificate(self) -> ReleaseCertificate:
        """Of the score."""
        return load(self.asked.certificate, ReleaseCertificate)

    def score(self, **changes: object) -> Score:
        """Say what is scored; fields can be changed by name."""
        fields: dict[str, object] = {
            "model": self.model,
            "job": self.of.room.world.seeds.suite.digest(JOB.encode()),
            "training": self.training,
            "features": tuple(name for names, _ in PARTS.values() for name in names),
            "edges": EDGES,
            "stands_for": STANDS_FOR,
        }
        return Score.model_validate(fields | changes)

    def approved(self, **changes: object) -> Approved:
        """Have a score approved by all three owners, and followed."""
        template, certificate = self.of.room.bank.scores(
            "sum", self.score(**changes), (Purpose.PRE_LOAN,)
        )
        for owner in self.of.owners:
            owner.approve(template, certificate.digest)
        self.of.follow()
        return Approved(template, certificate)

    def question(self, serial: int, asked: Approved | None = None) -> Envelope:
        """Ask for a firm's score."""
        of, room = asked or self.asked, self.of.room
        return room.bank.request(room.world.subject(serial), of.template, of.certificate)

    def whole(self, question: Envelope) -> Truth | Band | Reason:
        """Ask, and add up; or give why an owner refused."""
        verdicts = self.of.ask(question).values()
        refused = [each.reason for each in verdicts if each.reason is not None]
        told = [each.told for each in verdicts if each.told is not None]
        return refused[0] if refused else self.certificate.fold(told)


def opened_summed(folder: Path, suite: Suite = Suite.INTERNATIONAL) -> Summed:
    """Open the room with a model in parts."""
    of = conjoined(folder, suite)
    training = of.room.world.seeds.suite.digest(b"a training of three")
    models = {
        owner: plant(
            of.enclaves[owner],
            of.room,
            told=told,
            name=JOB,
            features=features,
            training=training,
            host="" if owner == "tax" else "tax",
        )
        for owner, (features, told) in PARTS.items()
    }
    made = Summed(of, models["tax"], training, of.sound)
    return Summed(of, models["tax"], training, made.approved())


@pytest.fixture(scope="module")
def summed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Summed]:
    """Give it to tests that each ask about firms of their own, or the same again."""
    made = opened_summed(tmp_path_factory.mktemp("summed"))
    yield made
    made.of.close()


def by_hand(serial: int) -> int:
    """Reckon the band of a firm's sum with plain numbers."""
    firm, months = FIRMS.get(serial), {1: 12, 2: 12, 3: 2}.get(serial)
    vat = float(firm.vat) if firm is not None and firm.vat else 50_000.0
    points = {
        "tax": -(vat - 50_000) / 50_000,
        "court": 1.0 if serial in LISTED else 0.0,
        "water": 0.0 if months is None else -(months - 6) / 6,
    }
    return sum(sum(each >= edge for edge in (-0.5, 0.5)) for each in points.values()) + 1


def test_the_shares_add_up_to_the_band_of_the_sum(summed: Summed) -> None:
    told = {serial: summed.whole(summed.question(serial)) for serial in (*FIRMS, 9)}
    assert told == {serial: Band(by_hand(serial)) for serial in told}
    assert len(set(told.values())) > 2


def test_a_share_tells_nothing_alone_and_two_of_three_tell_nothing(summed: Summed) -> None:
    shares = [summed.of.shares(summed.question(1)) for _ in range(3)]
    # The same firm each time, and no number twice; nothing is small but the sum of all three.
    assert len({each.value for given in shares for each in given.values()}) == 9
    for given in shares:
        for left_out in given:
            kept = [share.value for owner, share in given.items() if owner != left_out]
            assert sum(kept) % MODULUS > 2**64
            assert -sum(kept) % MODULUS > 2**64
        assert summed.certificate.fold(list(given.values())) == Band(by_hand(1))


def test_the_same_bytes_get_the_same_shares_after_a_restart_and_are_charged_once(
    summed: Summed,
) -> None:
    question = summed.question(3)
    first = summed.of.shares(question)
    for enclave in summed.of.enclaves.values():
        enclave.kill()
        enclave.follow()
    assert summed.of.shares(question) == first
    charges = {
        (each.feature, each.cells_after)
        for verdict in summed.of.ask(summed.question(3)).values()
        for each in verdict.release.charges
    }
    # Its own three bands, to each owner's features: no more than the part alone would be charged.
    # Who stands on the court's list is public, and free.
    assert charges == {("tax.vat_paid", 3), ("water.months_paid", 3)}


def test_rows_of_a_batch_add_up_as_single_scores_do(summed: Summed) -> None:
    room = summed.of.room
    rows = [Row(room.world.subject(serial).uscc) for serial in (1, 2, 3, 4, 9, 77)]
    batch = batch_of(room.bank, summed.asked, rows)
    words = {owner: ask_batch(enclave, batch) for owner, enclave in summed.of.enclaves.items()}
    told = [
        folded([record.outcome for record in row], summed.certificate)
        for row in zip(*(word.records for word in words.values()), strict=True)
    ]
    assert told == [*(Band(by_hand(serial)) for serial in (1, 2, 3, 4, 9)), None]
    values = Counter(
        record.outcome.value
        for word in words.values()
        for record in word.records
        if isinstance(record.outcome, Share)
    )
    assert set(values.values()) == {1}


def test_each_owner_holds_it_to_the_consent_to_its_own_features(summed: Summed) -> None:
    subject = summed.of.room.world.subject(31)
    subject.give(summed.of.room.bank, CONSENTED[:1])
    summed.of.follow()
    reasons = {owner: each.reason for owner, each in summed.of.ask(summed.question(31)).items()}
    assert reasons == {"tax": None, "court": None, "water": Reason.NO_CONSENT}


def test_each_owner_holds_it_to_its_own_budget_and_beside_the_part_alone_it_multiplies(
    summed: Summed,
) -> None:
    room, tax = summed.of.room, summed.of.enclaves["tax"]
    room.world.subject(32).give(room.bank, CONSENTED)
    asked = score(summed.model, training=summed.training, features=PARTS["tax"][0])
    template, certificate = room.bank.scores("alone", asked, (Purpose.PRE_LOAN,))
    room.tax.approve(template, certificate.digest)
    summed.of.follow()
    alone = room.bank.request(room.world.subject(32), template, certificate)
    assert tax.ask(alone).told is not None
    # Six answers alone and three of the sum are eighteen; three bits buy eight.
    reasons = {owner: each.reason for owner, each in summed.of.ask(summed.question(32)).items()}
    assert reasons == {"tax": Reason.OVER_BUDGET, "court": None, "water": None}


@pytest.mark.parametrize(
    ("changes", "refusing"),
    [
        ({"job": "sha256:" + "5" * 64}, {"tax", "court", "water"}),
        ({"training": "sha256:" + "5" * 64}, {"tax", "court", "water"}),
        # Who gave its columns knows its part by the job alone; the host knows its digest.
        ({"model": "sha256:" + "5" * 64}, {"tax"}),
    ],
)
def test_a_score_of_another_job_or_model_is_unknown(
    summed: Summed, changes: dict[str, object], refusing: set[str]
) -> None:
    summed.of.room.world.subject(33).give(summed.of.room.bank, CONSENTED)
    verdicts = summed.of.ask(summed.question(33, summed.approved(**changes)))
    reasons = {owner: each.reason for owner, each in verdicts.items()}
    assert reasons == {
        owner: Reason.UNKNOWN_STATEMENT if owner in refusing else None for owner in reasons
    }


def test_a_bank_that_did_not_train_the_model_is_given_no_share(summed: Summed) -> None:
    room = summed.of.room
    for owner in (summed.of.water, room.court):
        owner.agree(room.other_bank)
    room.world.subject(35).give(room.other_bank, CONSENTED)
    summed.of.follow()
    asked = summed.asked
    question = room.other_bank.request(room.world.subject(35), asked.template, asked.certificate)
    reasons = {owner: each.reason for owner, each in summed.of.ask(question).items()}
    assert set(reasons.values()) == {Reason.NOT_ALLOWED}


def test_an_owner_that_pauses_in_mid_batch_leaves_the_others_shares_worth_nothing(
    summed: Summed,
) -> None:
    room = summed.of.room
    rows = [Row(make_uscc(FILLER + at)) for at in range(CHUNK_ROWS)]
    batch = batch_of(room.bank, summed.asked, [*rows, Row(room.world.subject(1).uscc)])
    for enclave in summed.of.enclaves.values():
        judge_batch(enclave, batch, chunks=1)
    room.court.pause(summed.asked.template)
    summed.of.follow()
    last = {
        owner: ask_batch(enclave, batch).records[-1].outcome
        for owner, enclave in summed.of.enclaves.items()
    }
    for approver in APPROVERS[:2]:
        room.court.pause(summed.asked.template, paused=False, approver=approver)
    summed.of.follow()
    assert last["court"] is Reason.PAUSED
    assert folded(list(last.values()), summed.certificate) is None
    assert isinstance(last["tax"], Share)
    assert isinstance(last["water"], Share)


def test_an_owner_that_did_not_approve_gives_no_share(summed: Summed) -> None:
    edges = (Decimal("-0.75"), Decimal("0.25"))
    template, certificate = summed.of.room.bank.scores(
        "not-by-all", summed.score(edges=edges), (Purpose.PRE_LOAN,)
    )
    summed.of.room.tax.approve(template, certificate.digest)
    summed.of.room.world.subject(34).give(summed.of.room.bank, CONSENTED)
    summed.of.follow()
    verdicts = summed.of.ask(summed.question(34, Approved(template, certificate)))
    assert {owner: each.reason for owner, each in verdicts.items()} == {
        "tax": None,
        "court": Reason.NOT_APPROVED,
        "water": Reason.NOT_APPROVED,
    }


@pytest.mark.parametrize("kind", ["Score", "Check"])
@pytest.mark.parametrize("left", [("tax",), ("tax", "water")])
def test_no_enclave_hides_among_fewer_than_all_owners(
    summed: Summed, kind: str, left: tuple[str, ...]
) -> None:
    """Alone it would hide its part by nothing, whatever its approvers signed."""
    of, room = summed.of, summed.of.room
    asked = summed.asked if kind == "Score" else of.sound
    whole = load(asked.certificate, ReleaseCertificate)
    cut = whole.model_copy(update={"parts": tuple(map(whole.part, left))})
    certificate = room.world.publish(seal_statement(cut, room.bank.key))
    room.tax.approve(asked.template, certificate.digest)
    of.follow()
    few = Approved(asked.template, certificate)
    question = summed.question(1, few) if kind == "Score" else of.question(asked=few)
    assert of.enclaves["tax"].ask(question).reason is Reason.CERTIFICATE_MISMATCH


@pytest.mark.soak
def test_under_another_charter_of_an_owner_no_share_is_given(tmp_path: Path) -> None:
    """A key that followed hides otherwise: what it gave would add up to nothing that is meant."""
    made = opened_summed(tmp_path)
    try:
        made.of.room.court.adopt()
        made.of.follow()
        court = made.of.enclaves["court"]
        court.unlock()
        made.of.follow()
        assert court.ask(made.question(1)).reason is Reason.CERTIFICATE_MISMATCH
    finally:
        made.of.close()


@pytest.mark.soak
def test_the_chinese_suite_adds_up_too(tmp_path: Path) -> None:
    made = opened_summed(tmp_path, Suite.GUOMI)
    try:
        assert made.whole(made.question(2)) == Band(by_hand(2))
    finally:
        made.of.close()
