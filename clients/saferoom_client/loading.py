"""Loading an owner's tables: sealed here, piece by piece, to the owner's own enclave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

import grpc

from saferoom_client.broken_loads import FEWEST_PIECES, BrokenLoad, Content, forget_old
from saferoom_client.files import bad_file
from saferoom_client.owners import Endorsed, get_endorsed
from saferoom_client.refused import refusal_of
from saferoom_client.session import Session
from saferoom_client.values import BadRow, LoadReport
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.load import (
    PIECE_BYTES,
    Change,
    LoadHeader,
    LoadSealer,
    LoadTable,
    make_content_key,
)
from saferoom_proto.load_faults import Faults, open_faults, open_links
from saferoom_proto.load_order import LoadOrder, seal_order
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Endorsement, Snapshot, load
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.verification import verify_by_enclave
from saferoom_proto.wire import Recorded, recorded_from_proto

LOAD_DEADLINE_SECONDS: Final = 600.0
"""A gigabyte at 10 MB/s takes 100 s, and its rows have to be validated before the answer."""

_CHANGES: Final = {
    Change.WHOLE: owner_pb2.LOAD_CHANGE_UNSPECIFIED,
    Change.REPLACE: owner_pb2.LOAD_CHANGE_REPLACE,
    Change.DELETE: owner_pb2.LOAD_CHANGE_DELETE,
    Change.KEEP: owner_pb2.LOAD_CHANGE_KEEP,
}

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many have been sent."""


def ignore_progress(sent: int, total: int) -> None:
    """Take no notice of progress."""
    del sent, total


class Earlier(StrEnum):
    """What became of an earlier load that broke off."""

    GOES_ON = "goes on"
    """Its pieces that have arrived are not sent again."""
    CHANGED = "changed"
    """Its files are others now: this one begins anew."""
    TAKEN = "taken"
    """All of it had arrived: it is loaded."""


Told = Callable[[Earlier, int], None]
"""Is told of an earlier load, and how many bytes of it have arrived."""


def ignore_earlier(earlier: Earlier, sent: int) -> None:
    """Take no notice of an earlier load."""
    del earlier, sent


@dataclass(frozen=True, slots=True)
class _Load:
    """A load about to be sent.

    Attributes:
        header: what it brings.
        files: its tables' files, in order; none for a table that stays as it is.
        total: their size in bytes.
        content: what the files held when it was named.
        broken: as the member's folder remembers it; none of a small one.
        key: the content key.
        reply: opens what is wrong with its rows.
    """

    header: LoadHeader
    files: tuple[Path | None, ...]
    total: int
    content: Content = field(repr=False)
    broken: BrokenLoad | None = None
    key: bytes = field(default_factory=make_content_key, repr=False)
    reply: SealingKey = field(default_factory=SealingKey.generate)


async def load_data(
    session: Session,
    schema: str,
    tables: Mapping[str, str | Path],
    *,
    changes: Mapping[str, Change] | None = None,
    leaves: Collection[str] = (),
    progress: Progress = ignore_progress,
    earlier: Told = ignore_earlier,
    deadline_seconds: float = LOAD_DEADLINE_SECONDS,
) -> LoadReport:
    """Load the owner's tables from CSV files; all of it or none becomes the next snapshot.

    One that broke off goes on where it was, by the same call: its enclave keeps what has arrived,
    sealed as it came, for a day. Files that have changed since begin anew.

    Args:
        session: of an approver of the owner.
        schema: digest of the schema statement that the files follow.
        tables: each table's CSV file, UTF-8 with a heading.
        changes: what the rows of a table do to those of the snapshot in use; of a table that is
            named here and brings no file, all rows stay.
        leaves: linked tables whose rows are left out that lead to no subject, or to two.
        progress: is told how many bytes of how many have been sent.
        earlier: is told what became of an earlier load that broke off.
        deadline_seconds: how long sending and validating may take.

    Returns:
        The enclave's snapshot statement, verified; or the rows that break the schema.

    Raises:
        SafeRoomError: `CONFLICT` if somebody else's load came first; whatever else the room or
            the enclave refuses with; `BAD_PROOF` or `BAD_SEAL` if the room's answer is not the
            enclave's on this load.
    """
    owner = session.owner
    planned = await asyncio.to_thread(_plan, session, schema, tables, changes or {}, leaves)
    # Step 1: order it, after the snapshot that the enclave answers from now.
    endorsed = await get_endorsed(session, owner)
    taken = await _taken(session, planned, endorsed)
    if taken is not None:
        earlier(Earlier.TAKEN, planned.total)
        return taken
    order = session.sign(_order(session, planned, await in_use(session, owner, endorsed)))
    sealing = unb64(endorsed.endorsement.sealing)
    sealed_key = seal_order(order, planned.header, planned.key, sealing)
    # Step 2: send it, piece by piece; of one that broke off, what has not arrived.
    kept = await _kept(session, planned, order, sealed_key, earlier)
    failed: list[SafeRoomError] = []
    with ExitStack() as stack:
        # Opened here: a call that breaks off leaves its messages where they were.
        files = [
            None if each is None else stack.enter_context(each.open("rb")) for each in planned.files
        ]
        pieces = _pieces(planned, files, _header(planned, sealed_key, kept), progress)
        try:
            told = await session.owners.LoadData(_noting(pieces, failed), timeout=deadline_seconds)
        except grpc.aio.AioRpcError as error:
            raise refusal_of(error) from error
        except asyncio.CancelledError:
            if failed:  # gRPC gives up a call whose messages fail, and says nothing more
                raise failed[0] from None
            raise
    if planned.broken is not None:
        planned.broken.forget()
    # Step 3: the enclave's word on it: what is wrong with it, for this client only, or a snapshot.
    if not told.HasField("snapshot"):
        return _refused(planned, told.sealed_faults)
    return await _loaded(session, planned, order, told)


def _plan(
    session: Session,
    schema: str,
    tables: Mapping[str, str | Path],
    changes: Mapping[str, Change],
    leaves: Collection[str],
) -> _Load:
    owner = session.owner
    forget_old(session.profile.folder)
    files = {name: Path(path) for name, path in tables.items()}
    kept = [name for name in changes if name not in files]
    sizes = dict.fromkeys(kept, 0)
    for name, path in files.items():
        try:
            sizes[name] = path.stat().st_size
        except OSError as error:
            raise bad_file(path, error.strerror or "it can not be read") from error
    told = {**dict.fromkeys(kept, Change.KEEP), **{name: changes.get(name) for name in files}}
    header = LoadHeader(
        owner,
        schema,
        tuple(
            LoadTable.of(name, size, told[name] or Change.WHOLE, leaves=name in leaves)
            for name, size in sizes.items()
        ),
    )
    ordered, total = tuple(files.get(name) for name in sizes), sum(sizes.values())
    content = Content.read(header, ordered)
    if sum(table.pieces for table in header.tables) < FEWEST_PIECES:
        return _Load(header, ordered, total, content)
    broken = BrokenLoad(session.profile.folder, content.name(header))
    return _Load(header, ordered, total, content, broken, broken.key)


async def _taken(session: Session, planned: _Load, endorsed: Endorsed) -> LoadReport | None:
    """Tell what a load has become that broke off when all of it had arrived; none if it did not."""
    if planned.broken is None or not planned.broken.orders or endorsed.snapshot is None:
        return None
    snapshot, _ = await open_snapshot(session, session.owner, endorsed.snapshot)
    if snapshot.order not in planned.broken.orders:
        return None
    planned.broken.forget()
    return LoadReport(snapshot, None, (), 0)


async def _kept(
    session: Session, planned: _Load, order: Envelope, sealed_key: bytes, earlier: Told
) -> int:
    """Tell how many pieces the enclave keeps, and write down that the load is ordered."""
    broken = planned.broken
    if broken is None:
        return 0
    kept = 0
    if broken.goes_on:
        ask = owner_pb2.GetLoadProgressRequest(header=_header(planned, sealed_key, 0))
        pieces = sum(table.pieces for table in planned.header.tables)
        kept = min(pieces, (await session.call(session.owners.GetLoadProgress, ask)).kept)
        earlier(Earlier.GOES_ON, min(planned.total, kept * PIECE_BYTES))
    elif broken.others:
        earlier(Earlier.CHANGED, 0)
    broken.remember(order.digest)
    return kept


async def in_use(session: Session, owner: str, endorsed: Endorsed) -> str | None:
    """Tell which snapshot an enclave answers from: its digest, or none.

    One that it made since its start, if there is one; else the one that it claimed then.
    """
    if endorsed.snapshot is not None:
        made, endorsement = await open_snapshot(session, owner, endorsed.snapshot)
        # An enclave has a new identity at each start.
        if endorsement.identity == endorsed.endorsement.identity:
            return made.store.digest
    return None if endorsed.claims.store is None else endorsed.claims.store.digest


def _order(session: Session, planned: _Load, follows: str | None) -> LoadOrder:
    return LoadOrder.of(
        planned.header,
        planned.key,
        room=session.profile.card.origin,
        approver=session.profile.member.name,
        follows=follows,
        reply_key=planned.reply.public,
        at=session.clock(),
    )


def _header(planned: _Load, sealed_key: bytes, kept: int) -> owner_pb2.LoadHeader:
    header = planned.header
    tables = [
        owner_pb2.LoadTable(
            name=one.name, pieces=one.pieces, change=_CHANGES[one.change], leaves=one.leaves
        )
        for one in header.tables
    ]
    return owner_pb2.LoadHeader(
        owner=header.owner, schema=header.schema, sealed_key=sealed_key, tables=tables, kept=kept
    )


async def _pieces(
    planned: _Load,
    files: Sequence[BinaryIO | None],
    first: owner_pb2.LoadHeader,
    progress: Progress,
) -> AsyncIterator[owner_pb2.LoadDataRequest]:
    header, sealer = planned.header, LoadSealer(planned.header.digest, planned.key)
    yield owner_pb2.LoadDataRequest(header=first)
    sent, passed = 0, 0
    for number, (table, path) in enumerate(zip(header.tables, planned.files, strict=True)):
        file = files[number]
        for index in range(table.pieces):
            last = index == table.pieces - 1
            data = b""
            if file is not None and path is not None:
                data = _read_piece(file, path, last=last)
                planned.content.require(number, index, data, path)
            if passed >= first.kept:
                sealed = sealer.piece(number, index, data, last=last)
                yield owner_pb2.LoadDataRequest(sealed=sealed)
            passed += 1
            sent += len(data)
            progress(sent, planned.total)


async def _noting(
    pieces: AsyncIterator[owner_pb2.LoadDataRequest], failed: list[SafeRoomError]
) -> AsyncIterator[owner_pb2.LoadDataRequest]:
    try:
        async for piece in pieces:
            yield piece
    except SafeRoomError as error:
        failed.append(error)
        raise


def _read_piece(file: BinaryIO, path: Path, *, last: bool) -> bytes:
    """Read the next piece, and notice a file that grew or shrank since its size was announced."""
    data = file.read(PIECE_BYTES)
    if (last and file.read(1)) or (not last and len(data) < PIECE_BYTES):
        raise bad_file(path, "it changed while it was being sent")
    return data


def _refused(planned: _Load, sealed_faults: bytes) -> LoadReport:
    faults = open_faults(sealed_faults, planned.reply, planned.header.digest)
    return LoadReport(None, None, _rows(faults), faults.count, links=faults.links)


async def _loaded(
    session: Session, planned: _Load, order: Envelope, told: owner_pb2.LoadDataResponse
) -> LoadReport:
    """Tell of a load that was taken, and of linked tables, what became of their rows."""
    recorded = recorded_from_proto(told.snapshot)
    snapshot = await _open_taken(session, planned, order, recorded)
    if not told.sealed_faults:
        return LoadReport(snapshot, recorded, (), 0)
    links = open_links(told.sealed_faults, planned.reply, planned.header.digest, planned.key)
    return LoadReport(snapshot, recorded, (), 0, _rows(links), links.links)


def _rows(faults: Faults) -> tuple[BadRow, ...]:
    return tuple(BadRow(row.table, row.line, row.column or "", row.rule) for row in faults.rows)


async def _open_taken(
    session: Session, planned: _Load, order: Envelope, recorded: Recorded
) -> Snapshot:
    """Verify that a recorded snapshot is what the enclave made of this very order."""
    session.grounds.require_recorded(recorded)
    snapshot, _ = await open_snapshot(session, planned.header.owner, recorded.statement)
    if (snapshot.order, snapshot.schema_digest) != (order.digest, planned.header.schema):
        raise SafeRoomError(Reason.BAD_PROOF, "the snapshot is of another load")
    return snapshot


async def open_snapshot(
    session: Session, owner: str, statement: Envelope
) -> tuple[Snapshot, Endorsement]:
    """Verify a snapshot under the endorsement that it names."""
    said = load(statement, Snapshot)
    endorsed = load(await session.grounds.statement(said.endorsement), Endorsement)
    charter = await session.grounds.charter(owner, endorsed.charter)
    endorsement = await session.grounds.endorsement(said.endorsement, charter, said.time)
    return verify_by_enclave(statement, endorsement, said.endorsement, Snapshot), endorsement
