"""Bands of a model's card: rows held out by their scores, with noise, and what follows of them.

A band holds two counts and one sum, which have their noise (ADR 48 and 52). Bad rates, lift, points
of the ROC and the error of calibration are made of those, so they tell no more; whoever reads a
card reckons them, and none contradicts another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.training import MOST_ROWS
from saferoom_proto.tables.privacy import Noise

MOST_BANDS: Final = 10
"""Deciles, as a bank's validators read them."""
_FAMILIES: Final = 2
_CELLS_TOUCHED: Final = 2
"""Who changes leaves one cell and joins another."""
STEP: Final = Decimal("0.001")
"""In what steps foretold risks are added up: far finer than the noise of their sums."""

Thousandths = Annotated[str, StringConstraints(pattern=r"^(0\.[0-9]{3}|1\.000)$")]
"""A share, rounded to 0.001."""


@dataclass(frozen=True, slots=True)
class BandNoise:
    """The noise of all bands of one model: of the counts, and of the sums of foretold risks."""

    counts: Noise
    foretold: Noise

    @classmethod
    def of(cls, epsilon: Decimal) -> Self:
        """Divide epsilon evenly, as tables do: both are told together.

        A row that changes leaves one band and joins another: two counts alter by one, and two sums
        by a risk of at most 1.
        """
        part = Fraction(epsilon) / _FAMILIES
        risks = int(_CELLS_TOUCHED / STEP)
        return cls(Noise(Decimal(1), _CELLS_TOUCHED, part), Noise(STEP, risks, part))


def measured_noise(epsilon: Decimal) -> Noise:
    """Say what noise counts of a joint model's rows held out have: all of epsilon is theirs.

    The label is the label side's own, so a row that changes leaves one count and joins another.
    """
    return Noise(Decimal(1), _CELLS_TOUCHED, Fraction(epsilon))


@dataclass(frozen=True, slots=True)
class NoisyBand:
    """Numbers of one band that have their noise, in steps; any of them may be below nothing."""

    events: int
    others: int
    foretold: int

    def __add__(self, more: NoisyBand) -> NoisyBand:
        """Give two neighbours as one."""
        return NoisyBand(
            self.events + more.events, self.others + more.others, self.foretold + more.foretold
        )


class ToldBand(Part):
    """A band of a card.

    Attributes:
        events: rows held out with the event.
        others: without it.
        foretold: the mean risk that the model foretells them.
    """

    events: Annotated[int, Field(ge=1, le=2 * MOST_ROWS)]
    others: Annotated[int, Field(ge=1, le=2 * MOST_ROWS)]
    foretold: Thousandths

    @property
    def rows(self) -> int:
        """All of them."""
        return self.events + self.others

    @property
    def rate(self) -> float:
        """The share with the event."""
        return self.events / self.rows


ToldBands = Annotated[tuple[ToldBand, ...], Field(max_length=MOST_BANDS)]
"""The riskiest first. None where too few rows are held out for two."""


def told_bands(bands: Sequence[NoisyBand], noise: Noise, least: int) -> tuple[ToldBand, ...]:
    """Join neighbours until each holds enough of both labels, by the numbers that have their noise.

    No number without noise decides, so which bands there are tells no more than the numbers do.

    Args:
        bands: the riskiest first.
        noise: of the counts.
        least: rows of each label that a band truly has, but for one number in forty.
    """
    made = list[tuple[NoisyBand, int]]()
    joined, singles = NoisyBand(0, 0, 0), 0
    for each in bands:
        joined, singles = joined + each, singles + 1
        if _is_enough(joined, noise, least, singles):
            made.append((joined, singles))
            joined, singles = NoisyBand(0, 0, 0), 0
    # What is left over is too little by itself: it joins its neighbour, and if that is too little
    # by then, for noise can take away, the next.
    while singles and made:
        before, count = made.pop()
        joined, singles = before + joined, count + singles
        if _is_enough(joined, noise, least, singles):
            made.append((joined, singles))
            break
    return tuple(_told(band) for band, _ in made) if len(made) > 1 else ()


def _is_enough(band: NoisyBand, noise: Noise, least: int, singles: int) -> bool:
    return min(band.events, band.others) >= needed(noise, least, singles)


def needed(noise: Noise, least: int, singles: int) -> int:
    """Say how many of a label a band of so many joined ones is to have by its noisy numbers."""
    return least + math.ceil(float(noise.margin_of_error) * math.sqrt(singles))


def require_told(bands: tuple[ToldBand, ...], epsilon: Decimal, least: int) -> None:
    """Refuse with `BAD_PROOF` bands that are fewer, or smaller, than an enclave tells."""
    fewest = needed(BandNoise.of(epsilon).counts, least, 1)
    small = any(min(each.events, each.others) < fewest for each in bands)
    if small or len(bands) == 1:
        raise SafeRoomError(Reason.BAD_PROOF, "the card has bands of too few rows")


def _told(band: NoisyBand) -> ToldBand:
    mean = Decimal(band.foretold) * STEP / (band.events + band.others)
    foretold = f"{min(max(mean, Decimal(0)), Decimal(1)).quantize(STEP):.3f}"
    return ToldBand(events=band.events, others=band.others, foretold=foretold)


@dataclass(frozen=True, slots=True)
class Curve:
    """What follows of a card's bands.

    Attributes:
        bands: as the card tells them, the riskiest first; two or more.
    """

    bands: tuple[ToldBand, ...]

    @property
    def rate(self) -> float:
        """The share with the event of all bands together."""
        return self._events / self._rows

    @property
    def lifts(self) -> tuple[float, ...]:
        """How many times the rate of all a band's rate is."""
        return tuple(each.rate / self.rate for each in self.bands)

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """Points of the ROC at bands' edges: shares of the others and of the events so far.

        There is no point at a row.
        """
        events = accumulate(each.events for each in self.bands)
        others = accumulate(each.others for each in self.bands)
        whole = self._rows - self._events
        shares = zip(others, events, strict=True)
        return ((0.0, 0.0), *((a / whole, b / self._events) for a, b in shares))

    @property
    def calibration_error(self) -> float:
        """How far rates are from what was foretold, by rows (expected calibration error)."""
        apart = (each.rows * abs(each.rate - float(each.foretold)) for each in self.bands)
        return sum(apart) / self._rows

    @property
    def ks(self) -> float:
        """The largest distance of both shares at an edge: of single rows it may be larger."""
        return max(abs(a - b) for a, b in self.points)

    def lines(self) -> Iterator[tuple[ToldBand, float, tuple[float, float]]]:
        """Give each band with its lift and the point of the ROC where it ends."""
        return zip(self.bands, self.lifts, self.points[1:], strict=True)

    @property
    def _events(self) -> int:
        return sum(each.events for each in self.bands)

    @property
    def _rows(self) -> int:
        return sum(each.rows for each in self.bands)
