"""Records of real companies load, make features and answer checks; without them this is skipped.

The invoices of Chinese small firms (CUMCM 2020, problem C) as type 3.4, and what follows from them
as 3.5; Spanish companies (Alfaro-Cid et al., WCCI 2008) whose columns lie with four owners.
`SAFEROOM_DATA` names their folder, else it is `../shared/data`. No row of them is part of the
project.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.credit_sets import SPAIN_OWNERS, find_data
from saferoom_client.records.annex import catalogue
from saferoom_client.records.faults import Fault
from saferoom_client.records.holding import hold
from saferoom_client.records.offers import offers
from saferoom_enclaves.features.computed import ABSENT, FeatureDefinition
from saferoom_enclaves.materialise import materialise
from saferoom_enclaves.rows import TableLoad
from saferoom_proto.answer import Truth
from saferoom_proto.statements import ClassCell, ColumnType, Feature, FeatureKind, Table
from saferoom_proto.uscc import make_uscc
from simulator import EnclaveHarness, World
from simulator.sample import column, feature, ordered, schema, table
from tests.enclaves.city_store import feature_of, tables_of
from tests.enclaves.default import auc
from tests.enclaves.tables import opened

INVOICES: Final = "tax_record_vat_invoice"
STATISTICS: Final = "tax_statistics"
AS_OF: Final = date(2020, 2, 29)
SUM_RULE: Final = "it is the sum of amount_excl_tax and tax_amount"
ALL: Final = range(1, 124)
SOME: Final = range(80, 92)
"""Firms with 200 to 3,600 invoices each."""
VAT: Final = 30_000
_INVOICES: Final = """
SELECT CAST(substr(CAST(enterprise_id AS VARCHAR), 2) AS BIGINT) AS firm, invoice_no,
    CAST(invoice_date AS DATE), CAST(substr(CAST(counterparty_id AS VARCHAR), 2) AS BIGINT),
    amount_fen, tax_fen, total_fen, void
FROM read_parquet($1) WHERE firm >= $2 AND firm < $3 ORDER BY ALL
"""
PARTNERS: Final = 10_000_000
"""Codes from here on stand for those whom the firms trade with."""


def real(name: str) -> Path:
    path = find_data(name)
    if path is None:
        pytest.skip(f"{name} is not at hand; SAFEROOM_DATA names its folder")
    return path


@dataclass(slots=True)
class Books:
    """The invoices of some firms, and what follows from them.

    Attributes:
        rows: as type 3.4 has them.
        uneven: places of rows whose parts do not add up.
        vat: of the last year, by firm, in fen: what was sold less what was bought.
        pieces: invoices by firm, but for the uneven ones.
    """

    rows: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])
    uneven: set[int] = field(default_factory=set[int])
    vat: Counter[str] = field(default_factory=Counter[str])
    pieces: Counter[str] = field(default_factory=Counter[str])


def books(firms: range) -> Books:
    """Read the invoices of some firms, under codes that no real firm has."""
    made = Books()
    year = AS_OF - timedelta(365)
    for way, sign, name in (("进项", -1, "in"), ("销项", 1, "out")):
        path = real(f"cumcm2020c_invoices_credit_{name}.parquet")
        with duckdb.connect() as database:
            found = database.execute(_INVOICES, [str(path), firms.start, firms.stop]).fetchall()
        for firm, number, day, partner, net, tax, total, void in found:
            code = make_uscc(firm)
            if abs(net + tax - total) > 1:
                made.uneven.add(len(made.rows))
            else:
                made.pieces[code] += 1
                if not void and day > year:
                    made.vat[code] += sign * tax
            status = "作废" if void else "红冲" if total < 0 else "有效"
            made.rows.append(
                (
                    *(code, way, f"{len(made.rows):07d}{number:08d}", day.isoformat()),
                    make_uscc(PARTNERS + partner),
                    *(f"{each / 100:.2f}" for each in (net, tax, total)),
                    status,
                )
            )
    return made


def write(path: Path, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write a file as an office would hand it in."""
    with path.open("w", newline="", encoding="gb18030") as file:
        writer = csv.writer(file)
        writer.writerow(heading)
        writer.writerows(rows)
    return path


def held(table_: Table, path: Path) -> tuple[bytes, list[Fault]]:
    """Hold a file as its owner's client does; give what would be sealed, and the faults."""
    out, faults = io.BytesIO(), list[Fault]()
    hold(table_, path, out, lambda fault, _: faults.append(fault))
    return out.getvalue(), faults


def statistics(made: Books) -> bytes:
    """Write the year's sums of each firm as type 3.5 has them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([each.name for each in catalogue().tables[STATISTICS].columns])
    for code in made.pieces:
        paid = f"{max(0, made.vat[code]) / 100:.2f}"
        writer.writerow(["", code, paid, paid, "", "", "", ""])
    return text.getvalue().encode()


def loaded_and_asked(
    firms: range, folder: Path
) -> tuple[dict[int, Truth | None], dict[int, Truth]]:
    """Load the invoices of some firms as a tax office would, and ask about twelve of them.

    Returns:
        What the enclave told of each by its serial, and what is so by the invoices themselves.
    """
    made = books(firms)
    forms = catalogue().tables
    tables = tables_of([forms[INVOICES], forms[STATISTICS]])
    heading = [each.zh for each in forms[INVOICES].columns]
    whole = write(folder / "whole.csv", heading, made.rows)
    _, faults = held(tables[INVOICES], whole)
    assert {(fault.line - 2, fault.rule) for fault in faults} == {
        (at, SUM_RULE) for at in made.uneven
    }
    good = [row for at, row in enumerate(made.rows) if at not in made.uneven]
    lines, faults = held(tables[INVOICES], write(folder / "good.csv", heading, good))
    assert faults == []
    world = World("invoices")
    tax, bank = world.owner("tax"), world.bank("bank-a")
    tax.publish_schema(schema("tax", *tables.values()))
    names = ("tax_invoices", "tax_vat_paid_12m")
    for name in names:
        tax.define(feature_of(offers().features[name], "tax"))
    tax.agree(bank)
    check = "tax.tax_invoices >= 50 AND tax.tax_vat_paid_12m >= :vat"
    template, certificate = bank.propose("real-invoices", check)
    tax.approve(template, certificate.digest)
    for serial in (*SOME, 999):
        world.subject(serial).give(bank, [f"tax.{name}" for name in names])
    enclave = EnclaveHarness(tax, folder)
    try:
        report = enclave.load({INVOICES: lines, STATISTICS: statistics(made)})
        assert report.snapshot is not None
        enclave.follow()
        told: dict[int, Truth | None] = {}
        so: dict[int, Truth] = {999: Truth.NOT_FOUND}
        for serial in SOME:
            code = make_uscc(serial)
            sound = made.pieces[code] >= 50 and made.vat[code] >= VAT * 100
            so[serial] = Truth.YES if sound else Truth.NO
        for serial in (*SOME, 999):
            request = bank.request(world.subject(serial), template, certificate, {"vat": str(VAT)})
            told[serial] = enclave.ask(request).truth
        assert {Truth.YES, Truth.NO} < {*so.values()}
        return told, so
    finally:
        enclave.close()


def test_real_invoices_load_and_answer_a_check(tmp_path: Path) -> None:
    told, so = loaded_and_asked(SOME, tmp_path)
    assert told == so


@pytest.mark.soak
def test_all_real_invoices_load_and_answer_a_check(tmp_path: Path) -> None:
    """Of 373,431 invoices three do not add up: their owner gets them back."""
    assert len(books(ALL).uneven) == 3
    told, so = loaded_and_asked(ALL, tmp_path)
    assert told == so


@dataclass(frozen=True, slots=True)
class Office:
    """One owner's part of the Spanish companies: its table, its file, and a feature a column."""

    table: Table
    lines: bytes
    features: list[Feature]


def spain() -> list[dict[str, str]]:
    """Read the Spanish companies."""
    with real("spain_companies_bankruptcy_1998_2003.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def office(owner: str, names: Sequence[str], rows: list[dict[str, str]], folder: Path) -> Office:
    """Split an owner's columns off, hold them to its table, and draft features with even cells."""
    values = {name: [row[name] for row in rows] for name in names}
    numbers = {name: _numbers(cells) for name, cells in values.items()}
    kinds = {
        name: ColumnType.TEXT if cells is None else ColumnType.DOUBLE
        for name, cells in numbers.items()
    }
    columns = [column(name, kind, 3) for name, kind in kinds.items()]
    made = table("companies", *columns)
    path = folder / f"{owner}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["uscc", *names])
        codes = [make_uscc(serial) for serial in range(len(rows))]
        writer.writerows(zip(codes, *values.values(), strict=True))
    lines, faults = held(made, path)
    assert faults == []
    features: list[Feature] = []
    for name, cells in numbers.items():
        sql = f"SELECT uscc AS subject, {name} AS value FROM companies"
        if cells is not None:
            features.append(ordered(owner, name, sql, even_grid(cells)))
        else:
            common = [each for each, _ in Counter(values[name]).most_common(8) if each]
            classes = tuple(ClassCell(name=each, values=(each,)) for each in common)
            features.append(feature(owner, name, sql, FeatureKind.CLASSES, classes=classes))
    return Office(made, lines, features)


def even_grid(cells: NDArray[np.float64]) -> list[str]:
    """Cut at the fifths, or where most are lowest, at the least above that and at the middle."""
    above = cells[cells > np.nanmin(cells)]
    most = np.nanquantile(cells, (0.2, 0.4, 0.6, 0.8))
    cuts = most[most > np.nanmin(cells)]
    if not cuts.size:
        cuts = np.array([above.min(), np.quantile(above, 0.5)])
    return [f"{each:.6f}" for each in np.unique(cuts.round(6))]


def _numbers(cells: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        return np.array([float(each) if each else np.nan for each in cells])
    except ValueError:
        return None


def cells_of(part: Office) -> NDArray[np.float64]:
    """Give a column for each cell of each feature: whether a company falls into it."""
    definitions = [FeatureDefinition.of(each) for each in part.features]
    with opened(TableLoad(part.table, part.lines)) as store:
        told = materialise(store, definitions, {"companies": part.table})
    assert told.refused == {}
    # Rows come back in the codes' order, which is not that of their serials.
    place = np.argsort([make_uscc(serial).encode() for serial in range(len(told.subjects))])
    columns = [told.columns[at] for at in range(len(definitions))]
    wide = [column == cell for column in columns for cell in range(ABSENT, column.max() + 1)]
    made = np.zeros((len(place), len(wide)))
    made[place] = np.column_stack(wide)
    return made


def test_spanish_companies_are_told_by_their_owners_together_as_by_none_alone(
    tmp_path: Path,
) -> None:
    rows = spain()
    failed = np.array([row["bankruptcy"] == "YES" for row in rows], dtype=np.int64)
    parts = {
        owner: cells_of(office(owner, names, rows, tmp_path))
        for owner, names in SPAIN_OWNERS.items()
    }
    alone = {owner: auc(columns, failed) for owner, columns in parts.items()}
    few = [alone[owner] for owner in ("registration", "courts", "staff")]
    assert all(0.55 < each < 0.80 for each in few), alone
    joined = auc(np.hstack(list(parts.values())), failed)
    assert joined > max(alone.values())
    assert joined > 0.9


def test_a_check_over_two_owners_is_answered_about_spanish_companies(tmp_path: Path) -> None:
    rows = spain()[:400]
    world = World("spain")
    bank = world.bank("bank-a")
    parts = {
        owner: office(owner, SPAIN_OWNERS[owner], rows, tmp_path)
        for owner in ("registration", "staff")
    }
    for owner, part in parts.items():
        world.owner(owner).publish_schema(schema(owner, part.table))
        for each in part.features:
            world.owner(owner).define(each)
        world.owner(owner).agree(bank)
    age = parts["registration"].features[SPAIN_OWNERS["registration"].index("age")].grid[1]
    people = parts["staff"].features[0].grid[2]
    check = f"registration.age >= {age} AND staff.number_employees < {people}"
    template, certificate = bank.propose("spain", check)
    names = ["registration.age", "staff.number_employees"]
    for owner in parts:
        world.owner(owner).approve(template, certificate.digest)
    wanted = {
        "registration": [float(row["age"]) >= float(age) for row in rows],
        "staff": [float(row["number_employees"]) < float(people) for row in rows],
    }
    asked = range(1, 9)
    for serial in asked:
        world.subject(serial).give(bank, names)
    for owner, part in parts.items():
        enclave = EnclaveHarness(world.owner(owner), tmp_path)
        try:
            assert enclave.load({"companies": part.lines}).snapshot is not None
            enclave.follow()
            told: list[Truth | None] = []
            for serial in asked:
                request = bank.request(world.subject(serial), template, certificate, {})
                told.append(enclave.ask(request).truth)
            so = [Truth.YES if wanted[owner][serial] else Truth.NO for serial in asked]
            assert told == so
            assert set(told) == {Truth.YES, Truth.NO}
        finally:
            enclave.close()
