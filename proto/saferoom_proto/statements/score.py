"""What a template of scores asks: a jointly trained model, and the bands its points are told in.

The room's part of a model's log-odds never leaves an enclave: an answer names the band in which a
subject's lies. The label side adds its own part to what the band stands for.
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from saferoom_proto.answer import MOST_BANDS
from saferoom_proto.formula.text import format_number
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.base import Digest, FeatureName, Part, distinct
from saferoom_proto.statements.feature import Number
from saferoom_proto.statements.training import MOST_COLUMNS, MOST_FEATURES

_MARK = "saferoom score v1"
MOST_REASONS = 4
"""As many as a refused applicant is told in the usual forms of notice."""
MOST_ANSWERS = (1 << 16) - 1
"""A price of a batch's row is written in 16 bits, and no budget buys more."""


class Askers(StrEnum):
    """Who may score with a model."""

    TRAINER = "trainer"
    """The institution that trained it, and those that share what they learn with it."""
    ALL = "all"
    """Every institution that the owner has an agreement with."""


class Score(Part):
    """Scores of one owner's part of a model, or of several owners' parts, of which only the sum.

    Of several owners each part of the log-odds falls into a band of its own, all of them equally
    wide; what is told is the sum of the bands' numbers, which is a band of the sum.

    Attributes:
        model: the digest of the room's part, as the release of its job commits to it; of several
            owners that of the host's.
        job: of several owners, the digest of the job that came to the model; none of one.
        training: the digest of the template that it was trained under.
        features: what it was trained on, in that template's order.
        edges: where one band ends and the next begins, in log-odds of the event: a band holds its
            lower edge. Of several owners they are those of each part.
        stands_for: what each band counts for, in log-odds, from the lowest band on; of several
            owners each band of the sum.
        askers: who may ask.
        reasons: the most features that are named beside the band, of those that raise the odds of
            the event above the average; 0 for none.
    """

    model: Digest
    job: Annotated[Digest | None, Field(exclude_if=operator.not_)] = None
    training: Digest
    features: Annotated[
        tuple[FeatureName, ...],
        Field(min_length=1, max_length=MOST_FEATURES),
        AfterValidator(distinct),
    ]
    edges: Annotated[tuple[Number, ...], Field(min_length=1, max_length=MOST_BANDS - 1)]
    stands_for: Annotated[tuple[Number, ...], Field(min_length=2, max_length=MOST_BANDS)]
    askers: Annotated[Askers, Field(exclude_if=lambda askers: askers is Askers.TRAINER)] = (
        Askers.TRAINER
    )
    reasons: Annotated[int, Field(ge=0, le=MOST_REASONS, exclude_if=operator.not_)] = 0

    @model_validator(mode="after")
    def _in_order(self) -> Score:
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("each edge is above the one before")
        owners = len(self.owners)
        if self.reasons and (owners > 1 or self.reasons > len(self.features)):
            raise ValueError("reasons are of one owner's score, and no more than its features")
        if (self.job is not None) != (owners > 1):
            raise ValueError("a score of several owners names its job, and no other does")
        if len(self.stands_for) != owners * len(self.edges) + 1:
            raise ValueError("for each owner a band more than edges, and each stands for a number")
        if owners > 1:
            steps = {high - low for low, high in pairwise(self.stands_for)}
            steps |= {high - low for low, high in pairwise(self.edges)}
            if len(steps) != 1 or steps.pop() <= 0:
                raise ValueError("of several owners all bands are equally wide")
            return self
        for place, number in enumerate(self.stands_for):
            above = place == 0 or number >= self.edges[place - 1]
            if not above or (place < len(self.edges) and number >= self.edges[place]):
                raise ValueError("what a band stands for lies within it")
        return self

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose features it reads, in order."""
        return tuple(sorted({name.partition(".")[0] for name in self.features}))

    def named(self, lost: int) -> tuple[str, ...]:
        """Name the features of a set of reasons: bit 0 is the first."""
        return tuple(name for at, name in enumerate(self.features) if lost >> at & 1)

    def features_of(self, owner: str) -> tuple[str, ...]:
        """Name one owner's of them, in the order of training."""
        return tuple(name for name in self.features if name.partition(".")[0] == owner)


class ScorePart(Part):
    """What an owner's enclave lets out of a score.

    Attributes:
        model: as the template has it.
        job: likewise; where there is one, what leaves is a share of a sum.
        columns: what its features become, in order.
        edges: of the bands.
        answers: how many there are: one for each band with each set of reasons, and one more, "not
            found", where the store's silence about everything that is read can mean "unknown".
        askers: who may ask.
        reasons: the most features that are named beside a band.
        sets: how many different sets of features that can be, with none.
    """

    model: Digest
    job: Annotated[Digest | None, Field(exclude_if=operator.not_)] = None
    columns: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_COLUMNS)]
    edges: Annotated[tuple[Number, ...], Field(min_length=1, max_length=MOST_BANDS - 1)]
    answers: Annotated[int, Field(ge=2, le=MOST_ANSWERS)]
    askers: Annotated[Askers, Field(exclude_if=lambda askers: askers is Askers.TRAINER)] = (
        Askers.TRAINER
    )
    reasons: Annotated[int, Field(ge=0, le=MOST_REASONS, exclude_if=operator.not_)] = 0
    sets: Annotated[int, Field(ge=1, exclude_if=lambda sets: sets == 1)] = 1

    @classmethod
    def of(cls, score: Score, columns: tuple[str, ...], *, silent: bool) -> ScorePart:
        """Derive it from what the template asks, its columns, and whether silence can show.

        Raises:
            SafeRoomError: `TOO_LARGE` for more answers than any budget buys.
        """
        sets = _sets(len(score.features), score.reasons)
        answers = (len(score.edges) + 1) * sets + silent
        if answers > MOST_ANSWERS:
            rule = f"{answers} different answers; no budget buys more than {MOST_ANSWERS}"
            raise SafeRoomError(Reason.TOO_LARGE, rule, [FieldFault("score.reasons", rule)])
        return cls(
            model=score.model,
            job=score.job,
            columns=columns,
            edges=score.edges,
            answers=answers,
            askers=score.askers,
            reasons=score.reasons,
            sets=sets,
        )

    @property
    def bands(self) -> int:
        """How many bands there are."""
        return len(self.edges) + 1

    @property
    def features(self) -> int:
        """Of how many features reasons are, as the number of their sets says; 0 without any."""
        named = 0
        while self.reasons and _sets(named, self.reasons) < self.sets:
            named += 1
        return named

    @property
    def silent(self) -> bool:
        """Whether "not found" is an answer."""
        return self.answers > self.bands * self.sets

    def mark(self, free: Iterable[str]) -> str:
        """Name what is computed: templates that share it tell the same of a subject.

        Args:
            free: what the features that are not charged tell, by their value digests, in order. Of
                those that are charged, accounts know it beside the mark; of these nothing would.
        """
        of = () if self.job is None else (f"part in {self.job}",)
        of += (f"{self.reasons} reasons",) if self.reasons else ()
        told = "\n".join((_MARK, self.model, *of, *map(format_number, self.edges), *free))
        return hashlib.sha256(told.encode()).hexdigest()


def _sets(features: int, most: int) -> int:
    """Count the sets of at most so many of some features, with none."""
    return sum(math.comb(features, named) for named in range(most + 1))
