"""`saferoom check --file`: applicants in, answers and one receipt out, and a break in between."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from tests.flow.live import LiveRoom
from tests.flow.offers import LISTED, POOR, SILENT, STEADY, UNKNOWN
from tests.flow.pages import DOCS, blocks

PAGE = DOCS / "life-of-a-batch.md"
SUBJECTS = (STEADY, POOR, LISTED, UNKNOWN, SILENT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = ["name,uscc", *(f"Firm {at},{each}" for at, each in enumerate(SUBJECTS))]
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path


def run(live: LiveRoom, *words: str | Path, ok: bool = True) -> str:
    profile = str(live.member("bank-a", "desk"))
    result = CliRunner().invoke(
        app, [*(str(word) for word in words), "-p", profile], catch_exceptions=False
    )
    assert (result.exit_code == 0) is ok, result.output
    return result.output


def check(live: LiveRoom, folder: Path, *more: str, ok: bool = True) -> str:
    words = ("--purpose", "pre-loan", "--param", "least=5000", *more)
    file, out = folder / "list.csv", folder / "answers.csv"
    return run(live, "check", "steady-payer", "--file", file, "--out", out, *words, ok=ok)


def test_answers_stand_beside_the_applicants(live: LiveRoom, folder: Path) -> None:
    told = json.loads(check(live, folder, "--json"))
    with (folder / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["uscc"]) for row in rows] == [
        (f"Firm {at}", subject) for at, subject in enumerate(SUBJECTS)
    ]
    assert [(row["answer"], row["reason"]) for row in rows] == [
        ("yes", ""),
        ("no", ""),
        ("no", ""),
        ("not_found", ""),
        ("refused", "NO_CONSENT"),
    ]
    assert told["counts"] == {"yes": 1, "no": 2, "not_found": 1, "NO_CONSENT": 1}
    assert not (folder / "answers.csv.batch").exists()


def test_one_rows_receipt_is_taken_out_and_verified(live: LiveRoom, folder: Path) -> None:
    check(live, folder)
    whole, one = folder / "answers.csv.receipt.json", folder / "row.json"
    assert (whole.stat().st_mode & 0o077) == 0
    assert "every row's outcome" in run(live, "receipt", "verify", whole)
    run(live, "receipt", "row", whole, "--subject", POOR, "--out", one)
    told = json.loads(run(live, "receipt", "verify", one, "--json"))
    assert (told["verified"], told["answer"], told["subject"]) == (True, "no", POOR)
    assert STEADY not in one.read_text("utf-8")
    for language, known in (("en", "row 2 of 5"), ("zh", "第 2 行, 共 5 行")):
        page = folder / f"row-{language}.html"
        run(live, "receipt", "export", one, "--out", page, "--lang", language)
        shown = page.read_text("utf-8")
        assert all(each in shown for each in (known, POOR, "bank-a", told["request_id"]))
        assert STEADY not in shown
    refused = run(live, "receipt", "export", whole, "--out", folder / "all.html", ok=False)
    assert f"saferoom receipt row {whole}" in refused
    run(live, "receipt", "row", whole, "--subject", "x", "--out", one, ok=False)
    run(live, "receipt", "row", whole, "--row", "99", "--out", one, ok=False)
    run(live, "receipt", "row", whole, "--out", one, ok=False)


def test_a_batch_that_broke_off_is_taken_up_by_the_same_command(
    live: LiveRoom, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from saferoom_client.cli import check_file  # noqa: PLC0415 - patched below

    with monkeypatch.context() as patched:
        patched.setattr(check_file, "write_answers", None)  # killed after the answers came
        with pytest.raises(TypeError):
            check(live, folder)
    assert (folder / "answers.csv.batch").exists()
    first = json.loads((folder / "answers.csv.receipt.json").read_text("utf-8"))
    told = json.loads(check(live, folder, "--json"))
    assert told["resumed"] is True
    assert json.loads((folder / "answers.csv.receipt.json").read_text("utf-8")) == first


def test_the_state_of_another_list_is_not_taken_up(
    live: LiveRoom, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from saferoom_client.cli import check_file  # noqa: PLC0415 - patched below

    with monkeypatch.context() as patched:
        patched.setattr(check_file, "write_answers", None)
        with pytest.raises(TypeError):
            check(live, folder)
    (folder / "list.csv").write_text(f"uscc\n{POOR}\n", "utf-8")
    told = json.loads(check(live, folder, "--json", ok=False))["error"]
    assert "other applicants" in told["places"][0]["rule"]


def test_a_batch_off_the_grid_names_the_row_and_stands_in_no_later_ones_way(
    live: LiveRoom, folder: Path
) -> None:
    (folder / "list.csv").write_text(f"uscc,least\n{POOR},5000\n{STEADY},4999\n", "utf-8")
    words = ("check", "steady-payer", "--file", folder / "list.csv", "--purpose", "pre-loan")
    asked = (*words, "--out", folder / "answers.csv")
    told = json.loads(run(live, *asked, "--json", ok=False))["error"]
    assert told["reason"] == "OFF_GRID"
    assert [each["field"] for each in told["places"]] == ["rows[1].params.least"]
    (folder / "list.csv").write_text(f"uscc,least\n{POOR},5000\n{STEADY},5000\n", "utf-8")
    assert json.loads(run(live, *asked, "--json"))["counts"] == {"yes": 1, "no": 1, "not_found": 0}


def test_nothing_is_written_over_and_nothing_is_sent_for_bad_lines(
    live: LiveRoom, folder: Path
) -> None:
    (folder / "list.csv").write_text(f"uscc\n{POOR}\nnonsense\n", "utf-8")
    told = json.loads(check(live, folder, "--json", ok=False))["error"]
    assert told["places"][0]["field"].endswith("line 3")
    assert not list(folder.glob("answers*"))
    (folder / "answers.csv").write_text("mine", "utf-8")
    check(live, folder, ok=False)
    assert (folder / "answers.csv").read_text("utf-8") == "mine"


def test_the_commands_of_the_page_work_as_they_stand(
    live: LiveRoom, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "list.csv").rename(folder / "applicants.csv")
    monkeypatch.chdir(folder)
    (block,) = (each for each in blocks(PAGE.read_text("utf-8")) if each.kind == "sh")
    for line in block.text.splitlines():
        name, *words = line.split()
        assert name == "saferoom"
        run(live, *words)
    assert (folder / "row.json").exists()
