"""Trainings in the room, at a real enclave: fitted by scikit-learn, gated, counted, told once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from saferoom_enclaves.children.fit_jobs import ModelFitted
from saferoom_enclaves.fits import desk
from saferoom_enclaves.jobs.kept import MODELS, model_digest
from saferoom_enclaves.storework import StoreWork
from saferoom_models.pooled.boosting import LEARNING_RATE, SHRINKING
from saferoom_models.pooled.rows import Parts, ends_of, means_of, split
from saferoom_models.pooled.trees import binned
from saferoom_models.vertical.columns import prepare
from saferoom_proto.answer import Band
from saferoom_proto.dsse import Envelope
from saferoom_proto.fits import CARD_SEAL
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRequest, Outcome, Purpose, Score, Template, load
from simulator.fitted import FEATURES, Firms, FitRoom, asked, boosted, firms, numbers
from simulator.sample import Approved

TOLD = asked(releases=["rows", "auc", "ks", "weights"])


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FitRoom]:
    """Give a room in which models are trained, and nothing is changed."""
    made = FitRoom.make(tmp_path_factory.mktemp("fits"))
    yield made
    made.enclave.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[FitRoom]:
    """Give a room that a test may break."""
    made = FitRoom.make(tmp_path)
    yield made
    made.enclave.close()


def refused(room: FitRoom, of: Approved, **changes: object) -> Reason | None:
    """Ask, and give why there is no model and no run."""
    judged = room.enclave.fit(room.request(of, None, **changes))
    said = room.said(judged)
    assert (said.outcome, judged.sealed, said.model) == (Outcome.REFUSED, b"", None)
    return said.reason


def foretold(model: ModelFitted, values: NDArray[np.float64]) -> list[float]:
    """Reckon log-odds from what is kept, row by row and number by number."""
    told: list[float] = []
    for row in np.where(np.isnan(values), model.means, values):
        total = model.intercept
        if model.boosted is None:
            for value, weight, mean, scale in zip(
                row, model.weights, model.means, model.scales, strict=True
            ):
                if scale is not None:
                    total += round(min(8, max(-8, (value - mean) / scale)) * 1024) / 1024 * weight
        else:
            for tree in model.boosted.trees:
                node = tree[0]
                while node.left:
                    reached = bisect_right(model.boosted.edges[node.column], row[node.column])
                    node = tree[node.left if reached <= node.threshold else node.right]
                total += node.value
        told.append(float(total))
    return told


def parts_of(room: FitRoom, of: Approved, held: Firms) -> Parts:
    """Say which rows were held out, as nobody outside of the enclave can."""
    opened = room.enclave.enclave._require_open()
    store = opened.data.opened().state.digest
    fit = load(of.template, Template).fit
    assert fit is not None
    seed = opened.state.cipher.find("fit_seed", fit.label, *sorted(fit.features), store)
    return split(held.arrears, seed, 4)


def test_a_logistic_regression_is_scikit_learn_s_on_the_same_rows(room: FitRoom) -> None:
    held, of = firms(), room.approved(TOLD, "told")
    request = room.request(of, inverse_ridge="0.5")
    judged = room.enclave.fit(request)
    card, parts = room.card(request, judged), parts_of(room, of, held)
    whole = numbers(held, np.arange(len(held.arrears)))
    ends = ends_of(whole[parts.train], 50)
    filled = np.where(np.isnan(whole), means_of(np.clip(whole[parts.train], *ends)), whole)
    ready = prepare([str(at) for at in range(5)], np.clip(filled[parts.train], *ends))
    pooled = LogisticRegression(C=0.5, tol=1e-6, max_iter=2000)
    pooled.fit(ready.values, held.arrears[parts.train])
    model = room.kept(request.digest)
    assert model.weights == pytest.approx(pooled.coef_[0], rel=1e-9)
    assert model.intercept == pytest.approx(pooled.intercept_[0], rel=1e-9)
    scores = pooled.decision_function(
        np.clip((filled[parts.held] - ready.means) / ready.scales, -8, 8)
    )
    auc = roc_auc_score(held.arrears[parts.held], scores)
    assert float(card.auc or 0) == pytest.approx(auc, abs=0.006)
    assert card.rows == len(held.arrears)
    assert [each.weight for each in card.weights or ()] == [f"{one:.2f}" for one in model.weights]


def test_trees_are_scikit_learn_s_and_no_bin_or_leaf_is_small(room: FitRoom) -> None:
    held, of = firms(), room.approved(boosted(), "trees")
    request = room.trees(of)
    room.enclave.fit(request)
    model = room.kept(request.digest)
    assert model.boosted is not None
    parts = parts_of(room, of, held)
    whole = numbers(held, np.arange(len(held.arrears)))
    ends = ends_of(whole[parts.train], 50)
    filled = np.where(np.isnan(whole), means_of(np.clip(whole[parts.train], *ends)), whole)
    bins = binned(filled[parts.train], model.boosted.edges)
    pooled = HistGradientBoostingClassifier(
        learning_rate=LEARNING_RATE,
        max_iter=10,
        max_leaf_nodes=7,
        min_samples_leaf=50,
        l2_regularization=SHRINKING,
        early_stopping=False,
        random_state=0,
    ).fit(bins.astype(np.float64), held.arrears[parts.train])
    nodes = [node for (each,) in pooled._predictors for node in each.nodes]
    assert [one.value for tree in model.boosted.trees for one in tree if not one.left] == [
        float(node["value"]) for node in nodes if node["is_leaf"]
    ]
    assert min(int(node["count"]) for node in nodes) >= 50
    assert min(np.unique(column, return_counts=True)[1].min() for column in bins.T) >= 50


def test_a_model_is_kept_as_data_and_its_digest_stands_in_the_word(room: FitRoom) -> None:
    of = room.approved(asked(), "kept")
    request = room.request(of)
    said = room.said(room.enclave.fit(request))
    state = room.enclave.enclave._require_open().state
    row = state.get(MODELS, state.cipher.find(MODELS, request.digest))
    assert row is not None
    assert said.model == model_digest(request.digest, row.content)
    assert room.kept(request.digest).names[0] == "tax.paid", "it is JSON behind its salt"


def test_what_may_not_be_told_is_not_on_the_card(room: FitRoom) -> None:
    of = room.approved(asked(releases=[]), "silent")
    request = room.request(of)
    judged = room.enclave.fit(request)
    card = room.card(request, judged)
    assert (card.rows, card.auc, card.ks, card.weights) == (None, None, None, None)
    assert float(card.membership) <= float(card.by_chance)
    with pytest.raises(SafeRoomError) as caught:
        CARD_SEAL.open(judged.sealed, SealingKey.generate(), request.digest, "tax")
    assert caught.value.reason is Reason.BAD_SEAL


def test_a_repeat_gets_the_same_bytes_and_counts_once_over_a_kill(own: FitRoom) -> None:
    of = own.approved(asked())
    request = own.request(of)
    first = own.enclave.fit(request)
    own.enclave.kill()
    assert own.enclave.fit(request) == first
    again = own.request(of)
    judged = own.enclave.fit(again)
    assert own.said(judged).run == 2
    told = (own.card(request, first), own.card(again, judged))
    assert told[0].auc == told[1].auc, "the same rows measure the same model"
    assert told[0].membership == told[1].membership


def test_a_group_s_trainings_are_counted_together_with_what_was_withheld(room: FitRoom) -> None:
    of = room.approved(asked(least_rows=2000, runs={"most": 2, "days": 30}), "group")
    assert (refused(room, of), room.ask(of, room.banks[1]).run) == (Reason.WITHHELD, 2)
    assert refused(room, of) is Reason.OVER_BUDGET
    assert room.ask(of, room.banks[2]).run == 1, "another group's"


def test_what_breaks_in_a_child_is_withheld_and_nothing_is_told_of_it(
    room: FitRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = room.approved(asked(), "broken")

    def killed(*_: object) -> None:
        raise SafeRoomError(Reason.INTERNAL, "the child was killed")

    with monkeypatch.context() as broken:
        broken.setattr(StoreWork, "fit", killed)
        assert refused(room, of) is Reason.WITHHELD
    assert room.ask(of).run == 2


def test_an_enclave_without_scikit_learn_says_what_to_install(
    room: FitRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = room.approved(asked(), "bare")

    def none(_: str) -> None:
        return None

    monkeypatch.setattr(desk, "find_spec", none)
    with pytest.raises(SafeRoomError) as caught:
        room.enclave.fit(room.request(of))
    assert caught.value.reason is Reason.NOT_INSTALLED
    assert "pip install 'saferoom[room]'" in caught.value.fields[0].rule


def test_a_load_or_a_pause_in_between_stops_it_and_it_is_not_counted(own: FitRoom) -> None:
    of = own.approved(asked())
    request = own.request(of)
    fits = own.enclave.enclave.jobs.fits
    begun = fits.begin(request)
    assert isinstance(begun, desk.BegunFit)
    made = begun.make_alone()
    own.load(firms(seed=2))
    with pytest.raises(SafeRoomError) as caught:
        fits.finish(begun, made)
    assert caught.value.reason is Reason.UNAVAILABLE
    again = own.enclave.fit(request)
    assert own.said(again).run == 1
    other = own.request(of)
    begun = fits.begin(other)
    assert isinstance(begun, desk.BegunFit)
    made = begun.make_alone()
    own.tax.pause(of.template)
    own.enclave.follow()
    said = own.said(fits.finish(begun, made))
    assert (said.reason, said.run) == (Reason.PAUSED, None)


def test_a_model_of_the_room_scores_by_bands(room: FitRoom) -> None:
    held = firms()
    for first, fit in ((1, asked()), (6, boosted())):
        of = room.approved(fit, f"fit-{first}")
        request: Envelope = room.request(of) if first == 1 else room.trees(of)
        said = room.said(room.enclave.fit(request))
        assert said.model is not None
        score = Score(
            model=said.model,
            training=of.template.digest,
            features=FEATURES,
            edges=(Decimal(-1), Decimal(0)),
            stands_for=(Decimal(-2), Decimal("-0.5"), Decimal(1)),
        )
        template, certificate = room.bank.scores(f"by-{first}", score, (Purpose.PRE_LOAN,))
        room.tax.approve(template, certificate.digest)
        room.enclave.follow()
        room.enclave.enclave.settle(60)
        bands = room.bands(Approved(template, certificate), range(first, first + 4))
        values = numbers(held, np.arange(first - 1, first + 3))
        points = foretold(room.kept(request.digest), values)
        assert bands == [Band(1 + int(one >= -1) + int(one >= 0)) for one in points]


def test_requests_are_held_to_the_template(room: FitRoom) -> None:
    of = room.approved(asked(), "held")
    assert refused(room, of, inverse_ridge="50") is Reason.OFF_DOMAIN
    assert refused(room, of, purpose=Purpose.PRE_LOAN) is Reason.WRONG_PURPOSE
    judged = room.enclave.fit(room.trees(of))
    assert room.said(judged).reason is Reason.OFF_DOMAIN
    trees = room.approved(boosted(), "held-trees")
    judged = room.enclave.fit(room.trees(trees, trees=11))
    assert room.said(judged).reason is Reason.OFF_DOMAIN
    with pytest.raises(ValueError, match="a ridge, or trees"):
        room.request(of, trees=5, leaves=5)
    assert load(room.request(of), FitRequest).trees is None
