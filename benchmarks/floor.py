"""What a check cannot do without, and nothing else: the floor under `benchmarks.checks`.

    .venv/bin/python -m benchmarks.floor [--checks 2000] [--rounds 3] [--folder /dev/shm]

A client, a server and an enclave, three processes of grpc.aio with mutual TLS between them, bytes
as large as a check's. The enclave verifies a question's signature, seals 50 bytes to a fresh key,
signs a kilobyte, and writes what it said to a file; the server verifies that signature, signs once
a commit and writes what it records. Each commit is one durable write, shared as the room shares it.
No statement is read, nothing is looked up, no rule is kept, no tree and no database is there. The
echo beside it is `benchmarks.echo`. Read the ratios: what else runs on the machine meets both.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, cast

import grpc
import uvloop
from grpc import aio

from benchmarks import echo
from benchmarks.gauges import measure, processor_seconds, sync_milliseconds
from saferoom.judging import FEW
from saferoom.tls import make_pinned
from saferoom_proto import hpke
from saferoom_proto.keys import SigningKey

QUESTION: Final = 2228
ANSWER: Final = 4505
"""Bytes of a question and of its answer, as `benchmarks.checks` prints them."""
RELEASE: Final = 1400
"""Bytes that an enclave signs of an answer, and what it keeps of it beside its sealed answer."""
SIGNATURE: Final = 64
IN_FLIGHT: Final = 16
ALONE: Final = 300
JUDGE: Final = "/saferoom.benchmark/Judge"
_NAMES: Final = ("client", "server", "enclave")
_INFO: Final = b"floor"

Calling = Callable[[bytes], Awaitable[bytes]]


def make_folder(folder: Path) -> None:
    """Make what the processes show each other: certificates, and the keys that sign."""
    for name in _NAMES:
        pair = make_pinned(f"{name}.floor", datetime.now(UTC), timedelta(days=1))
        (folder / f"{name}.pem").write_bytes(pair.certificate_pem)
        (folder / f"{name}.key").write_bytes(pair.key_pem)


def channel_to(folder: Path, own: str, other: str, address: str) -> aio.Channel:
    """Connect to another process, each side pinned by the other."""
    credentials = grpc.ssl_channel_credentials(
        (folder / f"{other}.pem").read_bytes(),
        (folder / f"{own}.key").read_bytes(),
        (folder / f"{own}.pem").read_bytes(),
    )
    options = (("grpc.ssl_target_name_override", f"{other}.floor"),)
    return aio.secure_channel(address, credentials, options)


class _OneMethod(grpc.GenericRpcHandler):
    """Answers any call alike."""

    def __init__(self, behave: Callable[[bytes, object], Awaitable[bytes]]) -> None:
        self._behave: Final = behave

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Give the one handler."""
        del handler_call_details
        return grpc.unary_unary_rpc_method_handler(self._behave)


async def serve(folder: Path, own: str, other: str, address: str, answer: Calling) -> None:
    """Serve one method to one other process until standard input closes; prints the port."""

    async def behave(request: bytes, context: object) -> bytes:
        del context
        return await answer(request)

    server = aio.server()
    server.add_generic_rpc_handlers((_OneMethod(behave),))
    credentials = grpc.ssl_server_credentials(
        [((folder / f"{own}.key").read_bytes(), (folder / f"{own}.pem").read_bytes())],
        (folder / f"{other}.pem").read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port(address, credentials)
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


def method(channel: aio.Channel) -> Calling:
    """Give the one method."""
    made = cast("aio.UnaryUnaryMultiCallable[bytes, bytes]", channel.unary_unary(JUDGE))

    async def call(message: bytes) -> bytes:
        return await made(message)

    return call


class Disk:
    """A file that is durable after every write."""

    def __init__(self, path: Path) -> None:
        self._file: Final = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, data: bytes) -> None:
        """Write, and wait for the disk."""
        os.write(self._file, data)
        os.fdatasync(self._file)


async def enclave(folder: Path) -> None:
    """Judge questions that come together: two signatures, a seal, one durable write."""
    key, disk = SigningKey.from_seed(bytes(32)), Disk(folder / "enclave.state")
    body = bytes(QUESTION - SIGNATURE - hpke.PUBLIC_BYTES)

    async def judge(questions: bytes) -> bytes:
        said: list[bytes] = []
        for at in range(0, len(questions), QUESTION):
            one = questions[at : at + QUESTION]
            key.verify_key.verify(one[:SIGNATURE], body)
            reader = one[SIGNATURE : SIGNATURE + hpke.PUBLIC_BYTES]
            sealed = hpke.seal(reader, bytes(50), info=_INFO)
            release = bytes(RELEASE)
            said.append((key.sign(release) + release + sealed).ljust(ANSWER, b"\0"))
        disk.write(b"".join(said))
        return b"".join(said)

    await serve(folder, "enclave", "server", f"unix:{folder}/socket", judge)


class Relay:
    """Passes questions on, those that wait together; records what comes back."""

    def __init__(self, call: Calling, disk: Disk) -> None:
        self._call: Final = call
        self._disk: Final = disk
        self._key: Final = SigningKey.from_seed(bytes(32))
        self._waiting: list[tuple[bytes, asyncio.Future[bytes]]] = []
        self._calls: Final[set[asyncio.Task[None]]] = set()

    async def ask(self, question: bytes) -> bytes:
        """Have one question judged and recorded."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        self._waiting.append((question, answer))
        if len(self._waiting) in (1, FEW + 1):
            loop.call_soon(self._start)
        return await answer

    def _start(self) -> None:
        while len(self._waiting) > FEW * len(self._calls) and len(self._calls) <= 1:
            taken, self._waiting = self._waiting, []
            call = asyncio.create_task(self._judge(taken))
            self._calls.add(call)
            call.add_done_callback(self._finished)

    def _finished(self, call: asyncio.Task[None]) -> None:
        self._calls.remove(call)
        call.result()
        self._start()

    async def _judge(self, taken: Sequence[tuple[bytes, asyncio.Future[bytes]]]) -> None:
        said = await self._call(b"".join(question for question, _ in taken))
        words = [said[at : at + ANSWER] for at in range(0, len(said), ANSWER)]
        for word in words:
            body = word[SIGNATURE : SIGNATURE + RELEASE]
            self._key.verify_key.verify(word[:SIGNATURE], body)
        self._disk.write(self._key.sign(said) + said)
        for (_, answer), word in zip(taken, words, strict=True):
            answer.set_result(word)


async def room(folder: Path) -> None:
    """Pass questions on to the enclave."""
    async with channel_to(folder, "server", "enclave", f"unix:{folder}/socket") as channel:
        relay = Relay(method(channel), Disk(folder / "server.state"))
        await serve(folder, "server", "client", "localhost:0", relay.ask)


def questions(count: int) -> list[bytes]:
    """Sign questions, each with a reply key of its own."""
    signature = SigningKey.from_seed(bytes(32)).sign(
        bytes(QUESTION - SIGNATURE - hpke.PUBLIC_BYTES)
    )
    return [
        (signature + hpke.SealingKey.generate().public).ljust(QUESTION, b"\0") for _ in range(count)
    ]


async def run(folder: Path, port: int, echo_port: int, pids: Sequence[int], count: int) -> None:
    """Measure the floor and the echo in turn, and print them."""
    sync = sync_milliseconds(folder)
    async with (
        channel_to(folder, "client", "server", f"localhost:{port}") as channel,
        channel_to(folder, "client", "server", f"localhost:{echo_port}") as echo_channel,
    ):
        call, bare = method(channel), echo.caller(echo_channel, QUESTION, ANSWER)

        def calls(many: int) -> list[Callable[[], Awaitable[bytes]]]:
            return [lambda one=one: call(one) for one in questions(many)]

        await measure("warm", calls(200), IN_FLIGHT)
        await measure("warm", [bare] * 200, IN_FLIGHT)
        alone = await measure("alone", calls(ALONE), 1)
        echo_alone = await measure("echo alone", [bare] * ALONE, 1)
        asked = calls(count)
        everybody = (os.getpid(), *pids)
        before = sum(processor_seconds(pid) for pid in everybody)
        flight = await measure("in flight", asked, IN_FLIGHT)
        after = sum(processor_seconds(pid) for pid in everybody)
        echo_flight = await measure("echo in flight", [bare] * count, IN_FLIGHT)
    print(
        f"rate {flight.per_second:,.0f}/s of {echo_flight.per_second:,.0f},"
        f" {flight.per_second / echo_flight.per_second:.2f};"
        f" processor time {(after - before) / count * 1000:.2f} ms;"
        f" alone {alone.p50:.2f} ms of {8 * echo_alone.p50 + 2 * sync:.2f}"
        f" (echo {echo_alone.p50:.2f}, durable write {sync:.2f})"
    )


def start(*arguments: str) -> tuple[subprocess.Popen[str], int]:
    """Start a process of this benchmark; gives it and its port."""
    command = [sys.executable, "-m", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise RuntimeError("no pipe")
    return process, int(process.stdout.readline())


def main() -> None:
    """Start the processes, measure, and stop them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=".", help="on the disk that is written to")
    parser.add_argument("--role", nargs=2, metavar=("ROLE", "FOLDER"))
    given = parser.parse_args()
    if given.role is not None:
        role, folder = given.role
        uvloop.run({"enclave": enclave, "room": room}[role](Path(folder)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder, prefix=".bench-") as name:
        folder = Path(name).absolute()
        make_folder(folder)
        (folder / "client-roots.pem").write_bytes((folder / "client.pem").read_bytes())
        judging, _ = start("benchmarks.floor", "--role", "enclave", str(folder))
        relaying, port = start("benchmarks.floor", "--role", "room", str(folder))
        bare, echo_port = start("benchmarks.echo", str(folder))
        processes = (judging, relaying, bare)
        try:
            pids = (judging.pid, relaying.pid)
            for _ in range(given.rounds):
                uvloop.run(run(folder, port, echo_port, pids, given.checks))
        finally:
            for process in reversed(processes):
                process.communicate()


if __name__ == "__main__":
    main()
