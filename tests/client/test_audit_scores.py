"""What scores were charged, replayed: honest prices pass, and no cheaper one does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import pytest

from saferoom_client.audit.accounts import Accounts, Charged
from saferoom_proto.collusion import CollusionGroups
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.statements import Charge, Charter, Feature, FeatureKind, load
from saferoom_proto.statements.score import ScorePart
from simulator import World
from tests.client.made import feature

NOW: Final = datetime(2026, 11, 30, tzinfo=UTC)
VAT: Final = feature("tax", "vat", FeatureKind.ORDERED, budget_bits=Decimal(6), family="money")
LATE: Final = feature("tax", "late", FeatureKind.ORDERED, budget_bits=Decimal(6), family="money")
WHOLE: Final = 4
"""Cells of a grid of two thresholds, and "not found"."""


def scored(model: str = "1", edges: int = 4) -> ScorePart:
    """Give a score of one band more than edges, and "not found"."""
    return ScorePart(
        model="sha256:" + model * 64,
        columns=("tax.vat",),
        edges=tuple(map(Decimal, range(edges))),
        answers=edges + 2,
    )


SIX: Final = scored()


class Replay:
    """An account as an auditor follows it."""

    def __init__(self, family_bits: str = "12") -> None:
        charter = load(World("audit").owner("tax").charters[-1], Charter)
        widened = [
            each.model_copy(
                update={"feature_bits": Decimal(6), "family_bits": Decimal(family_bits)}
            )
            for each in charter.limits
        ]
        self.charter = charter.model_copy(update={"limits": tuple(widened)})
        self.accounts, self.groups = Accounts(), CollusionGroups()

    def charge(
        self,
        charges: Sequence[tuple[Feature, int, int]],
        score: ScorePart | None,
        group: str = "bank-a",
        free: tuple[Feature, ...] = (),
    ) -> int:
        """Charge a question, of free features too; gives how much is wrong with it."""
        read = [*(each for each, _, _ in charges), *free]
        features = {each.full_name: (each, PinnedFeature(each, "").shape) for each in read}
        self.groups.take("bank-a", group)
        charged = Charged(
            account=("tax", group, "91990000000001011G"),
            linked=self.groups.linked(group),
            epoch=1,
            moment=NOW,
            charter=self.charter,
            charges=tuple(
                Charge(feature=each.full_name, cells_before=before, cells_after=after)
                for each, before, after in charges
            ),
            features=features,
            asked=None,
            score=score,
        )
        return len(list(self.accounts.charge(charged)))


def test_honest_prices_pass_in_any_order() -> None:
    first = Replay()
    assert first.charge([(VAT, 1, 6)], SIX) == 0
    assert first.charge([(VAT, 6, 6)], SIX) == 0  # a repeat
    assert first.charge([(VAT, 6, 6 * WHOLE)], None) == 0  # a cut beside it
    assert first.charge([(VAT, 6 * WHOLE, 6 * WHOLE)], None) == 0
    other = Replay()
    assert other.charge([(VAT, 1, 3)], None) == 0
    assert other.charge([(VAT, 3, 6 * WHOLE)], SIX) == 0


@pytest.mark.parametrize("after", [6, 9, 12, 18])
def test_a_cut_beside_a_score_costs_the_whole_grid_or_the_auditor_finds_it(after: int) -> None:
    replay = Replay()
    replay.charge([(VAT, 1, 3)], None)
    assert replay.charge([(VAT, 3, after)], SIX) >= 1


def test_a_second_score_is_charged_beside_the_first_also_to_a_linked_group() -> None:
    replay = Replay()
    replay.charge([(VAT, 1, 6)], SIX)
    assert replay.charge([(VAT, 1, 3)], scored("2", 1), group="fresh") >= 1
    honest = Replay()
    honest.charge([(VAT, 1, 6)], SIX)
    assert honest.charge([(VAT, 6, 18)], scored("2", 1), group="fresh") == 0


def test_a_family_counts_a_score_once_however_many_features_it_reads() -> None:
    replay = Replay(family_bits="3")
    assert replay.charge([(VAT, 1, 6), (LATE, 1, 6)], SIX) == 0  # log2 of six, not of 36
    assert replay.charge([(VAT, 6, 18), (LATE, 6, 18)], scored("2", 1)) == 1  # of eighteen


def test_a_score_that_is_repeated_after_a_grid_grew_keeps_its_price() -> None:
    grown = VAT.model_copy(update={"version": 2, "grid": (*VAT.grid, Decimal("1e9"))})
    replay = Replay()
    replay.charge([(VAT, 1, 3)], None)
    assert replay.charge([(VAT, 3, 6 * WHOLE)], SIX) == 0
    assert replay.charge([(grown, 6 * WHOLE, 6 * WHOLE)], SIX) == 0
    assert replay.charge([(grown, 6 * WHOLE, 6 * WHOLE)], None) == 0
    assert replay.charge([(grown, 6 * WHOLE, 6 * (WHOLE + 1))], None, group="fresh") == 0
    assert replay.charge([(grown, 6 * WHOLE, 6 * WHOLE)], scored("2", 1)) >= 1


def test_a_score_of_a_free_feature_that_tells_another_value_is_another_score() -> None:
    age = feature("tax", "age", FeatureKind.ORDERED, level=1)
    later = age.model_copy(update={"version": 2, "as_of": age.as_of.replace(year=2020)})
    titled = age.model_copy(update={"version": 2, "title": VAT.title})
    replay = Replay()
    assert replay.charge([(VAT, 1, 6)], SIX, free=(age,)) == 0
    assert replay.charge([(VAT, 6, 6)], SIX, free=(titled,)) == 0
    assert replay.charge([(VAT, 6, 6)], SIX, free=(later,)) >= 1
