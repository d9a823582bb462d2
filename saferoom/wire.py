"""What members are told, between the room's values and protobuf messages.

Answers to requests and accepted statements are written from `Recorded` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from saferoom.endorsement import Endorsed
from saferoom.evidence import Caller, Recorded, Role
from saferoom.exchange import AttestedClaims
from saferoom.keydesk import (
    FromAgent,
    KeyChallenge,
    KeyEvidence,
    KeyOffer,
    KeyRefusal,
    KeyRelease,
    KeyWanted,
    ToAgent,
)
from saferoom.ledger.entries import Entry
from saferoom.links import EnclaveStatus
from saferoom.recoveries import ChainEnds
from saferoom.refusals import Word
from saferoom.register import Organisation
from saferoom.roll import Enrolled
from saferoom.statements import Revoked
from saferoom.versions import StoreHeld, StoreVersion
from saferoom_proto import wire
from saferoom_proto.dsse import Envelope
from saferoom_proto.entry import leaf
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import ChainLink, CostEstimate
from saferoom_proto.v1 import (
    check_pb2,
    consent_pb2,
    evidence_pb2,
    identity_pb2,
    ledger_pb2,
    owner_pb2,
    use_pb2,
)
from saferoom_proto.v1.evidence_pb2 import Recorded as RecordedMessage

_ROLES: Final = {
    Role.OPERATOR: identity_pb2.ROLE_OPERATOR,
    Role.OWNER: identity_pb2.ROLE_OWNER,
    Role.INSTITUTION: identity_pb2.ROLE_INSTITUTION,
    Role.AUDITOR: identity_pb2.ROLE_AUDITOR,
    Role.ISSUER: identity_pb2.ROLE_ISSUER,
    Role.SUBJECT: identity_pb2.ROLE_SUBJECT,
}
_ROLE_OF: Final = {number: role for role, number in _ROLES.items()}


def envelope(message: evidence_pb2.Envelope) -> Envelope:
    """Take an envelope off the wire."""
    return wire.envelope_from_proto(message)


def envelopes(statements: Iterable[Envelope]) -> list[evidence_pb2.Envelope]:
    """Put envelopes on the wire."""
    return [wire.envelope_to_proto(each) for each in statements]


def recorded(statement: Recorded[object]) -> RecordedMessage:
    """Put a recorded statement on the wire."""
    return RecordedMessage(
        statement=wire.envelope_to_proto(statement.statement),
        salt=statement.salt,
        proof=statement.proof,
    )


def parts(words: Sequence[Recorded[Word]]) -> list[evidence_pb2.Part]:
    """Put recorded words on a request on the wire."""
    return [evidence_pb2.Part(release=recorded(word), sealed=word.said.sealed) for word in words]


def check_response(
    request_id: str, words: Sequence[Recorded[Word]], consents: Iterable[Envelope]
) -> check_pb2.CheckResponse:
    """Answer a check, with the consents that its parts name."""
    return check_pb2.CheckResponse(
        request_id=request_id,
        parts=parts(words),
        consents=[wire.envelope_to_proto(each) for each in consents],
    )


def use(word: Recorded[object], request: Envelope | None) -> use_pb2.Use:
    """Show a use: a recorded word on a question, and the question if the room has it."""
    message = use_pb2.Use(word=recorded(word))
    if request is not None:
        message.request.CopyFrom(wire.envelope_to_proto(request))
    return message


def cost_response(
    request_id: str, estimates: Sequence[Recorded[CostEstimate]]
) -> check_pb2.CostResponse:
    """Tell what a check would cost."""
    told = [recorded(each) for each in estimates]
    return check_pb2.CostResponse(request_id=request_id, estimates=told)


def organisation_from(message: identity_pb2.Organisation) -> Organisation:
    """Take an organisation off the wire."""
    roles = frozenset(_ROLE_OF[role] for role in message.roles)
    return Organisation(message.name, message.title_en, message.title_zh, roles)


def organisation(value: Organisation) -> identity_pb2.Organisation:
    """Put an organisation on the wire."""
    return identity_pb2.Organisation(
        name=value.name,
        title_en=value.title_en,
        title_zh=value.title_zh,
        roles=_role_numbers(value.roles),
    )


def certificate(value: Enrolled) -> identity_pb2.MemberCertificate:
    """Put a member's certificate on the wire."""
    principal = value.principal
    return identity_pb2.MemberCertificate(
        fingerprint=principal.fingerprint,
        organisation=principal.organisation,
        name=principal.name,
        first_seen_milliseconds=int(principal.first_seen.timestamp() * 1000),
        ends_milliseconds=int(value.ends.timestamp() * 1000),
        revoked=value.revoked,
    )


def who_am_i(caller: Caller) -> identity_pb2.WhoAmIResponse:
    """Tell a caller whom the room takes it for."""
    return identity_pb2.WhoAmIResponse(
        organisation=caller.organisation,
        name=caller.identity.name,
        roles=_role_numbers(caller.roles),
        fingerprint=caller.identity.fingerprint,
    )


def enclave_states(statuses: Iterable[EnclaveStatus]) -> list[identity_pb2.EnclaveState]:
    """Tell how the enclaves do."""
    return [
        identity_pb2.EnclaveState(
            owner=status.owner,
            state=str(status.state),
            sandbox_level=status.sandbox_level,
            sandbox_missing=status.sandbox_missing,
            endorsement=status.endorsement,
            run_by=str(status.run_by),
            connected=status.connected,
            fault=status.fault,
        )
        for status in statuses
    ]


def endorsement_response(
    endorsed: Endorsed, snapshot: Envelope | None, key_change: Recorded[object] | None
) -> owner_pb2.GetEndorsementResponse:
    """Give an endorsement, the claims it accepted, and for the owner its enclave's newest words."""
    message = owner_pb2.GetEndorsementResponse(
        endorsement=wire.envelope_to_proto(endorsed.statement),
        claims=wire.envelope_to_proto(endorsed.claims),
    )
    if snapshot is not None:
        message.snapshot.CopyFrom(wire.envelope_to_proto(snapshot))
    if key_change is not None:
        message.key_change.CopyFrom(recorded(key_change))
    return message


def evidence_response(
    attested: AttestedClaims, endorsed: Endorsed
) -> owner_pb2.GetEvidenceResponse:
    """Show a member an enclave's evidence, and the endorsement that it serves under."""
    return owner_pb2.GetEvidenceResponse(
        claims=wire.envelope_to_proto(attested.claims),
        kind=attested.kind,
        quote=attested.quote,
        endorsement=wire.envelope_to_proto(endorsed.statement),
    )


def load_response(
    snapshot: Recorded[object] | None, sealed_faults: bytes
) -> owner_pb2.LoadDataResponse:
    """Tell an owner what became of its load."""
    message = owner_pb2.LoadDataResponse(sealed_faults=sealed_faults)
    if snapshot is not None:
        message.snapshot.CopyFrom(recorded(snapshot))
    return message


def snapshots_response(versions: Iterable[StoreVersion]) -> owner_pb2.ListSnapshotsResponse:
    """List an owner's snapshots."""
    return owner_pb2.ListSnapshotsResponse(
        versions=[
            owner_pb2.StoreVersion(
                snapshot=recorded(each.snapshot), order=wire.envelope_to_proto(each.order)
            )
            for each in versions
        ]
    )


def stores_response(stores: Iterable[StoreHeld]) -> owner_pb2.ListStoresResponse:
    """Tell what each owner has brought."""
    return owner_pb2.ListStoresResponse(
        stores=[
            owner_pb2.StoreHeld(
                snapshot=recorded(each.snapshot), schema=wire.envelope_to_proto(each.schema)
            )
            for each in stores
        ]
    )


def revoked(value: Revoked) -> consent_pb2.RevokeConsentResponse:
    """Tell a subject which enclaves acknowledge its revocation."""
    return consent_pb2.RevokeConsentResponse(
        recorded=recorded(value.recorded),
        acknowledgements=[recorded(each) for each in value.acknowledgements],
        waiting=value.waiting,
    )


def entry(value: Entry, *, opened: bool) -> ledger_pb2.Entry:
    """Put a ledger entry on the wire: its leaf, and for auditors what opens it."""
    message = ledger_pb2.Entry(leaf=leaf(value.commitment))
    if opened:
        message.salt = value.salt or b""
        if value.statement is not None:
            message.statement.CopyFrom(wire.envelope_to_proto(value.statement))
    return message


def to_agent(message: ToAgent) -> owner_pb2.AttendKeysResponse:
    """Put what a key agent is told on the wire."""
    match message:
        case KeyWanted(task, owner):
            wanted = owner_pb2.KeyWanted(task=task, owner=owner)
            return owner_pb2.AttendKeysResponse(wanted=wanted)
        case KeyEvidence(task, AttestedClaims(claims, kind, quote), launch, recoveries):
            evidence = owner_pb2.KeyEvidence(
                task=task,
                claims=wire.envelope_to_proto(claims),
                kind=kind,
                quote=quote,
                recoveries=envelopes(recoveries),
            )
            if launch is not None:
                evidence.launch.CopyFrom(wire.envelope_to_proto(launch))
            return owner_pb2.AttendKeysResponse(evidence=evidence)


def chain_response(ends: ChainEnds) -> owner_pb2.GetEnclaveChainResponse:
    """Put on the wire where an enclave's chain ends."""
    message = owner_pb2.GetEnclaveChainResponse(
        recorded=_chain_end(ends.recorded),
        last_epoch=ends.last_epoch,
        recoveries=envelopes(ends.recoveries),
    )
    if ends.claimed is not None:
        message.claimed.CopyFrom(_chain_end(ends.claimed))
    return message


def _chain_end(link: ChainLink) -> owner_pb2.ChainEnd:
    return owner_pb2.ChainEnd(index=link.index, previous=link.previous)


def from_agent(message: owner_pb2.AttendKeysRequest) -> FromAgent | KeyOffer:
    """Take what a key agent says off the wire.

    Raises:
        SafeRoomError: `MALFORMED` if it says nothing.
    """
    match message.WhichOneof("message"):
        case "challenge":
            return KeyChallenge(message.challenge.task, message.challenge.nonce)
        case "release":
            said = message.release
            return KeyRelease(said.task, envelope(said.endorsement), said.sealed_keys)
        case "refusal":
            return KeyRefusal(message.refusal.task, message.refusal.why)
        case "offer":
            return KeyOffer()
        case _:
            raise SafeRoomError(Reason.MALFORMED, "a key agent's message is empty")


def _role_numbers(roles: Iterable[Role]) -> list[identity_pb2.Role.ValueType]:
    return [_ROLES[role] for role in sorted(roles)]
