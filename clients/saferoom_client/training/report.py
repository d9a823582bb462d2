"""What a label side is told of a model, as a document: its own rows and weights, and what it saw.

The document holds the label side's own numbers only. It is kept in the job's folder, private.
"""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from saferoom_client.extras import Extra, needing
from saferoom_client.files import read_model, write_model
from saferoom_client.training.folder import JobFolder
from saferoom_client.training.machines import saying_refusals
from saferoom_proto.fit_bands import STEP, NoisyBand, ToldBand, measured_noise, told_bands
from saferoom_proto.statements import JobRelease
from saferoom_proto.statements.aggregate import Epsilon
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.training import FitBands

if TYPE_CHECKING:
    from saferoom_models.appraisal import Appraisal
    from saferoom_models.participant import Participant
    from saferoom_models.vertical.measuring import Measured


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


class Held(Part):
    """How the joint model ranks rows held out, by counts with noise.

    Attributes:
        rows, events: held out; the label side's own count.
        epsilon: what the counts may tell.
        auc, ks, margin: of the joint model; none where noise hides them. In 19 of 20 cases the AUC
            of all such rows is within the margin.
        bands: of the joint log-odds, the riskiest first; none where too few rows are held out.
    """

    rows: int
    events: int
    epsilon: Epsilon
    auc: float | None
    ks: float | None
    margin: float | None
    bands: tuple[ToldBand, ...]


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
        alone_auc, alone_ks, bands: of that fit, on the rows held out; where none are, on rows held
            out for it alone, each fifth in turn.
        held: how the joint model ranks the rows held out; none where none are.
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
    held: Held | None = None

    @classmethod
    def read(cls, path: Path) -> TrainingReport:
        """Read a kept report; `BAD_CONFIG` names what is wrong in it."""
        return read_model(path, cls)


def make_report(folder: JobFolder, participant: Participant, release: JobRelease) -> TrainingReport:
    """Appraise the model, and keep the report in the job's folder."""
    with needing(Extra.MODELLING, "joint training"):
        from saferoom_models.appraisal import appraise  # noqa: PLC0415 - an extra
    with saying_refusals("reporting"):
        scale = 0.0 if folder.bands is None else measured_noise(folder.bands.epsilon).scale
        found = appraise(participant, float(folder.request.inverse_ridge), float(scale))
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
        held=None if folder.bands is None else _held(folder.bands, found),
    )


def _held(asked: FitBands, found: Appraisal) -> Held:
    ranked = found.ranked
    return Held(
        rows=found.held,
        events=found.held_events,
        epsilon=asked.epsilon,
        auc=ranked and ranked.auc,
        ks=ranked and ranked.ks,
        margin=ranked and ranked.margin,
        bands=() if ranked is None else _bands(asked, ranked.counts),
    )


def _bands(asked: FitBands, counts: Measured) -> tuple[ToldBand, ...]:
    """Join counts to bands; a row's foretold risk is that of its band's middle."""
    bands = [
        NoisyBand(events, others, round((events + others) / (1 + math.exp(-middle)) / float(STEP)))
        for middle, events, others in zip(counts.middles, counts.events, counts.others, strict=True)
    ]
    return told_bands(bands[::-1], measured_noise(asked.epsilon), asked.least)
