"""The command line given what it can not use: told in three parts, before anything is charged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from saferoom_client.files import MOST_BYTES
from saferoom_client.issuer import Issuer, enrol_member
from saferoom_client.profile import Member, Profile
from saferoom_client.session import utc_now
from saferoom_proto.uscc import make_uscc
from tests.client.test_cli import USAGE, run
from tests.client.test_profile import card

SUBJECT: Final = make_uscc(1)
QUESTION: Final = ("steady", "--subject", SUBJECT, "--purpose", "pre-loan")


@pytest.fixture
def desk(tmp_path: Path, issuer: Issuer) -> Profile:
    """A bank's folder; its room is not there, so whatever reaches for it is UNAVAILABLE."""
    member = Member(organisation="bank-a", name="desk")
    return enrol_member(issuer, tmp_path / "desk", card(), member, utc_now())


@pytest.mark.parametrize(
    ("arguments", "place", "rule"),
    [
        (("check",), "--profile", "missing; it can stand in SAFEROOM_PROFILE too"),
        (
            ("check", "--pofile", "x"),
            "--pofile",
            "there is no such option; near it: --file, --profile",
        ),
        (("audit", "verify", "--since", "-4"), "--since", "it must be 0 or more"),
        (("audit", "verify", "--since", "x"), "--since", "a whole number is expected"),
        (("uses", "--since", "2026-13-01"), "--since", "2026-13-01 is no date, as 2026-01-31"),
        (("receipt", "verify", "none.json"), "file", "none.json: it is not there"),
        (("receipt", "verify", "/tmp"), "file", "/tmp: it is a folder, and a file is expected"),
        (("whoami", "-p", "/dev/null", "x"), "", "more words than it takes: x"),
        (("data", "load", "a=b"), "--schema", "missing"),
        (("check", *QUESTION, "--param", "least"), "", "least is not written as NAME=VALUE"),
        (("trust", "pin", "tax", "xyz"), "KEY", "no public key in base64"),
    ],
)
def test_a_command_that_is_not_typed_as_it_takes_it_is_told_in_three_parts(
    arguments: tuple[str, ...], place: str, rule: str
) -> None:
    given = (*arguments, "-p", "x") if place not in ("--profile", "--pofile") else arguments
    said = run(*given)
    assert said.exit_code == USAGE
    assert f"  at    {place}{': ' if place else ''}{rule}" in said.output.splitlines()
    assert f"  next  saferoom {' '.join(arguments[:1])}" in said.output
    document = json.loads(run(*given, "--json").stdout)["error"]
    assert document["reason"] == "MALFORMED"
    assert document["steps"][0].endswith("--help")


def test_usage_errors_are_whole_in_chinese() -> None:
    for arguments in ((), ("chek",), ("check",), ("check", "--pofile"), ("uses", "--since", "x")):
        said = run("--lang", "zh", *arguments)
        assert said.exit_code == USAGE
        for english in ("Usage", "Missing", "Invalid", "No such", "error", "expected", "missing"):
            assert english not in said.output


@pytest.mark.parametrize("option", ["--receipt", "--keep", "--request"])
def test_nothing_is_asked_where_its_receipt_could_not_be_written(
    desk: Profile, tmp_path: Path, option: str
) -> None:
    place = tmp_path / "no-such-folder" / "receipt.json"
    said = run("check", *QUESTION, option, str(place), "-p", str(desk.folder))
    assert said.exit_code == 1
    assert f"  at    {place}: there is no such folder to write it to" in said.output.splitlines()
    assert "UNAVAILABLE" not in said.output


def test_no_batch_is_asked_where_its_answers_could_not_be_written(
    desk: Profile, tmp_path: Path
) -> None:
    applicants = tmp_path / "applicants.csv"
    applicants.write_text(f"uscc\n{SUBJECT}\n", "ascii")
    batch = ("--file", str(applicants), "--purpose", "pre-loan", "-p", str(desk.folder))
    for names in (("--out", "none/a.csv"), ("--out", "a.csv", "--receipt", "none/r.json")):
        paths = [str(tmp_path / each) if "." in each else each for each in names]
        said = run("check", "steady", *batch, *paths)
        assert "there is no such folder to write it to" in said.output
        assert "UNAVAILABLE" not in said.output
    assert [path.name for path in tmp_path.iterdir() if "csv" in path.name] == ["applicants.csv"]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("--subject", SUBJECT, "--again"), "--again asks what is kept as it is"),
        (("--param", "least=5", "--again"), "--again asks what is kept as it is"),
        (("steady", "--again"), "--again asks what is kept as it is"),
        (("steady", "--purpose", "pre-loan", "--subject", SUBJECT, "--file"), "do not go with"),
        (("steady", "--purpose", "pre-loan", "--keep", "kept.json", "--file"), "do not go with"),
    ],
)
def test_no_answer_is_shown_to_another_question_than_was_typed(
    desk: Profile, tmp_path: Path, words: tuple[str, ...], rule: str
) -> None:
    file = tmp_path / "question.json"
    file.write_text("{}", "ascii")
    said = run("check", *words, str(file), "-p", str(desk.folder))
    assert said.exit_code == USAGE
    assert rule in said.output


def test_days_past_the_end_of_the_calendar_are_refused(desk: Profile) -> None:
    said = run(
        "consent", "grant", "--institution", "bank-a", "--purpose", "pre-loan",
        "--feature", "tax.vat_paid", "--notice", "/dev/null", "--days", "9999999",
        "-p", str(desk.folder),
    )  # fmt: skip
    assert said.exit_code == USAGE
    assert "--days: it must be 36525 or less" in said.output


def test_no_member_is_named_anew_past_the_end_of_the_calendar(
    desk: Profile, tmp_path: Path
) -> None:
    said = run(
        "issuer", "renew", str(tmp_path), str(desk.folder), "--out", str(tmp_path / "next"),
        "--days", "9999999",
    )  # fmt: skip
    assert said.exit_code == USAGE
    assert "--days: it must be 36525 or less" in said.output


def test_a_consent_to_an_empty_notice_is_refused(tmp_path: Path, issuer: Issuer) -> None:
    subject = Member(organisation=SUBJECT, name="self")
    firm = enrol_member(issuer, tmp_path / "firm", card(), subject, utc_now())
    notice = tmp_path / "notice.txt"
    notice.write_text("\n", "ascii")
    said = run(
        "consent", "grant", "--institution", "bank-a", "--purpose", "pre-loan",
        "--feature", "tax.vat_paid", "--notice", str(notice), "-p", str(firm.folder),
    )  # fmt: skip
    assert said.exit_code == 1
    assert f"  at    {notice}: it is empty" in said.output.splitlines()


def test_another_owners_draft_is_refused_before_it_is_signed(
    tmp_path: Path, issuer: Issuer
) -> None:
    approver = Member(organisation="tax", name="li")
    folder = enrol_member(issuer, tmp_path / "li", card(), approver, utc_now()).folder
    draft = tmp_path / "feature.yaml"
    draft.write_text("owner: court\nname: x\n", "ascii")
    said = run("feature", "add", str(draft), "-p", str(folder))
    assert "NOT_ALLOWED" in said.output
    assert "owner: another owner's draft: you are of tax" in said.output


def test_what_json_prints_of_an_error_is_the_same_in_every_language(
    desk: Profile, tmp_path: Path
) -> None:
    wrong = tmp_path / "r.json"
    wrong.write_text("{", "ascii")
    for arguments in (
        ("receipt", "verify", str(wrong), "-p", str(desk.folder)),
        ("check", *QUESTION, "--param", "x", "-p", str(desk.folder)),
        ("template", "approve", "steady", "-p", str(desk.folder)),
        ("whoami", "-p", str(tmp_path / "nobody")),
    ):
        english, chinese = run(*arguments, "--json"), run("--lang", "zh", *arguments, "--json")
        assert json.loads(english.stdout) == json.loads(chinese.stdout)


def test_a_file_too_large_to_be_read_whole_is_refused_unread(desk: Profile, tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)  # sparse: it takes no room on the disk
    for command in (("template", "propose"), ("receipt", "verify"), ("receipt", "show")):
        said = run(*command, str(large), "-p", str(desk.folder))
        assert said.exit_code == 1
        assert f"it has {MOST_BYTES + 1} bytes; at most {MOST_BYTES} are read" in said.output


def test_a_draft_that_is_no_yaml_is_told_where_in_the_language_of_whoever_wrote_it(
    desk: Profile, tmp_path: Path
) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text("a: [1\n", "ascii")
    words = ("template", "propose", str(draft), "-p", str(desk.folder))
    place, problem = f"{draft}: line 2 column 1", "expected ',' or ']', but got '<stream end>'"
    assert f"{place}: it cannot be read as YAML from here on: {problem}" in run(*words).output
    chinese = run("--lang", "zh", *words).output
    assert f"{draft}: 第 2 行第 1 列: 从此处起无法按 YAML 读取" in chinese
    assert "line" not in chinese.replace(problem, "")


@pytest.mark.parametrize(
    ("command", "steps"),
    [
        (("mine",), ["Give the subject's own member folder: -p FOLDER.", "saferoom whoami"]),
        (("report", "own", "--out", "own.html"), ["Give the subject's own", "saferoom whoami"]),
        (("job", "show", "abc"), ["saferoom job list"]),
        (("job", "report", "abc", "--out", "a.html"), ["saferoom job list"]),
    ],
)
def test_whoever_has_nothing_of_the_kind_is_told_the_next_step(
    desk: Profile, command: tuple[str, ...], steps: list[str]
) -> None:
    said = run(*command, "-p", str(desk.folder))
    assert said.exit_code == 1
    told = [line for line in said.output.splitlines() if line.startswith("  next  ")]
    assert len(told) == len(steps)
    assert all(step in line for step, line in zip(steps, told, strict=True))
