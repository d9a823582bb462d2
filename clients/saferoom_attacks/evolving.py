"""An attack that breeds its questions, in the manner of QuerySnout and QueryCheetah.

QuerySnout (A.-M. Cretu et al., CCS 2022) evolves multisets of queries and learns a rule that
combines their answers into a target's secret attribute, trying both on the software that it
attacks; QueryCheetah (B. Stevanoski et al., 2024) searches locally, from one solution. Ours evolves
decision trees, as a bank may choose each question by the answers before it. The rule is a table:
which records tell such a sequence of answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import Final

from saferoom_attacks.ask import BANK, Heard, Oracle, Question, Rules, Told, least
from saferoom_attacks.asking import Notes
from saferoom_attacks.attack import Chance
from saferoom_attacks.firms import AMOUNTS, EVERY, INVOICES, PAYROLL, SECTORS, TURNOVER
from saferoom_attacks.model import Asked, affordable, answer, asked_by
from saferoom_proto.formula import Cut, FeatureRef
from saferoom_proto.reasons import Reason

DEPTH: Final = 7
"""Questions on one path: as many as the longest grid has thresholds."""
PARENTS: Final = 12
CHILDREN: Final = 36
"""Few, since what a tree is worth is reckoned exactly and not estimated from samples."""
LOCAL_EVERY: Final = 4
"""Each so many-th generation descends from the best tree only: a local search."""

Path = tuple[object, ...]
"""The answers so far."""
_Account = frozenset[tuple[tuple[FeatureRef, int], frozenset[Cut]]]
_ALL_RECORDS: Final = frozenset(range(len(EVERY)))
Tree = Mapping[Path, Question]
"""Which question is asked after which answers; where none stands, the attack stops."""


def evolved(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Breed a tree of questions at home, then ask by it."""
    tree = breed(oracle.rules, chance)
    notes = Notes(targets)
    paths: dict[str, Path] = dict.fromkeys(targets, ())
    for _ in range(DEPTH):
        asked = {target: tree[path] for target, path in paths.items() if path in tree}
        told = notes.ask(oracle, BANK, asked) if asked else {}
        paths = {target: (*paths[target], one) for target, one in told.items()}
    return notes.done()


def breed(rules: Rules, chance: Chance) -> Tree:
    """Give the best tree that was found against a gate of these rules."""
    dice = chance.dice("evolved")
    pool = questions(rules)
    herd = [_grown({}, dice, pool, rules) for _ in range(PARENTS)]
    for generation in range(10 + min(chance.rounds, 90)):
        parents = herd if generation % LOCAL_EVERY else herd[:1]
        born = [_altered(dice.choice(parents), dice, pool, rules) for _ in range(CHILDREN)]
        herd = sorted((*herd, *born), key=lambda tree: -worth(tree, rules))[:PARENTS]
    return herd[0]


def worth(tree: Tree, rules: Rules) -> int:
    """Give how many cases a tree tells apart: with a flat prior, its accuracy times the records."""
    return len(_ends(tree, rules))


@cache
def questions(rules: Rules) -> tuple[Question, ...]:
    """List what can be asked about the family; off the grid only where nobody minds."""
    every = range(1, AMOUNTS)
    ordered = [
        least(cut, offer.name)
        for offer in (TURNOVER, INVOICES, PAYROLL)
        for cut in (offer.grid if rules.grid else every)
    ]
    return (*ordered, *(Question.at("sector-is", one=each) for each in SECTORS))


def _ends(tree: Tree, rules: Rules) -> list[tuple[Path, int]]:
    """Follow every record through a tree; gives the different ends, and how many end there."""
    ends: list[tuple[Path, int]] = []
    underway: list[tuple[Path, frozenset[int], _Account]] = [((), _ALL_RECORDS, frozenset())]
    while underway:
        path, records, account = underway.pop()
        question = tree.get(path)
        if question is None or len(path) == DEPTH or len(records) == 1:
            ends.append((path, len(records)))
            continue
        after = _charged(account, question, rules)
        if after is None:
            underway.append(((*path, Reason.OVER_BUDGET), records, account))
            continue
        underway += [
            ((*path, told), records & group, after)
            for told, group in _split(question, rules)
            if records & group
        ]
    return ends


@cache
def _charged(account: _Account, question: Question, rules: Rules) -> _Account | None:
    """Charge a question, or give none if that is refused."""
    after: Asked = dict(account)
    for ref, asked in asked_by(question, fine=not rules.grid).items():
        after[ref, 0] = after.get((ref, 0), frozenset()) | asked
    if rules.budgets and not affordable(after, cap=rules.cap):
        return None
    return frozenset(after.items())


@cache
def _split(question: Question, rules: Rules) -> list[tuple[Told, frozenset[int]]]:
    """Give which records each answer to a question leaves."""
    fine = not rules.grid
    answers = [answer(question, record, fine=fine) for record in EVERY]
    return [
        (told, frozenset(n for n in _ALL_RECORDS if answers[n] == told))
        for told in sorted(set(answers))
    ]


def _grown(tree: Tree, dice: Random, pool: Sequence[Question], rules: Rules) -> Tree:
    """Put a question wherever a path ends too early."""
    grown = dict(tree)
    while True:
        ends = [path for path, left in _ends(grown, rules) if left > 1 and len(path) < DEPTH]
        if not ends:
            return grown
        for path in ends:
            grown[path] = dice.choice(pool)


def _altered(tree: Tree, dice: Random, pool: Sequence[Question], rules: Rules) -> Tree:
    """Change the question at one place, forget what hung below it, and let it grow again."""
    place = dice.choice(list(tree))
    kept = {path: each for path, each in tree.items() if path[: len(place)] != place}
    return _grown({**kept, place: dice.choice(pool)}, dice, pool, rules)
