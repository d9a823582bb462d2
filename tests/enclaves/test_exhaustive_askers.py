"""Every adaptive asker there is, against the enclave's own ledger: formulas, periods, families.

The domains are small and the play is whole: at each step the asker puts any question, or waits for
the next load, as the answers so far suggest. What it can tell apart at its best is held to the
theorem of `docs/disclosure.md`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from itertools import product
from math import prod
from typing import Final

import pytest

from saferoom_enclaves.accounts import Account
from saferoom_enclaves.asking import Ask
from saferoom_enclaves.spending import Spending
from saferoom_proto.bits import most_cells
from saferoom_proto.formula import Bound, FeatureRef, cuts, evaluate
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Absent, Charter, Feature, FeatureKind, LevelLimits, load
from simulator import EnclaveHarness, sample, tax_csv
from simulator.sample import feature, ordered
from tests.enclaves.leakage_room import cells_of, joint_questions, simple_questions

NOW: Final = datetime(2026, 11, 30, tzinfo=UTC)
SQL: Final = "SELECT uscc AS subject, vat AS value FROM firms"


def vat(cuts: int, bits: str, absent: Absent = Absent.FALSE) -> Feature:
    """Define an ordered feature of the family of payments."""
    grid = tuple(str(10 * (at + 1)) for at in range(cuts))
    return ordered(
        "tax", "vat", SQL, grid, budget_bits=Decimal(bits), absent=absent, family="payments"
    )


def late(bits: str, absent: Absent = Absent.FALSE) -> Feature:
    """Define a flag of the same family."""
    return feature(
        "tax",
        "late",
        SQL,
        FeatureKind.FLAG,
        budget_bits=Decimal(bits),
        absent=absent,
        family="payments",
    )


@dataclass(slots=True)
class Game:
    """All stores about one subject over some periods, and every way to ask about them.

    A store is what each period holds; a set of stores is a bit mask.
    """

    spending: Spending
    charter: Charter
    features: Sequence[Feature]
    periods: int
    formulas: bool
    known: dict[object, Account] = field(default_factory=dict[object, Account])

    def stores(self) -> list[tuple[dict[FeatureRef, int | None], ...]]:
        """Give everything that the periods can hold."""
        shapes = [PinnedFeature(each, "").shape for each in self.features]
        held = [
            dict(zip([shape.ref for shape in shapes], cells, strict=True))
            for cells in product(*map(cells_of, shapes))
        ]
        return list(product(held, repeat=self.periods))

    def questions(self) -> list[Bound]:
        """Give every question that can be put in a period."""
        shapes = [PinnedFeature(each, "").shape for each in self.features]
        if self.formulas:
            return joint_questions(shapes)
        return [question for shape in shapes for question in simple_questions(shape)]

    def best(self) -> int:
        """Play the strategy that tells most stores apart."""
        stores, moves = self.stores(), self._moves()

        @cache
        def after(asked: object, period: int) -> list[tuple[object, frozenset[tuple[int, ...]]]]:
            found: dict[object, set[tuple[int, ...]]] = {}
            for asks, splits in moves[period].items():
                then = self._charged(asked, asks, period)
                if then is not None:
                    found.setdefault(then, set()).update(splits)
            return [(then, frozenset(splits)) for then, splits in found.items()]

        @cache
        def tell(mask: int, asked: object, period: int) -> int:
            if mask & (mask - 1) == 0:
                return 1
            most = tell(mask, asked, period + 1) if period + 1 < self.periods else 1
            for then, splits in after(asked, period):
                for groups in {tuple(mask & group for group in split) for split in splits}:
                    left = [group for group in groups if group]
                    if len(left) > 1:
                        most = max(most, sum(tell(group, then, period) for group in left))
            return most

        nothing = self._kept(())
        return tell((1 << len(stores)) - 1, nothing, 0)

    def _moves(self) -> list[dict[tuple[Ask, ...], set[tuple[int, ...]]]]:
        """Give what can be asked in each period, with how each answer parts the stores."""
        stores = self.stores()
        moves: list[dict[tuple[Ask, ...], set[tuple[int, ...]]]] = []
        for period in range(self.periods):
            found: dict[tuple[Ask, ...], set[tuple[int, ...]]] = {}
            for question in self.questions():
                groups = {False: 0, None: 0, True: 0}
                for place, store in enumerate(stores):
                    groups[evaluate(question, store[period])] |= 1 << place
                found.setdefault(self._asks(question), set()).add(tuple(sorted(groups.values())))
            moves.append(found)
        return moves

    def _asks(self, question: Bound) -> tuple[Ask, ...]:
        pinned = {each.ref: each for each in (PinnedFeature(one, "") for one in self.features)}
        return tuple(
            Ask.of(pinned[ref].definition, pinned[ref].shape, asked)
            for ref, asked in sorted(cuts(question).items())
        )

    def _charged(self, asked: object, asks: tuple[Ask, ...], period: int) -> object | None:
        before = self.known[asked]
        try:
            after, _ = self.spending.reckon(before, asks, period + 1, self.charter, NOW)
        except SafeRoomError as refusal:
            assert refusal.reason is Reason.OVER_BUDGET
            return None
        return self._kept(after)

    def _kept(self, account: Account) -> object:
        key = frozenset((each.place, each.cuts, each.null) for each in account)
        self.known.setdefault(key, account)
        return key


@pytest.fixture(scope="module")
def referee(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Spending, Charter]]:
    """Open an enclave, whose own ledger is the referee of all games."""
    said = sample("exhaustive")
    enclave = EnclaveHarness(said.tax, tmp_path_factory.mktemp("referee"))
    try:
        enclave.load({"firms": tax_csv(said.world)})
        opened = enclave.enclave._open
        assert opened is not None
        yield opened.judge._spending, load(said.tax.charters[0], Charter)
    finally:
        enclave.close()


def with_cap(charter: Charter, bits: str) -> Charter:
    """Give a charter whose families have this cap, and whose features only their own budgets."""
    limits = tuple(
        LevelLimits(level=level, feature_bits=Decimal(64), family_bits=Decimal(bits))
        for level in (1, 2, 3, 4)
    )
    return charter.model_copy(update={"limits": limits})


def dearest(each: Feature) -> int:
    """Give the most cells of a feature within its budget: T of the theorem."""
    shape = PinnedFeature(each, "").shape
    prices = [1, *(shape.cells_told(count) for count in range(shape.cuts + 1))]
    return max(cells for cells in prices if cells <= most_cells(each.budget_bits))


UNKNOWN: Final = Absent.UNKNOWN
GAMES: Final = {
    "formulas over two features": ((vat(3, "2"), late("1.585", UNKNOWN)), "64", 1, True),
    "formulas with silence": ((vat(2, "1.585", UNKNOWN), late("1.585", UNKNOWN)), "64", 1, True),
    "a budget that one of two fits": ((vat(2, "1"), late("0")), "64", 1, True),
    "one feature over three periods": ((vat(3, "1"),), "64", 3, False),
    "silence over two periods": ((vat(2, "1.585", UNKNOWN),), "64", 2, False),
    "a cap over two periods": ((vat(2, "1.585"),), "2.585", 2, False),
    "a cap that ends in the first period": ((vat(3, "2"), late("1")), "2", 2, False),
    "a cap over two features and periods": ((vat(2, "1.585"), late("1")), "2.585", 2, False),
}


@pytest.mark.parametrize("name", GAMES)
def test_no_asker_tells_more_than_its_budgets_and_caps_allow(
    referee: tuple[Spending, Charter], name: str
) -> None:
    spending, charter = referee
    features, cap, periods, formulas = GAMES[name]
    played = Game(spending, with_cap(charter, cap), features, periods, formulas)
    told, stores = played.best(), len(played.stores())
    budgets = prod(map(dearest, features)) ** periods
    assert told <= budgets
    # Divided by the answers, a cap tells less than twice as much for each feature and period.
    assert told < most_cells(Decimal(cap)) << len(features) * periods
    # And it is a game: the asker tells something apart, and not everything.
    assert 1 < told <= stores
    assert told == BEST[name]


BEST: Final = {
    "formulas over two features": 12,
    "formulas with silence": 9,
    "a budget that one of two fits": 2,
    "one feature over three periods": 8,
    "silence over two periods": 9,
    "a cap over two periods": 7,
    "a cap that ends in the first period": 5,
    "a cap over two features and periods": 7,
}
"""What the best asker does tell. Budgets are met and never passed; of caps of 6, 4 and 6 cells,
which it divides by the answers, it makes 7, 5 and 7."""
