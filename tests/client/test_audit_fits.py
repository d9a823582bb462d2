"""The auditor holds trainings in the room to the runs there may be, and a card to its template."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from saferoom_client.audit.fits import Fits
from saferoom_client.audit.linked import Learners
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.fits import SIZE, ModelCard, ToldWeight, require_room
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, JobAdmission, PrivacySpent
from saferoom_proto.statements.training import MOST_COLUMNS, FitBands
from tests.proto.golden_fits import card, fit_certificate, words_on_fits
from tests.proto.golden_jobs import training_certificate, words_on_jobs

CERTIFICATE = fit_certificate()
OWN = Learners("ring", ("ring",), frozenset())
DIGEST = sha256_digest(b"another template")
PART = CERTIFICATE.part("tax").fit


def charged(spent: str) -> PrivacySpent:
    """Read what was charged, what is spent, and of how much."""
    own, total, cap = map(Decimal, spent.split("/"))
    return PrivacySpent(charged=own, spent=total, cap=cap)


def release(request: str, run: int, days: float = 0, spent: str | None = None) -> FitRelease:
    """An enclave's word, as the golden one but for some fields."""
    said = words_on_fits()["fit-release"]
    assert isinstance(said, FitRelease)
    time = said.time + timedelta(days=days)
    privacy = None if spent is None else charged(spent)
    changes = {"request": sha256_digest(request.encode()), "run": run, "time": time}
    return said.model_copy(update={**changes, "privacy": privacy})


def banded(epsilon: str = "0.5", cap: str = "1") -> ReleaseCertificate:
    """Give a certificate of bands."""
    assert PART is not None
    bands = FitBands(epsilon=Decimal(epsilon), cap=Decimal(cap))
    part = CERTIFICATE.part("tax")
    fit = PART.model_copy(update={"bands": bands})
    return CERTIFICATE.model_copy(update={"parts": (part.model_copy(update={"fit": fit}),)})


def refusal(
    fits: Fits,
    said: FitRelease | JobAdmission,
    of: ReleaseCertificate = CERTIFICATE,
    by: Learners = OWN,
) -> Reason | None:
    """Have a word taken; give why it is held against its enclave."""
    try:
        fits.take(said, of, by)
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


def test_one_that_was_ended_once_it_had_begun_is_counted() -> None:
    ended = words_on_fits()["fit-release that was cancelled"]
    assert isinstance(ended, FitRelease)
    fits = Fits()
    assert refusal(fits, ended.model_copy(update={"run": 1})) is None
    assert refusal(fits, release("next", 1)) is Reason.OVER_BUDGET, "counted short"
    assert refusal(fits, release("after", 3)) is None
    for wrong in ({"cancel": None}, {"reason": Reason.WITHHELD}, {"model": DIGEST}):
        with pytest.raises(ValidationError):
            FitRelease.model_validate(dict(ended) | wrong)


def test_bands_are_charged_each_time_and_add_up_for_linked_groups() -> None:
    fits, of = Fits(), banded()
    alone, linked = (
        Learners("alone", groups, frozenset()) for groups in (("alone",), ("alone", "ring"))
    )
    assert refusal(fits, release("first", 1, spent="0.5/0.5/1"), of) is None
    assert refusal(fits, release("other", 1, spent="0.5/0.5/1"), of, alone) is None
    assert refusal(fits, release("second", 2, spent="0.5/0.5/1"), of) is Reason.STORE_ROLLED_BACK
    assert refusal(fits, release("third", 3, spent="0.5/1/1"), of) is Reason.OVER_BUDGET
    assert refusal(fits, release("later", 1, days=31, spent="0.5/0.5/1"), of) is None
    both = refusal(fits, release("both", 2, days=31, spent="0.5/0.5/1"), of, linked)
    assert both is Reason.STORE_ROLLED_BACK, "an agreement linked them since"


def admission(request: str, spent: str | None, days: float = 0, run: int = 1) -> JobAdmission:
    """Have the tax office let a job begin."""
    said = words_on_jobs()["job-admission"]
    assert isinstance(said, JobAdmission)
    privacy = None if spent is None else charged(spent)
    changes = {"request": sha256_digest(request.encode()), "privacy": privacy, "owner": "tax"}
    time = release("any", 1).time + timedelta(days=days)
    return said.model_copy(update={**changes, "time": time, "run": run})


def begins(fits: Fits, request: str, spent: str | None, days: float = 0) -> Reason | None:
    """Have a joint job of bands begin; give why that is held against its enclave."""
    part = training_certificate().part("tax").training
    assert part is not None
    bands = FitBands(epsilon=Decimal("0.5"), cap=Decimal(1))
    try:
        fits.begun(admission(request, spent, days), part.model_copy(update={"bands": bands}), OWN)
    except SafeRoomError as error:
        return error.reason
    return None


def test_joint_jobs_and_trainings_in_the_room_are_charged_together() -> None:
    fits, of = Fits(), banded()
    assert begins(fits, "joint", "0.5/0.5/1") is None
    assert begins(fits, "joint", "0.5/0.5/1") is None, "taken up again, it is charged once"
    assert refusal(fits, release("in the room", 1, spent="0.5/0.5/1"), of) is (
        Reason.STORE_ROLLED_BACK
    ), "the joint job is forgotten"
    assert begins(fits, "past the cap", "0.5/1.5/1") is Reason.OVER_BUDGET
    assert begins(fits, "later", "0.5/0.5/1", days=31) is None


def test_a_giver_of_a_training_in_the_room_is_charged_beside_what_it_trains_itself() -> None:
    fits, of = Fits(), banded()
    assert refusal(fits, release("its own", 1, spent="0.5/0.5/1"), of) is None
    assert refusal(fits, admission("short", "0.5/0.5/1", run=2), of) is Reason.STORE_ROLLED_BACK
    assert refusal(Fits(), admission("right", "0.5/1/1"), of) is None
    for wrong in (None, "0.4/0.4/1", "0.5/1.5/1"):
        assert refusal(Fits(), admission("wrong", wrong), of) is not None


@pytest.mark.parametrize(
    ("spent", "reason"),
    [
        (None, Reason.CERTIFICATE_MISMATCH),
        ("0.4/0.4/1", Reason.OVER_BUDGET),
        ("0.5/0.5/2", Reason.OVER_BUDGET),
        ("0.5/1.5/1", Reason.OVER_BUDGET),
    ],
)
def test_a_joint_job_that_is_charged_otherwise_is_found(spent: str | None, reason: Reason) -> None:
    assert begins(Fits(), "joint", spent) is reason
    fits = Fits()
    assert refusal(fits, release("one", 1, spent="0.5/0.5/1"), banded()) is None
    assert begins(fits, "joint", "0.5/0.5/1") is Reason.STORE_ROLLED_BACK, "a model is forgotten"


@pytest.mark.parametrize(
    ("spent", "reason"),
    [
        (None, Reason.CERTIFICATE_MISMATCH),
        ("0.4/0.4/1", Reason.OVER_BUDGET),
        ("0/0/1", Reason.OVER_BUDGET),
        ("0.5/0.5/2", Reason.OVER_BUDGET),
        ("0.5/1.5/1", Reason.OVER_BUDGET),
    ],
)
def test_an_enclave_that_charges_bands_otherwise_is_found(
    spent: str | None, reason: Reason
) -> None:
    assert refusal(Fits(), release("one", 1, spent=spent), banded()) is reason
    assert refusal(Fits(), release("one", 1, spent="0.5/0.5/1")) is Reason.CERTIFICATE_MISMATCH
    strict = Fits()
    assert refusal(strict, release("one", 1, spent="0.5/0.5/0.5"), banded(cap="0.5")) is None
    wide = release("two", 1, spent="0.5/1/1").model_copy(update={"template": DIGEST})
    assert refusal(strict, wide, banded()) is Reason.OVER_BUDGET, "the least cap holds for all"


def test_a_card_tells_what_was_approved_and_nothing_else() -> None:
    assert PART is not None
    weights = tuple({"column": each, "weight": "0.10"} for each in PART.columns)
    card(weights=weights).require_allowed(PART)
    others = card(weights=weights, givers=("court",))
    for told in (card(weights=weights, auc=None), card(weights=None), card(), others):
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
