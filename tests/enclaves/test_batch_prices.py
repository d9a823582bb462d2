"""What rows of batches cost at the most: a row's record has room for so much and no more."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from saferoom_enclaves.asking import Ask
from saferoom_enclaves.spending import budget_bits
from saferoom_proto.answer import Truth
from saferoom_proto.bits import most_cells
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason
from simulator import EnclaveHarness, Sample
from simulator.batch import ask_batch, steady_batch

MOST_CELLS: Final = (1 << 16) - 1
"""A row's record has 16 bits for a price."""


def test_a_price_that_no_rows_record_has_room_for_is_not_paid_there(
    room: Sample, enclave: EnclaveHarness
) -> None:
    """What linked groups asked multiplies; a price of more than 16 bits would break the batch."""
    assert ask_batch(enclave, steady_batch(room, 1)).records[0].outcome is Truth.YES
    opened, subject = enclave.enclave._require_open(), room.world.subject(1).uscc
    spending, group = opened.judge._spending, room.bank.name
    account = tuple(
        each.model_copy(update={"cells": MOST_CELLS + 1})
        for each in spending.own_account(group, subject)
    )
    assert account
    with opened.state.transaction():
        spending._accounts.put(group, subject, account)
    records = ask_batch(enclave, steady_batch(room, 1, 2)).records
    assert [each.outcome for each in records] == [Reason.OVER_BUDGET, Truth.NO]


def test_no_budget_buys_more_than_a_rows_record_has_room_for(room: Sample) -> None:
    charter = room.tax.charter.charter
    most = [each.model_copy(update={"feature_bits": Decimal(64)}) for each in charter.limits]
    vat = room.world.features[FeatureRef("tax", "vat_paid")]
    feature = vat.definition.model_copy(update={"budget_bits": Decimal(64)})
    ask = Ask.of(feature, vat.shape, frozenset())
    bits = budget_bits(ask, charter.model_copy(update={"limits": tuple(most)}))
    assert MOST_CELLS // 2 < most_cells(bits) <= MOST_CELLS
