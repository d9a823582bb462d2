"""Every role's commands against a real room, as a person at a shell would type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.cli.narrow import COLUMNS
from saferoom_proto.dsse import Envelope
from tests.flow.live import LiveRoom
from tests.flow.offers import CSV, POOR, STEADY

RUNNER = CliRunner()


class Shell:
    """Runs commands as one member; a command that fails fails the test."""

    def __init__(self, live: LiveRoom, organisation: str, name: str) -> None:
        self.profile = str(live.member(organisation, name))

    def __call__(self, *words: str, status: int = 0) -> str:
        result = RUNNER.invoke(app, [*words, "--profile", self.profile])
        assert result.exit_code == status, result.output
        return result.output

    def json(self, *words: str) -> dict[str, str]:
        return json.loads(self(*words, "--json"))


def test_everybody_sees_what_is_theirs_to_see(live: LiveRoom) -> None:
    bank = Shell(live, "bank-a", "desk")
    assert "bank-a" in bank("whoami")
    assert "institution" in bank("org", "list")
    assert "2 of li, wang, zhao" in bank("charter", "show", "tax")
    assert "tax.vat_paid" in bank("feature", "list")
    assert "SELECT uscc AS subject" in bank("feature", "show", "tax.vat_paid")
    assert "UNKNOWN_FEATURE" in bank("feature", "show", "tax.nothing", status=1)
    assert "steady-payer" in bank("template", "list")
    assert "court" in bank("agreement", "list")
    assert bank("log", "checkpoint").startswith("room.example/live\n")
    assert "charter root of tax" in bank("trust", "show")
    consents = Shell(live, POOR, "self")("consent", "list").splitlines()
    assert any(POOR in line for line in consents)
    # A phone's width; a digest keeps a line of its own.
    assert all(len(line) <= COLUMNS or "sha256:" in line for line in consents)


def test_a_table_that_the_schema_has_not_is_named(live: LiveRoom, tmp_path: Path) -> None:
    li = Shell(live, "tax", "li")
    schema = li.json("schema", "show")["schema"]
    file = tmp_path / "x.csv"
    file.write_text("a\n1\n", "ascii")
    said = li("data", "load", f"nosuch={file}", "--schema", schema, status=1)
    assert "nosuch: no table of the schema; it has" in said


def test_a_consent_that_names_nobody_or_nothing_is_refused(live: LiveRoom, tmp_path: Path) -> None:
    firm = Shell(live, POOR, "self")
    notice = tmp_path / "notice.txt"
    notice.write_text("what an answer may tell", "ascii")
    grant = ("consent", "grant", "--purpose", "pre-loan", "--notice", str(notice))
    said = firm(*grant, "--institution", "bank-x", "--feature", "tax.vat_paid", status=1)
    assert "--institution bank-x: is not enrolled as an institution" in said
    assert "  next  saferoom org list" in said
    said = firm(*grant, "--institution", "bank-a", "--feature", "tax.vat_payd", status=1)
    assert "UNKNOWN_FEATURE" in said
    assert "no owner defined tax.vat_payd" in said


def test_only_an_auditor_audits_and_only_what_there_is(live: LiveRoom) -> None:
    assert "NOT_ALLOWED" in Shell(live, "bank-a", "desk")("audit", "verify", status=1)
    auditor = Shell(live, "auditor", "desk")
    said = auditor("audit", "verify", "--since", "1000000", status=1)
    assert "--since: the log has" in said


def test_a_bank_is_let_in_and_sent_away_again(live: LiveRoom, tmp_path: Path) -> None:
    desk = Shell(live, "bank-b", "desk")
    approvers = [Shell(live, "tax", name) for name in ("li", "wang")]
    # An agreement: drafted, read, signed by both sides, handed in.
    file = str(tmp_path / "agreement.json")
    signer = str(live.member("bank-b", "desk") / "signing.pem")
    desk(
        "agreement", "propose", "--owner", "tax", "--institution", "bank-b", "--group", "bank-b",
        "--key", f"desk={signer}", "--purpose", "pre-loan", "--out", file,
    )  # fmt: skip
    assert "MALFORMED" in desk("agreement", "sign", file, "--out", file + "2", "-y", status=1)
    for number, shell in enumerate(approvers):
        assert "bank-b may ask the enclave of tax" in shell("agreement", "show", file)
        signed = str(tmp_path / f"agreement-{number}.json")
        told = shell.json("agreement", "sign", file, "--out", signed, "--yes")
        assert bool(told["recorded"]) == (not told["missing"]) == (number == 1)
        file = signed
    agreement = Envelope.from_json(Path(file).read_bytes()).digest
    # Another beside it would be recorded, and heeded by no enclave.
    second = ("--purpose", "in-loan", "--key", f"desk={signer}", "--out", file + "3")
    desk("agreement", "propose", "--owner", "tax", "--institution", "bank-b", *second)
    refused = approvers[0]("agreement", "sign", file + "3", "--out", file + "4", "-y", status=1)
    assert f"{agreement} is in force beside it" in refused
    assert "a budget of its own" in desk("agreement", "show", agreement)
    # A consent to it.
    notice = tmp_path / "notice.txt"
    notice.write_text("What a yes or no may tell.", "utf-8")
    firm = Shell(live, STEADY, "self")
    consent = firm.json(
        "consent", "grant", "--institution", "bank-b", "--purpose", "pre-loan",
        "--feature", "tax.vat_paid", "--notice", str(notice), "--days", "7",
    )["consent"]  # fmt: skip
    # A question, kept, and asked again.
    kept, receipt = str(tmp_path / "question.json"), str(tmp_path / "receipt.json")
    asked = desk.json(
        "check", "paid-enough", "--subject", STEADY, "--purpose", "pre-loan",
        "--param", "least=5000", "--keep", kept, "--receipt", receipt,
    )  # fmt: skip
    assert asked["answer"] == "yes"
    assert desk.json("check", "--again", kept) == asked
    assert Path(kept).stat().st_mode & 0o777 == 0o600
    assert desk("receipt", "verify", receipt).startswith("verified")
    # Both take it back.
    assert "heeds it since" in firm("consent", "revoke", consent)
    question = ("check", "paid-enough", "--subject", STEADY, "--purpose", "pre-loan",
                "--param", "least=5000")  # fmt: skip
    assert "NO_CONSENT" in desk(*question, status=1)
    approvers[0]("agreement", "end", agreement, "--why", "moved on")
    assert "NO_AGREEMENT" in desk(*question, status=1)
    assert "It was ended" in desk("agreement", "show", agreement)
    assert "UNKNOWN_STATEMENT" in desk("agreement", "show", "sha256:" + "0" * 64, status=1)


def test_an_owner_judges_a_template_and_takes_its_approval_back(
    live: LiveRoom, tmp_path: Path
) -> None:
    draft = tmp_path / "half.yaml"
    draft.write_text(
        "kind: Check\nname: at-least-half\ntitle: {en: Half, zh: 一半}\npurposes: [pre-loan]\n"
        "check: tax.vat_paid >= 5000\n",
        "utf-8",
    )
    bank, li = Shell(live, "bank-a", "desk"), Shell(live, "tax", "li")
    template = bank.json("template", "propose", str(draft))["template"]
    assert "approved: 0 of the 2 needed" in li("template", "show", template)
    question = ("check", "at-least-half", "--subject", STEADY, "--purpose", "pre-loan")
    assert "NOT_APPROVED" in bank(*question, status=1)
    approve = ("template", "approve", template, "--yes")
    assert "it still needs 1 of wang, zhao at tax" in li(*approve)
    assert Shell(live, "tax", "wang").json(*approve)["missing"] == []
    assert bank.json(*question)["answer"] == "yes"
    li("pause", "--template", template, "--why", "under review")
    assert "PAUSED" in bank(*question, status=1)
    resume = ("resume", "--template", template, "--why", "reviewed")
    assert "li of tax would let the use of" in li(*resume)
    assert "1 of the 2 needed" in li(*resume)
    assert "PAUSED" in bank(*question, status=1)
    assert "tax let the use of" in Shell(live, "tax", "zhao")(*resume)
    assert bank.json(*question)["answer"] == "yes"
    li("template", "withdraw", template, "--why", "no longer wanted")
    assert "NOT_APPROVED" in bank(*question, status=1)


def test_an_owner_is_shown_what_changed_and_refuses(live: LiveRoom, tmp_path: Path) -> None:
    bank, li = Shell(live, "bank-a", "desk"), Shell(live, "tax", "li")

    def proposed(check: str, title: str) -> str:
        draft = tmp_path / "drift.yaml"
        draft.write_text(
            f"kind: Check\nname: drift\ntitle: {{en: {title}, zh: 变}}\n"
            f"purposes: [pre-loan]\ncheck: {check}\n",
            "utf-8",
        )
        return bank.json("template", "propose", str(draft))["template"]

    first = proposed("tax.vat_paid >= 5000", "Pays")
    shown = li("template", "show", first)
    assert "tax.vat_paid reads vat.paid: " in shown
    assert "The room shows no earlier version that was approved." in shown
    assert "while an agreement is in force" in shown
    for name in ("li", "wang"):
        Shell(live, "tax", name)("template", "approve", first, "--yes")
    # The same to the eye: a Cyrillic letter in the title, another amount in the formula.
    second = proposed("tax.vat_paid >= 50000", "P\u0430ys")
    shown = li("template", "show", second)
    assert f"Since the version approved before ({first})" in shown
    assert "what is asked: tax.vat_paid >= 5000 -> tax.vat_paid >= 50000" in shown
    assert "P\\u{0430}ys" in shown
    assert '- "check": "tax.vat_paid >= 5000"' in shown
    assert "refused" in li("template", "refuse", second, "--why", "another amount than agreed")
    assert "refused by li of tax: another amount than agreed" in bank("template", "show", second)
    assert "tax 0/2 refused" in bank("template", "list")
    assert "CONFLICT" in li("template", "refuse", first, "--why", "late", status=1)
    # A refusal sticks to its bytes: others are another template, with approvals of their own.
    third = proposed("tax.vat_paid >= 50000", "Pays")
    assert "refused by" not in bank("template", "show", third)
    assert "0 of the 2 needed" in bank("template", "show", third)
    question = ("check", "drift", "--subject", STEADY, "--purpose", "pre-loan")
    assert "NOT_APPROVED" in bank(*question, status=1)


def test_an_owner_sees_what_its_data_was_used_for(live: LiveRoom) -> None:
    bank, li = Shell(live, "bank-a", "desk"), Shell(live, "tax", "li")
    question = ("check", "paid-enough", "--purpose", "pre-loan", "--subject")
    bank(*question, STEADY, "--param", "least=5000")
    bank(*question, POOR, "--param", "least=5001", status=1)
    told = json.loads(li("uses", "--json"))
    assert {"bank-a"} <= {each["institution"] for each in told["totals"]}
    paid = [each for each in told["totals"] if each["name"] == "paid-enough"]
    assert sum(each["refused"].get("OFF_GRID", 0) for each in paid) >= 1
    assert sum(each["answered"] for each in paid) >= 1
    assert {each["feature"] for each in told["features"]} == {"tax.vat_paid"}
    assert "OFF_GRID" in li("uses")
    lines = li("uses", "--csv").splitlines()
    assert len(lines) == len(told["uses"]) + 1
    assert json.loads(li("uses", "--since", "2999-01-01", "--json"))["uses"] == []
    assert "NOT_ALLOWED" in bank("uses", status=1)


def test_an_owner_tries_a_draft_and_only_a_sound_one_is_recorded(
    live: LiveRoom, tmp_path: Path
) -> None:
    draft = tmp_path / "half.yaml"
    draft.write_text(
        "name: half_vat\nversion: 1\ntitle: {en: Half, zh: 一半}\nunit: CNY\nlevel: 3\n"
        "family: turnover\ninformation_types: []\nas_of: 2026-06-30\nkind: ordered\n"
        "grid: [500]\nabsent: unknown\nbudget_bits: 2\n"
        "sql: SELECT uscc AS subject, now() AS value FROM vat\n",
        "utf-8",
    )
    li, bank = Shell(live, "tax", "li"), Shell(live, "bank-a", "desk")
    for command in ("try", "add"):
        refusal = li("feature", command, str(draft), status=1)
        assert "MALFORMED_SQL" in refusal
        assert f"{draft}: sql: line 1 column 25: the function now is not listed" in refusal
    assert "half_vat" not in bank("feature", "list")
    draft.write_text(draft.read_text("utf-8").replace("now()", "paid / 2"), "utf-8")
    low = tmp_path / "low.yaml"
    low.write_text(draft.read_text("utf-8").replace("level: 3", "level: 2"), "utf-8")
    for command in ("try", "add"):
        refusal = li("feature", command, str(low), status=1)
        told = "it reads vat.paid, of level 3: its own level must be 3 or more, not 2"
        assert f"{low}: sql: {told}" in refusal
    tried = li("feature", "try", str(draft))
    assert "below 500" in tried
    assert "fewer than 10" in tried
    assert "half_vat" not in bank("feature", "list")
    elsewhere = Shell(live, "court", "li")("feature", "try", str(draft), status=1)
    assert "only the owner's own tables" in elsewhere
    assert "recorded version 1 of tax.half_vat" in li("feature", "add", str(draft))
    assert "half_vat" in bank("feature", "list")
    # A later version ends what was approved with this one, and its owner is told.
    check = tmp_path / "half-check.yaml"
    check.write_text(
        "kind: Check\nname: half-of-vat\ntitle: {en: Half, zh: 一半}\npurposes: [pre-loan]\n"
        "check: tax.half_vat >= 500\n",
        "utf-8",
    )
    template = bank.json("template", "propose", str(check))["template"]
    li("template", "approve", template, "--yes")
    draft.write_text(draft.read_text("utf-8").replace("version: 1", "version: 2"), "utf-8")
    assert "half-of-vat was approved with an earlier version" in li("feature", "add", str(draft))


def test_an_owner_goes_back_to_an_earlier_load(live: LiveRoom, tmp_path: Path) -> None:
    li, wang = Shell(live, "tax", "li"), Shell(live, "tax", "wang")
    listed = json.loads(li("data", "versions", "--json"))
    first = listed[-1]
    assert (first["in_use"], first["approver"]) == (True, "li")
    table, text = CSV["tax"]
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("\n".join(text.splitlines()[:2]) + "\n", "utf-8")
    loaded = json.loads(
        wang("data", "load", f"{table}={wrong}", "--schema", first["schema"], "--json")
    )
    assert "went back to the records of epoch" in wang(
        "data", "rollback", str(first["epoch"]), "--why", "half of it was missing"
    )
    newest, before = json.loads(li("data", "versions", "--json"))[:-3:-1]
    assert newest["rolled_back_to"] == first["digest"]
    assert (newest["approver"], newest["rows"]) == ("wang", first["rows"])
    assert (before["epoch"], before["in_use"], before["kept"]) == (loaded["epoch"], False, True)
    shown = li("data", "versions")
    assert f"wang: back to {first['epoch']}: half of it was missing" in shown
    assert "SNAPSHOT_GONE" in li("data", "rollback", "999", "--why", "x", status=1)
    assert "CONFLICT" in li("data", "rollback", str(newest["epoch"]), "--why", "x", status=1)
    assert "NOT_ALLOWED" in Shell(live, "bank-a", "desk")("data", "versions", status=1)


@pytest.mark.parametrize(
    ("organisation", "name", "words"),
    [
        ("bank-a", "desk", ("pause", "--why", "x")),
        ("bank-a", "desk", ("org", "enrol", "x", "--title-en", "x", "--title-zh", "x",
                            "--role", "owner")),
        ("tax", "li", ("check", "paid-enough", "--subject", STEADY, "--purpose", "pre-loan",
                       "--param", "least=5000")),
    ],
)  # fmt: skip
def test_a_role_that_may_not_is_told_so(
    live: LiveRoom, organisation: str, name: str, words: tuple[str, ...]
) -> None:
    output = Shell(live, organisation, name)(*words, status=1)
    assert "NOT_ALLOWED: You may not do this." in output
    assert "  next  " in output
