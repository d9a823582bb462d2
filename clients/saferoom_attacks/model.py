"""The gate's rules as an attacker has them at home, each of which can be switched off.

The source is open, so an attacker has a gate to try its questions on (QuerySnout likewise runs the
system that it attacks). With every rule on it answers as the room does, which the suite checks
against the room; with one off it is that rule's control.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from itertools import groupby
from math import prod
from typing import Final

from saferoom_attacks.ask import ALL, Question, Row, Rules, Told, Trick, group_of, least
from saferoom_attacks.firms import (
    ATTEMPTS,
    CHECKS,
    FAMILY_BITS,
    MIDDLE,
    OFFERS,
    Offer,
    Record,
    values_of,
)
from saferoom_proto.answer import Truth
from saferoom_proto.formula import (
    NULL,
    Bound,
    Cut,
    FeatureKind,
    FeatureRef,
    FeatureShape,
    bind,
    cuts,
    evaluate,
    parse_formula,
    stated,
)
from saferoom_proto.reasons import Reason, SafeRoomError

_BY_REF: Final[dict[FeatureRef, Offer]] = {offer.ref: offer for offer in OFFERS}
_ANSWERS: Final = {True: Truth.YES, False: Truth.NO, None: Truth.NOT_FOUND}
Asked = dict[tuple[FeatureRef, int], frozenset[Cut]]
"""By feature and period, what was asked of one subject."""


class GateModel:
    """Answers and refuses as a room does whose rules are these.

    Args:
        firms: by their codes, what the store holds.
        rules: which are on.
    """

    def __init__(self, firms: Mapping[str, Record], rules: Rules = ALL) -> None:
        self._firms: Final = firms
        self._rules: Final = rules
        self._accounts: Final[dict[tuple[str, str], Asked]] = {}
        self._moves: Final[Counter[str]] = Counter()
        self._period = 0
        self._count = 0

    @property
    def rules(self) -> Rules:
        """Give the rules that are on."""
        return self._rules

    @property
    def asked(self) -> int:
        """How many questions were asked."""
        return self._count

    @property
    def cut(self) -> int:
        """Nobody hangs up on a model."""
        return 0

    def ask(self, bank: str, rows: Sequence[Row]) -> list[Told]:
        """Answer rows, each charged before it is."""
        self._count += len(rows)
        return [self._judge(bank, subject, question) for subject, question in rows]

    def hang_up(self, bank: str, rows: Sequence[Row]) -> list[Told | None]:
        """Answer, and charge only where the rule is on."""
        self._count += len(rows)
        charged = self._rules.before
        return [self._judge(bank, *row, charged=charged) for row in rows]

    def at_once(self, banks: Sequence[str], rows: Sequence[Row]) -> list[tuple[Row, Told]]:
        """Answer one after the other, or all by the account as it was before any of them."""
        self._count += len(banks) * len(rows)
        charged = self._rules.alone
        return [(row, self._judge(each, *row, charged=charged)) for each in banks for row in rows]

    def trick(self, trick: Trick, rows: Sequence[Row]) -> list[Told]:
        """Answer whatever is asked if nobody minds the entry."""
        if self._rules.entry:
            return [Reason.NOT_ALLOWED for _ in rows]
        return self.ask(trick, rows)

    def forge(self, subject: str) -> list[Told]:
        """Answer a server that nobody checks."""
        return self.trick(Trick.OWN_NAME, [(subject, least(MIDDLE))])

    def next_period(self) -> None:
        """Open the next period."""
        self._period += 1

    def regroup(self, bank: str) -> None:
        """Let a bank's next agreement name another group."""
        self._moves[bank] += 1

    def charged_cells(self, subject: str) -> dict[str, int]:
        """Give by group the cells it was charged for about a subject."""
        return {
            group: prod(_price(ref, asked) for (ref, _), asked in account.items())
            for (group, about), account in self._accounts.items()
            if about == subject
        }

    def _judge(self, bank: str, subject: str, question: Question, *, charged: bool = True) -> Told:
        fine = not self._rules.grid
        try:
            asked = asked_by(question, fine=fine)
        except SafeRoomError as refused:
            return refused.reason
        if charged and not self._charge(bank, subject, asked):
            return Reason.OVER_BUDGET
        return answer(question, self._firms[subject], fine=fine)

    def _charge(self, bank: str, subject: str, asked: Mapping[FeatureRef, frozenset[Cut]]) -> bool:
        holder = group_of(bank) if self._rules.groups else f"{bank} {self._moves[bank]}"
        account = self._accounts.setdefault((holder, subject), {})
        after = dict(account)
        for ref, cut in asked.items():
            key = (ref, self._period)
            after[key] = account.get(key, frozenset()) | cut
        if self._rules.attempts and attempts_in(after) > ATTEMPTS:
            return False
        if self._rules.budgets and not affordable(after, cap=self._rules.cap):
            return False
        account.update(after)
        return True


def attempts_in(account: Asked) -> int:
    """Count the values that were stated, those stated again in another period again."""
    kinds = ((_BY_REF[ref].kind, asked) for (ref, _), asked in account.items())
    return sum(len(asked - {NULL}) for kind, asked in kinds if kind is FeatureKind.STATED)


def affordable(account: Asked, *, cap: bool = True) -> bool:
    """Tell whether an account stays within the budgets and, if it counts, the family's cap."""
    prices = {key: _price(key[0], asked) for key, asked in account.items()}
    if any(cells > _BY_REF[ref].budget_cells for (ref, _), cells in prices.items()):
        return False
    if not cap:
        return True
    families = sorted((_BY_REF[ref].family, cells) for (ref, _), cells in prices.items())
    return all(
        prod(cells for _, cells in each) <= 1 << FAMILY_BITS
        for _, each in groupby(families, key=lambda one: one[0])
    )


@cache
def bound_question(question: Question, *, fine: bool = False) -> Bound:
    """Put a question's parameters on the grids, or on grids of every amount there is."""
    return bind(parse_formula(CHECKS[question.template]), dict(question.params), _shapes(fine))


@cache
def stated_in(question: Question) -> dict[FeatureRef, str]:
    """Give which values a question states, in their form."""
    return stated(parse_formula(CHECKS[question.template]), dict(question.params), _shapes(False))


def asked_by(question: Question, *, fine: bool = False) -> dict[FeatureRef, frozenset[Cut]]:
    """Give what a question asks of each feature; a stated value counts by its number."""
    asked = cuts(bound_question(question, fine=fine))
    return asked | {ref: frozenset({int(said)}) for ref, said in stated_in(question).items()}


def answer(question: Question, record: Record, *, fine: bool = False) -> Told:
    """Answer a question about a record, whatever it costs."""
    cells, values = dict(cells_of(record, fine=fine)), values_of(record)
    for ref, said in stated_in(question).items():
        held = values[ref]
        cells[ref] = None if held is None else int(said == held)
    return _ANSWERS[evaluate(bound_question(question, fine=fine), cells)]


@cache
def cells_of(record: Record, *, fine: bool = False) -> dict[FeatureRef, int | None]:
    """Give the cells that a record's values are in."""
    values = values_of(record)
    return {ref: _cell(shape, values[ref]) for ref, shape in _shapes(fine).items()}


@cache
def _shapes(fine: bool) -> dict[FeatureRef, FeatureShape]:
    return {offer.ref: offer.shape(fine=fine) for offer in OFFERS}


def _cell(shape: FeatureShape, value: Decimal | str | bool | None) -> int | None:
    if value is None:
        return None
    if shape.kind is FeatureKind.ORDERED:
        return sum(cut <= Decimal(value) for cut in shape.grid)
    if shape.kind is FeatureKind.STATED:
        return 0  # held; whether it is what was stated, no cell tells
    return int(value) if isinstance(value, bool) else shape.classes.index(str(value))


def _price(ref: FeatureRef, asked: frozenset[Cut]) -> int:
    return _shapes(False)[ref].cells_told(len(asked - {NULL}))
