"""An owner's store, in a child: built from its tables in memory, and opened read-only.

A store is one DuckDB file. It is built on tmpfs and never lies on a disk in the clear; sealed, it
is a snapshot (`vault`); opened, it is a sealed memfd that a locked-down DuckDB reads.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import struct
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from saferoom_enclaves.engine import connect, lock, silenced
from saferoom_enclaves.rows import FORMS, BadRows, Batch, BuiltStore, TableLoad, read_batches
from saferoom_enclaves.sandbox.kernel import system_call
from saferoom_proto.load import Change
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import ColumnType, Table
from saferoom_proto.uscc import parse_uscc

MEMORY_BYTES: Final = 1 << 30
"""DuckDB's own memory limit for a store, at least; the address space of a child is what holds."""
_SHARE: Final = 4
"""Of a child's address space DuckDB buffers a quarter: the rest is for what it does not count."""

_TMPFS_MAGIC: Final = 0x0102_1994  # linux/magic.h
_RAMFS_MAGIC: Final = 0x8584_58F6
_BUILDS: Final = "build-"


def build_database(
    tables: Sequence[TableLoad],
    scratch: Path,
    *,
    parse_subject: Callable[[str], str] = parse_uscc,
    before: int | None = None,
) -> BuiltStore:
    """Builds a store from tables, held to their schemas row by row.

    Args:
        tables: every table of the store, in the order in which to build them.
        scratch: a folder on tmpfs that belongs to this process alone. What a killed build left
            there is removed first.
        parse_subject: gives a subject's code in the one form that is stored, or raises.
        before: memfd of the store that tables change; needed where one is not whole.

    Raises:
        SafeRoomError: BAD_CONFIG, the folder is not in memory; CONFLICT, another build has it;
            MALFORMED, a table's schema cannot be a store's; TOO_LARGE, memory is exhausted;
            INTERNAL, DuckDB failed otherwise.
    """
    _require_schemas([load.schema for load in tables])
    bad = BadRows()
    rows: dict[str, int] = {}
    with _build_folder(scratch) as folder:
        path = folder / "store"
        with silenced(Reason.INTERNAL, "building the store"), connect(_memory()) as building:
            building.execute(f"ATTACH {_quoted(str(path))} AS store")
            if before is not None:
                building.execute(f"ATTACH '/proc/self/fd/{before}' AS before (READ_ONLY)")
            building.execute("USE store")
            lock(building)
            for load in tables:
                rows[load.schema.name] = _change(building, load, bad, parse_subject)
            building.execute("CHECKPOINT store")  # leaves no write-ahead log beside the file
            building.execute("USE memory")
            building.execute("DETACH store")
        plaintext = None if bad.count else path.open("rb")
    return BuiltStore(plaintext, rows, tuple(bad.told), bad.count)


def open_store(memfd: int) -> duckdb.DuckDBPyConnection:
    """Opens a store from the memfd that `vault.open_snapshot` gave: read-only, and locked.

    The descriptor must stay open as long as the store: DuckDB goes on allowing its path, and a
    later file that got the same number would be readable under it.

    Raises:
        SafeRoomError: STORE_DAMAGED, the content is not a store.
    """
    connection = connect(_memory())
    try:
        with silenced(Reason.STORE_DAMAGED, "opening the store"):
            connection.execute(f"ATTACH '/proc/self/fd/{memfd}' AS store (READ_ONLY)")
            connection.execute("USE store")
            lock(connection)
    except SafeRoomError:
        connection.close()
        raise
    return connection


def _memory() -> int:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return MEMORY_BYTES if limit == resource.RLIM_INFINITY else max(MEMORY_BYTES, limit // _SHARE)


def _change(
    building: duckdb.DuckDBPyConnection,
    load: TableLoad,
    bad: BadRows,
    parse_subject: Callable[[str], str],
) -> int:
    """Makes a table of a load's rows and of those before that stay; returns how many it has."""
    name, key = load.schema.name, load.schema.key
    if load.change is Change.WHOLE:
        return _fill(building, load, bad, parse_subject)
    if load.change is Change.KEEP:
        building.execute(f'CREATE TABLE "{name}" AS FROM before."{name}"')
    else:
        _fill(building, load, bad, parse_subject)
        codes = f'SELECT DISTINCT "{key}" AS code FROM "{name}"'  # noqa: S608 - a schema's names
        building.execute(f"CREATE TEMP TABLE named AS {codes}")
        if load.change is Change.DELETE:
            building.execute(f'DELETE FROM "{name}"')  # noqa: S608
        building.execute(
            f'INSERT INTO "{name}" FROM before."{name}" AS held'
            f' WHERE NOT EXISTS (FROM named WHERE named.code = held."{key}")'
        )
        building.execute("DROP TABLE named")
    counted = building.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608
    return int(counted[0]) if counted else 0


def _fill(
    building: duckdb.DuckDBPyConnection,
    load: TableLoad,
    bad: BadRows,
    parse_subject: Callable[[str], str],
) -> int:
    """Makes a table and fills it, unless a row of the load is bad; returns its number of rows."""
    schema = load.schema
    columns = ", ".join(f'"{column.name}" {column.type}' for column in schema.columns)
    building.execute(f'CREATE TABLE "{schema.name}" ({columns})')
    casts = ", ".join(f"CAST(c{at} AS {column.type})" for at, column in enumerate(schema.columns))
    rows = 0
    building.execute("BEGIN")
    for batch in read_batches(load, parse_subject):
        rows += len(batch.lines)
        building.register("_batch", _arrays(batch))
        bad.add(schema.name, [*batch.faults, *_misfits(building, schema, batch)])
        if not bad.count:
            building.execute(f'INSERT INTO "{schema.name}" SELECT {casts} FROM _batch')  # noqa: S608
        building.unregister("_batch")
    building.execute("COMMIT")
    return rows


def _arrays(batch: Batch) -> dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]]:
    """Gives a batch to DuckDB: the lines, and each column as text."""
    arrays = {f"c{at}": np.array(values, dtype=object) for at, values in enumerate(batch.columns)}
    return {"line": np.array(batch.lines, dtype=np.int64), **arrays}


def _misfits(
    building: duckdb.DuckDBPyConnection, schema: Table, batch: Batch
) -> list[tuple[int, str, str]]:
    """Finds the values that are not of their column's form, as line, column and rule."""
    found: list[tuple[int, str, str]] = []
    for at, column in enumerate(schema.columns):
        form = FORMS.get(column.type)
        if form is None or not batch.lines:
            continue
        cast = f"TRY_CAST(c{at} AS {column.type})"
        fits = f"isfinite({cast})" if column.type is ColumnType.DOUBLE else f"{cast} IS NOT NULL"
        misfits = building.execute(
            f"SELECT line FROM _batch WHERE c{at} IS NOT NULL"  # noqa: S608 - names are ours
            f" AND NOT (regexp_full_match(c{at}, ?) AND coalesce({fits}, false))",
            [form.pattern],
        )
        found += [(line, column.name, form.rule) for (line,) in misfits.fetchall()]
    return found


def _require_schemas(schemas: Sequence[Table]) -> None:
    names = [schema.name for schema in schemas]
    for schema in schemas:
        if names.count(schema.name) > 1:
            raise SafeRoomError(Reason.MALFORMED, f"the table {schema.name} stands twice")
        key = next(column for column in schema.columns if column.name == schema.key)
        if key.type is not ColumnType.TEXT:
            raise SafeRoomError(Reason.MALFORMED, f"the key of {schema.name} is not TEXT")


@contextmanager
def _build_folder(scratch: Path) -> Generator[Path]:
    """Gives a folder to build in, in memory, and removes it; one build has a scratch folder."""
    try:
        descriptor = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SafeRoomError(Reason.BAD_CONFIG, f"the scratch folder {scratch}: {error}") from error
    try:
        _require_memory(descriptor, scratch)
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            raise SafeRoomError(Reason.CONFLICT, "another load is being built") from error
        for left in scratch.glob(f"{_BUILDS}*"):
            shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(prefix=_BUILDS, dir=scratch))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
    finally:
        os.close(descriptor)


def _require_memory(descriptor: int, folder: Path) -> None:
    found = ctypes.create_string_buffer(256)  # struct statfs; its first word is the type
    system_call("fstatfs", descriptor, found)
    if struct.unpack_from("=Q", found)[0] not in {_TMPFS_MAGIC, _RAMFS_MAGIC}:
        detail = f"the scratch folder {folder} is not on tmpfs: records would touch a disk"
        raise SafeRoomError(Reason.BAD_CONFIG, detail)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
