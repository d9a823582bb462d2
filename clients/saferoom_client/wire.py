"""The room's messages, read into the client's values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from saferoom_client.values import (
    Caller,
    EnclaveState,
    LogEntry,
    MemberCertificate,
    Organisation,
    Role,
    RoomState,
)
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Title
from saferoom_proto.v1 import identity_pb2, ledger_pb2
from saferoom_proto.wire import envelope_from_proto

_ROLES: Final = {
    identity_pb2.ROLE_OPERATOR: Role.OPERATOR,
    identity_pb2.ROLE_OWNER: Role.OWNER,
    identity_pb2.ROLE_INSTITUTION: Role.INSTITUTION,
    identity_pb2.ROLE_AUDITOR: Role.AUDITOR,
    identity_pb2.ROLE_ISSUER: Role.ISSUER,
    identity_pb2.ROLE_SUBJECT: Role.SUBJECT,
}
_NUMBERS: Final = {role: number for number, role in _ROLES.items()}


def read_role(number: identity_pb2.Role.ValueType) -> Role:
    """Read a role; one that this client does not know is refused."""
    if number not in _ROLES:
        raise SafeRoomError(Reason.MALFORMED, f"the room names the unknown role {number}")
    return _ROLES[number]


def read_room(message: identity_pb2.GetRoomResponse) -> RoomState:
    """Read the room's description."""
    enclaves = tuple(
        EnclaveState(
            each.owner,
            each.state,
            each.sandbox_level,
            tuple(each.sandbox_missing),
            each.endorsement,
            each.run_by,
            each.connected,
            each.fault,
        )
        for each in message.enclaves
    )
    return RoomState(message.origin, message.version, enclaves)


def read_caller(message: identity_pb2.WhoAmIResponse) -> Caller:
    """Read whom the room takes the caller for."""
    roles = frozenset(read_role(role) for role in message.roles)
    return Caller(message.organisation, message.name, roles, message.fingerprint)


def read_organisation(message: identity_pb2.Organisation) -> Organisation:
    """Read an organisation."""
    title = Title(en=message.title_en, zh=message.title_zh)
    return Organisation(message.name, title, frozenset(read_role(role) for role in message.roles))


def read_certificate(message: identity_pb2.MemberCertificate) -> MemberCertificate:
    """Read a member's certificate."""
    return MemberCertificate(
        message.fingerprint,
        message.organisation,
        message.name,
        datetime.fromtimestamp(message.first_seen_milliseconds / 1000, UTC),
        datetime.fromtimestamp(message.ends_milliseconds / 1000, UTC),
        message.revoked,
    )


def write_organisation(organisation: Organisation) -> identity_pb2.Organisation:
    """Write an organisation."""
    return identity_pb2.Organisation(
        name=organisation.name,
        title_en=organisation.title.en,
        title_zh=organisation.title.zh,
        roles=sorted(_NUMBERS[role] for role in organisation.roles),
    )


def read_entry(index: int, message: ledger_pb2.Entry) -> LogEntry:
    """Read an entry of the log."""
    statement = envelope_from_proto(message.statement) if message.HasField("statement") else None
    return LogEntry(index, message.leaf, statement, message.salt)
