"""The attacks on scores of several owners: what the sum tells of one owner's part.

Each owner bands its own points, and only the sum of the bands is told (docs/adr/0050). Whoever
knows all other parts takes them from it. That complaints tell, too: Bleichenbacher, CRYPTO 1998.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Final, Protocol

from saferoom_attacks.attack import Chance
from saferoom_attacks.wager import Bet, Guess, Wager
from saferoom_proto.statements import Title

AMOUNTS: Final = 20
"""What the attacked owner can know of a firm; a firm has each of them."""
TEMPLATES: Final = 3
"""Scores of one model, each with edges of its own."""
BUDGET: Final = 8
"""Cases that three bits buy: what the attacked owner allows one group of the feature."""
PART: Final = 3
"""Bands of one part."""
OTHERS: Final = 5
"""Bands of the sum of two parts."""


class SumOracle(Protocol):
    """Scores firms, of which each has one of the amounts."""

    @property
    def asked(self) -> int:
        """How many scores were asked for."""
        ...

    def left_over(self, firm: int, template: int) -> int | None:
        """Ask for a sum, and take from it what the owners know that collude; none if refused."""
        ...

    def complains(self, firm: int, shift: int) -> bool:
        """Have one owner add to its share; tells whether the bank says that it comes to no band."""
        ...


def part(oracle: SumOracle, _: Chance) -> list[Guess]:
    """The bank and all owners but one collude: they ask by many edges for what is left over."""
    return _told_apart(
        [
            tuple(oracle.left_over(firm, template) for template in range(TEMPLATES))
            for firm in range(AMOUNTS)
        ]
    )


def liar(oracle: SumOracle, _: Chance) -> list[Guess]:
    """An owner adds to its share, by halving, and learns from complaints what the others sum to."""
    found: list[int] = []
    for firm in range(AMOUNTS):
        least, most = 1, AMOUNTS
        while least < most:
            middle = (least + most) // 2
            least, most = (least, middle) if oracle.complains(firm, middle) else (middle + 1, most)
        found.append(least)
    return _told_apart(found)


def _told_apart(transcripts: Sequence[Hashable]) -> list[Guess]:
    """Name one of the firms of which the same was heard."""
    alike = Counter(transcripts)
    return [Guess(1 / alike[each]) for each in transcripts]


class OpenSums:
    """Adds exact amounts up and charges nothing."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def asked(self) -> int:
        """How many scores were asked for."""
        return self._count

    def left_over(self, firm: int, template: int) -> int | None:
        """Tell in which eighth, or eighth of that, the amount is."""
        self._count += 1
        return firm * 8**template // AMOUNTS

    def complains(self, firm: int, shift: int) -> bool:
        """Complain past the largest amount."""
        self._count += 1
        return firm + shift >= AMOUNTS


def _words(en: str, zh: str) -> Title:
    return Title(en=en, zh=zh)


_on_sums: Final[Callable[..., Wager[SumOracle]]] = Wager

SCORE_ATTACKS: Final[tuple[Wager[SumOracle], ...]] = (
    _on_sums(
        Bet(
            "score-part",
            _words(
                "a bank and all owners but one take their parts from sums by many edges",
                "银行与除一家外的数源单位合谋, 从多组分界的合计中减去己方部分",
            ),
            1 / AMOUNTS,
            BUDGET / AMOUNTS,
            _words("the feature's budget", "该特征的预算"),
            _words("budgets", "预算"),
        ),
        part,
        lambda _: OpenSums(),
    ),
    _on_sums(
        Bet(
            "score-liar",
            _words(
                "an owner adds to its share, and listens for complaints",
                "一家数源单位虚报份额, 并观察银行是否申诉",
            ),
            1 / AMOUNTS,
            OTHERS / AMOUNTS,
            _words("the bands of the others' sum", "其余部分合计的分档数"),
            _words("bands: exact points are added up", "分档: 直接相加精确分值"),
        ),
        liar,
        lambda _: OpenSums(),
    ),
)
