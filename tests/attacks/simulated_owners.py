"""Four owners' enclaves in this process, whose cells are added up for two banks."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from saferoom_attacks.ask import ALLIES, BANK, group_of
from saferoom_attacks.books import csv_of, schema
from saferoom_attacks.offices import OWNERS, Added, Counts, figures_of
from saferoom_attacks.sum_room import (
    books_of,
    firms_of,
    plan_of_owner,
    shares_of,
    summed_over,
)
from saferoom_attacks.table_ask import aggregate_of
from saferoom_enclaves.journal import Judged
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Aggregate, OwnersPeriod, Purpose, TableRelease, load
from saferoom_proto.tables.asked import plan_of, plan_of_sum
from saferoom_proto.tables.summed import SHARES_SEAL, TableShares, add_up
from saferoom_proto.tables.told import TABLES_SEAL, Tables, Told
from simulator.harness import EnclaveHarness
from simulator.sample import Approved
from simulator.world import World


@dataclass
class SimOwners:
    """Asks enclaves as the server does, and opens what they seal as the bank."""

    world: World
    enclaves: dict[str, EnclaveHarness]
    asked: int = 0
    approved: dict[tuple[str, ...], Approved] = field(
        default_factory=dict[tuple[str, ...], Approved]
    )

    def add_up(self, bank: str, owners: Sequence[str]) -> Added | None:
        periods = tuple(OwnersPeriod(owner=each, epoch=1) for each in owners)
        by, told = self.world.bank(bank), dict[str, TableShares]()
        of = self._approved(owners, summed_over(owners))
        request = by.table_request(of.template, of.certificate, periods=periods)
        for owner in owners:
            judged = self._told(owner, request)
            if judged is None:
                return None
            opened = SHARES_SEAL.open(judged.sealed, by.reply, request.digest, owner)
            told[owner] = TableShares.from_bytes(opened)
        shapes = {ref: each.shape for ref, each in self.world.features.items()}
        (table,) = add_up(told, plan_of_sum(summed_over(owners), shapes))
        return Added(_counts(table), shares_of(told))

    def alone(self, bank: str, owner: str) -> Counts | None:
        by, asked = self.world.bank(bank), aggregate_of(plan_of_owner(owner))
        of = self._approved([owner], asked)
        request = by.table_request(of.template, of.certificate)
        judged = self._told(owner, request)
        if judged is None:
            return None
        opened = Tables.from_bytes(TABLES_SEAL.open(judged.sealed, by.reply, request.digest, owner))
        shapes = {ref: each.shape for ref, each in self.world.features.items()}
        (table,) = opened.by_plan(plan_of(asked, shapes, opened.epoch))
        return _counts(table)

    def _told(self, owner: str, request: Envelope) -> Judged | None:
        """Have an enclave asked; none if it refuses, as it may for one reason."""
        self.asked += 1
        judged = self.enclaves[owner].tabulate(request)
        said = load(judged.entry.statement, TableRelease)
        assert said.reason in {None, Reason.CONFLICT}, said.reason
        return judged if said.reason is None else None

    def _approved(self, owners: Sequence[str], asked: Aggregate) -> Approved:
        """Have a plan proposed and approved, once."""
        named = tuple(owners)
        if named not in self.approved:
            template, certificate = self.world.bank(BANK).tables("-".join(named), asked)
            for owner in owners:
                self.world.owner(owner).approve(template, certificate.digest)
                self.enclaves[owner].follow()
            self.approved[named] = Approved(template, certificate)
        return self.approved[named]


def _counts(table: Told) -> Counts:
    """Read a table's numbers; classes are named by their numbers."""
    return {
        (int(cell.classes[0][1:]), int(cell.classes[1][1:])): float(cell.number or "nan")
        for cell in table.cells
    }


@contextmanager
def simulated_owners(folder: Path, seed: int) -> Generator[SimOwners]:
    """Open four enclaves that hold the figures of a seed, and agree with two groups of banks."""
    world = World(0)
    enclaves = dict[str, EnclaveHarness]()
    for name in OWNERS:
        owner, books = world.owner(name), books_of(name)
        owner.publish_schema(schema(world.room, books))
        for book in books:
            owner.define(book.statement(world.room))
        for bank in (BANK, ALLIES[0]):
            owner.agree(world.bank(bank), (Purpose.PRODUCT_DESIGN,), group_of(bank))
        enclaves[name] = EnclaveHarness(owner, folder)
        firms = firms_of(figures_of(seed)[name])
        enclaves[name].load({"entries": csv_of(firms, books).encode()})
    for enclave in enclaves.values():
        enclave.follow()
    try:
        yield SimOwners(world, enclaves)
    finally:
        for enclave in enclaves.values():
            enclave.close()
