"""Tables with noise by an enclave's own code and ledger, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

import numpy as np

from saferoom_attacks.ask import group_of
from saferoom_attacks.blurred import BLURRED, cells_of, width_of
from saferoom_attacks.books import Row
from saferoom_attacks.table_ask import Plan, Sheet, aggregate_of
from saferoom_enclaves.statistics.noise import with_noise
from saferoom_enclaves.statistics.tabulate import Columns
from saferoom_enclaves.tables.privacy import PaidNoise, ToldWithNoise, pay
from saferoom_proto.collusion import CollusionGroups
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.tables.asked import plan_of

SHAPES = {book.ref: book.shape for book in BLURRED}


@dataclass
class SimNoise:
    """Makes noise once for a plan, and charges groups by the ledger of enclaves.

    A test can have it keep no numbers, or remember nobody who was told.
    """

    keeps: ClassVar[bool] = True
    remembers: ClassVar[bool] = True

    firms: Sequence[Row]
    asked: int = 0
    paid: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    told: tuple[ToldWithNoise, ...] = ()
    kept: dict[str, Sheet] = field(default_factory=dict[str, Sheet])
    groups: CollusionGroups = field(default_factory=CollusionGroups)

    @property
    def charged(self) -> dict[str, Decimal]:
        return dict(self.paid)

    def width(self, plan: Plan) -> float:
        return width_of(plan)

    def tell(self, bank: str, plan: Plan) -> Sheet:
        self.asked += 1
        asked = aggregate_of(plan)
        assert asked.privacy is not None
        digest = sha256_digest(f"{plan} {'' if plan.common else bank}".encode())
        group = group_of(bank)
        self.groups.take(bank, group)
        one = ToldWithNoise(group=group, plan=digest, privacy=asked.privacy, numbers=1)
        try:
            paid = pay(one, self.told, self.groups.linked(group))
        except SafeRoomError:
            return {}
        if self.remembers:
            self.told = PaidNoise(paid, one, digest in self.kept).after(self.told)
        self.paid[group] = self.paid.get(group, Decimal(0)) + paid.charged
        if digest not in self.kept or not self.keeps:
            self.kept[digest] = self.made(plan)
        return self.kept[digest]

    def made(self, plan: Plan) -> Sheet:
        asked = aggregate_of(plan)
        assert asked.privacy is not None
        columns = Columns(
            {
                str(book.ref): np.array([book.code(firm) for firm in self.firms], dtype=np.int8)
                for book in plan.columns
            },
            {},
        )
        tables = with_noise(plan_of(asked, SHAPES, 1), columns, asked.privacy.epsilon)
        cells = [[cell for cell, _ in cells_of(self.firms, margin)] for margin in plan.margins]
        return {
            cell: float(number or "nan")
            for margin, numbers in zip(cells, tables.numbers(), strict=True)
            for cell, number in zip(margin, numbers, strict=True)
        }
