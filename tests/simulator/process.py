"""A real enclave in a process of its own, as the room starts it and calls it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from tempfile import mkdtemp
from types import MappingProxyType
from typing import Final, Self

import grpc

from saferoom_enclaves.attest import Attestation
from saferoom_enclaves.journal import Judged, OutboxEntry
from saferoom_enclaves.keys import TLS_NAME, TlsKey
from saferoom_enclaves.loads import LoadReport
from saferoom_enclaves.stream import Delivery
from saferoom_enclaves.whereabouts import Whereabouts
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.load import LoadHeader, LoadSealer, LoadTable, make_content_key
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.statements import (
    Evidence,
    EvidenceClaims,
    StoreState,
    Switchboard,
    load,
    seal_statement,
)
from saferoom_proto.v1 import enclave_pb2, enclave_pb2_grpc, owner_pb2
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto
from simulator.attended import newest_schema, ordered
from simulator.children import MEMORY
from simulator.owner import SimOwner

COMMAND: Final = (sys.executable, "-I", "-B", "-m", "saferoom_enclaves")
SECONDS: Final = 60.0
NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


class EnclaveProcess:
    """Starts an enclave, and is the room's end of its socket.

    Args:
        owner: whose.
        folder: where its state, its sealed store and its log lie.
        config: other launch settings.
        command: what is started in its place.
        user: whose process it is, if another's.
        patience: seconds that a call may take.
    """

    def __init__(
        self,
        owner: SimOwner,
        folder: Path,
        config: Mapping[str, object] = NOTHING,
        *,
        command: Sequence[str] = COMMAND,
        user: int | None = None,
        patience: float = SECONDS,
    ) -> None:
        self._patience: Final = patience
        self.owner: Final = owner
        self.folder: Final = folder
        self.tls: Final = TlsKey.generate(owner.world.clock.utc())
        self._sockets: Final = Path(mkdtemp(prefix="saferoom-"))  # unix paths are short
        self._scratch: Final = Path(mkdtemp(prefix="saferoom-test-", dir=MEMORY))
        self.log: Final = folder / "log"
        (folder / "state").mkdir(parents=True, exist_ok=True)
        if user is not None:
            for own in (folder / "state", self._sockets, self._scratch):
                os.chown(own, user, user)
        document = {
            "owner": owner.name,
            "folder": str(folder / "state"),
            "socket": str(self._sockets / "s"),
            "switchboard": switchboard(owner, self.tls).to_json().decode(),
            "charter": owner.charters[-1].to_json().decode(),
            "scratch": str(self._scratch),
            "sandbox": False,
            "die_with_parent": True,
        }
        with self.log.open("ab") as log:
            self.process: Final = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={"PATH": os.environ["PATH"]},
                cwd="/",
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        self.greeting: Final = self._greeted(document | dict(config))
        self.channel: Final = self.connect()
        self.stub: Final = enclave_pb2_grpc.EnclaveServiceStub(self.channel)

    def _greeted(self, document: Mapping[str, object]) -> dict[str, object]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(document).encode())
        self.process.stdin.close()
        line = self.process.stdout.readline()
        if not line:
            self.process.stdout.close()
            self.process.wait()
            self._clean()
            raise RuntimeError(f"the enclave did not start: {self.log.read_text()}")
        greeting: dict[str, object] = json.loads(line)
        return greeting

    def connect(self, tls: TlsKey | None = None) -> grpc.Channel:
        """Open a channel; with another key, as somebody else."""
        own = self.tls if tls is None else tls
        credentials = grpc.ssl_channel_credentials(
            str(self.greeting["certificate"]).encode(), own.private, own.certificate
        )
        options = (
            ("grpc.ssl_target_name_override", TLS_NAME),
            ("grpc.max_receive_message_length", 64 << 20),
            ("grpc.use_local_subchannel_pool", 1),
        )
        return grpc.secure_channel(f"unix:{self._sockets / 's'}", credentials, options)

    def kill(self) -> None:
        """Kill it this instant."""
        self.process.kill()
        self._ended()

    def stop(self) -> int:
        """Ask it to stop; give how it ended."""
        self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def _ended(self) -> int:
        self.channel.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        code = self.process.wait(SECONDS)
        self._clean()
        return code

    def _clean(self) -> None:
        for folder in (self._sockets, self._scratch):
            shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        else:
            self._ended()

    # The enclave's methods, as `EnclaveHarness` calls them on one in this process.

    def attest(self, nonce: bytes) -> Attestation:
        """Ask for evidence."""
        told = self.stub.Attest(enclave_pb2.AttestRequest(nonce=nonce), timeout=self._patience)
        evidence = Evidence(kind="software", quote=b64(told.quote))
        return Attestation(envelope_from_proto(told.claims), evidence)

    def unlock(
        self, endorsement: Envelope, sealed_keys: bytes, recoveries: Sequence[Envelope] = ()
    ) -> Whereabouts:
        """Hand over an endorsement and keys."""
        request = enclave_pb2.UnlockRequest(
            endorsement=envelope_to_proto(endorsement),
            sealed_keys=sealed_keys,
            recoveries=[envelope_to_proto(each) for each in recoveries],
        )
        return _whereabouts(self.stub.Unlock(request, timeout=self._patience).position)

    def whereabouts(self) -> Whereabouts:
        """Ask where it stands."""
        told = self.stub.GetState(enclave_pb2.GetStateRequest(), timeout=self._patience)
        return _whereabouts(told.position)

    def deliver(self, delivery: Delivery) -> list[OutboxEntry]:
        """Deliver statements, a head and proofs."""
        request = enclave_pb2.DeliverRequest(
            statements=[envelope_to_proto(each) for each in delivery.statements],
            head=envelope_to_proto(delivery.head),
            consistency=delivery.consistency,
            proofs=[
                enclave_pb2.OutboxProof(
                    chain_index=each.chain_index,
                    ledger_index=each.ledger_index,
                    hashes=each.hashes,
                )
                for each in delivery.proofs
            ],
        )
        return [_entry(each) for each in self.stub.Deliver(request, timeout=self._patience).outbox]

    def settle(self, seconds: float) -> None:
        """Nothing: its own service waits."""

    def outbox(self, start: int) -> list[OutboxEntry]:
        """Ask for the outbox."""
        request = enclave_pb2.ListOutboxRequest(start=start)
        return [
            _entry(each) for each in self.stub.ListOutbox(request, timeout=self._patience).entries
        ]

    def judge(self, questions: Sequence[Envelope]) -> list[Judged | Exception]:
        """Have questions judged, one after the other."""
        return [self._judged(question) for question in questions]

    def _judged(self, question: Envelope) -> Judged | Exception:
        request = enclave_pb2.JudgeRequest(request=envelope_to_proto(question))
        try:
            told = self.stub.Judge(request, timeout=self._patience)
        except grpc.RpcError as error:
            return from_rpc_error(error)
        except ValueError as error:  # the channel was closed under the call
            return error
        return Judged(_entry(told.entry), told.sealed)

    def load(self, tables: Mapping[str, bytes]) -> LoadReport:
        """Load tables from CSV."""
        schema = newest_schema(self.owner)
        sizes = tuple(LoadTable.of(name, len(data)) for name, data in tables.items())
        header = LoadHeader(self.owner.name, schema, sizes)
        key = make_content_key()
        sealed_key = ordered(self.owner, header, key, self.sealing, self.store)
        sealer = LoadSealer(header.digest, key)
        pieces = (
            piece
            for number, data in enumerate(tables.values())
            for piece in sealer.table(number, data)
        )
        told = self.stub.Load(_load_requests(header, sealed_key, pieces), timeout=self._patience)
        entry = _entry(told.snapshot) if told.HasField("snapshot") else None
        return LoadReport(entry, told.sealed_faults)

    @property
    def sealing(self) -> bytes:
        """The enclave's HPKE public key, as it claims it."""
        claims = load(self.attest(bytes(32)).claims, EvidenceClaims)
        return unb64(claims.sealing)

    @property
    def store(self) -> StoreState | None:
        """The snapshot that the enclave claims to answer from."""
        return load(self.attest(bytes(32)).claims, EvidenceClaims).store


def switchboard(owner: SimOwner, tls: TlsKey) -> Envelope:
    """Say in the room's name with which certificate it connects."""
    says = Switchboard(
        room=owner.world.room,
        certificate=b64(PEM_cert_to_DER_cert(tls.certificate.decode())),
        time=owner.world.now(),
    )
    return seal_statement(says, owner.world.heads)


def _load_requests(
    header: LoadHeader, sealed_key: bytes, pieces: Iterable[bytes]
) -> Iterator[enclave_pb2.LoadRequest]:
    named = [owner_pb2.LoadTable(name=each.name, pieces=each.pieces) for each in header.tables]
    first = owner_pb2.LoadHeader(
        owner=header.owner, schema=header.schema, sealed_key=sealed_key, tables=named
    )
    yield enclave_pb2.LoadRequest(piece=owner_pb2.LoadDataRequest(header=first))
    for sealed in pieces:
        yield enclave_pb2.LoadRequest(piece=owner_pb2.LoadDataRequest(sealed=sealed))


def _whereabouts(told: enclave_pb2.EnclavePosition) -> Whereabouts:
    return Whereabouts(
        unlocked=told.unlocked,
        sequence=told.sequence,
        running=told.running,
        head_nonce=told.head_nonce,
        ledger_size=told.ledger_size,
        sandbox_level=told.sandbox_level,
        sandbox_missing=tuple(told.sandbox_missing),
        has_data=told.has_data,
        chain_length=told.chain_length,
        store_fault=told.store_fault,
    )


def _entry(told: enclave_pb2.OutboxEntry) -> OutboxEntry:
    return OutboxEntry(envelope_from_proto(told.statement), told.salt, told.chain_index)
