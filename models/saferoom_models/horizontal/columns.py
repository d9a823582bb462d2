"""A bank's own rows made ready: checked, held to the columns' bounds, later brought to one scale.

What is too thin in one bank's rows alone is smoothed there, before anything is summed. What is too
thin in all rows together shows in the sums of the first round, and is left out by every bank alike
(`fit.Scaling`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.horizontal.model import CLIP, Finding, FindingKind
from saferoom_models.horizontal.terms import MOST_OWN_ROWS, SHARE_OF_ROWS, Terms
from saferoom_models.refusals import JointTrainingError, Refusal

OWN_SUPPORT: Final = 10
"""Own rows that differ from a column's commonest value: fewer are taken as that value. Whatever the
others bring to the sum, so few rows of one bank cannot be looked for in it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A bank's rows, ready for the first round.

    Attributes:
        values: shape (rows, columns), each column from -1 at its lower bound to 1 at its upper.
        labels: shape (rows,), 1 for an event, else 0.
        findings: what stood out; it stays with the bank.
    """

    values: Floats
    labels: Integers
    findings: tuple[Finding, ...]


def prepare(terms: Terms, values: Floats, labels: Integers) -> Rows:
    """Check a bank's rows, and bring each column to its bounds.

    Args:
        terms: of the training.
        values: shape (rows, columns), in the terms' order; none missing.
        labels: shape (rows,), 1 for an event, else 0.

    Raises:
        JointTrainingError: `BAD_COLUMNS`, `BAD_LABELS`, `TOO_FEW_ROWS`, `TOO_MANY_ROWS`,
            `TOO_MANY_NUMBERS`.
    """
    if values.ndim != 2 or values.shape[1] != len(terms.columns):  # noqa: PLR2004 -- rows, columns
        raise JointTrainingError(
            Refusal.BAD_COLUMNS, f"the terms name {len(terms.columns)} columns, the rows have not"
        )
    if len(values) < terms.fewest_own_rows:
        raise JointTrainingError(
            Refusal.TOO_FEW_ROWS, f"{len(values)} rows; every bank brings {terms.fewest_own_rows}"
        )
    if len(values) > MOST_OWN_ROWS:
        raise JointTrainingError(
            Refusal.TOO_MANY_ROWS, f"{len(values)} rows; at most {MOST_OWN_ROWS}: take a sample"
        )
    _check_own_numbers(terms, len(values))
    if labels.shape != (len(values),) or not bool(np.isin(labels, (0, 1)).all()):
        raise JointTrainingError(Refusal.BAD_LABELS, "labels are 0 or 1, one for each row")
    ready = np.empty(values.shape, np.float64)
    findings: list[Finding] = []
    for place, column in enumerate(terms.columns):
        own = values[:, place]
        if not bool(np.isfinite(own).all()):
            raise JointTrainingError(
                Refusal.BAD_COLUMNS,
                f"{column.name}: missing or endless values; fill them before training",
            )
        held = np.clip(own, column.low, column.high)
        if cut := int(np.count_nonzero(held != own)):
            findings.append(
                Finding(FindingKind.CUT, column.name, f"{cut} rows beyond the column's bounds")
            )
        held, found = _smooth(column.name, held)
        findings += found
        half = (column.high - column.low) / 2
        ready[:, place] = (held - (column.low + half)) / half
    return Rows(ready, labels.astype(np.int64), tuple(findings))


def _check_own_numbers(terms: Terms, rows: int) -> None:
    """Check that the own numbers alone suffice: how many rows others bring nobody can check."""
    learned = terms.moments_size + terms.rounds * terms.newton_size
    if learned * SHARE_OF_ROWS > rows * (len(terms.columns) + 1):
        raise JointTrainingError(
            Refusal.TOO_MANY_NUMBERS,
            f"{learned} numbers would be learned of {rows} own rows; "
            "bring more, or agree on fewer columns or rounds",
        )


def hold(terms: Terms, standard: Floats) -> tuple[Floats, tuple[Finding, ...]]:
    """Take a standardised column that too few own rows carry, or that is mostly cut, as its mean.

    How all standardise follows from sums to which each bank adds what it likes. One that moves the
    mean to where few rows lie, and makes the scale tiny, turns a column into a count of these rows.

    Args:
        terms: of the training.
        standard: shape (rows, columns + 1), as `fit.Scaling.apply` gives it.
    """
    own = standard[:, :-1]
    squares = (own - own.mean(axis=0)) ** 2
    thin = squares.sum(axis=0) ** 2 < OWN_SUPPORT * (squares**2).sum(axis=0)
    cut = (own**2).mean(axis=0) > CLIP**2 / 2
    held = standard.copy()
    held[:, :-1][:, thin | cut] = 0.0
    seen = f"standardised, fewer than {OWN_SUPPORT} rows carry it, or most are cut; taken as mean"
    findings = (
        Finding(FindingKind.RARE_HERE, column.name, seen)
        for column, left_out in zip(terms.columns, thin | cut, strict=True)
        if left_out
    )
    return held, tuple(findings)


def _smooth(name: str, column: Floats) -> tuple[Floats, list[Finding]]:
    """Take a value that too few own rows have something else than as that value."""
    kinds, counts = np.unique(column, return_counts=True)
    others = len(column) - int(counts.max())
    if others == 0 or others >= OWN_SUPPORT:
        return column, []
    seen = f"{others} rows differ from the rest, fewer than {OWN_SUPPORT}; taken as the rest"
    commonest = float(kinds[counts.argmax()])
    return np.full_like(column, commonest), [Finding(FindingKind.RARE_HERE, name, seen)]
