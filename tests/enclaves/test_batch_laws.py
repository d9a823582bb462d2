"""The law of batches: rows get what they would get as single questions, however both are mixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saferoom_proto.answer import Band, Truth
from saferoom_proto.batch import Row
from saferoom_proto.reasons import Reason
from saferoom_proto.shares import Share
from simulator import FEATURES, EnclaveHarness, Firm, Sample, sample, tax_csv
from simulator.batch import ask_batch, batch_of
from simulator.sample import VAT_GRID, Approved

BLOCKS = 40
BLOCK = 4
CHECKS = {
    "both": "tax.vat_paid >= :min_vat AND tax.arrears IS FALSE",
    "rated": "tax.rating IN ('A', 'B') OR tax.vat_paid < :min_vat",
    "unknown": "tax.vat_paid IS NULL OR NOT tax.vat_paid >= :min_vat",
}

Told = tuple[Truth | Share | Band | Reason, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class Asking:
    """Questions by one check, about firms of a block, each with a threshold."""

    check: str
    rows: Sequence[tuple[int, int]]
    batched: bool


ASKINGS = st.lists(
    st.builds(
        Asking,
        check=st.sampled_from(sorted(CHECKS)),
        rows=st.lists(
            st.tuples(st.integers(0, BLOCK - 1), st.integers(0, 6)), min_size=1, max_size=8
        ),
        batched=st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@dataclass
class Side:
    """One of two rooms that are alike."""

    room: Sample
    enclave: EnclaveHarness
    checks: dict[str, Approved]

    def subject(self, block: int, firm: int) -> str:
        return self.room.world.subject(1 + block * BLOCK + firm).uscc

    def singly(self, block: int, asking: Asking) -> list[Told]:
        return [
            self._single(self.subject(block, firm), asking.check, cut) for firm, cut in asking.rows
        ]

    def _single(self, subject: str, check: str, cut: int) -> Told:
        asked = self.checks[check]
        params = {"min_vat": VAT_GRID[cut]}
        request = self.room.bank.request(subject, asked.template, asked.certificate, params)
        verdict = self.enclave.ask(request)
        charges = sorted(verdict.release.charges, key=lambda charge: charge.feature)
        cells = tuple((charge.cells_before, charge.cells_after) for charge in charges)
        return verdict.truth or verdict.reason or Reason.INTERNAL, cells

    def together(self, block: int, asking: Asking) -> list[Told]:
        cuts = sorted({cut for _, cut in asking.rows})
        rows = [Row(self.subject(block, firm), cuts.index(cut)) for firm, cut in asking.rows]
        sets = [{"min_vat": VAT_GRID[cut]} for cut in cuts]
        word = ask_batch(
            self.enclave, batch_of(self.room.bank, self.checks[asking.check], rows, sets)
        )
        return [
            (each.outcome, tuple(pair for pair in each.charges if pair != (0, 0)))
            for each in word.records
        ]


def side(folder: Path) -> Side:
    room = sample("laws")
    checks = {name: room.approved(name, check) for name, check in CHECKS.items()}
    vats = ("9000", "120000", "600000", "")
    firms = {
        1 + at: Firm(vats[at % 4], arrears=at % 3 == 0, rating="ABCD"[at % 4])
        for at in range(BLOCKS * BLOCK)
    }
    enclave = EnclaveHarness(room.tax, folder)
    enclave.load({"firms": tax_csv(room.world, firms)})
    for at in range(BLOCKS * BLOCK):
        # Of each block one has limited its consent, and one in two blocks has given none.
        if at % 8 != 7:
            room.world.subject(1 + at).give(room.bank, FEATURES, uses=3 if at % 4 == 1 else None)
    enclave.follow()
    return Side(room, enclave, checks)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    made = tuple(side(tmp_path_factory.mktemp(name)) for name in ("mixed", "single"))
    yield made[0], made[1]
    for each in made:
        each.enclave.close()


BLOCK_NUMBERS = count()


@settings(max_examples=BLOCKS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ASKINGS)
def test_any_mixture_of_batches_and_single_checks_is_answered_and_charged_like_single_checks(
    sides: tuple[Side, Side], askings: list[Asking]
) -> None:
    mixed, single = sides
    block = next(BLOCK_NUMBERS) % BLOCKS  # a block of firms met again goes on where it was
    for asking in askings:
        told = mixed.together(block, asking) if asking.batched else mixed.singly(block, asking)
        seen: set[tuple[int, int]] = set()
        for at, row in enumerate(asking.rows):
            if asking.batched and row in seen:
                assert told[at] == (Reason.ROW_REPEATED, ())
                continue
            seen.add(row)
            alone = Asking(asking.check, [row], batched=False)
            assert [told[at]] == single.singly(block, alone)
    mixed.enclave.follow()
    single.enclave.follow()
