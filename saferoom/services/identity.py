"""IdentityService: the room, its organisations, and whoever calls."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Protocol

from saferoom import subject_rules, wire
from saferoom.evidence import Recorded
from saferoom.identity import current_caller
from saferoom.links import EnclaveStatus
from saferoom.register import Register
from saferoom.roll import Roll
from saferoom.rules import RoomFacts
from saferoom.statements import Statements
from saferoom_proto.encoding import unb64
from saferoom_proto.statements import KeyHandover
from saferoom_proto.v1 import identity_pb2, identity_pb2_grpc


@dataclass(frozen=True, slots=True)
class People:
    """What the service knows of people, and changes: the statements, the roll, the operator."""

    statements: Statements
    roll: Roll
    operator: str


class Facts(RoomFacts, Protocol):
    """What the room is, and how its keys came to be those they are."""

    def handovers(self) -> Sequence[Recorded[KeyHandover]]:
        """Give every handover of a key, with its proof."""
        ...


class IdentityService(identity_pb2_grpc.IdentityServiceServicer):
    """Describes the room and who is in it."""

    def __init__(
        self,
        facts: Facts,
        register: Register,
        people: People,
        statuses: Callable[[], tuple[EnclaveStatus, ...]],
    ) -> None:
        self._facts: Final = facts
        self._register: Final = register
        self._people: Final = people
        self._statements: Final = people.statements
        self._statuses: Final = statuses
        self._version: Final = version("saferoom")

    async def GetRoom(
        self, request: identity_pb2.GetRoomRequest, context: object
    ) -> identity_pb2.GetRoomResponse:
        """Describe the room."""
        return identity_pb2.GetRoomResponse(
            origin=self._facts.origin,
            ledger_key=unb64(self._facts.ledger_keys[0]),
            heads_key=unb64(self._facts.heads_keys[0]),
            version=self._version,
            enclaves=wire.enclave_states(self._statuses()),
            handovers=[wire.recorded(each) for each in self._facts.handovers()],
        )

    async def WhoAmI(
        self, request: identity_pb2.WhoAmIRequest, context: object
    ) -> identity_pb2.WhoAmIResponse:
        """Tell the caller whom the room takes it for."""
        return wire.who_am_i(current_caller())

    async def EnrolOrganisation(
        self, request: identity_pb2.EnrolOrganisationRequest, context: object
    ) -> identity_pb2.EnrolOrganisationResponse:
        """Enrol an organisation."""
        enrolled = await self._statements.enrol(wire.organisation_from(request.organisation))
        return identity_pb2.EnrolOrganisationResponse(organisation=wire.organisation(enrolled))

    async def ListOrganisations(
        self, request: identity_pb2.ListOrganisationsRequest, context: object
    ) -> identity_pb2.ListOrganisationsResponse:
        """List the organisations."""
        organisations = [wire.organisation(each) for each in self._register.organisations()]
        return identity_pb2.ListOrganisationsResponse(organisations=organisations)

    async def RevokeOrganisation(
        self, request: identity_pb2.RevokeOrganisationRequest, context: object
    ) -> identity_pb2.RevokeOrganisationResponse:
        """Revoke an organisation."""
        revoked = await self._statements.revoke_organisation(request.name, self._people.operator)
        return identity_pb2.RevokeOrganisationResponse(organisation=wire.organisation(revoked))

    async def ListCertificates(
        self, request: identity_pb2.ListCertificatesRequest, context: object
    ) -> identity_pb2.ListCertificatesResponse:
        """List members' certificates."""
        listed = await self._people.roll.certificates(request.organisation)
        return identity_pb2.ListCertificatesResponse(certificates=map(wire.certificate, listed))

    async def RevokeCertificate(
        self, request: identity_pb2.RevokeCertificateRequest, context: object
    ) -> identity_pb2.RevokeCertificateResponse:
        """Record a certificate's revocation."""
        recorded = await self._statements.accept(
            current_caller(),
            wire.envelope(request.revocation),
            subject_rules.CERTIFICATE_REVOCATION,
        )
        return identity_pb2.RevokeCertificateResponse(recorded=wire.recorded(recorded))
