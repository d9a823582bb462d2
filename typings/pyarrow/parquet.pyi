import io
from collections.abc import Iterator

from pyarrow import RecordBatch, Schema, Table

class ParquetFile:
    schema_arrow: Schema
    def __init__(self, source: io.BufferedReader) -> None: ...
    def iter_batches(self, batch_size: int) -> Iterator[RecordBatch]: ...

def write_table(table: Table, where: str) -> None: ...
