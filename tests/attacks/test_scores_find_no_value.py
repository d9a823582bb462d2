"""A bank that lays its bands where it likes searches for one firm's value, and finds its budget."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from saferoom_proto.answer import Band, Told
from saferoom_proto.reasons import Reason
from simulator import EnclaveHarness, Sample, sample, tax_csv
from simulator.sample import FIRMS, VAT_GRID, Approved
from simulator.score import Weights, approved_score, plant, score

STEERED = Weights(weights=(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
"""Its labels were the amounts themselves: the model weighs nothing else."""
POINTS = tuple(Decimal(each) / 2 for each in range(-5, 6))


@pytest.fixture
def steered(tmp_path: Path) -> Iterator[tuple[Sample, EnclaveHarness, list[Approved]]]:
    """Give a room whose owner approved eleven scores of one model, each with one edge."""
    said = sample("steered")
    enclave = EnclaveHarness(said.tax, tmp_path)
    enclave.load({"firms": tax_csv(said.world)})
    said.consent(1)
    model = plant(enclave, said, told=STEERED)
    made = [
        approved_score(said, score(model, edges=(point,), stands_for=(point - 1, point)))
        for point in POINTS
    ]
    enclave.follow()
    yield said, enclave, made
    enclave.close()


def ask(said: Sample, enclave: EnclaveHarness, asked: Approved) -> Told | Reason:
    verdict = enclave.ask(
        said.bank.request(said.world.subject(1), asked.template, asked.certificate)
    )
    return verdict.told or verdict.reason or Reason.INTERNAL


def test_edges_laid_by_halving_find_no_more_of_a_value_than_its_budget_buys(
    steered: tuple[Sample, EnclaveHarness, list[Approved]],
) -> None:
    said, enclave, made = steered
    assert FIRMS[1].vat == "120000"  # two thirds of a standard deviation above the mean
    low, high, answered, refused = 0, len(made), 0, 0
    while high - low > 1:
        middle = (low + high) // 2
        told = ask(said, enclave, made[middle])
        if told is Reason.OVER_BUDGET:
            refused += 1
            break
        assert isinstance(told, Band)
        answered += 1
        low, high = (middle, high) if told == Band(2) else (low, middle)
    # Three answers a score, and a budget of eight: one is told, and with it half of all points.
    assert (answered, refused) == (1, 1)
    assert high - low >= len(made) // 2
    # Nor is there anything left for the grid, or for another name of the same question.
    assert enclave.ask(said.question(1, VAT_GRID[3])).reason is Reason.OVER_BUDGET
    assert isinstance(ask(said, enclave, made[len(made) // 2]), Band)  # a repeat is free
    said.tax.agree(said.bank, group="fresh", replaces=said.agreement)
    enclave.follow()
    assert ask(said, enclave, made[2]) is Reason.OVER_BUDGET  # a group of the same bank
