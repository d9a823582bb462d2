"""The course of a training: what was summed so far, over whom, and what follows from it.

Banks and aggregator each keep their own, and come to the same.
"""

from __future__ import annotations

import hashlib

from saferoom_models.horizontal import fit
from saferoom_models.horizontal.masks import Words
from saferoom_models.horizontal.messages import Due, write_set
from saferoom_models.horizontal.sums import read_moments, read_newton
from saferoom_models.horizontal.terms import Terms
from saferoom_models.refusals import JointTrainingError, Refusal


def check_set(terms: Terms, before: int, now: int, *, summed: bool) -> None:
    """Check that a round's sum over these banks may be opened.

    Args:
        terms: of the training.
        before: the banks behind the last sum, or all.
        now: the banks behind this one.
        summed: whether there was a sum before.

    Raises:
        JointTrainingError: `TOO_FEW_MEMBERS`, `LEFT_OUT`, `NEAR_SETS`.
    """
    if now & ~before:
        raise JointTrainingError(Refusal.LEFT_OUT, "a bank that was left out does not come back")
    if now.bit_count() < terms.threshold:
        raise JointTrainingError(
            Refusal.TOO_FEW_MEMBERS,
            f"{now.bit_count()} banks are left of {len(terms.members)}; {terms.threshold} must be",
        )
    gone = (before & ~now).bit_count()
    if summed and gone:  # however many: those of them that help each other tell the last one's
        raise JointTrainingError(
            Refusal.NEAR_SETS,
            f"{gone} of the banks of the last sum are gone; this sum would tell their part",
        )


class Course:
    """The sums so far, the digest of them, and the fit."""

    def __init__(self, terms: Terms) -> None:
        """Begin with no sum, and all members."""
        self.terms = terms
        self.round = 0
        self.digest = terms.digest
        self.banks = (1 << len(terms.members)) - 1
        self.fit: fit.Fit | None = None

    @property
    def due(self) -> Due:
        """What messages of the round carry."""
        return Due(self.terms, self.round, self.digest)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be summed."""
        return self.fit is not None and self.fit.over

    def check(self, banks: int) -> None:
        """Check that this round's sum over these banks may be opened (`check_set`)."""
        check_set(self.terms, self.banks, banks, summed=self.round > 0)

    def take(self, banks: int, total: Words) -> None:
        """Take a round's sum; a refused one changes nothing.

        Raises:
            JointTrainingError: what is wrong with it, or with training on.
        """
        if self.fit is None:
            moments = read_moments(self.terms, total, banks.bit_count())
            following = fit.begin(self.terms, moments)
        else:
            rows = self.fit.scaling.rows
            newton = read_newton(self.terms, total, banks.bit_count(), rows)
            following = fit.advance(self.terms, self.fit, newton)
        self.fit, self.banks = following, banks
        whole = self.digest + write_set(banks) + total.astype(">u8").tobytes()
        self.digest = hashlib.sha256(whole).digest()
        self.round += 1
