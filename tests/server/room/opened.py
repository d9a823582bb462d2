"""A room that is open, over the simulated world."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path

import grpc

from saferoom.logs import Level, make_log
from saferoom.room import Room, add_issuer, init_room
from saferoom.server import Server
from saferoom.supervisor import Child
from saferoom_proto.dsse import Envelope
from saferoom_proto.identity import organisation_uri, subject_uri
from saferoom_proto.keys import SigningKey
from saferoom_proto.statements import Charter, Endorsement, EvidenceClaims, load, seal_statement
from saferoom_proto.v1 import (
    check_pb2,
    check_pb2_grpc,
    consent_pb2,
    consent_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    ledger_pb2_grpc,
    owner_pb2,
    owner_pb2_grpc,
    subject_pb2_grpc,
    template_pb2,
    template_pb2_grpc,
    use_pb2_grpc,
)
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto
from simulator import START, SimOwner, SimSubject, World
from tests.server.room.forked import fake
from tests.server.room.members import Connection, connection

SECONDS = 20.0
"""Longer than anything takes here, even on a busy machine."""


class Calls:
    """Every service's stub over one connection."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.identity = identity_pb2_grpc.IdentityServiceStub(channel)
        self.owner = owner_pb2_grpc.OwnerServiceStub(channel)
        self.template = template_pb2_grpc.TemplateServiceStub(channel)
        self.consent = consent_pb2_grpc.ConsentServiceStub(channel)
        self.check = check_pb2_grpc.CheckServiceStub(channel)
        self.subject = subject_pb2_grpc.SubjectServiceStub(channel)
        self.uses = use_pb2_grpc.UseServiceStub(channel)
        self.ledger = ledger_pb2_grpc.LedgerServiceStub(channel)


def make_room(folder: Path, world: World, settings: str = "") -> Path:
    """Make a room's folder with the world's own keys and issuer."""
    init_room(folder, world.room, "localhost:0", START)
    for name, key in (("ledger", world.ledger.key), ("heads", world.heads)):
        (folder / "keys" / f"{name}.pem").write_bytes(key.to_pem())
    add_issuer(folder, world.issuer.name, world.issuer.certificate.encode())
    if settings:
        (folder / "room.toml").write_text(
            f'origin = "{world.room}"\n[listen]\naddress = "localhost:0"\n{settings}'
        )
    return folder


@dataclass
class OpenedRoom:
    """A room that is open; `tests/server/conftest.py` opens it for a test."""

    folder: Path
    world: World
    server: Server
    log: StringIO
    made: dict[str, Connection] = field(default_factory=dict[str, Connection])
    agents: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    channels: list[grpc.aio.Channel] = field(default_factory=list[grpc.aio.Channel])
    stubs: dict[str, Calls] = field(default_factory=dict[str, Calls])
    told: set[str] = field(default_factory=set[str])

    async def leave(self) -> None:
        """Close every connection."""
        for agent in self.agents:
            agent.cancel()
        await asyncio.gather(*self.agents, return_exceptions=True)
        for channel in self.channels:
            await channel.close()

    # Who calls.

    def channel(self, own: Connection | None) -> grpc.aio.Channel:
        """Open a channel with a client's certificate, or with none."""
        root = (self.folder / "tls" / "ca.pem").read_bytes()
        pair = (own.key, own.certificate) if own else (None, None)
        credentials = grpc.ssl_channel_credentials(root, *pair)
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1))
        channel = grpc.aio.secure_channel(f"localhost:{self.server.port}", credentials, options)
        self.channels.append(channel)
        return channel

    def member(self, organisation: str, name: str = "desk") -> Connection:
        """Give the connection of an organisation's member."""
        uri = organisation_uri(organisation, name)
        if uri not in self.made:
            self.made[uri] = connection(uri, self.world.issuer)
        return self.made[uri]

    def calls(self, organisation: str, name: str = "desk") -> Calls:
        """Call as an organisation's member; each has one channel."""
        own = self.member(organisation, name)
        if own.fingerprint not in self.stubs:
            self.stubs[own.fingerprint] = Calls(self.channel(own))
        return self.stubs[own.fingerprint]

    def subject_calls(self, subject: SimSubject) -> Calls:
        """Call as a subject."""
        return Calls(self.channel(connection(subject_uri(subject.uscc), self.world.issuer)))

    async def enrol(self, name: str, *roles: identity_pb2.Role.ValueType) -> None:
        """Enrol an organisation."""
        organisation = identity_pb2.Organisation(
            name=name, title_en=name, title_zh=name, roles=roles
        )
        await self.calls("operator").identity.EnrolOrganisation(
            identity_pb2.EnrolOrganisationRequest(organisation=organisation), timeout=SECONDS
        )

    # What owners do.

    async def join(self, owner: SimOwner, *, attend: bool = True) -> None:
        """Enrol an owner, hand in its charter, and have its key agent attend."""
        await self.enrol(owner.name, identity_pb2.ROLE_OWNER)
        await self.calls(owner.name).owner.PutCharter(
            owner_pb2.PutCharterRequest(charter=envelope_to_proto(owner.charters[0])),
            timeout=SECONDS,
        )
        if attend:
            self.attend(owner)
            await self.until_state(owner.name, "serving")

    def attend(self, owner: SimOwner, key: SigningKey | None = None) -> None:
        """Have an owner's key agent attend; with another key, as a false one would."""
        calls = self.calls(owner.name, "key-agent")
        self.agents.append(asyncio.create_task(_agent(calls, owner, key or owner.key_agent)))

    async def until_state(self, owner: str, state: str) -> None:
        """Wait until an enclave is in a state."""
        calls = self.calls("operator")

        async def reached() -> bool:
            room = await calls.identity.GetRoom(identity_pb2.GetRoomRequest(), timeout=SECONDS)
            return state in {each.state for each in room.enclaves if each.owner == owner}

        await until(reached)

    def process(self, owner: str) -> Process:
        """Give the process of an enclave that the server started."""
        running = self.server.links.serving(owner).running
        assert isinstance(running, Child)
        return running.started.process

    def behave(self, owner: str, **behaviour: object) -> None:
        """Change what an owner's fake enclave does."""
        path = self.folder / "enclaves" / owner / "behaviour.json"
        path.with_suffix(".new").write_text(json.dumps(behaviour))
        path.with_suffix(".new").rename(path)

    # What everybody says.

    async def hand_in(self, *statements: Envelope) -> None:
        """Hand in statements that the world's people made, each as one of them."""
        for statement in statements:
            await self._hand_in(statement)

    async def tell_all(self) -> None:
        """Hand in all that was said in the world and has not been handed in, in its order."""
        said = {
            each.digest: each
            for stream in self.world.streams.values()
            for each in stream.statements
        }
        order = self.world.ledger.index_of
        for digest in sorted(said.keys() - self.told, key=lambda digest: order[digest]):
            self.told.add(digest)
            if said[digest].payload_type != Charter.payload_type():
                await self._hand_in(said[digest])

    async def _hand_in(self, statement: Envelope) -> None:
        message = envelope_to_proto(statement)
        says = json.loads(statement.payload)
        match statement.payload_type.split(".")[2]:
            case "schema":
                call = self.calls(says["owner"]).owner.PutSchema
                await call(owner_pb2.PutSchemaRequest(schema=message), timeout=SECONDS)
            case "feature":
                call = self.calls(says["owner"]).owner.PutFeature
                await call(owner_pb2.PutFeatureRequest(feature=message), timeout=SECONDS)
            case "template":
                certificate = self.world.bank(says["proposer"]).certificate(statement)
                await self.propose(says["proposer"], statement, certificate)
            case "release-certificate":
                pass  # came with its template
            case "approval":
                call = self.calls(says["owner"]).template.Approve
                await call(template_pb2.ApproveRequest(approval=message), timeout=SECONDS)
            case "agreement":
                call = self.calls(says["owner"]).template.PutAgreement
                await call(template_pb2.PutAgreementRequest(agreement=message), timeout=SECONDS)
            case "charter":
                call = self.calls(says["owner"]).owner.PutCharter
                await call(owner_pb2.PutCharterRequest(charter=message), timeout=SECONDS)
            case "certificate-revocation":
                call = self.calls(says["issuer"]).identity.RevokeCertificate
                request = identity_pb2.RevokeCertificateRequest(revocation=message)
                await call(request, timeout=SECONDS)
            case "consent":
                call = self.calls(says["institution"]).consent.GrantConsent
                await call(consent_pb2.GrantConsentRequest(consent=message), timeout=SECONDS)
            case kind:
                raise AssertionError(kind)

    async def propose(self, bank: str, template: Envelope, certificate: Envelope) -> None:
        """Hand in a template and its certificate."""
        request = template_pb2.ProposeTemplateRequest(
            template=envelope_to_proto(template), certificate=envelope_to_proto(certificate)
        )
        await self.calls(bank).template.ProposeTemplate(request, timeout=SECONDS)

    async def ask(self, bank: str, request: Envelope) -> check_pb2.CheckResponse:
        """Ask a signed question."""
        message = check_pb2.CheckRequest(request=envelope_to_proto(request))
        return await self.calls(bank).check.Check(message, timeout=SECONDS)


async def _agent(calls: Calls, owner: SimOwner, key: SigningKey) -> None:
    """Attend as an owner's key agent that accepts whatever an enclave claims."""
    said: asyncio.Queue[owner_pb2.AttendKeysRequest] = asyncio.Queue()

    async def sayings() -> AsyncIterator[owner_pb2.AttendKeysRequest]:
        while True:
            yield await said.get()

    async for told in calls.owner.AttendKeys(sayings()):
        if told.WhichOneof("message") == "wanted":
            challenge = owner_pb2.KeyChallenge(task=told.wanted.task, nonce=b"n" * 32)
            said.put_nowait(owner_pb2.AttendKeysRequest(challenge=challenge))
        else:
            endorsement = endorse(envelope_from_proto(told.evidence.claims), owner, key)
            release = owner_pb2.KeyRelease(
                task=told.evidence.task,
                endorsement=envelope_to_proto(endorsement),
                sealed_keys=b"sealed",
            )
            said.put_nowait(owner_pb2.AttendKeysRequest(release=release))


def endorse(statement: Envelope, by: SimOwner, key: SigningKey, **changes: object) -> Envelope:
    """Endorse an enclave's claims as an owner's key agent does; fields can be changed."""
    claims, now = load(statement, EvidenceClaims), by.world.now()
    fields: dict[str, object] = {
        "room": claims.room,
        "owner": claims.owner,
        "valid_from": now - timedelta(hours=1),
        "valid_to": now + timedelta(hours=24),
        "identity": claims.identity,
        "sealing": claims.sealing,
        "tls": claims.tls,
        "charter": claims.charter,
        "code": claims.code,
        "dependencies": claims.dependencies,
        "evidence_kind": "software",
        "evidence": statement.digest,
        "quote": None,
        "chain": claims.chain,
        "previous": None,
        "sandbox_level": claims.sandbox_level,
    }
    return seal_statement(Endorsement.model_validate(fields | changes), key)


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(SECONDS):
        while not await reached():  # noqa: ASYNC110 - what is waited for is another process's
            await asyncio.sleep(0.02)


@asynccontextmanager
async def opened(
    folder: Path, world: World, settings: str = "", *, level: Level = Level.INFO
) -> AsyncGenerator[OpenedRoom]:
    """Open a room, made first if there is none in the folder."""
    if not folder.exists():  # noqa: ASYNC240
        make_room(folder, world, settings)
    log = StringIO()
    server = await Server.open(
        Room.open(folder), log=make_log(level, log), command=(fake(),), clock=world.clock.utc
    )
    room = OpenedRoom(folder, world, server, log)
    try:
        yield room
    finally:
        await room.leave()
        await server.close()
