"""A room simulated in small: every store there can be, every question, every strategy of asking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from itertools import chain, combinations, product

from saferoom_enclaves.leakage import AskedCuts, Budget, spend
from saferoom_proto.formula import (
    Absent,
    Among,
    And,
    AtLeast,
    Bound,
    FeatureKind,
    FeatureRef,
    FeatureShape,
    IsCell,
    IsNull,
    Not,
    Or,
    cuts,
    evaluate,
)
from saferoom_proto.reasons import Reason, SafeRoomError

Asked = tuple[AskedCuts, ...]


def ordered(name: str, thresholds: int, absent: Absent = Absent.FALSE) -> FeatureShape:
    grid = tuple(Decimal(10 * (step + 1)) for step in range(thresholds))
    return FeatureShape(FeatureRef("tax", name), FeatureKind.ORDERED, grid, (), absent)


def flag(name: str, absent: Absent = Absent.FALSE) -> FeatureShape:
    return FeatureShape(FeatureRef("court", name), FeatureKind.FLAG, (), (), absent)


def classes(name: str, count: int, absent: Absent = Absent.FALSE) -> FeatureShape:
    names = tuple("ABCDEFGH"[:count])
    return FeatureShape(FeatureRef("tax", name), FeatureKind.CLASSES, (), names, absent)


def every_shape(most_cells: int) -> list[FeatureShape]:
    return [
        shape
        for absent in Absent
        for shape in (
            flag("dishonest", absent),
            *(ordered("vat", count, absent) for count in range(1, most_cells)),
            *(classes("sector", count, absent) for count in range(2, most_cells + 1)),
        )
    ]


def cells_of(shape: FeatureShape) -> list[int | None]:
    """Everything a store can hold about one feature of one subject."""
    return [*range(shape.cells), *([None] if shape.can_be_unknown else [])]


def simple_questions(shape: FeatureShape) -> list[Bound]:
    """Every question that can be put to one feature by itself."""
    ref = shape.ref
    is_null: list[Bound] = [IsNull(ref)] if shape.can_be_unknown else []
    match shape.kind:
        case FeatureKind.ORDERED:
            return [*is_null, *(AtLeast(ref, cut) for cut in range(shape.cuts))]
        case FeatureKind.FLAG:
            return [*is_null, AtLeast(ref, 0), IsCell(ref, 0), IsCell(ref, 1)]
        case FeatureKind.CLASSES:
            # Beyond 5 classes one at a time: naming two is charged as both and tells no more.
            largest = shape.cells if shape.cells <= 5 else 1
            named = chain.from_iterable(
                combinations(range(shape.cells), size) for size in range(1, largest + 1)
            )
            return [*is_null, *(Among(ref, frozenset(group)) for group in named)]
        case FeatureKind.STATED:
            raise NotImplementedError("stated values have tests of their own")


def joint_questions(shapes: list[FeatureShape]) -> list[Bound]:
    """Every simple question, and every two of them, negated or not, under AND and OR."""
    simple = [question for shape in shapes for question in simple_questions(shape)]
    literals: list[Bound] = [*simple, *(Not(question) for question in simple)]
    pairs = [pair for pair in combinations(literals, 2) if pair[0] != pair[1]]
    return [*literals, *(And(pair) for pair in pairs), *(Or(pair) for pair in pairs)]


@dataclass(frozen=True)
class Room:
    """Every store there could be about one subject, and every question that could be asked of it.

    A set of stores is a bit mask; a question is what it asks and the stores for each answer.
    """

    shapes: list[FeatureShape]
    questions: list[Bound]

    @cached_property
    def stores(self) -> list[dict[FeatureRef, int | None]]:
        refs = [shape.ref for shape in self.shapes]
        return [dict(zip(refs, held, strict=True)) for held in product(*map(cells_of, self.shapes))]

    def asked(self, question: Bound) -> Asked:
        asked = cuts(question)
        return tuple(AskedCuts.of(asked.get(shape.ref, frozenset())) for shape in self.shapes)

    @cached_property
    def answers(self) -> dict[Asked, set[tuple[int, ...]]]:
        """What can be asked, with how each such question's answers part the stores."""
        found: dict[Asked, set[tuple[int, ...]]] = {}
        for question in self.questions:
            groups = {False: 0, None: 0, True: 0}
            for place, store in enumerate(self.stores):
                groups[evaluate(question, store)] |= 1 << place
            found.setdefault(self.asked(question), set()).add(tuple(sorted(groups.values())))
        return found

    def best(
        self,
        allowed: Callable[[Asked, Asked], Asked | None],
        worth: Callable[[Asked], Decimal | int] = lambda _: 1,
    ) -> Decimal | int:
        """Play the strategy that ends in most, over all adaptive ones.

        Args:
            allowed: what was asked and what a question asks, to what then was asked; None refuses.
            worth: what one end of the game counts, by what was asked on the way to it.
        """

        @cache
        def moves(asked: Asked) -> list[tuple[Asked, set[tuple[int, ...]]]]:
            afterwards = [(allowed(asked, ask), splits) for ask, splits in self.answers.items()]
            return [(then, splits) for then, splits in afterwards if then is not None]

        @cache
        def play(stores: int, asked: Asked) -> Decimal | int:
            best = worth(asked)
            for then, splits in moves(asked):
                parts = {
                    tuple(sorted(stores & group for group in split if stores & group))
                    for split in splits
                }
                for groups in parts:
                    if len(groups) > 1:
                        best = max(best, sum(play(group, then) for group in groups))
            return best

        nothing = tuple(AskedCuts() for _ in self.shapes)
        return play((1 << len(self.stores)) - 1, nothing)


def every_ask(shape: FeatureShape) -> Iterator[AskedCuts]:
    for size in range(shape.cuts + 1):
        for named in combinations(range(shape.cuts), size):
            yield AskedCuts(frozenset(named))
            if shape.can_be_unknown:
                yield AskedCuts(frozenset(named), null=True)


def within_budgets(
    shapes: list[FeatureShape], budgets: list[Budget]
) -> Callable[[Asked, Asked], Asked | None]:
    """The room's own rule: a question is charged for every feature, or refused."""

    def allowed(before: Asked, ask: Asked) -> Asked | None:
        try:
            return tuple(
                spend(shape, was, asks, budget)
                for shape, was, asks, budget in zip(shapes, before, ask, budgets, strict=True)
            )
        except SafeRoomError as error:
            assert error.reason is Reason.OVER_BUDGET
            return None

    return allowed
