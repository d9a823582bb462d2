"""What a question would cost: what is told before it is asked is what it then costs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    CheckRequest,
    CostEstimate,
    CostRequest,
    LevelLimits,
    Purpose,
    load,
    seal_statement,
)
from simulator import FIRMS, EnclaveHarness, Firm, Sample, SimBank, sample, tax_csv
from simulator.sample import VAT_GRID

LIMITS = tuple(
    LevelLimits(level=level, feature_bits=Decimal("2.322"), family_bits=Decimal("4.5"))
    for level in (1, 2, 3, 4)
)
"""Two cuts of a feature that can be unknown, and little more in its family."""


def priced(
    enclave: EnclaveHarness, room: Sample, question: Envelope, bank: SimBank | None = None
) -> CostEstimate:
    """Ask what a question would cost."""
    judged = enclave.judge((bank or room.bank).cost_request(question))
    assert judged.sealed == b""
    return load(judged.entry.statement, CostEstimate)


def test_a_price_names_each_feature_its_budget_and_its_family(
    room: Sample, enclave: EnclaveHarness
) -> None:
    told = priced(enclave, room, room.question())
    assert told.refused is None
    assert [(each.feature, each.cells_before, each.cells_after) for each in told.features] == [
        ("tax.vat_paid", 1, 3),
        ("tax.arrears", 1, 2),
    ]
    assert all(each.within and each.bits_before == 0 for each in told.families)
    vat = next(each for each in told.families if each.family == told.features[0].family)
    assert vat.bits_after == Decimal("1.585")  # log2 of 3, rounded up


def test_asking_the_price_charges_nothing_however_often(
    room: Sample, enclave: EnclaveHarness
) -> None:
    for value in VAT_GRID:
        priced(enclave, room, room.question(1, value))
    again = priced(enclave, room, room.question())
    assert {each.cells_before for each in again.features} == {1}
    charges = enclave.ask(room.question()).release.charges
    assert {each.cells_before for each in charges} == {1}


def test_a_price_uses_up_no_consent(room: Sample, tmp_path: Path) -> None:
    room.world.subject(1).give(room.bank, ("tax.vat_paid", "tax.arrears"), uses=1)
    harness = EnclaveHarness(room.tax, tmp_path)
    harness.load({"firms": tax_csv(room.world)})
    harness.follow()
    assert priced(harness, room, room.question()).refused is None
    assert priced(harness, room, room.question()).refused is None
    assert harness.ask(room.question()).truth is not None
    assert priced(harness, room, room.question()).refused is Reason.CONSENT_USED_UP
    harness.close()


def test_a_repeat_brings_the_same_bytes_and_another_request_a_newer_word(
    room: Sample, enclave: EnclaveHarness
) -> None:
    request = room.bank.cost_request(room.question())
    first, again = enclave.judge(request), enclave.judge(request)
    assert first == again
    enclave.restart()
    assert enclave.judge(request) == first
    newer = enclave.judge(room.bank.cost_request(room.question()))
    assert newer.entry.chain_index == first.entry.chain_index + 1


def test_what_would_be_refused_is_told_with_its_reason_and_without_a_price(
    room: Sample, enclave: EnclaveHarness
) -> None:
    both = (Purpose.PRE_LOAN, Purpose.IN_LOAN)
    room.tax.agree(room.bank, both, replaces=room.agreement)
    enclave.follow()
    question = room.question
    wrong: dict[Reason, Envelope] = {
        Reason.NO_CONSENT: question(12),
        Reason.OFF_GRID: question(1, "123456"),
        Reason.WRONG_PURPOSE: question(1, purpose=Purpose.IN_LOAN),
        Reason.EXPIRED: question(
            1,
            not_before=room.world.now() - timedelta(minutes=10),
            not_after=room.world.now(),
        ),
    }
    for reason, asked in wrong.items():
        told = priced(enclave, room, asked)
        assert (told.refused, told.features, told.families) == (reason, (), ())
        assert enclave.ask(asked).reason is reason


def test_nobody_without_an_agreement_learns_a_price_or_leaves_a_trace(
    room: Sample, enclave: EnclaveHarness
) -> None:
    stranger = room.world.bank("bank-x")
    before = enclave.enclave.whereabouts().chain_length
    for request in (
        stranger.cost_request(room.question(bank=stranger)),
        seal_statement(load(room.bank.cost_request(room.question()), CostRequest), stranger.key),
    ):
        with pytest.raises(SafeRoomError) as refusal:
            enclave.judge(request)
        assert refusal.value.reason in (Reason.NO_AGREEMENT, Reason.BAD_SIGNATURE)
    assert enclave.enclave.whereabouts().chain_length == before


@pytest.mark.parametrize("withdrawn", ["paused", "unapproved"])
def test_what_the_owner_stops_shows_in_the_price_too(
    room: Sample, enclave: EnclaveHarness, withdrawn: str
) -> None:
    if withdrawn == "paused":
        room.tax.pause(None)
        reason = Reason.PAUSED
    else:
        room.tax.withdraw(room.steady.template)
        reason = Reason.NOT_APPROVED
    enclave.follow()
    assert priced(enclave, room, room.question()).refused is reason


def test_a_request_for_a_price_is_no_question_and_a_question_asks_no_price(
    room: Sample, enclave: EnclaveHarness
) -> None:
    question = room.question()
    inquiry = room.bank.cost_request(question)
    as_question = Envelope(question.payload_type, inquiry.payload, inquiry.signatures)
    as_inquiry = Envelope(inquiry.payload_type, question.payload, question.signatures)
    for forged in (as_question, as_inquiry):
        with pytest.raises(SafeRoomError) as refusal:
            enclave.judge(forged)
        assert refusal.value.reason is Reason.MALFORMED  # a reply key too many, or too few
    stripped = load(question, CheckRequest).model_dump(exclude={"reply_key"})
    other = CostRequest.model_validate(stripped)
    resigned = Envelope(inquiry.payload_type, other.to_bytes(), question.signatures)
    with pytest.raises(SafeRoomError) as refusal:
        enclave.judge(resigned)
    assert refusal.value.reason is Reason.BAD_SIGNATURE


def test_one_nonce_serves_a_question_or_a_price_and_not_both(
    room: Sample, enclave: EnclaveHarness
) -> None:
    question = room.question()
    nonce = load(question, CheckRequest).nonce
    assert enclave.ask(question).truth is not None
    told = load(
        enclave.judge(room.bank.cost_request(question, nonce=nonce)).entry.statement, CostEstimate
    )
    assert (told.refused, told.features) == (Reason.NONCE_REUSED, ())


def test_a_group_has_one_account_and_another_groups_questions_do_not_show(
    room: Sample, enclave: EnclaveHarness
) -> None:
    friend, stranger = room.world.bank("bank-c"), room.world.bank("bank-d")
    room.tax.agree(friend, group="bank-a")
    room.tax.agree(stranger)
    for bank in (friend, stranger):
        room.consent(1, bank)
    enclave.follow()
    question = {bank.name: room.question(bank=bank) for bank in (friend, stranger)}
    untouched = priced(enclave, room, question["bank-d"], stranger).features
    assert enclave.ask(room.question()).truth is not None
    assert priced(enclave, room, question["bank-d"], stranger).features == untouched
    shown = priced(enclave, room, question["bank-c"], friend).features
    assert [each.cells_before for each in shown] == [each.cells_after for each in shown]


def test_without_consent_a_subject_looks_alike_whether_it_is_known_or_was_asked_about(
    room: Sample, enclave: EnclaveHarness
) -> None:
    # 4: in the store, and another bank asked about it; 12: in no store; neither lets bank-b ask.
    assert enclave.ask(room.question(4)).reason is None
    told = [
        priced(enclave, room, room.question(serial, bank=room.other_bank), room.other_bank)
        for serial in (4, 12)
    ]
    assert [(each.refused, each.features, each.families) for each in told] == [
        (Reason.NO_CONSENT, (), ())
    ] * 2


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[list[tuple[Sample, EnclaveHarness]]]:
    """Give one room twice, with stores that agree in nothing, and tight budgets."""
    stores: list[dict[int, Firm]] = [
        dict(FIRMS),
        {9: Firm("3", arrears=True, rating="C"), 12: Firm("9000000", arrears=False, rating="A")},
    ]
    made: list[tuple[Sample, EnclaveHarness]] = []
    for number, firms in enumerate(stores):
        room = sample(7, limits=LIMITS)
        harness = EnclaveHarness(room.tax, tmp_path / str(number))
        harness.load({"firms": tax_csv(room.world, firms)})
        for serial in (1, 2, 3, 9):
            room.consent(serial)
        harness.follow()
        made.append((room, harness))
    yield made
    for _, harness in made:
        harness.close()


def test_whatever_the_stores_hold_the_prices_are_the_same_and_are_what_is_then_charged(
    twins: list[tuple[Sample, EnclaveHarness]],
) -> None:
    dice = random.Random(20261129)
    refused = 0
    for _ in range(60):
        serial, value = dice.choice((1, 2, 3, 9, 12)), dice.choice((*VAT_GRID, "77"))
        ask = dice.random() < 0.5
        told = [priced(harness, room, room.question(serial, value)) for room, harness in twins]
        first, second = ((each.refused, each.features, each.families) for each in told)
        assert first == second
        if not ask:
            continue
        for (room, harness), estimate in zip(twins, told, strict=True):
            release = harness.ask(room.question(serial, value)).release
            assert release.reason is estimate.refused
            refused += release.reason is Reason.OVER_BUDGET
            if release.reason is None:
                assert [
                    (each.feature, each.cells_before, each.cells_after) for each in release.charges
                ] == [
                    (each.feature, each.cells_before, each.cells_after)
                    for each in estimate.features
                ]
    assert refused > 4  # the budgets were met, and the prices said so
