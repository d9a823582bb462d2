"""A room's server as the client meets it: real gRPC with mutual TLS, over simulated statements.

It serves whatever a test puts into it, so that a test can be the lying server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Address
from typing import Any, Final, NoReturn

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf.message import Message

from saferoom_client.issuer import Issuer
from saferoom_client.profile import RoomCard
from saferoom_client.session import utc_now
from saferoom_proto import rpc_errors
from saferoom_proto.dsse import Envelope
from saferoom_proto.identity import read_identity
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import (
    check_pb2,
    consent_pb2,
    identity_pb2,
    ledger_pb2,
    owner_pb2,
    template_pb2,
    use_pb2,
)
from saferoom_proto.wire import (
    Part,
    Recorded,
    envelope_from_proto,
    envelope_to_proto,
    part_to_proto,
    recorded_to_proto,
)
from tests.client.made import Case

Context = grpc.aio.ServicerContext[object, object]


@dataclass(slots=True)
class Said:
    """What the server says, and what it was asked; a test changes it at will."""

    case: Case
    parts: Callable[[Envelope], list[Part]] = lambda _: []
    refusal: SafeRoomError | None = None
    refusals: int = 1_000_000
    """How many calls are refused before one is answered."""
    refused_parts: list[Part] = field(default_factory=list[Part])
    acknowledgements: Callable[[Envelope], list[Recorded]] = lambda _: []
    calls: list[str] = field(default_factory=list[str])
    uses: list[use_pb2.Use] = field(default_factory=list[use_pb2.Use])
    next_uses: int = 0
    roles: list[identity_pb2.Role.ValueType] = field(
        default_factory=lambda: [identity_pb2.ROLE_INSTITUTION]
    )
    note: str = ""
    to_cosign: str | None = None
    cosigned: list[str] = field(default_factory=list[str])
    words: list[ledger_pb2.AddCosignatureRequest] = field(
        default_factory=list[ledger_pb2.AddCosignatureRequest]
    )
    takes: asyncio.Event | None = None
    """Where there is one, a question or a cosignature is taken once it is set."""
    consistency: Callable[[int, int], tuple[bytes, ...]] | None = None
    leaves: list[bytes] = field(default_factory=list[bytes])
    openings: dict[int, tuple[Envelope, bytes]] = field(
        default_factory=dict[int, tuple[Envelope, bytes]]
    )
    attendance: Callable[
        [AsyncIterator[owner_pb2.AttendKeysRequest]],
        AsyncIterator[owner_pb2.AttendKeysResponse],
    ] = lambda _: _nothing()


async def _nothing() -> AsyncIterator[owner_pb2.AttendKeysResponse]:
    for each in ():
        yield each


async def refuse(context: Context, error: SafeRoomError, **metadata: str) -> NoReturn:
    await rpc_errors.abort(context, error, metadata)
    raise AssertionError


async def who_am_i(
    said: Said, request: identity_pb2.WhoAmIRequest, context: Context
) -> identity_pb2.WhoAmIResponse:
    (pem,) = context.auth_context()["x509_pem_cert"]
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    identity = read_identity(der)
    return identity_pb2.WhoAmIResponse(
        organisation=identity.organisation,
        name=identity.name,
        roles=said.roles,
        fingerprint=identity.fingerprint,
    )


async def get_charter(
    said: Said, request: owner_pb2.GetCharterRequest, context: Context
) -> owner_pb2.GetCharterResponse:
    charter = said.case.world.owner(request.owner).charters[-1]
    return owner_pb2.GetCharterResponse(charter=envelope_to_proto(charter))


async def list_features(
    said: Said, request: owner_pb2.ListFeaturesRequest, context: Context
) -> owner_pb2.ListFeaturesResponse:
    features = [envelope_to_proto(each) for each in said.case.features.values()]
    return owner_pb2.ListFeaturesResponse(features=features)


async def get_template(
    said: Said, request: template_pb2.GetTemplateRequest, context: Context
) -> template_pb2.GetTemplateResponse:
    case = said.case
    charters = [owner.charters[-1] for owner in case.world.owners.values()]
    approvals = [each for given in case.approvals.values() for each in given]
    return template_pb2.GetTemplateResponse(
        template=envelope_to_proto(case.template),
        features=[envelope_to_proto(each) for each in case.features.values()],
        charters=[envelope_to_proto(each) for each in charters],
        approvals=[envelope_to_proto(each) for each in approvals],
    )


async def check(
    said: Said, request: check_pb2.CheckRequest, context: Context
) -> check_pb2.CheckResponse:
    envelope = envelope_from_proto(request.request)
    if said.refusal is not None and said.refusals > 0:
        said.refusals -= 1
        await refuse(context, said.refusal, request_id=envelope.digest, owner="tax")
    if said.takes is not None:
        await said.takes.wait()
    parts = [part_to_proto(each) for each in said.parts(envelope)]
    return check_pb2.CheckResponse(request_id=envelope.digest, parts=parts)


async def get_check(
    said: Said, request: check_pb2.GetCheckRequest, context: Context
) -> check_pb2.GetCheckResponse:
    return check_pb2.GetCheckResponse(parts=[part_to_proto(each) for each in said.refused_parts])


async def revoke_consent(
    said: Said, request: consent_pb2.RevokeConsentRequest, context: Context
) -> consent_pb2.RevokeConsentResponse:
    revocation = envelope_from_proto(request.revocation)
    acknowledgements = [recorded_to_proto(each) for each in said.acknowledgements(revocation)]
    return consent_pb2.RevokeConsentResponse(
        recorded=recorded_to_proto(said.case.world.ledger.recorded(revocation)),
        acknowledgements=acknowledgements,
        waiting=["court"],
    )


async def get_checkpoint(
    said: Said, request: ledger_pb2.GetCheckpointRequest, context: Context
) -> ledger_pb2.GetCheckpointResponse:
    newest = said.note or said.case.world.ledger.note()
    return ledger_pb2.GetCheckpointResponse(
        checkpoint=newest,
        to_cosign=newest if said.to_cosign is None else said.to_cosign,
        cosigned=said.cosigned,
    )


async def get_consistency(
    said: Said, request: ledger_pb2.GetConsistencyRequest, context: Context
) -> ledger_pb2.GetConsistencyResponse:
    if said.refusal is not None and said.refusals > 0:
        said.refusals -= 1
        await refuse(context, said.refusal)
    prove = said.consistency or said.case.world.ledger.consistency
    hashes = prove(request.size1, request.size2)
    return ledger_pb2.GetConsistencyResponse(hashes=hashes)


async def get_inclusion(
    said: Said, request: ledger_pb2.GetInclusionRequest, context: Context
) -> ledger_pb2.GetInclusionResponse:
    hashes = said.case.world.ledger.inclusion(request.index, request.size)
    return ledger_pb2.GetInclusionResponse(hashes=hashes)


async def add_cosignature(
    said: Said, request: ledger_pb2.AddCosignatureRequest, context: Context
) -> ledger_pb2.AddCosignatureResponse:
    if said.refusal is not None and said.refusals > 0:
        said.refusals -= 1
        await refuse(context, said.refusal)
    if said.takes is not None:
        await said.takes.wait()
    said.words.append(request)
    return ledger_pb2.AddCosignatureResponse()


async def get_statement(
    said: Said, request: ledger_pb2.GetStatementRequest, context: Context
) -> ledger_pb2.GetStatementResponse:
    case = said.case
    enclaves = {each.endorsement.digest: each.endorsement for each in case.enclaves.values()}
    statement = (case.known | enclaves).get(request.digest)
    if statement is None:
        await refuse(context, SafeRoomError(Reason.UNKNOWN_STATEMENT))
    recorded = case.world.ledger.recorded(statement)
    return ledger_pb2.GetStatementResponse(recorded=recorded_to_proto(recorded))


async def list_entries(
    said: Said, request: ledger_pb2.ListEntriesRequest, context: Context
) -> ledger_pb2.ListEntriesResponse:
    end = min(request.start + request.limit, len(said.leaves))
    entries: list[ledger_pb2.Entry] = []
    for index in range(request.start, end):
        entry = ledger_pb2.Entry(leaf=said.leaves[index])
        if index in said.openings:
            statement, salt = said.openings[index]
            entry.statement.CopyFrom(envelope_to_proto(statement))
            entry.salt = salt
        entries.append(entry)
    return ledger_pb2.ListEntriesResponse(entries=entries)


async def list_uses(
    said: Said, request: use_pb2.ListUsesRequest, context: Context
) -> use_pb2.ListUsesResponse:
    return use_pb2.ListUsesResponse(uses=said.uses, next=said.next_uses)


Answering = Callable[[Said, Any, Context], Coroutine[None, None, Message]]
CALLS: Final[dict[str, tuple[Answering, type[Message]]]] = {
    "IdentityService/WhoAmI": (who_am_i, identity_pb2.WhoAmIRequest),
    "OwnerService/GetCharter": (get_charter, owner_pb2.GetCharterRequest),
    "OwnerService/ListFeatures": (list_features, owner_pb2.ListFeaturesRequest),
    "TemplateService/GetTemplate": (get_template, template_pb2.GetTemplateRequest),
    "CheckService/Check": (check, check_pb2.CheckRequest),
    "CheckService/GetCheck": (get_check, check_pb2.GetCheckRequest),
    "ConsentService/RevokeConsent": (revoke_consent, consent_pb2.RevokeConsentRequest),
    "UseService/ListUses": (list_uses, use_pb2.ListUsesRequest),
    "LedgerService/GetCheckpoint": (get_checkpoint, ledger_pb2.GetCheckpointRequest),
    "LedgerService/GetConsistency": (get_consistency, ledger_pb2.GetConsistencyRequest),
    "LedgerService/GetInclusion": (get_inclusion, ledger_pb2.GetInclusionRequest),
    "LedgerService/AddCosignature": (add_cosignature, ledger_pb2.AddCosignatureRequest),
    "LedgerService/GetStatement": (get_statement, ledger_pb2.GetStatementRequest),
    "LedgerService/ListEntries": (list_entries, ledger_pb2.ListEntriesRequest),
}


def handlers(said: Said) -> Iterator[grpc.GenericRpcHandler]:
    """Serve the calls of the table, and the key agents' stream."""
    for path, (answering, kind) in CALLS.items():
        service, _, name = path.partition("/")
        yield grpc.method_handlers_generic_handler(
            f"saferoom.v1.{service}", {name: one_call(said, name, answering, kind)}
        )

    async def attend(
        messages: AsyncIterator[owner_pb2.AttendKeysRequest], context: Context
    ) -> AsyncIterator[owner_pb2.AttendKeysResponse]:
        async for message in said.attendance(messages):
            yield message

    stream = grpc.stream_stream_rpc_method_handler(
        attend,
        owner_pb2.AttendKeysRequest.FromString,
        owner_pb2.AttendKeysResponse.SerializeToString,
    )
    yield grpc.method_handlers_generic_handler("saferoom.v1.OwnerService", {"AttendKeys": stream})


def one_call(
    said: Said, name: str, answering: Answering, kind: type[Message]
) -> grpc.RpcMethodHandler[Any, Any]:
    async def call(request: Message, context: Context) -> Message:
        said.calls.append(name)
        return await answering(said, request, context)

    def write(message: Message) -> bytes:
        return message.SerializeToString()

    return grpc.unary_unary_rpc_method_handler(call, kind.FromString, write)


def made_server_identity() -> tuple[bytes, bytes]:
    """Make a self-signed certificate of this machine, and its key; both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "room")])
    names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    now = utc_now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pem


@asynccontextmanager
async def serving(said: Said, issuer: Issuer) -> AsyncGenerator[RoomCard]:
    """Serve a case to whoever the issuer names."""
    certificate, key = made_server_identity()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(tuple(handlers(said)))
    credentials = grpc.ssl_server_credentials(
        [(key, certificate)], issuer.pem.encode(), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    world = said.case.world
    card = RoomCard(
        origin=world.room,
        address=f"127.0.0.1:{port}",
        tls_root=certificate.decode(),
        ledger_key=world.ledger.key.verify_key.public,
        heads_key=world.heads.verify_key.public,
    )
    try:
        yield card
    finally:
        await server.stop(None)
