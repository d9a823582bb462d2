"""Three owners whose enclaves answer private conjunctions, and a bank that adds their shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom_proto.answer import Truth, combine
from saferoom_proto.dsse import Envelope
from saferoom_proto.shares import Share
from saferoom_proto.statements import Absent, ColumnType, Returns
from saferoom_proto.suite import Suite
from simulator.harness import EnclaveHarness, Verdict
from simulator.owner import SimOwner
from simulator.sample import (
    FEATURES,
    FIRMS,
    Approved,
    Sample,
    column,
    court_csv,
    ordered,
    sample,
    schema,
    table,
    tax_csv,
)

SOUND: Final = "tax.vat_paid >= :min_vat AND court.dishonest IS FALSE AND water.months_paid >= 6"
MONTHS: Final[Mapping[int, int]] = {1: 12, 2: 12, 3: 2}
"""Of how many months a firm paid its water; of the others the water works know nothing."""
COVERED: Final = (*FEATURES, "water.months_paid")


@dataclass(frozen=True, slots=True)
class Conjoined:
    """The small room with a third owner, an enclave for each, and a check over all three."""

    room: Sample
    water: SimOwner
    enclaves: Mapping[str, EnclaveHarness]
    sound: Approved
    """`SOUND`, of which only the whole is told."""

    @property
    def owners(self) -> tuple[SimOwner, ...]:
        """All three."""
        return self.room.tax, self.room.court, self.water

    def conjunction(self, name: str, check: str = SOUND) -> Approved:
        """Propose a conjunction and have it approved by all three, and followed."""
        approved = self.room.approved(name, check, *self.owners, returns=Returns.CONJUNCTION)
        self.follow()
        return approved

    def follow(self) -> None:
        """Let all enclaves follow their streams."""
        for enclave in self.enclaves.values():
            enclave.follow()

    def question(
        self, serial: int = 1, min_vat: str = "50000", asked: Approved | None = None
    ) -> Envelope:
        """Ask about a firm whether it is sound, or another conjunction."""
        return self.room.question(serial, min_vat, asked or self.sound)

    def ask(self, question: Envelope) -> dict[str, Verdict]:
        """Have every owner's enclave judge a question, as the server does."""
        return {owner: each.ask(question) for owner, each in self.enclaves.items()}

    def shares(self, question: Envelope) -> dict[str, Share]:
        """Give the share of every owner, opened by the asker."""
        given = {owner: verdict.share for owner, verdict in self.ask(question).items()}
        return {owner: share for owner, share in given.items() if share is not None}

    def whole(self, question: Envelope) -> Truth:
        """Ask, and add up."""
        shares = self.shares(question)
        assert shares.keys() == self.enclaves.keys()
        return combine(list(shares.values()))

    def close(self) -> None:
        """End the enclaves."""
        for enclave in self.enclaves.values():
            enclave.close()


def conjoined(folder: Path, suite: Suite = Suite.INTERNATIONAL) -> Conjoined:
    """Make the room, its records loaded, its firms having consented to the first bank."""
    room = sample(suite=suite)
    water = room.world.owner("water")
    water.publish_schema(
        schema("water", table("bills", column("months_paid", ColumnType.BIGINT, 2)))
    )
    sql = "SELECT uscc AS subject, months_paid AS value FROM bills"
    water.define(
        ordered("water", "months_paid", sql, ("3", "6", "9"), level=2, absent=Absent.UNKNOWN)
    )
    water.agree(room.bank)
    bills = "".join(
        f"{room.world.subject(serial).uscc},{paid}\n" for serial, paid in MONTHS.items()
    )
    loads = {
        "tax": {"firms": tax_csv(room.world)},
        "court": {"judgments": court_csv(room.world)},
        "water": {"bills": f"uscc,months_paid\n{bills}".encode()},
    }
    owners = (room.tax, room.court, water)
    enclaves = {owner.name: EnclaveHarness(owner, folder) for owner in owners}
    for name, enclave in enclaves.items():
        enclave.load(loads[name])
    for serial in (*FIRMS, 9):
        room.world.subject(serial).give(room.bank, COVERED)
    sound = room.approved("sound", SOUND, *owners, returns=Returns.CONJUNCTION)
    made = Conjoined(room, water, enclaves, sound)
    made.follow()
    return made
