"""The path, whole: a signed question, judged in the owners' enclaves, answered with a receipt."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client import AsyncRoom, Refused, Room, Truth
from saferoom_client.cli import app
from saferoom_client.values import CheckAnswer
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.statements import Parameter, Purpose, Template, Title
from tests.flow.live import LiveRoom
from tests.flow.offers import (
    COURT,
    CURIOUS,
    FICKLE,
    LISTED,
    ORIGIN,
    POOR,
    SILENT,
    STEADY,
    UNKNOWN,
    VAT,
)

LEAST = {"least": "5000"}


def ask(room: Room, subject: str, **changes: object) -> CheckAnswer:
    asked: dict[str, object] = {"subject": subject, "purpose": "pre-loan", "params": LEAST}
    return room.check("steady-payer", **(asked | changes))  # pyright: ignore[reportArgumentType]


def refused(live: LiveRoom, subject: str, bank: str = "bank-a", /, **changes: object) -> Refused:
    with live.open(bank, "desk") as room, pytest.raises(Refused) as refusal:
        ask(room, subject, **changes)
    return refusal.value


@pytest.mark.parametrize(
    ("subject", "parts", "folded"),
    [
        (STEADY, {"court": Truth.YES, "tax": Truth.YES}, Truth.YES),
        (POOR, {"court": Truth.YES, "tax": Truth.NO}, Truth.NO),
        (LISTED, {"court": Truth.NO, "tax": Truth.YES}, Truth.NO),
        (UNKNOWN, {"court": Truth.YES, "tax": Truth.NOT_FOUND}, Truth.NOT_FOUND),
    ],
)
def test_a_check_is_answered_part_by_part(
    live: LiveRoom, subject: str, parts: dict[str, Truth], folded: Truth
) -> None:
    with live.open("bank-a", "desk") as room:
        answer = ask(room, subject)
        trust = room.profile.trust
    assert (answer.parts, answer.truth) == (parts, folded)
    verified = verify_receipt(Receipt.from_json(answer.receipt.to_json()), trust)
    assert (verified.answer, verified.request_id) == (folded, answer.request_id)


def test_the_same_question_again_brings_the_same_bytes_and_costs_nothing_more(
    live: LiveRoom,
) -> None:
    with live.open("bank-a", "desk") as room:
        question = room.prepare("steady-payer", subject=STEADY, purpose="pre-loan", params=LEAST)
        first = room.ask(question)
        again = room.ask(question)
        assert again.receipt.to_json() == first.receipt.to_json()
        assert room.get_check(question).to_json() == first.receipt.to_json()
        assert ask(room, STEADY).bits == 0  # another request, but no new cut


def test_many_at_once_are_all_answered(live: LiveRoom) -> None:
    async def many() -> list[CheckAnswer]:
        async with AsyncRoom.open(live.member("bank-a", "desk")) as room:
            calls = [
                room.check("steady-payer", subject=STEADY, purpose="pre-loan", params=LEAST)
                for _ in range(16)
            ]
            return await asyncio.gather(*calls)

    answers = asyncio.run(many())
    assert {answer.truth for answer in answers} == {Truth.YES}
    assert len({answer.request_id for answer in answers}) == 16


def test_without_consent_both_enclaves_refuse_and_sign_it(live: LiveRoom) -> None:
    refusal = refused(live, SILENT)
    assert refusal.reason is Reason.NO_CONSENT
    trust = live.profile("bank-a", "desk").trust
    verified = verify_receipt(refusal.receipt(), trust)
    assert verified.answer is None
    assert {part.release.reason for part in verified.parts.values()} == {Reason.NO_CONSENT}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"params": {"least": "5001"}}, Reason.OFF_GRID),
        ({"params": {"least": "NaN"}}, Reason.OFF_GRID),
        ({"params": {"most": "5000"}}, Reason.OFF_DOMAIN),
        ({"params": {}}, Reason.OFF_DOMAIN),
        ({"purpose": "supervision"}, Reason.WRONG_PURPOSE),
    ],
)
def test_a_question_that_the_template_does_not_ask_is_refused(
    live: LiveRoom, changes: dict[str, object], reason: Reason
) -> None:
    refusal = refused(live, STEADY, **changes)
    assert refusal.reason is reason
    assert refusal.request_id.startswith("sha256:")


def test_a_bank_without_an_agreement_is_refused(live: LiveRoom) -> None:
    assert refused(live, STEADY, "bank-b").reason is Reason.NO_AGREEMENT


def test_a_second_cut_is_over_the_budget_whatever_the_answer_was(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        first = ask(room, CURIOUS)
        assert first.bits > 0
    refusal = refused(live, CURIOUS, params={"least": "1000"})
    assert refusal.reason is Reason.OVER_BUDGET
    with live.open("bank-a", "desk") as room:
        assert ask(room, CURIOUS).truth is Truth.YES  # what was asked before may be asked again


def test_a_consent_that_was_taken_back_counts_no_more(live: LiveRoom) -> None:
    with live.open(FICKLE, "self") as room:  # other tests of this room have it consent, too
        for each in room.list_consents():
            if not each.revoked:
                room.revoke_consent(each.digest)
    consent = live.consent(FICKLE, "bank-a")
    with live.open("bank-a", "desk") as room:
        assert ask(room, FICKLE).truth is Truth.YES
    with live.open(FICKLE, "self") as room:
        revocation = room.revoke_consent(consent)
        assert sorted(revocation.acknowledgements) == ["court", "tax"]
        assert revocation.waiting == ()
        (listed,) = [each for each in room.list_consents() if each.digest == consent]
        assert listed.revoked
    assert refused(live, FICKLE).reason is Reason.NO_CONSENT


def test_a_template_that_nobody_approved_is_refused(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        template = Template(
            room=ORIGIN,
            kind="Check",
            name="unapproved",
            title=Title(en="Unapproved", zh="未审批"),
            proposer="bank-a",
            signer=b64(room.profile.signing_certificate),
            purposes=(Purpose.PRE_LOAN,),
            params={"least": Parameter(feature=VAT)},
            check=f"{VAT} >= :least",
        )
        room.propose_template(template)
        with pytest.raises(Refused) as refusal:
            room.check("unapproved", subject=STEADY, purpose="pre-loan", params=LEAST)
    assert refusal.value.reason is Reason.NOT_APPROVED


def test_a_paused_store_answers_nothing_until_it_is_resumed(live: LiveRoom) -> None:
    with live.open("tax", "li") as room:
        room.pause("under review")
        try:
            refusal = refused(live, STEADY)
        finally:
            let_go_on(live)
    assert (refusal.reason, refusal.owner) == (Reason.PAUSED, "tax")
    with live.open("bank-a", "desk") as bank:
        assert ask(bank, STEADY).truth is Truth.YES


def let_go_on(live: LiveRoom) -> None:
    """Have as many approvers as approve end a pause."""
    for said, approver in enumerate(("li", "wang"), start=1):
        with live.open("tax", approver) as room:
            room.resume("reviewed")
            stopped = room.stopped_uses("tax")
        assert [each.resumed_by for each in stopped.values()] == [("li",)] * (said < 2)


def test_a_pause_counts_from_the_next_question_on_whatever_else_is_asked(live: LiveRoom) -> None:
    """Of questions asked without end, each one sent after the pause's receipt is refused."""
    asked: list[tuple[float, Reason | None]] = []
    ended = threading.Event()

    def ask_on() -> None:
        with live.open("bank-a", "desk") as bank:
            while not ended.is_set():
                sent = time.monotonic()
                try:
                    ask(bank, STEADY)
                except Refused as refusal:
                    asked.append((sent, refusal.reason))
                else:
                    asked.append((sent, None))

    askers = [threading.Thread(target=ask_on) for _ in range(4)]
    for each in askers:
        each.start()
    try:
        wait_until(lambda: len(asked) > 20)
        with live.open("tax", "li") as room:
            room.pause("under review")
        paused = time.monotonic()
        wait_until(lambda: sum(sent > paused for sent, _ in asked) > 20)
    finally:
        ended.set()
        for each in askers:
            each.join()
        let_go_on(live)
    assert {reason for sent, reason in asked if sent > paused} == {Reason.PAUSED}
    assert None in {reason for _, reason in asked}


def wait_until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_rows_that_break_the_schema_come_back_and_nothing_is_loaded(
    live: LiveRoom, tmp_path: Path
) -> None:
    path = tmp_path / "vat.csv"
    path.write_text(f"uscc,paid\n{STEADY},60000\n{POOR},much\n123,5\n", "utf-8")
    sent: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        sent.append((done, total))

    with live.open("tax", "li") as room:
        report = room.load_data(live.schemas["tax"], {"vat": path}, progress=progress)
    assert report.snapshot is None
    assert sorted((row.line, row.column) for row in report.bad_rows) == [(3, "paid"), (4, "uscc")]
    assert "much" not in str(report)
    assert sent[-1] == (path.stat().st_size, path.stat().st_size)
    with live.open("bank-a", "desk") as room:
        assert ask(room, STEADY).truth is Truth.YES


def test_a_revoked_certificate_opens_no_door(live: LiveRoom) -> None:
    member = live.enrol("bank-b", "leaver")
    with Room(member) as room:
        assert room.whoami().name == "leaver"
        fingerprint = room.whoami().fingerprint
        with live.open("registry", "desk") as registry:
            revocation = live.issuer.revoke(ORIGIN, fingerprint, "left", registry.session.clock())
            registry.revoke_certificate(revocation)
        with pytest.raises(Refused) as refusal:
            room.whoami()
    assert refusal.value.reason is Reason.CERTIFICATE_REVOKED


def test_the_log_only_grows_and_its_entries_are_what_they_say(live: LiveRoom) -> None:
    with live.open("auditor", "desk") as room:
        first = room.verify_log(whole=True)
        assert first.opened == first.entries == first.checkpoint.size > 0
        with live.open("bank-a", "desk") as bank:
            ask(bank, STEADY)
        second = room.verify_log()
        assert second.since is not None
        assert second.checkpoint.size > second.since.size >= first.checkpoint.size
    with live.open("bank-b", "desk") as room:
        report = room.verify_log(whole=True)  # leaves only: nothing is opened to a bank
        assert (report.opened, report.entries) == (0, report.checkpoint.size)


def test_what_was_agreed_and_offered_is_listed_and_verified(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        # Other tests of this room define more.
        assert {each.definition.full_name for each in room.list_features()} >= {VAT, COURT}
        assert {each.agreement.owner for each in room.list_agreements()} == {"court", "tax"}
        assert {each.name for each in room.list_organisations()} >= {"bank-a", "tax"}
        assert room.get_charter("tax").charter.threshold == 2
        assert room.get_endorsement("tax").evidence_kind == "software"
        states = {each.owner: each.state for each in room.describe().enclaves}
    assert states == {"court": "serving", "tax": "serving"}


def test_a_room_with_another_pinned_key_is_refused(live: LiveRoom, tmp_path: Path) -> None:
    profile = live.profile("bank-a", "desk")
    roots = profile.trust.charter_roots
    folder = tmp_path / "desk"
    folder.mkdir(mode=0o700)
    for path in profile.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
        (folder / path.name).chmod(path.stat().st_mode)
    swapped = {"court": roots["tax"], "tax": roots["court"]}
    trust = profile.trust.model_copy(update={"charter_roots": swapped})
    (folder / "trust.json").write_text(trust.model_dump_json())
    with Room.open(folder) as room, pytest.raises(SafeRoomError) as refusal:
        ask(room, STEADY)
    assert refusal.value.reason is Reason.BAD_CHARTER


def test_the_same_from_the_command_line(live: LiveRoom, tmp_path: Path) -> None:
    runner = CliRunner()
    bank, receipt = str(live.member("bank-a", "desk")), str(tmp_path / "receipt.json")
    asked = runner.invoke(
        app,
        ["check", "steady-payer", "-p", bank, "--subject", STEADY, "--purpose", "pre-loan",
         "--param", "least=5000", "--receipt", receipt, "--json"],
    )  # fmt: skip
    assert asked.exit_code == 0, asked.output
    assert json.loads(asked.stdout)["answer"] == "yes"
    verified = runner.invoke(app, ["receipt", "verify", receipt, "-p", bank])
    assert verified.exit_code == 0, verified.output
    shown = runner.invoke(app, ["template", "show", "steady-payer", "-p", bank])
    assert "bank-a asks, for pre-loan, in-loan" in shown.output
    assert "approved by li, wang: 2 of the 2 needed" in shown.output
    none = runner.invoke(
        app,
        ["check", "steady-payer", "-p", bank, "--subject", SILENT, "--purpose", "pre-loan",
         "--param", "least=5000", "--receipt", receipt],
    )  # fmt: skip
    assert none.exit_code == 1
    assert "NO_CONSENT: No consent in force covers this question." in none.output
    assert "next  Ask the subject for its consent first." in none.output
    shown = runner.invoke(app, ["receipt", "show", receipt, "-p", bank])
    assert "refused, NO_CONSENT" in shown.output
    status = runner.invoke(app, ["room", "status", "-p", bank])
    assert "serving" in status.output
    auditor = str(live.member("auditor", "desk"))
    log = runner.invoke(app, ["log", "verify", "--whole", "-p", auditor])
    assert "hash to the signed root" in log.output
