"""A real room in a folder: a server process, its enclaves, key agents, and everybody's members.

    live.start()     processes up, owners' enclaves serving, nothing loaded yet
    live.equip()     tables, features, records, templates, agreements, consents

Whoever wants another shape takes the steps one by one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from saferoom.config import CONFIG_FILE
from saferoom.room import add_issuer, init_room
from saferoom_client.agent.folder import KeyAgent, Policy
from saferoom_client.files import read_model
from saferoom_client.issuer import AUTHORITY, Issuer, enrol_member
from saferoom_client.profile import Member, Profile, RoomCard
from saferoom_client.room import Room
from saferoom_client.session import utc_now
from saferoom_client.values import Organisation, Role
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.measure import measure_code, measure_dependencies
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import (
    Agreement,
    Approver,
    Charter,
    Consent,
    LevelLimits,
    Parameter,
    Purpose,
    Returns,
    RoomKeys,
    Template,
    seal_statement,
)
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.statements.template import InstitutionKey
from saferoom_proto.suite import Suite
from tests.flow.offers import (
    APPROVERS,
    BANKS,
    COURT,
    CSV,
    LIMITS,
    NOTICE,
    ORIGIN,
    OWNERS,
    REGISTRAR,
    SILENT,
    SUBJECTS,
    TEMPLATES,
    THRESHOLD,
    VAT,
    YEAR,
    court_schema,
    dishonest,
    tax_schema,
    title,
    vat_paid,
)
from tests.flow.processes import Processes, free_port

T = TypeVar("T")


@dataclass(slots=True)
class LiveRoom:
    """A room's folders and processes, and a way in for each member."""

    folder: Path
    owners: Sequence[str] = OWNERS
    host: str = "127.0.0.1"
    suite: Suite = Suite.INTERNATIONAL
    issuer: Issuer = field(init=False)
    roots: dict[str, SigningKey] = field(default_factory=dict[str, SigningKey])
    agents: dict[str, KeyAgent] = field(default_factory=dict[str, KeyAgent])
    processes: Processes = field(init=False)
    consents: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    schemas: dict[str, str] = field(default_factory=dict[str, str])
    brokers: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """Where enclaves of owners listen for their brokers."""

    def __post_init__(self) -> None:
        self.processes = Processes(self.folder / "logs")
        self.issuer = Issuer.create("registry", utc_now(), suite=self.suite)

    @property
    def room(self) -> Path:
        """The operator's folder."""
        return self.folder / "room"

    def member(self, organisation: str, name: str) -> Path:
        """Give a member's folder."""
        return self.folder / "members" / organisation / name

    def open(self, organisation: str, name: str) -> Room:
        """Connect as a member."""
        return Room.open(self.member(organisation, name))

    def start(self) -> None:
        """Make the room, start its processes, and wait until every enclave serves."""
        self.make()
        self.start_server()
        for owner in self.owners:
            self.start_agent(owner)
        self.processes.wait_for(self.answers, "the server answers no call")
        self.enrol_organisations()
        self.put_charters()
        self.processes.wait_for(self.serving, "an enclave is not serving")

    def make(self) -> None:
        """Make the folders of the operator, the issuer, the owners and all members."""
        address = f"{self.host}:{free_port(self.host)}"
        init_room(self.room, ORIGIN, address, suite=self.suite)
        config, section = self.room / CONFIG_FILE, "[enclaves.brokers]"
        named = (f'{owner} = "{folder}"' for owner, folder in self.brokers.items())
        text = config.read_text("utf-8")
        config.write_text(text.replace(section, "\n".join((section, *named))), "utf-8")
        self.issuer.save(self.folder / "issuer")
        add_issuer(self.room, self.issuer.name, self.issuer.pem.encode())
        if self.issuer.authority is not None:
            signing = (self.folder / "issuer" / AUTHORITY).read_bytes()
            add_issuer(self.room, f"{self.issuer.name}-signing", signing)
        code, dependencies = measure_code(), measure_dependencies()
        self.roots |= {owner: SigningKey.generate(self.suite) for owner in self.owners}
        for owner in self.owners:
            policy = Policy(
                room=ORIGIN,
                owner=owner,
                charter_root=self.roots[owner].verify_key.public,
                code=(code,),
                dependencies=(dependencies,),
                evidence_kinds=("software",),
            )
            self.agents[owner] = KeyAgent.create(self.folder / "agents" / owner, policy)
            self.enrol(owner, "key-agent", self.agents[owner].profile_folder)
            for approver in APPROVERS:
                self.enrol(owner, approver)
        for organisation in ("operator", "auditor", "registry", REGISTRAR, *BANKS):
            self.enrol(organisation, "desk")
        for subject in SUBJECTS:
            self.enrol(subject, "self")

    def enrol(self, organisation: str, name: str, folder: Path | None = None) -> Profile:
        """Have the issuer name a member, who pins the owners' charter roots."""
        return enrol_member(
            self.issuer,
            folder or self.member(organisation, name),
            read_model(self.room / "room-card.json", RoomCard),
            Member(organisation=organisation, name=name),
            utc_now(),
            charter_roots={each: key.verify_key.public for each, key in self.roots.items()},
        )

    def start_server(self) -> None:
        """Start the server's process, or start it again."""
        self.processes.spawn("server", "-m", "saferoom", str(self.room))

    def start_agent(self, owner: str) -> None:
        """Start an owner's key agent."""
        folder = str(self.agents[owner].folder)
        self.processes.spawn(f"agent {owner}", "-m", "saferoom_client", "agent", "run", folder)

    def enrol_organisations(self) -> None:
        """Have the operator enrol everybody with their roles."""
        roles = dict.fromkeys(self.owners, Role.OWNER) | dict.fromkeys(BANKS, Role.INSTITUTION)
        roles |= {"auditor": Role.AUDITOR, "registry": Role.ISSUER, REGISTRAR: Role.INSTITUTION}
        with self.open("operator", "desk") as room:
            for name, role in roles.items():
                room.enrol_organisation(Organisation(name, title(name), frozenset({role})))

    def put_charters(self) -> None:
        """Hand in every owner's first charter, upon which the server starts its enclave."""
        for owner in self.owners:
            with self.open(owner, APPROVERS[0]) as room:
                room.put_charter(seal_statement(self.charter(owner), self.roots[owner]))

    def charter(self, owner: str, **changes: object) -> Charter:
        """Make an owner's first charter; fields can be changed by name."""
        card = read_model(self.room / "room-card.json", RoomCard)
        keys = {name: self.profile(owner, name).signing_key for name in APPROVERS}
        agent = self.agents[owner].card
        fields: dict[str, object] = {
            "room": ORIGIN,
            "owner": owner,
            "title": title(owner),
            "version": 1,
            "previous": None,
            "suite": self.suite,
            "root": self.roots[owner].verify_key.public,
            "approvers": tuple(
                Approver(name=name, key=key.verify_key.public) for name, key in keys.items()
            ),
            "threshold": THRESHOLD,
            "issuers": (self.issuer.card,),
            "registrars": (REGISTRAR,),
            "key_agent": agent.key_agent,
            "pairing": agent.pairing,
            "room_keys": RoomKeys(ledger=card.ledger_key, heads=card.heads_key),
            "max_head_age_seconds": 60,
            "min_sandbox_level": 0,
            "release_tick_milliseconds": 0,
            "limits": tuple(
                LevelLimits(level=level, feature_bits=Decimal(one), family_bits=Decimal(many))
                for level, (one, many) in enumerate(LIMITS, start=1)
            ),
        }
        return Charter.model_validate(fields | changes)

    def profile(self, organisation: str, name: str) -> Profile:
        """Read a member's folder."""
        return Profile.load(self.member(organisation, name))

    # What the members bring, step by step.

    def equip(self) -> None:
        """Bring all that a check needs; every subject but the silent one consents to bank-a."""
        self.define()
        self.load()
        for name in TEMPLATES:
            self.approve(self.propose(name))
        for owner in self.owners:
            self.agree(owner, "bank-a")
        for subject in SUBJECTS:
            if subject != SILENT:
                self.consent(subject, "bank-a")

    def define(self) -> None:
        """Hand in tables and features."""
        for owner, schema, feature in (
            ("court", court_schema(), dishonest()),
            ("tax", tax_schema(), vat_paid()),
        ):
            if owner in self.owners:
                with self.open(owner, APPROVERS[0]) as room:
                    self.schemas[owner] = room.put_schema(schema).statement.digest
                    room.put_feature(feature)

    def load(self) -> None:
        """Load each owner's records, sealed to its enclave."""
        for owner in self.owners:
            table, text = CSV[owner]
            path = self.folder / f"{table}.csv"
            path.write_text(text, "utf-8")
            with self.open(owner, APPROVERS[0]) as room:
                report = room.load_data(self.schemas[owner], {table: path})
            assert report.bad_row_count == 0, report.bad_rows

    def propose(
        self,
        offer: str,
        bank: str = "bank-a",
        *,
        name: str | None = None,
        feature: str = VAT,
        returns: Returns = Returns.PARTS,
    ) -> str:
        """Have a bank propose one of the templates, maybe renamed, on a feature; give its digest.

        The newest of a name is the one that members ask by: in a room that other tests use too,
        another feature's template takes another name.
        """
        check, purposes = TEMPLATES[offer]
        with self.open(bank, "desk") as room:
            template = Template(
                room=ORIGIN,
                kind="Check",
                name=name or offer,
                title=title(name or offer),
                proposer=bank,
                signer=b64(room.profile.signing_certificate),
                purposes=tuple(Purpose(each) for each in purposes),
                params={"least": Parameter(feature=feature)},
                check=check.replace(VAT, feature),
                returns=returns,
            )
            return room.propose_template(template).recorded.statement.digest

    def approve(self, template: str, approvers: Sequence[str] = APPROVERS[:THRESHOLD]) -> None:
        """Have the approvers of every owner that a template touches approve it."""
        with self.open(self.owners[-1], APPROVERS[0]) as room:
            parts = room.get_template(template).certificate.parts
        for part in parts:
            for approver in approvers:
                with self.open(part.owner, approver) as room:
                    room.approve(room.get_template(template))

    def agree(self, owner: str, bank: str, **changes: object) -> str:
        """Have an owner and a bank sign an agreement; give its digest."""
        now = whole_milliseconds(utc_now())
        desk = self.profile(bank, "desk")
        fields: dict[str, object] = {
            "room": ORIGIN,
            "owner": owner,
            "institution": bank,
            "group": bank,
            "keys": (InstitutionKey(name="desk", certificate=b64(desk.signing_certificate)),),
            "purposes": tuple(Purpose),
            "replaces": None,
            "valid_from": now,
            "valid_to": now + YEAR,
        }
        signers = [self.profile(owner, each) for each in APPROVERS[:THRESHOLD]] + [desk]
        agreement = Agreement.model_validate(fields | changes)
        envelope = seal_statement(agreement, *(each.signing_key for each in signers))
        with self.open(bank, "desk") as room:
            return room.put_agreement(envelope).statement.digest

    def consent(self, subject: str, bank: str, **changes: object) -> str:
        """Have a subject let a bank ask about all features; give the consent's digest."""
        now = whole_milliseconds(utc_now())
        with self.open(subject, "self") as room:
            fields: dict[str, object] = {
                "room": ORIGIN,
                "subject": subject,
                "certificate": b64(room.profile.signing_certificate),
                "institution": bank,
                "purposes": (Purpose.PRE_LOAN, Purpose.IN_LOAN),
                "features": (VAT, COURT),
                "uses": None,
                "notice": NOTICE,
                "nonce": b64(os.urandom(16)),
                "valid_from": now,
                "valid_to": now + YEAR,
            }
            consent = Consent.model_validate(fields | changes)
            digest = room.grant_consent(consent).statement.digest
        self.consents[subject, bank] = digest
        return digest

    def answers(self) -> bool:
        """Tell whether the server answers."""
        return succeeds(lambda: self._as_operator(lambda room: room.whoami()))

    def serving(self) -> bool:
        """Tell whether every owner's enclave has its key."""
        states = self._as_operator(lambda room: room.describe().enclaves)
        return len(states) == len(self.owners) and all(one.state == "serving" for one in states)

    def _as_operator(self, call: Callable[[Room], T]) -> T:
        with self.open("operator", "desk") as room:
            return call(room)


def succeeds(call: Callable[[], object]) -> bool:
    """Tell whether a call comes back without a refusal."""
    try:
        call()
    except SafeRoomError:
        return False
    return True
