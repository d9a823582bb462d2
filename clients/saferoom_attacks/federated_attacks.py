"""The attacks on banks that train together: a server and two of four, after the others' numbers.

Two sums over sets that differ by one bank tell that bank's numbers. So whoever passes messages on
loses one bank's after the first sum, or has all train once with that bank and once without it.
Source: So et al., "Securing secure aggregation: mitigating multi-round privacy leakage in federated
learning", AAAI 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Final, Protocol

from saferoom_attacks.attack import Chance
from saferoom_attacks.wager import Bet, Guess, Wager
from saferoom_proto.statements import Title

BANKS: Final = 4
TARGET: Final = BANKS - 1
HONEST: Final = BANKS - 2
"""The other bank that does not help."""
VALUES: Final = 16
"""Numbers of events that a bank can have, beyond what everybody knows of it."""
_SUMS: Final = 2 * VALUES - 1
"""Different sums of two banks' numbers: so many guesses among all pairs are right."""


class FederatedOracle(Protocol):
    """Lets four banks train, and a server that loses one of them on the way."""

    @property
    def asked(self) -> int:
        """How many trainings there were."""
        ...

    def sums(self, events: Sequence[int]) -> Mapping[frozenset[int], int]:
        """Train, and lose the target after the first sum; gives the sums of events that opened."""
        ...


class SeriesOracle(Protocol):
    """Lets banks train several times over the same rows, those that help the server in all."""

    @property
    def asked(self) -> int:
        """How many trainings there were."""
        ...

    def series(self, events: Sequence[int], sets: Sequence[frozenset[int]]) -> Sequence[int | None]:
        """Train with each of these sets; gives each first sum of events, none where one refuses."""
        ...


def twice(oracle: SeriesOracle, chance: Chance) -> list[Guess]:
    """Train with all four, then without the target; then with the target and without the other."""
    everyone = frozenset(range(BANKS))
    sets = (everyone, everyone - {TARGET}, everyone - {HONEST})
    guesses: list[Guess] = []
    for events in _events(chance):
        of_all, without, with_it = oracle.series(events, sets)
        known = sum(events[:HONEST])
        left = list(range(VALUES))
        if of_all is not None:
            left = [each for each in left if 0 <= of_all - known - each < VALUES]
        if of_all is not None and without is not None:
            left = [of_all - without]
        elif with_it is not None:
            left = [with_it - known]
        guesses.append(Guess(1 / len(left)))
    return guesses


def thrice(oracle: SeriesOracle, chance: Chance) -> list[Guess]:
    """Train three times so that no two sets are near: the sums add up to twice the target's.

    It is no attack of the suite: nothing bounds three trainings, and docs/attacks.md says so.
    """
    first, second, third, fourth = (at for at in range(BANKS + 1) if at != TARGET)
    sets = (
        frozenset({TARGET, first, second}),
        frozenset({TARGET, third, fourth}),
        frozenset({first, second, third, fourth}),
    )
    guesses: list[Guess] = []
    for events in _events(chance, BANKS + 1):
        one, other, without = oracle.series(events, sets)
        if one is None or other is None or without is None:
            guesses.append(Guess(1 / VALUES))
        else:
            guesses.append(Guess(float((one + other - without) // 2 == events[TARGET])))
    return guesses


def _events(chance: Chance, banks: int = BANKS) -> Iterator[list[int]]:
    """Give banks' numbers, the target's each of those that there can be."""
    dice = Random(f"federated {chance.seed}")  # noqa: S311 -- an experiment's, to be repeated
    for truth in range(VALUES):
        events = [dice.randrange(VALUES) for _ in range(banks)]
        events[TARGET] = truth
        yield events


def lost(oracle: FederatedOracle, chance: Chance) -> list[Guess]:
    """Lose a bank after the first sum, and subtract the next one from it."""
    guesses: list[Guess] = []
    for events in _events(chance):
        opened = oracle.sums(events)
        everyone = frozenset(range(BANKS))
        left = [
            value
            for value in range(VALUES)
            if 0 <= opened[everyone] - sum(events[:HONEST]) - value < VALUES
        ]
        without = opened.get(everyone - {TARGET})
        if without is not None:
            left = [opened[everyone] - without]
        guesses.append(Guess(1 / len(left)))
    return guesses


class OpenBanks:
    """Have any set of them train, and open any sum that is asked for."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def asked(self) -> int:
        """How many trainings there were."""
        return self._count

    def sums(self, events: Sequence[int]) -> Mapping[frozenset[int], int]:
        """Add up, with the target and without it."""
        self._count += 1
        everyone = frozenset(range(BANKS))
        return {each: sum(events[at] for at in each) for each in (everyone, everyone - {TARGET})}

    def series(self, events: Sequence[int], sets: Sequence[frozenset[int]]) -> Sequence[int | None]:
        """Add up those of each set."""
        self._count += len(sets)
        return [sum(events[at] for at in each) for each in sets]


_on_series: Final[Callable[..., Wager[SeriesOracle]]] = Wager
_on_sets: Final[Callable[..., Wager[FederatedOracle]]] = Wager

FEDERATED_ATTACKS: Final[tuple[Wager[FederatedOracle], ...]] = (
    _on_sets(
        Bet(
            "federated-lost",
            Title(
                en="loses a bank after the first sum, and subtracts the next sum",
                zh="首次求和后丢弃一家银行, 再以两次合计相减",
            ),
            1 / VALUES,
            _SUMS / VALUES**2,
            Title(en="the sum of two banks", zh="两家银行之和"),
            Title(en="sums over sets that differ by one", zh="仅差一家的集合亦可求和"),
        ),
        lost,
        lambda _: OpenBanks(),
    ),
)
SERIES_ATTACKS: Final[tuple[Wager[SeriesOracle], ...]] = (
    _on_series(
        Bet(
            "federated-twice",
            Title(
                en="has the same banks train with the target, and without it",
                zh="使同样的银行先含目标再不含目标各训练一次",
            ),
            1 / VALUES,
            _SUMS / VALUES**2,
            Title(en="the sum of two banks", zh="两家银行之和"),
            Title(en="trainings whose banks differ by one", zh="仅差一家的训练亦可进行"),
        ),
        twice,
        lambda _: OpenBanks(),
    ),
)
