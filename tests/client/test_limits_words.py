"""An owner's limits in words, as the ledger would reckon them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from saferoom_client.cli.limits_words import affordable, learnable, level_in_words
from saferoom_enclaves.leakage import AskedCuts, Budget, price
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.statements import Absent, Charter, ClassCell, Feature, FeatureKind, load
from saferoom_proto.statements.feature import StatedForm, StatedRule
from simulator import sample
from simulator.sample import VAT_GRID, feature, ordered
from tests.enclaves.leakage_room import every_shape

CHARTER = load(sample(0).tax.charters[0], Charter)
SQL = "SELECT uscc AS subject, vat AS value FROM firms"


def vat(bits: str, absent: Absent, grid: tuple[str, ...] = VAT_GRID, **changes: Any) -> Feature:
    return ordered("tax", "vat", SQL, grid, budget_bits=Decimal(bits), absent=absent, **changes)


@pytest.mark.parametrize(
    ("defined", "words"),
    [
        (vat("3", Absent.FALSE), "which of 8 bands, never more"),
        (
            vat("3", Absent.UNKNOWN),
            (
                "in which of 4 parts of its 8 bands, by 2 of 7 thresholds, each chosen by the"
                " answers before it, never more, or that nothing is held"
            ),
        ),
        (vat("2", Absent.FALSE, VAT_GRID[:3]), "which of 4 bands, never more"),
        (vat("0.5", Absent.FALSE), "nothing: its budget buys no question"),
        (
            vat("64", Absent.UNKNOWN, level=3, grid=("1",)),
            "which of 2 bands, never more, or that nothing is held",
        ),
        (vat("64", Absent.FALSE, level=1), "all that may be asked: it is public by law"),
        (
            vat("3", Absent.FALSE, level=4),
            "nothing: of level 4 only values that are stated are compared",
        ),
        (
            feature("tax", "late", SQL, FeatureKind.FLAG, absent=Absent.FALSE),
            "whether it is so, never more",
        ),
        (
            feature(
                "tax",
                "grade",
                SQL,
                FeatureKind.CLASSES,
                absent=Absent.FALSE,
                classes=tuple(ClassCell(name=each, values=(each,)) for each in "ABCD"),
            ),
            "which of 4 classes, never more",
        ),
        (
            feature(
                "tax",
                "phone",
                SQL,
                FeatureKind.STATED,
                level=2,
                absent=Absent.FALSE,
                stated=StatedRule(form=StatedForm.DIGITS, per_day=3, for_life=20),
            ),
            "whether it is one of 7 values that it states, never more",
        ),
    ],
)
def test_what_a_bank_can_learn_of_a_feature(defined: Feature, words: str) -> None:
    assert learnable(defined, CHARTER) == words


def test_what_a_charter_allows_of_a_level() -> None:
    assert [level_in_words(limit) for limit in CHARTER.limits] == [
        "asked without consent and without a charge",
        *["of a feature 8 possible values told apart in a period, of a family 4,096 in 36 months"]
        * 2,
        (
            "only whether a stated value is the one held; of a feature 2 possible values told"
            " apart in a period, of a family 8 in 36 months"
        ),
    ]


def test_the_words_are_the_ledgers_own_reckoning() -> None:
    for shape in every_shape(most_cells=8):
        for bits in map(Decimal, ("0", "1", "1.585", "2", "2.322", "3", "3.17", "64")):
            count = affordable(shape, bits)
            budget = Budget(bits)
            assert not count or budget.allows(price(shape, AskedCuts(frozenset(range(count)))))
            if count < shape.cuts:
                more = AskedCuts(frozenset(range(count + 1)))
                assert not budget.allows(price(shape, more)), (shape, bits)


def test_words_of_a_feature_count_what_can_be_unknown_apart() -> None:
    pinned = PinnedFeature(vat("3.17", Absent.UNKNOWN), "")
    assert affordable(pinned.shape, Decimal("3.17")) == 7


def test_a_charter_whose_limit_buys_nothing_is_named() -> None:
    limits = tuple(each.model_copy(update={"feature_bits": Decimal(1)}) for each in CHARTER.limits)
    narrow = CHARTER.model_copy(update={"limits": limits})
    told = learnable(vat("3", Absent.UNKNOWN), narrow)
    assert told == "nothing: the charter's limit of 1 bits at level 3 buys no question"
