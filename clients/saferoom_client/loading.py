"""Loading an owner's tables: sealed here, piece by piece, to the owner's own enclave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import grpc

from saferoom_client.files import bad_file
from saferoom_client.owners import get_endorsement
from saferoom_client.refused import refusal_of
from saferoom_client.session import Session
from saferoom_client.values import LoadReport
from saferoom_client.wire import read_bad_row
from saferoom_proto.encoding import unb64
from saferoom_proto.load import (
    PIECE_BYTES,
    LoadHeader,
    LoadSealer,
    LoadTable,
    make_content_key,
    seal_order,
)
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Endorsement, Snapshot, load
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.verification import verify_by_enclave
from saferoom_proto.wire import Recorded, recorded_from_proto

LOAD_DEADLINE_SECONDS: Final = 600.0
"""A gigabyte at 10 MB/s takes 100 s, and its rows have to be validated before the answer."""

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many have been sent."""


def ignore_progress(sent: int, total: int) -> None:
    """Take no notice of progress."""
    del sent, total


@dataclass(frozen=True, slots=True)
class _Load:
    """A load about to be sent: its header, its files in order, and its total size in bytes."""

    header: LoadHeader
    files: tuple[Path, ...]
    total: int


async def load_data(
    session: Session,
    schema: str,
    tables: Mapping[str, str | Path],
    *,
    progress: Progress = ignore_progress,
    deadline_seconds: float = LOAD_DEADLINE_SECONDS,
) -> LoadReport:
    """Load the owner's tables from CSV files; all of it or none becomes the next snapshot.

    Args:
        session: of an approver of the owner.
        schema: digest of the schema statement that the files follow.
        tables: each table's CSV file, UTF-8 with a heading.
        progress: is told how many bytes of how many have been sent.
        deadline_seconds: how long sending and validating may take.

    Returns:
        The enclave's snapshot statement, verified; or the rows that break the schema.
    """
    owner = session.profile.member.organisation
    planned = _plan(owner, schema, tables)
    endorsement = await get_endorsement(session, owner)
    key = make_content_key()
    sealed_key = seal_order(
        planned.header,
        session.profile.card.origin,
        key,
        session.profile.signing_key,
        unb64(endorsement.sealing),
        at=session.clock(),
    )
    pieces = _pieces(planned, LoadSealer(planned.header.digest, key), sealed_key, progress)
    try:
        told = await session.owners.LoadData(pieces, timeout=deadline_seconds)
    except grpc.aio.AioRpcError as error:
        raise refusal_of(error) from error
    bad_rows = tuple(read_bad_row(row) for row in told.bad_rows)
    if not told.HasField("snapshot"):
        if not told.bad_row_count:
            raise SafeRoomError(Reason.BAD_PROOF, "the load brought neither snapshot nor bad rows")
        return LoadReport(None, None, bad_rows, told.bad_row_count)
    recorded = recorded_from_proto(told.snapshot)
    snapshot = await _open_snapshot(session, planned.header, recorded)
    return LoadReport(snapshot, recorded, bad_rows, told.bad_row_count)


def _plan(owner: str, schema: str, tables: Mapping[str, str | Path]) -> _Load:
    files = {name: Path(path) for name, path in tables.items()}
    sizes: dict[str, int] = {}
    for name, path in files.items():
        try:
            sizes[name] = path.stat().st_size
        except OSError as error:
            raise bad_file(path, error.strerror or "it can not be read") from error
    header = LoadHeader(owner, schema, tuple(LoadTable.of(name, sizes[name]) for name in files))
    return _Load(header, tuple(files.values()), sum(sizes.values()))


async def _pieces(
    planned: _Load, sealer: LoadSealer, sealed_key: bytes, progress: Progress
) -> AsyncIterator[owner_pb2.LoadDataRequest]:
    header = planned.header
    tables = [owner_pb2.LoadTable(name=one.name, pieces=one.pieces) for one in header.tables]
    yield owner_pb2.LoadDataRequest(
        header=owner_pb2.LoadHeader(
            owner=header.owner, schema=header.schema, sealed_key=sealed_key, tables=tables
        )
    )
    sent = 0
    for number, (table, path) in enumerate(zip(header.tables, planned.files, strict=True)):
        with path.open("rb") as file:
            for index in range(table.pieces):
                data = _read_piece(file, path, last=index == table.pieces - 1)
                sealed = sealer.piece(number, index, data, last=index == table.pieces - 1)
                yield owner_pb2.LoadDataRequest(sealed=sealed)
                sent += len(data)
                progress(sent, planned.total)


def _read_piece(file: BinaryIO, path: Path, *, last: bool) -> bytes:
    """Read the next piece, and notice a file that grew or shrank since its size was announced."""
    data = file.read(PIECE_BYTES)
    if (last and file.read(1)) or (not last and len(data) < PIECE_BYTES):
        raise bad_file(path, "it changed while it was being sent")
    return data


async def _open_snapshot(session: Session, header: LoadHeader, recorded: Recorded) -> Snapshot:
    session.grounds.require_recorded(recorded)
    said = load(recorded.statement, Snapshot)
    endorsed = load(await session.grounds.statement(said.endorsement), Endorsement)
    charter = await session.grounds.charter(header.owner, endorsed.charter)
    endorsement = await session.grounds.endorsement(said.endorsement, charter, said.time)
    snapshot = verify_by_enclave(recorded.statement, endorsement, said.endorsement, Snapshot)
    if snapshot.schema_digest != header.schema:
        raise SafeRoomError(Reason.BAD_PROOF, "the snapshot follows another schema")
    return snapshot
