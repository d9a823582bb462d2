"""Loads as the owner's client orders them: after the snapshot in use, faults opened by it alone."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_client.issuer import Issuer
from saferoom_client.loading import Earlier
from saferoom_client.profile import Member
from saferoom_client.values import BadRow
from saferoom_proto import chain
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.load import PIECE_BYTES, LoadHeader, LoadOpener, LoadTable
from saferoom_proto.load_faults import Faults, FaultyRow, seal_faults
from saferoom_proto.load_order import OpenedOrder, open_order
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    ChainLink,
    EvidenceClaims,
    Snapshot,
    StoreState,
    StreamPosition,
    seal_statement,
)
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.wire import envelope_to_proto, recorded_to_proto
from tests.client import fakeroom
from tests.client.fakeroom import Said
from tests.client.made import NOTHING, MadeEnclave, make_profile

SCHEMA = "sha256:" + "1" * 64
LINK = ChainLink(index=0, previous=chain.GENESIS)
FIRST, SECOND = (StoreState(epoch=n, digest="sha256:" + str(n) * 64) for n in (1, 2))
Context = grpc.aio.ServicerContext[owner_pb2.LoadDataRequest, owner_pb2.LoadDataResponse]
RECORDS = b"uscc,paid\n91990000000000350B,98765\n"


@dataclass(slots=True)
class Loads:
    """An owner's enclave behind a room that passes on what a test says.

    Attributes:
        said: the room.
        enclave: as its key agent endorsed it.
        claims: what it claimed then.
        snapshot: what the room says its newest snapshot is.
        ordered: the order that came last.
        reply: what becomes of the next load.
        records: what a whole load brings.
        arrived: the pieces of the newest load that have come, sealed.
        breaks_after: of how many pieces in all the line is cut; none if it holds.
    """

    said: Said
    enclave: MadeEnclave
    claims: EvidenceClaims
    reply: Callable[[LoadHeader], owner_pb2.LoadDataResponse]
    snapshot: Envelope | None = None
    ordered: list[OpenedOrder] = field(default_factory=list[OpenedOrder])
    records: bytes = RECORDS
    arrived: list[bytes] = field(default_factory=list[bytes])
    breaks_after: int | None = None

    @property
    def newest(self) -> OpenedOrder:
        return self.ordered[-1]

    def sign(self, **changes: object) -> Snapshot:
        """Make a snapshot of this enclave's, of the load that came last."""
        fields: dict[str, object] = {
            "room": self.claims.room,
            "owner": "tax",
            "endorsement": self.enclave.endorsement.digest,
            "schema_digest": SCHEMA,
            "store": SECOND,
            "previous": FIRST,
            "order": self.newest.statement.digest if self.ordered else NOTHING,
            "rows": {"vat": 1},
            "chain": LINK,
            "time": self.enclave.world.now(),
        }
        return Snapshot.model_validate(fields | changes)

    def taken(self, snapshot: Snapshot) -> owner_pb2.LoadDataResponse:
        statement = seal_statement(snapshot, self.enclave.identity)
        self.enclave.world.ledger.record(statement)
        recorded = recorded_to_proto(self.enclave.world.ledger.recorded(statement))
        return owner_pb2.LoadDataResponse(snapshot=recorded)

    async def get_endorsement(
        self, said: Said, request: owner_pb2.GetEndorsementRequest, context: object
    ) -> owner_pb2.GetEndorsementResponse:
        told = owner_pb2.GetEndorsementResponse(
            endorsement=envelope_to_proto(self.enclave.endorsement),
            claims=envelope_to_proto(seal_statement(self.claims, self.enclave.identity)),
        )
        if self.snapshot is not None:
            told.snapshot.CopyFrom(envelope_to_proto(self.snapshot))
        return told

    async def load_data(
        self, pieces: AsyncIterator[owner_pb2.LoadDataRequest], context: Context
    ) -> owner_pb2.LoadDataResponse:
        first = (await anext(pieces)).header
        tables = tuple(LoadTable(each.name, each.pieces) for each in first.tables)
        header = LoadHeader(first.owner, first.schema, tables)
        charter = self.enclave.owner.charter
        opened = open_order(first.sealed_key, header, self.enclave.sealing, charter)
        opener = LoadOpener(header, opened.content_key)
        self.ordered.append(opened)
        del self.arrived[first.kept :]
        data = [opener.open(sealed).data for sealed in self.arrived]
        async for piece in pieces:
            data.append(opener.open(piece.sealed).data)
            self.arrived.append(piece.sealed)
            if len(self.arrived) == self.breaks_after:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the line is cut")
        opener.finish()
        assert b"".join(data) == self.records
        return self.reply(header)

    async def get_load_progress(
        self, said: Said, request: owner_pb2.GetLoadProgressRequest, context: object
    ) -> owner_pb2.GetLoadProgressResponse:
        return owner_pb2.GetLoadProgressResponse(kept=len(self.arrived))


def enclave_of(
    said: Said, name: str, store: StoreState | None
) -> tuple[MadeEnclave, EvidenceClaims]:
    """Start the tax office's enclave: it claims a store, and its key agent endorses that."""
    owner = said.case.world.owner("tax")
    seeds = owner.world.seeds
    identity = seeds.signing(f"{name} of tax")
    claims = EvidenceClaims(
        room=owner.world.room,
        owner="tax",
        nonce=b64(bytes(32)),
        identity=identity.verify_key.public,
        sealing=b64(seeds.sealing(f"{name} of tax").public),
        tls=NOTHING,
        charter=owner.charter.digest,
        code=NOTHING,
        dependencies=NOTHING,
        python="3.11.2",
        sandbox_level=2,
        sandbox_missing=(),
        store=store,
        chain=LINK,
        stream=StreamPosition(sequence=1, running=chain.GENESIS),
    )
    enclave = MadeEnclave(owner, name, evidence=seal_statement(claims, identity).digest)
    said.case.known[enclave.endorsement.digest] = enclave.endorsement
    return enclave, claims


@pytest.fixture
def loads(said: Said, monkeypatch: pytest.MonkeyPatch) -> Loads:
    """Give a room whose enclave answers from `FIRST` and takes the next load."""
    made = Loads(said, *enclave_of(said, "enclave", FIRST), lambda _: made.taken(made.sign()))

    async def load_data(
        pieces: AsyncIterator[owner_pb2.LoadDataRequest], context: Context
    ) -> owner_pb2.LoadDataResponse:
        return await made.load_data(pieces, context)

    usual = fakeroom.handlers

    def handlers(said: Said) -> Iterator[grpc.GenericRpcHandler]:
        stream = grpc.stream_unary_rpc_method_handler(
            load_data,
            owner_pb2.LoadDataRequest.FromString,
            owner_pb2.LoadDataResponse.SerializeToString,
        )
        service = {"LoadData": stream}
        yield grpc.method_handlers_generic_handler("saferoom.v1.OwnerService", service)
        yield from usual(said)

    ask = (made.get_endorsement, owner_pb2.GetEndorsementRequest)
    monkeypatch.setitem(fakeroom.CALLS, "OwnerService/GetEndorsement", ask)
    due = (made.get_load_progress, owner_pb2.GetLoadProgressRequest)
    monkeypatch.setitem(fakeroom.CALLS, "OwnerService/GetLoadProgress", due)
    monkeypatch.setattr(fakeroom, "handlers", handlers)
    return made


@pytest.fixture
async def room(loads: Loads, issuer: Issuer, tmp_path: Path) -> AsyncIterator[AsyncRoom]:
    """Give the tax office's room, as its approver chen opens it."""
    (tmp_path / "vat.csv").write_bytes(RECORDS)
    async with fakeroom.serving(loads.said, issuer) as card:
        profile = make_profile(tmp_path / "member", loads.said.case, issuer, card)
        approver = replace(
            profile,
            member=Member(organisation="tax", name="chen"),
            signing_key=loads.enclave.owner.approvers["chen"],
        )
        async with AsyncRoom(approver, clock=loads.enclave.world.now) as opened:
            yield opened


async def refused(room: AsyncRoom, path: Path, name: str = "vat.csv") -> Reason:
    with pytest.raises(SafeRoomError) as error:
        await room.load_data(SCHEMA, {"vat": path / name})
    return error.value.reason


async def test_a_load_follows_what_the_enclave_answered_from_at_its_start(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    report = await room.load_data(SCHEMA, {"vat": tmp_path / "vat.csv"})
    assert report.snapshot is not None
    assert (report.snapshot.store, report.snapshot.previous) == (SECOND, FIRST)
    order = loads.newest.order
    assert (order.approver, order.follows) == ("chen", FIRST.digest)


async def test_the_first_load_of_all_follows_nothing(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    loads.enclave, loads.claims = enclave_of(loads.said, "empty", None)
    await room.load_data(SCHEMA, {"vat": tmp_path / "vat.csv"})
    assert loads.newest.order.follows is None


async def test_a_load_follows_the_snapshot_made_since_the_enclaves_start(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    loads.snapshot = seal_statement(loads.sign(), loads.enclave.identity)
    await room.load_data(SCHEMA, {"vat": tmp_path / "vat.csv"})
    assert loads.newest.order.follows == SECOND.digest


async def test_a_snapshot_of_an_earlier_start_does_not_count_as_in_use(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    earlier, _ = enclave_of(loads.said, "earlier", None)
    said = loads.sign(endorsement=earlier.endorsement.digest)
    loads.snapshot = seal_statement(said, earlier.identity)
    await room.load_data(SCHEMA, {"vat": tmp_path / "vat.csv"})
    assert loads.newest.order.follows == FIRST.digest


async def test_a_snapshot_that_the_enclave_did_not_sign_is_refused(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    loads.snapshot = seal_statement(loads.sign(), loads.enclave.owner.root)
    assert await refused(room, tmp_path) is Reason.BAD_SIGNATURE
    assert loads.ordered == []


async def test_each_load_has_a_key_of_its_own_that_its_faults_are_sealed_to(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    row = FaultyRow(table="vat", line=2, column="uscc", rule="a unified social credit code")
    whole = FaultyRow(table="vat", line=1, column=None, rule="a heading")
    faults = Faults(rows=(row, whole), count=7)

    def tell(header: LoadHeader) -> owner_pb2.LoadDataResponse:
        key = unb64(loads.newest.order.reply_key)
        return owner_pb2.LoadDataResponse(sealed_faults=seal_faults(faults, key, header.digest))

    loads.reply = tell
    reports = [await room.load_data(SCHEMA, {"vat": tmp_path / "vat.csv"}) for _ in range(2)]
    assert [report.snapshot for report in reports] == [None, None]
    assert reports[0].bad_rows == (
        BadRow("vat", 2, "uscc", "a unified social credit code"),
        BadRow("vat", 1, "", "a heading"),
    )
    assert reports[0].bad_row_count == 7
    assert len({each.order.reply_key for each in loads.ordered}) == 2


async def test_faults_that_are_none_of_the_enclaves_are_refused(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    row = FaultyRow(table="vat", line=2, column="uscc", rule="a unified social credit code")
    faults, key = Faults(rows=(row,), count=1), loads.enclave.sealing.public
    for wrong in (b"", b"refused", seal_faults(faults, key, NOTHING)):
        loads.reply = lambda _, wrong=wrong: owner_pb2.LoadDataResponse(sealed_faults=wrong)
        assert await refused(room, tmp_path) is Reason.BAD_SEAL


async def test_a_snapshot_of_another_order_or_schema_is_refused(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    for change in ({"order": NOTHING}, {"schema_digest": NOTHING}):
        loads.reply = lambda _, change=change: loads.taken(loads.sign(**change))
        assert await refused(room, tmp_path) is Reason.BAD_PROOF


async def test_claims_that_were_not_endorsed_tell_nothing(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    loads.claims = loads.claims.model_copy(update={"store": SECOND})
    assert await refused(room, tmp_path) is Reason.BAD_ENDORSEMENT
    assert loads.ordered == []


LARGE = RECORDS + b"91990000000000350B,12345\n" * 120_000
"""Of a dozen pieces: enough to be remembered."""


def remembered(room: AsyncRoom) -> list[Path]:
    return sorted((room.profile.folder / "loads").glob("*.json"))


def large(folder: Path) -> Path:
    path = folder / "large.csv"
    path.write_bytes(LARGE)
    return path


async def broken(loads: Loads, room: AsyncRoom, path: Path, after: int) -> None:
    """Send a large load, whose line is cut after so many pieces."""
    loads.records, loads.breaks_after = LARGE, after
    assert await refused(room, path.parent, path.name) is Reason.UNAVAILABLE
    loads.breaks_after = None


async def test_a_load_that_broke_off_goes_on_under_its_key_and_sends_no_piece_twice(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    path = large(tmp_path)
    await broken(loads, room, path, 5)
    (file,) = remembered(room)
    assert file.stat().st_mode & 0o777 == 0o600
    came, heard = list(loads.arrived), list[tuple[Earlier, int]]()
    report = await room.load_data(SCHEMA, {"vat": path}, earlier=lambda a, b: heard.append((a, b)))
    assert report.snapshot is not None
    assert heard == [(Earlier.GOES_ON, 5 * PIECE_BYTES)]
    assert loads.arrived[:5] == came
    assert len({each.content_key for each in loads.ordered}) == 1
    assert len({each.statement.digest for each in loads.ordered}) == 2
    assert remembered(room) == []


async def test_a_file_that_changed_since_begins_anew_under_another_key(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    path = large(tmp_path)
    await broken(loads, room, path, 5)
    # As many bytes, and another one among those that were sent.
    loads.records = LARGE[:1000] + b"9" + LARGE[1001:]
    path.write_bytes(loads.records)
    heard = list[Earlier]()
    await room.load_data(SCHEMA, {"vat": path}, earlier=lambda what, _: heard.append(what))
    assert heard == [Earlier.CHANGED]
    assert len({each.content_key for each in loads.ordered}) == 2
    assert remembered(room) == []


async def test_no_key_and_place_ever_seal_two_contents(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    path = large(tmp_path)
    loads.records = LARGE

    def change(sent: int, _: int) -> None:
        if sent == PIECE_BYTES:  # behind what was sent, and before what is
            path.write_bytes(LARGE[:-1000] + b"9" * 1000)

    with pytest.raises(SafeRoomError) as error:
        await room.load_data(SCHEMA, {"vat": path}, progress=change)
    assert "it changed while it was being sent" in error.value.fields[0].rule


async def test_a_load_that_was_taken_before_its_sender_heard_of_it_is_not_loaded_again(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    path = large(tmp_path)
    await broken(loads, room, path, 9)
    loads.snapshot = seal_statement(loads.sign(), loads.enclave.identity)
    heard = list[Earlier]()
    report = await room.load_data(SCHEMA, {"vat": path}, earlier=lambda what, _: heard.append(what))
    assert heard == [Earlier.TAKEN]
    assert report.snapshot is not None
    assert report.snapshot.order == loads.newest.statement.digest
    assert len(loads.ordered) == 1
    assert remembered(room) == []


async def test_a_small_load_is_remembered_nowhere_and_a_large_one_for_a_day(
    loads: Loads, room: AsyncRoom, tmp_path: Path
) -> None:
    await room.load_data(SCHEMA, {"vat": tmp_path / "vat.csv"})
    assert not (room.profile.folder / "loads").exists()
    await broken(loads, room, large(tmp_path), 5)
    os.utime(remembered(room)[0], (0, 0))
    told = await refused(room, tmp_path, "missing.csv")
    assert (told, remembered(room)) == (Reason.BAD_CONFIG, [])
