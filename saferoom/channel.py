"""An enclave's RPCs over its unix socket, with mutual TLS pinned to one certificate a side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import grpc
from cryptography import x509

from saferoom import enclave_wire as wire
from saferoom.batches import pieces as batch_pieces
from saferoom.batches.pieces import BatchPiece
from saferoom.enclave_wire import LoadHeader, LoadPiece
from saferoom.exchange import (
    AttestedClaims,
    BatchTold,
    Delivery,
    Judged,
    Loaded,
    OutboxEntry,
    Standing,
    Unlocking,
)
from saferoom.jobs import pieces as job_pieces
from saferoom.jobs.pieces import JobHeard, JobStatus, JobTold, OwnerPapers
from saferoom.tls import KeyPair
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.v1 import enclave_pb2_grpc

_MAX_ANSWER_BYTES: Final = 64 << 20
"""A page of an outbox after a long outage: 10,000 entries of a few KiB."""

_QUICK_SECONDS: Final = 10.0
"""For calls that touch the enclave's state only."""

_TRIAL_SECONDS: Final = 30.0
"""A trial may take 10 s over the store, after whatever is under way."""

_JOB_SECONDS: Final = 20.0
"""A job begins and ends with a few signatures; what it lets wait is a message under way."""

A = TypeVar("A")
M = TypeVar("M")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Door:
    """Where an enclave listens, and the certificate it showed when it was started."""

    socket: Path
    certificate: x509.Certificate
    certificate_pem: bytes


class EnclaveChannel:
    """The RPCs of one enclave.

    Every method raises `SafeRoomError` with the enclave's own reason, or `UNAVAILABLE`.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Final = enclave_pb2_grpc.EnclaveServiceStub(channel)

    async def attest(self, nonce: bytes, *, shown: bool = False) -> AttestedClaims:
        """Ask for evidence for a key agent's challenge, or for a member's, who only looks."""
        request = wire.attest_request(nonce, shown=shown)
        return wire.attested_from(
            await _answered(self._stub.Attest(request, timeout=_QUICK_SECONDS))
        )

    async def unlock(self, unlocking: Unlocking, seconds: float) -> Standing:
        """Hand over the endorsement and the sealed keys; opening the store takes its time."""
        request = wire.unlock_request(unlocking)
        answer = await _answered(self._stub.Unlock(request, timeout=seconds))
        return wire.standing_from(answer.position)

    async def standing(self) -> Standing:
        """Ask where it stands."""
        call = self._stub.GetState(wire.state_request(), timeout=_QUICK_SECONDS)
        return wire.standing_from((await _answered(call)).position)

    async def deliver(
        self, delivery: Delivery, seconds: float
    ) -> tuple[Standing, tuple[OutboxEntry, ...]]:
        """Deliver statements, a head and proofs."""
        request = wire.deliver_request(delivery)
        return wire.delivered_from(await _answered(self._stub.Deliver(request, timeout=seconds)))

    async def judge(
        self, requests: Sequence[Envelope], seconds: float
    ) -> Sequence[Judged | SafeRoomError]:
        """Have signed requests judged; gives what became of each."""
        call = self._stub.JudgeMany(wire.judge_request(requests), timeout=seconds)
        return wire.judged_from(await _answered(call))

    async def disclose(self, request: Envelope, seconds: float) -> Judged:
        """Have a subject shown what is held about it."""
        call = self._stub.Disclose(wire.disclose_request(request), timeout=seconds)
        return wire.disclosed_from(await _answered(call))

    async def tabulate(self, request: Envelope, seconds: float) -> Judged:
        """Have tables made."""
        call = self._stub.Tabulate(wire.tabulate_request(request), timeout=seconds)
        return wire.tabulated_from(await _answered(call))

    async def fit_model(self, request: Envelope, seconds: float) -> Judged:
        """Have a model trained."""
        call = self._stub.FitModel(wire.fit_request(request), timeout=seconds)
        return wire.fitted_from(await _answered(call))

    async def report(
        self, request: Envelope, disputes: Sequence[Envelope], seconds: float
    ) -> Judged:
        """Have what is public of a subject told."""
        call = self._stub.Report(wire.report_request(request, disputes), timeout=seconds)
        return wire.reported_from(await _answered(call))

    async def load(self, pieces: AsyncIterator[LoadPiece], seconds: float) -> Loaded:
        """Pass a load on, piece by piece."""
        passed_on = (wire.load_request(piece) async for piece in pieces)
        return wire.loaded_from(await _answered(self._stub.Load(passed_on, timeout=seconds)))

    async def tell_load(self, header: LoadHeader, seconds: float) -> int:
        """Ask how many pieces of a load have arrived before."""
        call = self._stub.TellLoad(wire.tell_load_request(header), timeout=seconds)
        return (await _answered(call)).kept

    async def try_feature(self, order: Envelope) -> bytes:
        """Have it try a feature's draft; gives the sealed verdict."""
        call = self._stub.TryFeature(wire.trial_request(order), timeout=_TRIAL_SECONDS)
        return (await _answered(call)).sealed_verdict

    async def rollback(self, order: Envelope, seconds: float) -> OutboxEntry:
        """Have it go back to an earlier snapshot."""
        call = self._stub.RollbackStore(wire.rollback_request(order), timeout=seconds)
        return wire.outbox_entry_from((await _answered(call)).snapshot)

    def judge_batch(self, pieces: AsyncIterator[BatchPiece]) -> AsyncGenerator[BatchTold]:
        """Pass a batch on; gives what the enclave tells of it."""
        passed_on = (batch_pieces.judge_request(piece) async for piece in pieces)
        return _told(lambda: self._stub.JudgeBatch(passed_on), batch_pieces.told_from)

    async def begin_job(self, request: Envelope) -> Judged:
        """Have a job begin, or refused."""
        call = self._stub.BeginJob(job_pieces.begin_request(request), timeout=_JOB_SECONDS)
        return job_pieces.begun_from(await _answered(call))

    def work_on_job(self, pieces: AsyncIterator[JobHeard]) -> AsyncGenerator[JobTold]:
        """Carry a job's messages; gives the enclave's."""
        passed_on = (job_pieces.work_request(piece) async for piece in pieces)
        return _told(lambda: self._stub.WorkOnJob(passed_on), job_pieces.told_from)

    def give_to_job(self, papers: OwnerPapers, ask: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """Carry what another owner's enclave asks; gives this one's answer."""
        asked = job_pieces.give_requests(papers, ask)
        return _told(lambda: self._stub.GiveToJob(asked), job_pieces.given_from)

    async def tell_jobs(self, owner: str, job: str) -> Sequence[JobStatus]:
        """Ask how a job stands, or all of them."""
        call = self._stub.TellJobs(job_pieces.tell_request(job), timeout=_QUICK_SECONDS)
        return job_pieces.statuses_from(await _answered(call), owner)

    async def end_job(self, cancel: Envelope) -> OutboxEntry:
        """Have a job ended by its institution's word."""
        call = self._stub.EndJob(job_pieces.end_request(cancel), timeout=_JOB_SECONDS)
        return wire.outbox_entry_from((await _answered(call)).entry)

    async def end_job_as(self, papers: OwnerPapers, release: Envelope) -> OutboxEntry:
        """Have a job ended as it ended at another owner's enclave."""
        request = job_pieces.end_as_request(papers, release)
        call = self._stub.EndJob(request, timeout=_JOB_SECONDS)
        return wire.outbox_entry_from((await _answered(call)).entry)

    async def outbox(self, start: int) -> tuple[OutboxEntry, ...]:
        """Give outbox entries that lack a proof, from a chain index on."""
        call = self._stub.ListOutbox(wire.outbox_request(start), timeout=_QUICK_SECONDS)
        return wire.outbox_from(await _answered(call))


@asynccontextmanager
async def connect(door: Door, own: KeyPair) -> AsyncGenerator[EnclaveChannel]:
    """Connect to an enclave; each side takes one certificate of the other's and no other."""
    credentials = grpc.ssl_channel_credentials(
        door.certificate_pem, own.key_pem, own.certificate_pem
    )
    options = (
        ("grpc.ssl_target_name_override", _name_of(door.certificate)),
        ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
        ("grpc.max_send_message_length", -1),
        # An enclave that is restarted is found again at once, not after minutes of back-off.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.use_local_subchannel_pool", 1),
    )
    async with grpc.aio.secure_channel(f"unix:{door.socket}", credentials, options) as channel:
        yield EnclaveChannel(channel)


async def _answered(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    except grpc.aio.UsageError as error:
        raise SafeRoomError(Reason.UNAVAILABLE, "the channel is closed") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Closing a channel cancels its calls, and their waiters with them; nobody cancelled us.
        raise SafeRoomError(Reason.UNAVAILABLE, "the channel was closed") from error


async def _told(
    begin: Callable[[], grpc.aio.StreamStreamCall[A, M]], read: Callable[[M], T]
) -> AsyncGenerator[T]:
    """Give what comes in a stream of both sides, which begins when the first is waited for."""
    call = begin()
    try:
        async for message in call:
            yield read(message)
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    finally:
        call.cancel()


def _name_of(certificate: x509.Certificate) -> str:
    """Give the host name that a certificate is for; which one does not matter: it is pinned."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound as error:
        raise SafeRoomError(Reason.BAD_EVIDENCE, "the enclave's certificate has no name") from error
    hosts = names.value.get_values_for_type(x509.DNSName)
    if not hosts:
        raise SafeRoomError(Reason.BAD_EVIDENCE, "the enclave's certificate has no host name")
    return hosts[0]
