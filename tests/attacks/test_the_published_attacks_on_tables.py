"""`saferoom attack` on tables: the rules hold, and a rule that is off is found."""

from __future__ import annotations

from typing import Any

import pytest

from saferoom_attacks.ask import BANK
from saferoom_attacks.attack import Verdict
from saferoom_attacks.books import FEW, FIRMS, GRADE, rows
from saferoom_attacks.command import chosen
from saferoom_attacks.report import row
from saferoom_attacks.suite import Scale, Suite
from saferoom_attacks.table_ask import HomeGate, HomeRules, Plan, counted
from saferoom_attacks.table_attack import Left, TableAttack, TableFinding
from saferoom_attacks.table_attacks import TABLE_ATTACKS
from saferoom_enclaves.statistics import publish
from saferoom_enclaves.statistics.watched import Finer
from saferoom_proto.tables.rules import Rules
from tests.attacks.simulated_tables import SimTables

SCALE = Scale(seed=1, copies=1, rounds=4)


def one(name: str) -> TableAttack:
    (attack,) = chosen([name])
    assert isinstance(attack, TableAttack)
    return attack


def played(attack: TableAttack, seed: int = 1) -> TableFinding:
    suite = Suite((), Scale(seed=seed, copies=1, rounds=4), (attack,))
    return suite.attack_tables(attack, SimTables(rows(seed)))


@pytest.mark.parametrize("attack", TABLE_ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_on_tables_stays_within_its_bound(attack: TableAttack) -> None:
    found = played(attack)
    assert found.verdict is Verdict.HELD, row(found)
    assert row(found)[0] == attack.name


def test_one_after_the_other_they_learn_no_more() -> None:
    """Tables are told once for all who ask: what one attack was told, the next one has too."""
    gate = SimTables(rows(1))
    suite = Suite((), SCALE, TABLE_ATTACKS)
    quick = [each for each in TABLE_ATTACKS if each.name != "table-search"]
    assert {suite.attack_tables(each, gate).verdict for each in quick} == {Verdict.HELD}


@pytest.mark.parametrize("attack", TABLE_ATTACKS, ids=lambda attack: attack.name)
def test_a_gate_without_the_protection_is_found_and_a_silent_control_fails(
    attack: TableAttack,
) -> None:
    control = Suite((), SCALE, (attack,)).control_tables(attack)
    assert TableFinding(attack, control, control, 1, 0.1).verdict is Verdict.OVER_BOUND
    silent = [Left(each.truth, 0, attack.prior - 1) for each in control]
    assert TableFinding(attack, silent, silent, 1, 0.1).verdict is Verdict.CONTROL_FAILED


def test_small_sets_that_nobody_looks_for_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> dict[Any, Any]:
        return {}

    monkeypatch.setattr(Finer, "fixed", nothing)
    found = played(one("table-trackers"))
    assert found.verdict is Verdict.OVER_BOUND
    assert min(each.values for each in found.room) == 1


def test_tables_that_are_rounded_each_by_its_own_rule_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def by_its_own(number: object, rules: Rules) -> object:
        return number if rules.base == 1 else honest(number, rules)

    honest: Any = publish.rounded_counts
    monkeypatch.setattr(publish, "rounded_counts", by_its_own)
    attack = one("table-averaging")
    gate = SimTables(rows(1), first=Rules(base=1))
    assert Suite((), SCALE, (attack,)).attack_tables(attack, gate).verdict is Verdict.OVER_BOUND


def test_the_books_are_what_the_attacks_take_them_for() -> None:
    firms, later = rows(1), rows(1, later=True)
    assert len(firms) == len(later) == FIRMS
    grades = [counted(each, (GRADE,)) for each in (firms, later)]
    moved = [grades[1][cell] - number for cell, number in sorted(grades[0].items())]
    left = [0, *FEW[:-1]]
    came = [*FEW[:-1], 0]
    assert moved == [before - after for before, after in zip(left, came, strict=True)]
    assert HomeGate(firms, HomeRules()).tell(BANK, Plan((GRADE,), 1))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_searches_for_plans_pass_no_bound(seed: int) -> None:
    attack = one("table-search")
    suite = Suite((), Scale(seed=seed, copies=1, rounds=150), (attack,))
    found = suite.attack_tables(attack, SimTables(rows(seed)))
    assert min(each.values for each in found.room) >= attack.least, row(found)
