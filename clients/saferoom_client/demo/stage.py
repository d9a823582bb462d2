"""The room of the demo as its members set it up: folders, keys, processes, statements.

ROOM/                 what the operator keeps: the server's folder, the enclaves' folders in it
issuer/               the identity issuer, apart from the server
owners/OWNER/         the charter root and the key agent
members/ORG/NAME/     each member's own folder
files/                what people wrote: schemas, features, templates, and the CSV files
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from saferoom_client.agent.folder import KeyAgent, Policy
from saferoom_client.demo.processes import Processes, free_address
from saferoom_client.files import read_model, write_file
from saferoom_client.issuer import AUTHORITY, CERTIFICATE, Issuer, enrol_member
from saferoom_client.profile import Member, Profile, RoomCard
from saferoom_client.room import Room
from saferoom_client.values import Organisation, Role
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.measure import measure_code, measure_dependencies
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import (
    Agreement,
    Approver,
    Charter,
    LevelLimits,
    Purpose,
    RoomKeys,
    Title,
    seal_statement,
)
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.statements.template import InstitutionKey
from saferoom_proto.suite import Suite

ORIGIN: Final = "demo.saferoom.example/room"
APPROVERS: Final = ("li", "wang", "zhao")
THRESHOLD: Final = 2
OWNERS: Final = {
    "bills": Title(en="Bureau of bills and payments", zh="账单与还款数据局"),
    "repay": Title(en="Bureau of repayment records", zh="还款记录数据局"),
}
BANKS: Final = {
    "bank-a": Title(en="First Bank of Nowhere", zh="乌有第一银行"),
    "bank-b": Title(en="Second Bank of Nowhere", zh="乌有第二银行"),
}
AUDITOR: Final = Title(en="Audit office", zh="审计署")
LIMITS: Final = ((0, 0), (3, 12), (3, 12), (3, 6))
"""Bits for each feature and period, and for each family in 36 months, by level 1 to 4."""
ENCLAVES_SECONDS: Final = 60.0
"""Long enough for a machine that has much else to do."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is in the room, and within which bounds.

    Attributes:
        origin: the room's name.
        owners: the data owners.
        banks: the institutions.
        limits: bits for each feature and period, and for each family in 36 months, by level.
        purposes: what owners and banks agree on.
        written: the package whose `files` people of the room wrote; empty if nobody wrote any.
        registrars: institutions that may register consents given on paper.
    """

    origin: str
    owners: Mapping[str, Title]
    banks: Mapping[str, Title]
    limits: tuple[tuple[int, int], ...]
    purposes: tuple[Purpose, ...]
    written: str
    registrars: tuple[str, ...] = ()


DEMO: Final = Cast(
    ORIGIN,
    OWNERS,
    BANKS,
    LIMITS,
    (Purpose.PRE_LOAN, Purpose.IN_LOAN, Purpose.PRODUCT_DESIGN),
    "saferoom_client.demo",
)


@dataclass(frozen=True, slots=True)
class OwnerKeys:
    """What a data owner keeps at home."""

    root: SigningKey = field(repr=False)
    agent: KeyAgent
    title: Title


@dataclass(slots=True)
class Stage:
    """A room on this machine. Each method does what one or two members do on their own machines."""

    folder: Path
    processes: Processes
    cast: Cast = DEMO
    sandbox_level: int = 1
    release_tick_milliseconds: int = 5
    suite: Suite = Suite.INTERNATIONAL
    owners: dict[str, OwnerKeys] = field(default_factory=dict[str, OwnerKeys])
    _issuer: Issuer | None = None

    @property
    def room(self) -> Path:
        """The operator's folder."""
        return self.folder / "room"

    @property
    def card(self) -> RoomCard:
        """What the operator hands to every member."""
        return read_model(self.room / "room-card.json", RoomCard)

    @property
    def issuer(self) -> Issuer:
        """The identity issuer."""
        if self._issuer is None:
            self._issuer = Issuer.load(self.folder / "issuer")
        return self._issuer

    def member(self, organisation: str, name: str) -> Path:
        """Give a member's folder."""
        return self.folder / "members" / organisation / name

    def open(self, organisation: str, name: str) -> Room:
        """Connect to the room as a member."""
        return Room.open(self.member(organisation, name))

    def file(self, name: str) -> Path:
        """Give a file that somebody wrote."""
        return self.folder / "files" / name

    def make_folders(self) -> None:
        """Make the operator's room and the identity issuer, each in a folder of its own."""
        self.processes.run(
            "room",
            "init",
            str(self.room),
            "--origin",
            self.cast.origin,
            "--address",
            free_address(),
            "--suite",
            self.suite,
        )
        issuer = Issuer.create("registry", datetime.now(UTC), suite=self.suite)
        issuer.save(self.folder / "issuer")
        self._admit("issuer", CERTIFICATE)
        if issuer.authority is not None:
            self._admit("signing", AUTHORITY)
        if not self.cast.written:
            self.file("").mkdir()
            return
        with as_file(files(self.cast.written).joinpath("files")) as written:
            shutil.copytree(written, self.folder / "files")

    def _admit(self, name: str, certificate: str) -> None:
        path = self.folder / "issuer" / certificate
        self.processes.run("room", "admit", str(self.room), str(path), "--name", name)

    def enrol(self, organisation: str, name: str) -> Profile:
        """Have the identity issuer name a member, who pins the owners' charter roots."""
        return enrol_member(
            self.issuer,
            self.member(organisation, name),
            self.card,
            Member(organisation=organisation, name=name),
            datetime.now(UTC),
            charter_roots={each: keys.root.verify_key.public for each, keys in self.owners.items()},
        )

    def make_owners(self) -> None:
        """Make each owner's charter root and key agent, at the owner."""
        for name, title in self.cast.owners.items():
            home = self.folder / "owners" / name
            root = SigningKey.generate(self.suite)
            policy = Policy(
                room=self.cast.origin,
                owner=name,
                charter_root=root.verify_key.public,
                code=(measure_code(),),
                dependencies=(measure_dependencies(),),
                evidence_kinds=("software",),
            )
            self.owners[name] = OwnerKeys(
                root, KeyAgent.create(self.agent_folder(name), policy), title
            )
            write_file(home / "root.key", root.to_pem())

    def enrol_everybody(self, subjects: Mapping[str, str]) -> None:
        """Name the members of all organisations, and the subjects that come themselves."""
        self.enrol("operator", "admin")
        self.enrol("auditor", "desk")
        for bank in self.cast.banks:
            self.enrol(bank, "desk")
        for owner, keys in self.owners.items():
            for approver in APPROVERS:
                self.enrol(owner, approver)
            profile = self.enrol(owner, "key-agent")
            profile.folder.rename(keys.agent.profile_folder)
        for uscc in subjects.values():
            self.enrol(uscc, "self")

    def serve(self) -> None:
        """Start the server and wait until it answers."""
        self.processes.start("server", "room", "serve", str(self.room))
        self.processes.wait_until(self._answers, "the server answers no call")

    def _answers(self) -> bool:
        with self.open("operator", "admin") as room:
            return succeeds(room.whoami)

    def enrol_organisations(self) -> None:
        """Have the operator enrol the organisations with their roles."""
        roles = [(name, title, Role.OWNER) for name, title in self.cast.owners.items()]
        roles += [(name, title, Role.INSTITUTION) for name, title in self.cast.banks.items()]
        roles.append(("auditor", AUDITOR, Role.AUDITOR))
        with self.open("operator", "admin") as room:
            for name, title, role in roles:
                room.enrol_organisation(Organisation(name, title, frozenset({role})))

    def start_agents(self, *without: str) -> None:
        """Start the owners' key agents, but for some."""
        for name in self.cast.owners.keys() - set(without):
            self.processes.start(f"key-agent-{name}", "agent", "run", str(self.agent_folder(name)))

    def agent_folder(self, owner: str) -> Path:
        """Give the folder of an owner's key agent."""
        return self.folder / "owners" / owner / "agent"

    def put_charters(self) -> None:
        """Sign each owner's charter with its root and hand it in; its enclave then starts."""
        for name in self.owners:
            with self.open(name, APPROVERS[0]) as room:
                room.put_charter(seal_statement(self._charter(name), self.owners[name].root))

    def wait_for_enclaves(self, *without: str) -> None:
        """Wait until every enclave, but for some, has its key from its owner's agent."""
        wanted = self.cast.owners.keys() - set(without)
        with self.open("operator", "admin") as room:

            def serving() -> bool:
                states = {each.owner: each.state for each in room.describe().enclaves}
                return all(states.get(owner) == "serving" for owner in wanted)

            self.processes.wait_until(serving, "an enclave is not serving", ENCLAVES_SECONDS)

    def approve(self, owner: str, template: str) -> None:
        """Have as many of an owner's approvers approve a template, by its digest, as must agree."""
        for approver in APPROVERS[:THRESHOLD]:
            with self.open(owner, approver) as room:
                room.approve(room.get_template(template))

    def sign_agreements(self, institution: str) -> None:
        """Let every owner and an institution agree: two approvers and the bank sign."""
        for owner in self.owners:
            agreement = self._agreement(owner, institution)
            signers = [(owner, approver) for approver in APPROVERS[:THRESHOLD]]
            profiles = [Profile.load(self.member(*each)) for each in signers]
            profiles.append(Profile.load(self.member(institution, "desk")))
            envelope = seal_statement(agreement, *(each.signing_key for each in profiles))
            with self.open(owner, APPROVERS[0]) as room:
                room.put_agreement(envelope)

    def _charter(self, owner: str) -> Charter:
        keys, card = self.owners[owner], self.card
        members = {name: Profile.load(self.member(owner, name)) for name in APPROVERS}
        return Charter(
            room=self.cast.origin,
            owner=owner,
            title=keys.title,
            version=1,
            previous=None,
            suite=self.suite.value,
            root=keys.root.verify_key.public,
            approvers=tuple(
                Approver(name=name, key=profile.signing_key.verify_key.public)
                for name, profile in members.items()
            ),
            threshold=THRESHOLD,
            issuers=(self.issuer.card,),
            registrars=self.cast.registrars,
            key_agent=keys.agent.card.key_agent,
            pairing=keys.agent.card.pairing,
            room_keys=RoomKeys(ledger=card.ledger_key, heads=card.heads_key),
            max_head_age_seconds=60,
            min_sandbox_level=self.sandbox_level,
            release_tick_milliseconds=self.release_tick_milliseconds,
            limits=tuple(
                LevelLimits(level=level, feature_bits=Decimal(one), family_bits=Decimal(many))
                for level, (one, many) in enumerate(self.cast.limits, start=1)
            ),
        )

    def _agreement(self, owner: str, institution: str) -> Agreement:
        desk = Profile.load(self.member(institution, "desk"))
        now = whole_milliseconds(datetime.now(UTC))
        return Agreement(
            room=self.cast.origin,
            owner=owner,
            institution=institution,
            group=f"group-{institution}",
            keys=(InstitutionKey(name="desk", certificate=b64(desk.signing_certificate)),),
            purposes=self.cast.purposes,
            replaces=None,
            valid_from=now,
            valid_to=now + timedelta(days=365),
        )


def succeeds(call: Callable[[], object]) -> bool:
    """Tell whether a call comes back without a refusal."""
    try:
        call()
    except SafeRoomError:
        return False
    return True
