"""A stand-in for an enclave, as a process: speaks its protocol, checks what it is brought, and
answers every question with yes. `behaviour.json` in its folder changes what it does.

    delay_seconds   before every verdict
    refuse          the reason of every verdict
    plain           refuse without a verdict, for this reason
    forget          give no earlier verdict again
    foreign         sign releases with a key that nobody endorsed
    stands          where it says it stands after unlocking
    exit_in_judge   end in the middle of the next verdict, once it is in the chain
    swallow         have verdicts in the chain and fail the call, as on a line that breaks off
"""

# ruff: noqa: N802 - the names are the contract's
from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, cast

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from saferoom_proto import chain, hpke
from saferoom_proto.checkpoint import open_checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, sha256_digest, unb64
from saferoom_proto.entry import commitment as entry_commitment
from saferoom_proto.entry import leaf
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.merkle import leaf_hash, verify_consistency, verify_inclusion
from saferoom_proto.premises import open_switchboard
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_errors import Abortable, abort
from saferoom_proto.statements import (
    Acknowledgement,
    ChainLink,
    Charter,
    ConsentRevocation,
    Disclosure,
    EvidenceClaims,
    HoldingsRequest,
    Snapshot,
    StoreState,
    StreamPosition,
    load,
    seal_statement,
)
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.v1 import enclave_pb2, enclave_pb2_grpc, owner_pb2
from saferoom_proto.verification import PinnedCharter, verify_head
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto
from tests.server.room.fake_chain import Kept, certificate
from tests.server.room.fake_words import ANY, word_on

STORE = StoreState(epoch=1, digest="sha256:" + "5" * 64)


class FakeEnclave(enclave_pb2_grpc.EnclaveServiceServicer):
    def __init__(self, config: dict[str, str], tls: x509.Certificate) -> None:
        self.folder = Path(config["folder"])
        envelope = Envelope.from_json(config["charter"].encode())
        self.charter = PinnedCharter(load(envelope, Charter), envelope.digest)
        self.identity, self.sealing = SigningKey.generate(), hpke.SealingKey.generate()
        self.tls = sha256_digest(tls.public_bytes(serialization.Encoding.DER))
        self.kept = Kept(self.folder / "kept.json")
        self.kept.read()
        self.unlocked, self.sequence, self.running = False, 0, chain.GENESIS
        self.endorsement, self.nonce = ANY, os.urandom(32)
        self.checkpoint_size, self.checkpoint_root = 0, b""
        self.time = datetime.now(UTC)

    @property
    def behaviour(self) -> dict[str, object]:
        path = self.folder / "behaviour.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def position(self) -> enclave_pb2.EnclavePosition:
        return enclave_pb2.EnclavePosition(
            unlocked=self.unlocked,
            sequence=self.sequence,
            running=self.running,
            head_nonce=self.nonce,
            ledger_size=self.checkpoint_size,
            sandbox_level=0,
            sandbox_missing=["everything"],
            has_data=True,
            chain_length=len(self.kept.entries),
        )

    async def Attest(
        self, request: enclave_pb2.AttestRequest, context: object
    ) -> enclave_pb2.AttestResponse:
        claims = EvidenceClaims(
            room=self.charter.charter.room,
            owner=self.charter.charter.owner,
            nonce=b64(request.nonce),
            identity=self.identity.verify_key.public,
            sealing=b64(self.sealing.public),
            tls=self.tls,
            charter=self.charter.digest,
            code=ANY,
            dependencies=ANY,
            python="3.11.2",
            sandbox_level=0,
            sandbox_missing=("everything",),
            store=STORE,
            chain=ChainLink(index=len(self.kept.entries), previous=self.kept.head()),
            stream=StreamPosition(sequence=self.sequence, running=self.running),
        )
        statement = seal_statement(claims, self.identity)
        return enclave_pb2.AttestResponse(claims=envelope_to_proto(statement), kind="software")

    async def Unlock(
        self, request: enclave_pb2.UnlockRequest, context: object
    ) -> enclave_pb2.UnlockResponse:
        self.endorsement = envelope_from_proto(request.endorsement).digest
        self.unlocked = True
        if "stands" in self.behaviour:
            stands = cast("dict[str, int]", self.behaviour["stands"])
            self.sequence, self.checkpoint_size = stands["sequence"], stands["size"]
        return enclave_pb2.UnlockResponse(position=self.position())

    async def GetState(
        self, request: enclave_pb2.GetStateRequest, context: object
    ) -> enclave_pb2.GetStateResponse:
        return enclave_pb2.GetStateResponse(position=self.position())

    async def ListOutbox(
        self, request: enclave_pb2.ListOutboxRequest, context: object
    ) -> enclave_pb2.ListOutboxResponse:
        waiting = [
            self.kept.entry(index)
            for index in range(request.start, len(self.kept.entries))
            if index not in self.kept.proven
        ]
        return enclave_pb2.ListOutboxResponse(entries=waiting[:10])

    async def Deliver(
        self, request: enclave_pb2.DeliverRequest, context: object
    ) -> enclave_pb2.DeliverResponse:
        try:
            return self.take(request)
        except SafeRoomError as error:
            await abort(cast("Abortable", context), error)

    def take(self, request: enclave_pb2.DeliverRequest) -> enclave_pb2.DeliverResponse:
        if not self.unlocked:
            raise SafeRoomError(Reason.LOCKED)
        statements = [envelope_from_proto(each) for each in request.statements]
        running = chain.head_of((each.whole for each in statements), self.running)
        head = verify_head(envelope_from_proto(request.head), self.charter, b64(self.nonce))
        if (head.sequence, head.running) != (self.sequence + len(statements), running):
            raise SafeRoomError(Reason.BROKEN_STREAM)
        key = VerifyKey.from_public(self.charter.charter.room_keys.ledger)
        checkpoint = open_checkpoint(head.checkpoint, self.charter.charter.room, key)
        if self.checkpoint_size:
            verify_consistency(
                self.checkpoint_size,
                checkpoint.size,
                list(request.consistency),
                self.checkpoint_root,
                checkpoint.root,
            )
        for proof in request.proofs:
            kept = self.kept.entries[proof.chain_index]
            statement = Envelope.from_json(kept["statement"].encode())
            committed = entry_commitment(unb64(kept["salt"]), statement.digest)
            verify_inclusion(
                proof.ledger_index,
                checkpoint.size,
                leaf_hash(leaf(committed)),
                list(proof.hashes),
                checkpoint.root,
            )
            self.kept.proven.append(proof.chain_index)
        self.kept.write()
        self.checkpoint_size, self.checkpoint_root = checkpoint.size, checkpoint.root
        self.sequence, self.running = head.sequence, running
        self.nonce, self.time = os.urandom(32), head.time
        return enclave_pb2.DeliverResponse(
            position=self.position(), outbox=self.acknowledge(statements)
        )

    def acknowledge(self, statements: list[Envelope]) -> list[enclave_pb2.OutboxEntry]:
        said: list[enclave_pb2.OutboxEntry] = []
        for statement in statements:
            if statement.payload_type == ConsentRevocation.payload_type():
                revocation = load(statement, ConsentRevocation)
                acknowledgement = Acknowledgement(
                    room=self.charter.charter.room,
                    owner=self.charter.charter.owner,
                    endorsement=self.endorsement,
                    subject=revocation.subject,
                    revocation=statement.digest,
                    consent=revocation.consent,
                    stream=StreamPosition(sequence=self.sequence, running=self.running),
                    chain=self.link(),
                    time=whole_milliseconds(self.time),
                )
                said.append(self.say(seal_statement(acknowledgement, self.identity)))
        return said

    def spoken(self, request: str) -> dict[str, object]:
        return {
            "room": self.charter.charter.room,
            "owner": self.charter.charter.owner,
            "request": request,
            "endorsement": self.endorsement,
            "charter": self.charter.digest,
            "stream": StreamPosition(sequence=self.sequence, running=self.running),
            "store": STORE,
            "chain": self.link(),
            "time": whole_milliseconds(self.time),
        }

    def link(self) -> ChainLink:
        return ChainLink(index=len(self.kept.entries), previous=self.kept.head())

    def say(self, statement: Envelope, **more: str) -> enclave_pb2.OutboxEntry:
        kept = {"statement": statement.to_json().decode(), "salt": b64(os.urandom(32)), **more}
        self.kept.entries.append(kept)
        self.kept.write()
        return self.kept.entry(len(self.kept.entries) - 1)

    async def JudgeMany(
        self, request: enclave_pb2.JudgeManyRequest, context: object
    ) -> enclave_pb2.JudgeManyResponse:
        behaviour = self.behaviour
        await asyncio.sleep(float(cast("float", behaviour.get("delay_seconds", 0))))
        try:
            outcomes = [
                self.outcome(envelope_from_proto(each), behaviour) for each in request.requests
            ]
        except SafeRoomError as error:
            await abort(cast("Abortable", context), error)
        return enclave_pb2.JudgeManyResponse(outcomes=outcomes)

    def outcome(self, envelope: Envelope, behaviour: dict[str, object]) -> enclave_pb2.JudgeOutcome:
        for index, kept in enumerate(self.kept.entries):
            if kept.get("request") == envelope.digest and "forget" not in behaviour:
                entry = self.kept.entry(index)
                judged = enclave_pb2.JudgeResponse(entry=entry, sealed=unb64(kept["sealed"]))
                return enclave_pb2.JudgeOutcome(judged=judged)
        if "plain" in behaviour:
            refusal = enclave_pb2.PlainRefusal(reason=cast("str", behaviour["plain"]))
            return enclave_pb2.JudgeOutcome(refusal=refusal)
        return enclave_pb2.JudgeOutcome(judged=self.verdict(envelope, behaviour))

    async def Judge(
        self, request: enclave_pb2.JudgeRequest, context: object
    ) -> enclave_pb2.JudgeResponse:
        raise NotImplementedError  # the room asks for several at once

    def verdict(
        self, envelope: Envelope, behaviour: dict[str, object]
    ) -> enclave_pb2.JudgeResponse:
        word, sealed = word_on(envelope, self.spoken(envelope.digest), behaviour)
        key = SigningKey.generate() if behaviour.get("foreign") else self.identity
        entry = self.say(seal_statement(word, key), request=envelope.digest, sealed=b64(sealed))
        if behaviour.get("exit_in_judge"):
            (self.folder / "behaviour.json").unlink()
            os._exit(3)
        if behaviour.get("swallow"):
            raise SafeRoomError(Reason.UNAVAILABLE, "swallowed")
        return enclave_pb2.JudgeResponse(entry=entry, sealed=sealed)

    def JudgeBatch(self, request_iterator: object, context: object) -> NoReturn:
        raise NotImplementedError("batches are tested with real enclaves")

    def BeginJob(self, request: object, context: object) -> NoReturn:
        raise NotImplementedError("jobs are tested with real enclaves")

    def WorkOnJob(self, request_iterator: object, context: object) -> NoReturn:
        raise NotImplementedError("jobs are tested with real enclaves")

    def GiveToJob(self, request_iterator: object, context: object) -> NoReturn:
        raise NotImplementedError("jobs are tested with real enclaves")

    def TellJobs(self, request: object, context: object) -> NoReturn:
        raise NotImplementedError("jobs are tested with real enclaves")

    def EndJob(self, request: object, context: object) -> NoReturn:
        raise NotImplementedError("jobs are tested with real enclaves")

    def Tabulate(self, request: object, context: object) -> NoReturn:
        raise NotImplementedError("tables are tested with real enclaves")

    def FitModel(self, request: object, context: object) -> NoReturn:
        raise NotImplementedError("trainings in the room are tested with real enclaves")

    def TellLoad(self, request: object, context: object) -> NoReturn:
        raise NotImplementedError("loads that go on are tested with real enclaves")

    def Report(self, request: object, context: object) -> NoReturn:
        raise NotImplementedError("reports are tested with real enclaves")

    async def Disclose(
        self, request: enclave_pb2.DiscloseRequest, context: object
    ) -> enclave_pb2.DiscloseResponse:
        envelope = envelope_from_proto(request.request)
        own: dict[str, object] = {
            "subject": load(envelope, HoldingsRequest).subject,
            "schema_digest": ANY,
            "answer": ANY,
        }
        disclosure = Disclosure.model_validate(self.spoken(envelope.digest) | own)
        entry = self.say(seal_statement(disclosure, self.identity))
        if self.behaviour.get("exit_in_judge"):
            (self.folder / "behaviour.json").unlink()
            os._exit(3)
        return enclave_pb2.DiscloseResponse(entry=entry, sealed=b"sealed")

    async def Load(
        self, request_iterator: AsyncIterator[enclave_pb2.LoadRequest], context: object
    ) -> enclave_pb2.LoadResponse:
        header, count = owner_pb2.LoadHeader(), 0
        async for each in request_iterator:
            if each.piece.WhichOneof("piece") == "header":
                header = each.piece.header
            else:
                count += len(each.piece.sealed)
        if count == 0:
            return enclave_pb2.LoadResponse(sealed_faults=b"sealed faults")
        # The stand-in's seal is none: the order itself stands there.
        order = Envelope.from_json(header.sealed_key)
        entry = self.snapshot(order, header.schema, {"pieces": count})
        return enclave_pb2.LoadResponse(snapshot=entry)

    async def TryFeature(
        self, request: enclave_pb2.TryFeatureRequest, context: object
    ) -> enclave_pb2.TryFeatureResponse:
        return enclave_pb2.TryFeatureResponse(sealed_verdict=b"sealed verdict")

    async def RollbackStore(
        self, request: enclave_pb2.RollbackStoreRequest, context: object
    ) -> enclave_pb2.RollbackStoreResponse:
        entry = self.snapshot(envelope_from_proto(request.order), ANY, {})
        return enclave_pb2.RollbackStoreResponse(snapshot=entry)

    def snapshot(
        self, order: Envelope, schema: str, rows: dict[str, int]
    ) -> enclave_pb2.OutboxEntry:
        snapshot = Snapshot(
            room=self.charter.charter.room,
            owner=self.charter.charter.owner,
            endorsement=self.endorsement,
            schema_digest=schema,
            store=STORE,
            previous=None,
            order=order.digest,
            rows=rows,
            chain=self.link(),
            time=whole_milliseconds(self.time),
        )
        return self.say(seal_statement(snapshot, self.identity), order=order.to_json().decode())


async def main(call: socket.socket) -> None:
    asyncio.get_running_loop().add_reader(call, os._exit, 0)  # it ends with whoever called
    config = json.loads(sys.stdin.read())
    key = ec.generate_private_key(ec.SECP256R1())
    own = certificate(key)
    pem = own.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    server = grpc.aio.server()
    fake = FakeEnclave(config, own)
    switchboard = Envelope.from_json(config["switchboard"].encode())
    enclave_pb2_grpc.add_EnclaveServiceServicer_to_server(fake, server)
    server.add_secure_port(
        f"unix:{config['socket']}",
        grpc.ssl_server_credentials(
            [(private, pem)],
            root_certificates=open_switchboard(switchboard, fake.charter).certificate,
            require_client_auth=True,
        ),
    )
    await server.start()
    hello = {"certificate": pem.decode(), "sandbox_level": 0, "sandbox_missing": ["everything"]}
    hello |= {"identity": fake.identity.verify_key.public, "sealing": b64(fake.sealing.public)}
    sys.stdout.write(json.dumps(hello) + "\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the pipe ends with the process that was started
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - and with what it was forked from
        await asyncio.sleep(0.2)
