"""How fast a store is built, its features computed, and a subject's cells looked up.

`python -m benchmarks.features [SUBJECTS]`, on made-up rows, one a subject. DuckDB has one thread,
as in an enclave. The build without checking the subjects' codes is what the parsing alone costs.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.index import FeatureIndex
from saferoom_enclaves.materialise import materialise
from saferoom_enclaves.rows import TableLoad
from saferoom_enclaves.store import build_database, open_store
from saferoom_proto.formula import FeatureRef, FeatureShape
from saferoom_proto.statements.feature import Absent, Column, ColumnType, FeatureKind, Table, Title
from saferoom_proto.uscc import make_uscc, parse_uscc

TITLE = Title(en="Made up", zh="虚构")
LOOKUPS = 20_000
COLUMNS = {
    "uscc": ColumnType.TEXT,
    "paid": ColumnType.DECIMAL,
    "filed": ColumnType.DATE,
    "late": ColumnType.BOOLEAN,
}
SCHEMA = Table(
    name="vat",
    title=TITLE,
    key="uscc",
    columns=tuple(Column(name=n, type=t, level=1, title=TITLE) for n, t in COLUMNS.items()),
)


def defined(name: str, kind: FeatureKind, value: str, grid: tuple[int, ...]) -> FeatureDefinition:
    """Define a feature over the made-up table."""
    shape = FeatureShape(
        FeatureRef("tax", name), kind, tuple(map(Decimal, grid)), (), Absent.UNKNOWN
    )
    sql = f"SELECT uscc AS subject, {value} AS value FROM vat GROUP BY uscc"
    return FeatureDefinition(shape, sql, date(2026, 10, 1), 1)


FEATURES = [
    defined("paid", FeatureKind.ORDERED, "sum(paid)", (0, 1000, 50_000)),
    defined("late", FeatureKind.FLAG, "bool_or(late)", ()),
    defined(
        "months", FeatureKind.ORDERED, "date_diff('month', min(filed), $as_of)", (3, 6, 12, 24)
    ),
]


def main() -> None:
    """Measure, and print a line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", type=int, nargs="?", default=200_000)
    count: int = parser.parse_args().subjects
    codes = [make_uscc(serial) for serial in range(count)]
    rows = "\n".join(
        f"{code},{at % 99_991}.5,2026-0{at % 9 + 1}-01,{at % 2}" for at, code in enumerate(codes)
    )
    csv = f"uscc,paid,filed,late\n{rows}\n".encode()
    parsers: dict[str, Callable[[str], str]] = {
        "build, codes unchecked": lambda code: code,
        "build": parse_uscc,
    }
    memfd = os.memfd_create("store")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        for what, parse_subject in parsers.items():
            start = time.perf_counter()
            load = TableLoad(SCHEMA, csv)
            built = build_database([load], Path(scratch), parse_subject=parse_subject)
            seconds = time.perf_counter() - start
            print(f"{what:24} {count / seconds:12,.0f} rows/s")
            assert built.plaintext is not None
            with built.plaintext as plaintext:
                os.ftruncate(memfd, 0)
                os.pwrite(memfd, plaintext.read(), 0)
    store = open_store(memfd)
    start = time.perf_counter()
    found = materialise(store, FEATURES, {"vat": SCHEMA})
    seconds = time.perf_counter() - start
    store.close()
    content = b"".join([found.subjects.tobytes(), *(c.tobytes() for c in found.columns.values())])
    index = FeatureIndex.of(memoryview(content), count, [feature.shape for feature in FEATURES])
    print(f"{'materialise 3 features':24} {count / seconds:12,.0f} subjects/s")
    asked = random.Random(1).choices(codes, k=LOOKUPS)
    # Names as a formula has them: equal to the index's own, but other objects.
    names = [FeatureRef("tax", feature.shape.ref.name) for feature in FEATURES]
    start = time.perf_counter()
    for code in asked:
        index.cells(code, names)
    microseconds = (time.perf_counter() - start) / LOOKUPS * 1e6
    print(f"{'look up 3 cells':24} {microseconds:12.1f} us")


if __name__ == "__main__":
    main()
