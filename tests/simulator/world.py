"""A whole room in memory, without a server: who is in it, what they said, and the ledger of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from saferoom_proto import chain
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.formula import FeatureRef
from saferoom_proto.handover import lead_from, verify_handover
from saferoom_proto.keys import SigningKey
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.statements import Feature, Head, KeyHandover, KeyUse, load, seal_statement
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.suite import Suite
from saferoom_proto.trust import FormerKey, Trust
from simulator.bank import SimBank
from simulator.clock import Clock, SimClock
from simulator.issuer import SimIssuer
from simulator.ledger import SimLedger
from simulator.owner import SimOwner
from simulator.seeds import Seeds
from simulator.subject import SimSubject

ROOM: Final = "room.example"


@dataclass(slots=True)
class SimStream:
    """One owner's statement stream: numbered from 1, each number with its running hash."""

    statements: list[Envelope] = field(default_factory=list[Envelope])
    running: list[str] = field(default_factory=lambda: [chain.GENESIS])

    def append(self, statement: Envelope) -> None:
        """Add the next statement."""
        self.statements.append(statement)
        self.running.append(chain.extend(self.running[-1], statement.whole))


class World:
    """A room and everybody in it. The same seed gives the same world, byte for byte.

    Time is made up unless a clock is given. `owner`, `bank` and `subject` give the one of a name,
    made when first asked for; an owner comes with its first charter published.
    """

    def __init__(
        self,
        seed: int | str = 0,
        room: str = ROOM,
        clock: Clock | None = None,
        suite: Suite = Suite.INTERNATIONAL,
    ) -> None:
        self.room: Final = room
        self.clock: Final = SimClock() if clock is None else clock
        self.seeds: Final = Seeds(seed, suite)
        self.heads: Final = self.seeds.signing("heads of the room")
        self.ledger: Final = SimLedger(room, self.seeds.signing("ledger of the room"), self.seeds)
        self.issuer: Final = SimIssuer("issuer", room, self.seeds, self.clock.utc())
        self.owners: Final[dict[str, SimOwner]] = {}
        self.banks: Final[dict[str, SimBank]] = {}
        self.subjects: Final[dict[int, SimSubject]] = {}
        self.streams: Final[dict[str, SimStream]] = {}
        self.features: Final[dict[FeatureRef, PinnedFeature]] = {}
        """The newest version of every feature of every owner."""

    def now(self) -> datetime:
        """Give the host's time, in whole milliseconds."""
        return whole_milliseconds(self.clock.utc())

    def owner(self, name: str, **charter: object) -> SimOwner:
        """Give an owner; the first time, with a charter whose fields can be changed by name."""
        if name not in self.owners:
            self.owners[name] = SimOwner(name, self)
            self.streams[name] = SimStream(running=[chain.genesis(self.seeds.suite)])
            self.owners[name].adopt(**charter)
        return self.owners[name]

    def bank(self, name: str) -> SimBank:
        """Give an institution."""
        return self.banks.setdefault(name, SimBank(name, self))

    def subject(self, serial: int) -> SimSubject:
        """Give the enterprise of a serial number."""
        if serial not in self.subjects:
            self.subjects[serial] = SimSubject(serial, self)
        return self.subjects[serial]

    def publish(self, statement: Envelope, *owners: str) -> Envelope:
        """Record a statement and add it to the streams of some owners, or of all."""
        self.ledger.record(statement)
        if statement.payload_type == Feature.payload_type():
            pinned = PinnedFeature(load(statement, Feature), statement.digest)
            self.features[pinned.ref] = pinned
        for name in owners or self.streams:
            self.streams[name].append(statement)
        return statement

    def head(self, owner: str, nonce: bytes, **changes: object) -> Envelope:
        """Sign a stream's head for an enclave's nonce; fields can be changed by name."""
        stream = self.streams[owner]
        fields: dict[str, object] = {
            "room": self.room,
            "owner": owner,
            "sequence": len(stream.statements),
            "running": stream.running[-1],
            "checkpoint": self.ledger.note(),
            "nonce": b64(nonce),
            "time": self.now(),
        }
        return seal_statement(Head.model_validate(fields | changes), self.heads)

    def trust(self) -> Trust:
        """Give what a member of this room pinned when it joined."""
        roots = {name: owner.root.verify_key.public for name, owner in self.owners.items()}
        ledger = self.ledger.key.verify_key.public
        return Trust(origin=self.room, ledger_key=ledger, charter_roots=roots)

    # The log's key is handed over.

    def hand_over_log(self, following: SigningKey, *keys: SigningKey) -> Envelope:
        """Record that the log's key hands over, by both keys or by these; both sign from then on.

        Which signs what is in `ledger.signers`.
        """
        former = self.ledger.key
        says = KeyHandover(
            room=self.room,
            use=KeyUse.LEDGER,
            former=former.verify_key.public,
            following=following.verify_key.public,
            time=self.now(),
        )
        statement = seal_statement(says, *(keys or (former, following)))
        self.ledger.record(statement)
        self.ledger.signers = (former, following)
        return statement

    def trust_after(self, handover: Envelope) -> Trust:
        """Give what a member trusts who pinned the log's former key and followed."""
        before = self.trust()
        said = verify_handover(handover, self.room)
        (led,) = lead_from(before.ledger_key, KeyUse.LEDGER, [said])
        former = FormerKey(key=led.says.former, size=self.ledger.index_of[handover.digest])
        changes = {"ledger_key": led.says.following, "former_ledger_keys": (former,)}
        return before.model_copy(update=changes)
