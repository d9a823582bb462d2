"""A real room whose owners run their enclaves themselves, each with a supervisor and a relay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from saferoom_client.premises.exchange import Exchange
from saferoom_client.premises.home import EXCHANGE, Home, HomeConfig
from saferoom_client.values import EnclaveState
from tests.flow.live import LiveRoom
from tests.flow.offers import ORIGIN, SUBJECTS, VAT


@dataclass(slots=True)
class Premises(LiveRoom):
    """A room, and each owner's enclave at its owner.

    Attributes:
        homes: the supervisors' folders.
        prefix: starts owners' programs elsewhere, as in another network namespace.
        enclave_prefix: likewise the supervisor, as another user.
        relay_prefix: likewise the relay.
        shared: the folder between the two; else one in the home.
    """

    homes: dict[str, Home] = field(default_factory=dict[str, Home])
    prefix: Sequence[str] = ()
    enclave_prefix: Sequence[str] = ()
    relay_prefix: Sequence[str] = ()
    shared: Path | None = None

    def make(self) -> None:
        """Make the room, and each owner's home and relay."""
        LiveRoom.make(self)
        config = self.room / "room.toml"
        lines = "".join(f'{owner} = "owner"\n' for owner in self.owners)
        text = config.read_text("utf-8").replace(
            "[enclaves.run_by]\n", f"[enclaves.run_by]\n{lines}"
        )
        config.write_text(text, "utf-8")
        for owner in self.owners:
            self.found(owner)

    def found(self, owner: str) -> None:
        """Make an owner's home and relay, and have its key agent ask for its supervisor."""
        root = self.roots[owner].verify_key.public
        exchange = EXCHANGE if self.shared is None else str(self.shared)
        config = HomeConfig(room=ORIGIN, owner=owner, charter_root=root, exchange=exchange)
        self.homes[owner] = Home.create(self.folder / "homes" / owner, config)
        self.agents[owner].require([self.homes[owner].key.verify_key.public])
        self.enrol(owner, "relay")

    def put_charters(self) -> None:
        """Hand in the charters, and start what owners run."""
        LiveRoom.put_charters(self)
        for owner in self.owners:
            self.start_enclave(owner)
            self.start_relay(owner)

    def equip_one(self) -> None:
        """Bring all that a question to the tax office alone needs."""
        self.define()
        self.load()
        self.approve(self.propose("paid-enough"))
        self.agree("tax", "bank-a")
        for subject in SUBJECTS:
            self.consent(subject, "bank-a", features=(VAT,))

    def start_agent(self, owner: str) -> None:
        """Start an owner's key agent, where its other programs are."""
        folder = str(self.agents[owner].folder)
        arguments = ("-m", "saferoom_client", "agent", "run", folder)
        self.processes.spawn(f"agent {owner}", *arguments, prefix=self.prefix)

    def start_enclave(self, owner: str) -> None:
        """Start an owner's supervisor, which starts the enclave."""
        folder = str(self.homes[owner].folder)
        arguments = ("-m", "saferoom_client", "enclave", "run", folder)
        prefix = (*self.prefix, *self.enclave_prefix)
        self.processes.spawn(f"enclave {owner}", *arguments, prefix=prefix)

    def start_relay(self, owner: str, name: str = "relay", member: Path | None = None) -> None:
        """Start an owner's relay, or another of its own name and member folder."""
        exchange = str(self.exchange(owner).folder)
        profile = str(member or self.member(owner, "relay"))
        arguments = ("-m", "saferoom_client", "relay", "run", exchange, "-p", profile)
        prefix = (*self.prefix, *self.relay_prefix)
        self.processes.spawn(f"{name} {owner}", *arguments, prefix=prefix)

    def exchange(self, owner: str) -> Exchange:
        """Give what supervisor and relay share."""
        return self.homes[owner].exchange

    def state(self, owner: str) -> EnclaveState:
        """Ask the room how an owner's enclave does."""
        with self.open("operator", "desk") as room:
            return next(one for one in room.describe().enclaves if one.owner == owner)

    def until(self, owner: str, state: str, seconds: float = 40.0) -> None:
        """Wait until the room sees an enclave in a state."""

        def reached() -> bool:
            return self.state(owner).state == state

        self.processes.wait_for(reached, f"{owner} is not {state}", seconds)

    def pid(self, owner: str) -> int:
        """Give the enclave's own process, as its supervisor last told it."""
        told = self.processes.log(f"enclave {owner}").rsplit("listening: process ", 1)[1]
        return int(told.split(",", 1)[0])
