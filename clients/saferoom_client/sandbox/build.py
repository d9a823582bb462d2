"""Makes the sandbox's room: everything a check needs, and what is wrong with some on purpose."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from saferoom_client.demo.processes import free_address
from saferoom_client.demo.stage import APPROVERS, THRESHOLD, Cast, Stage
from saferoom_client.drafts import read_feature, read_schema, read_template
from saferoom_client.profile import Profile
from saferoom_client.sandbox.codes import (
    CHECK,
    DESK,
    LAPSED,
    LEAST,
    LISTED,
    NO,
    REVOKED,
    SILENT,
    SLOW,
    SPENT,
    UNKNOWN,
    USED_UP,
    YES,
)
from saferoom_client.tongue import say
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Consent, Purpose, Title
from saferoom_proto.statements.base import fresh_nonce, whole_milliseconds

BANK: Final = "bank-a"
LOCKED: Final = "locked"
"""Whose key agent is never started."""
SANDBOX: Final = Cast(
    origin="sandbox.saferoom.example/room",
    owners={
        "tax": Title(en="Tax office of Nowhere", zh="乌有市税务局"),
        "court": Title(en="Court of Nowhere", zh="乌有市法院"),
        "empty": Title(en="Office without data", zh="未装载数据的单位"),
        LOCKED: Title(en="Office without its key", zh="未解锁的单位"),
    },
    banks={BANK: Title(en="First Bank of Nowhere", zh="乌有第一银行")},
    # A family holds 3 bits, so that one firm's can be spent.
    limits=((0, 0), (3, 12), (3, 3), (1, 3)),
    purposes=(Purpose.PRE_LOAN,),
    written="saferoom_client.sandbox",
)
_FEATURES: Final = {
    "tax": ("vat_paid", "vat_refunded", "vat_net"),
    "court": ("listed",),
    "empty": ("debts",),
    LOCKED: ("debts",),
}
_NAMES: Final = tuple(f"{owner}.{name}" for owner, names in _FEATURES.items() for name in names)
_APPROVED: Final = (
    *(CHECK, "both-check", "paused-check", "outdated-check", "refund-check"),
    *("empty-check", "locked-check"),
)
_PAID: Final = dict.fromkeys((YES, SILENT, REVOKED, LAPSED, USED_UP, SPENT, LISTED), 60_000) | {
    NO: 900
}
_CONSENTING: Final = (YES, NO, UNKNOWN, REVOKED, LAPSED, USED_UP, SPENT, LISTED)
_LAPSES_AFTER: Final = timedelta(seconds=2)
NOTICE: Final = "A made-up notice, for made-up firms. 虚构企业的风险告知。"


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes the room, step by step.

    Args:
        stage: where.
        tell: is told of each step, in the language that is spoken.
    """

    stage: Stage
    tell: Callable[[str], None]

    def build(self) -> None:
        """Make the room, from its folders to the last consent that is spent."""
        stage = self.stage
        self.tell(say("making the folders and keys of everybody"))
        stage.make_folders()
        stage.make_owners()
        stage.enrol_everybody({uscc: uscc for uscc in _CONSENTING})
        self.tell(say("starting the room and its enclaves"))
        stage.serve()
        stage.enrol_organisations()
        stage.start_agents(LOCKED)
        stage.put_charters()
        stage.wait_for_enclaves(LOCKED)
        self.tell(say("defining features, loading made-up data"))
        self._define()
        self._load("tax", "vat", "paid,refunded", {each: f"{_PAID[each]},2000" for each in _PAID})
        self._load("court", "cases", "listed", {LISTED: "true"})
        self.tell(say("approving templates, agreeing, consenting"))
        for name in _APPROVED:
            self._approve(self._propose(name))
        self._propose("unapproved-check")
        stage.sign_agreements(BANK)
        self._lay_a_slow_line()
        granted = {uscc: self._grant(uscc) for uscc in _CONSENTING}
        self.tell(say("putting wrong what has to be wrong"))
        self._spoil(granted)

    def _lay_a_slow_line(self) -> None:
        """Make the desk's folder a second time, with the far end of a slow line for the room."""
        desk = Profile.load(self.stage.member(BANK, DESK))
        card = desk.card.model_copy(update={"address": free_address()})
        replace(desk, folder=self.stage.member(BANK, SLOW), card=card).save()

    def _define(self) -> None:
        for owner, names in _FEATURES.items():
            with self.stage.open(owner, APPROVERS[0]) as room:
                room.put_schema(read_schema(self.stage.file(f"{owner}.schema.yaml"), room.profile))
                for name in names:
                    path = self.stage.file(f"{owner}.{name}.yaml")
                    room.put_feature(read_feature(path, room.profile))

    def _load(self, owner: str, table: str, columns: str, rows: dict[str, str]) -> None:
        path = self.stage.file(f"{owner}.csv")
        lines = [f"uscc,{columns}", *(f"{uscc},{values}" for uscc, values in rows.items())]
        path.write_text("\n".join(lines) + "\n", "utf-8")
        with self.stage.open(owner, APPROVERS[0]) as room:
            schema = read_schema(self.stage.file(f"{owner}.schema.yaml"), room.profile)
            report = room.load_data(room.session.sign(schema).digest, {table: path})
        if report.snapshot is None:
            raise SafeRoomError(Reason.INTERNAL, f"{report.bad_row_count} bad rows of {owner}")

    def _propose(self, name: str) -> str:
        with self.stage.open(BANK, DESK) as bank:
            template = read_template(self.stage.file(f"{name}.yaml"), bank.profile)
            return bank.propose_template(template).recorded.statement.digest

    def _approve(self, digest: str) -> None:
        with self.stage.open(BANK, DESK) as bank:
            owners = [part.owner for part in bank.get_template(digest).certificate.parts]
        for owner in owners:
            for approver in APPROVERS[:THRESHOLD]:
                with self.stage.open(owner, approver) as room:
                    room.approve(room.get_template(digest))

    def _grant(self, uscc: str) -> str:
        now = whole_milliseconds(datetime.now(UTC))
        lasts = _LAPSES_AFTER if uscc == LAPSED else timedelta(days=365)
        with self.stage.open(uscc, "self") as room:
            consent = Consent(
                room=self.stage.cast.origin,
                subject=uscc,
                certificate=b64(room.profile.signing_certificate),
                institution=BANK,
                purposes=(Purpose.PRE_LOAN,),
                features=_NAMES,
                uses=1 if uscc == USED_UP else None,
                notice=room.profile.suite.digest(NOTICE.encode()),
                nonce=fresh_nonce(),
                valid_from=now - timedelta(minutes=1),
                valid_to=now + lasts,
            )
            return room.grant_consent(consent).statement.digest

    def _spoil(self, granted: dict[str, str]) -> None:
        stage = self.stage
        with stage.open(REVOKED, "self") as room:
            room.revoke_consent(granted[REVOKED])
        with stage.open(BANK, DESK) as bank:

            def ask(template: str, uscc: str, least: str) -> None:
                purpose, params = Purpose.PRE_LOAN, {"least": least}
                bank.check(template, subject=uscc, purpose=purpose, params=params)

            ask(CHECK, USED_UP, LEAST)
            for least in ("1000", LEAST):  # two cuts of another feature leave no room for a third
                ask("refund-check", SPENT, least)
            paused = bank.get_template("paused-check").envelope.digest
        with stage.open("tax", APPROVERS[0]) as room:
            room.pause("the sandbox shows a pause", paused)
            changed = read_feature(stage.file("tax.vat_net.yaml"), room.profile)
            room.put_feature(changed.model_copy(update={"version": 2}))
        time.sleep(_LAPSES_AFTER.total_seconds())
