"""A real room with the made-up store, and all that an attacker may have in its hands.

Everything that the room's members do is done through the SDK, as in the demo: real processes, real
enclaves. Only the operator's limits on bad requests are lifted, so that nothing slows an attack.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from saferoom_attacks import blurred, books, offices
from saferoom_attacks.ask import (
    BANK,
    BANKS,
    FORMER_BANK,
    LEFT_BANK,
    STRANGER,
    group_of,
)
from saferoom_attacks.firms import (
    CHECKS,
    FAMILY_BITS,
    FORMER,
    FORMER_GRID,
    OFFERS,
    OWNER,
    Record,
    csv_of,
    schema,
)
from saferoom_client.demo.stage import APPROVERS, THRESHOLD, Cast, Stage
from saferoom_client.profile import Profile
from saferoom_client.room import Room
from saferoom_client.values import TemplateView
from saferoom_proto.encoding import b64, sha256_digest
from saferoom_proto.formula import parameters, parse_formula
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Agreement,
    Consent,
    Parameter,
    Purpose,
    Template,
    Title,
    seal_statement,
)
from saferoom_proto.statements.base import fresh_nonce, whole_milliseconds
from saferoom_proto.statements.consent import Paper
from saferoom_proto.statements.template import InstitutionKey

REGISTRAR: Final = "hall"
"""Registers the firms' consents, which are on paper: so a firm needs no key of its own."""
ATTACKED: Final = Cast(
    origin="attack.saferoom.example/room",
    owners={OWNER: Title(en="Tax office of Nowhere", zh="乌有市税务局")},
    banks={name: Title(en=name, zh=name) for name in (*BANKS, REGISTRAR)},
    limits=((0, 0), *((3, FAMILY_BITS),) * 3),
    purposes=(Purpose.PRE_LOAN, Purpose.IN_LOAN),
    written="",
    registrars=(REGISTRAR,),
)
_ALSO: Final = {
    books.OWNER: Title(en="Books of Nowhere", zh="乌有市账簿局"),
    blurred.OWNER: Title(en="Statistics of Nowhere", zh="乌有市统计局"),
    **{
        name: Title(en=f"Tax office of Nowhere, {name}", zh=f"乌有市{zh}区税务局")
        for name, zh in zip(offices.OWNERS, "东北南西", strict=True)
    },
}
"""Owners whose tables are attacked."""
_PAPER: Final = sha256_digest(b"A scan of a made-up paper.")
_YEAR: Final = timedelta(days=365)
_AT_ONCE: Final = 16
"""Consents under way: below what one caller may have (64)."""
_LIFTED: Final = {"bad_requests_at_once": "100000", "bad_requests_per_second": "10000.0"}
"""The operator's limits on requests that are refused for their caller's own fault."""
WITHDRAWN: Final = "withdrawn"
FORMERLY: Final = "former-least"
UNAPPROVED: Final = "unapproved"


def cast_with(*owners: str) -> Cast:
    """Give the members, with some of the owners whose tables are attacked."""
    return replace(ATTACKED, owners={**ATTACKED.owners, **{each: _ALSO[each] for each in owners}})


@dataclass(frozen=True, slots=True)
class Grant:
    """A consent that a firm gives.

    Attributes:
        subject: the firm.
        bank: whom it lets ask.
        purposes: for what.
        uses: how many questions it serves; none sets no limit.
        revoked: it is taken back before anybody attacks.
    """

    subject: str
    bank: str
    purposes: tuple[Purpose, ...] = (Purpose.PRE_LOAN,)
    uses: int | None = None
    revoked: bool = False


@dataclass(slots=True)
class Ground:
    """The room, opened; who uses it closes it."""

    stage: Stage
    firms: Mapping[str, Record]
    templates: dict[str, str] = field(default_factory=dict[str, str])
    former: TemplateView | None = None
    """A template as it was before its feature changed, as an attacker kept it."""
    epoch: int = 0
    _schema: str = ""
    _agreed: dict[str, str] = field(default_factory=dict[str, str])
    _open: ExitStack = field(default_factory=ExitStack)
    _rooms: dict[tuple[str, str], Room] = field(default_factory=dict[tuple[str, str], Room])

    def room(self, organisation: str, name: str = "desk") -> Room:
        """Give a member's connection, made once."""
        if (room := self._rooms.get((organisation, name))) is None:
            room = self._open.enter_context(self.stage.open(organisation, name))
            self._rooms[organisation, name] = room
        return room

    def close(self) -> None:
        """End all connections."""
        self._rooms.clear()
        self._open.close()

    def build(self, say: Callable[[str], None]) -> None:
        """Make the room, up to the last agreement."""
        stage = self.stage
        say("making everybody's keys")
        stage.make_folders()
        self._lift_limits()
        stage.make_owners()
        stage.enrol_everybody({})
        say("starting the room and its enclave")
        stage.serve()
        stage.enrol_organisations()
        stage.start_agents()
        stage.put_charters()
        stage.wait_for_enclaves()
        say("defining, loading, approving, agreeing")
        owner = self.room(OWNER, APPROVERS[0])
        self._schema = owner.put_schema(schema(stage.cast.origin)).statement.digest
        for offer in OFFERS:
            owner.put_feature(offer.statement(stage.cast.origin))
        self.load()
        for name, check in CHECKS.items():
            self.propose(name, check)
            self.approve(self.templates[name])
        self._leave_behind()
        self._agree_all()

    def load(self) -> None:
        """Have the owner load the same records, which opens a period."""
        path = self.stage.file("firms.csv")
        path.write_text(csv_of(self.firms), "utf-8")
        report = self.room(OWNER, APPROVERS[0]).load_data(self._schema, {"firms": path})
        if report.snapshot is None:
            raise SafeRoomError(Reason.INTERNAL, f"{report.bad_row_count} bad rows")
        self.epoch = report.snapshot.store.epoch

    def propose(self, name: str, check: str, *, known_as: str = "") -> str:
        """Have the attacking bank propose a check; its digest is kept under the name."""
        bank = self.room(BANK)
        params = {
            name: Parameter(feature=str(feature))
            for name, feature in parameters(parse_formula(check)).items()
        }
        template = Template(
            room=self.stage.cast.origin,
            kind="Check",
            name=known_as or name,
            title=Title(en=name, zh=name),
            proposer=BANK,
            signer=b64(bank.profile.signing_certificate),
            purposes=(Purpose.PRE_LOAN, Purpose.IN_LOAN),
            params=params,
            check=check,
        )
        self.templates[name] = bank.propose_template(template).recorded.statement.digest
        return self.templates[name]

    def approve(self, template: str) -> None:
        """Have as many approvers approve as it takes."""
        for approver in APPROVERS[:THRESHOLD]:
            room = self.room(OWNER, approver)
            room.approve(room.get_template(template))

    def own_grants(self, subject: str) -> list[Grant]:
        """Let all banks ask about a firm of the attackers' own."""
        return [Grant(subject, bank) for bank in BANKS]

    def grant(self, grants: Sequence[Grant]) -> None:
        """Have firms consent, and take back what they take back."""
        hall = self.room(REGISTRAR)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            given = list(pool.map(hall.grant_consent, (self._consent(hall, one) for one in grants)))
            taken_back = [
                one.statement.digest
                for one, grant in zip(given, grants, strict=True)
                if grant.revoked
            ]
            list(pool.map(hall.revoke_consent, taken_back))

    def regroup(self, bank: str) -> None:
        """Have the owner and a bank agree anew, for a group of another name."""
        before = self._agreed[bank]
        self._agreed[bank] = self.agree(
            bank, (Purpose.PRE_LOAN,), replaces=before, group=f"{bank}-{before[-8:]}"
        )

    def _leave_behind(self) -> None:
        """Leave lying about what counts no more: a feature, an approval, a template nobody took."""
        self.propose(FORMERLY, "tax.former >= :least")
        self.approve(self.templates[FORMERLY])
        self.former = self.room(BANK).get_template(self.templates[FORMERLY])
        changed = FORMER.statement(self.stage.cast.origin, 2, FORMER_GRID)
        self.room(OWNER, APPROVERS[0]).put_feature(changed)
        self.propose(WITHDRAWN, "tax.turnover >= :least OR tax.turnover >= 16")
        self.approve(self.templates[WITHDRAWN])
        for approver in APPROVERS[:THRESHOLD]:
            self.room(OWNER, approver).withdraw(self.templates[WITHDRAWN], "it tells too much")
        self.propose(UNAPPROVED, "tax.turnover >= :least AND tax.turnover IS NOT NULL")

    def _agree_all(self) -> None:
        """Have the owner agree with every bank; with one anew and narrower, with one no longer."""
        for bank in BANKS:
            both = bank in (BANK, STRANGER, FORMER_BANK)
            purposes = self.stage.cast.purposes if both else (Purpose.PRE_LOAN,)
            agreed = self._agreed[bank] = self.agree(bank, purposes)
            if bank == FORMER_BANK:
                self.agree(bank, (Purpose.PRE_LOAN,), replaces=agreed)
            if bank == LEFT_BANK:
                self.room(OWNER, APPROVERS[0]).end_agreement(agreed, "the bank left")

    def agree(
        self,
        bank: str,
        purposes: Sequence[Purpose],
        *,
        owner: str = OWNER,
        replaces: str | None = None,
        group: str = "",
    ) -> str:
        """Have an owner and a bank agree; gives the agreement's digest."""
        desk = self.room(bank).profile
        now = whole_milliseconds(datetime.now(UTC))
        agreement = Agreement(
            room=self.stage.cast.origin,
            owner=owner,
            institution=bank,
            group=group or group_of(bank),
            keys=(InstitutionKey(name="desk", certificate=b64(desk.signing_certificate)),),
            purposes=tuple(purposes),
            replaces=replaces,
            valid_from=now,
            valid_to=now + _YEAR,
        )
        approvers = [Profile.load(self.stage.member(owner, each)) for each in APPROVERS[:THRESHOLD]]
        keys = [each.signing_key for each in (*approvers, desk)]
        return self.room(bank).put_agreement(seal_statement(agreement, *keys)).statement.digest

    def _consent(self, hall: Room, grant: Grant) -> Consent:
        now = whole_milliseconds(datetime.now(UTC))
        return Consent(
            room=self.stage.cast.origin,
            subject=grant.subject,
            certificate=b64(hall.profile.signing_certificate),
            institution=grant.bank,
            purposes=grant.purposes,
            features=tuple(str(offer.ref) for offer in OFFERS),
            uses=grant.uses,
            notice=_PAPER,
            nonce=fresh_nonce(),
            valid_from=now - timedelta(minutes=1),
            valid_to=now + _YEAR,
            paper=Paper(registrar=REGISTRAR, scan=_PAPER),
        )

    def _lift_limits(self) -> None:
        """Let everybody send as many bad requests as it likes, so that nothing slows an attack."""
        config = self.stage.room / "room.toml"
        text = config.read_text("utf-8")
        for limit, lifted in _LIFTED.items():
            text = re.sub(rf"(?m)^{limit} = .*$", f"{limit} = {lifted}", text)
        config.write_text(text, "utf-8")
