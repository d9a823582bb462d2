"""What a side brings is checked before anything is sealed: said by name, and handled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical import messages
from saferoom_models.vertical.columns import SUPPORT, FindingKind, prepare
from saferoom_models.vertical.descent import DIVERGED, Recursion
from saferoom_models.vertical.label_side import LabelSide
from saferoom_models.vertical.owners import OwnerColumns, join_owners, part_of_owner
from saferoom_models.vertical.terms import Terms, check_events, propose_ridge

from .conftest import Recorded

DRAW = np.random.default_rng(5)
ROWS = 2000


def refusal(act: Callable[[], object]) -> JointTrainingError:
    with pytest.raises(JointTrainingError) as refused:
        act()
    return refused.value


def test_a_constant_and_a_rare_column_are_left_out_and_said() -> None:
    values = DRAW.normal(size=(ROWS, 3))
    values[:, 1] = 7.25
    values[:, 2] = 0
    values[: SUPPORT - 1, 2] = 1
    found = prepare(("a", "b", "c"), values)
    kinds = [(finding.kind, finding.place) for finding in found.findings]
    assert kinds == [(FindingKind.CONSTANT, "b"), (FindingKind.RARE, "c")]
    assert not found.whole[:, 1:].any()
    values[SUPPORT - 1, 2] = 1
    assert [finding.place for finding in prepare(("a", "b", "c"), values).findings] == ["b"]


def test_strongly_correlated_columns_are_said_with_both_names() -> None:
    values = DRAW.normal(size=(ROWS, 3))
    values[:, 2] = -values[:, 0] + 0.1 * values[:, 1]
    (found,) = prepare(("bill1", "age", "bill2"), values).findings
    assert (found.kind, found.place) == (FindingKind.CORRELATED, "bill1, bill2")


def test_columns_are_standardised_clipped_and_whole() -> None:
    values = DRAW.normal(3, 10, size=(ROWS, 2))
    values[0, 0] = 1e6
    found = prepare(("a", "b"), values)
    assert np.abs(found.values).max() <= 8
    assert np.allclose(found.values[:, 1].mean(), 0, atol=1e-3)
    assert np.allclose(found.values[:, 1].std(), 1, atol=1e-3)


@pytest.mark.parametrize("column", [[1e200, 0.0, 1.0], [1e308, 1e308, 1e308]])
def test_values_that_cannot_be_added_up_are_refused_with_the_columns_name(
    column: list[float],
) -> None:
    values = np.column_stack([np.arange(3.0), column])
    refused = refusal(lambda: prepare(("a", "b"), values))
    assert refused.reason is Refusal.BAD_COLUMNS
    assert refused.detail.startswith("b: ")


@pytest.mark.parametrize("worst", [np.nan, np.inf, -np.inf])
def test_missing_and_endless_values_are_refused_with_the_columns_name(worst: float) -> None:
    values = DRAW.normal(size=(ROWS, 2))
    values[17, 1] = worst
    refused = refusal(lambda: prepare(("a", "vat"), values))
    assert refused.reason is Refusal.BAD_COLUMNS
    assert "vat" in refused.detail


def test_names_and_shapes_that_do_not_fit_are_refused() -> None:
    values = DRAW.normal(size=(ROWS, 2))
    assert refusal(lambda: prepare(("a",), values)).reason is Refusal.BAD_COLUMNS
    assert refusal(lambda: prepare(("a", "a"), values)).reason is Refusal.BAD_COLUMNS
    assert refusal(lambda: prepare(("a",), values[:, 0])).reason is Refusal.BAD_COLUMNS
    nothing = np.ones((ROWS, 1))
    assert refusal(lambda: prepare(("a",), nothing)).reason is Refusal.NO_SUPPORT
    short = [OwnerColumns("x", ("a",), values[:9, :1]), OwnerColumns("y", ("a",), values[:, :1])]
    assert refusal(lambda: join_owners(short)).reason is Refusal.BAD_COLUMNS
    assert refusal(lambda: join_owners([])).reason is Refusal.BAD_COLUMNS


def test_an_owner_that_brought_nothing_gets_nothing(recorded: Recorded) -> None:
    refused = refusal(lambda: part_of_owner(recorded.room, "water"))
    assert refused.reason is Refusal.BAD_COLUMNS


def test_an_owners_name_says_where_a_column_is_from_without_doubt() -> None:
    values = DRAW.normal(size=(ROWS, 1))
    owners = [OwnerColumns("tax.late", ("paid",), values), OwnerColumns("tax", ("a",), values)]
    assert refusal(lambda: join_owners(owners)).reason is Refusal.BAD_COLUMNS


def test_rows_that_the_model_is_not_for_get_no_points(recorded: Recorded) -> None:
    own = recorded.values[0]
    for values in (own[:, :2], own[:, 0], np.where(own > 0, np.nan, own)):
        reason = refusal(lambda given=values: recorded.label.points(given)).reason
        assert reason is Refusal.BAD_COLUMNS


def test_labels_that_are_none_are_refused() -> None:
    columns = prepare(("a",), DRAW.normal(size=(ROWS, 1)))
    terms = Terms("00" * 32, ROWS, 1, 1)
    half = (np.arange(ROWS) % 2).astype(np.int64)
    for labels in (half[:-1], half * 2, np.zeros(ROWS, np.int64), np.ones(ROWS, np.int64)):
        reason = refusal(lambda given=labels: LabelSide(terms, columns, given)).reason
        assert reason is Refusal.BAD_LABELS
    one = np.zeros(ROWS, np.int64)
    one[:4] = 1
    weak = Terms("00" * 32, ROWS, 1, 1, inverse_ridge=0.02)
    assert refusal(lambda: LabelSide(weak, columns, one)).reason is Refusal.BAD_LABELS
    other = Terms("00" * 32, ROWS, 2, 1)
    assert refusal(lambda: LabelSide(other, columns, half)).reason is Refusal.BAD_COLUMNS


def test_few_events_for_each_column_want_a_stronger_ridge_and_get_one_proposed() -> None:
    weak = Terms("00" * 32, 3000, 5, 34)
    refused = refusal(lambda: check_events(weak, 62))
    assert refused.reason is Refusal.FEW_EVENTS
    assert "1.6 events" in refused.detail
    assert "0.02" in refused.detail
    proposed = propose_ridge(62, 39)
    check_events(Terms("00" * 32, 3000, 5, 34, inverse_ridge=proposed), 62)
    check_events(weak, 390)
    assert propose_ridge(390, 39) == 1.0


def test_a_gradient_that_grows_ends_the_training_by_name() -> None:
    recursion = Recursion()
    recursion.take([0.0] * 8 + [1.0])
    recursion.direction()
    grown = [1.0] + [0.0] * 7 + [DIVERGED**2 * 1.01]
    assert refusal(lambda: recursion.take(grown)).reason is Refusal.DIVERGED


def test_a_training_that_diverged_gives_no_model_after_a_restart_either(
    recorded: Recorded,
) -> None:
    label = recorded.label_before(6)
    sent = messages.write_scalars(np.array([0.0] * 8 + [1e14]))
    answer = messages.write(recorded.terms, 6, messages.MessageKind.SCALARS, [sent])
    assert refusal(lambda: label.answer(answer)).reason is Refusal.DIVERGED
    assert label.progress.over
    assert refusal(label.trained).reason is Refusal.DIVERGED
    again = LabelSide.resume(recorded.terms, recorded.bank, recorded.labels, label.save())
    assert refusal(again.trained).reason is Refusal.DIVERGED
    assert refusal(lambda: again.answer(answer)).reason is Refusal.OUT_OF_ORDER
