"""The models that jobs of this enclave came to, found by the digests that their releases name.

A model scores for whom it was trained, and only while what it reads is computed as it was then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast

from saferoom_enclaves.children.jobs import ModelTold
from saferoom_enclaves.job_kept import MODELS, JobRecord, JobRows, model_digest
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Askers
from saferoom_proto.statements.score import ScorePart

_SALT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Model:
    """A model: the job that it came of, and this owner's part of it.

    Attributes:
        job: how it stands.
        columns: the names of the part's columns.
        told: weights, and how columns are brought to their scale.
    """

    job: JobRecord
    columns: tuple[str, ...]
    told: ModelTold


class Models:
    """Knows models.

    Args:
        state: the enclave's database, opened.
        standing: what is in force.
    """

    def __init__(self, state: State, standing: Standing) -> None:
        self._state: Final = state
        self._standing: Final = standing
        self._known: Final[dict[str, Model]] = {}

    def look_for(self, digests: Iterable[str]) -> None:
        """Read the models that are not known yet; outside of transactions."""
        if {*digests} <= self._known.keys():
            return
        # A template is proposed once its model is there: one that is not found now never is.
        for job in JobRows(self._state).all().values():
            row = self._state.get(MODELS, self._state.cipher.find(MODELS, job.job))
            if row is not None:
                digest = model_digest(job.job, row.content)
                self._known[digest] = _read(job, row.content)

    def usable(
        self, part: ScorePart, group: str | None, features: Iterable[PinnedFeature]
    ) -> Model:
        """Give the model of a score.

        Args:
            part: what is asked.
            group: the institution group that asks; none where nobody does yet.
            features: those that are read, as they are defined now.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` for no model of this enclave's; `NOT_ALLOWED` for one
                that others trained; `MODEL_OUTDATED` for one of features that are computed
                otherwise since.
        """
        # Step 1: a job of this enclave came to it.
        model = self._known.get(part.model)
        if model is None:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no job here came to this model")
        # Step 2: the asker's group trained it, or one that it shares what it learns with.
        linked = self._standing.groups.linked(model.job.group)
        if part.askers is Askers.TRAINER and group is not None and group not in linked:
            raise SafeRoomError(Reason.NOT_ALLOWED, "another group trained the model")
        # Step 3: what it reads is what it was trained on.
        recipes = {each.definition.full_name: each.definition.recipe_digest for each in features}
        if (model.columns, model.job.recipes) != (part.columns, recipes):
            detail = "a feature is computed otherwise than when the model was trained"
            raise SafeRoomError(Reason.MODEL_OUTDATED, detail)
        return model


def _read(job: JobRecord, kept: bytes) -> Model:
    whole = cast("dict[str, list[object]]", json.loads(kept[_SALT_BYTES:]))
    told = {name: whole[name] for name in ("weights", "means", "scales")}
    columns = tuple(map(str, whole["names"]))
    return Model(job, columns, ModelTold.model_validate_json(json.dumps(told)))
