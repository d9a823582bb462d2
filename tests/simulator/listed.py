"""A room to ask lists in: an office that keeps registers, and knows every firm's trade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom_enclaves.journal import Judged
from saferoom_proto.dsse import Envelope
from saferoom_proto.holdings import Holdings
from saferoom_proto.reports.listed import LIST_SEAL, OwnerList, require_listed
from saferoom_proto.statements import (
    ColumnType,
    ListedBy,
    Listing,
    ListRequest,
    Only,
    PickedBy,
    Purpose,
    Release,
    Schema,
    Table,
    load,
)
from saferoom_proto.statements.listing import division_of
from saferoom_proto.suite import Suite
from simulator.bank import SimBank
from simulator.harness import EnclaveHarness
from simulator.owner import SimOwner
from simulator.sample import Approved, column, schema, title
from simulator.subject import SimSubject
from simulator.world import World

BY_TRADE: Final = ListedBy(of=PickedBy.COLUMN, table="trades", column="trade", fewest=1)
BY_DISTRICT: Final = ListedBy(of=PickedBy.DIVISION, fewest=4)

REGISTER: Final = (
    (1, "2026-7", "900", "Xinhua", "", "C2611"),
    (2, "2025-3", "100", "Weidong", "", "C2612"),
    (2, "2025-3", "800", "Weidong", "", "C2612"),
    (2, "2024-9", "20", "", "", "C2612"),
    (3, "2024-1", "70", "Zhanhe", "2025-02-01", "C2619"),
    (4, "2023-5", "60", "Zhanhe", "", "F5165"),
)
"""Who, case, amount, court, taken off when, trade: firm 2 twice in one case, 3 was taken off."""


def registers(*, trade: int = 1, code: int = 1, off: int = 1, version: int = 1) -> Schema:
    """Give the office's tables; levels can be chosen."""
    key = column("uscc", ColumnType.TEXT, code)
    told = (
        column("case_no", ColumnType.TEXT, 1),
        column("amount", ColumnType.BIGINT, 3),
        column("court", ColumnType.TEXT, 1),
        column("taken_off", ColumnType.DATE, off),
    )
    listed = Table(name="listed", title=title("listed"), key="uscc", columns=(key, *told))
    trades = Table(
        name="trades",
        title=title("trades"),
        key="uscc",
        columns=(key, column("trade", ColumnType.TEXT, trade)),
    )
    return schema("office", listed, trades, version=version)


def listing(*columns: str, by: ListedBy = BY_TRADE, most: int = 1000, **changes: object) -> Listing:
    """Give a list of the office's register: of firms that were not taken off."""
    asked: dict[str, object] = {
        "owner": "office",
        "table": "listed",
        "columns": columns or ("case_no", "court"),
        "only": (Only(column="taken_off", values=()),),
        "by": by,
        "most": most,
    }
    return Listing.model_validate(asked | changes)


@dataclass(frozen=True, slots=True)
class ListRoom:
    """The room, the office's enclave, and the banks."""

    world: World
    office: SimOwner
    enclave: EnclaveHarness
    banks: tuple[SimBank, SimBank]

    @classmethod
    def make(cls, folder: Path, suite: Suite = Suite.INTERNATIONAL) -> ListRoom:
        """Make the room."""
        world = World(0, suite=suite)
        office = world.owner("office")
        office.publish_schema(registers())
        banks = (world.bank("bank-a"), world.bank("bank-b"))
        for bank in banks:
            office.agree(bank, purposes=(Purpose.PRE_LOAN, Purpose.PRODUCT_DESIGN))
        room = cls(world, office, EnclaveHarness(office, folder), banks)
        room.load(REGISTER)
        room.enclave.follow()
        return room

    def load(self, register: Sequence[tuple[int, str, str, str, str, str]]) -> None:
        """Load the register, and of each firm its trade."""
        rows = ["uscc,case_no,amount,court,taken_off"]
        trades = {"uscc": "trade"}
        for who, *said, trade in register:
            rows.append(",".join([self.code(who), *said]))
            trades[self.code(who)] = trade
        kept = [f"{code},{trade}" for code, trade in trades.items()]
        files = {"listed": rows, "trades": kept}
        self.enclave.load({name: ("\n".join(own) + "\n").encode() for name, own in files.items()})

    @property
    def bank(self) -> SimBank:
        """The first bank."""
        return self.banks[0]

    def firm(self, serial: int = 1) -> SimSubject:
        """Give a firm."""
        return self.world.subject(serial)

    def code(self, serial: int) -> str:
        """Give a firm's code."""
        return self.firm(serial).uscc

    @property
    def district(self) -> str:
        """The division in the first firm's code."""
        return division_of(self.code(1))

    def approved(self, name: str = "listed", asked: Listing | None = None) -> Approved:
        """Have a list proposed and approved."""
        template, certificate = self.bank.listing(name, asked or listing())
        self.office.approve(template, certificate.digest)
        self.enclave.follow()
        return Approved(template, certificate)

    def request(self, of: Approved, code: str = "C26", **changes: object) -> Envelope:
        """Sign a request for a page; fields can be changed by name."""
        asked = {"code": code, **changes}
        return self.bank.list_request(of.template, of.certificate, key=None, **asked)

    def said(self, judged: Judged) -> Release:
        """Give the enclave's word."""
        return load(judged.entry.statement, Release)

    def ask(
        self,
        of: Approved,
        code: str = "C26",
        *,
        disputes: Sequence[Envelope] = (),
        asked: Listing | None = None,
        page: int = 1,
    ) -> OwnerList:
        """Ask for a page, and open it as who asked."""
        request = self.request(of, code, page=page)
        return self.opened(request, self.enclave.report(request, disputes), asked)

    def opened(self, request: Envelope, judged: Judged, asked: Listing | None = None) -> OwnerList:
        """Open a page as who asked for it, with all that a client checks of it."""
        plaintext = LIST_SEAL.open(judged.sealed, self.bank.reply, request.digest, "office")
        question = load(request, ListRequest)
        return require_listed(self.said(judged), plaintext, question, asked or listing())

    def held(self, serial: int) -> Holdings:
        """Give what a firm is shown of what is held about it."""
        request = self.firm(serial).claim("office")
        return self.firm(serial).open(request, "office", self.enclave.disclose(request).sealed)
