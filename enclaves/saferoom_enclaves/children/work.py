"""What children do; imported in a child only, for DuckDB comes with it."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, assert_never

import duckdb
import numpy as np

from saferoom_enclaves.children import frames
from saferoom_enclaves.children.fit_jobs import FindRows, Fit, Fitted, RowsFound
from saferoom_enclaves.children.jobs import (
    About,
    Align,
    Answer,
    BadRowTold,
    Banded,
    Build,
    Built,
    Cells,
    Check,
    Checked,
    Columns,
    ColumnsRead,
    Failed,
    FeatureRefused,
    Found,
    KeyMade,
    MakeKey,
    Materialise,
    Once,
    Order,
    Outcome,
    Pick,
    Picked,
    Score,
    Tabulate,
    Tabulated,
    Train,
    Tried,
    Try,
)
from saferoom_enclaves.columns import columns
from saferoom_enclaves.features.computed import ABSENT, FeatureRule
from saferoom_enclaves.fetched import MOST_BYTES
from saferoom_enclaves.fetched.answer import open_answer
from saferoom_enclaves.fit_rows import Given, find_rows
from saferoom_enclaves.materialise import check_definition, materialise
from saferoom_enclaves.reading import picked, rows_about, values_at, values_of
from saferoom_enclaves.rows import TableLoad
from saferoom_enclaves.scores.banding import banded
from saferoom_enclaves.store import build_database, open_store
from saferoom_enclaves.trying import tried
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Table
from saferoom_proto.uscc import SUBJECT_BYTES

MOST_JOB_BYTES: Final = 8 << 20
MOST_FILES: Final = 64
_SHOWN: Final = 400
_SAID_OF_FAILURES: Final = {
    Reason.TOO_LARGE,
    Reason.STORE_DAMAGED,
    Reason.BAD_CONFIG,
    Reason.CONFLICT,
    Reason.MALFORMED,
}


def perform(channel: socket.socket) -> None:
    """Receive a job, do it, and answer."""
    frame = frames.receive(channel, MOST_JOB_BYTES, MOST_FILES)
    if frame is not None:
        do(frame, channel)


def do(frame: frames.Frame, channel: socket.socket) -> None:
    """Do a job that was received, and answer."""
    job = Order.model_validate_json(frame.message).job
    if isinstance(job, Align | Train):
        # They talk until they are let go. What they need is here for nobody else.
        from saferoom_enclaves.children import partner  # noqa: PLC0415

        partner.talk(job, frame.files, channel)
        return
    file: BinaryIO | None = None
    try:
        answer, file = _done(job, frame.files, channel)
    except SafeRoomError as error:
        told = error.reason if error.reason in _SAID_OF_FAILURES else Reason.INTERNAL
        answer = Failed(reason=told)
    except MemoryError:
        answer = Failed(reason=Reason.TOO_LARGE)
    files = () if file is None else (file.fileno(),)
    frames.send(channel, Answer(answer=answer).model_dump_json().encode(), files)


def _done(
    job: Once, files: tuple[int, ...], channel: socket.socket
) -> tuple[Outcome, BinaryIO | None]:
    """Do a job; gives a file beside the answer if one was built."""
    file: BinaryIO | None = None
    match job:
        case Build():
            answer, file = _build(job, files)
        case Materialise():
            answer = _materialise(job, files, channel)
        case Check():
            answer = _check(job)
        case Try():
            answer = _try(job, files)
        case About() | Pick():
            answer = _read(job, files)
        case Tabulate():
            answer = _tabulate(job, files)
        case Columns():
            answer = _columns(job, files)
        case Score():
            answer = _score(job, files)
        case MakeKey() | FindRows() | Fit():
            answer = _late(job, files)
        case _:
            assert_never(job)
    return answer, file


def _build(job: Build, files: tuple[int, ...]) -> tuple[Built, BinaryIO | None]:
    rows, kept = files[: len(job.tables)], files[len(job.tables) :]
    for file in rows:  # whoever wrote it left its place at the end
        os.lseek(file, 0, os.SEEK_SET)
    loads = [
        TableLoad(table, os.fdopen(file, "rb"), change, table.name in job.leaves)
        for table, file, change in zip(job.tables, rows, job.changes, strict=True)
    ]
    built = build_database(loads, Path(job.scratch), before=kept[0] if kept else None)
    bad, left = (
        tuple(
            BadRowTold(table=row.table, line=row.line, column=row.column, rule=row.rule)
            for row in rows
        )
        for rows in (built.bad_rows, built.left)
    )
    count, links = built.bad_row_count, built.links
    told = Built(rows=built.rows, bad_rows=bad, bad_row_count=count, left=left, links=links)
    return told, built.plaintext


def _materialise(job: Materialise, files: tuple[int, ...], channel: socket.socket) -> Cells:
    store, written = files
    about = job.answer_about
    connection = open_store(store) if about is None else _answer(store, about, job.tables)
    found = materialise(
        connection,
        job.features,
        {table.name: table for table in job.tables},
        lambda at: frames.send(channel, b"said %d" % at),
    )
    with os.fdopen(written, "wb") as file:
        file.write(found.subjects.data)
        for _, column in sorted(found.columns.items()):
            file.write(column.data)
        for _, tags in sorted(found.tags.items()):
            file.write(tags.data)
    refused = tuple(
        FeatureRefused(feature=at, rule=_rule(error)) for at, error in sorted(found.refused.items())
    )
    return Cells(subjects=len(found.subjects), refused=refused)


def _answer(memory: int, subject: str, tables: Sequence[Table]) -> duckdb.DuckDBPyConnection:
    return open_answer(os.pread(memory, MOST_BYTES + 1, 0), subject, tables)


def _rule(error: SafeRoomError) -> FeatureRule:
    """Say why a feature is not computed in words that no record has part in."""
    if not error.fields:
        return FeatureRule.FAILED
    try:
        return FeatureRule(error.fields[0].rule)
    except ValueError:
        return FeatureRule.NOT_ALLOWED


def _check(job: Check) -> Checked:
    try:
        check_definition(job.feature, {table.name: table for table in job.tables})
    except SafeRoomError as error:
        rule = "; ".join(fault.rule for fault in error.fields) or FeatureRule.FAILED
        return Checked(broken=rule[:_SHOWN])
    return Checked(broken=None)


def _try(job: Try, files: tuple[int, ...]) -> Tried:
    (memory,) = files
    store = open_store(memory)
    tables = {table.name: table for table in job.tables}
    values: tuple[str, ...] = ()
    try:
        with tried(store, job.feature, tables) as found:
            cells = range(ABSENT, job.feature.shape.cells)
            unknown, *known = (int((found.cells == cell).sum()) for cell in cells)
            if job.shares and sum(known) >= job.fewest:
                values = values_at(store, job.feature, tables, job.shares)
    except SafeRoomError as refusal:
        if refusal.reason is not Reason.MALFORMED_SQL:
            raise
        return Tried(rule=_rule(refusal), counts=(), values=())
    return Tried(rule=None, counts=(unknown + found.set_aside, *known), values=values)


def _columns(job: Columns, files: tuple[int, ...]) -> ColumnsRead:
    memory, codes, written = files
    subjects = np.frombuffer(os.pread(codes, os.fstat(codes).st_size, 0), f"S{SUBJECT_BYTES}")
    tables = {table.name: table for table in job.tables}
    read = columns(open_store(memory), job.features, tables, subjects)
    with os.fdopen(written, "wb") as file:
        file.write(np.ascontiguousarray(read).data)
    return ColumnsRead(rows=read.shape[0], columns=read.shape[1])


def _score(job: Score, files: tuple[int, ...]) -> Banded:
    memory, written = files
    tables = {table.name: table for table in job.tables}
    made = banded(open_store(memory), job, tables)
    with os.fdopen(written, "wb") as file:
        file.write(made.subjects.tobytes())
        file.write(made.bands.tobytes())
        if job.reasons:
            file.write(made.lost.astype(">u8").tobytes())
    return Banded(subjects=len(made.subjects))


def _read(job: About | Pick, files: tuple[int, ...]) -> Found | Picked:
    return picked(open_store(files[0]), job) if isinstance(job, Pick) else _about(job, files)


def _about(job: About, files: tuple[int, ...]) -> Found:
    (memory,) = files
    schemas = [wanted.table for wanted in job.tables]
    store = _answer(memory, job.subject, schemas) if job.answer else open_store(memory)
    tables = tuple(
        rows_about(store, wanted.table, wanted.withheld, job.subject, job.most_rows)
        for wanted in job.tables
    )
    schema = {wanted.table.name: wanted.table for wanted in job.tables}
    values = values_of(store, job.features, schema, job.subject)
    return Found(tables=tables, values=values)


def _late(job: MakeKey | FindRows | Fit, files: tuple[int, ...]) -> KeyMade | RowsFound | Fitted:
    """Do what needs a library that is here for nobody else."""
    if isinstance(job, MakeKey):
        from saferoom_enclaves.children.match_keys import match_key  # noqa: PLC0415

        return match_key(job)
    if isinstance(job, FindRows):
        memory, written = files
        with os.fdopen(written, "wb") as file:
            return find_rows(open_store(memory), job, file)
    return _fit(job, files)


def _fit(job: Fit, files: tuple[int, ...]) -> Fitted:
    # Only where a model is fitted: scikit-learn comes with it, a second and 100 MB.
    from saferoom_enclaves.fitting import fitted  # noqa: PLC0415

    memory, written, *given = files
    with os.fdopen(written, "wb") as file:
        return fitted(open_store(memory), job, file, Given.of(given))


def _tabulate(job: Tabulate, files: tuple[int, ...]) -> Tabulated:
    # Only where tables are made: scipy comes with it, a second and 100 MB.
    from saferoom_enclaves.tabulating import tabulate  # noqa: PLC0415

    (memory,) = files
    return tabulate(open_store(memory), job)
