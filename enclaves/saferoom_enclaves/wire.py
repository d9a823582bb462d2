"""What passes between the room and this enclave, between protobuf messages and values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from saferoom_enclaves.attest import Attestation
from saferoom_enclaves.journal import InclusionClaim, Judged, OutboxEntry
from saferoom_enclaves.loads import LoadReport
from saferoom_enclaves.stream import Delivery
from saferoom_enclaves.whereabouts import Whereabouts
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.load import Change, LoadHeader, LoadTable
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.v1 import batch_pb2, enclave_pb2, evidence_pb2, owner_pb2
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto


def attest_response(attestation: Attestation) -> enclave_pb2.AttestResponse:
    """Put evidence on the wire."""
    return enclave_pb2.AttestResponse(
        claims=envelope_to_proto(attestation.claims),
        kind=attestation.evidence.kind,
        quote=unb64(attestation.evidence.quote),
    )


def position(where: Whereabouts) -> enclave_pb2.EnclavePosition:
    """Put on the wire where the enclave stands."""
    return enclave_pb2.EnclavePosition(
        unlocked=where.unlocked,
        sequence=where.sequence,
        running=where.running,
        head_nonce=where.head_nonce,
        ledger_size=where.ledger_size,
        sandbox_level=where.sandbox_level,
        sandbox_missing=where.sandbox_missing,
        store_fault=where.store_fault,
        has_data=where.has_data,
        chain_length=where.chain_length,
    )


def endorsement_of(request: enclave_pb2.UnlockRequest) -> Envelope:
    """Take an endorsement off the wire."""
    _require(request.HasField("endorsement"), "endorsement")
    return envelope_from_proto(request.endorsement)


def recoveries_of(request: enclave_pb2.UnlockRequest) -> tuple[Envelope, ...]:
    """Take an owner's decision about an older copy off the wire."""
    return tuple(envelope_from_proto(each) for each in request.recoveries)


def delivery_of(request: enclave_pb2.DeliverRequest) -> Delivery:
    """Take a delivery off the wire."""
    _require(request.HasField("head"), "head")
    return Delivery(
        statements=tuple(envelope_from_proto(each) for each in request.statements),
        head=envelope_from_proto(request.head),
        consistency=tuple(request.consistency),
        proofs=tuple(
            InclusionClaim(each.chain_index, each.ledger_index, tuple(each.hashes))
            for each in request.proofs
        ),
        cosigned=request.cosigned,
        cosigned_consistency=tuple(request.cosigned_consistency),
    )


def deliver_response(
    where: Whereabouts, acknowledged: list[OutboxEntry]
) -> enclave_pb2.DeliverResponse:
    """Put on the wire what a delivery led to."""
    return enclave_pb2.DeliverResponse(
        position=position(where), outbox=[outbox_entry(each) for each in acknowledged]
    )


def question_of(request: enclave_pb2.JudgeRequest) -> Envelope:
    """Take a signed question off the wire."""
    _require(request.HasField("request"), "request")
    return envelope_from_proto(request.request)


def claim_of(request: enclave_pb2.DiscloseRequest) -> Envelope:
    """Take a subject's request off the wire."""
    _require(request.HasField("request"), "request")
    return envelope_from_proto(request.request)


def one_of_many(message: evidence_pb2.Envelope) -> Envelope:
    """Take one of several signed questions off the wire."""
    return envelope_from_proto(message)


def plain_refusal(error: SafeRoomError) -> enclave_pb2.PlainRefusal:
    """Put a refusal without a verdict on the wire: its reason and the asker's own faults."""
    faults = [enclave_pb2.FieldFault(field=each.field, rule=each.rule) for each in error.fields]
    return enclave_pb2.PlainRefusal(reason=str(error.reason), faults=faults)


def judge_response(judged: Judged) -> enclave_pb2.JudgeResponse:
    """Put a verdict on the wire."""
    return enclave_pb2.JudgeResponse(entry=outbox_entry(judged.entry), sealed=judged.sealed)


def disclose_response(judged: Judged) -> enclave_pb2.DiscloseResponse:
    """Put on the wire what a subject is shown."""
    return enclave_pb2.DiscloseResponse(entry=outbox_entry(judged.entry), sealed=judged.sealed)


def tables_of(request: enclave_pb2.TabulateRequest) -> Envelope:
    """Take a request for tables off the wire."""
    return envelope_from_proto(request.request)


def tabulate_response(judged: Judged) -> enclave_pb2.TabulateResponse:
    """Put the word on a request for tables on the wire."""
    return enclave_pb2.TabulateResponse(entry=outbox_entry(judged.entry), sealed=judged.sealed)


def fit_of(request: enclave_pb2.FitModelRequest) -> Envelope:
    """Take a request for a training in the room off the wire."""
    return envelope_from_proto(request.request)


def fit_response(judged: Judged) -> enclave_pb2.FitModelResponse:
    """Put the word on a training in the room on the wire."""
    return enclave_pb2.FitModelResponse(entry=outbox_entry(judged.entry), sealed=judged.sealed)


def report_of(request: enclave_pb2.ReportRequest) -> tuple[Envelope, tuple[Envelope, ...]]:
    """Take a request for a report off the wire, and what is said of its subject's disputes."""
    disputes = tuple(envelope_from_proto(each) for each in request.disputes)
    return envelope_from_proto(request.request), disputes


def report_response(judged: Judged) -> enclave_pb2.ReportResponse:
    """Put the word on a request for a report on the wire."""
    return enclave_pb2.ReportResponse(entry=outbox_entry(judged.entry), sealed=judged.sealed)


def outbox_entry(entry: OutboxEntry) -> enclave_pb2.OutboxEntry:
    """Put an entry on the wire."""
    message = enclave_pb2.OutboxEntry(
        statement=envelope_to_proto(entry.statement),
        salt=entry.salt,
        chain_index=entry.chain_index,
    )
    if entry.order is not None:
        message.order.CopyFrom(envelope_to_proto(entry.order))
    return message


def list_outbox_response(entries: list[OutboxEntry]) -> enclave_pb2.ListOutboxResponse:
    """Put the outbox on the wire."""
    return enclave_pb2.ListOutboxResponse(entries=[outbox_entry(each) for each in entries])


def batch_header_of(request: enclave_pb2.JudgeBatchRequest) -> tuple[Envelope, bytes]:
    """Take a batch's signed request and the key of its blinds off the wire."""
    _require(request.piece.WhichOneof("piece") == "header", "piece.header")
    header: batch_pb2.BatchHeader = request.piece.header
    return envelope_from_proto(header.request), header.blinding


def batch_rows_of(request: enclave_pb2.JudgeBatchRequest) -> bytes:
    """Take a batch's next rows off the wire."""
    _require(request.piece.WhichOneof("piece") == "rows", "piece.rows")
    return request.piece.rows


def batch_begun(*, rows_wanted: bool) -> enclave_pb2.JudgeBatchResponse:
    """Tell whether a batch's rows are to be sent."""
    return enclave_pb2.JudgeBatchResponse(begun=batch_pb2.BatchBegun(rows_wanted=rows_wanted))


def batch_progress(judged: int) -> enclave_pb2.JudgeBatchResponse:
    """Tell how far a batch is."""
    return enclave_pb2.JudgeBatchResponse(progress=batch_pb2.BatchProgress(judged=judged))


def batch_verdict(judged: Judged) -> enclave_pb2.JudgeBatchResponse:
    """Put the word on a batch on the wire."""
    verdict = enclave_pb2.BatchVerdict(
        entry=outbox_entry(judged.entry), sealed_secret=judged.sealed
    )
    return enclave_pb2.JudgeBatchResponse(verdict=verdict)


def batch_chunk(
    number: int, sealed: bytes, proof: Sequence[bytes]
) -> enclave_pb2.JudgeBatchResponse:
    """Put a batch's sealed chunk on the wire."""
    chunk = batch_pb2.BatchChunk(number=number, sealed=sealed, proof=proof)
    return enclave_pb2.JudgeBatchResponse(chunk=chunk)


_CHANGES: Final = {
    owner_pb2.LOAD_CHANGE_UNSPECIFIED: Change.WHOLE,
    owner_pb2.LOAD_CHANGE_REPLACE: Change.REPLACE,
    owner_pb2.LOAD_CHANGE_DELETE: Change.DELETE,
    owner_pb2.LOAD_CHANGE_KEEP: Change.KEEP,
}


def load_header_of(request: enclave_pb2.LoadRequest) -> tuple[LoadHeader, bytes, int]:
    """Take a load's header, its sealed key, and from which piece on it comes, off the wire."""
    _require(request.piece.WhichOneof("piece") == "header", "piece.header")
    return *load_of(request.piece.header), request.piece.header.kept


def load_of(header: owner_pb2.LoadHeader) -> tuple[LoadHeader, bytes]:
    """Take a load's header and its sealed key off the wire."""
    _require(all(table.change in _CHANGES for table in header.tables), "piece.header.change")
    tables = tuple(
        LoadTable(table.name, table.pieces, _CHANGES[table.change], table.leaves)
        for table in header.tables
    )
    return LoadHeader(header.owner, header.schema, tables), header.sealed_key


def load_piece_of(request: enclave_pb2.LoadRequest) -> bytes:
    """Take a load's next sealed piece off the wire."""
    _require(request.piece.WhichOneof("piece") == "sealed", "piece.sealed")
    return request.piece.sealed


def load_response(report: LoadReport) -> enclave_pb2.LoadResponse:
    """Put on the wire what became of a load."""
    message = enclave_pb2.LoadResponse(sealed_faults=report.sealed_faults)
    if report.snapshot is not None:
        message.snapshot.CopyFrom(outbox_entry(report.snapshot))
    return message


def rollback_order_of(request: enclave_pb2.RollbackStoreRequest) -> Envelope:
    """Take a rollback's order off the wire."""
    _require(request.HasField("order"), "order")
    return envelope_from_proto(request.order)


def trial_of(request: enclave_pb2.TryFeatureRequest) -> Envelope:
    """Take a trial's order off the wire."""
    _require(request.HasField("order"), "order")
    return envelope_from_proto(request.order)


def rollback_response(entry: OutboxEntry) -> enclave_pb2.RollbackStoreResponse:
    """Put on the wire that the enclave went back."""
    return enclave_pb2.RollbackStoreResponse(snapshot=outbox_entry(entry))


def _require(there: bool, field: str) -> None:
    if not there:
        raise SafeRoomError(Reason.MALFORMED, field, [FieldFault(field, "it must be there")])
