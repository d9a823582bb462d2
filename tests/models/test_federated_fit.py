"""Banks that train together get the fit of all their rows pooled, whoever drops out when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from saferoom_models.horizontal.aggregator import Aggregator
from saferoom_models.horizontal.fit import solve
from saferoom_models.horizontal.messages import Kind
from saferoom_models.horizontal.model import FindingKind
from saferoom_models.horizontal.participant import Own, Participant
from saferoom_models.horizontal.terms import Column, Member, Terms
from saferoom_models.refusals import Refusal
from tests.models.federated import (
    JOB,
    Brought,
    Federation,
    draw_rows,
    federation,
    key_of,
    make_terms,
    name_of,
    refusal,
)


def test_the_model_is_the_pooled_fit_and_the_same_bits_at_every_bank() -> None:
    made = federation((400, 900, 1500))
    made.run()
    models = [bank.model() for bank in made.banks.values()]
    assert models == [models[0]] * 3
    assert len({bank.course for bank in made.banks.values()} | {made.aggregator.course}) == 1
    model, (values, labels) = models[0], made.pooled()
    assert (model.rows, model.events, model.converged) == (len(labels), labels.sum(), True)
    fit = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000)
    fit.fit((values - values.mean(axis=0)) / values.std(axis=0), labels)
    assert np.allclose(model.weights, fit.coef_[0], atol=1e-6)
    assert model.intercept == pytest.approx(fit.intercept_[0], abs=1e-6)
    held, truth = draw_rows(4000, 99)
    best = fit.decision_function((held - values.mean(axis=0)) / values.std(axis=0))
    assert roc_auc_score(truth, model.points(held)) == pytest.approx(
        roc_auc_score(truth, best), abs=1e-6
    )
    risks = 1 / (1 + np.exp(-model.points(values)))
    meant = risks[labels == 1].mean() - risks[labels == 0].mean()
    assert model.separation == pytest.approx(meant, abs=1e-5)


@pytest.mark.parametrize("kind", [Kind.KEYS, Kind.SHARES, Kind.MASKED, Kind.CONFIRMED, Kind.OPENED])
def test_a_bank_that_drops_out_of_the_first_round_leaves_the_fit_of_those_that_are_left(
    kind: Kind,
) -> None:
    """Before its numbers came it is left out; after, they are in the sum, which cannot go on."""
    made = federation((500, 600, 400, 500, 450))
    made.until(0, kind)
    gone = made.banks.pop(name_of(2))
    made.step()
    if kind in {Kind.CONFIRMED, Kind.OPENED}:
        gone_late_ends_it(made, kind)
        return
    assert refusal(made.aggregator.answer, name_of(2)).reason is Refusal.LEFT_OUT
    made.run()
    model, (values, labels) = made.banks[name_of(0)].model(), made.pooled()
    assert model.rows == len(labels) == 2050
    fit = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000)
    fit.fit((values - values.mean(axis=0)) / values.std(axis=0), labels)
    assert np.allclose(model.weights, fit.coef_[0], atol=1e-6)
    assert name_of(2) not in made.banks[name_of(0)].banks
    if kind is Kind.MASKED:  # what it had ready comes too late, and opens to nobody
        assert refusal(made.aggregator.take, gone.waiting).reason is Refusal.OUT_OF_ORDER


def gone_late_ends_it(made: Federation, kind: Kind) -> None:
    while made.aggregator.kind is not Kind.KEYS:
        made.step()
    fit = made.aggregator.fit
    assert fit is not None
    assert fit.scaling.rows == 2450, "its numbers were in before it went"
    made.send()
    assert made.aggregator.missing == (name_of(2),)
    assert not made.aggregator.enough
    assert refusal(made.aggregator.close).reason is Refusal.NEAR_SETS


def test_a_bank_that_is_gone_after_a_sum_ends_the_training_with_the_model_so_far() -> None:
    made = federation((500, 600, 400, 500, 450))
    made.until(3, Kind.MASKED)
    made.banks.pop(name_of(4))
    made.send()
    assert refusal(made.aggregator.close).reason is Refusal.NEAR_SETS
    model = made.banks[name_of(0)].model()
    assert (model.rounds, model.converged) == (2, False)
    assert model.findings[-1].kind is FindingKind.NOT_CONVERGED


def test_three_of_ten_that_go_at_once_after_a_sum_end_it_too() -> None:
    """Two of the three that help each other would tell the third's part."""
    made = federation((300,) * 10)
    made.until(2, Kind.MASKED)
    for place in (1, 4, 8):
        made.banks.pop(name_of(place))
    made.send()
    assert refusal(made.aggregator.close).reason is Refusal.NEAR_SETS


def test_too_few_that_are_left_open_nothing() -> None:
    made = federation((500, 600, 400, 500))
    made.until(0, Kind.OPENED)
    made.banks.pop(name_of(0))
    made.banks.pop(name_of(1))
    made.send()
    assert refusal(made.aggregator.close).reason is Refusal.TOO_FEW_MEMBERS


def test_whoever_is_killed_takes_up_where_it_was_and_sends_the_same_bytes() -> None:
    straight, killed = federation(), federation()
    straight.run()
    while not killed.aggregator.over:
        for place, (name, bank) in enumerate(list(killed.banks.items())):
            own = Own(name, key_of(place), *killed.rows[name])
            state, waiting = bank.save(), bank.waiting
            killed.banks[name] = Participant.resume(killed.terms, own, state, bank._random)
            assert killed.banks[name].waiting == waiting
        killed.step()
    assert killed.up == straight.up
    anew = Aggregator(killed.terms)
    step = len(killed.banks)
    for start in range(0, len(killed.up), step):
        for message in killed.up[start : start + step]:
            anew.take(message)
            anew.take(message)  # a message that comes again is the same
        anew.close()
        assert anew.answer(name_of(0)) == killed.down[start][1]
    assert anew.course == killed.aggregator.course


def test_a_state_of_other_rows_or_a_broken_one_is_refused() -> None:
    made = federation()
    made.step()
    name = name_of(0)
    values, labels = made.rows[name]
    state = made.banks[name].save()
    own = Own(name, key_of(0), values, labels)
    other = Own(name, key_of(0), values, 1 - labels)
    for terms, brought, kept in (
        (made.terms, other, state),
        (make_terms(3, rounds=5), own, state),
        *((made.terms, own, bad) for bad in (state[:-1], b"", state[:50] + b"0" + state[51:])),
    ):
        assert refusal(Participant.resume, terms, brought, kept).reason is Refusal.BAD_STATE
    assert Participant.resume(made.terms, own, state).save() == state


def test_columns_that_few_rows_carry_are_left_out_by_all_and_few_rows_of_a_bank_by_it() -> None:
    """A flag that 45 of 3,000 rows have, of 15 in each bank; one that 5 rows of one bank have."""
    terms = replace(
        make_terms(3),
        columns=(*make_terms(3).columns, Column("rare", 0, 1), Column("same", 0, 5)),
    )
    rows: Brought = {}
    for place in range(3):
        values, labels = draw_rows(1000, place)
        rare = np.arange(1000) < 15
        rows[name_of(place)] = (np.column_stack([values, rare, np.full(1000, 2.0)]), labels)
    rows[name_of(0)][0][:, 2] = 0
    rows[name_of(0)][0][:5, 2] = 1
    made = Federation(terms, rows)
    assert [each.kind for each in made.banks[name_of(0)].findings] == [FindingKind.RARE_HERE]
    made.run()
    model = made.banks[name_of(1)].model()
    assert [(each.kind, each.place) for each in model.findings] == [
        (FindingKind.RARE, "rare"),
        (FindingKind.CONSTANT, "same"),
    ]
    assert model.weights[3:] == model.scales[3:] == (0.0, 0.0)
    assert model.weights[2] != 0


def test_values_beyond_a_column_s_bounds_are_taken_as_these_and_that_is_said() -> None:
    made = federation()
    values, labels = draw_rows(500)
    values[:20, 0] = 1e9
    bank = Participant(made.terms, Own(name_of(0), key_of(0), values, labels))
    assert [(each.kind, each.place) for each in bank.findings] == [(FindingKind.CUT, "income")]


def test_terms_that_no_training_can_be_held_to_are_refused() -> None:
    right = make_terms(3)
    assert refusal(make_terms, 2).reason is Refusal.TOO_FEW_MEMBERS
    assert refusal(make_terms, 51).reason is Refusal.BAD_TERMS
    twice = (*right.members[:2], Member(name_of(2), right.members[0].key))
    for wrong in (
        {"members": twice},
        {"members": right.members[::-1]},
        {"job": "no digest"},
        {"columns": ()},
        {"columns": (Column("a", 0, 1), Column("a", 0, 1))},
        {"columns": (Column("a", 1, 1),)},
        {"columns": (Column("a", 0, float("inf")),)},
        {"inverse_ridge": float("nan")},
        {"rounds": 0},
        {"rounds": 13},
        {"fewest_own_rows": 10},
        {"tolerance": 0.5},
    ):
        assert refusal(replace, right, **wrong).reason is Refusal.BAD_TERMS
    assert [make_terms(banks).threshold for banks in (3, 4, 5, 6, 10, 50)] == [3, 3, 4, 5, 7, 34]


@pytest.mark.parametrize(
    ("sizes", "change", "reason"),
    [
        ((300, 300, 300), {}, Refusal.TOO_FEW_ROWS),
        ((400, 400, 400), {"wide": 6}, Refusal.TOO_MANY_NUMBERS),
        ((500, 500, 500), {"labels": 0}, Refusal.BAD_LABELS),
        ((500, 500, 500), {"labels": 8}, Refusal.FEW_EVENTS),
    ],
)
def test_too_little_in_all_ends_it_before_anything_is_fitted(
    sizes: tuple[int, ...], change: dict[str, int], reason: Refusal
) -> None:
    rows: Brought = {}
    wide = change.get("wide", 3)
    for place, size in enumerate(sizes):
        values, labels = draw_rows(size, place)
        if "labels" in change:
            labels = (np.arange(size) < change["labels"]).astype(np.int64)
        rows[name_of(place)] = (np.resize(values, (size, wide)), labels)
    columns = tuple(Column(f"c{place}", -6, 6) for place in range(wide))
    made = Federation(replace(make_terms(3), columns=columns), rows)
    made.until(0, Kind.OPENED)
    made.send()
    assert refusal(made.aggregator.close).reason is reason


def test_what_a_bank_brings_is_checked_before_it_sends_anything() -> None:
    terms = make_terms(3)
    values, labels = draw_rows(500)
    holes = values.copy()
    holes[3, 1] = np.nan
    for own, reason in (
        (Own(name_of(0), key_of(0), values[:199], labels[:199]), Refusal.TOO_FEW_ROWS),
        (Own(name_of(0), key_of(0), values[:, :2], labels), Refusal.BAD_COLUMNS),
        (Own(name_of(0), key_of(0), holes, labels), Refusal.BAD_COLUMNS),
        (Own(name_of(0), key_of(0), values, labels + 1), Refusal.BAD_LABELS),
        (Own(name_of(0), key_of(1), values, labels), Refusal.BAD_TERMS),
        (Own("stranger", key_of(0), values, labels), Refusal.BAD_TERMS),
    ):
        assert refusal(Participant, terms, own).reason is reason


def test_a_bank_whose_own_rows_are_few_for_what_is_learned_takes_no_part() -> None:
    """However many rows the others say they bring."""
    columns = tuple(Column(f"c{place}", -6, 6) for place in range(23))
    terms = replace(make_terms(3), columns=columns)
    values, labels = np.resize(draw_rows(503)[0], (503, 23)), draw_rows(503)[1]
    Participant(terms, Own(name_of(0), key_of(0), values, labels))
    assert (
        refusal(Participant, terms, Own(name_of(0), key_of(0), values[1:], labels[1:])).reason
        is Refusal.TOO_MANY_NUMBERS
    )


def test_a_bank_that_has_labels_of_one_kind_only_can_take_part() -> None:
    made = federation((500, 700, 900))
    values, labels = made.rows[name_of(0)]
    rows = {**made.rows, name_of(0): (values, np.zeros_like(labels))}
    other = Federation(made.terms, rows)
    other.run()
    assert other.banks[name_of(0)].model().converged


def test_labels_that_a_column_tells_alone_converge_with_a_ridge_and_end_without() -> None:
    rows: Brought = {}
    for place in range(3):
        values, _ = draw_rows(600, place)
        rows[name_of(place)] = (values, (values[:, 0] > 0.5).astype(np.int64))
    strong = Federation(make_terms(3, inverse_ridge=1.0), rows)
    strong.run()
    assert strong.banks[name_of(0)].model().converged
    weak = Federation(make_terms(3, inverse_ridge=1e6), rows)
    assert refusal(weak.run).reason in {Refusal.THIN_SUM, Refusal.DIVERGED}


def test_the_solver_agrees_with_a_library_and_refuses_what_is_not_positive() -> None:
    draw = np.random.default_rng(3)
    half = draw.normal(size=(12, 30))
    matrix, right = half @ half.T, draw.normal(size=12)
    upper = [matrix[place, place:].tolist() for place in range(12)]
    assert np.allclose(solve(upper, right.tolist()), np.linalg.solve(matrix, right), rtol=1e-9)
    assert refusal(solve, [[1.0, 2.0], [1.0]], [1.0, 1.0]).reason is Refusal.DIVERGED


def test_nothing_is_told_before_a_round_is_over() -> None:
    made = federation()
    bank = made.banks[name_of(0)]
    assert refusal(bank.model).reason is Refusal.NOT_FINISHED
    assert refusal(bank.answer, b"").reason is Refusal.OUT_OF_ORDER
    assert refusal(made.aggregator.answer, name_of(0)).reason is Refusal.OUT_OF_ORDER
    made.run()
    assert refusal(bank.answer, b"").reason is Refusal.OUT_OF_ORDER
    assert Terms(JOB, made.terms.members, made.terms.columns) == made.terms
