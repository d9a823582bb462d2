"""Table schemas and loads for tests of the store."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.index import FeatureIndex
from saferoom_enclaves.materialise import materialise
from saferoom_enclaves.rows import BuiltStore, TableLoad
from saferoom_enclaves.store import build_database, open_store
from saferoom_enclaves.vault import freeze
from saferoom_proto.statements.feature import Column, ColumnType, Table, Title
from saferoom_proto.uscc import make_uscc

TITLE: Final = Title(en="Test", zh="测试")


def table(name: str, /, **columns: ColumnType) -> Table:
    """Make a schema: the key `uscc`, then the given columns."""
    all_columns = {"uscc": ColumnType.TEXT, **columns}
    return Table(
        name=name,
        title=TITLE,
        key="uscc",
        columns=tuple(
            Column(name=column, type=kind, level=1, title=TITLE)
            for column, kind in all_columns.items()
        ),
    )


VAT: Final = table(
    "vat",
    paid=ColumnType.DECIMAL,
    months=ColumnType.BIGINT,
    filed=ColumnType.DATE,
    ratio=ColumnType.DOUBLE,
    late=ColumnType.BOOLEAN,
    grade=ColumnType.TEXT,
)
ARREARS: Final = table("arrears", amount=ColumnType.DECIMAL, open=ColumnType.BOOLEAN)
SUBJECTS: Final = tuple(make_uscc(serial) for serial in range(8))


def as_csv(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Write rows as RFC 4180 says; None is an empty field."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(heading)
    writer.writerows(rows)
    return text.getvalue().encode()


def load(schema: Table, rows: Iterable[Sequence[object]]) -> TableLoad:
    return TableLoad(schema, as_csv([column.name for column in schema.columns], rows))


def build(*loads: TableLoad) -> BuiltStore:
    """Build in a scratch folder of its own, and see that nothing stays there."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        scratch = Path(name)
        built = build_database(loads, scratch)
        assert list(scratch.iterdir()) == []
    return built


def sealed(built: BuiltStore) -> int:
    """Put a built store into a sealed memfd, as opening its snapshot does."""
    assert built.plaintext is not None, built.bad_rows
    memfd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with built.plaintext as file:
        os.write(memfd, file.read())
    freeze(memfd)
    return memfd


@contextmanager
def opened(*loads: TableLoad) -> Generator[duckdb.DuckDBPyConnection]:
    memfd = sealed(build(*loads))
    try:
        with open_store(memfd) as store:
            yield store
    finally:
        os.close(memfd)


def indexed(
    store: duckdb.DuckDBPyConnection,
    features: Sequence[FeatureDefinition],
    tables: Mapping[str, Table],
) -> FeatureIndex:
    """Compute features as a child does, and take them as an enclave does; or raise the refusal."""
    found = materialise(store, features, tables)
    for refusal in found.refused.values():
        raise refusal
    parts = [found.subjects.tobytes(), *(found.columns[at].tobytes() for at in found.columns)]
    content = memoryview(b"".join(parts))
    return FeatureIndex.of(content, len(found.subjects), [one.shape for one in features])
