"""Training in the room: all columns, and the label, lie with owners; one question, one answer.

Of several owners, the one whose flag is foretold hosts: its enclave trains, and the others give it
their columns for that one job. `docs/training-in-the-room.md` says what leaves, and what that could
tell.
"""

from __future__ import annotations

import operator
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, model_validator

from saferoom_proto.reasons import Reason
from saferoom_proto.statements.base import (
    Digest,
    FeatureName,
    Instant,
    Name,
    Nonce,
    Owner,
    Part,
    Payload,
    Purpose,
    Usage,
    distinct,
)
from saferoom_proto.statements.enclave import ChainLink, Outcome, StoreState, StreamPosition
from saferoom_proto.statements.feature import Number
from saferoom_proto.statements.request import LONGEST_WINDOW, ReplyKey, require_window
from saferoom_proto.statements.tables import PrivacySpent
from saferoom_proto.statements.training import (
    FEWEST_ROWS,
    MOST_COLUMNS,
    MOST_FEATURES,
    MOST_OWNERS,
    MOST_ROWS,
    MOST_RUNS,
    Bounds,
    FitBands,
    Runs,
)

FEWEST_OF_EACH_LABEL = 50
"""Rows of the rarer label: a model of fewer would be about these firms."""
FEWEST_IN_LEAF = 50
"""Rows of training in a leaf or a bin: what it says is said of so many, and of none alone."""
ROWS_A_PARAMETER = 10
"""Rows of training for each weight or leaf, and of the rarer label for each weight: below that a
fit follows single rows (Peduzzi et al. 1996, for logistic regression)."""
HELD_OUT = 4
"""One row of so many is held out of the training, and measures it."""
MOST_TREES = 200
MOST_LEAVES = 31


class FitMethod(StrEnum):
    """How is trained."""

    LOGISTIC = "logistic-1"
    """scikit-learn's logistic regression of standardised columns, with a ridge."""
    BOOSTING = "boosting-1"
    """scikit-learn's histogram gradient boosting of binned columns, at a learning rate of 0.1."""


class FitFigure(StrEnum):
    """What may be told of a model; how well its rows can be told from others is told always."""

    ROWS = "rows"
    """How many rows it was trained and measured on, in tens."""
    AUC = "auc"
    KS = "ks"
    WEIGHTS = "weights"
    """A logistic regression's, of standardised columns, rounded to 0.01."""
    BANDS = "bands"
    """Bands of the rows held out by their scores: how many came to the event, and were foretold to;
    with noise (ADR 52)."""


class Fit(Part):
    """A training in the room: what the columns are, what is foretold, and what is told.

    Attributes:
        algorithm: how is trained.
        features: the columns are their values.
        label: a flag of one of the owners, which is foretold; true is the event. Its owner hosts.
        inverse_ridge: scikit-learn's C, of a logistic regression.
        trees, leaves: the most there may be, of boosting; leaves in one tree.
        least_rows: the fewest subjects, held out ones among them.
        least_events: the fewest of the rarer label.
        releases: what is told.
        runs: how many trainings there may be in a period, whatever became of each.
        bands: with how much noise bands are told, where they are.
    """

    algorithm: FitMethod
    features: Annotated[
        tuple[FeatureName, ...],
        Field(min_length=1, max_length=MOST_FEATURES),
        AfterValidator(distinct),
    ]
    label: FeatureName
    inverse_ridge: Annotated[Bounds | None, Field(exclude_if=operator.not_)] = None
    trees: Annotated[int | None, Field(ge=1, le=MOST_TREES, exclude_if=operator.not_)] = None
    leaves: Annotated[int | None, Field(ge=2, le=MOST_LEAVES, exclude_if=operator.not_)] = None
    least_rows: Annotated[int, Field(ge=FEWEST_ROWS, le=MOST_ROWS)]
    least_events: Annotated[int, Field(ge=FEWEST_OF_EACH_LABEL, le=MOST_ROWS)]
    releases: Annotated[
        tuple[FitFigure, ...], Field(max_length=len(FitFigure)), AfterValidator(distinct)
    ]
    runs: Runs
    bands: Annotated[FitBands | None, Field(exclude_if=operator.not_)] = None

    @model_validator(mode="after")
    def _whole(self) -> Fit:
        owners = self.owners
        if self.owner not in owners:
            raise ValueError("the label's owner, who hosts, has one of the features too, so far")
        if len(owners) > MOST_OWNERS:
            raise ValueError(f"features are of at most {MOST_OWNERS} owners")
        if self.label in self.features:
            raise ValueError("the label is none of the features")
        logistic = self.algorithm is FitMethod.LOGISTIC
        if len(owners) > 1 and not logistic:
            raise ValueError("features of several owners are for logistic-1 alone, so far")
        if logistic != (self.inverse_ridge is not None):
            raise ValueError("logistic-1, and nothing else, has bounds: inverse_ridge")
        if {self.trees is None, self.leaves is None} != {logistic}:
            raise ValueError("boosting-1, and nothing else, says how many: trees, leaves")
        if FitFigure.WEIGHTS in self.releases and not logistic:
            raise ValueError("only logistic-1 has weights that can be told")
        if (FitFigure.BANDS in self.releases) != (self.bands is not None):
            raise ValueError("where bands are told, and nowhere else, stands their noise: bands")
        return self

    @property
    def owner(self) -> str:
        """Whose flag is foretold: in that owner's enclave it is trained."""
        return self.label.partition(".")[0]

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose features it reads, in order."""
        return tuple(sorted({name.partition(".")[0] for name in self.features}))

    @property
    def hosted_by(self) -> str:
        """In whose enclave it is trained."""
        return self.owner

    @property
    def givers(self) -> tuple[str, ...]:
        """Whose columns are opened in the host's enclave; nobody's where there is one owner."""
        return tuple(each for each in self.owners if each != self.owner)

    def features_of(self, owner: str) -> tuple[str, ...]:
        """Name one owner's features that it reads, in the template's order."""
        return tuple(name for name in self.features if name.partition(".")[0] == owner)

    def fewest(self, columns: int) -> tuple[int, int]:
        """Say how many rows, and how many of the rarer label, so many columns need."""
        if self.trees is None or self.leaves is None:
            parameters, weights = columns + 1, columns
        else:
            parameters, weights = self.trees * self.leaves, 0
        # Three of four rows are trained on.
        rows, events = (
            -(-each * ROWS_A_PARAMETER * HELD_OUT // (HELD_OUT - 1))
            for each in (parameters, weights)
        )
        return max(rows, FEWEST_ROWS), max(events, FEWEST_OF_EACH_LABEL)


class FitPart(Part):
    """What an owner's enclave lets out of a training in the room.

    Attributes:
        algorithm: how is trained.
        columns: the names of this owner's columns, in order.
        label: what is foretold; whose it is, in whose enclave the columns are opened.
        inverse_ridge, trees, leaves: as the template has them.
        least_rows, least_events: below them nothing is told.
        releases: what is told.
        runs: how often.
        bands: with how much noise.
    """

    algorithm: FitMethod
    columns: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_COLUMNS)]
    label: FeatureName
    inverse_ridge: Annotated[Bounds | None, Field(exclude_if=operator.not_)] = None
    trees: Annotated[int | None, Field(exclude_if=operator.not_)] = None
    leaves: Annotated[int | None, Field(exclude_if=operator.not_)] = None
    least_rows: Annotated[int, Field(ge=FEWEST_ROWS)]
    least_events: Annotated[int, Field(ge=FEWEST_OF_EACH_LABEL)]
    releases: tuple[FitFigure, ...]
    runs: Runs
    bands: Annotated[FitBands | None, Field(exclude_if=operator.not_)] = None

    @classmethod
    def of(cls, fit: Fit, columns: tuple[str, ...]) -> FitPart:
        """Derive it from what the template asks and the columns that its features give."""
        return cls(
            algorithm=fit.algorithm,
            columns=columns,
            label=fit.label,
            inverse_ridge=fit.inverse_ridge,
            trees=fit.trees,
            leaves=fit.leaves,
            least_rows=fit.least_rows,
            least_events=fit.least_events,
            releases=fit.releases,
            runs=fit.runs,
            bands=fit.bands,
        )


class FitRequest(Payload):
    """Asks for a training in the room; by an agreement's key. Its digest names the job.

    What may be chosen lies within the template's bounds.
    """

    KIND: ClassVar[str] = "fit-request"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    institution: Name
    template: Digest
    certificate: Digest
    purpose: Purpose
    inverse_ridge: Annotated[Number | None, Field(gt=0)]
    """Of a logistic regression."""
    trees: Annotated[int | None, Field(ge=1, le=MOST_TREES)]
    """Of boosting; so are the most leaves of each tree."""
    leaves: Annotated[int | None, Field(ge=2, le=MOST_LEAVES)]
    nonce: Nonce
    not_before: Instant
    not_after: Instant
    reply_key: ReplyKey
    """Made for this request: what is told is sealed to it."""
    price: Annotated[bool, Field(exclude_if=operator.not_)] = False
    """Asks for no model, but for what it would cost: its answer is a refusal that says so."""

    @model_validator(mode="after")
    def _in_order(self) -> FitRequest:
        require_window(self.not_before, self.not_after, LONGEST_WINDOW)
        chosen = (self.trees is not None, self.leaves is not None)
        if chosen not in {(True, True), (False, False)} or (self.inverse_ridge is None) != any(
            chosen
        ):
            raise ValueError("a ridge, or trees and their leaves")
        return self


class FitRelease(Payload):
    """An enclave's signed word on a training in the room: there is a model, or it is refused.

    Of several owners it is the host's; the others let it begin and end it by words on a job.

    Nothing in it depends on a record but that there is a model: what is told of that is sealed to
    the asker, and `answer` commits to it. The model itself stays sealed in the enclave; `model`
    commits to it, under a salt that stays there.
    """

    KIND: ClassVar[str] = "fit-release"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    request: Digest
    institution: Name
    endorsement: Digest
    charter: Digest
    template: Digest
    certificate: Digest
    approvals: tuple[Digest, ...]
    agreement: Digest
    stream: StreamPosition
    store: StoreState | None
    outcome: Outcome
    reason: Reason | None
    run: Annotated[int | None, Field(ge=1, le=MOST_RUNS)]
    """The how manieth it is in its period: what was withheld counts too, and so does what was ended
    once it had begun. None if none was made."""
    model: Digest | None
    answer: Digest | None
    chain: ChainLink
    time: Instant
    privacy: Annotated[PrivacySpent | None, Field(exclude_if=operator.not_)] = None
    """Where bands may be told: what this training was charged, whatever became of it, and what the
    bands of this owner's models told its asker's group in the period. Of one whose price alone was
    asked, what would be."""
    cancel: Annotated[Digest | None, Field(exclude_if=operator.not_)] = None
    """The institution's word that ended it; it stands in the place of a reason."""

    @model_validator(mode="after")
    def _whole(self) -> FitRelease:
        answered = self.outcome is Outcome.ANSWERED
        if [answered, self.reason is not None, self.cancel is not None].count(True) != 1:
            raise ValueError("a refusal, and no answer, has a reason")
        if {self.model is not None, self.answer is not None} != {answered}:
            raise ValueError("an answer, and no refusal, has a model and a commitment")
        if answered and (self.store is None or not self.approvals):
            raise ValueError("an answer names its approvals and its store")
        made = answered or self.reason is Reason.WITHHELD
        if self.cancel is None and (self.run is not None) != made:
            raise ValueError("what was made counts as a run, and nothing else does")
        if self.privacy is not None:
            self._require_in_place(self.privacy)
        return self

    def _require_in_place(self, privacy: PrivacySpent) -> None:
        if self.run is None and self.reason not in {Reason.PRICE_ONLY, Reason.OVER_BUDGET}:
            raise ValueError("what counts as a run is charged, and nothing else is")
        if self.reason is not Reason.OVER_BUDGET and not privacy.within:
            raise ValueError("what is charged keeps what is spent within the cap")
