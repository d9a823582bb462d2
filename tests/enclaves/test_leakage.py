"""The leakage ledger against askers that try every question there is, in every order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from itertools import product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saferoom_enclaves.leakage import (
    AskedCuts,
    Budget,
    Cells,
    FamilyCap,
    family_cells,
    price,
    rolling,
    spend,
    window_start,
)
from saferoom_proto.formula import (
    NULL,
    Absent,
    Bound,
    FeatureRef,
    FeatureShape,
    IsCell,
    cuts,
    evaluate,
)
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.enclaves.leakage_room import (
    Asked,
    Room,
    cells_of,
    classes,
    every_ask,
    every_shape,
    flag,
    joint_questions,
    ordered,
    simple_questions,
    within_budgets,
)


def most_cells(bits: str) -> int:
    """The floor of 2 to these bits, by another way than the ledger's."""
    with localcontext(prec=60):
        power = Decimal(2) ** Decimal(bits)
        nearest = power.to_integral_value()
        near = abs(power - nearest) < Decimal("1e-40")  # integer bits come out a hair off
        return int(nearest) if near else int(power)


SOME_BITS = ["0", "0.999", "1", "1.584", "1.585", "2", "2.321", "2.322", "2.5", "3", "3.17"]


@pytest.mark.parametrize("bits", SOME_BITS)
def test_no_strategy_tells_more_of_one_feature_than_its_budget(bits: str) -> None:
    for shape in every_shape(most_cells=8):
        questions = simple_questions(shape)
        rule = within_budgets([shape], [Budget(Decimal(bits))])
        assert Room([shape], questions).best(rule) <= most_cells(bits), shape


@pytest.mark.parametrize(
    ("shapes", "allowed"),
    [
        (
            [ordered("vat", 3), flag("dishonest", Absent.UNKNOWN)],
            [("0", "1", "2"), ("0", "1", "1.585")],
        ),
        (
            [ordered("vat", 2, Absent.UNKNOWN), flag("dishonest"), flag("enforced")],
            [("1", "1.585", "2"), ("0", "1"), ("1",)],
        ),
        (
            [classes("sector", 3, Absent.UNKNOWN), ordered("vat", 2)],
            [("1", "1.585", "2"), ("0", "1", "1.585")],
        ),
    ],
)
def test_no_strategy_tells_more_of_several_features_than_the_product_of_their_budgets(
    shapes: list[FeatureShape], allowed: list[tuple[str, ...]]
) -> None:
    room = Room(shapes, joint_questions(shapes))
    for bits in product(*allowed):
        budgets = [Budget(Decimal(each)) for each in bits]
        told = room.best(within_budgets(shapes, budgets))
        assert told <= prod(map(most_cells, bits)), bits


def test_no_fixed_list_of_formulas_tells_more_than_its_price() -> None:
    shapes = [
        ordered("vat", 3, Absent.UNKNOWN),
        classes("sector", 3),
        flag("dishonest", Absent.UNKNOWN),
    ]
    room = Room(shapes, joint_questions(shapes))
    for asked in product(*map(every_ask, shapes)):
        lines = [
            split
            for ask, splits in room.answers.items()
            for split in splits
            if all(part | whole == whole for part, whole in zip(ask, asked, strict=True))
        ]
        vectors = {
            tuple(tuple(group >> place & 1 for group in split) for split in lines)
            for place in range(len(room.stores))
        }
        together = family_cells(map(price, shapes, asked))
        assert len(vectors) <= together.n, asked


def test_all_askers_together_learn_no_more_than_the_grid_holds() -> None:
    for shape in every_shape(most_cells=8):
        everything = AskedCuts(frozenset(range(shape.cuts)), null=True)
        assert price(shape, everything).n == len(cells_of(shape))


def test_halving_tells_eight_cells_by_three_cuts_so_cuts_plus_one_would_be_no_price() -> None:
    shape = ordered("vat", 7)
    room = Room([shape], simple_questions(shape))

    def three_cuts(before: Asked, ask: Asked) -> Asked | None:
        then = (before[0] | ask[0],)
        return then if len(then[0].cuts) <= 3 else None

    assert room.best(three_cuts) == 8
    assert price(shape, AskedCuts(frozenset({0, 1, 2}))).n == 8
    # Under the ledger's price 2 bits buy two cuts, and the best strategy tells just 4 cells.
    assert room.best(within_budgets([shape], [Budget(Decimal(2))])) == 4


def test_dividing_a_family_cap_by_the_answers_gains_less_than_a_bit_for_each_feature() -> None:
    def any_question(before: Asked, ask: Asked) -> Asked | None:
        return tuple(was | asks for was, asks in zip(before, ask, strict=True))

    for shape in every_shape(most_cells=8):
        room = Room([shape], simple_questions(shape))

        def share(asked: Asked, shape: FeatureShape = shape) -> Decimal:
            return 1 / Decimal(price(shape, asked[0]).n)

        # Kraft's sum of the prices paid: ends of the game <= 2**cap * the sum, per feature.
        assert room.best(any_question, share) < 2, shape


def test_refusals_are_the_same_whatever_the_store_holds() -> None:
    shape = ordered("vat", 3, Absent.UNKNOWN)
    questions = simple_questions(shape)
    budget = Budget(Decimal("1.6"))

    def refusals(order: tuple[Bound, ...], store: Mapping[FeatureRef, int | None]) -> list[bool]:
        refused: list[bool] = []
        asked = AskedCuts()
        for question in order:
            try:
                asked = spend(shape, asked, AskedCuts.of(cuts(question)[shape.ref]), budget)
                evaluate(question, store)
                refused.append(False)
            except SafeRoomError:
                refused.append(True)
        return refused

    for order in product(questions, repeat=4):
        patterns = {tuple(refusals(order, {shape.ref: cell})) for cell in cells_of(shape)}
        assert len(patterns) == 1


def test_the_prices_of_the_kinds() -> None:
    two = AskedCuts(frozenset({0, 2}))
    assert price(ordered("vat", 7), two) == Cells(4)
    assert price(ordered("vat", 7, Absent.UNKNOWN), two) == Cells(5)
    assert price(ordered("vat", 3), AskedCuts(frozenset({0, 1, 2}))) == Cells(4)
    assert price(classes("sector", 5), two) == Cells(3)
    assert price(classes("sector", 3), two) == Cells(3)
    assert price(flag("dishonest"), AskedCuts(frozenset({0}))) == Cells(2)
    assert price(flag("dishonest", Absent.UNKNOWN), AskedCuts(frozenset({0}))) == Cells(3)
    assert price(flag("dishonest", Absent.UNKNOWN), AskedCuts(null=True)) == Cells(2)
    assert price(flag("dishonest", Absent.UNKNOWN), AskedCuts()) == Cells(1)
    assert Cells(8).bits == 3.0


def test_the_worked_example_of_the_page_for_authors() -> None:
    vat, arrears = ordered("vat", 7, Absent.UNKNOWN), flag("arrears", Absent.UNKNOWN)
    asked = [AskedCuts(frozenset(range(count))) for count in range(8)]
    assert [f"{price(vat, cuts).bits:.3f}" for cuts in asked[1:4]] == ["1.585", "2.322", "3.170"]
    assert {price(vat, cuts) for cuts in asked[3:]} == {Cells(9)}
    assert price(arrears, asked[1]) == Cells(3)
    assert price(flag("dishonest"), asked[1]) == Cells(2)
    for count, bits in enumerate(["1.585", "2.322", "3.17"], start=1):
        assert Budget(Decimal(bits)).allows(price(vat, asked[count]))


def test_is_true_of_a_flag_that_can_be_unknown_is_charged_the_unknown_too() -> None:
    shape = flag("arrears", Absent.UNKNOWN)
    for wanted in (0, 1):
        asked = AskedCuts.of(cuts(IsCell(shape.ref, wanted))[shape.ref])
        assert price(shape, asked) == Cells(3)
        with pytest.raises(SafeRoomError, match="OVER_BUDGET"):
            spend(shape, AskedCuts(), asked, Budget(Decimal(1)))


def test_what_was_asked_is_read_from_a_formula_and_adds_up() -> None:
    assert AskedCuts.of({1, NULL}) == AskedCuts(frozenset({1}), null=True)
    assert AskedCuts.of([]) == AskedCuts()
    assert AskedCuts.of({1}) | AskedCuts.of({NULL}) == AskedCuts.of({1, NULL})


shapes = st.sampled_from(every_shape(most_cells=8))


@st.composite
def shape_and_asks(draw: st.DrawFn) -> tuple[FeatureShape, AskedCuts, AskedCuts]:
    shape = draw(shapes)
    ask = st.builds(AskedCuts, st.frozensets(st.integers(0, shape.cuts - 1)), st.booleans())
    return shape, draw(ask), draw(ask)


bits = st.decimals(0, 64, places=3)


@settings(deadline=None)
@given(shape_and_asks())
def test_asking_more_never_costs_less(drawn: tuple[FeatureShape, AskedCuts, AskedCuts]) -> None:
    shape, first, second = drawn
    assert price(shape, first) <= price(shape, first | second)


@settings(deadline=None)
@given(shape_and_asks(), bits)
def test_a_repeat_is_free_even_after_the_budget_was_lowered(
    drawn: tuple[FeatureShape, AskedCuts, AskedCuts], lowered: Decimal
) -> None:
    shape, first, second = drawn
    spent = spend(shape, first, second, Budget(Decimal(64)))
    assert spend(shape, spent, first, Budget(lowered)) == spent
    assert spend(shape, spent, second, Budget(lowered)) == spent


@settings(deadline=None)
@given(shape_and_asks(), bits)
def test_what_is_spent_never_passes_the_budget(
    drawn: tuple[FeatureShape, AskedCuts, AskedCuts], allowed: Decimal
) -> None:
    shape, _, asked = drawn
    budget = Budget(allowed)
    try:
        spent = spend(shape, AskedCuts(), asked, budget)
    except SafeRoomError as error:
        assert error.reason is Reason.OVER_BUDGET
        assert not budget.allows(price(shape, asked))
    else:
        assert spent == asked
        assert budget.allows(price(shape, spent))


@settings(deadline=None)
@given(bits, st.integers(1, 1 << 66))
def test_a_budget_allows_exactly_the_floor_of_two_to_its_bits(allowed: Decimal, cells: int) -> None:
    floor = most_cells(str(allowed))
    budget = Budget(allowed)
    assert budget.allows(Cells(floor))
    assert not budget.allows(Cells(floor + 1))
    assert budget.allows(Cells(cells)) == (cells <= floor)


@pytest.mark.parametrize("kind", [Budget, FamilyCap])
@pytest.mark.parametrize(
    "text", ["NaN", "sNaN", "Infinity", "-0.001", "64.001", "1.5849", "1e-9999"]
)
def test_a_budget_that_is_no_budget_is_refused(
    kind: Callable[[Decimal], object], text: str
) -> None:
    with pytest.raises(SafeRoomError) as refused:
        kind(Decimal(text))
    assert refused.value.reason is Reason.MALFORMED
    assert refused.value.fields[0].field == "bits"


@pytest.mark.parametrize("text", ["0", "-0", "64", "1.585", "1.58500"])
def test_a_budget_in_thousandths_of_a_bit_is_taken(text: str) -> None:
    assert Budget(Decimal(text)).allows(Cells(1))


def test_a_price_below_one_cell_is_refused() -> None:
    with pytest.raises(SafeRoomError, match="INTERNAL"):
        Cells(0)


def test_cuts_of_another_grid_are_refused() -> None:
    with pytest.raises(SafeRoomError, match="INTERNAL"):
        price(ordered("vat", 2), AskedCuts(frozenset({2})))


def test_a_refusal_names_no_cut_and_no_cell() -> None:
    shape = ordered("vat", 7)
    with pytest.raises(SafeRoomError) as refused:
        spend(shape, AskedCuts(), AskedCuts(frozenset({6})), Budget(Decimal(0)))
    assert refused.value.reason is Reason.OVER_BUDGET
    assert refused.value.detail == "tax.vat: 2 cells, budget 0 bits"
    assert refused.value.fields == ()


def test_a_family_is_charged_the_product_of_its_features_and_periods() -> None:
    spent = [Cells(8), Cells(3), Cells(2)]
    assert family_cells([]) == Cells(1)
    assert rolling(spent, FamilyCap(Decimal("5.585"))) == Cells(48)
    with pytest.raises(SafeRoomError, match="OVER_BUDGET"):
        rolling(spent, FamilyCap(Decimal("5.584")))


def test_three_years_of_full_grids_are_refused_without_great_numbers() -> None:
    with pytest.raises(SafeRoomError, match="OVER_BUDGET"):
        rolling([Cells(9)] * 100_000, FamilyCap(Decimal("63.999")))


@pytest.mark.parametrize(
    ("now", "start"),
    [
        ((2026, 8, 15), (2023, 8, 15)),
        ((2028, 2, 29), (2025, 2, 28)),
        ((2026, 1, 31), (2023, 1, 31)),
        ((2026, 12, 1), (2023, 12, 1)),
    ],
)
def test_the_window_is_thirty_six_calendar_months(
    now: tuple[int, int, int], start: tuple[int, int, int]
) -> None:
    assert window_start(datetime(*now, 9, tzinfo=UTC)) == datetime(*start, 9, tzinfo=UTC)
