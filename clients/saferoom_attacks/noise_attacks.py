"""The attacks on tables with noise: what each asks for, and what it makes of the numbers.

Whoever knows all but one firm's flag, and how wide noise is, knows what each number speaks for:
that is what differential privacy bounds. Sources: Asghar and Kaafar, PETS 2020 (averaging);
Denning, Denning and Schwartz, 1979 (differencing); Dinur and Nissim, PODS 2003 (reconstruction);
Kairouz, Oh and Viswanath, ICML 2015 (what a guess may gain by an epsilon).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_attacks.ask import ALLIES, BANK, RIVALS
from saferoom_attacks.attack import Chance
from saferoom_attacks.blurred import (
    BLURRED,
    CROP,
    GUILD,
    HOUSE,
    IN_BLOCK,
    LANE,
    LISTED,
    STREET,
    Blur,
    HomeBlur,
    NoiseOracle,
    blurred_rows,
)
from saferoom_attacks.books import Book, Row
from saferoom_attacks.table_ask import Plan, Sheet
from saferoom_attacks.wager import Bet, Guess, Wager, posterior
from saferoom_proto.statements import Title
from saferoom_proto.statements.aggregate import Privacy
from saferoom_proto.tables.rules import MOST_ANSWERS

CAP: Final = Decimal(3)
"""Of all plans: the least cap of what was told holds for what follows."""
ONE, HALF = Decimal(1), Decimal("0.5")
_PRIOR: Final = 0.5
_FEWEST_PLANS, _MOST_PLANS = 10, 40
"""How many the cap is tried with: each is a template that is proposed and approved."""
_WIDEST: Final = 400
"""How far noise is followed: a hundred times its width."""

Floats = NDArray[np.float64]


def _plan(
    *margins: tuple[Book, ...], epsilon: Decimal, number: int = 0, common: bool = True
) -> Plan:
    columns = tuple(book for book in BLURRED if any(book in margin for margin in margins))
    privacy = Privacy(epsilon=epsilon, cap=CAP)
    return Plan(columns, 1, only=margins, privacy=privacy, number=number, common=common)


_BLOCKS: Final = (STREET, HOUSE, LISTED)
_LANES: Final = (LANE, HOUSE, LISTED)


def averaging(oracle: NoiseOracle, _: Chance) -> list[Guess]:
    """Four banks ask for the same tables as often as they may, and put all of them together."""
    plan = _plan(_BLOCKS, epsilon=ONE)
    banks = (BANK, *RIVALS[:3])
    told = [oracle.tell(bank, plan) for bank in banks for _ in range(MOST_ANSWERS)]
    return _informed(oracle, [(plan, sheet) for sheet in told])


def groups(oracle: NoiseOracle, _: Chance) -> list[Guess]:
    """Three groups ask for two plans of the same cells, and pool what they are told."""
    plans = [_plan(_BLOCKS, epsilon=ONE, number=number) for number in (1, 2)]
    told = [(plan, oracle.tell(bank, plan)) for bank in RIVALS[:3] for plan in plans]
    return _informed(oracle, told)


def splitting(oracle: NoiseOracle, chance: Chance) -> list[Guess]:
    """Two banks of one group ask by ever more plans of the same cells, taking turns."""
    plans = [
        _plan(_BLOCKS, epsilon=HALF, number=10 + number)
        for number in range(min(_MOST_PLANS, max(_FEWEST_PLANS, chance.rounds)))
    ]
    told = [(plan, oracle.tell(ALLIES[at % 2], plan)) for at, plan in enumerate(plans)]
    return _informed(oracle, told)


def differencing(oracle: NoiseOracle, _: Chance) -> list[Guess]:
    """Subtract tables without the targets from tables with them, knowing nobody's flag."""
    plans = [_plan(each, epsilon=HALF, number=50) for each in (_BLOCKS, _LANES)]
    sheets = [oracle.tell(BANK, plan) for plan in plans]
    if not all(sheets):
        return [Guess(_PRIOR, 0.0) for _ in _targets(oracle.firms)]
    odds = _of_differences(*(oracle.width(plan) for plan in plans))
    guesses: list[Guess] = []
    for firm in _targets(oracle.firms):
        nats = 0.0
        for flag in (0, 1):
            numbers = [
                sheet[_named(margin), (firm["street"], firm["house"], flag)]
                for sheet, margin in zip(sheets, (_BLOCKS, _LANES), strict=True)
            ]
            speaks = odds(int(numbers[0] - numbers[1]))
            nats += speaks if flag else -speaks
        guesses.append(_guess(nats, firm["listed"]))
    return guesses


def reconstruction(oracle: NoiseOracle, _: Chance) -> list[Guess]:
    """Solve many noisy counts of pairs of columns for every firm's flag, by least squares."""
    pairs = list(combinations((STREET, HOUSE, GUILD, CROP), 2))
    plan = _plan(*((*pair, LISTED) for pair in pairs), epsilon=ONE)
    sheet, firms = oracle.tell(BANK, plan), oracle.firms
    rows: list[Floats] = []
    sums: list[float] = []
    for (names, codes), number in sheet.items():
        columns = zip(names[:-1], codes[:-1], strict=True)
        within = np.ones(len(firms))
        for name, code in columns:
            within *= [float(firm[name] == code) for firm in firms]
        # Of those that are not listed there are the others.
        rows.append(within)
        sums.append(number if codes[-1] else within.sum() - number)
    if not rows:
        return [Guess(_PRIOR) for _ in firms]
    solved = np.linalg.lstsq(np.array(rows), np.array(sums), rcond=None)[0]
    said = zip(solved.tolist(), firms, strict=True)
    return [Guess(float((flag > _PRIOR) == bool(firm["listed"]))) for flag, firm in said]


def _informed(oracle: NoiseOracle, told: Sequence[tuple[Plan, Sheet]]) -> list[Guess]:
    """Guess a target's flag, knowing the others' of its block."""
    # Numbers that are equal cell by cell are the same noise, and speak once.
    known = {tuple(sorted(sheet.items())): (plan, sheet) for plan, sheet in told if sheet}
    names, firms = _named(_BLOCKS), oracle.firms
    guesses: list[Guess] = []
    for at, firm in enumerate(firms):
        if at % IN_BLOCK:
            continue
        others = sum(each["listed"] for each in firms[at + 1 : at + IN_BLOCK])
        nats = 0.0
        for plan, sheet in known.values():
            block, width = (firm["street"], firm["house"]), oracle.width(plan)
            listed = sheet[names, (*block, 1)] - others
            not_so = sheet[names, (*block, 0)] - (IN_BLOCK - 1 - others)
            nats += (abs(listed) - abs(listed - 1) + abs(not_so - 1) - abs(not_so)) / width
        guesses.append(_guess(nats, firm["listed"]))
    return guesses


def _guess(nats: float, truth: int) -> Guess:
    if not nats:
        return Guess(_PRIOR, 0.0)
    return Guess(float((nats > 0) == bool(truth)), abs(nats))


def _of_differences(one: float, other: float) -> Callable[[int], float]:
    """Give what a difference of two noisy counts speaks for: that there is one more, or not."""
    steps = np.abs(np.arange(-_WIDEST, _WIDEST + 1))
    chances: Floats = np.convolve(np.exp(-steps / one), np.exp(-steps / other))
    chances += np.finfo(np.float64).tiny

    def speaks(difference: int) -> float:
        at = min(max(difference + 2 * _WIDEST, 1), len(chances) - 1)
        return math.log(chances[at - 1] / chances[at])

    return speaks


def _targets(firms: Sequence[Row]) -> Iterable[Row]:
    return firms[::IN_BLOCK]


def _named(margin: Sequence[Book]) -> tuple[str, ...]:
    return tuple(book.name for book in margin)


def _words(en: str, zh: str) -> Title:
    return Title(en=en, zh=zh)


def _noise(
    play: Callable[[NoiseOracle, Chance], list[Guess]],
    *,
    name: str,
    title: Title,
    epsilon: Decimal,
    why: Title,
    blur: Blur,
    lacks: Title,
) -> Wager[NoiseOracle]:
    allowed = posterior(float(epsilon), _PRIOR)
    bet = Bet(f"noise-{name}", title, _PRIOR, allowed, why, lacks)
    return Wager(bet, play, lambda chance: HomeBlur(blurred_rows(chance.seed), blur, chance.seed))


NOISE_ATTACKS: Final = (
    _noise(
        averaging,
        name="averaging",
        title=_words(
            "four banks ask for the same tables eighty times", "四家银行对同一组表查询八十次"
        ),
        epsilon=ONE,
        why=_words("one plan's epsilon", "一个方案的 epsilon"),
        blur=Blur(anew=True),
        lacks=_words("noise is made anew for each answer", "每次作答重新加噪"),
    ),
    _noise(
        groups,
        name="groups",
        title=_words(
            "three groups pool two plans of the same cells", "三个集团汇总同一批单元格的两个方案"
        ),
        epsilon=2 * ONE,
        why=_words("what the distinct plans add up to", "各不相同方案的 epsilon 之和"),
        blur=Blur(for_each=True),
        lacks=_words("noise is made for each bank", "为每家银行分别加噪"),
    ),
    _noise(
        splitting,
        name="splitting",
        title=_words(
            "two banks of a group ask by ever more plans", "同一集团两家银行以越来越多方案查询"
        ),
        epsilon=CAP,
        why=_words("the cap of a group", "集团的上限"),
        blur=Blur(),
        lacks=_words("no ledger of epsilon", "没有 epsilon 账本"),
    ),
    _noise(
        differencing,
        name="differencing",
        title=_words(
            "subtracts tables without the targets from tables with them",
            "以含目标的表减去不含目标的表",
        ),
        epsilon=2 * HALF,
        why=_words("what the two plans add up to", "两个方案的 epsilon 之和"),
        blur=Blur(fixed=0.01),
        lacks=_words("no noise", "没有噪声"),
    ),
    _noise(
        reconstruction,
        name="reconstruction",
        title=_words(
            "solves 744 noisy counts for every firm's flag", "由 744 个加噪计数求解每家企业的标志"
        ),
        epsilon=ONE,
        why=_words("the plan's epsilon", "方案的 epsilon"),
        blur=Blur(fixed=0.5),
        lacks=_words("noise is as wide for many numbers as for one", "数目再多噪声也不加宽"),
    ),
)
"""In the order in which they run: all of them ask about the same records, within one cap."""
