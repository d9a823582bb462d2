"""A room to ask tables in: a tax office of some hundred firms, and banks with agreements."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from saferoom_enclaves.journal import Judged
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.statements import (
    Absent,
    Aggregate,
    ClassCell,
    ColumnType,
    FeatureKind,
    MeasureKind,
    Purpose,
    TableMeasure,
    TableRelease,
    Template,
    load,
)
from saferoom_proto.tables.asked import plan_of
from saferoom_proto.tables.told import TABLES_SEAL, Tables, Told
from saferoom_proto.uscc import make_uscc
from simulator.bank import SimBank
from simulator.harness import EnclaveHarness
from simulator.owner import SimOwner
from simulator.sample import Approved, column, feature, ordered, schema, table
from simulator.world import World

COUNT: Final = TableMeasure(kind=MeasureKind.COUNT)
SIZES: Final = ("small", "middle", "large")


@dataclass(frozen=True, slots=True)
class FirmOf:
    """A row of the tax office's table."""

    size: str
    late: bool
    vat: int


def firms(seed: int = 1, many: int = 300) -> list[FirmOf]:
    """Make firms: few are large, few of those late."""
    draw = random.Random(seed)
    sizes = ["large"] * 30 + ["middle"] * 90 + ["small"] * (many - 120)
    return [
        FirmOf(size, late=at % (4 if size == "small" else 15) == 0, vat=draw.randrange(500, 9500))
        for at, size in enumerate(sizes)
    ]


def to_csv(rows: Sequence[FirmOf]) -> bytes:
    """Write the tax office's table."""
    lines = ["uscc,size,late,vat"]
    for serial, firm in enumerate(rows, 1):
        late = "true" if firm.late else "false"
        lines.append(f"{make_uscc(serial)},{firm.size},{late},{firm.vat}")
    return "\n".join(lines).encode() + b"\n"


def added(kind: MeasureKind, high: int = 10_000) -> TableMeasure:
    """Add `tax.vat` up, between bounds."""
    bounds = {"low": Decimal(0), "high": Decimal(high)}
    return TableMeasure.model_validate({"kind": kind, "of": "tax.vat", **bounds})


def plan(*dimensions: str, ways: int = 1, measures: Sequence[TableMeasure] = (COUNT,)) -> Aggregate:
    """Give a plan over the tax office's features."""
    names = tuple(f"tax.{each}" for each in dimensions)
    return Aggregate(dimensions=names, measures=tuple(measures), ways=ways)


@dataclass(frozen=True, slots=True)
class TableRoom:
    """The room, the tax office's enclave, and the banks."""

    world: World
    tax: SimOwner
    enclave: EnclaveHarness
    banks: tuple[SimBank, ...]

    @classmethod
    def make(cls, folder: Path, rows: Sequence[FirmOf] | None = None) -> TableRoom:
        """Make the room; banks a and b are of one collusion group, c of its own."""
        world = World(0)
        tax = world.owner("tax")
        tax.publish_schema(
            schema(
                "tax",
                table(
                    "firms",
                    column("size", ColumnType.TEXT, 2),
                    column("late", ColumnType.BOOLEAN, 2),
                    column("vat", ColumnType.BIGINT, 3),
                ),
            )
        )
        classes = tuple(ClassCell(name=each, values=(each,)) for each in SIZES)
        by_class = {"level": 2, "classes": classes, "absent": Absent.FALSE}
        select = "SELECT uscc AS subject, {} AS value FROM firms"
        tax.define(feature("tax", "size", select.format("size"), FeatureKind.CLASSES, **by_class))
        flag = {"level": 2, "absent": Absent.FALSE}
        tax.define(feature("tax", "late", select.format("late"), FeatureKind.FLAG, **flag))
        tax.define(ordered("tax", "vat", select.format("vat"), ("2000", "5000")))
        banks = tuple(world.bank(name) for name in ("bank-a", "bank-b", "bank-c"))
        for bank, group in zip(banks, ("ring", "ring", "alone"), strict=True):
            tax.agree(bank, (Purpose.PRODUCT_DESIGN,), group)
        enclave = EnclaveHarness(tax, folder)
        enclave.load({"firms": to_csv(firms() if rows is None else rows)})
        enclave.follow()
        return cls(world, tax, enclave, banks)

    @property
    def bank(self) -> SimBank:
        """The first bank."""
        return self.banks[0]

    def approved(self, name: str, aggregate: Aggregate, bank: SimBank | None = None) -> Approved:
        """Have tables proposed and approved."""
        template, certificate = (bank or self.bank).tables(name, aggregate)
        self.tax.approve(template, certificate.digest)
        self.enclave.follow()
        return Approved(template, certificate)

    def request(
        self,
        tables: Approved,
        bank: SimBank | None = None,
        key: SigningKey | None = None,
        **changes: object,
    ) -> Envelope:
        """Sign a request for tables."""
        return (bank or self.bank).table_request(
            tables.template, tables.certificate, key=key, **changes
        )

    def ask(self, tables: Approved, bank: SimBank | None = None) -> tuple[Told, ...]:
        """Ask for tables, and open them as their asker."""
        request = self.request(tables, bank)
        return self.opened(tables, request, self.enclave.tabulate(request), bank)

    def said(self, judged: Judged) -> TableRelease:
        """Give the enclave's word."""
        return load(judged.entry.statement, TableRelease)

    def opened(
        self, of: Approved, request: Envelope, judged: Judged, bank: SimBank | None = None
    ) -> tuple[Told, ...]:
        """Open tables as who asked for them."""
        key = (bank or self.bank).reply
        tables = Tables.from_bytes(TABLES_SEAL.open(judged.sealed, key, request.digest, "tax"))
        template = load(of.template, Template)
        assert template.aggregate is not None
        shapes = {ref: each.shape for ref, each in self.world.features.items()}
        return tables.by_plan(plan_of(template.aggregate, shapes, tables.epoch))


def numbers(told: Told) -> dict[tuple[str, ...], str | None]:
    """Give a table's numbers by their classes."""
    return {cell.classes: cell.number for cell in told.cells}
