"""The published attacks against an enclave in this process: its own code, without a server."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from math import prod
from pathlib import Path
from typing import Final

from saferoom_attacks.ask import ALL, BANK, Question, Row, Rules, Told, Trick
from saferoom_attacks.firms import (
    CHECKS,
    FAMILY_BITS,
    OFFERS,
    OWNER,
    Record,
    csv_of,
    schema,
)
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import LevelLimits
from simulator import EnclaveHarness, SimBank, World
from simulator.sample import Approved

NAMES: Final = tuple(str(offer.ref) for offer in OFFERS)
LIMITS: Final = tuple(
    LevelLimits(level=level, feature_bits=Decimal(3), family_bits=Decimal(FAMILY_BITS))
    for level in (1, 2, 3, 4)
)


@dataclass(slots=True)
class SimRoom:
    """Answers attacks from an enclave; only what one bank may ask."""

    world: World
    bank: SimBank
    checks: Mapping[str, Approved]
    enclave: EnclaveHarness
    serials: Mapping[str, int]
    asked: int = 0
    charged: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    @property
    def rules(self) -> Rules:
        return ALL

    @property
    def cut(self) -> int:
        return 0

    def ask(self, bank: str, rows: Sequence[Row]) -> list[Told]:
        assert bank == BANK
        self.asked += len(rows)
        return [self._told(*row) for row in rows]

    def hang_up(self, bank: str, rows: Sequence[Row]) -> list[Told | None]:
        raise NotImplementedError

    def at_once(self, banks: Sequence[str], rows: Sequence[Row]) -> list[tuple[Row, Told]]:
        raise NotImplementedError

    def trick(self, trick: Trick, rows: Sequence[Row]) -> list[Told]:
        raise NotImplementedError

    def forge(self, subject: str) -> list[Told]:
        raise NotImplementedError

    def regroup(self, bank: str) -> None:
        raise NotImplementedError

    def next_period(self) -> None:
        raise NotImplementedError

    def charged_cells(self, subject: str) -> dict[str, int]:
        return {BANK: prod(self.charged.get(subject, {}).values())}

    def _told(self, subject: str, question: Question) -> Told:
        check = self.checks[question.template]
        sent = self.bank.request(
            self.world.subject(self.serials[subject]),
            check.template,
            check.certificate,
            dict(question.params),
        )
        verdict = self.enclave.ask(sent)
        account = self.charged.setdefault(subject, {})
        for charge in verdict.release.charges:
            account[charge.feature] = max(charge.cells_after, account.get(charge.feature, 1))
        return verdict.truth or verdict.reason or Reason.INTERNAL


@contextmanager
def simulated(
    folder: Path, records: Sequence[Record]
) -> Generator[tuple[SimRoom, dict[str, Record]]]:
    """Open an enclave that holds a firm of each record, all of which consented."""
    world = World("attacked")
    owner, bank = world.owner(OWNER, limits=LIMITS), world.bank(BANK)
    owner.publish_schema(schema(world.room))
    for offer in OFFERS:
        owner.define(offer.statement(world.room))
    owner.agree(bank)
    checks: dict[str, Approved] = {}
    for name, check in CHECKS.items():
        template, certificate = bank.propose(name, check)
        owner.approve(template, certificate.digest)
        checks[name] = Approved(template, certificate)
    firms: dict[str, Record] = {}
    serials: dict[str, int] = {}
    for serial, record in enumerate(records, start=1):
        subject = world.subject(serial)
        subject.give(bank, NAMES)
        firms[subject.uscc], serials[subject.uscc] = record, serial
    with closing(EnclaveHarness(owner, folder)) as enclave:
        enclave.load({"firms": csv_of(firms).encode()})
        enclave.follow()
        yield SimRoom(world, bank, checks, enclave, serials), firms
