"""The models that jobs of this enclave came to, found by the digests that their releases name.

A model scores for whom it was trained, and only while what it reads is computed as it was then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast

from saferoom_enclaves.children.jobs import ModelTold
from saferoom_enclaves.jobs.kept import MODELS, JobRecord, JobRows, model_digest
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Askers, Template
from saferoom_proto.statements.score import ScorePart

_SALT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Model:
    """A model: the job that it came of, and this owner's part of it.

    Attributes:
        job: how it stands.
        digest: of the part.
        columns: the names of the part's columns.
        of_trees: whether no weight of it says what a column adds.
    """

    job: JobRecord
    digest: str
    columns: tuple[str, ...]
    of_trees: bool = False


class Models:
    """Knows models, and no weights: those are read where bands are to be made.

    Args:
        state: the enclave's database, opened.
        standing: what is in force.
    """

    def __init__(self, state: State, standing: Standing) -> None:
        self._state: Final = state
        self._standing: Final = standing
        self._known: Final[dict[str, Model]] = {}
        """By the digest of the part, and by that of its job."""

    def look_for(self, parts: Iterable[ScorePart]) -> None:
        """Read the models that are not known yet; outside of transactions."""
        if {part.job or part.model for part in parts} <= self._known.keys():
            return
        # A template is proposed once its model is there: one that is not found now never is.
        for job in JobRows(self._state).all().values():
            row = self._state.get(MODELS, self._state.cipher.find(MODELS, job.job))
            if row is not None:
                digest = model_digest(job.job, row.content)
                whole = _read(row.content)
                columns = cast("list[str]", whole["names"])
                model = Model(job, digest, tuple(columns), of_trees=bool(whole.get("boosted")))
                self._known[digest] = self._known[job.job] = model

    def told(self, model: Model) -> ModelTold:
        """Read a model's weights, and how its columns are scaled; outside of transactions."""
        row = self._state.get(MODELS, self._state.cipher.find(MODELS, model.job.job))
        if row is None:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "the model is gone")
        whole = _read(row.content)
        # Only a model that was trained in the room has more than these three.
        told = {name: whole[name] for name in ModelTold.model_fields if name in whole}
        return ModelTold.model_validate_json(json.dumps(told))

    def usable(
        self,
        part: ScorePart,
        template: Template,
        group: str | None,
        features: Iterable[PinnedFeature],
    ) -> Model:
        """Give the model of a score.

        Args:
            part: what is asked.
            template: the template that asks it.
            group: the institution group that asks; none where nobody does yet.
            features: those that are read, as they are defined now.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` for no model of this enclave's, or one that was
                trained under another template; `NOT_ALLOWED` for one that others trained, or that
                others than its trainer would open to all; `MODEL_OUTDATED` for one of features
                that are computed otherwise since.
        """
        # Step 1: a job of this enclave came to it, under the template that approvers read.
        model = self._known.get(part.job or part.model)
        # Of several owners the host's part is named; each of the others knows its own by the job.
        by_job = part.job is not None and model is not None and model.job.host
        if model is None or (not by_job and model.digest != part.model):
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no job here came to this model")
        if template.score is None or template.score.training != model.job.template:
            detail = "the model was trained under another template than its score names"
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, detail)
        # Step 2: the asker's group trained it, or one that it shares what it learns with.
        linked = self._standing.groups.linked(model.job.group)
        if part.askers is Askers.TRAINER and group is not None and group not in linked:
            raise SafeRoomError(Reason.NOT_ALLOWED, "another group trained the model")
        if part.askers is Askers.ALL and template.proposer != model.job.institution:
            # Its weights were fitted to the trainer's labels: nobody else opens it to competitors.
            detail = "only the institution that trained a model proposes it for all"
            raise SafeRoomError(Reason.NOT_ALLOWED, detail)
        if part.reasons and model.of_trees:
            detail = "reasons are of weights: trees have none"
            raise SafeRoomError(Reason.NOT_ALLOWED, detail)
        # Step 3: what it reads is what it was trained on.
        recipes = {each.definition.full_name: each.definition.recipe_digest for each in features}
        if (model.columns, model.job.recipes) != (part.columns, recipes):
            detail = "a feature is computed otherwise than when the model was trained"
            raise SafeRoomError(Reason.MODEL_OUTDATED, detail)
        return model


def _read(kept: bytes) -> dict[str, list[object]]:
    return cast("dict[str, list[object]]", json.loads(kept[_SALT_BYTES:]))
