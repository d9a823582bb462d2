"""A small room to ask in: two owners with records, two banks, templates that were approved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.statements import (
    Absent,
    ClassCell,
    Column,
    ColumnType,
    Feature,
    FeatureKind,
    Returns,
    Schema,
    Table,
    Template,
    Title,
    load,
)
from saferoom_proto.suite import Suite
from simulator.bank import SimBank
from simulator.clock import Clock
from simulator.owner import SimOwner
from simulator.world import ROOM, World

AS_OF: Final = date(2026, 2, 28)
VAT_GRID: Final = ("10000", "50000", "100000", "500000", "1000000", "5000000", "10000000")
FEATURES: Final = ("tax.vat_paid", "tax.arrears", "tax.rating")
"""The tax office's features above level 1: those a consent has to cover."""
STEADY: Final = "tax.vat_paid >= :min_vat AND tax.arrears IS FALSE"


def title(text: str) -> Title:
    """Give a title; the Chinese one is the same."""
    return Title(en=text, zh=text)


def column(name: str, kind: ColumnType, level: int) -> Column:
    """Give a column."""
    return Column(name=name, type=kind, level=level, title=title(name))


def table(name: str, *columns: Column) -> Table:
    """Give a table keyed by `uscc`."""
    key = column("uscc", ColumnType.TEXT, 4)
    return Table(name=name, title=title(name), key="uscc", columns=(key, *columns))


def schema(owner: str, *tables: Table, version: int = 1) -> Schema:
    """Give a schema."""
    return Schema(room=ROOM, owner=owner, version=version, tables=tables)


def feature(owner: str, name: str, sql: str, kind: FeatureKind, **changes: object) -> Feature:
    """Give a feature of level 3; fields can be changed by name."""
    fields: dict[str, object] = {
        "room": ROOM,
        "owner": owner,
        "name": name,
        "version": 1,
        "title": title(name),
        "unit": "",
        "level": 3,
        "family": name,
        "information_types": (),
        "as_of": AS_OF,
        "sql": sql,
        "kind": kind,
        "absent": Absent.UNKNOWN,
        "budget_bits": Decimal(3),
    }
    return Feature.model_validate(fields | changes)


def ordered(owner: str, name: str, sql: str, grid: Sequence[str], **changes: object) -> Feature:
    """Give an ordered feature."""
    numbers = tuple(Decimal(each) for each in grid)
    return feature(owner, name, sql, FeatureKind.ORDERED, grid=numbers, **changes)


TAX_TABLES: Final = (
    table(
        "firms",
        column("vat", ColumnType.DECIMAL, 3),
        column("arrears", ColumnType.BOOLEAN, 2),
        column("rating", ColumnType.TEXT, 2),
    ),
)
COURT_TABLES: Final = (table("judgments", column("dishonest", ColumnType.BOOLEAN, 1)),)


def tax_features() -> list[Feature]:
    """Give the tax office's features."""
    classes = tuple(ClassCell(name=each, values=(each,)) for each in ("A", "B", "C", "D"))
    return [
        ordered("tax", "vat_paid", "SELECT uscc AS subject, vat AS value FROM firms", VAT_GRID),
        feature(
            "tax",
            "arrears",
            "SELECT uscc AS subject, arrears AS value FROM firms",
            FeatureKind.FLAG,
            level=2,
            absent=Absent.FALSE,
        ),
        feature(
            "tax",
            "rating",
            "SELECT uscc AS subject, rating AS value FROM firms",
            FeatureKind.CLASSES,
            level=2,
            classes=classes,
        ),
        feature(
            "tax",
            "registered",
            "SELECT uscc AS subject, uscc IS NOT NULL AS value FROM firms",
            FeatureKind.FLAG,
            level=1,
            absent=Absent.FALSE,
        ),
    ]


def court_features() -> list[Feature]:
    """Give the court's features: public by law."""
    sql = "SELECT uscc AS subject, dishonest AS value FROM judgments"
    return [
        feature("court", "dishonest", sql, FeatureKind.FLAG, level=1, absent=Absent.FALSE),
    ]


@dataclass(frozen=True, slots=True)
class Firm:
    """A row of the tax office's table."""

    vat: str
    arrears: bool
    rating: str


FIRMS: Final[Mapping[int, Firm]] = {
    1: Firm("120000", arrears=False, rating="A"),
    2: Firm("120000", arrears=True, rating="B"),
    3: Firm("9999.9999", arrears=False, rating="C"),
    4: Firm("", arrears=False, rating="D"),
}
"""By subject. Firm 1 is a steady payer above 100,000; 2 has arrears; 3 is just below the first
threshold; nothing is known of what 4 paid; nobody has heard of any other."""


def tax_csv(world: World, firms: Mapping[int, Firm] = FIRMS) -> bytes:
    """Write the tax office's table."""
    lines = ["uscc,vat,arrears,rating"]
    for serial, firm in firms.items():
        arrears = "true" if firm.arrears else "false"
        lines.append(f"{world.subject(serial).uscc},{firm.vat},{arrears},{firm.rating}")
    return "\n".join(lines).encode() + b"\n"


def court_csv(world: World, dishonest: Sequence[int] = (2,)) -> bytes:
    """Write the court's table: who is on its list."""
    lines = ["uscc,dishonest", *(f"{world.subject(each).uscc},true" for each in dishonest)]
    return "\n".join(lines).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Approved:
    """A template and certificate that were proposed and approved."""

    template: Envelope
    certificate: Envelope


@dataclass(frozen=True, slots=True)
class Sample:
    """The small room, and what is said in it by name."""

    world: World
    tax: SimOwner
    court: SimOwner
    bank: SimBank
    other_bank: SimBank
    agreement: Envelope
    """Of the tax office with `bank`."""
    steady: Approved
    """`STEADY`, about the tax office alone."""
    public: Approved
    """`tax.registered`, of level 1."""

    def question(
        self,
        serial: int = 1,
        min_vat: str = "50000",
        asked: Approved | None = None,
        bank: SimBank | None = None,
        key: SigningKey | None = None,
        **changes: object,
    ) -> Envelope:
        """Have a bank ask `steady` about a firm, or another check; fields can be changed."""
        check = asked or self.steady
        params = {"min_vat": min_vat} if "min_vat" in load(check.template, Template).params else {}
        subject = self.world.subject(serial)
        return (bank or self.bank).request(
            subject, check.template, check.certificate, params, key=key, **changes
        )

    def approved(
        self, name: str, check: str, *owners: SimOwner, returns: Returns = Returns.PARTS
    ) -> Approved:
        """Propose a check and have it approved, by the tax office unless owners are named."""
        template, certificate = self.bank.propose(name, check, returns=returns)
        for owner in owners or (self.tax,):
            owner.approve(template, certificate.digest)
        return Approved(template, certificate)

    def consent(self, serial: int, bank: SimBank | None = None) -> Envelope:
        """Let a subject consent to all of the tax office's features."""
        return self.world.subject(serial).give(bank or self.bank, FEATURES)


def sample(
    seed: int | str = 0,
    *,
    clock: Clock | None = None,
    suite: Suite = Suite.INTERNATIONAL,
    **tax_charter: object,
) -> Sample:
    """Make the small room; fields of the tax office's charter can be changed by name."""
    world = World(seed, clock=clock, suite=suite)
    tax, court = world.owner("tax", **tax_charter), world.owner("court")
    bank, other = world.bank("bank-a"), world.bank("bank-b")
    tax.publish_schema(schema("tax", *TAX_TABLES))
    court.publish_schema(schema("court", *COURT_TABLES))
    for each in tax_features():
        tax.define(each)
    for each in court_features():
        court.define(each)
    agreement = tax.agree(bank)
    for owner, asker in ((tax, other), (court, bank), (court, other)):
        owner.agree(asker)
    made: dict[str, Approved] = {}
    for name, check in (("steady", STEADY), ("public", "tax.registered")):
        template, certificate = bank.propose(name, check)
        tax.approve(template, certificate.digest)
        made[name] = Approved(template, certificate)
    return Sample(world, tax, court, bank, other, agreement, made["steady"], made["public"])
