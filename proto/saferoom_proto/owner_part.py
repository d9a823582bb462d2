"""What one owner's enclave lets out for a request: an owner's part of a release certificate."""

from __future__ import annotations

import math
import operator
from typing import Annotated

from pydantic import Field, model_validator

from saferoom_proto.answer import Band, Told, Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import Share
from saferoom_proto.statements import Digest, Owner
from saferoom_proto.statements.base import FeatureName, Part
from saferoom_proto.statements.fit import FitPart
from saferoom_proto.statements.listing import Listing
from saferoom_proto.statements.report import ReportPart
from saferoom_proto.statements.score import ScorePart
from saferoom_proto.statements.training import TrainingPart
from saferoom_proto.tables.part import TablePart

_YES_AND_NO = 2


class FeatureUse(Part):
    """How a template uses one feature."""

    feature: FeatureName
    digest: Digest
    level: Annotated[int, Field(ge=1, le=4)]
    family: Owner
    most_cells: Annotated[int, Field(ge=1)]
    """The most cells one request can tell apart, absence included; its price in bits is log2."""
    charged: bool


class OwnerPart(Part):
    """What one owner's enclave lets out for a request."""

    owner: Owner
    charter: Digest | None
    """Where owners' enclaves rest on each other's keys, as in a training, a fit, a score or a sum
    of several owners: the owner's charter, so that who approves the whole approves these keys."""
    formula: str
    features: tuple[FeatureUse, ...]
    answers: Annotated[int, Field(ge=0, le=3)]
    """Yes and no; three where the store's silence can show as "not found"; of all else none."""
    needs_consent: bool
    table: Annotated[TablePart | None, Field(exclude_if=operator.not_)] = None
    """Parts had no tables at first: one of a check is written without."""
    training: Annotated[TrainingPart | None, Field(exclude_if=operator.not_)] = None
    report: Annotated[ReportPart | None, Field(exclude_if=operator.not_)] = None
    score: Annotated[ScorePart | None, Field(exclude_if=operator.not_)] = None
    fit: Annotated[FitPart | None, Field(exclude_if=operator.not_)] = None
    listing: Annotated[Listing | None, Field(exclude_if=operator.not_)] = None

    @model_validator(mode="after")
    def _of_its_kind(self) -> OwnerPart:
        others = (self.table, self.training, self.report, self.score, self.fit, self.listing)
        told = (bool(self.formula), *(each is not None for each in others))
        if sum(told) != 1 or bool(self.formula) != (self.answers >= _YES_AND_NO):
            raise ValueError("a part is of one kind, and a formula's has its answers")
        return self

    @property
    def shared(self) -> bool:
        """Whether an answer is a share, of a conjunction, or of a score or tables of owners."""
        return self.charter is not None and self.training is None and self.fit is None

    @property
    def charged(self) -> tuple[FeatureUse, ...]:
        """The features that are charged, in the order in which a batch's row has their charges."""
        charged = (use for use in self.features if use.charged)
        return tuple(sorted(charged, key=lambda use: use.feature))

    def require_told(self, told: Told) -> None:
        """Refuse with `BAD_PROOF` an answer that the part does not have; a share tells of none."""
        if isinstance(told, Share) != self.shared:
            raise SafeRoomError(Reason.BAD_PROOF, "a share in place of an answer, or the reverse")
        if isinstance(told, Share):
            return
        if self.score is None:
            if isinstance(told, Band):
                raise SafeRoomError(Reason.BAD_PROOF, "a band answers no check")
            return
        # Of what is read, silence may tell nothing; then every subject is in a band.
        if told is Truth.NOT_FOUND and self.score.silent:
            return
        if not isinstance(told, Band) or told.number > self.score.bands:
            raise SafeRoomError(Reason.BAD_PROOF, "an answer that its template does not have")
        if (told.lost is not None) != bool(self.score.reasons):
            raise SafeRoomError(Reason.BAD_PROOF, "reasons where there are none, or the reverse")
        lost = told.lost or 0
        if lost.bit_count() > self.score.reasons or lost >> len(self.features):
            raise SafeRoomError(Reason.BAD_PROOF, "reasons that its template does not have")

    @property
    def most_bits(self) -> float:
        """The most bits one answer can tell about the features that are charged, for display."""
        cells = math.prod(use.most_cells for use in self.charged)
        answers = self.answers if self.score is None else self.score.answers
        return min(math.log2(max(answers, 1)), math.log2(cells))
