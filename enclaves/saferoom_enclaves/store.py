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
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from saferoom_enclaves.engine import connect, lock, silenced
from saferoom_enclaves.linking import (
    LED,
    Linking,
    map_faults,
    period_faults,
    role_of,
)
from saferoom_enclaves.rows import (
    FORMS,
    BadRows,
    Batch,
    BuiltStore,
    Fault,
    TableLoad,
    read_batches,
)
from saferoom_enclaves.sandbox.kernel import system_call
from saferoom_proto.load import Change
from saferoom_proto.load_faults import LinkCount
from saferoom_proto.load_links import require_linked_anew
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
        tables: every table of the store.
        scratch: a folder on tmpfs that belongs to this process alone. What a killed build left
            there is removed first.
        parse_subject: gives a subject's code in the one form that is stored, or raises.
        before: memfd of the store that tables change; needed where one is not whole.

    Raises:
        SafeRoomError: BAD_CONFIG, the folder is not in memory; CONFLICT, another build has it, or
            rows would stay that an earlier map linked;
            MALFORMED, a table's schema cannot be a store's; TOO_LARGE, memory is exhausted;
            INTERNAL, DuckDB failed otherwise.
    """
    schemas = [load.schema for load in tables]
    _require_schemas(schemas)
    require_linked_anew(schemas, {load.schema.name: load.change for load in tables})
    # Maps come before what is linked by them.
    ordered = sorted(tables, key=lambda load: load.schema.link is not None)
    rows: dict[str, int] = {}
    with _build_folder(scratch) as folder:
        path = folder / "store"
        with silenced(Reason.INTERNAL, "building the store"), connect(_memory()) as building:
            building.execute(f"ATTACH {_quoted(str(path))} AS store")
            if before is not None:
                building.execute(f"ATTACH '/proc/self/fd/{before}' AS before (READ_ONLY)")
            building.execute("USE store")
            lock(building)
            filling = _Filling(building, {each.name: each for each in schemas}, parse_subject)
            for load in ordered:
                rows[load.schema.name] = _change(filling, load)
            building.execute("CHECKPOINT store")  # leaves no write-ahead log beside the file
            building.execute("USE memory")
            building.execute("DETACH store")
        bad, left = filling.bad, filling.left
        plaintext = None if bad.count else path.open("rb")
    links = tuple(filling.links)
    return BuiltStore(plaintext, rows, tuple(bad.told), bad.count, tuple(left.told), links)


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


@dataclass(frozen=True, slots=True)
class _Filling:
    """A store that is being filled.

    Attributes:
        building: the connection to it.
        schemas: all its tables, by name.
        parse_subject: gives a subject's code in its one form.
        bad: the rows for which there will be none.
        left: the rows that are left out of it.
        links: what became of the rows of each linked table.
    """

    building: duckdb.DuckDBPyConnection
    schemas: Mapping[str, Table]
    parse_subject: Callable[[str], str]
    bad: BadRows = field(default_factory=BadRows)
    left: BadRows = field(default_factory=BadRows)
    links: list[LinkCount] = field(default_factory=list[LinkCount])


def _change(filling: _Filling, load: TableLoad) -> int:
    """Makes a table of a load's rows and of those before that stay; returns how many it has."""
    name, key, building = load.schema.name, load.schema.key, filling.building
    if load.change is Change.KEEP:
        building.execute(f'CREATE TABLE "{name}" AS FROM before."{name}"')
    else:
        brought, linking = _fill(filling, load)
        if load.change in {Change.REPLACE, Change.DELETE}:
            _keep_others(building, load.change, name, key)
        if linking is not None:
            filling.links.append(linking.count(brought, filled=not filling.bad.count))
        if load.change is Change.WHOLE:
            return brought
    counted = building.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608
    return int(counted[0]) if counted else 0


def _keep_others(building: duckdb.DuckDBPyConnection, change: Change, name: str, key: str) -> None:
    """Takes over the rows about subjects that a table's new rows do not name."""
    codes = f'SELECT DISTINCT "{key}" AS code FROM "{name}"'  # noqa: S608 - a schema's names
    building.execute(f"CREATE TEMP TABLE _named AS {codes}")
    if change is Change.DELETE:
        building.execute(f'DELETE FROM "{name}"')  # noqa: S608
    building.execute(
        f'INSERT INTO "{name}" FROM before."{name}" AS held'
        f' WHERE NOT EXISTS (FROM _named WHERE _named.code = held."{key}")'
    )
    building.execute("DROP TABLE _named")


def _fill(filling: _Filling, load: TableLoad) -> tuple[int, Linking | None]:
    """Makes a table and fills it, unless a row of the load is bad.

    Returns:
        How many rows it got, and what led them to their subjects, if they name none.
    """
    schema, building, bad = load.schema, filling.building, filling.bad
    columns = ", ".join(f'"{column.name}" {column.type}' for column in schema.columns)
    building.execute(f'CREATE TABLE "{schema.name}" ({columns})')
    places = {column.name: f"c{at}" for at, column in enumerate(schema.brought)}
    casts = ", ".join(
        f"CAST({places.get(column.name, '_led.one')} AS {column.type})" for column in schema.columns
    )
    role = role_of(schema, filling.schemas.values())
    # A map with a bad row is not filled: by it nothing is led.
    link = None if bad.count else schema.link
    linking = None if link is None else Linking(building, schema, link, filling.schemas[link.map])
    rows = 0
    building.execute("BEGIN")
    for batch in read_batches(load, role.numbers, filling.parse_subject):
        building.register("_batch", _arrays(batch))
        faults = [*batch.faults, *_misfits(building, schema, batch)]
        faults += period_faults(building, schema, role.links, batch)
        stray = [] if linking is None else linking.lead(faults)
        (filling.left if load.leaves else bad).add(schema.name, stray)
        bad.add(schema.name, faults)
        wrong = {line for line, _, _ in faults}
        rows += len(batch.lines) - len(stray) - (len(wrong & set(batch.lines)) if wrong else 0)
        if not bad.count:
            led = "_batch" if linking is None else LED
            building.execute(f'INSERT INTO "{schema.name}" SELECT {casts} FROM {led}')  # noqa: S608
        building.unregister("_batch")
    building.execute("COMMIT")
    if role.links and not bad.count:
        bad.add(schema.name, map_faults(building, schema, role.links))
    return rows, linking


def _arrays(batch: Batch) -> dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]]:
    """Gives a batch to DuckDB: the lines, and each column as text."""
    arrays = {f"c{at}": np.array(values, dtype=object) for at, values in enumerate(batch.columns)}
    return {"line": np.array(batch.lines, dtype=np.int64), **arrays}


def _misfits(building: duckdb.DuckDBPyConnection, schema: Table, batch: Batch) -> list[Fault]:
    """Finds the values that are not of their column's form, as line, column and rule."""
    found: list[Fault] = []
    for at, column in enumerate(schema.brought):
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
