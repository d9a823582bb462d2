"""Bands of the rows held out, with noise; made in the child that fits, and exact nowhere else."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from saferoom_enclaves.children.fit_jobs import NoisyBandMade
from saferoom_enclaves.columns import Floats
from saferoom_enclaves.statistics.laplace import blurred
from saferoom_models.arrays import Integers
from saferoom_models.pooled.bands import count_bands
from saferoom_models.pooled.rows import Parts
from saferoom_proto.fit_bands import MOST_BANDS, STEP, BandNoise

_STEPS: Final = int(1 / STEP)


def noisy_bands(
    log_odds: Floats, labels: Integers, parts: Parts, epsilon: Decimal
) -> tuple[NoisyBandMade, ...]:
    """Count the rows held out by bands of their scores, and add noise to every number.

    Args:
        log_odds: of all rows.
        labels: 0 and 1.
        parts: which rows are held out.
        epsilon: what all of it may tell of one of them.

    Raises:
        SafeRoomError: `INTERNAL` if OpenDP reckons more than epsilon.
    """
    counted = count_bands(log_odds, labels, parts, most=MOST_BANDS, steps=_STEPS)
    noise = BandNoise.of(epsilon)
    many = len(counted.events)
    counts = blurred([*counted.events.tolist(), *counted.others.tolist()], noise.counts)
    foretold = blurred(counted.foretold.tolist(), noise.foretold)
    return tuple(
        NoisyBandMade(events=events, others=others, foretold=risks)
        for events, others, risks in zip(counts[:many], counts[many:], foretold, strict=True)
    )
