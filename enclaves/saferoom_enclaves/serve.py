"""An enclave's process after its sandbox has closed around the imports: builds all and serves."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from saferoom_enclaves.attest import Confinement, Makeup, Software, SoftwareAttester
from saferoom_enclaves.children.forkserver import MOST_CHILDREN
from saferoom_enclaves.children.workshop import Workshop
from saferoom_enclaves.clock import EnclaveClock, SystemClock
from saferoom_enclaves.enclave import Enclave
from saferoom_enclaves.fetched.broker import Broker
from saferoom_enclaves.keys import EnclaveKeys, TlsKey
from saferoom_enclaves.launch import Launched
from saferoom_enclaves.logs import Log
from saferoom_enclaves.opened import Surroundings
from saferoom_enclaves.service import EnclaveService
from saferoom_enclaves.storework import Allowance, StoreWork
from saferoom_enclaves.worker import Worker
from saferoom_proto.encoding import b64
from saferoom_proto.formula import parse_formula
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_methods import by_name
from saferoom_proto.starting import Greeting
from saferoom_proto.v1 import enclave_pb2, enclave_pb2_grpc

try:
    from uvloop import new_event_loop as _new_event_loop
except ImportError:  # asyncio's own loop serves as well, a tenth slower
    from asyncio import new_event_loop as _new_event_loop

STOP_SECONDS: Final = 5.0
"""How long calls under way may take once the enclave was asked to end."""

SWITCH_SECONDS: Final = 0.001
"""How long another thread (a batch's chunk, the hashing of its rows, a slow disk's commits) keeps
the interpreter while the event loop waits. Python's own 5 ms show in the slowest answers: their
99th percentile fell from 58 to 44 ms at 16 in flight, when checks were judged in a thread."""

_LOAD_SHARE: Final = 4
"""A load's tables may take a quarter of the memory: the store is built beside them."""

THREADS: Final = 2 * MOST_CHILDREN
"""Each child is waited for in one, for minutes at times: four jobs, a load and a table were all
that asyncio's own 6 allow on two processors, and no batch's rows were hashed meanwhile."""

LOOK_SECONDS: Final = 1.0
"""How often it looks whether there are children to be had: no event of the loop tells."""

_INDEX_SHARE: Final = 4
"""And so may an index, which stands beside the one before until it takes its place."""

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 64 << 20),  # a delivery of 1,000 statements, and proofs
    ("grpc.max_send_message_length", 64 << 20),  # a page of the outbox
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.absolute_max_metadata_size", 16 << 10),
)

_SERVICE: Final = enclave_pb2.DESCRIPTOR.services_by_name["EnclaveService"].full_name
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class _Health(Protocol):
    """What gRPC's health servicer can do; its package has no types."""

    async def set(self, service: str, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Set a service's status."""
        ...


def serve(
    launched: Launched,
    workshop: Workshop,
    close_system_calls: Callable[[], Confinement],
    log: Log,
) -> None:
    """Serve until told to stop by SIGTERM or SIGINT.

    An enclave that can have no children any more ends, too: who started it starts it anew.

    Args:
        launched: how the enclave was started.
        workshop: gives children.
        close_system_calls: closes the sandbox for good; nothing is imported after it.
        log: the operator's.

    Raises:
        SafeRoomError: `SANDBOX_TOO_WEAK`; `UNAVAILABLE` where no child is to be had any more.
    """
    parse_formula("owner.flag")  # imports the parser, which otherwise the first template would
    confinement = close_system_calls()
    sys.setswitchinterval(SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(launched, workshop, confinement, log))


def new_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop with threads enough to wait for every child there may be."""
    loop = _new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS))
    return loop


async def _serve(
    launched: Launched, workshop: Workshop, confinement: Confinement, log: Log
) -> None:
    # Step 1: the sandbox is what the owner asks for at least.
    launched.require(confinement)
    # Step 2: the enclave, with keys of its own.
    clock = EnclaveClock(SystemClock())
    keys = EnclaveKeys.generate(clock.now(), launched.charter.suite)
    config = launched.config
    memory = config.max_memory_mib << 20
    allowance = Allowance(
        memory_bytes=memory,
        index_bytes=memory // _INDEX_SHARE,
        feature_seconds=config.max_feature_seconds,
    )
    work = StoreWork(workshop, launched.scratch, allowance)
    enclave = Enclave(
        launched.charter,
        Makeup(keys, Software.measure(), confinement),
        SoftwareAttester(keys.identity),
        Surroundings(launched.folder, work, clock, os.urandom, log),
        memory // _LOAD_SHARE,
    )
    worker, broker = Worker(enclave), Broker(log)
    try:
        # Step 3: a socket that takes one certificate, and shows one; and one for the broker.
        if config.broker is not None:
            await broker.listen(Path(config.broker))
        server, changed = _server(worker, work, launched, keys.tls, log, broker=broker)
        await server.start()
        await changed(False)
        sys.stdout.buffer.write(_greeting(keys, confinement).to_line())
        sys.stdout.buffer.flush()
        log.info("listening", sandbox=confinement.level, missing=confinement.missing)
        # Step 4: until told to stop; what was accepted is finished.
        await _told_to_stop(work)
        possible = work.is_possible
        await server.stop(STOP_SECONDS)
        if not possible:
            raise SafeRoomError(Reason.UNAVAILABLE, "its fork server is gone, and who makes it")
    finally:
        await broker.close()
        work.close()  # first: nothing waits for a child any more
        await worker.close()
    log.info("stopped")


def _greeting(keys: EnclaveKeys, confinement: Confinement) -> Greeting:
    return Greeting(
        certificate=keys.tls.certificate.decode(),
        identity=keys.identity.verify_key.public,
        sealing=b64(keys.sealing.public),
        sandbox_level=confinement.level,
        sandbox_missing=confinement.missing,
    )


_Changed = Callable[[bool], Awaitable[None]]


def _server(
    worker: Worker,
    work: StoreWork,
    launched: Launched,
    tls: TlsKey,
    log: Log,
    *,
    broker: Broker,
) -> tuple[grpc.aio.Server, _Changed]:
    server = grpc.aio.server(options=_OPTIONS)
    made = health.aio.HealthServicer()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAttributeAccessIssue]
    servicer = cast("_Health", made)

    async def changed(judges: bool) -> None:
        await servicer.set(_SERVICE, _SERVING if judges else _NOT_SERVING)

    service = EnclaveService(worker, work, launched.config.owner, log, changed, broker=broker)
    enclave_pb2_grpc.add_EnclaveServiceServicer_to_server(service, by_name(server))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, by_name(server))  # pyright: ignore[reportUnknownMemberType]
    credentials = grpc.ssl_server_credentials(
        [(tls.private, tls.certificate)],
        root_certificates=launched.switchboard.certificate,
        require_client_auth=True,
    )
    server.add_secure_port(f"unix:{launched.config.socket}", credentials)
    return server, changed


async def _told_to_stop(work: StoreWork) -> None:
    """Wait until told to stop, or until no child is to be had any more."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    while work.is_possible:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()
                return
