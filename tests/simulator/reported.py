"""A room to ask reports in: a court whose lists are public in part, and banks with agreements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom_enclaves.journal import Judged
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reports.told import REPORT_SEAL, OwnerReport, require_told
from saferoom_proto.statements import (
    ColumnType,
    Release,
    Report,
    ReportTable,
    Schema,
    load,
)
from saferoom_proto.statements.report import ReportPart
from saferoom_proto.suite import Suite
from simulator.bank import SimBank
from simulator.harness import EnclaveHarness
from simulator.owner import SimOwner
from simulator.sample import Approved, column, schema, table
from simulator.subject import SimSubject
from simulator.world import World

PUBLIC: Final = ("case_no", "court")
"""The columns of the court's list that are public by law."""


def lists(amount: int = 3, court: int = 1, version: int = 1) -> Schema:
    """Give the court's tables; levels can be chosen."""
    listed = table(
        "listed",
        column("case_no", ColumnType.TEXT, 1),
        column("amount", ColumnType.BIGINT, amount),
        column("court", ColumnType.TEXT, court),
    )
    return schema("court", listed, version=version)


def plan(*columns: str, name: str = "listed") -> Report:
    """Give a report of columns of one of the court's tables."""
    return Report(tables=(ReportTable(owner="court", table=name, columns=columns or PUBLIC),))


def to_csv(world: World, rows: Sequence[tuple[int, str, str, str]]) -> bytes:
    """Write the court's list: of whom, case, amount, court."""
    lines = [f"{world.subject(who).uscc},{case},{amount},{at}" for who, case, amount, at in rows]
    return "\n".join(["uscc,case_no,amount,court", *lines]).encode() + b"\n"


ROWS: Final = (
    (1, "2026-7", "900", "Xinhua"),
    (1, "2025-3", "100", "Weidong"),
    (1, "2025-3", "800", "Weidong"),
    (1, "", "5", ""),
    (2, "2024-1", "70", "Zhanhe"),
)
"""Firm 1 twice in one case, and once in none that is told; firm 2 once."""


@dataclass(frozen=True, slots=True)
class ReportRoom:
    """The room, the court's enclave, and the banks."""

    world: World
    court: SimOwner
    enclave: EnclaveHarness
    banks: tuple[SimBank, SimBank]

    @classmethod
    def make(cls, folder: Path, suite: Suite = Suite.INTERNATIONAL) -> ReportRoom:
        """Make the room."""
        world = World(0, suite=suite)
        court = world.owner("court")
        court.publish_schema(lists())
        banks = (world.bank("bank-a"), world.bank("bank-b"))
        for bank in banks:
            court.agree(bank)
        enclave = EnclaveHarness(court, folder)
        enclave.load({"listed": to_csv(world, ROWS)})
        enclave.follow()
        return cls(world, court, enclave, banks)

    @property
    def bank(self) -> SimBank:
        """The first bank."""
        return self.banks[0]

    def firm(self, serial: int = 1) -> SimSubject:
        """Give a firm."""
        return self.world.subject(serial)

    def approved(self, name: str = "public", report: Report | None = None) -> Approved:
        """Have a report proposed and approved."""
        template, certificate = self.bank.report(name, report or plan())
        self.court.approve(template, certificate.digest)
        self.enclave.follow()
        return Approved(template, certificate)

    def request(
        self,
        of: Approved,
        serial: int = 1,
        key: SigningKey | None = None,
        params: Mapping[str, str | bool] | None = None,
        **changes: object,
    ) -> Envelope:
        """Sign a request for a report about a firm; fields can be changed by name."""
        firm = self.firm(serial)
        return self.bank.request(firm, of.template, of.certificate, params, key=key, **changes)

    def said(self, judged: Judged) -> Release:
        """Give the enclave's word."""
        return load(judged.entry.statement, Release)

    def ask(
        self,
        of: Approved,
        serial: int = 1,
        disputes: Sequence[Envelope] = (),
        report: Report | None = None,
    ) -> OwnerReport:
        """Ask for a report, and open it as who asked."""
        request = self.request(of, serial)
        judged = self.enclave.report(request, disputes)
        return self.opened(request, judged, serial, report)

    def opened(
        self, request: Envelope, judged: Judged, serial: int = 1, report: Report | None = None
    ) -> OwnerReport:
        """Open a report as who asked for it, with all that a client checks of it."""
        plaintext = REPORT_SEAL.open(judged.sealed, self.bank.reply, request.digest, "court")
        part = ReportPart.of(report or plan(), "court")
        return require_told(self.said(judged), plaintext, self.firm(serial).uscc, part)
