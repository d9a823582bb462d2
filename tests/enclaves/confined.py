"""An enclave's process: makes its fork server, confines itself, tries to get out, works, serves.

Run by test_sandbox.py.

It is a program, not a test: `python -I -B confined.py FD TASK`, where FD is an inherited socket
over which it reports a line of JSON a stage, and TASK says in JSON which folders are its own.
"""

# ruff: noqa: E402 - the sandbox closes in two steps, before and after the heavy imports

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TASK: dict[str, Any] = json.loads(sys.argv[2])
sys.path[:] = [*TASK["sys_path"], str(Path(__file__).parent)]

import ways_out

from saferoom_enclaves.children.forkserver import Terms, begin

CONTROL = begin()

from saferoom_enclaves.children.workshop import Workshop
from saferoom_enclaves.sandbox import (
    SandboxPlan,
    close_system_calls,
    confine,
    interpreter_paths,
)

# gRPC stands for the installed packages, should they belong to another interpreter.
READ_ONLY = interpreter_paths("saferoom_enclaves", "saferoom_proto", "saferoom_models", "grpc")
WORKSHOP = Workshop(
    CONTROL, Terms(True, tuple(map(str, READ_ONLY)), TASK["scratch"], address_space_bytes=3 << 30)
)
CONFINED = confine(
    SandboxPlan(
        read_only=READ_ONLY,
        read_write=(Path(TASK["state"]),),
        socket_folders=(Path(TASK["sockets"]),),
        address_space_bytes=3 << 30,
        die_with_parent=True,
    )
)

import asyncio
import contextlib
import os
import socket
import sqlite3
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import grpc
import grpc.aio
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from ways_out import datagram, outcome, unix_socket

from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.storework import Allowance, StoreWork
from saferoom_enclaves.vault import freeze, open_snapshot, seal_snapshot
from saferoom_proto.formula import FeatureRef, FeatureShape
from saferoom_proto.statements.feature import (
    Absent,
    Column,
    ColumnType,
    FeatureKind,
    Table,
    Title,
)
from saferoom_proto.uscc import make_uscc

CLOSED = close_system_calls(CONFINED)

STATE, SCRATCH = Path(TASK["state"]), Path(TASK["scratch"])


def child() -> None:
    if os.fork() == 0:
        os._exit(0)


def escapes() -> dict[str, str]:
    """Try everything a sandboxed process must not be able to do."""
    attempts = {
        **ways_out.reads(TASK["outside"], "secret"),
        **ways_out.sockets(),
        **ways_out.calls(TASK["forbidden_calls"], TASK["calls"]),
        "list scratch": lambda: list(SCRATCH.iterdir()),
        "connect to a unix socket": unix_socket(socket.SOCK_STREAM, TASK["listener"]),
        "connect to an abstract socket": unix_socket(socket.SOCK_STREAM, TASK["abstract"]),
        "datagram to a unix socket": lambda: datagram(TASK["datagrams"]),
        **ways_out.programs(STATE),
        "fork": child,
    }
    return {name: outcome(attempt) for name, attempt in attempts.items()}


TITLE = Title(en="VAT", zh="增值税")
SCHEMA = Table(
    name="vat",
    title=TITLE,
    key="uscc",
    columns=(
        Column(name="uscc", type=ColumnType.TEXT, level=1, title=TITLE),
        Column(name="paid", type=ColumnType.DECIMAL, level=3, title=TITLE),
    ),
)
PAID = FeatureDefinition(
    FeatureShape(
        FeatureRef("tax", "paid"), FeatureKind.ORDERED, (Decimal(10),), (), Absent.UNKNOWN
    ),
    "SELECT uscc AS subject, sum(paid) AS value FROM vat GROUP BY uscc",
    date(2026, 1, 1),
    3,
)


def store_work() -> dict[str, object]:
    """Do what an enclave does with a load: have it built, seal, open, have features computed."""
    subjects = [make_uscc(serial) for serial in range(20)]
    rows = "".join(f"{subject},{at}\r\n" for at, subject in enumerate(subjects))
    csv = os.memfd_create("csv", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(csv, f"uscc,paid\r\n{rows}".encode())
    freeze(csv)
    work = StoreWork(WORKSHOP, SCRATCH, Allowance(memory_bytes=2 << 30))
    built = work.build([(SCHEMA, csv)])
    assert built.plaintext is not None
    kek = os.urandom(32)
    with built.plaintext as plaintext:
        snapshot = seal_snapshot(STATE, kek, "tax", 1, plaintext)
    memfd = open_snapshot(STATE, kek, "tax", snapshot)
    written = outcome(lambda: os.pwrite(memfd, b"x", 0))
    index = work.compute(memfd, [SCHEMA], [PAID]).index
    return {
        "write to the memfd": written,
        "cells": [index.cells(subject, [PAID.shape.ref])[0] for subject in subjects],
        "database in the enclave": "duckdb" in sys.modules,
        "fork server": [WORKSHOP.confinement.level, WORKSHOP.confinement.missing],
    }


def other_work() -> dict[str, object]:
    """Do the rest: SQLite with fsync, ciphers, and a buffer that is too large."""
    report: dict[str, object] = {}
    report["too much memory"] = outcome(lambda: bytearray(4 << 30))
    with contextlib.closing(sqlite3.connect(STATE / "state.db")) as state:
        state.execute("PRAGMA journal_mode = WAL")
        state.execute("PRAGMA synchronous = FULL")
        state.execute("CREATE TABLE IF NOT EXISTS s (x INTEGER)")
        with state:
            state.execute("INSERT INTO s VALUES (7)")
        report["sqlite"] = state.execute("SELECT sum(x) FROM s").fetchone()[0]
    nonce = bytes(12)
    cipher = AESGCM(AESGCM.generate_key(256))
    report["cipher"] = cipher.decrypt(nonce, cipher.encrypt(nonce, b"sealed", b""), b"").decode()
    Ed25519PrivateKey.generate().sign(b"signed")
    return report


async def serve(say: Callable[[object], None], channel: socket.socket) -> None:
    """Serve one echo method on a unix socket, with mutual TLS, until the parent says a byte."""

    async def echo(request: bytes, _: object) -> bytes:
        await asyncio.sleep(0)
        return request[::-1]

    methods: dict[str, Any] = {"Say": grpc.unary_unary_rpc_method_handler(echo)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", methods),))
    credentials = grpc.ssl_server_credentials(
        [(TASK["key"].encode(), TASK["certificate"].encode())],
        root_certificates=TASK["client"].encode(),
        require_client_auth=True,
    )
    path = Path(TASK["sockets"], "enclave")
    os.umask(0o077)
    server.add_secure_port(f"unix:{path}", credentials)
    await server.start()
    loop = asyncio.get_running_loop()
    mode = os.stat(path).st_mode  # noqa: PTH116
    say({"loop": type(loop).__module__, "mode": oct(mode & 0o777)})
    channel.setblocking(False)
    await loop.sock_recv(channel, 1)
    await server.stop(grace=None)


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))

    def say(what: object) -> None:
        channel.sendall(json.dumps(what).encode() + b"\n")

    say([[report.level, report.holds, report.missing] for report in (CONFINED, CLOSED)])
    say(escapes())
    say({**store_work(), **other_work()})
    uvloop.run(serve(say, channel))
    say({"stopped": True})


if __name__ == "__main__":
    main()
