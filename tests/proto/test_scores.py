"""A template of scores, and the release certificate that follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import pytest
from pydantic import ValidationError

from saferoom_proto.answer import REASONS_BYTES, Answer, Band, Told, Truth
from saferoom_proto.batch import REASONED, Record
from saferoom_proto.certificate import derive_certificate, features_named, owners_of, rests_on
from saferoom_proto.pinned import PinnedFeature, pin
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import MODULUS, Share
from saferoom_proto.statements import Feature, Score, seal_statement
from saferoom_proto.statements.feature import Absent
from saferoom_proto.statements.score import ScorePart
from saferoom_proto.statements.source import Source
from tests.proto.golden_owners import definitions
from tests.proto.golden_scores import (
    score,
    score_certificate,
    score_of_two,
    scores,
    scores_of_two,
    scores_with_reasons,
)
from tests.proto.golden_seeds import digest, key


def defined(**changes: object) -> list[Feature]:
    features = [each for each in definitions().values() if isinstance(each, Feature)]
    return [each.model_copy(update=changes) for each in features]


def test_its_certificate_charges_every_answer_to_every_feature() -> None:
    part = score_certificate(scores()).part("tax")
    assert part.score is not None
    assert (part.score.bands, part.score.answers) == (4, 5)
    assert [(use.feature, use.most_cells, use.charged) for use in part.features] == [
        ("tax.rating", 5, True),
        ("tax.vat", 5, True),
    ]
    assert (part.formula, part.needs_consent) == ("", True)
    assert part.most_bits == math.log2(5)
    assert owners_of(scores()) == ("tax",)
    assert [str(ref) for ref in features_named(scores())] == ["tax.rating", "tax.vat"]


def test_where_silence_means_no_everybody_is_in_a_band() -> None:
    pinned = pin(seal_statement(each, key("li")) for each in defined(absent=Absent.FALSE))
    part = derive_certificate(seal_statement(scores(), key("desk")), pinned).part("tax")
    assert part.score is not None
    assert part.score.answers == part.score.bands


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"level": 4}, Reason.NOT_ALLOWED),
        ({"source": Source(name="tax_arrears", days=7)}, Reason.NOT_ALLOWED),
        ({"name": "another"}, Reason.UNKNOWN_FEATURE),
    ],
)
def test_no_model_reads_what_none_may(changes: dict[str, object], reason: Reason) -> None:
    features = [each for each in defined() if each.full_name in score().features]
    altered = [PinnedFeature(each.model_copy(update=changes), digest("one")) for each in features]
    pinned = {each.ref: each for each in altered}
    with pytest.raises(SafeRoomError) as refused:
        derive_certificate(seal_statement(scores(), key("desk")), pinned)
    assert refused.value.reason is reason


def test_of_several_owners_each_is_charged_for_its_own_bands_and_pinned_by_its_charter() -> None:
    certificate = score_certificate(scores_of_two())
    assert (owners_of(scores_of_two()), rests_on(scores_of_two())) == (("court", "tax"),) * 2
    assert certificate.bands == 5
    for part in certificate.parts:
        assert part.score is not None
        # Silence counts as everybody's of whom nothing is known: no part is "not found".
        assert (part.score.bands, part.score.answers) == (3, 3)
        assert (part.charter, part.shared) == (digest(f"charter of {part.owner}"), True)
        assert {use.most_cells for use in part.features} == {3}
        assert {use.feature.partition(".")[0] for use in part.features} == {part.owner}
    features = pin(seal_statement(each, key("li")) for each in defined())
    with pytest.raises(SafeRoomError) as refused:
        derive_certificate(seal_statement(scores_of_two(), key("desk")), features)
    assert refused.value.reason is Reason.BAD_CHARTER


@pytest.mark.parametrize(
    "changes",
    [
        {"job": None},
        {"edges": tuple(map(Decimal, ("-0.5", "0.25")))},
        {"edges": tuple(map(Decimal, ("0.5", "-0.5")))},
        {"stands_for": tuple(map(Decimal, ("-2", "-1", "0", "1")))},
        {"stands_for": tuple(map(Decimal, ("-2", "-1", "0", "1", "3")))},
        {"stands_for": tuple(map(Decimal, ("2", "1", "0", "-1", "-2")))},
        {"features": ("tax.vat", "tax.rating")},
        {"features": ("court.listed", "tax.vat", "water.months")},
    ],
)
def test_a_sum_of_bands_that_are_not_equally_wide_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        score_of_two(**changes)


def test_a_part_of_a_sum_is_another_question_than_the_part_alone() -> None:
    of_two = score_certificate(scores_of_two()).part("tax").score
    alone = (
        score_certificate(
            scores(edges=score_of_two().edges, stands_for=tuple(map(Decimal, ("-1", "0", "1"))))
        )
        .part("tax")
        .score
    )
    assert of_two is not None
    assert alone is not None
    assert (of_two.model, of_two.edges) == (alone.model, alone.edges)
    assert of_two.mark(()) != alone.mark(())


@pytest.mark.parametrize("numbers", [(0, 0), (2, 2), (1, 0), (MODULUS - 1, 4)])
def test_shares_add_up_to_the_band_of_the_sum(numbers: tuple[int, int]) -> None:
    certificate, mask = score_certificate(scores_of_two()), 12345678901234567890
    one, other = numbers
    shares = [Share((one + mask) % MODULUS), Share((other - mask) % MODULUS)]
    assert certificate.fold(shares) == Band((one + other) % MODULUS + 1)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ((Share(2), Share(3)), Reason.BAD_PROOF),
        ((Share(MODULUS - 1), Share(0)), Reason.BAD_PROOF),
        ((Share(1), Band(1)), Reason.MALFORMED),
        ((Band(1), Band(1)), Reason.MALFORMED),
        ((Truth.YES, Truth.YES), Reason.MALFORMED),
    ],
)
def test_what_adds_up_to_no_band_is_refused(told: tuple[Told, Told], reason: Reason) -> None:
    with pytest.raises(SafeRoomError) as refused:
        score_certificate(scores_of_two()).fold(told)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    "changes",
    [
        {"edges": (Decimal(1), Decimal(0), Decimal(2))},
        {"edges": (Decimal(0), Decimal(0), Decimal(1))},
        {"edges": tuple(map(Decimal, range(8))), "stands_for": tuple(map(Decimal, range(-1, 8)))},
        {"stands_for": (Decimal(0), Decimal("0.5"), Decimal(1))},
        {"stands_for": (Decimal(0), Decimal("-0.25"), Decimal("0.3"), Decimal("1.1"))},
    ],
)
def test_bands_that_are_out_of_order_or_too_many_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        score(**changes)


def test_the_mark_names_what_is_computed_and_nothing_else() -> None:
    part = score_certificate(scores()).part("tax").score
    relabelled = tuple(each + Decimal("0.01") for each in score().stands_for)
    same = score_certificate(scores(stands_for=relabelled)).part("tax").score
    other = score_certificate(scores(model="sha256:" + "0" * 64)).part("tax").score
    assert part is not None
    assert same is not None
    assert other is not None
    assert part.mark(()) == same.mark(()) != other.mark(())
    assert Score.model_validate(score().model_dump()) == score()


def test_reasons_multiply_the_answers_by_the_sets_that_there_can_be() -> None:
    part = score_certificate(scores_with_reasons()).part("tax")
    assert part.score is not None
    # None, or one of two features; two bands; and "not found".
    assert (part.score.sets, part.score.answers, part.score.silent) == (3, 7, True)
    assert {use.most_cells for use in part.features} == {7}
    both = score_certificate(scores(reasons=2)).part("tax").score
    assert both is not None
    assert (both.sets, both.answers) == (4, 17)
    plain = score_certificate(scores()).part("tax").score
    assert plain is not None
    assert len({each.mark(()) for each in (plain, both, part.score)}) == 3


@pytest.mark.parametrize(
    ("changes", "of"),
    [({"reasons": 3}, score), ({"reasons": -1}, score), ({"reasons": 1}, score_of_two)],
)
def test_no_score_tells_reasons_that_it_cannot_have(
    changes: dict[str, object], of: Callable[..., Score]
) -> None:
    with pytest.raises(ValidationError):
        of(**changes)


def test_more_answers_than_any_budget_buys_are_refused() -> None:
    asked = score(features=tuple(f"tax.f{at}" for at in range(64)), reasons=4)
    with pytest.raises(SafeRoomError) as refused:
        ScorePart.of(asked, ("tax.f0",), silent=False)
    assert refused.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("told", "fits"),
    [
        (Band(2, 0b00), True),
        (Band(2, 0b01), True),
        (Band(1, 0b10), True),
        (Truth.NOT_FOUND, True),
        (Band(2), False),
        (Band(3, 0b01), False),
        (Band(2, 0b11), False),  # two where one may be
        (Band(2, 0b100), False),  # a feature that is none
        (Truth.YES, False),
    ],
)
def test_no_reasons_are_taken_that_the_template_does_not_have(told: Told, fits: bool) -> None:
    part = score_certificate(scores_with_reasons()).part("tax")
    if fits:
        part.require_told(told)
        return
    with pytest.raises(SafeRoomError) as refused:
        part.require_told(told)
    assert refused.value.reason is Reason.BAD_PROOF
    plain = score_certificate(scores()).part("tax")
    with pytest.raises(SafeRoomError):
        plain.require_told(Band(2, 0))


@pytest.mark.parametrize("told", [Band(1, 0), Band(8, (1 << 64) - 1), Truth.NOT_FOUND])
def test_reasons_travel_with_their_band_in_an_answer_and_in_a_row(told: Truth | Band) -> None:
    answer = Answer(told, bytes(32), scored=True, reasoned=True)
    assert Answer.from_bytes(answer.to_bytes()) == answer
    if not isinstance(told, Band):
        return
    behind = (told.lost or 0).to_bytes(REASONS_BYTES, "big")
    row = bytes([REASONED[told.number]]) + bytes(32) + bytes([0, 1, 0, 7]) + behind
    record = Record.from_bytes(row)
    assert (record.outcome, record.charges, record.answered) == (told, ((1, 7),), True)


@pytest.mark.parametrize(
    "data",
    [
        bytes([1, 5]) + (1 << 64).to_bytes(16, "big") + bytes(32),  # reasons without a band
        bytes([1, 5]) + (9).to_bytes(16, "big") + bytes(32),
        bytes([1, 3]) + (1 << 64 | 2).to_bytes(16, "big") + bytes(32),
    ],
)
def test_what_is_no_answer_with_reasons_is_refused(data: bytes) -> None:
    with pytest.raises(SafeRoomError) as refused:
        Answer.from_bytes(data)
    assert refused.value.reason is Reason.MALFORMED
