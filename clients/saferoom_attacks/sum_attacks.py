"""The attacks on sums over owners: what one of four owners has, of whom only the total is told.

A bank wants one owner's own numbers. It looks at that owner's shares, asks the owner alone, and
asks for the sum without it. Differencing: Denning, Denning and Schwartz, 1979; sums over sets that
differ by one: So et al., AAAI 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from saferoom_attacks.ask import ALLIES, BANK
from saferoom_attacks.attack import Chance
from saferoom_attacks.offices import (
    OTHERS,
    OWNERS,
    TARGET,
    VALUES,
    Counts,
    HomeSums,
    Place,
    SumOracle,
    figures_of,
)
from saferoom_attacks.wager import Bet, Guess, Wager
from saferoom_proto.shares import MODULUS
from saferoom_proto.statements import Title

_STRETCH: Final = 1000
"""A share that is no farther from nothing was not hidden: of uniform ones so few are, one in
10**35."""


def shares(oracle: SumOracle, chance: Chance) -> list[Guess]:
    """Ask for the sum, and look at the target's shares."""
    told = oracle.add_up(BANK, OWNERS)
    if told is None:
        return _by_total(None, chance, {})
    return _by_total(told.total, chance, _bare(told.shares[TARGET]))


def _bare(hidden: Mapping[Place, int]) -> Counts:
    """Give the figures behind shares, if they are not hidden, or all by one number."""
    for mask in (0, next(iter(hidden.values()))):
        found = {place: _signed(share - mask) for place, share in hidden.items()}
        if max(map(abs, found.values())) < _STRETCH:
            # By one number: of so many cells one has no firm.
            least = min(found.values()) if mask else 0
            return {place: float(each - least) for place, each in found.items()}
    return {}


def _signed(share: int) -> int:
    within = share % MODULUS
    return within if within < MODULUS // 2 else within - MODULUS


def alone(oracle: SumOracle, chance: Chance) -> list[Guess]:
    """Ask for the sum, and for the tables of the target alone."""
    told = oracle.add_up(BANK, OWNERS)
    own = oracle.alone(BANK, TARGET)
    return _by_total(None if told is None else told.total, chance, own or {})


def fewer(oracle: SumOracle, chance: Chance) -> list[Guess]:
    """Ask for the sum, and have a bank of another group ask for the sum of all but the target."""
    told, rest = oracle.add_up(BANK, OWNERS), oracle.add_up(ALLIES[0], OTHERS)
    if told is None or rest is None:
        return _by_total(None if told is None else told.total, chance, {})
    left = {place: number - rest.total[place] for place, number in told.total.items()}
    return _by_total(told.total, chance, left)


def _by_total(total: Counts | None, chance: Chance, seen: Counts) -> list[Guess]:
    """Guess the target's figure in each cell by what was seen of it, else by the total alone."""
    guesses: list[Guess] = []
    for place, truth in figures_of(chance.seed)[TARGET].items():
        if place in seen:
            likely = [min(max(round(seen[place]), 0), VALUES - 1)]
        elif total is None:
            likely = list(range(VALUES))
        else:
            likely = _likeliest(min(max(round(total[place]), 0), len(_WAYS_OF_ALL) - 1))
        guesses.append(Guess((truth in likely) / len(likely)))
    return guesses


def _ways(owners: int) -> list[int]:
    """Give in how many ways so many owners' figures make each total."""
    ways = np.ones(1, dtype=np.int64)
    for _ in range(owners):
        ways = np.convolve(ways, np.ones(VALUES, dtype=np.int64))
    return [int(each) for each in ways]


_WAYS_OF_OTHERS: Final = _ways(len(OTHERS))
_WAYS_OF_ALL: Final = _ways(len(OWNERS))


def _of_rest(total: int, figure: int) -> int:
    """Give in how many ways the others' figures make what is left."""
    left = total - figure
    return _WAYS_OF_OTHERS[left] if 0 <= left < len(_WAYS_OF_OTHERS) else 0


def _likeliest(total: int) -> list[int]:
    """Give the target's figures that most ways to a total have."""
    ways = [_of_rest(total, figure) for figure in range(VALUES)]
    return [figure for figure, each in enumerate(ways) if each == max(ways)]


def _by_exact_totals() -> float:
    """Reckon how often one is right who knows the exact total of each cell, and nothing else."""
    best = sum(
        max(_of_rest(total, figure) for figure in range(VALUES))
        for total in range(len(_WAYS_OF_ALL))
    )
    return best / VALUES ** len(OWNERS)


def _words(en: str, zh: str) -> Title:
    return Title(en=en, zh=zh)


def _sum(
    play: Callable[[SumOracle, Chance], list[Guess]],
    *,
    name: str,
    title: Title,
    lacks: Title,
    hides: bool = True,
    apart: bool = True,
) -> Wager[SumOracle]:
    why = _words("what the exact total tells", "确切合计所透露的")
    bet = Bet(f"sum-{name}", title, 1 / VALUES, _by_exact_totals(), why, lacks)
    return Wager(bet, play, lambda chance: HomeSums(chance.seed, hides=hides, apart=apart))


SUM_ATTACKS: Final = (
    _sum(
        shares,
        name="shares",
        title=_words("looks at the shares of one owner", "查看一个数源单位的份额"),
        lacks=_words("shares are the owners' numbers", "份额即各单位的数字"),
        hides=False,
    ),
    _sum(
        alone,
        name="alone",
        title=_words("asks for the sum, and one owner's own tables", "先问合计, 再问单个单位的表"),
        lacks=_words("tables alone are told beside sums", "合计之外另给单独的表"),
        apart=False,
    ),
    _sum(
        fewer,
        name="fewer",
        title=_words("subtracts the sum without one owner", "减去不含一个单位的合计"),
        lacks=_words(
            "sums of other owners are told of the same records", "同一批记录给出其他单位组合的合计"
        ),
        apart=False,
    ),
)
"""In the order in which they run: all of them ask about the same records."""
