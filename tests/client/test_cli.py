"""The command line: what a user gets wrong is named, with the place and the next step."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner, Result

from saferoom_client.cli import COMMANDS, app, load_command, output, software
from saferoom_client.cli.tables import table
from saferoom_client.issuer import Issuer, enrol_member
from saferoom_client.profile import Member, Profile
from saferoom_client.session import utc_now
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import CATALOGUE, Reason, SafeRoomError
from saferoom_proto.uscc import make_uscc
from tests.client.made import make_case
from tests.client.tampering import Told, told
from tests.client.test_drafts import FEATURE, TEMPLATE
from tests.client.test_profile import card

RUNNER: Final = CliRunner(env={"COLUMNS": "300", "SAFEROOM_PROFILE": "", "NO_COLOR": "1"})
USAGE: Final = 2
NO_DOCUMENT: Final = (("room", "serve"), ("receipt", "verifier"))
"""Commands that print no result: one runs, the other prints a file."""


def run(*arguments: str) -> Result:
    result = RUNNER.invoke(app, list(arguments))
    assert "Traceback" not in result.output, result.output
    return result


@pytest.fixture
def profile(tmp_path: Path, issuer: Issuer) -> Profile:
    member = Member(organisation="tax", name="li")
    return enrol_member(issuer, tmp_path / "li", card(), member, utc_now())


def draft(folder: Path, text: str) -> str:
    path = folder / "draft.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def three_parts(result: Result, reason: Reason) -> str:
    """Check that an error has its rule, place and next step; give its text."""
    words = CATALOGUE[reason]
    assert result.exit_code == 1, result.output
    assert f"{reason}: {words.what}" in result.output
    assert "  at    " in result.output
    assert f"  next  {words.next_step}" in result.output
    return result.output


def commands() -> Iterator[tuple[str, ...]]:
    """Name every command."""
    for name in COMMANDS:
        if name == "demo":
            continue
        loaded = load_command(name)
        inner = getattr(loaded, "commands", None)
        yield from ((name, each) for each in inner) if inner else ((name,),)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_helps_in_either_language_and_speaks_json(words: tuple[str, ...]) -> None:
    english, chinese = run(*words, "--help"), run("--lang", "zh", *words, "--help")
    assert (english.exit_code, chinese.exit_code) == (0, 0)
    assert not re.search("[\u4e00-\u9fff]", english.output)
    assert ("Usage:" in english.output, "用法" in chinese.output) == (True, True)
    assert not re.search(r"Usage:|OPTIONS|ARGS", chinese.output)
    assert re.search("[\u4e00-\u9fff]", chinese.output)
    assert ("--json" in english.output) == (words not in NO_DOCUMENT)


def test_the_list_of_commands_imports_none_of_them() -> None:
    before = set(sys.modules)
    result = run("--help")
    assert result.exit_code == 0
    assert set(COMMANDS) <= set(result.output.split())
    assert not {name for name in set(sys.modules) - before if "duckdb" in name}


def test_the_version_is_told() -> None:
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"saferoom {version('saferoom')}\n")


def test_an_unknown_command_is_a_usage_error() -> None:
    result = run("recipt", "verify")
    assert result.exit_code == USAGE
    assert "No such command" in result.output


def test_a_missing_profile_is_a_usage_error_that_names_the_variable() -> None:
    result = run("whoami")
    assert result.exit_code == USAGE
    assert "SAFEROOM_PROFILE" in result.output


def test_a_malformed_code_is_named_before_anything_else(profile: Profile) -> None:
    result = run(
        "check", "steady", "-p", str(profile.folder), "--subject", "123", "--purpose", "pre-loan"
    )
    assert result.exit_code == USAGE
    assert "--subject" in result.output
    assert "GB 32100-2015" in result.output
    wrong = make_uscc(1)[:-1] + ("0" if make_uscc(1)[-1] != "0" else "1")
    result = run("issuer", "enrol", "x", "--room", "/dev/null", "-o", "x", "--subject", wrong)
    assert "18th" in result.output


def test_a_key_that_is_none_is_named_before_anything_else(profile: Profile, tmp_path: Path) -> None:
    out = tmp_path / "handover.yaml"
    words = ("charter", "hand-over", "tax", "--to", "xyz", "-p", str(profile.folder))
    result = run(*words, "--out", str(out))
    assert (result.exit_code, "--to: no public key" in result.output) == (USAGE, True)
    assert not out.exists()


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    output = three_parts(run("whoami", "-p", str(tmp_path / "nobody")), Reason.BAD_CONFIG)
    assert f"{tmp_path / 'nobody'}: there is no such folder" in output


def test_a_key_with_wrong_permissions_is_named_with_its_remedy(profile: Profile) -> None:
    (profile.folder / "signing.key").chmod(0o644)
    output = three_parts(run("whoami", "-p", str(profile.folder)), Reason.BAD_CONFIG)
    assert f"chmod 600 {profile.folder / 'signing.key'}" in output


def test_a_room_that_does_not_answer_is_an_error_and_no_trace(profile: Profile) -> None:
    path = profile.folder / "room.json"
    path.write_text(path.read_text().replace("7443", "1"))
    output = three_parts(run("whoami", "-p", str(profile.folder)), Reason.UNAVAILABLE)
    assert "Traceback" not in output


def test_a_certificate_that_has_ended_is_named_where_nobody_answers(
    issuer: Issuer, tmp_path: Path
) -> None:
    made, member = utc_now() - timedelta(days=60), Member(organisation="tax", name="li")
    folder = enrol_member(issuer, tmp_path / "old", card(), member, made, days=30).folder
    path = folder / "room.json"
    path.write_text(path.read_text().replace("7443", "1"))
    output = three_parts(run("whoami", "-p", str(folder)), Reason.UNAUTHENTICATED)
    assert f"{folder / 'tls.pem'}: it counts from {made:%Y-%m-%d} to" in output


@pytest.mark.parametrize(
    ("text", "place", "rule"),
    [
        (TEMPLATE + "colour: red\n", ":7: colour", "unknown key"),
        (TEMPLATE + "name: x\n", "line 7 column 1", "the key stands twice"),
        (TEMPLATE + "---\n" + TEMPLATE, "line 7", "document"),
        (TEMPLATE.replace("pre-loan", "fun"), ":4: purposes.0", "pre-loan"),
        ("- x\n", "draft.yaml", "mapping"),
    ],
)
def test_a_template_with_a_fault_is_refused_with_file_line_and_rule(
    profile: Profile, tmp_path: Path, text: str, place: str, rule: str
) -> None:
    result = run("template", "propose", draft(tmp_path, text), "-p", str(profile.folder))
    output = three_parts(result, Reason.MALFORMED)
    assert place in output
    assert rule in output


def test_a_feature_with_a_fault_is_refused_with_file_line_and_rule(
    profile: Profile, tmp_path: Path
) -> None:
    path = draft(tmp_path, FEATURE.replace("level: 3", "level: 7"))
    output = three_parts(run("feature", "add", path, "-p", str(profile.folder)), Reason.MALFORMED)
    assert f"{path}:5: level" in output


def test_a_draft_that_is_not_there_is_a_usage_error(profile: Profile) -> None:
    result = run("feature", "add", "/no/such/draft.yaml", "-p", str(profile.folder))
    assert result.exit_code == USAGE
    assert "/no/such/draft.yaml" in result.output


def test_an_error_speaks_json_too(profile: Profile, tmp_path: Path) -> None:
    path = draft(tmp_path, TEMPLATE + "colour: red\n")
    result = run("template", "propose", path, "-p", str(profile.folder), "--json")
    assert result.exit_code == 1
    error: dict[str, object] = json.loads(result.stdout)["error"]
    assert error["reason"] == "MALFORMED"
    assert error["places"] == [{"field": f"{path}:7: colour", "rule": "unknown key"}]
    assert error["next_step"] == CATALOGUE[Reason.MALFORMED].next_step


def test_what_is_printed_to_nobody_is_no_fault_of_the_configuration() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        told = subprocess.run(
            [sys.executable, "-m", "saferoom_client", "measure"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
        )
    assert (told.returncode, told.stderr) == (1, "")


def test_a_digest_that_is_none_is_refused(profile: Profile) -> None:
    result = run("template", "approve", "steady", "-p", str(profile.folder), "--yes")
    assert result.exit_code == 1
    assert "  at    DIGEST: not a digest" in result.output
    assert "  next  saferoom template list" in result.output


def test_arguments_that_no_statement_may_hold_are_named(profile: Profile, tmp_path: Path) -> None:
    room_card = str(profile.folder / "room.json")
    result = run(
        "agent", "init", str(tmp_path / "a"), "--room", room_card, "--owner", "Tax!",
        "--charter-root", "abc", "--code", "x",
    )  # fmt: skip
    output = three_parts(result, Reason.MALFORMED)
    assert "owner" in output
    assert "charter_root" in output


def test_a_folder_that_may_not_be_written_is_named() -> None:
    result = run("issuer", "init", "/proc/saferoom-issuer")
    output = three_parts(result, Reason.BAD_CONFIG)
    assert "/proc/saferoom-issuer" in output


def test_an_issuer_and_its_members_from_the_command_line(tmp_path: Path, profile: Profile) -> None:
    folder, room_card = str(tmp_path / "registry"), str(profile.folder / "room.json")
    assert run("issuer", "init", folder, "--name", "registry").exit_code == 0
    out = str(tmp_path / "anna")
    enrolled = run(
        "issuer", "enrol", folder, "--room", room_card, "-o", out,
        "--organisation", "bank", "--name", "anna", "--json",
    )  # fmt: skip
    document: dict[str, str] = json.loads(enrolled.stdout)
    member = Profile.load(Path(out))
    assert document["key"] == member.signing_key.verify_key.public
    again = run(
        "issuer", "enrol", folder, "--room", room_card, "-o", out, "--subject", make_uscc(1)
    )
    three_parts(again, Reason.BAD_CONFIG)
    both = run("issuer", "enrol", folder, "--room", room_card, "-o", out)
    assert both.exit_code == USAGE


def test_a_charter_is_drafted_from_its_parts(tmp_path: Path, profile: Profile) -> None:
    root, issuer = tmp_path / "root.key", tmp_path / "registry"
    public = run("charter", "root", str(root)).stdout.strip()
    assert root.stat().st_mode & 0o777 == 0o600
    three_parts(run("charter", "root", str(root)), Reason.BAD_CONFIG)
    run("issuer", "init", str(issuer))
    room_card = str(profile.folder / "room.json")
    agent = run(
        "agent", "init", str(tmp_path / "agent"), "--room", room_card, "--owner", "tax",
        "--charter-root", public, "--code", "sha256:" + "1" * 64,
    )  # fmt: skip
    assert agent.exit_code == 0, agent.output
    out = tmp_path / "charter.yaml"
    signer = str(profile.folder / "signing.pem")
    result = run(
        "charter", "init", "tax", "--room", room_card, "--root", str(root),
        "--agent", str(tmp_path / "agent" / "agent-card.json"),
        "--issuer", str(issuer / "issuer.json"), "--approver", f"li={signer}", "--out", str(out),
        "--title-en", "Tax bureau", "--title-zh", "税务局",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    text = out.read_text("utf-8")
    assert "税务局" in text
    assert public in text
    assert profile.signing_key.verify_key.public in text
    other = tmp_path / "other.key"
    run("charter", "root", str(other))
    put = run("charter", "put", str(out), "--root", str(other), "-p", str(profile.folder))
    assert "its root is not the key" in three_parts(put, Reason.BAD_CONFIG)


def test_a_pinned_root_is_shown(profile: Profile) -> None:
    root = SigningKey.generate().verify_key.public
    assert run("trust", "pin", "court", root, "-p", str(profile.folder)).exit_code == 0
    shown = run("trust", "show", "-p", str(profile.folder), "--json")
    assert json.loads(shown.stdout)["charter_roots"] == {"court": root}
    other = SigningKey.generate().verify_key.public
    refused = run("trust", "pin", "court", other, "-p", str(profile.folder))
    assert refused.exit_code == 1
    assert refused.output.startswith("BAD_CONFIG: ")
    assert "trust.json" in refused.output
    assert f"next  saferoom trust follow court -p {profile.folder}\n" in refused.output


@pytest.fixture(scope="module")
def receipt() -> Told:
    return told(make_case("receipts at the command line"))


def test_a_receipt_is_verified_offline_with_the_pinned_keys_alone(
    receipt: Told, tmp_path: Path
) -> None:
    file, trust = tmp_path / "receipt.json", tmp_path / "trust.json"
    file.write_bytes(receipt.receipt.to_json())
    trust.write_text(receipt.trust.model_dump_json())
    result = run("receipt", "verify", str(file), "--trust", str(trust))
    assert result.exit_code == 0, result.output
    assert result.output.startswith("verified")
    assert receipt.question.request_id in result.output
    shown = run("receipt", "show", str(file), "--trust", str(trust), "--json")
    document: dict[str, object] = json.loads(shown.stdout)
    assert document["answer"] == "yes"
    assert sorted(document["releases"]) == ["court", "tax"]  # pyright: ignore[reportArgumentType]


def test_a_receipt_that_was_altered_is_refused(receipt: Told, tmp_path: Path) -> None:
    file, trust = tmp_path / "receipt.json", tmp_path / "trust.json"
    text = receipt.receipt.to_json()
    trust.write_text(receipt.trust.model_dump_json())
    salt = receipt.receipt.parts[0].salt
    file.write_bytes(text.replace(salt.encode(), b"A" * (len(salt) - 1) + b"="))
    three_parts(run("receipt", "verify", str(file), "--trust", str(trust)), Reason.BAD_PROOF)
    file.write_bytes(text[:-20])
    assert run("receipt", "verify", str(file), "--trust", str(trust)).exit_code == 1
    file.write_bytes(text)
    assert run("receipt", "verify", str(file)).exit_code == USAGE


def test_without_the_rooms_software_its_commands_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(software, "import_module", missing)
    result = run("room", "init", str(tmp_path / "room"), "--origin", "room.example")
    output = three_parts(result, Reason.NOT_INSTALLED)
    assert "Install saferoom[room]" in output


def test_an_interrupt_ends_cleanly(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Profile, "load", interrupted)
    result = run("whoami", "-p", str(profile.folder))
    assert result.exit_code == 130


def test_columns_line_up_under_chinese_headings_and_cut_nothing() -> None:
    rows = table(("名称", "DIGEST"), [("税务局", "sha256:" + "0" * 64), ("x", "y")])
    assert rows[1].endswith("0" * 64)
    assert rows[2] == "x       y"
    assert table(("A",), []) == ["none"]


def test_a_table_wider_than_the_screen_is_read_line_by_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest, why = "sha256:" + "0" * 64, "the file was last year's, " * 5
    headings, row = ("EPOCH", "ORDERED BY", "DIGEST"), ("3", f"li: {why.strip()}", digest)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    lines = table(headings, [row, ("", "王", digest)])
    assert max(map(output.columns_of, lines)) <= 80
    assert lines[0] == "EPOCH       3"
    assert " ".join(" ".join(lines[1 : lines.index("DIGEST")]).split()) == f"ORDERED BY {row[1]}"
    assert lines[-4:] == ["", "ORDERED BY  王", "DIGEST", f"  {digest}"]
    # Where it fits, and for whatever is no screen, a row is a line.
    assert len(table(("A", "B"), [("1", "2")])) == 2
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert len(table(headings, [row])) == 2


def test_measuring_needs_the_enclaves_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from saferoom_client.cli import agent  # noqa: PLC0415 - what is altered here

    def missing() -> str:
        raise SafeRoomError(Reason.BAD_EVIDENCE, "saferoom_enclaves is not installed")

    monkeypatch.setattr(agent, "measure_code", missing)
    assert "saferoom[room]" in three_parts(run("measure"), Reason.NOT_INSTALLED)
