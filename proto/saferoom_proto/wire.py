"""Envelopes and recorded statements between their values and their protobuf messages."""

from __future__ import annotations

from dataclasses import dataclass

from saferoom_proto.dsse import Envelope, Signature
from saferoom_proto.v1 import evidence_pb2


@dataclass(frozen=True, slots=True)
class Recorded:
    """A statement with what proves that it stands in the ledger.

    Attributes:
        statement: the signed statement.
        salt: the 32 bytes that open the entry's commitment; empty once erased.
        proof: a C2SP tlog-proof.
    """

    statement: Envelope
    salt: bytes
    proof: str


@dataclass(frozen=True, slots=True)
class Part:
    """One owner's recorded release and its sealed answer (empty for a refusal)."""

    release: Recorded
    sealed: bytes


def envelope_to_proto(envelope: Envelope) -> evidence_pb2.Envelope:
    """Put an envelope on the wire, its signed bytes as they are."""
    return evidence_pb2.Envelope(
        payload_type=envelope.media_type,
        payload=envelope.payload,
        signatures=[
            evidence_pb2.Signature(keyid=signature.keyid, sig=signature.sig)
            for signature in envelope.signatures
        ],
    )


def envelope_from_proto(message: evidence_pb2.Envelope) -> Envelope:
    """Take an envelope off the wire."""
    signatures = tuple(Signature(each.keyid, each.sig) for each in message.signatures)
    return Envelope.read(message.payload_type, message.payload, signatures)


def recorded_to_proto(recorded: Recorded) -> evidence_pb2.Recorded:
    """Put a recorded statement on the wire."""
    return evidence_pb2.Recorded(
        statement=envelope_to_proto(recorded.statement), salt=recorded.salt, proof=recorded.proof
    )


def recorded_from_proto(message: evidence_pb2.Recorded) -> Recorded:
    """Take a recorded statement off the wire."""
    return Recorded(envelope_from_proto(message.statement), message.salt, message.proof)


def part_to_proto(part: Part) -> evidence_pb2.Part:
    """Put one owner's part on the wire."""
    return evidence_pb2.Part(release=recorded_to_proto(part.release), sealed=part.sealed)


def part_from_proto(message: evidence_pb2.Part) -> Part:
    """Take one owner's part off the wire."""
    return Part(recorded_from_proto(message.release), message.sealed)
