"""The demo's records: 30,000 real borrowers, split over two owners and a bank.

The rows are persons who stand in for firms, under made-up codes of a region that exists nowhere;
`data/CITATION.md` names their source.
"""

from __future__ import annotations

import bz2
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from saferoom_client.tongue import later
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import make_uscc

RECORDS: Final = "uci_card_default.csv.bz2"
SOURCE: Final = "Default of Credit Card Clients, I-C. Yeh, UCI 350, CC BY 4.0"
UNBILLED_EVERY: Final = 50
"""Every so many-th borrower is missing from the store of bills, as real stores have gaps."""

REPAY_COLUMNS: Final = ("pay_0", "pay_2", "pay_3", "pay_4", "pay_5", "pay_6")
CUSTOMER_COLUMNS: Final = ("limit_bal", "default")
CUSTOMER_EVERY: Final = 5
"""Every so many-th borrower is a customer of the bank's."""
BILLS_COLUMNS: Final = ("bill_amt1", "pay_amt1", "pay_amt2", "pay_amt3")


@dataclass(frozen=True, slots=True)
class Borrower:
    """One row of the set, under its made-up code. Amounts in TWD, delays in months."""

    uscc: str
    limit: int
    worst_delay: int
    paid_3m: int | None
    """What it paid in three months; none if the store of bills has no such borrower."""


@dataclass(frozen=True, slots=True)
class Records:
    """What each side brings.

    Attributes:
        repay: the CSV file of the owner of repayment status.
        bills: the CSV file of the owner of bills and payments.
        customers: the CSV file of a bank: every fifth borrower's limit, and whether it defaulted.
        borrowers: all of them, for the demo's own choice of applicants.
    """

    repay: bytes
    bills: bytes
    customers: bytes
    borrowers: Sequence[Borrower]


def read_records() -> Records:
    """Read the set and split it as the parties hold it.

    Raises:
        SafeRoomError: `BAD_CONFIG` where it is not, as in what `pip install` brings (ADR 9).
    """
    try:
        packed = files("saferoom_client.demo").joinpath(f"data/{RECORDS}").read_bytes()
    except FileNotFoundError as error:
        missing = SafeRoomError(Reason.BAD_CONFIG, later("the demo's records are not installed"))
        missing.add_note(later("Call it in a checkout of the source, after make setup."))
        raise missing from error
    read = csv.DictReader(io.StringIO(bz2.decompress(packed).decode()))
    # The set numbers its rows from 1, in their order; the file leaves the numbers out.
    rows = [{"id": str(number), **row} for number, row in enumerate(read, start=1)]
    billed = [row for row in rows if int(row["id"]) % UNBILLED_EVERY]
    return Records(
        repay=_table(rows, REPAY_COLUMNS),
        bills=_table(billed, BILLS_COLUMNS),
        customers=_table(rows[::CUSTOMER_EVERY], CUSTOMER_COLUMNS),
        borrowers=[_borrower(row) for row in rows],
    )


def _table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> bytes:
    lines = [",".join(("uscc", *columns))]
    lines += [",".join((_code(row), *(row[column] for column in columns))) for row in rows]
    return "\n".join(lines).encode() + b"\n"


def _borrower(row: Mapping[str, str]) -> Borrower:
    billed = int(row["id"]) % UNBILLED_EVERY != 0
    paid = sum(int(row[column]) for column in ("pay_amt1", "pay_amt2", "pay_amt3"))
    return Borrower(
        uscc=_code(row),
        limit=int(row["limit_bal"]),
        worst_delay=max(int(row[column]) for column in REPAY_COLUMNS),
        paid_3m=paid if billed else None,
    )


def _code(row: Mapping[str, str]) -> str:
    return make_uscc(int(row["id"]))
