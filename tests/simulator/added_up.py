"""Three tax offices whose enclaves give their cells to sums, and banks that add the shares up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from saferoom_enclaves.journal import Judged
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.statements import (
    Absent,
    Aggregate,
    ClassCell,
    ColumnType,
    FeatureKind,
    MeasureKind,
    OwnersPeriod,
    Purpose,
    TableMeasure,
    TableRelease,
    Template,
    load,
)
from saferoom_proto.statements.aggregate import Privacy
from saferoom_proto.suite import Suite
from saferoom_proto.tables.asked import plan_of_sum
from saferoom_proto.tables.plan import ReleasePlan
from saferoom_proto.tables.sum_receipt import SumPart, SumReceipt
from saferoom_proto.tables.summed import SHARES_SEAL, TableShares, add_up
from saferoom_proto.tables.told import Told
from simulator.bank import SimBank
from simulator.harness import EnclaveHarness
from simulator.owner import SimOwner
from simulator.sample import Approved, column, feature, ordered, schema, table
from simulator.tabled import COUNT, SIZES, FirmOf, firms, to_csv
from simulator.world import World

OFFICES: Final = ("east", "north", "west")
BANKS: Final = ("bank-a", "bank-b", "bank-c", "north")
GROUPS: Final = ("ring", "ring", "alone", "north")
VAT: Final = TableMeasure(kind=MeasureKind.SUM, of="east.vat", low=Decimal(0), high=Decimal(10_000))


def sums_of(
    *measures: TableMeasure,
    owners: Sequence[str] = OFFICES,
    epsilon: str = "1",
    cap: str = "20",
    ways: int = 1,
) -> Aggregate:
    """Give a plan of the sizes of firms, over the offices."""
    return Aggregate(
        dimensions=("east.size",),
        measures=measures or (COUNT,),
        ways=ways,
        privacy=Privacy(epsilon=Decimal(epsilon), cap=Decimal(cap)),
        owners=tuple(owners),
    )


@dataclass(frozen=True, slots=True)
class Offices:
    """The room, the offices with an enclave each, and the banks."""

    world: World
    owners: Mapping[str, SimOwner]
    enclaves: Mapping[str, EnclaveHarness]
    banks: tuple[SimBank, ...]
    loads: dict[str, int]
    """How often each has loaded: the period that it is in."""

    @classmethod
    def make(
        cls, folder: Path, suite: Suite = Suite.INTERNATIONAL, names: Sequence[str] = OFFICES
    ) -> Offices:
        """Make the room; banks a and b are of one collusion group; the north's has a desk, too."""
        world = World(0, suite=suite)
        banks = tuple(world.bank(name) for name in BANKS)
        owners = {name: world.owner(name) for name in names}
        for owner in owners.values():
            _define(owner)
            for bank, group in zip(banks, GROUPS, strict=True):
                owner.agree(bank, (Purpose.PRODUCT_DESIGN,), group)
        enclaves = {name: EnclaveHarness(owner, folder) for name, owner in owners.items()}
        for at, enclave in enumerate(enclaves.values()):
            enclave.load({"firms": to_csv(rows_of(at))})
        made = cls(world, owners, enclaves, banks, dict.fromkeys(enclaves, 1))
        made.follow()
        return made

    @property
    def bank(self) -> SimBank:
        """The first bank."""
        return self.banks[0]

    def follow(self) -> None:
        """Let all enclaves follow their streams."""
        for enclave in self.enclaves.values():
            enclave.follow()

    def load(self, *names: str) -> None:
        """Have offices load the same records anew."""
        for at, (name, enclave) in enumerate(self.enclaves.items()):
            if name in names:
                enclave.load({"firms": to_csv(rows_of(at))})
                self.loads[name] += 1

    def go_back(self, name: str, store: str) -> None:
        """Have an office go back to earlier records."""
        enclave = self.enclaves[name]
        enclave.roll_back(enclave.rollback_order(store))
        self.loads[name] += 1

    def a_month_later(self) -> None:
        """Let so many days pass that tables of other records may be told."""
        self.world.clock.advance(31 * 24 * 3600)
        for enclave in self.enclaves.values():
            enclave.unlock()
        self.follow()

    def approved(
        self, name: str, aggregate: Aggregate, *by: str, bank: SimBank | None = None
    ) -> Approved:
        """Have tables proposed, and approved by all whose cells they are of, or by some."""
        template, certificate = (bank or self.bank).tables(name, aggregate)
        for owner in by or aggregate.asked_of:
            self.owners[owner].approve(template, certificate.digest)
        self.follow()
        return Approved(template, certificate)

    def periods(self, **other: int) -> tuple[OwnersPeriod, ...]:
        """Give the period that each office is in, or others by name."""
        now = self.loads | other
        return tuple(OwnersPeriod(owner=name, epoch=at) for name, at in sorted(now.items()))

    def request(
        self,
        of: Approved,
        bank: SimBank | None = None,
        key: SigningKey | None = None,
        **changes: object,
    ) -> Envelope:
        """Sign a request for a sum."""
        fields = {"periods": self.periods()} | changes
        return (bank or self.bank).table_request(of.template, of.certificate, key=key, **fields)

    def ask(self, request: Envelope, *left_out: str) -> dict[str, Judged]:
        """Have every office's enclave answer a request, as the server does."""
        return {
            name: enclave.tabulate(request)
            for name, enclave in self.enclaves.items()
            if name not in left_out
        }

    def said(self, judged: Mapping[str, Judged]) -> dict[str, TableRelease]:
        """Give the enclaves' words."""
        return {name: load(each.entry.statement, TableRelease) for name, each in judged.items()}

    def shares(
        self, request: Envelope, judged: Mapping[str, Judged], bank: SimBank | None = None
    ) -> dict[str, TableShares]:
        """Open the shares of those that answered, as their asker."""
        key = (bank or self.bank).reply
        return {
            name: TableShares.from_bytes(SHARES_SEAL.open(each.sealed, key, request.digest, name))
            for name, each in judged.items()
            if each.sealed
        }

    def plan(self, of: Approved) -> ReleasePlan:
        """Give the plan of a sum."""
        aggregate = load(of.template, Template).aggregate
        assert aggregate is not None
        shapes = {ref: each.shape for ref, each in self.world.features.items()}
        return plan_of_sum(aggregate, shapes)

    def summed(self, of: Approved, bank: SimBank | None = None) -> tuple[Told, ...]:
        """Ask for a sum, and add it up as its asker."""
        request = self.request(of, bank)
        return add_up(self.shares(request, self.ask(request), bank), self.plan(of))

    def receipt(self, of: Approved, request: Envelope, judged: Mapping[str, Judged]) -> SumReceipt:
        """Write the receipt of a request that its asker had answered, as the client does."""
        opened = self.shares(request, judged)
        certificate = load(of.certificate, ReleaseCertificate)
        parts = [
            self._part(name, said, certificate, opened.get(name))
            for name, said in sorted(judged.items())
        ]
        return SumReceipt(
            request=_text(request),
            template=_text(of.template),
            certificate=certificate.to_bytes().decode(),
            parts=tuple(parts),
        )

    def _part(
        self,
        name: str,
        judged: Judged,
        certificate: ReleaseCertificate,
        shares: TableShares | None,
    ) -> SumPart:
        statement, endorsed = judged.entry.statement, self.enclaves[name].endorsed
        said = load(statement, TableRelease)
        known = {each.digest: each for each in self.world.streams[name].statements}
        used = [use.digest for use in certificate.part(name).features]
        self.world.ledger.record(statement, judged.entry.salt)
        recorded = self.world.ledger.recorded(statement)
        assert endorsed is not None
        return SumPart(
            owner=name,
            charters=tuple(map(_text, self.owners[name].charters)),
            features=tuple(_text(known[digest]) for digest in used),
            approvals=tuple(_text(known[digest]) for digest in said.approvals),
            agreement=_text(known[said.agreement]),
            endorsement=_text(endorsed),
            release=_text(statement),
            salt=b64(recorded.salt),
            proof=recorded.proof,
            shares=None if shares is None else shares.to_bytes().decode().rstrip(" "),
        )

    def close(self) -> None:
        """End the enclaves."""
        for enclave in self.enclaves.values():
            enclave.close()


def rows_of(at: int) -> list[FirmOf]:
    """Give an office's firms, by its place among the offices."""
    return firms(seed=at + 1, many=200 + 40 * at)


def _text(envelope: Envelope) -> str:
    return envelope.to_json().decode()


def _define(owner: SimOwner) -> None:
    owner.publish_schema(
        schema(
            owner.name,
            table(
                "firms",
                column("size", ColumnType.TEXT, 2),
                column("late", ColumnType.BOOLEAN, 2),
                column("vat", ColumnType.BIGINT, 3),
            ),
        )
    )
    select = "SELECT uscc AS subject, {} AS value FROM firms"
    classes = tuple(ClassCell(name=each, values=(each,)) for each in SIZES)
    by_class = {"level": 2, "classes": classes, "absent": Absent.FALSE}
    owner.define(
        feature(owner.name, "size", select.format("size"), FeatureKind.CLASSES, **by_class)
    )
    owner.define(ordered(owner.name, "vat", select.format("vat"), ("2000", "5000")))
