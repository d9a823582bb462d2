"""What the demo plays: the room's main job, act by act, as each member does its own part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from saferoom_client.cli.plainly import describe
from saferoom_client.demo.consenting import grant
from saferoom_client.demo.data import BILLS_COLUMNS, REPAY_COLUMNS, Borrower, Records
from saferoom_client.demo.plot import Plot
from saferoom_client.demo.screen import Screen
from saferoom_client.demo.stage import APPROVERS, OWNERS, THRESHOLD, Stage
from saferoom_client.drafts import read_feature, read_schema, read_template
from saferoom_client.profile import Profile
from saferoom_client.tongue import later, say
from saferoom_client.values import CheckAnswer, TemplateView
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.statements import Purpose

TABLES: Final = {"repay": "status", "bills": "statements"}
FEATURES: Final = {"repay": "worst_delay", "bills": "paid_3m"}
FLOOR: Final = 3000
STEADY_DELAY: Final = 2


@dataclass(slots=True)
class Play:
    """The acts, on a stage, with the records as each side holds them."""

    stage: Stage
    screen: Screen
    records: Records
    cast: Mapping[str, Borrower] = field(init=False)
    receipts: dict[str, Receipt] = field(default_factory=dict[str, Receipt])
    _schemas: dict[str, str] = field(default_factory=dict[str, str])
    _consent: str = ""

    def __post_init__(self) -> None:
        self.cast = choose(self.records)

    def found_the_room(self) -> None:
        """Act 1: an operator, an identity issuer, owners with key agents, and their charters."""
        self.screen.act(say("A room, its members, and an enclave for each data owner"))
        stage = self.stage
        stage.make_folders()
        stage.make_owners()
        self.screen.done(
            say("the identity issuer and each owner's key agent have keys of their own")
        )
        stage.enrol_everybody({name: one.uscc for name, one in self.cast.items()})
        stage.serve()
        stage.enrol_organisations()
        stage.start_agents()
        stage.put_charters()
        self.screen.done(say("two owners signed charters: 3 approvers each, 2 of them must agree"))
        stage.wait_for_enclaves()
        with stage.open("operator", "admin") as room:
            levels = {each.owner: each.sandbox_level for each in room.describe().enclaves}
        shown = ", ".join(
            say("{owner} at sandbox level {level}", owner=owner, level=level)
            for owner, level in levels.items()
        )
        self.screen.done(
            say("each key agent accepted its enclave's evidence: {shown}", shown=shown)
        )

    def load_and_define(self) -> None:
        """Act 2: each owner loads its records, sealed to its enclave, and defines a feature."""
        self.screen.act(say("Each owner loads its records and defines what may be asked"))
        contents = {"repay": self.records.repay, "bills": self.records.bills}
        columns = {"repay": REPAY_COLUMNS, "bills": BILLS_COLUMNS}
        for owner in OWNERS:
            path = self.stage.file(f"{owner}.csv")
            path.write_bytes(contents[owner])
            with self.stage.open(owner, APPROVERS[0]) as room:
                schema = room.put_schema(
                    read_schema(self.stage.file(f"{owner}.schema.yaml"), room.profile)
                )
                feature = read_feature(
                    self.stage.file(f"{owner}.{FEATURES[owner]}.yaml"), room.profile
                )
                room.add_feature(feature)
                report = room.load_data(schema.statement.digest, {TABLES[owner]: path})
            if report.snapshot is None:
                raise SafeRoomError(Reason.INTERNAL, f"{report.bad_row_count} bad rows")
            rows = sum(report.snapshot.rows.values())
            self.screen.done(
                say(
                    "{owner}: {rows:,} rows of {columns} columns, sealed as epoch {epoch};"
                    " feature {feature}, grid {grid}",
                    owner=owner,
                    rows=rows,
                    columns=len(columns[owner]),
                    epoch=report.snapshot.store.epoch,
                    feature=feature.full_name,
                    grid=", ".join(str(cut) for cut in feature.grid),
                )
            )

    def approve(self) -> None:
        """Act 3: the bank proposes templates; approvers judge what each can let out."""
        self.screen.act(say("A bank proposes checks; the owners approve these exact bytes"))
        for name in ("paid-enough", "steady-payer"):
            with self.stage.open("bank-a", "desk") as bank:
                template = read_template(self.stage.file(f"{name}.yaml"), bank.profile)
                proposal = bank.propose_template(template)
            digest = proposal.recorded.statement.digest
            for part in proposal.certificate.parts:
                self.stage.approve(part.owner, digest)
            self.screen.done(
                say(
                    "{name}: [italic]{check}[/]: every approver's client derived the release"
                    " certificate itself; approved by {threshold} of {approvers} each, at {owners}",
                    name=name,
                    check=template.check,
                    threshold=THRESHOLD,
                    approvers=len(APPROVERS),
                    owners=", ".join(part.owner for part in proposal.certificate.parts),
                )
            )
        with self.stage.open("bills", APPROVERS[0]) as room:
            self.screen.console.print(_indented(room.get_template("steady-payer")), style="dim")

    def agree_and_consent(self) -> None:
        """Act 4: owners and bank agree; three subjects consent."""
        self.screen.act(say("Owners and bank agree; the subjects consent"))
        self.stage.sign_agreements("bank-a")
        self.screen.done(say("each owner's approvers and bank-a signed an agreement"))
        for name in self.cast:
            if name != "silent":
                digest = self._grant(name)
                if name == "steady":
                    self._consent = digest
        self.screen.done(
            say(
                "three subjects let bank-a ask about repay.worst_delay and bills.paid_3m,"
                " before a loan, for 90 days"
            )
        )

    def ask(self) -> None:
        """Act 5: yes, no, not found; each answer verified before it is shown."""
        self.screen.act(say("The bank asks, and every answer comes with a receipt"))
        for name, subject in self.cast.items():
            if name == "silent":
                continue
            answer = self._check("steady-payer", subject.uscc)
            self.receipts[name] = answer.receipt
            about = say("steady-payer about {subject}", subject=subject.uscc)
            self.screen.answered(about, answer.truth, _note(answer))
        with self.stage.open("bank-a", "desk") as room:
            question = room.prepare(
                "paid-enough",
                subject=self.cast["steady"].uscc,
                purpose=Purpose.PRE_LOAN,
                params={"floor": str(FLOOR)},
            )
            first, again = room.ask(question), room.ask(question)
        same = first.receipt.to_json() == again.receipt.to_json()
        if not same or first.truth != "yes":
            raise SafeRoomError(Reason.INTERNAL, "a repeat did not get the stored answer")
        self.screen.answered(
            say("paid-enough, the same signed question twice"),
            again.truth,
            say("byte for byte, one charge"),
        )

    def be_refused(self) -> None:
        """Act 6: what the owners, the subjects and the bounds do not allow."""
        self.screen.act(say("What must be refused is refused"))
        steady = self.cast["steady"].uscc
        silent = self.cast["silent"].uscc
        ask = self._check
        self._refusal(
            say("about a subject who gave no consent"),
            Reason.NO_CONSENT,
            lambda: ask("steady-payer", silent),
        )
        self._refusal(
            say("a threshold that is not on the grid"),
            Reason.OFF_GRID,
            lambda: ask("steady-payer", steady, floor=FLOOR + 1),
        )
        self._refusal(
            say("for a purpose the template does not serve"),
            Reason.WRONG_PURPOSE,
            lambda: ask("paid-enough", steady, purpose=Purpose.IN_LOAN),
        )
        self._refusal(
            say("for a purpose the subject did not consent to"),
            Reason.NO_CONSENT,
            lambda: ask("steady-payer", steady, purpose=Purpose.IN_LOAN),
        )
        self._refusal(
            say("bank-b sends bank-a's signed question"),
            Reason.NOT_ALLOWED,
            self._send_anothers_question,
        )
        self._refusal(
            say("bank-b asks in its own name, without an agreement"),
            Reason.NO_AGREEMENT,
            lambda: ask("paid-enough", steady, bank="bank-b"),
        )
        ask("paid-enough", steady, floor=1000)
        self._refusal(
            say("a third threshold: more bits than the owner allows"),
            Reason.OVER_BUDGET,
            lambda: ask("paid-enough", steady, floor=12000),
            say('two cuts and "not found" make 5 cases: 2.4 bits'),
        )
        with self.stage.open(steady, "self") as room:
            revocation = room.revoke_consent(self._consent)
        self.screen.done(
            say(
                "the subject took its consent back; acknowledged, signed, by the enclaves of"
                " {owners}",
                owners=", ".join(revocation.acknowledgements),
            )
        )
        self._refusal(
            say("after the subject took its consent back"),
            Reason.NO_CONSENT,
            lambda: ask("steady-payer", steady),
        )

    def meet_a_dishonest_server(self) -> None:
        """Act 10: the server is taken over, keys and all; the enclaves refuse what it makes up."""
        self.screen.act(say("The server is taken over; it calls everything fine"))
        stage = self.stage
        with stage.open("bank-a", "desk") as bank:
            honest = bank.get_template("paid-enough")
            altered = honest.template.model_copy(
                update={"check": "bills.paid_3m >= 30000", "params": {}}
            )
            late, asked = self.cast["late"].uscc, {"floor": str(FLOOR)}
            plot = Plot.make(bank.profile, altered, honest, late, asked)
        plot.save(stage.folder / "plot")
        stage.processes.stop("server")
        outcome = stage.processes.run_program(
            "saferoom.dishonest", str(stage.room), str(stage.folder / "plot"), "bills"
        )
        for line in outcome.splitlines():
            attempt, reason = line.rsplit(" -> ", 1)
            if reason == "ANSWERED":
                raise SafeRoomError(Reason.INTERNAL, f"{attempt}: this should have been refused")
            self.screen.refused(say(attempt), reason, say("by the enclave itself"))
        stage.serve()
        stage.wait_for_enclaves()
        self.screen.done(say("the honest server is back; the enclaves serve again"))

    def verify(self) -> None:
        """Act 11: receipts and the log, verified by whoever trusts nobody."""
        self.screen.act(say("Receipts verify offline; the log is whole"))
        trust = Profile.load(self.stage.member("auditor", "desk")).trust
        folder = self.stage.folder / "receipts"
        folder.mkdir()
        for name, receipt in self.receipts.items():
            path = folder / f"{name}.json"
            path.write_bytes(receipt.to_json())
            verified = verify_receipt(Receipt.from_json(path.read_bytes()), trust)
            self.screen.done(
                say(
                    "{path}: {answer}, {enclaves} enclaves, no network needed",
                    path=path.relative_to(self.stage.folder),
                    answer=verified.answer,
                    enclaves=len(verified.parts),
                )
            )
        forged = self.receipts["steady"].to_json().replace(b'"owner": "bills"', b'"owner": "repay"')
        self._refusal(
            say("a receipt with one word changed"),
            Reason.CERTIFICATE_MISMATCH,
            lambda: verify_receipt(Receipt.from_json(forged), trust),
        )
        self._audit()

    def _audit(self) -> None:
        """Have the auditor judge every entry: it finds what the dishonest server put in, only."""
        with self.stage.open("auditor", "desk") as room:
            report = room.audit_log()
        found = [each.reason for each in report.violations]
        if found != [Reason.BAD_SIGNATURE] * len(APPROVERS):
            raise SafeRoomError(Reason.INTERNAL, f"the auditor found {found}")
        self.screen.done(
            say(
                "the auditor hashed all {entries} entries to the signed root and judged each",
                entries=report.judged,
            )
        )
        self.screen.refused(
            say("approvals in the log that the dishonest server signed"),
            Reason.BAD_SIGNATURE,
            say(
                "found by the auditor: entries {entries}",
                entries=", ".join(str(each.entry) for each in report.violations),
            ),
        )

    def _grant(self, name: str) -> str:
        return grant(self.stage, self.cast[name].uscc, ("bills.paid_3m", "repay.worst_delay"))

    def _check(
        self,
        template: str,
        subject: str,
        *,
        floor: int = FLOOR,
        purpose: Purpose = Purpose.PRE_LOAN,
        bank: str = "bank-a",
    ) -> CheckAnswer:
        with self.stage.open(bank, "desk") as room:
            return room.check(
                template, subject=subject, purpose=purpose, params={"floor": str(floor)}
            )

    def _send_anothers_question(self) -> None:
        with self.stage.open("bank-a", "desk") as room:
            question = room.prepare(
                "paid-enough",
                subject=self.cast["steady"].uscc,
                purpose=Purpose.PRE_LOAN,
                params={"floor": str(FLOOR)},
            )
        with self.stage.open("bank-b", "desk") as other:
            other.ask(question)

    def _refusal(
        self, attempt: str, reason: Reason, call: Callable[[], object], note: str = ""
    ) -> None:
        require_refusal(self.screen, attempt, reason, call, note)


_LIES: Final = (
    later("a question made up in the bank's name"),
    later("the bank's own question with another subject in it"),
    later("a template altered after its approval"),
    later("the altered template with approvals the server signed"),
)
"""What the dishonest server tries, as it calls it (`saferoom/dishonest.py`)."""


def require_refusal(
    screen: Screen, attempt: str, reason: Reason, call: Callable[[], object], note: str = ""
) -> None:
    """Show that a call is refused for the reason it must be refused for; anything else fails."""
    try:
        call()
    except SafeRoomError as error:
        if error.reason is not reason:
            raise
        screen.refused(attempt, error.reason, note)
    else:
        raise SafeRoomError(Reason.INTERNAL, f"{attempt}: this should have been refused")


def choose(records: Records) -> dict[str, Borrower]:
    """Choose who plays: one steady, one late, one without bills, one who never consented."""
    known = [one for one in records.borrowers if one.paid_3m is not None]
    steady = [
        one for one in known if one.worst_delay < STEADY_DELAY and (one.paid_3m or 0) >= FLOOR
    ]
    late = next(one for one in known if one.worst_delay >= STEADY_DELAY)
    unbilled = next(
        one for one in records.borrowers if one.paid_3m is None and one.worst_delay < STEADY_DELAY
    )
    return {"steady": steady[0], "late": late, "unbilled": unbilled, "silent": steady[1]}


def _note(answer: CheckAnswer) -> str:
    parts = ", ".join(f"{owner} {truth}" for owner, truth in answer.parts.items())
    return say("[dim]{parts}; at most {bits:.2f} bits[/]", parts=parts, bits=answer.bits)


def _indented(view: TemplateView) -> str:
    return "\n".join(f"     {line}" for line in describe(view))
