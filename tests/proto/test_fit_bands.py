"""Bands of a card: joined by numbers that have their noise, and what follows of them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto.fit_bands import (
    MOST_BANDS,
    BandNoise,
    Curve,
    NoisyBand,
    ToldBand,
    needed,
    told_bands,
)
from saferoom_proto.fit_receipt import _require_charged
from saferoom_proto.fits import ModelCard
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, FitRequest
from saferoom_proto.statements.fit import FitPart
from tests.proto.golden_fits import BANDED, card, fit_certificate, fit_template, words_on_fits

NOISE = BandNoise.of(Decimal(1)).counts
NUMBERS = st.integers(-60, 300)
BANDS = st.lists(
    st.builds(NoisyBand, NUMBERS, NUMBERS, st.integers(-9000, 90_000)), min_size=1, max_size=10
)


@given(BANDS)
def test_no_band_has_few_of_a_label_and_none_is_told_alone(bands: list[NoisyBand]) -> None:
    told = told_bands(bands, NOISE, 10)
    assert len(told) != 1
    assert all(min(each.events, each.others) >= needed(NOISE, 10, 1) for each in told)
    if told:
        assert sum(each.events for each in told) == sum(each.events for each in bands)
        assert sum(each.others for each in told) == sum(each.others for each in bands)


def test_neighbours_are_joined_where_one_has_too_few_and_the_rest_joins_the_last() -> None:
    full, thin = NoisyBand(60, 60, 60_000), NoisyBand(20, 60, 24_000)
    assert [each.events for each in told_bands([full, thin, thin, full], NOISE, 10)] == [60, 40, 60]
    assert [each.events for each in told_bands([full, full, thin], NOISE, 10)] == [60, 80]
    below = NoisyBand(-50, -50, 0)
    assert told_bands([full, full, below], NOISE, 10) == (), "what noise takes away counts"
    assert told_bands([full, thin], NOISE, 10) == ()
    assert told_bands([full, full], NOISE, 10)[0].foretold == "0.500"
    wild = NoisyBand(60, 60, -5)
    assert [each.foretold for each in told_bands([wild, full], NOISE, 10)] == ["0.000", "0.500"]


def test_noise_is_as_wide_as_a_row_that_changes_band_and_label_needs() -> None:
    noise = BandNoise.of(Decimal("0.5"))
    assert (noise.counts.scale, noise.foretold.scale) == (8, 8000)
    assert noise.counts.epsilon + noise.foretold.epsilon == Fraction(1, 2)


def banded(*counts: tuple[int, int]) -> tuple[ToldBand, ...]:
    """Give bands of so many events and others, foretold half."""
    return tuple(ToldBand(events=a, others=b, foretold="0.500") for a, b in counts)


def test_lift_curve_and_calibration_follow_of_the_bands() -> None:
    curve = Curve(banded((60, 40), (20, 80)))
    assert curve.rate == pytest.approx(0.4)
    assert curve.lifts == pytest.approx((1.5, 0.5))
    assert curve.points == ((0, 0), (pytest.approx(1 / 3), 0.75), (1, 1))
    assert curve.ks == pytest.approx(0.75 - 1 / 3)
    assert curve.calibration_error == pytest.approx((100 * 0.1 + 100 * 0.3) / 200)


def part(**changes: object) -> FitPart:
    """Give an owner's part that lets bands out."""
    fit = fit_template(**(BANDED | changes)).fit
    assert fit is not None
    return FitPart.of(fit, ("tax.vat",))


@pytest.mark.parametrize(
    "told",
    [
        None,
        banded((200, 200)),
        banded((200, 200), (200, 43)),
        banded((43, 200), (200, 200)),
    ],
    ids=["none", "one", "few others", "few events"],
)
def test_a_card_with_bands_that_no_enclave_tells_is_refused(
    told: tuple[ToldBand, ...] | None,
) -> None:
    assert needed(BandNoise.of(Decimal("0.5")).counts, 20, 1) == 44
    none: dict[str, object] = {"auc": None, "ks": None, "weights": None}
    card(**none, bands=banded((200, 200), (44, 44))).require_allowed(part())
    card(**none, bands=()).require_allowed(part())
    with pytest.raises(SafeRoomError) as caught:
        card(**none, bands=told).require_allowed(part())
    assert caught.value.reason is Reason.BAD_PROOF


def test_bands_beside_a_template_that_tells_none_are_refused() -> None:
    own = fit_certificate().part("tax").fit
    assert own is not None
    weights = tuple({"column": each, "weight": "0.10"} for each in own.columns)
    with pytest.raises(SafeRoomError) as caught:
        card(weights=weights, bands=()).require_allowed(own)
    assert caught.value.reason is Reason.BAD_PROOF


@pytest.mark.parametrize(
    "changes",
    [
        {"releases": ("rows",)},
        {"bands": None},
        {"bands": {"epsilon": "2", "cap": "1"}},
        {"bands": {"epsilon": "0.001", "cap": "1"}},
        {"bands": {"epsilon": "11", "cap": "11"}},
        {"bands": {"epsilon": "1", "cap": "1", "least": 9}},
    ],
    ids=str,
)
def test_a_template_says_with_how_much_noise_bands_are_told_and_within_what(
    changes: dict[str, object],
) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        fit_template(**(BANDED | changes))


def test_a_card_with_all_bands_is_as_long_as_every_other() -> None:
    full = card(bands=banded(*[(600_000, 600_000)] * MOST_BANDS))
    assert len(full.to_bytes()) == len(card().to_bytes())
    assert ModelCard.from_bytes(full.to_bytes()) == full
    assert b"bands" not in card().to_bytes(), "who has none says nothing of them"


def asked(*, price: bool = False) -> FitRequest:
    request = words_on_fits()["fit-request of a price" if price else "fit-request"]
    assert isinstance(request, FitRequest)
    return request


@pytest.mark.parametrize(
    ("word", "price", "changes", "refused"),
    [
        ("of a price", True, {}, False),
        ("of a price", True, {"reason": Reason.OVER_BUDGET, "privacy": None}, False),
        ("of a price", True, {"privacy": None}, True),
        ("of a price", False, {}, True),
        ("with bands", True, {}, True),
        ("that refuses", True, {}, False),
    ],
)
def test_a_receipt_of_a_price_says_what_its_bands_would_be_charged_and_is_of_no_model(
    word: str, price: bool, changes: dict[str, object], refused: bool
) -> None:
    said = words_on_fits()[f"fit-release {word}"]
    assert isinstance(said, FitRelease)
    found = None
    try:
        _require_charged(asked(price=price), said.model_copy(update=changes), part())
    except SafeRoomError as error:
        found = error.reason
    assert found is (Reason.BAD_PROOF if refused else None)


@pytest.mark.parametrize(
    ("charged", "changes", "reason"),
    [
        ("0.5", {}, None),
        (None, {}, Reason.BAD_PROOF),
        ("0.4", {}, Reason.BAD_PROOF),
        ("0", {}, Reason.BAD_PROOF),
        ("0.5", {"bands": None, "releases": ("rows",)}, Reason.BAD_PROOF),
        (None, {"bands": None, "releases": ("rows",)}, None),
        ("0.5", {"bands": {"epsilon": "0.5", "cap": "1"}}, Reason.BAD_PROOF),
    ],
)
def test_a_receipts_word_is_charged_as_its_template_says(
    charged: str | None, changes: dict[str, object], reason: Reason | None
) -> None:
    said = words_on_fits()["fit-release with bands"]
    assert isinstance(said, FitRelease)
    assert said.privacy is not None
    spent = None
    if charged is not None:
        spent = said.privacy.model_copy(update={"charged": Decimal(charged)})
    found = None
    try:
        word = said.model_copy(update={"privacy": spent})
        _require_charged(asked(), word, part(**changes))
    except SafeRoomError as error:
        found = error.reason
    assert found is reason


def test_what_is_no_run_is_charged_nothing_and_nobody_is_told_past_the_cap() -> None:
    words = words_on_fits()
    said, refused = words["fit-release with bands"], words["fit-release that refuses"]
    assert isinstance(said, FitRelease)
    assert isinstance(refused, FitRelease)
    assert said.privacy is not None
    over = said.privacy.model_copy(update={"spent": Decimal(2)})
    priced = words["fit-release of a price"]
    assert isinstance(priced, FitRelease)
    for word, privacy, rule in (
        (refused, said.privacy, "counts as a run is charged"),
        (said, over, "within the cap"),
        (priced, over, "within the cap"),
    ):
        with pytest.raises(ValueError, match=rule):
            FitRelease.model_validate(dict(word) | {"privacy": privacy})
    beyond = dict(priced) | {"reason": Reason.OVER_BUDGET, "privacy": over}
    assert FitRelease.model_validate(beyond).privacy == over
