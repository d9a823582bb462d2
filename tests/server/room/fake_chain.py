"""What the stand-in for an enclave keeps: what it has said, and its certificate."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from saferoom_proto import chain
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.v1 import enclave_pb2
from saferoom_proto.wire import envelope_to_proto


@dataclass
class Kept:
    """What a fake enclave keeps in its folder, with no regard for secrecy or for the disk."""

    path: Path
    entries: list[dict[str, str]] = field(default_factory=list)
    proven: list[int] = field(default_factory=list)

    def read(self) -> None:
        if self.path.exists():
            kept = json.loads(self.path.read_text())
            self.entries, self.proven = kept["entries"], kept["proven"]

    def write(self) -> None:
        written = self.path.with_suffix(".new")
        written.write_text(json.dumps({"entries": self.entries, "proven": self.proven}))
        written.rename(self.path)

    def entry(self, index: int) -> enclave_pb2.OutboxEntry:
        kept = self.entries[index]
        statement = Envelope.from_json(kept["statement"].encode())
        entry = enclave_pb2.OutboxEntry(
            statement=envelope_to_proto(statement), salt=unb64(kept["salt"]), chain_index=index
        )
        if "order" in kept:
            order = Envelope.from_json(kept["order"].encode())
            entry.order.CopyFrom(envelope_to_proto(order))
        return entry

    def head(self) -> str:
        digests = (Envelope.from_json(each["statement"].encode()).digest for each in self.entries)
        return chain.head_of(digests)


NAME = "enclave"


def certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
