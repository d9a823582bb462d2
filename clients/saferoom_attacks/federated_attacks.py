"""The attack on banks that train together: a server and two of four, after the other two's numbers.

Two sums over sets that differ by one bank tell that bank's numbers. So whoever passes messages on
loses one bank's after the first sum. Source: So et al., "Securing secure aggregation: mitigating
multi-round privacy leakage in federated learning", AAAI 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def lost(oracle: FederatedOracle, chance: Chance) -> list[Guess]:
    """Lose a bank after the first sum, and subtract the next one from it."""
    dice = Random(f"federated {chance.seed}")  # noqa: S311 -- an experiment's, to be repeated
    guesses: list[Guess] = []
    for truth in range(VALUES):
        events = [*(dice.randrange(VALUES) for _ in range(TARGET)), truth]
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


class OpenSets:
    """Opens any sum that it is asked for."""

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
        lambda _: OpenSets(),
    ),
)
