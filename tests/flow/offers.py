"""What the members of the live room bring: made-up firms, tables, features and templates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from saferoom_proto.encoding import sha256_digest
from saferoom_proto.statements import (
    Absent,
    Column,
    ColumnType,
    Feature,
    FeatureKind,
    Schema,
    Table,
    Title,
)
from saferoom_proto.uscc import make_uscc

ORIGIN: Final = "room.example/live"
OWNERS: Final = ("court", "tax")
APPROVERS: Final = ("li", "wang", "zhao")
BANKS: Final = ("bank-a", "bank-b", "bank-c")
THRESHOLD: Final = 2
LIMITS: Final = ((0, 0), (3, 12), (3, 12), (3, 6))
NOTICE: Final = sha256_digest(b"The risk notice that was shown.")
YEAR: Final = timedelta(days=365)

# Made-up firms: what the tax office has seen them pay, and whom the court lists.
SUBJECTS: Final = tuple(make_uscc(serial) for serial in range(7))
STEADY, POOR, LISTED, UNKNOWN, SILENT, CURIOUS, FICKLE = SUBJECTS
ON_PAPER: Final = make_uscc(7)
"""A firm that has no key: it signs on paper, at the registrar's."""
REGISTRAR: Final = "hall"
PAID: Final = dict.fromkeys((*SUBJECTS, ON_PAPER), 60_000) | {POOR: 900}
del PAID[UNKNOWN]
# Of whom nobody asks: enough of them for tables to tell anything.
PAID.update({make_uscc(1000 + at): (500, 3_000, 20_000, 60_000)[at % 4] for at in range(80)})
DISHONEST: Final = (LISTED,)
CASE: Final = "2026豫0402执17号"
"""Public by law, as are the codes of the firms whose cases these are."""

VAT: Final = "tax.vat_paid"
COURT: Final = "court.dishonest"
TEMPLATES: Final = {
    "paid-enough": ("tax.vat_paid >= :least", ("pre-loan",)),
    "steady-payer": (
        "tax.vat_paid >= :least AND court.dishonest IS FALSE",
        ("pre-loan", "in-loan"),
    ),
}


CSV: Final = {
    "court": (
        "cases",
        "uscc,listed,case_no\n"
        + "".join(f"{each},true,{CASE}\n" for each in DISHONEST)
        + f"{FICKLE},false,{CASE}\n",
    ),
    "tax": ("vat", "uscc,paid\n" + "".join(f"{each},{paid}\n" for each, paid in PAID.items())),
}


def title(text: str) -> Title:
    return Title(en=text, zh=text)


def column(name: str, kind: ColumnType, level: int) -> Column:
    return Column(name=name, type=kind, level=level, title=title(name))


def tax_schema() -> Schema:
    columns = (column("uscc", ColumnType.TEXT, 4), column("paid", ColumnType.BIGINT, 3))
    table = Table(name="vat", title=title("vat"), key="uscc", columns=columns)
    return Schema(room=ORIGIN, owner="tax", version=1, tables=(table,))


def court_schema() -> Schema:
    columns = (
        column("uscc", ColumnType.TEXT, 1),
        column("listed", ColumnType.BOOLEAN, 2),
        column("case_no", ColumnType.TEXT, 1),
    )
    table = Table(name="cases", title=title("cases"), key="uscc", columns=columns)
    return Schema(room=ORIGIN, owner="court", version=1, tables=(table,))


def feature(fields: Mapping[str, object]) -> Feature:
    common: dict[str, object] = {
        "room": ORIGIN,
        "version": 1,
        "unit": "",
        "information_types": (),
        "as_of": date(2026, 6, 30),
        "budget_bits": Decimal(3),
    }
    return Feature.model_validate({**common, **fields})


def vat_paid(**changes: object) -> Feature:
    return feature(
        {
            "owner": "tax",
            "name": "vat_paid",
            "title": title("VAT paid"),
            "level": 3,
            "family": "turnover",
            "sql": "SELECT uscc AS subject, paid AS value FROM vat",
            "kind": FeatureKind.ORDERED,
            "grid": (Decimal(1000), Decimal(5000), Decimal(50_000)),
            "absent": Absent.UNKNOWN,
            "budget_bits": Decimal(2),  # one cut, and whether it is known: 3 cells of at most 4
            **changes,
        }
    )


def dishonest() -> Feature:
    return feature(
        {
            "owner": "court",
            "name": "dishonest",
            "title": title("On the court's list"),
            "level": 2,
            "family": "justice",
            "sql": "SELECT uscc AS subject, listed AS value FROM cases",
            "kind": FeatureKind.FLAG,
            "absent": Absent.FALSE,
        }
    )
