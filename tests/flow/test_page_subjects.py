"""docs/subjects.md is typed as it stands, in a room that is running."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.cli.narrow import COLUMNS
from saferoom_client.cli.output import columns_of
from tests.flow.live import LiveRoom
from tests.flow.offers import CURIOUS, POOR, REGISTRAR, STEADY
from tests.flow.pages import Hand, read_page, typing_in

PAGE = "subjects.md"
FIELD = ("--owner", "tax", "--field", "vat.paid", "--words", "x")
STANDS = ("--finding", "stands", "--words", "x")
COMMANDS = (
    *("consent request", "consent requests", "consent show", "consent grant", "consent revoke"),
    *("consent register", "consent list", "mine"),
    *("dispute open", "dispute list", "dispute answer", "dispute withdraw"),
)


@pytest.fixture
def hand(live: LiveRoom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    """Give a folder in which the page's people have their member folders."""
    people = {
        "firm": live.member(STEADY, "self"),
        "bank": live.member("bank-c", "desk"),
        "tax": live.member("tax", "li"),
        "hall": live.member(REGISTRAR, "desk"),
    }
    live.agree("tax", "bank-c")
    with typing_in(tmp_path_factory.mktemp("subjects")) as hand:
        for name, folder in people.items():
            (hand.folder / name).symlink_to(folder.resolve())
        yield hand


def test_the_page_holds_every_command_of_a_subject() -> None:
    typed = "".join(one.text for one in read_page(PAGE) if one.kind == "sh")
    assert [each for each in COMMANDS if f"saferoom {each}" not in typed] == []


def test_the_page_works_as_it_stands(hand: Hand) -> None:
    for block in read_page(PAGE):
        hand.do(block)
    lines = (hand.folder / "mine.txt").read_text("utf-8").splitlines()
    wide = [line for line in lines if columns_of(line) > COLUMNS and len(line.split()) > 1]
    assert wide == []


def test_a_program_reads_the_same_and_one_owner_at_a_time(live: LiveRoom) -> None:
    words = ["mine", "--owner", "court", "--json", "-p", str(live.member(CURIOUS, "self"))]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert list(told["held"]) == ["court"]
    assert {each["owner"] for each in told["uses"]} <= {"court"}


@pytest.mark.parametrize(
    ("member", "words", "said"),
    [
        (("bank-a", "desk"), ("mine",), "NOT_ALLOWED"),
        ((POOR, "self"), ("dispute", "open", "--use", "0", "--words", "x"), "UNKNOWN_STATEMENT"),
        (("tax", "li"), ("dispute", "open", *FIELD), "only a subject disputes"),
        (("tax", "li"), ("dispute", "answer", "0", *STANDS), "entry 0 is no dispute of yours"),
        (
            (POOR, "self"),
            ("dispute", "open", "--words", "x", "--receipt", __file__),
            "not the receipt",
        ),
        ((POOR, "self"), ("consent", "show", "sha256:" + "0" * 64), "UNKNOWN_STATEMENT"),
        ((POOR, "self"), ("mine", "--owner", "nobody"), "saferoom trust pin nobody ROOT"),
        ((POOR, "self"), ("mine", "--owner", "nobody"), "of nobody: not shown now"),
    ],
)
def test_what_cannot_be_is_said_in_words(
    live: LiveRoom, member: tuple[str, str], words: tuple[str, ...], said: str
) -> None:
    result = CliRunner().invoke(app, [*words, "-p", str(live.member(*member))])
    assert said in " ".join(result.output.split())


@pytest.mark.parametrize(
    "words", [("--words", "x"), ("--words", "x", "--field", "vat.paid"), ("--use", "1")]
)
def test_a_dispute_about_nothing_is_not_sent(live: LiveRoom, words: tuple[str, ...]) -> None:
    folder = str(live.member(POOR, "self"))
    result = CliRunner().invoke(app, ["dispute", "open", *words, "-p", folder])
    assert result.exit_code == 2, result.output


def test_a_use_receipt_that_was_altered_is_refused(live: LiveRoom, tmp_path: Path) -> None:
    folder = str(live.member(POOR, "self"))
    with live.open("bank-a", "desk") as room:
        room.check("paid-enough", subject=POOR, purpose="pre-loan", params={"least": "5000"})
    CliRunner().invoke(app, ["mine", "--uses-only", "--receipts", str(tmp_path), "-p", folder])
    file = max(tmp_path.glob("entry-*.json"))
    whole = json.loads(file.read_text("utf-8"))
    assert CliRunner().invoke(app, ["receipt", "verify", str(file), "-p", folder]).exit_code == 0
    others = [each for each in tmp_path.glob("entry-*.json") if each != file]
    for name in ("word", "salt", "proof", "question", "endorsement"):
        other = "A" * 43 + "=" if name == "salt" else whole["charter"]
        file.write_text(json.dumps(whole | {name: other}), "utf-8")
        result = CliRunner().invoke(app, ["receipt", "verify", str(file), "-p", folder])
        assert result.exit_code == 1, (name, result.output)
    assert len(others) + 1 == len(list(tmp_path.iterdir()))
