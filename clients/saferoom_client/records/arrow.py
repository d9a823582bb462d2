"""Parquet files, Arrow files and Arrow streams as columns of text; imported with the extra only."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet

ERRORS: Final = (pa.ArrowException, OSError)
_END: Final = b"\xff\xff\xff\xff\0\0\0\0"
"""What ends a stream (Arrow columnar format, IPC streaming format)."""


class NestedError(Exception):
    """A column of lists or of bytes, by its name."""


def open_table(
    file: io.BufferedReader, rows: int
) -> tuple[tuple[str, ...], Iterator[list[list[str]]]]:
    """Give a file's heading, and its columns as text, so many rows at a time.

    Raises:
        ArrowException: it is damaged; as the columns are read, too.
        NestedError: a column holds no plain values.
    """
    first = file.read(8)
    file.seek(0)
    if first.startswith(b"PAR1"):
        table = pyarrow.parquet.ParquetFile(file)
        schema, batches = table.schema_arrow, table.iter_batches(batch_size=rows)
    elif first.startswith(b"ARROW1"):
        kept = pyarrow.ipc.open_file(file)
        schema = kept.schema
        batches = (kept.get_batch(at) for at in range(kept.num_record_batches))
    else:
        # A stream that breaks off between two messages reads as if it were whole.
        file.seek(-len(_END), io.SEEK_END)
        if file.read() != _END:
            raise pa.ArrowInvalid("the stream has no end")
        file.seek(0)
        stream = pyarrow.ipc.open_stream(file)
        schema, batches = stream.schema, iter(stream)
    for column in schema:
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            raise NestedError(column.name)
    return tuple(schema.names), _columns(batches, rows)


def _columns(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[list[list[str]]]:
    for batch in batches:
        # Read as they are, offsets that lead out of a file lead into this process's memory.
        batch.validate(full=True)
        for start in range(0, batch.num_rows, rows):
            part = batch.slice(start, rows)
            yield [_text(column) for column in part.columns]


def _text(column: pa.Array) -> list[str]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        column = pc.strftime(column, format="%Y-%m-%dT%H:%M:%S")
    return pc.fill_null(pc.cast(column, pa.string()), "").to_pylist()
