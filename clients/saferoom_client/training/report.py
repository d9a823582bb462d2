"""What a label side is told of a model, as a document: its own rows and weights, and what it saw.

The document holds the label side's own numbers only. It is kept in the job's folder, private.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from saferoom_client.extras import Extra, needing
from saferoom_client.files import read_model, write_model
from saferoom_client.training.folder import JobFolder
from saferoom_client.training.machines import saying_refusals
from saferoom_proto.statements import JobRelease
from saferoom_proto.statements.base import Part

if TYPE_CHECKING:
    from saferoom_models.appraisal import Appraisal
    from saferoom_models.participant import Participant


class Weight(Part):
    """An own column's weight: `joint` in the joint model, `alone` in the fit on the own columns.

    Weights are of columns less `mean`, divided by `scale`, clipped at 8; a scale of 0 was left out.
    """

    name: str
    joint: float
    alone: float
    mean: float
    scale: float


class Band(Part):
    """A tenth of the rows by the score of the own columns alone, the riskiest first."""

    rows: int
    events: int
    lift: float


class Note(Part):
    """What stood out: what kind, where, and what was done or can be."""

    kind: str
    place: str
    detail: str


class TrainingReport(Part):
    """The report on a job that ended with a model.

    Attributes:
        separation: mean foretold risk of events, less that of others, of the joint model.
        alone_separation: the same of the fit on the own columns alone, on the same rows.
        alone_auc, alone_ks, bands: of that fit, on rows held out, each fifth in turn.
    """

    format: Literal["saferoom-training-report/v1"] = "saferoom-training-report/v1"
    job: str
    template: str
    owner: str
    institution: str
    purpose: str
    time: datetime
    rows: int
    events: int
    room_columns: int
    inverse_ridge: str
    rank: int
    rounds: int
    converged: bool
    model: str
    """The digest of the room's part, which stays in the owner's enclave."""
    separation: float
    alone_separation: float
    alone_auc: float
    alone_ks: float
    intercept: float
    weights: tuple[Weight, ...]
    bands: tuple[Band, ...]
    notes: tuple[Note, ...]

    @classmethod
    def read(cls, path: Path) -> TrainingReport:
        """Read a kept report; `BAD_CONFIG` names what is wrong in it."""
        return read_model(path, cls)


def make_report(folder: JobFolder, participant: Participant, release: JobRelease) -> TrainingReport:
    """Appraise the model, and keep the report in the job's folder."""
    with needing(Extra.MODELLING, "joint training"):
        from saferoom_models.appraisal import appraise  # noqa: PLC0415 - an extra
    with saying_refusals("reporting"):
        found = appraise(participant, float(folder.request.inverse_ridge))
    report = _report(folder, found, release)
    write_model(folder.report, report)
    return report


def _report(folder: JobFolder, found: Appraisal, release: JobRelease) -> TrainingReport:
    request, admitted = folder.request, folder.admitted()
    return TrainingReport(
        job=folder.job,
        template=folder.template,
        owner=folder.owner,
        institution=request.institution,
        purpose=request.purpose,
        time=release.time,
        rows=found.rows,
        events=found.events,
        room_columns=admitted.room_columns if admitted else 0,
        inverse_ridge=str(request.inverse_ridge),
        rank=request.rank,
        rounds=found.rounds,
        converged=found.converged,
        model=release.model or "",
        separation=found.separation,
        alone_separation=found.alone_separation,
        alone_auc=found.alone_auc,
        alone_ks=found.alone_ks,
        intercept=found.intercept,
        weights=tuple(
            Weight(
                name=each.name,
                joint=each.joint,
                alone=each.alone,
                mean=each.mean,
                scale=each.scale,
            )
            for each in found.weights
        ),
        bands=tuple(
            Band(rows=each.rows, events=each.events, lift=each.lift) for each in found.bands
        ),
        notes=tuple(
            Note(kind=each.kind, place=each.place, detail=each.detail) for each in found.findings
        ),
    )
