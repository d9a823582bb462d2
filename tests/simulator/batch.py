"""A batch as an institution makes it, and what it opens of an enclave's word on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from saferoom_enclaves.batches.rows import Rows
from saferoom_proto import merkle
from saferoom_proto.batch import (
    CHUNK_ROWS,
    ROW_BYTES,
    WHEN_BYTES,
    BatchKeys,
    JudgedRows,
    Record,
    Row,
    asked_leaves,
    chunks_of,
    record_bytes,
    secret_info,
    split,
)
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, digest_bytes
from saferoom_proto.statements import (
    BatchRelease,
    BatchRequest,
    Purpose,
    load,
    seal_statement,
)
from saferoom_proto.suite import suite_of
from saferoom_proto.tree import Tree
from saferoom_proto.uscc import make_uscc

if TYPE_CHECKING:
    from simulator.bank import SimBank
    from simulator.harness import EnclaveHarness
    from simulator.sample import Approved, Sample

WINDOW: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class SimBatch:
    """A signed batch with its rows."""

    bank: SimBank
    envelope: Envelope
    blinding: bytes
    packed: bytes

    @property
    def request(self) -> BatchRequest:
        """What is signed."""
        return load(self.envelope, BatchRequest)

    def rows(self) -> list[bytes]:
        """Give the rows, packed."""
        return [row for (row,) in split(self.packed, ROW_BYTES)]


def batch_of(
    bank: SimBank,
    check: Approved,
    rows: Iterable[Row],
    params: Sequence[Mapping[str, str | bool]] = ({},),
    **changes: object,
) -> SimBatch:
    """Sign a batch; fields can be changed by name."""
    world = bank.world
    packed = b"".join(row.to_bytes() for row in rows)
    blinding = world.seeds.fresh(32)
    now, suite = world.now(), world.seeds.suite
    fields: dict[str, object] = {
        "room": world.room,
        "institution": bank.name,
        "template": check.template.digest,
        "certificate": check.certificate.digest,
        "params": tuple(dict(each) for each in params),
        "purpose": Purpose.PRE_LOAN,
        "rows": len(packed) // ROW_BYTES,
        "root": suite.named(Tree(asked_leaves(blinding, packed, suite), suite).root),
        "nonce": b64(world.seeds.fresh(16)),
        "not_before": now,
        "not_after": now + WINDOW,
        "reply_key": b64(bank.reply.public),
    }
    payload = BatchRequest.model_validate(fields | changes)
    return SimBatch(bank, seal_statement(payload, bank.key), blinding, packed)


@dataclass(frozen=True, slots=True)
class BatchWord:
    """An enclave's word on a batch, opened and verified by its asker."""

    envelope: Envelope
    release: BatchRelease
    records: list[Record]
    chunks: list[bytes]
    """As they were sealed."""


def judge_batch(enclave: EnclaveHarness, batch: SimBatch, *, chunks: int | None = None) -> None:
    """Have a batch judged, or so many more chunks of it."""
    batches = enclave.enclave.batches
    begun = batches.begin(batch.envelope)
    if begun.answered is None:
        begun.rows = Rows(begun.asked.request, batch.blinding, batch.packed)
    left = chunks_of(batch.request.rows) if chunks is None else chunks
    while begun.answered is None and left:
        batches.judge_next(begun)
        left -= 1


def ask_batch(enclave: EnclaveHarness, batch: SimBatch) -> BatchWord:
    """Have a batch judged to its end, and open what came of it."""
    judge_batch(enclave, batch)
    batches = enclave.enclave.batches
    begun = batches.begin(batch.envelope)
    judged = batches.word(begun)
    release = load(judged.entry.statement, BatchRelease)
    if release.root is None:
        return BatchWord(judged.entry.statement, release, [], [])
    owner, request_id = release.owner, batch.envelope.digest
    secret = batch.bank.reply.open(judged.sealed, info=secret_info(request_id, owner))
    keys = BatchKeys(secret, request_id, owner)
    records: list[Record] = []
    sealed: list[bytes] = []
    count = chunks_of(batch.request.rows)
    for number in range(count):
        chunk, proof = batches.chunk(begun, number)
        opened, first = keys.open(number, chunk), number * CHUNK_ROWS
        rows = batch.packed[first * ROW_BYTES : (first + CHUNK_ROWS) * ROW_BYTES]
        judged_rows = JudgedRows(first, rows, opened[:WHEN_BYTES], opened[WHEN_BYTES:])
        leaves = judged_rows.leaves(keys.salts(first, judged_rows.count), request_id)
        suite, root = suite_of(release.root), digest_bytes(release.root)
        merkle.verify_inclusion(number, count, Tree(leaves, suite).root, proof, root, suite=suite)
        width = len(judged_rows.records) // judged_rows.count
        assert width >= record_bytes(0)
        records += [Record.from_bytes(each, suite) for (each,) in split(judged_rows.records, width)]
        sealed.append(chunk)
    return BatchWord(judged.entry.statement, release, records, sealed)


STEADY: Final[Sequence[Mapping[str, str | bool]]] = ({"min_vat": "50000"},)
FILLER: Final = 50_000_000
"""Serials of firms that nobody has heard of."""


def steady_batch(
    room: Sample,
    *serials: int,
    params: Sequence[Mapping[str, str | bool]] = STEADY,
    **changes: object,
) -> SimBatch:
    """Ask `steady` about some firms."""
    rows = [Row(room.world.subject(serial).uscc) for serial in serials]
    return batch_of(room.bank, room.steady, rows, params, **changes)


def two_chunks(room: Sample, *serials: int, **changes: object) -> SimBatch:
    """Ask about nobody a chunk long, and then about some firms."""
    rows = [Row(make_uscc(FILLER + at)) for at in range(CHUNK_ROWS)]
    rows += [Row(room.world.subject(serial).uscc) for serial in serials]
    return batch_of(room.bank, room.steady, rows, STEADY, **changes)
