"""The made-up store: every record that its domain has, as often as every other.

A firm has an amount from 0 to 31, of which the store tells more than one thing (its features are
correlated), or the store knows nothing of it. So an attacker's prior is flat, and each attack's
result is counted over all records that there can be, not over a sample of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from saferoom_proto.formula import Absent, FeatureKind, FeatureRef, FeatureShape
from saferoom_proto.statements import (
    ClassCell,
    Column,
    ColumnType,
    Feature,
    Schema,
    Table,
    Title,
)
from saferoom_proto.statements.feature import StatedForm, StatedRule
from saferoom_proto.uscc import make_uscc

OWNER: Final = "tax"
AMOUNTS: Final = 32
MIDDLE: Final = AMOUNTS // 2
SECTORS: Final = ("A", "B", "C", "D")
FAMILY_BITS: Final = 4
"""For a family within 36 months: below what the family's features hold together, so it counts."""
LEVEL: Final = 3
STATED_LEVEL: Final = 4
ATTEMPTS: Final = 3
"""How many different values may be stated, in a day and ever: a run may pass midnight."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a store can hold of a firm.

    Attributes:
        amount: none if nothing is known.
        held: whether there is a row at all.
    """

    amount: int | None
    held: bool = True


KNOWN: Final = tuple(Record(amount) for amount in range(AMOUNTS))
SILENT: Final = Record(None)
UNHEARD: Final = Record(None, held=False)
EVERY: Final = (*KNOWN, SILENT)


@dataclass(frozen=True, slots=True)
class Offer:
    """A feature, as its owner offers it."""

    name: str
    column: str
    kind: FeatureKind
    family: str
    budget: str
    grid: tuple[int, ...] = ()

    @property
    def ref(self) -> FeatureRef:
        """Its full name."""
        return FeatureRef(OWNER, self.name)

    @property
    def budget_cells(self) -> int:
        """The most cells that its budget allows."""
        return most_cells(Decimal(self.budget))

    def shape(self, *, fine: bool = False) -> FeatureShape:
        """Give what a formula may compare it with; `fine` is a grid of every amount there is."""
        grid = tuple(range(1, AMOUNTS)) if fine and self.grid else self.grid
        classes = SECTORS if self.kind is FeatureKind.CLASSES else ()
        form = StatedForm.DIGITS if self.kind is FeatureKind.STATED else None
        cuts = tuple(Decimal(cut) for cut in grid)
        return FeatureShape(self.ref, self.kind, cuts, classes, Absent.UNKNOWN, form)

    def statement(self, room: str, version: int = 1, grid: tuple[int, ...] = ()) -> Feature:
        """Write it as its owner signs it."""
        fields: dict[str, object] = {
            "room": room,
            "owner": OWNER,
            "name": self.name,
            "version": version,
            "title": Title(en=self.name, zh=self.name),
            "unit": "",
            "level": LEVEL if self.kind is not FeatureKind.STATED else STATED_LEVEL,
            "family": self.family,
            "information_types": (),
            "as_of": date(2026, 6, 30),
            "sql": f"SELECT uscc AS subject, {self.column} AS value FROM firms",  # noqa: S608 -- ours
            "kind": self.kind,
            "absent": Absent.UNKNOWN,
            "budget_bits": Decimal(self.budget),
        }
        if self.grid:
            fields["grid"] = tuple(Decimal(cut) for cut in grid or self.grid)
        if self.kind is FeatureKind.CLASSES:
            fields["classes"] = tuple(ClassCell(name=each, values=(each,)) for each in SECTORS)
        if self.kind is FeatureKind.STATED:
            fields["stated"] = StatedRule(
                form=StatedForm.DIGITS, per_day=ATTEMPTS, for_life=ATTEMPTS
            )
        return Feature.model_validate(fields)


def most_cells(bits: Decimal) -> int:
    """Give the floor of 2 to these bits, in whole numbers."""
    p, q = bits.as_integer_ratio()
    cells = 1
    while (cells + 1) ** q <= 1 << p:
        cells += 1
    return cells


_ORDERED: Final = FeatureKind.ORDERED
TURNOVER: Final = Offer(
    "turnover", "amount", _ORDERED, "money", "2.322", (4, 8, 12, 16, 20, 24, 28)
)
INVOICES: Final = Offer("invoices", "amount", _ORDERED, "money", "2.322", (2, 6, 10, 14, 18, 22))
PAYROLL: Final = Offer("payroll", "amount", _ORDERED, "money", "2.322", (1, 5, 9, 13, 17, 21, 25))
SECTOR: Final = Offer("sector", "sector", FeatureKind.CLASSES, "money", "2.322")
ARREARS: Final = Offer("arrears", "arrears", FeatureKind.FLAG, "arrears", "1.585")
FORMER: Final = Offer("former", "amount", _ORDERED, "former", "2.322", (4, 8, 12, 16, 20, 24, 28))
"""Was offered with this grid once; its second version has one threshold."""
FORMER_GRID: Final = (16,)
PHONE: Final = Offer("phone", "phone", FeatureKind.STATED, "phone", "3")
OFFERS: Final = (TURNOVER, INVOICES, PAYROLL, SECTOR, ARREARS, FORMER, PHONE)

CHECKS: Final[Mapping[str, str]] = {
    "turnover-least": "tax.turnover >= :least",
    "turnover-below": "tax.turnover < :least",
    "invoices-least": "tax.invoices >= :least",
    "payroll-least": "tax.payroll >= :least",
    "turnover-unknown": "tax.turnover IS NULL",
    "sector-is": "tax.sector = :one",
    "in-arrears": "tax.arrears IS TRUE",
    "both": "tax.turnover >= :least AND tax.arrears",
    "either": "tax.turnover >= :least OR tax.arrears",
    "not-both": "NOT (tax.turnover >= :least AND tax.arrears)",
    "phone-is": "tax.phone = :number",
    "one-only": "tax.turnover >= :least AND NOT tax.arrears",
}
"""What the owner approved, by the names that banks ask by."""


def values_of(record: Record) -> dict[FeatureRef, Decimal | str | bool | None]:
    """Give each feature's value of a record; none is unknown."""
    amount = record.amount
    if amount is None:
        return {offer.ref: None for offer in OFFERS}
    number = Decimal(amount)
    return {
        **{each.ref: number for each in (TURNOVER, INVOICES, PAYROLL, FORMER)},
        SECTOR.ref: sector(amount),
        PHONE.ref: phone(amount),
        ARREARS.ref: in_arrears(amount),
    }


def sector(amount: int) -> str:
    """Tell the sector of a firm: an amount's remainder, so that grids tell nothing of it."""
    return SECTORS[amount % len(SECTORS)]


def in_arrears(amount: int) -> bool:
    """Tell whether a firm is in arrears: a bit of its amount that grids of four don't tell."""
    return bool(amount & 2)


def phone(amount: int) -> str:
    """Give the telephone number of a firm: one of as many as there are amounts."""
    return f"13800000{amount:03}"


def schema(room: str) -> Schema:
    """Write the table as its owner signs it."""
    types = (
        ("uscc", ColumnType.TEXT, STATED_LEVEL),
        ("amount", ColumnType.BIGINT, LEVEL),
        ("sector", ColumnType.TEXT, LEVEL),
        ("arrears", ColumnType.BOOLEAN, LEVEL),
        ("phone", ColumnType.TEXT, STATED_LEVEL),
    )
    columns = [
        Column(name=name, type=kind, level=level, title=_title(name)) for name, kind, level in types
    ]
    table = Table(name="firms", title=_title("firms"), key="uscc", columns=tuple(columns))
    return Schema(room=room, owner=OWNER, version=1, tables=(table,))


def csv_of(firms: Mapping[str, Record]) -> str:
    """Write the store's file; what is unheard of stands in no line."""
    return "\n".join(["uscc,amount,sector,arrears,phone", *_lines(firms)]) + "\n"


def _lines(firms: Mapping[str, Record]) -> Iterator[str]:
    for subject, record in firms.items():
        if record.amount is not None:
            flag = str(in_arrears(record.amount)).lower()
            told = (sector(record.amount), flag, phone(record.amount))
            yield ",".join((subject, str(record.amount), *told))
        elif record.held:
            yield f"{subject},,,,"


def codes(first: int, count: int) -> list[str]:
    """Make up codes of firms; the region 990000 is nowhere."""
    return [make_uscc(serial) for serial in range(first, first + count)]


def _title(text: str) -> Title:
    return Title(en=text, zh=text)
