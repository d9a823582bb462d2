"""The auditor holds trainings in the room to the runs there may be, and a card to its template."""

from __future__ import annotations

from datetime import timedelta

import pytest

from saferoom_client.audit.fits import Fits
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.fits import SIZE, ModelCard, ToldWeight, require_room
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Agreement, FitRelease
from saferoom_proto.statements.training import MOST_COLUMNS
from tests.proto.golden_fits import card, fit_certificate, words_on_fits
from tests.proto.golden_owners import owners_words

CERTIFICATE = fit_certificate()
AGREEMENT = owners_words()["agreement"]
PART = CERTIFICATE.part("tax").fit


def release(request: str, run: int, days: float = 0) -> FitRelease:
    """An enclave's word, as the golden one but for some fields."""
    said = words_on_fits()["fit-release"]
    assert isinstance(said, FitRelease)
    time = said.time + timedelta(days=days)
    changes = {"request": sha256_digest(request.encode()), "run": run, "time": time}
    return said.model_copy(update=changes)


def refusal(fits: Fits, said: FitRelease) -> Reason | None:
    """Have a word taken; give why it is held against its enclave."""
    assert isinstance(AGREEMENT, Agreement)
    try:
        fits.take(said, CERTIFICATE, AGREEMENT)
    except SafeRoomError as error:
        return error.reason
    return None


def test_a_request_is_trained_once_and_each_training_is_counted() -> None:
    fits = Fits()
    assert refusal(fits, release("first", 1)) is None
    assert refusal(fits, release("first", 1)) is Reason.CONFLICT
    assert refusal(fits, release("second", 1)) is Reason.OVER_BUDGET, "counted short"
    assert refusal(fits, release("third", 3)) is None
    assert refusal(fits, release("more", 7)) is Reason.OVER_BUDGET, "more than six"
    assert refusal(fits, release("later", 1, days=31)) is None


def test_a_card_tells_what_was_approved_and_nothing_else() -> None:
    assert PART is not None
    weights = tuple({"column": each, "weight": "0.10"} for each in PART.columns)
    card(weights=weights).require_allowed(PART)
    for told in (card(weights=weights, auc=None), card(weights=None), card()):
        with pytest.raises(SafeRoomError) as caught:
            told.require_allowed(PART)
        assert caught.value.reason is Reason.BAD_PROOF


def test_all_cards_are_of_one_length_and_read_again() -> None:
    full, empty = card(), card(rows=None, auc=None, ks=None, weights=None)
    assert len(full.to_bytes()) == len(empty.to_bytes())
    assert ModelCard.from_bytes(full.to_bytes()) == full
    with pytest.raises(ValueError, match="multiple of 10"):
        card(rows=1234)
    with pytest.raises(ValueError, match="should match pattern"):
        card(auc="0.734")


def test_a_card_has_room_for_all_weights_of_a_template_that_may_tell_them() -> None:
    names = [f"tax.{'x' * 100} 税 {at:03}" for at in range(MOST_COLUMNS)]
    with pytest.raises(SafeRoomError) as caught:
        require_room(names)
    assert caught.value.reason is Reason.TOO_LARGE
    fit = next(most for most in range(len(names), 0, -1) if not _too_many(names[:most]))
    weights = tuple(ToldWeight(column=name, weight="-999.00") for name in names[:fit])
    assert len(card(weights=weights).to_bytes()) == SIZE


def _too_many(names: list[str]) -> bool:
    try:
        require_room(names)
    except SafeRoomError:
        return True
    return False
