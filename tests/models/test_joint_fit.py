"""The joint fit is the pooled fit: on made-up rows always, on real ones where they are at hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks.credit_sets import (
    CreditSet,
    card_clients,
    find_data,
    hold_out,
    spanish_companies,
)
from benchmarks.joint_runs import (
    JOB,
    alone_scores,
    joint_scores,
    pooled_scores,
    quality,
    train_jointly,
)
from saferoom_models.arrays import Floats
from saferoom_models.vertical.columns import FindingKind
from saferoom_models.vertical.descent import Block, Recursion, inverse_hessian
from saferoom_models.vertical.owners import OwnerColumns, part_of_owner
from saferoom_models.vertical.sigmoid import _decompose, _settled, _weights, split_sigmoid
from saferoom_models.vertical.terms import MEMORY, Terms, propose_ridge

from .conftest import Recorded


def real(name: str) -> Path:
    path = find_data(name)
    if path is None:
        pytest.skip(f"{name} is not at hand; SAFEROOM_DATA names its folder")
    return path


def halves(rows: CreditSet, share: float) -> tuple[CreditSet, CreditSet]:
    train, held = hold_out(rows.labels, share, seed=7)
    return rows.rows(train), rows.rows(held)


def test_made_up_rows_get_the_pooled_fits_weights(recorded: Recorded) -> None:
    pooled = np.hstack([recorded.bank.values, recorded.owners.values])
    fit = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(pooled, recorded.labels)
    joint = np.concatenate([recorded.label.weights, recorded.room.weights])
    assert np.abs(joint - fit.coef_[0]).max() < 0.02
    assert abs(recorded.label.intercept - fit.intercept_[0]) < 0.02
    assert recorded.label.converged
    assert recorded.room.converged
    assert np.corrcoef(joint, fit.coef_[0])[0, 1] > 0.999


def test_points_of_both_sides_and_of_each_owner_add_up(recorded: Recorded) -> None:
    own, theirs = recorded.values
    tax, court = (part_of_owner(recorded.room, owner) for owner in ("tax", "court"))
    whole = recorded.room.points(theirs)
    assert np.allclose(tax.points(theirs[:, :2]) + court.points(theirs[:, 2:]), whole)
    scores = recorded.label.points(own) + whole
    pooled = np.hstack([recorded.bank.values, recorded.owners.values])
    fit = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(pooled, recorded.labels)
    found, meant = (quality(recorded.labels, s) for s in (scores, fit.decision_function(pooled)))
    assert abs(found.auc - meant.auc) <= 0.002
    assert abs(found.ks - meant.ks) <= 0.01


def test_the_label_side_knows_how_far_the_joint_model_tells_its_events(
    recorded: Recorded,
) -> None:
    label = recorded.label_before(len(recorded.to_label) - 1)
    assert label.answer(recorded.to_label[-1]) is None
    own, theirs = recorded.values
    risks = 1 / (1 + np.exp(-recorded.label.points(own) - recorded.room.points(theirs)))
    events = recorded.labels == 1
    assert label.separation == pytest.approx(risks[events].mean() - risks[~events].mean(), abs=1e-3)


def test_card_clients_split_between_a_bank_and_the_room() -> None:
    train, held = halves(card_clients(real("uci_credit_card_default.parquet")), 0.3)
    run = train_jointly(train, Terms(JOB, len(train.labels), 10, 13))
    joint = quality(held.labels, joint_scores(run, held))
    pooled = quality(held.labels, pooled_scores(train, held, 1.0))
    assert abs(joint.auc - pooled.auc) <= 0.002
    assert abs(joint.ks - pooled.ks) <= 0.01
    assert run.label.converged
    assert run.label.findings == ()


def test_spanish_companies_of_a_bank_and_four_owners() -> None:
    train, held = halves(spanish_companies(real("spain_companies_bankruptcy_1998_2003.csv")), 0.25)
    columns = train.bank.values.shape[1], train.room.shape[1]
    ridge = propose_ridge(int(train.labels.sum()), sum(columns))
    run = train_jointly(train, Terms(JOB, len(train.labels), *columns, ridge, rounds=20))
    joint = quality(held.labels, joint_scores(run, held))
    pooled = quality(held.labels, pooled_scores(train, held, ridge))
    assert abs(joint.auc - pooled.auc) <= 0.005
    alone = [
        quality(held.labels, alone_scores(own.values, train.labels, other.values, ridge)).auc
        for own, other in zip((train.bank, *train.owners), (held.bank, *held.owners), strict=True)
    ]
    assert joint.auc > max(alone) + 0.03
    assert FindingKind.FEW_EVENTS in {found.kind for found in run.label.findings}
    assert {found.kind for found in run.room.findings} >= {FindingKind.RARE, FindingKind.CONSTANT}


def test_columns_torn_apart_are_fitted_and_said_on_both_sides() -> None:
    """Each side holds a twin of each of the other's columns: the worst for blocks of a Hessian."""
    draw = np.random.default_rng(3)
    shared = draw.normal(size=(3000, 5))
    bank, owner = (shared + 0.1 * draw.normal(size=shared.shape) for _ in range(2))
    odds = shared @ np.array([1, 0.5, -0.6, 0.2, 0.4]) - 1
    labels = (draw.random(3000) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    names = tuple("abcde")
    rows = CreditSet(
        OwnerColumns("bank", names, bank), (OwnerColumns("owner", names, owner),), labels
    )
    run = train_jointly(rows, Terms(JOB, 3000, 5, 5))
    joint = quality(labels, joint_scores(run, rows))
    pooled = quality(labels, pooled_scores(rows, rows, 1.0))
    assert abs(joint.auc - pooled.auc) <= 0.002
    assert run.label.converged
    for side in (run.label, run.room):
        assert [found.kind for found in side.findings] == [FindingKind.TORN_APART]


def test_too_few_rounds_are_said_and_what_to_do(recorded: Recorded) -> None:
    rows = CreditSet(
        OwnerColumns("bank", recorded.bank.names, recorded.values[0]),
        (OwnerColumns("o", ("a", "b", "c", "d"), recorded.values[1]),),
        recorded.labels,
    )
    run = train_jointly(rows, Terms(JOB, len(rows.labels), 3, 4, rounds=2))
    assert not run.label.converged
    for side in (run.label, run.room):
        (found,) = side.findings
        assert found.kind is FindingKind.NOT_CONVERGED
        assert "stronger ridge" in found.detail


@pytest.mark.parametrize("log_odds", [-3.0, -1.5, 0.0, 2.0])
def test_a_higher_rank_splits_the_logistic_function_better(log_odds: float) -> None:
    u, v = np.random.default_rng(3).normal(0, 1.5, (2, 4000))
    errors: list[float] = []
    for rank in (2, 4, 6, 8):
        parts = split_sigmoid(log_odds, rank, 1.5)
        label, room = parts.label.factors(log_odds + u), parts.room.factors(v)
        split = parts.label.addend(log_odds + u) + parts.room.addend(v)
        split += sum(a * b for a, b in zip(label, room, strict=True)) / 2.0**20
        exact = 1 / (1 + np.exp(-(log_odds + u + v)))
        errors.append(float(np.sqrt(((split - exact) ** 2).mean())))
        assert np.abs(split - 0.5).max() + 0.5 <= parts.largest_residual
        assert max(int(np.abs(a).max()) for a in label) <= 1 << 10
    assert errors[0] < 0.02
    assert errors[1] < 0.006
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("log_odds", [-6.0, -4.5, -2.5, -1.5, -0.5, 0.0, 0.5, 1.0, 6.0])
@pytest.mark.parametrize("spread", [1.0, 1.5, 3.0])
def test_both_sides_make_the_same_tables_whatever_their_library_of_linear_algebra(
    log_odds: float, spread: float
) -> None:
    """Another library may turn signs, and vectors of equal size within their plane."""
    parts = _decompose(log_odds, spread)
    left = parts.phi * np.sqrt(_weights((parts.u - log_odds) / spread))[:, None]
    right = parts.psi * np.sqrt(_weights(parts.v / spread))[:, None]
    towards = np.exp(-parts.v / 10)
    for first in range(0, 8, 2):
        pair = left[:, first : first + 2]
        for angle, sign in ((0.3, 1.0), (2.0, -1.0), (4.0, 1.0)):
            cosine, sine = np.cos(angle), np.sin(angle)
            turned = pair @ np.array([[cosine, -sine * sign], [sine, cosine * sign]])
            assert np.abs(turned @ _settled(turned, towards) - pair).max() < 1e-9
    # Planes of unlike size do not mix: rounding turns them by far less than the marks' tolerance.
    sizes = [float(np.linalg.norm(right[:, at : at + 2], 2)) for at in range(0, 8, 2)]
    least = [float(np.linalg.norm(right[:, at : at + 2], -2)) for at in range(0, 8, 2)]
    assert all(before > 1.05 * after for before, after in zip(least, sizes[1:], strict=False))


def textbook_step(gradient: Floats, pairs: list[tuple[Floats, Floats]], inverse: Floats) -> Floats:
    """Nocedal and Wright, algorithm 7.4, on whole vectors."""
    q = gradient.copy()
    first: list[float] = []
    for s, y in reversed(pairs):
        first.append(float(s @ q / (y @ s)))
        q = q - first[-1] * y
    scale = 1.0
    if pairs:
        s, y = pairs[-1]
        scale = float(s @ y / (y @ inverse @ y))
    r = scale * inverse @ q
    for (s, y), a in zip(pairs, reversed(first), strict=True):
        r = r + s * (a - float(y @ r / (y @ s)))
    return -r


def test_two_blocks_that_exchange_nine_products_step_as_the_textbook_does() -> None:
    draw = np.random.default_rng(11)
    factor = draw.normal(size=(40, 7))
    hessian = factor.T @ factor + np.diag(draw.uniform(1, 30, 7))
    goal = draw.normal(size=7)
    halves = (slice(0, 3), slice(3, 7))
    inverses = [inverse_hessian(factor[:, part], 1.0, np.ones(7)[part]) for part in halves]
    inverse = np.zeros((7, 7))
    for part, own in zip(halves, inverses, strict=True):
        inverse[part, part] = own
    blocks = [Block(own, np.zeros(len(own))) for own in inverses]
    recursion = Recursion()
    pairs: list[tuple[Floats, Floats]] = []
    before: tuple[Floats, Floats] | None = None
    distance = 1.0
    for _ in range(9):
        weights = np.concatenate([block.weights for block in blocks])
        gradient = hessian @ (weights - goal)
        if before is not None:
            pairs = [*pairs, (weights - before[0], gradient - before[1])][-MEMORY:]
        parts = [b.products(gradient[p]) for b, p in zip(blocks, halves, strict=True)]
        distance = recursion.take([float(a) + float(b) for a, b in zip(*parts, strict=True)])
        if distance < 1e-6:
            break
        direction = recursion.direction()
        for block in blocks:
            block.move(direction)
        stepped = np.concatenate([block.weights for block in blocks])
        meant = textbook_step(gradient, pairs, inverse)
        assert np.abs(stepped - weights - meant).max() < 1e-5 * np.abs(meant).max()
        before = weights, gradient
    else:
        assert math.isclose(distance, 0.0, abs_tol=1e-2)
