"""Two real credit data sets, split between a bank and owners in the room, for joint training.

They lie beside the project, in a folder `data` that is not part of it: `SAFEROOM_DATA` names it,
else it is `../shared/data` or `../../shared/data` from the project's root. Without it, what needs
them is skipped or says so.

Sources: I-Cheng Yeh, Default of Credit Card Clients, UCI repository 350, CC BY 4.0;
GeNeura, Spanish companies' bankruptcies 1998 to 2003 (Alfaro-Cid et al., WCCI 2008), Artistic 2.0.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.vertical.owners import OwnerColumns

ROOT: Final = Path(__file__).resolve().parent.parent

CARD_BANK: Final = (
    *("LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE"),
    *(f"PAY_AMT{month}" for month in range(1, 6)),
)
CARD_ROOM: Final = (
    *(f"PAY_{month}" for month in (0, 2, 3, 4, 5, 6)),
    *(f"BILL_AMT{month}" for month in range(1, 7)),
    "PAY_AMT6",
)
SPAIN_BANK: Final = (
    "debt_ratio",
    "debt_structure",
    "debt_cost",
    "return_assets",
    "working_capital",
)
SPAIN_OWNERS: Final = {
    "registration": (
        "size",
        "age",
        "social_code",
        "linked_group",
        "number_partners",
        "province_code",
        "changes_location",
    ),
    "courts": (
        "number_judicial_incidences_total",
        "number_judicial_incidences_year",
        "spent_judicial_incidences_total",
        "spent_judicial_incidences_year",
        "number_serious_incidences",
    ),
    "staff": ("number_employees",),
    "tax": (
        "year",
        "debt_paying_availability",
        "warranty",
        "operating_income_margin",
        "return_operating_assets",
        "return_equity",
        "stock_turnover",
        "asset_turnover",
        "receivable_turnover",
        "asset_rotation",
        "financial_solvency",
        "acid_test",
        "delay_accounts",
        "audited",
        "auditors_opinion",
    ),
}
OFTEN_MISSING: Final = 0.02
DUMMIES: Final = 3
"""Values of a named column that get a column each, after its first."""


@dataclass(frozen=True, slots=True)
class CreditSet:
    """Rows of a bank and of owners, in one order, with labels."""

    bank: OwnerColumns
    owners: tuple[OwnerColumns, ...]
    labels: Integers

    def rows(self, chosen: Integers) -> CreditSet:
        """Take some rows."""
        return CreditSet(
            _rows(self.bank, chosen),
            tuple(_rows(own, chosen) for own in self.owners),
            self.labels[chosen],
        )

    @property
    def room(self) -> Floats:
        """The owners' columns side by side."""
        return np.hstack([own.values for own in self.owners])


def _rows(columns: OwnerColumns, chosen: Integers) -> OwnerColumns:
    return OwnerColumns(columns.owner, columns.names, columns.values[chosen])


def find_data(name: str) -> Path | None:
    """Find a file of the data folder, if it is there."""
    named = os.environ.get("SAFEROOM_DATA")
    folders = (
        [Path(named)] if named else [ROOT.parent / "shared/data", ROOT.parents[1] / "shared/data"]
    )
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def hold_out(labels: Integers, share: float, seed: int) -> tuple[Integers, Integers]:
    """Split rows into those to train on and those held out, each label in the same share."""
    draw = np.random.default_rng(seed)
    held: list[Integers] = []
    for label in (0, 1):
        of_label = draw.permutation(np.flatnonzero(labels == label))
        held.append(of_label[: round(share * len(of_label))])
    out = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), out), out


def card_clients(path: Path) -> CreditSet:
    """Read the card clients: 30,000 rows, 10 columns at the bank, 13 at one owner."""
    with duckdb.connect() as database:
        table = database.execute("SELECT * FROM read_parquet($path)", {"path": str(path)})
        names = [str(column[0]) for column in table.description or ()]
        whole = np.array(table.fetchall(), dtype=np.float64)
    columns = dict(zip(names, whole.T, strict=True))
    for name, kinds in (("EDUCATION", 7), ("MARRIAGE", 4)):
        flags = np.column_stack([columns[f"{name}_{kind}"] for kind in range(kinds)])
        columns[name] = flags.argmax(axis=1).astype(np.float64)
    labels = columns["default-payment-next-month"].astype(np.int64)
    bank, room = (
        OwnerColumns(owner, names, np.column_stack([columns[name] for name in names]))
        for owner, names in (("bank", CARD_BANK), ("card", CARD_ROOM))
    )
    return CreditSet(bank, (room,), labels)


def spanish_companies(path: Path) -> CreditSet:
    """Read the Spanish companies: 2,859 rows, a bank and four owners."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([row["bankruptcy"] == "YES" for row in rows], dtype=np.int64)
    bank, *owners = (
        _encode(owner, names, rows)
        for owner, names in (("bank", SPAIN_BANK), *SPAIN_OWNERS.items())
    )
    return CreditSet(bank, tuple(owners), labels)


def _encode(owner: str, names: tuple[str, ...], rows: list[dict[str, str]]) -> OwnerColumns:
    """Clip numbers at percentiles 2 and 98, flag and fill what is missing, split words."""
    found: dict[str, Floats] = {}
    for name in names:
        texts = [row[name] for row in rows]
        try:
            values = np.array([float(text) if text else np.nan for text in texts])
        except ValueError:
            for kind in sorted(set(texts))[1 : 1 + DUMMIES]:
                found[f"{name}_{kind}"] = np.array([float(text == kind) for text in texts])
            continue
        missing = np.isnan(values)
        low, high = np.nanquantile(values, [0.02, 0.98])
        if low == high:  # hardly ever anything but 0: then all of it counts
            low, high = float(np.nanmin(values)), float(np.nanquantile(values, 0.995))
        found[name] = np.where(missing, np.nanmedian(values), np.clip(values, low, high))
        if missing.mean() > OFTEN_MISSING:
            found[f"{name}_missing"] = missing.astype(np.float64)
    return OwnerColumns(owner, tuple(found), np.column_stack(list(found.values())))
