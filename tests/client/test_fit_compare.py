"""Models that were trained in the room: two beside each other, and one that was ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saferoom_client.cli.fit_compare import measured_alike
from saferoom_client.cli.fit_words import describe_outcome, fit_document
from saferoom_proto.dsse import Envelope
from saferoom_proto.fit_receipt import FitReceipt, VerifiedFit, verify_fit_receipt
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, Outcome, StoreState, load
from tests.client.desks import Desk, trust_in
from tests.client.every_receipt import fit
from tests.client.made import NOTHING


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


def verified(desk: Desk, receipt: FitReceipt) -> VerifiedFit:
    return verify_fit_receipt(receipt, trust_in(desk, desk.tax.root))


def of_store(one: VerifiedFit, store: StoreState) -> VerifiedFit:
    release = one.release.model_copy(update={"store": store})
    return replace(one, said=replace(one.said, release=release))


def test_two_models_of_the_same_records_and_columns_are_measured_by_the_same_rows(
    desk: Desk,
) -> None:
    one, other = (verified(desk, fit(desk, ())) for _ in range(2))
    assert one.said.request_id != other.said.request_id
    assert measured_alike(one, other)
    store = one.release.store
    assert store is not None
    assert measured_alike(one, of_store(other, store.model_copy(update={"epoch": 2})))
    loaded = store.model_copy(update={"digest": one.said.request_id})
    assert not measured_alike(one, of_store(other, loaded))
    label = other.part.model_copy(update={"label": "tax.other"})
    assert not measured_alike(one, replace(other, part=label))


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (1, "cancelled; it had begun, and counts as a run"),
        (None, "cancelled before it was begun: it does not count"),
    ],
)
def test_a_receipt_of_one_that_was_ended_verifies_and_says_whether_it_counted(
    desk: Desk, run: int | None, words: str
) -> None:
    answered = fit(desk, ())
    said = load(Envelope.from_text(answered.release), FitRelease)
    of = {name: getattr(said, name) for name in ("request", "template", "certificate", "store")}
    none = {"model": None, "answer": None, "outcome": Outcome.REFUSED, "reason": None}
    ended = desk.say(FitRelease, **of, **none, approvals=said.approvals, run=run, cancel=NOTHING)
    part = desk.part(desk.fit, ended)
    changed = {name: part[name] for name in ("release", "salt", "proof")}
    receipt = answered.model_copy(update={**changed, "card": None})
    told = verified(desk, receipt)
    assert next(describe_outcome(told, said.request)) == words
    document = fit_document(told, said.request)
    assert (document["outcome"], document["reason"], document["cancel"]) == (
        "refused",
        None,
        NOTHING,
    )
    with pytest.raises(SafeRoomError) as refused:
        verified(desk, receipt.model_copy(update={"card": answered.card}))
    assert refused.value.reason is Reason.BAD_PROOF
