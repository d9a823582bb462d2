"""The composition root: builds the whole server, in order, and takes it down in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Self

import grpc

from saferoom.answering import Drained, add_answering
from saferoom.books import Books, open_books
from saferoom.concern import Concerns
from saferoom.config import RunBy, split_address
from saferoom.consent_requests import ConsentRequests
from saferoom.courier import HeadSigner
from saferoom.disputes import Disputes
from saferoom.evidence import Role
from saferoom.federations.desk import Federations
from saferoom.health import Health, serve_reflection
from saferoom.holdings import Holdings
from saferoom.identity import Callers
from saferoom.inforce import InForce
from saferoom.interceptors import Guard
from saferoom.keydesk import KeyDesk
from saferoom.links import Links
from saferoom.loads import Loads
from saferoom.logs import Log
from saferoom.metrics import Metrics, RoomFigures, serving_metrics
from saferoom.recoveries import Recoveries
from saferoom.refusals import Refusals
from saferoom.register import Organisation
from saferoom.relays import Orders, Relays
from saferoom.roll import Roll
from saferoom.room import RESTORED, Room
from saferoom.rounds import FILE as COSIGNED
from saferoom.rounds import Rounds
from saferoom.services.consent import ConsentService
from saferoom.services.federation import FederationService
from saferoom.services.identity import IdentityService, People
from saferoom.services.ledger import LedgerService
from saferoom.services.owner import OwnerService
from saferoom.services.relay import RelayService
from saferoom.services.subject import SubjectService
from saferoom.services.template import TemplateService
from saferoom.services.use import UseService
from saferoom.session import Office
from saferoom.signing import Signer
from saferoom.statements import Statements
from saferoom.supervisor import Supervisor
from saferoom.tiles import serving_tiles
from saferoom.tracing import Tracer, open_tracer
from saferoom.watch import Watch
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.rpc_methods import by_name
from saferoom_proto.starting import COMMAND
from saferoom_proto.v1.consent_pb2_grpc import add_ConsentServiceServicer_to_server as add_consent
from saferoom_proto.v1.federation_pb2_grpc import (
    add_FederationServiceServicer_to_server as add_federation,
)
from saferoom_proto.v1.identity_pb2_grpc import (
    add_IdentityServiceServicer_to_server as add_identity,
)
from saferoom_proto.v1.ledger_pb2_grpc import add_LedgerServiceServicer_to_server as add_ledger
from saferoom_proto.v1.owner_pb2_grpc import add_OwnerServiceServicer_to_server as add_owner
from saferoom_proto.v1.relay_pb2_grpc import add_RelayServiceServicer_to_server as add_relay
from saferoom_proto.v1.subject_pb2_grpc import add_SubjectServiceServicer_to_server as add_subject
from saferoom_proto.v1.template_pb2_grpc import (
    add_TemplateServiceServicer_to_server as add_template,
)
from saferoom_proto.v1.use_pb2_grpc import add_UseServiceServicer_to_server as add_use

MAX_MESSAGE_BYTES: Final = (1 << 20) + (1 << 12)
"""1 MiB, the largest piece of a load, and its frame. It is what a compressed message may become."""
SOFT_METADATA_BYTES: Final = 8 * 1024
HARD_METADATA_BYTES: Final = 16 * 1024
MAX_STREAMS_PER_CONNECTION: Final = 256

HANDSHAKE_SECONDS: Final = 10
"""After which who has shown no certificate is put out. gRPC would wait for two minutes."""
IDLE_SECONDS: Final = 300
"""After which a connection without a call is closed; a client's next call opens another."""
_STOP_SECONDS: Final = 10.0
"""How long calls under way may take to finish when the room closes."""

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", SOFT_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", HARD_METADATA_BYTES),
    ("grpc.max_concurrent_streams", MAX_STREAMS_PER_CONNECTION),
    # Two servers on one port would each get half of the calls.
    ("grpc.so_reuseport", 0),
    # An attending key agent pings, so that a firewall keeps its silent stream.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
    ("grpc.max_connection_idle_ms", IDLE_SECONDS * 1000),
)


def utc_now() -> datetime:
    """Give the instant."""
    return datetime.now(UTC)


class Server:
    """A room that is open. Made by `Server.open`.

    Attributes:
        port: where it listens.
        metrics_port: where its metrics are; None if they are not served.
        tiles_port: where the log's tiles are; None if they are not served.
        books: what is written, and what is known of it.
        links: its enclaves.
    """

    def __init__(self, opened: _Opened, closing: AsyncExitStack) -> None:
        self.port: Final = opened.port
        self.metrics_port: Final = opened.metrics_port
        self.tiles_port: Final = opened.tiles_port
        self.books: Final = opened.books
        self.links: Final = opened.links
        self._closing: Final = closing

    @classmethod
    async def open(
        cls,
        room: Room,
        *,
        log: Log,
        command: Sequence[str] = COMMAND,
        clock: Callable[[], datetime] = utc_now,
    ) -> Self:
        """Open a room.

        Args:
            room: its opened folder.
            log: the operator's.
            command: starts an enclave.
            clock: gives aware instants.

        Raises:
            SafeRoomError: `BAD_CONFIG`, `BAD_PROOF` or `STORE_DAMAGED`, naming what is wrong.
        """
        async with AsyncExitStack() as stack:
            opened = await _open(_Outside(room, log, command, clock), stack)
            return cls(opened, stack.pop_all())

    async def close(self) -> None:
        """Finish the calls under way, end the enclaves, and close the log."""
        await self._closing.aclose()


@dataclass(frozen=True, slots=True)
class _Opened:
    """What an open room holds on to."""

    port: int
    metrics_port: int | None
    tiles_port: int | None
    books: Books
    links: Links


@dataclass(frozen=True, slots=True)
class _Outside:
    """What comes from outside of the process."""

    room: Room
    log: Log
    command: Sequence[str]
    clock: Callable[[], datetime]


async def _open(outside: _Outside, stack: AsyncExitStack) -> _Opened:
    """Build everything, in order; what is to be undone goes on the stack."""
    room, config = outside.room, outside.room.config
    _require_ready(room)
    # Step 1: the log, recomputed, and what the room knows, made of it.
    books = await open_books(
        room.state_file, stack, origin=config.origin, key=room.ledger_key, clock=outside.clock
    )
    inforce = await _keep_to_folder(room, books, outside.log, stack)
    interval = timedelta(seconds=config.witnesses.interval_seconds)
    rounds = Rounds(books.ledger, room.folder / COSIGNED, outside.clock, interval)
    rounds.load()
    # Step 2: the enclaves' side; none is started yet.
    tracer = open_tracer(config.tracing.endpoint, config.origin)
    stack.callback(tracer.close)
    health = Health()
    desk = KeyDesk(books.register, outside.clock, outside.log)
    relays = Relays(room.folder / "run", outside.log)
    links = _make_links(
        outside, books, desk, relays, health, heads=inforce.heads, tracer=tracer, rounds=rounds
    )
    stack.push_async_callback(links.stop)
    # Step 3: the services, behind the guard.
    metrics = Metrics()
    books.ledger.on_commit = metrics.committed
    watch = Watch(outside.log, metrics, tracer, books.register.is_enrolled)
    roll = Roll(books.ledger, books.archive, books.register, outside.clock)
    stack.push_async_callback(roll.close)
    callers = Callers(books.register, outside.clock, roll.met, lambda: inforce.issuers)
    guard = Guard(callers, config.limits, watch)
    most = ("grpc.max_allowed_incoming_connections", config.limits.connections)
    server = grpc.aio.server(interceptors=[guard], options=(*_OPTIONS, most))
    served = by_name(server)
    drained = await _add_services(served, outside, books, links, desk, inforce=inforce, roll=roll)
    add_ledger(
        LedgerService(books.ledger, Concerns(books.archive, books.notary, books.register), rounds),
        served,
    )
    orders = Orders(books.register, lambda: room.switchboard.statement, config.enclaves.who_runs)
    add_relay(RelayService(orders, relays), served)
    for each in drained:
        stack.push_async_callback(each.drain, _STOP_SECONDS)
    health.serve(served)
    if config.listen.reflection:
        serve_reflection(served)
    # Step 4: listen, and start the enclave of every owner that has a charter.
    port = _listen(server, room, inforce)
    await server.start()
    stack.push_async_callback(server.stop, _STOP_SECONDS)
    stack.callback(desk.close)
    stack.callback(relays.close)
    stack.push_async_callback(health.close)
    for owner in books.register.owners:
        links.start(owner)
    metrics_port = None
    if config.metrics.address is not None:
        figures = partial(_figures, books, links, guard, rounds)
        page = serving_metrics(metrics, config.metrics.address, figures, outside.log)
        metrics_port = stack.enter_context(page)
    tiles_port = None
    if config.tiles.address is not None:
        pages = serving_tiles(
            books.ledger.tiles, rounds.published, config.tiles.address, outside.log
        )
        tiles_port = stack.enter_context(pages)
    outside.log.info("room open", origin=config.origin, port=port, entries=books.ledger.tip().size)
    return _Opened(port, metrics_port, tiles_port, books, links)


async def _keep_to_folder(room: Room, books: Books, log: Log, stack: AsyncExitStack) -> InForce:
    """Sign as the room's folder has it, and go by what changes in it."""
    inforce = InForce(
        room, ledger=books.ledger, notary=books.notary, archive=books.archive, log=log
    )
    await inforce.begin()
    watching = asyncio.create_task(inforce.watch(), name="folder")

    async def end() -> None:
        watching.cancel()
        await asyncio.wait([watching])

    stack.push_async_callback(end)
    return inforce


def _require_ready(room: Room) -> None:
    """Refuse a folder that lacks an issuer, or waits for its operator's word on what was lost."""
    if not room.connection_issuers:
        detail = f"no identity issuer's certificate stands in {room.folder / 'issuers'}"
        raise SafeRoomError(Reason.BAD_CONFIG, detail)
    if (room.folder / RESTORED).exists():
        rule = "restored from a backup: first ask who saw more, then saferoom room confirm"
        fault = FieldFault(RESTORED, rule)
        refusal = SafeRoomError(Reason.BAD_CONFIG, f"{room.folder}: {rule}", [fault])
        refusal.add_note(f"saferoom room confirm {room.folder} --seen FILE")
        raise refusal


def _figures(books: Books, links: Links, guard: Guard, rounds: Rounds) -> RoomFigures:
    """Give how the room does now."""
    return RoomFigures(
        ledger_size=books.ledger.tip().size,
        in_use=guard.in_use(),
        waiting=guard.deposits.waiting,
        callers_waiting=guard.deposits.callers_waiting,
        enclaves=links.figures(),
        witnesses=rounds.ages(),
    )


def _make_links(
    outside: _Outside,
    books: Books,
    desk: KeyDesk,
    relays: Relays,
    health: Health,
    *,
    heads: Signer,
    tracer: Tracer,
    rounds: Rounds,
) -> Links:
    room, config = outside.room, outside.room.config

    def cosigned(owner: str) -> str:
        return rounds.newest(books.register.charter(owner).charter.witnesses)

    return Links(
        room.folder / "enclaves",
        places={
            RunBy.SERVER: Supervisor(room.folder / "run", config.enclaves, outside.command),
            RunBy.OWNER: relays,
        },
        run_by=config.enclaves.who_runs,
        own=room.switchboard,
        register=books.register,
        office=Office(
            desk=desk,
            notary=books.notary,
            archive=books.archive,
            ledger=books.ledger,
            signer=HeadSigner(config.origin, heads, outside.clock),
            clock=outside.clock,
            log=outside.log,
            interval_seconds=config.heads.interval_seconds,
            tracer=tracer,
            cosigned=cosigned,
        ),
        changed=health.enclave_changed,
    )


async def _add_services(
    server: grpc.aio.Server,
    outside: _Outside,
    books: Books,
    links: Links,
    desk: KeyDesk,
    *,
    inforce: InForce,
    roll: Roll,
) -> Sequence[Drained]:
    """Add the contract's services to the server; gives what must be drained at the end."""
    config, register = outside.room.config, books.register
    statements = Statements(
        facts=inforce,
        register=register,
        notary=books.notary,
        archive=books.archive,
        ledger=books.ledger,
        followers=links,
        clock=outside.clock,
    )
    await statements.enrol(
        Organisation(config.operator, "Operator", "运营方", frozenset({Role.OPERATOR}))
    )
    refusals = Refusals(config.origin, inforce.heads, books.notary, outside.clock)
    loads = Loads(register, links, config.limits.load_seconds)
    people = People(statements, roll, config.operator)
    add_identity(IdentityService(inforce, register, people, links.statuses), server)
    owners = OwnerService(
        register=register,
        statements=statements,
        links=links,
        loads=loads,
        desk=desk,
        recoveries=Recoveries(books, desk),
    )
    add_owner(owners, server)
    add_template(TemplateService(register, statements), server)
    requests = ConsentRequests(statements, books.archive, books.notary, outside.clock)
    add_consent(ConsentService(statements, books.archive, requests), server)
    disputes = Disputes(statements, books.archive, books.notary, outside.clock)
    add_subject(SubjectService(Holdings(links), disputes), server)
    add_use(UseService(books.archive, books.notary), server)
    federations = Federations(statements, books.archive, books.notary, books.ledger, outside.clock)
    await federations.begin()
    add_federation(FederationService(federations), server)
    answering = await add_answering(
        server, books, links, refusals, limits=config.limits, clock=outside.clock
    )
    return *answering, federations, statements


def _listen(server: grpc.aio.Server, room: Room, inforce: InForce) -> int:
    listen = room.config.listen
    host, port = split_address(listen.bind or listen.address)
    try:
        bound = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return server.add_secure_port(bound, inforce.credentials())
    except RuntimeError as error:
        raise SafeRoomError(Reason.BAD_CONFIG, f"cannot listen on {host}:{port}") from error
