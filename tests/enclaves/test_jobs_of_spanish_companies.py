"""Real companies' columns at four owners' enclaves: the model is that of the pooled columns."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from benchmarks.credit_sets import CreditSet, find_data, hold_out, spanish_companies
from benchmarks.joint_runs import pooled_scores, quality
from saferoom_models.participant import Brought
from saferoom_models.vertical.points import standardise
from saferoom_proto.statements import Absent, Bounds, ColumnType, JobOutcome, Purpose, Title
from saferoom_proto.uscc import make_uscc
from simulator import EnclaveHarness
from simulator.job import JobRoom, LabelSideOfJob, asked
from simulator.owners_job import OwnersRoom
from simulator.sample import Sample, column, ordered, sample, schema, table

SPAIN = find_data("spain_companies_bankruptcy_1998_2003.csv")
RIDGE = Decimal("0.02")
"""What `propose_ridge` proposes for so few events (docs/joint-training.md)."""
HOST = "registration"
NAMES = ("registration", "courts", "staff", "tax")
MOST_AUC_APART = 0.005


Enclaves = dict[str, EnclaveHarness]


@dataclass
class Companies:
    """The rows to train on, and those held out."""

    train: CreditSet
    held: CreditSet

    @property
    def codes(self) -> list[str]:
        """Of those to train on."""
        return [make_uscc(number) for number in range(1, len(self.train.labels) + 1)]


@pytest.fixture(scope="module")
def companies() -> Companies:
    if SPAIN is None:
        pytest.skip("the Spanish companies are not at hand")
    whole = spanish_companies(SPAIN)
    train, held = (whole.rows(part) for part in hold_out(whole.labels, 0.25, 7))
    return Companies(train, held)


def founded(said: Sample, companies: Companies, name: str, folder: Path) -> EnclaveHarness:
    """Give an owner's enclave, with its columns of all companies."""
    own = next(each for each in companies.train.owners if each.owner == name)
    owner, count = said.world.owner(name), own.values.shape[1]
    owner.agree(said.bank)
    columns = [column(f"c{at}", ColumnType.DOUBLE, 3) for at in range(count)]
    owner.publish_schema(schema(name, table("firms", *columns), version=2))
    for at in range(count):
        sql = f"SELECT uscc AS subject, c{at} AS value FROM firms"
        owner.define(ordered(name, f"c{at}", sql, ("0", "1"), absent=Absent.FALSE))
    rows = zip(companies.codes, own.values.tolist(), strict=True)
    lines = ["uscc," + ",".join(f"c{at}" for at in range(count))]
    lines += [",".join([code, *map(repr, values)]) for code, values in rows]
    enclave = EnclaveHarness(owner, folder)
    enclave.load({"firms": "\n".join(lines).encode() + b"\n"})
    return enclave


@pytest.fixture
def enclaves(companies: Companies, tmp_path: Path) -> Iterator[tuple[Sample, Enclaves]]:
    said = sample("spanish companies")
    with ExitStack() as stack:
        made: Enclaves = {}
        for name in NAMES:
            made[name] = founded(said, companies, name, tmp_path)
            stack.callback(made[name].close)
        yield said, made


def trained_by(said: Sample, made: Enclaves, companies: Companies) -> OwnersRoom:
    features = tuple(
        f"{own.owner}.c{at}" for own in companies.train.owners for at in range(own.values.shape[1])
    )
    of_all = asked(
        features=features,
        host=HOST,
        label=Title(en="Bankruptcy", zh="破产"),
        label_columns=5,
        inverse_ridge=Bounds(least=RIDGE, most=RIDGE),
        rounds=20,
    )
    template, certificate = said.bank.training("bankruptcy", of_all, (Purpose.PRE_LOAN,))
    for name in NAMES:
        said.world.owner(name).approve(template, certificate.digest)
    givers = {
        name: JobRoom(said, made[name], template, certificate) for name in NAMES if name != HOST
    }
    room = OwnersRoom(said, made[HOST], template, certificate, givers=givers)
    room.follow()
    return room


def points(model: dict[str, list[object]], values: np.ndarray) -> np.ndarray:
    """Give an owner's part of the log-odds, as its enclave would."""
    scales = [np.inf if each is None else each for each in model["scales"]]
    weights, means = np.array(model["weights"], float), np.array(model["means"], float)
    return standardise(values, means, np.array(scales, float)) @ weights


@pytest.mark.soak
async def test_a_bank_and_four_owners_come_to_the_pooled_fit(
    enclaves: tuple[Sample, Enclaves], companies: Companies
) -> None:
    said, made = enclaves
    room = trained_by(said, made, companies)
    bank = companies.train.bank
    brought = Brought(
        companies.codes,
        companies.train.labels.tolist(),
        {name: array("d", bank.values[:, at]) for at, name in enumerate(bank.names)},
    )
    side = LabelSideOfJob(room, said.bank, brought)
    side.submit(inverse_ridge=RIDGE)
    release = await side.take_part()
    assert release is not None
    assert release.outcome is JobOutcome.RELEASED
    # The parts of all five add up; nobody here holds them but this test.
    scores = side.side.trained().points(companies.held.bank.values)
    for own in companies.held.owners:
        kept = room if own.owner == HOST else room.givers[own.owner]
        scores = scores + points(kept.kept(side.job), own.values)
    joint = quality(companies.held.labels, scores)
    pooled = quality(
        companies.held.labels, pooled_scores(companies.train, companies.held, float(RIDGE))
    )
    assert joint.auc == pytest.approx(pooled.auc, abs=MOST_AUC_APART)
