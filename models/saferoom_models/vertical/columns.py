"""Columns made ready: checked, standardised, and brought to whole numbers.

Both sides do this with their own columns, alone. A column is centred, scaled to a standard
deviation of 1, clipped at 8 and kept to 2^-10; from there on that is the column, in products and in
logits alike. What stands out is a `Finding`, which its own side's report shows; it never crosses to
the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical.points import COLUMN_BITS, kept
from saferoom_models.vertical.scheme import MODULUS
from saferoom_models.vertical.sigmoid import RESIDUAL_BITS
from saferoom_models.vertical.terms import Terms

SUPPORT: Final = 50
"""Rows that differ from a column's commonest value: else a gradient's entry
would be a sum over few rows."""
STRONG_CORRELATION: Final = 0.95
GRADIENT_BITS: Final = COLUMN_BITS + RESIDUAL_BITS


class FindingKind(StrEnum):
    """What stands out in columns or in the course of training, and was handled as it says."""

    CONSTANT = "CONSTANT"
    RARE = "RARE"
    CORRELATED = "CORRELATED"
    FEW_EVENTS = "FEW_EVENTS"
    TORN_APART = "TORN_APART"
    NOT_CONVERGED = "NOT_CONVERGED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stood out: its kind, where, and what was done or can be."""

    kind: FindingKind
    place: str
    detail: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A side's columns, ready for training.

    Attributes:
        names: one for each column.
        whole: shape (rows, columns), the columns in units of 2^-10; a column left out is zero.
        means: what was taken off.
        scales: what was divided by; infinite for a column left out.
        findings: what stood out.
    """

    names: tuple[str, ...]
    whole: Integers
    means: Floats
    scales: Floats
    findings: tuple[Finding, ...]

    @property
    def values(self) -> Floats:
        """The columns as real numbers."""
        return self.whole / 2.0**COLUMN_BITS


def prepare(names: Sequence[str], values: Floats) -> Prepared:
    """Check, standardise and round columns.

    Args:
        names: one for each column, all different.
        values: shape (rows, columns); missing values were filled before.

    Raises:
        JointTrainingError: `BAD_COLUMNS`, `NO_SUPPORT` where no column is left.
    """
    if values.ndim != 2 or values.shape[1] != len(names) or len(set(names)) != len(names):  # noqa: PLR2004 -- rows, columns
        raise JointTrainingError(
            Refusal.BAD_COLUMNS, f"{len(names)} names, some twice, or not one a column"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # it is refused below
        means, scales = values.mean(axis=0), values.std(axis=0)
    for place, name in enumerate(names):
        if not bool(np.isfinite(values[:, place]).all()):
            raise JointTrainingError(
                Refusal.BAD_COLUMNS, f"{name}: missing or endless values; fill them before training"
            )
        if not bool(np.isfinite((means[place], scales[place])).all()):
            raise JointTrainingError(
                Refusal.BAD_COLUMNS, f"{name}: values too large to add up; divide them all alike"
            )
    findings: list[Finding] = []
    for place, name in enumerate(names):
        if found := _too_thin(name, values[:, place]):
            findings.append(found)
            scales[place] = np.inf
    if not bool(np.isfinite(scales).any()):
        raise JointTrainingError(Refusal.NO_SUPPORT, "no column is left to train on")
    whole = kept(values, means, scales)
    findings += _correlated(names, whole)
    return Prepared(tuple(names), whole, means, scales, tuple(findings))


def _too_thin(name: str, column: Floats) -> Finding | None:
    _, counts = np.unique(column, return_counts=True)
    others = len(column) - int(counts.max())
    if others == 0:
        return Finding(FindingKind.CONSTANT, name, "left out: the same in all rows")
    if others < SUPPORT:
        return Finding(
            FindingKind.RARE, name, f"left out: fewer than {SUPPORT} rows differ from the rest"
        )
    return None


def _correlated(names: Sequence[str], whole: Integers) -> list[Finding]:
    left = np.flatnonzero(whole.any(axis=0))
    chosen = whole[:, left].astype(np.float64)
    correlation = np.atleast_2d(np.corrcoef(chosen, rowvar=False))
    return [
        Finding(
            FindingKind.CORRELATED,
            f"{names[left[first]]}, {names[left[second]]}",
            f"correlation {correlation[first, second]:.2f}: both are kept and the ridge shares the "
            "weight between them; do not read either weight alone",
        )
        for first, second in zip(*np.triu_indices(len(left), 1), strict=True)
        if abs(float(correlation[first, second])) >= STRONG_CORRELATION
    ]


def check_exact(terms: Terms, whole: Integers, largest_residual: float) -> None:
    """Check that no inner product of these columns with residuals can leave (-T/2, T/2).

    |x·d| <= |x||d| (Cauchy-Schwarz), with |x| as it is and |d| <= sqrt(rows) times the largest
    residual that the split logistic function can give: then arithmetic modulo T is arithmetic on
    integers.

    Raises:
        JointTrainingError: `NOT_EXACT`.
    """
    longest = math.sqrt(float((whole**2).sum(axis=0).max()))
    most = longest * largest_residual * 2**RESIDUAL_BITS * math.sqrt(terms.rows)
    if most >= MODULUS / 2:
        raise JointTrainingError(
            Refusal.NOT_EXACT,
            f"{terms.rows} rows with residuals up to {largest_residual:.2f} could pass half of the "
            "plaintext modulus; take fewer rows or a higher rank",
        )


def largest_gradient(terms: Terms, largest_residual: float) -> float:
    """Say how large an entry of the loss's gradient can be, for standardised columns."""
    # Columns are rounded to 2^-10, so their length can pass sqrt(rows) by that share.
    return terms.rows * largest_residual * (1 + 2.0**-COLUMN_BITS)
