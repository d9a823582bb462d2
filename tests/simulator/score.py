"""A model as a job of the tax office's enclave leaves it, without the time that training takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal

from saferoom_enclaves.jobs.kept import MODELS, JobRecord, JobRows, model_digest
from saferoom_proto.formula import FeatureRef
from saferoom_proto.statements import JobOutcome, Purpose, Score, StoreState
from saferoom_proto.statements.training import columns_of
from simulator.bank import SimBank
from simulator.harness import EnclaveHarness
from simulator.sample import Approved, Sample

TRAINED_ON = ("tax.vat_paid", "tax.arrears", "tax.rating")
SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Weights:
    """The room's part of a model, column by column."""

    weights: tuple[float, ...] = (-0.5, 0.25, 1.5, 0.0, 0.125, 0.25, 0.5)
    means: tuple[float, ...] = (100_000.0, 0.1, 0.3, 0.25, 0.25, 0.25, 0.25)
    scales: tuple[float | None, ...] = (30_000.0, 0.3, 0.5, None, 0.5, 0.5, 0.5)


TRAINED = Weights()


def plant(
    enclave: EnclaveHarness,
    said: Sample,
    *,
    group: str = "bank-a",
    told: Weights = TRAINED,
    name: str = "job",
    features: tuple[str, ...] = TRAINED_ON,
    training: str | None = None,
    host: str = "",
) -> str:
    """Put a model into an enclave's state, as a job that was released leaves it.

    Args:
        enclave: whose.
        said: the room.
        group: whose labels it was fitted to.
        told: its weights.
        name: of the job.
        features: that it reads.
        training: the template of the training; a made-up one by default.
        host: of a job of several owners, at an owner that only gave its columns.
    """
    opened = enclave.enclave._require_open()
    state, job = opened.state, said.world.seeds.suite.digest(name.encode())
    definitions = [said.world.features[FeatureRef.parse(each)].definition for each in features]
    columns = tuple(column for each in definitions for column in columns_of(each))
    content = json.dumps(
        {
            "names": columns,
            "weights": told.weights,
            "means": told.means,
            "scales": told.scales,
            "findings": [],
        }
    )
    kept = job.encode()[-SALT_BYTES:] + content.encode()
    now = said.world.now()
    record = JobRecord(
        job=job,
        envelope="",
        institution=group,
        template=job,
        certificate=job,
        agreement=job,
        group=group,
        secret="",
        columns=columns,
        recipes={each.full_name: each.recipe_digest for each in definitions},
        store=StoreState(epoch=1, digest=job),
        run=1,
        began=now,
        moved=now,
        not_after=now,
        rounds=1,
        ended=1,
        outcome=JobOutcome.RELEASED,
        host=host,
    )
    model = model_digest(job, kept)
    # What `score` names as its training.
    record = record.model_copy(update={"template": training or model})
    with state.transaction():
        state.put(MODELS, state.cipher.find(MODELS, job), kept)
        JobRows(state).write(record)
    return model


def score(model: str, **changes: object) -> Score:
    """Say what is scored: five bands; fields can be changed by name."""
    edges = tuple(map(Decimal, ("-1", "0", "0.5", "1.5")))
    fields: dict[str, object] = {
        "model": model,
        "training": model,
        "features": TRAINED_ON,
        "edges": edges,
        "stands_for": tuple(map(Decimal, ("-1.5", "-0.5", "0.25", "1", "2"))),
    }
    return Score.model_validate(fields | changes)


def approved_score(said: Sample, asked: Score, bank: SimBank | None = None) -> Approved:
    """Have a score proposed by a bank and approved by the tax office."""
    template, certificate = (bank or said.bank).scores("risk", asked, (Purpose.PRE_LOAN,))
    said.tax.approve(template, certificate.digest)
    return Approved(template, certificate)
