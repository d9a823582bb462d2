"""What passes between the room and an enclave, between its values and its protobuf messages."""

from __future__ import annotations

from collections.abc import Sequence

from saferoom.exchange import (
    AttestedClaims,
    Delivery,
    Judged,
    Loaded,
    OutboxEntry,
    Standing,
    Unlocking,
)
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.v1 import enclave_pb2, owner_pb2
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto

LoadPiece = owner_pb2.LoadDataRequest
"""A piece of a load, which passes through the room as it came."""
LoadHeader = owner_pb2.LoadHeader
"""What opens one; likewise."""


def standing_from(message: enclave_pb2.EnclavePosition) -> Standing:
    """Take an enclave's standing off the wire."""
    return Standing(
        unlocked=message.unlocked,
        sequence=message.sequence,
        running=message.running,
        head_nonce=message.head_nonce,
        ledger_size=message.ledger_size,
        sandbox_level=message.sandbox_level,
        sandbox_missing=tuple(message.sandbox_missing),
        has_data=message.has_data,
        chain_length=message.chain_length,
        store_fault=message.store_fault,
    )


def outbox_entry_from(message: enclave_pb2.OutboxEntry) -> OutboxEntry:
    """Take an outbox entry off the wire."""
    statement = envelope_from_proto(message.statement)
    order = envelope_from_proto(message.order) if message.HasField("order") else None
    return OutboxEntry(statement, message.salt, message.chain_index, order)


def outbox_from(message: enclave_pb2.ListOutboxResponse) -> tuple[OutboxEntry, ...]:
    """Take a page of the outbox off the wire."""
    return tuple(outbox_entry_from(each) for each in message.entries)


def attest_request(nonce: bytes, *, shown: bool = False) -> enclave_pb2.AttestRequest:
    """Write a challenge."""
    return enclave_pb2.AttestRequest(nonce=nonce, shown=shown)


def attested_from(message: enclave_pb2.AttestResponse) -> AttestedClaims:
    """Take evidence off the wire."""
    return AttestedClaims(envelope_from_proto(message.claims), message.kind, message.quote)


def unlock_request(unlocking: Unlocking) -> enclave_pb2.UnlockRequest:
    """Write what opens an enclave."""
    return enclave_pb2.UnlockRequest(
        endorsement=envelope_to_proto(unlocking.endorsement),
        sealed_keys=unlocking.sealed_keys,
        recoveries=[envelope_to_proto(each) for each in unlocking.recoveries],
    )


def state_request() -> enclave_pb2.GetStateRequest:
    """Ask where an enclave stands."""
    return enclave_pb2.GetStateRequest()


def outbox_request(start: int) -> enclave_pb2.ListOutboxRequest:
    """Ask for the outbox from a chain index on."""
    return enclave_pb2.ListOutboxRequest(start=start)


def deliver_request(delivery: Delivery) -> enclave_pb2.DeliverRequest:
    """Put a delivery on the wire."""
    return enclave_pb2.DeliverRequest(
        statements=[envelope_to_proto(each) for each in delivery.statements],
        head=envelope_to_proto(delivery.head),
        consistency=delivery.consistency,
        proofs=[
            enclave_pb2.OutboxProof(
                chain_index=proof.chain_index, ledger_index=proof.ledger_index, hashes=proof.hashes
            )
            for proof in delivery.proofs
        ],
        cosigned=delivery.cosigned,
        cosigned_consistency=delivery.cosigned_consistency,
    )


def delivered_from(
    message: enclave_pb2.DeliverResponse,
) -> tuple[Standing, tuple[OutboxEntry, ...]]:
    """Take off the wire where an enclave stands after a delivery, and what it has to say."""
    entries = tuple(outbox_entry_from(each) for each in message.outbox)
    return standing_from(message.position), entries


def judge_request(requests: Sequence[Envelope]) -> enclave_pb2.JudgeManyRequest:
    """Put signed requests on the wire."""
    return enclave_pb2.JudgeManyRequest(requests=[envelope_to_proto(each) for each in requests])


def judged_from(message: enclave_pb2.JudgeManyResponse) -> list[Judged | SafeRoomError]:
    """Take an enclave's words on requests off the wire, or why it has none."""
    return [_outcome(each) for each in message.outcomes]


def _outcome(message: enclave_pb2.JudgeOutcome) -> Judged | SafeRoomError:
    match message.WhichOneof("outcome"):
        case "judged":
            return Judged(outbox_entry_from(message.judged.entry), message.judged.sealed)
        case "refusal" if message.refusal.reason in Reason.__members__:
            faults = [FieldFault(each.field, each.rule) for each in message.refusal.faults]
            reason = Reason[message.refusal.reason]
            return SafeRoomError(reason, "told by the enclave", faults)
        case _:
            return SafeRoomError(Reason.INTERNAL, "the enclave tells nothing known")


def disclose_request(request: Envelope) -> enclave_pb2.DiscloseRequest:
    """Put a subject's request for what is held about it on the wire."""
    return enclave_pb2.DiscloseRequest(request=envelope_to_proto(request))


def disclosed_from(message: enclave_pb2.DiscloseResponse) -> Judged:
    """Take off the wire what an enclave shows a subject."""
    return Judged(outbox_entry_from(message.entry), message.sealed)


def tabulate_request(request: Envelope) -> enclave_pb2.TabulateRequest:
    """Put a request for tables on the wire."""
    return enclave_pb2.TabulateRequest(request=envelope_to_proto(request))


def tabulated_from(message: enclave_pb2.TabulateResponse) -> Judged:
    """Take an enclave's word on tables off the wire."""
    return Judged(outbox_entry_from(message.entry), message.sealed)


def fit_request(request: Envelope) -> enclave_pb2.FitModelRequest:
    """Put a request for a training in the room on the wire."""
    return enclave_pb2.FitModelRequest(request=envelope_to_proto(request))


def fitted_from(message: enclave_pb2.FitModelResponse) -> Judged:
    """Take an enclave's word on a training in the room off the wire."""
    return Judged(outbox_entry_from(message.entry), message.sealed)


def report_request(request: Envelope, disputes: Sequence[Envelope]) -> enclave_pb2.ReportRequest:
    """Put a request for a report on the wire, and what is said of its subject's disputes."""
    return enclave_pb2.ReportRequest(
        request=envelope_to_proto(request), disputes=map(envelope_to_proto, disputes)
    )


def reported_from(message: enclave_pb2.ReportResponse) -> Judged:
    """Take an enclave's word on a report off the wire."""
    return Judged(outbox_entry_from(message.entry), message.sealed)


def load_request(piece: LoadPiece) -> enclave_pb2.LoadRequest:
    """Pass a piece of a load on as it came."""
    return enclave_pb2.LoadRequest(piece=piece)


def tell_load_request(header: LoadHeader) -> enclave_pb2.TellLoadRequest:
    """Pass a load's header on as it came."""
    return enclave_pb2.TellLoadRequest(header=header)


def trial_request(order: Envelope) -> enclave_pb2.TryFeatureRequest:
    """Write an approver's order to try a draft."""
    return enclave_pb2.TryFeatureRequest(order=envelope_to_proto(order))


def rollback_request(order: Envelope) -> enclave_pb2.RollbackStoreRequest:
    """Write an approver's order to go back."""
    return enclave_pb2.RollbackStoreRequest(order=envelope_to_proto(order))


def load_owner(piece: LoadPiece) -> tuple[str, str]:
    """Read whose load a first piece opens, and under which schema.

    Raises:
        SafeRoomError: `MALFORMED` if it is not a header.
    """
    if piece.WhichOneof("piece") != "header":
        raise SafeRoomError(Reason.MALFORMED, "a load begins with its header")
    return piece.header.owner, piece.header.schema


def loaded_from(message: enclave_pb2.LoadResponse) -> Loaded:
    """Take what became of a load off the wire."""
    snapshot = outbox_entry_from(message.snapshot) if message.HasField("snapshot") else None
    return Loaded(snapshot, message.sealed_faults)
