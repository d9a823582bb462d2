"""A bank that invents what it adds, so as to have all look where few rows of others lie."""

from __future__ import annotations

import numpy as np

from saferoom_models.horizontal.messages import Kind, write
from saferoom_models.horizontal.sums import MOMENT_BITS, own_moments
from saferoom_models.horizontal.unmasking import read_words, write_words
from tests.models.federated import Federation, draw_rows, federation, key_of, name_of
from tests.models.test_federated_attacks import body_of, due


def test_moments_that_make_a_column_a_count_of_few_rows_get_that_column_from_nobody() -> None:
    """A bank invents what it adds: the mean lies above all rows but one, the scale is tiny."""
    edges = np.sort(np.concatenate([draw_rows(2000, 7 + at)[0][:, 0] for at in range(2)]))
    for steered in (False, True):
        made = federation((2000,) * 3)
        made.until(0, Kind.MASKED)
        if steered:
            steer(made, float(edges[-2:].mean()) / 6)
        while made.aggregator.round < 2:
            made.step()
        fit = made.aggregator.fit
        assert fit is not None
        assert (fit.scaling.scales[0] < 1e-2) is steered
        assert fit.scaling.scales[0] > 0
        for place in range(2):
            bank = made.banks[name_of(place)]
            own = bank._held(fit.scaling)[0][:, :-1]
            assert own.any(axis=0).tolist() == [not steered, True, True]
            assert [each.place for each in bank.findings] == ["income"] * steered


def steer(made: Federation, edge: float) -> None:
    """Have the third bank's moments bring the sum's first column to an edge, the others to theirs.

    It knows the others' sums, as from a training before.
    """
    rows, every = 100_000, [own_moments(bank._rows) for bank in made.banks.values()]
    others, own = (each.view(np.int64) for each in (every[0] + every[1], every[2]))
    wanted = others + own
    wanted[1], wanted[2] = rows, rows // 2
    for column, (mean, spread) in enumerate(((edge, 4e-6), (0.0, 0.03), (0.0, 1.0))):
        powers = (
            mean,
            mean**2 + spread,
            mean**3 + 3 * mean * spread,
            mean**4 + 6 * mean**2 * spread + spread**2,
        )
        for power, value in enumerate(powers):
            wanted[3 + 3 * power + column] = round(value * rows * 2.0**MOMENT_BITS)
    wanted[0] = others[0] + own[0]
    liar = made.banks[name_of(2)]
    words = read_words(body_of(liar.waiting)) - every[2] + (wanted - others).view(np.uint64)
    liar.waiting = write(due(made), Kind.MASKED, 2, write_words(words), key_of(2))
