"""A tax office whose arrears are asked for: its enclave, its broker, and a provider, all real.

The enclave runs in this process; between it, broker and provider are a unix socket and TLS.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from saferoom_client.broker.attend import broker as attend
from saferoom_client.broker.config import FILE, BrokerConfig
from saferoom_enclaves.fetched.broker import Broker
from saferoom_enclaves.fetched.calls import Fetching
from saferoom_enclaves.logs import Log
from saferoom_enclaves.worker import Worker
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import (
    Absent,
    ColumnType,
    Feature,
    FeatureKind,
    Schema,
    Source,
    Table,
)
from simulator.bank import SimBank
from simulator.harness import EnclaveHarness, Verdict
from simulator.provider import HOST, Provider, Rows, provider
from simulator.sample import (
    TAX_TABLES,
    Approved,
    Sample,
    column,
    feature,
    ordered,
    sample,
    schema,
    table,
    tax_csv,
)

SOURCE: Final = Source(name="tax_arrears", days=7)
NAMES: Final = ("tax.owes", "tax.owed")
GRID: Final = ("1", "10000", "50000")
CHECKS: Final = {
    "owes": "tax.owes IS FALSE",
    "owed": "tax.owed < :most",
    "mixed": "tax.owes IS FALSE AND tax.arrears IS FALSE",
}
PATIENCE_SECONDS: Final = 60.0
BOUND_SECONDS: Final = 60.0
STEP_SECONDS: Final = 0.01
"""A record is there by the clock's next step: shorter here than an enclave's."""


def arrears_table() -> Table:
    """Give the table that the source answers with."""
    columns = (
        column("is_in_arrears", ColumnType.BOOLEAN, 3),
        column("arrears_amount", ColumnType.DECIMAL, 3),
        column("tax_type", ColumnType.TEXT, 2),
    )
    return table("tax_arrears", *columns).model_copy(update={"source": SOURCE})


def arrears_schema(version: int = 2) -> Schema:
    """Give the tax office's tables, one of which is asked for."""
    return schema("tax", *TAX_TABLES, arrears_table(), version=version)


def arrears_features() -> list[Feature]:
    """Give the features over the source."""
    owed = "SELECT uscc AS subject, sum(arrears_amount) AS value FROM tax_arrears GROUP BY uscc"
    owes = "SELECT uscc AS subject, bool_or(is_in_arrears) AS value FROM tax_arrears GROUP BY uscc"
    return [
        feature("tax", "owes", owes, FeatureKind.FLAG, absent=Absent.FALSE, source=SOURCE),
        ordered("tax", "owed", owed, GRID, source=SOURCE, prior="annual report 2025, table 3"),
    ]


def row(amount: str, kind: str | None = "VAT", *, owes: bool = True) -> dict[str, object]:
    """Give a row of the provider's."""
    return {"is_in_arrears": owes, "arrears_amount": amount, "tax_type": kind}


@dataclass(slots=True)
class FetchRoom:
    """The room, and what runs in it."""

    said: Sample
    enclave: EnclaveHarness
    provider: Provider
    checks: dict[str, Approved]
    folder: Path
    loop: asyncio.AbstractEventLoop
    broker: Broker
    worker: Worker
    fetching: Fetching
    firms: int = 1000
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    def question(
        self,
        serial: int = 1,
        check: str = "owes",
        bank: SimBank | None = None,
        **params: str,
    ) -> Envelope:
        """Have a bank ask a check about a firm."""
        asked, asker = self.checks[check], bank or self.said.bank
        subject = self.said.world.subject(serial)
        return asker.request(subject, asked.template, asked.certificate, params)

    def prepare(self, question: Envelope, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Have fetched what a question needs."""
        self.prepare_all([question], patience_seconds)

    def prepare_all(
        self, questions: Sequence[Envelope], patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Have fetched what several questions need, all at once."""

        async def prepared() -> None:
            await asyncio.gather(
                *(self.fetching.prepare(each, patience_seconds) for each in questions)
            )

        asyncio.run_coroutine_threadsafe(prepared(), self.loop).result(BOUND_SECONDS)

    def ask(self, serial: int = 1, check: str = "owes", **params: str) -> Verdict:
        """Ask a check about a firm, and wait for its record."""
        question = self.question(serial, check, None, **params)
        self.prepare(question)
        return self.enclave.ask(question)

    def firm(self, rows: Rows | None = None) -> int:
        """Give a firm that nobody asked about, with its consent, and what the provider holds."""
        self.firms += 1
        if rows is not None:
            self.provider.rows[self.code(self.firms)] = rows
        self.consent(self.firms)
        return self.firms

    def consent(self, serial: int, names: Sequence[str] = NAMES) -> Envelope:
        """Let a firm consent to the features of the source, and to those of the store."""
        consent = self.said.world.subject(serial).give(
            self.said.bank, [*names, "tax.arrears", "tax.vat_paid", "tax.rating"]
        )
        self.enclave.follow()
        return consent

    def later(self, days: float) -> None:
        """Let days pass."""
        self.said.world.clock.advance(days * 86_400)
        self.enclave.unlock()
        self.enclave.follow()

    def code(self, serial: int) -> str:
        """Give a firm's code."""
        return self.said.world.subject(serial).uscc

    def restart(self) -> None:
        """Start the enclave again from its folder."""
        self.enclave.kill()
        self.worker = _worker_of(self.enclave, self.loop)
        self.fetching = Fetching(
            self.worker, self.broker, Log("tax", self.enclave.log), STEP_SECONDS
        )

    def connect(self, folder: Path | None = None) -> None:
        """Run a broker, and wait until it is connected."""
        config = BrokerConfig.load(folder or self.folder)

        async def begun() -> None:
            self.tasks.append(asyncio.ensure_future(attend(config)))
            await self._until(connected=True)

        asyncio.run_coroutine_threadsafe(begun(), self.loop).result(BOUND_SECONDS)

    def disconnect(self) -> None:
        """End the brokers, as if they were killed."""

        async def ended() -> None:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            self.tasks.clear()
            await self._until(connected=False)

        asyncio.run_coroutine_threadsafe(ended(), self.loop).result(BOUND_SECONDS)

    async def _until(self, *, connected: bool) -> None:
        async with asyncio.timeout(BOUND_SECONDS):
            while self.broker.is_connected is not connected:  # noqa: ASYNC110 - no event of its own
                await asyncio.sleep(0.01)


def write_config(folder: Path, socket: Path, port: int, **limits: object) -> None:
    """Write a broker's configuration for a provider's port."""
    files = {"authorities": "ca.pem", "certificate": "client.pem", "key": "client.key"}
    source: dict[str, object] = {"url": f"https://{HOST}:{port}/v1/{SOURCE.name}", **files}
    given = {"per_second": 1000.0, **source, **limits}
    lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
    text = "\n".join([f'socket = "{socket}"', f"[sources.{SOURCE.name}]", *lines, ""])
    (folder / FILE).write_text(text, "utf-8")


@contextmanager
def fetch_room(
    folder: Path,
    *,
    connected: bool = True,
    loaded: bool = True,
    **limits: object,
) -> Generator[FetchRoom]:
    """Give the room, its broker connected; limits are those of the source in `broker.toml`."""
    said = sample()
    said.tax.publish_schema(arrears_schema())
    for each in arrears_features():
        said.tax.define(each)
    checks = {name: said.approved(f"check-{name}", check) for name, check in CHECKS.items()}
    enclave = EnclaveHarness(said.tax, folder)
    if loaded:
        enclave.load({"firms": tax_csv(said.world)})
    socket = folder / "broker" / "s"
    socket.parent.mkdir(mode=0o700)
    with provider(folder / "broker") as running, _loop() as loop:
        write_config(socket.parent, socket, running.port, **limits)
        log = Log("tax", enclave.log)
        broker = Broker(log)
        asyncio.run_coroutine_threadsafe(broker.listen(socket), loop).result(BOUND_SECONDS)
        worker = _worker_of(enclave, loop)
        fetching = Fetching(worker, broker, log, STEP_SECONDS)
        runs = (loop, broker, worker, fetching)
        room = FetchRoom(said, enclave, running, checks, socket.parent, *runs)
        try:
            if connected:
                room.connect()
            yield room
        finally:
            with suppress(TimeoutError):
                room.disconnect()
            asyncio.run_coroutine_threadsafe(broker.close(), loop).result(BOUND_SECONDS)
            asyncio.run_coroutine_threadsafe(room.worker.close(), loop).result(BOUND_SECONDS)


@contextmanager
def _loop() -> Generator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def _worker_of(enclave: EnclaveHarness, loop: asyncio.AbstractEventLoop) -> Worker:
    async def made() -> Worker:
        return Worker(enclave.enclave)

    return asyncio.run_coroutine_threadsafe(made(), loop).result(BOUND_SECONDS)
