"""What an attack has learned: accuracy, cells told apart, bits, and what chance cannot explain.

How bits are counted, and why a count of transcripts needs no interval, is in docs/adr/0026.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

BY_CHANCE: Final = 1e-6
"""How likely chance alone may pass a bound on accuracy."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What an attack has of one target.

    Attributes:
        secret: what it is after.
        credit: how likely its guess is right, if it draws among what it holds for possible.
        heard: what it asked and was told, in order.
        transcript: by what targets are told apart: the same, or less.
        cells: cells that the answers can tell apart, where transcripts are no measure of it.
    """

    secret: Hashable
    credit: float
    heard: Sequence[tuple[object, object]]
    transcript: Hashable
    cells: int | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """An attack's result over all of its targets.

    Attributes:
        targets: how many there were.
        right: how many secrets it named, on average over its own dice.
        cells: how many cases it told apart.
        mutual_bits: mutual information of secret and transcript; none where chance, too, decided
            what was told: few samples would show far too much of it.
    """

    targets: int
    right: float
    cells: int
    mutual_bits: float | None

    @property
    def accuracy(self) -> float:
        """The share of secrets that were named."""
        return self.right / self.targets

    @property
    def bits(self) -> float:
        """The bits gained at most: log2 of the cells told apart."""
        return math.log2(self.cells)

    def beats(self, accuracy: float, *, by_chance: bool) -> bool:
        """Tell whether it was more often right than this accuracy allows.

        Args:
            accuracy: the bound.
            by_chance: what was told depended on chance too, and so does this result. Then it has to
                be so far above as chance is not, by Hoeffding's inequality (1963, theorem 1).
        """
        margin = math.sqrt(-math.log(BY_CHANCE) / (2 * self.targets)) if by_chance else _ROUNDING
        return self.accuracy > accuracy + margin


_ROUNDING: Final = 1e-9


def learned(seen: Sequence[Seen], *, by_chance: bool = False) -> Learned:
    """Add up what an attack has of its targets.

    Args:
        seen: of each target.
        by_chance: what was told depended on chance, too.
    """
    counted = [one.cells for one in seen if one.cells is not None]
    pairs = [(one.secret, one.transcript) for one in seen]
    return Learned(
        targets=len(seen),
        right=math.fsum(one.credit for one in seen),
        cells=max(counted) if counted else len({one.transcript for one in seen}),
        mutual_bits=None if counted or by_chance else mutual_bits(pairs),
    )


def mutual_bits(pairs: Sequence[tuple[Hashable, Hashable]]) -> float:
    """Give the mutual information of secret and transcript, in bits, by their frequencies.

    Over records that are all there, each as often as every other, and answers that follow from
    them, this is no estimate from a sample and has no bias: it is the value for a flat prior.
    """
    total = len(pairs)
    secrets = Counter(secret for secret, _ in pairs)
    transcripts = Counter(transcript for _, transcript in pairs)
    return _entropy(secrets, total) + _entropy(transcripts, total) - _entropy(Counter(pairs), total)


def _entropy(counts: Counter[Hashable] | Counter[tuple[Hashable, Hashable]], total: int) -> float:
    return -math.fsum(n / total * math.log2(n / total) for n in counts.values())
