"""What is told of a model is told in words, as a page, and in both languages."""

from __future__ import annotations

import io
import re
import zlib
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from saferoom_client.cli import job
from saferoom_client.cli.job_words import describe_progress, describe_report
from saferoom_client.tongue import Language, speak
from saferoom_client.training.charts import weights_chart
from saferoom_client.training.notes import note_words
from saferoom_client.training.page import write_page, write_pdf
from saferoom_client.training.progress import JobProgress, Stage
from saferoom_client.training.report import Band, Note, TrainingReport, Weight
from saferoom_models.vertical.columns import FindingKind
from tests import needs

EVIL = "<script>alert(1)</script>"

REPORT = TrainingReport(
    job="sha256:" + "ab" * 32,
    template="default-risk",
    owner="tax",
    institution="bank-a",
    purpose="product-design",
    time=datetime(2026, 11, 30, tzinfo=UTC),
    rows=1200,
    events=300,
    room_columns=3,
    inverse_ridge="1",
    rank=4,
    rounds=7,
    converged=True,
    model="sha256:" + "cd" * 32,
    separation=0.31,
    alone_separation=0.12,
    alone_auc=0.66,
    alone_ks=0.24,
    intercept=-1.2,
    weights=(
        Weight(name="limit", joint=-0.4, alone=-0.7, mean=1000, scale=300),
        Weight(name=EVIL, joint=0.2, alone=0.3, mean=0, scale=1),
    ),
    bands=tuple(Band(rows=120, events=60 - 6 * at, lift=2 - at * 0.2) for at in range(10)),
    notes=(Note(kind="RARE", place="limit", detail="left out"),),
)


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "")
    speak(Language.ZH)


def test_the_page_tells_the_numbers_and_holds_nothing_from_outside() -> None:
    page = write_page(REPORT).decode()
    assert "0.310 with the owner&#x27;s columns, 0.120 without" in page
    assert "Content-Security-Policy" in page
    assert page.count("<svg") == 3
    assert "<script" not in page
    assert not re.findall(r'(?:href|src)="([^"#]+)"', page)
    assert "nobody holds joint scores" in page


def test_charts_are_whole_and_escape_what_columns_are_called() -> None:
    drawn = weights_chart(REPORT)
    root = ET.fromstring(drawn)
    assert root.tag.endswith("svg")
    assert EVIL not in drawn
    assert any(EVIL in (each.text or "") for each in root.iter()), "told, and escaped"


def test_the_page_is_chinese_where_chinese_is_spoken(chinese: None) -> None:
    page = write_page(REPORT).decode()
    assert "模型卡" in page
    assert "提升度" in page
    assert "Model card" not in page


@needs.chinese_font
def test_the_page_is_pdf_with_its_drawings_and_takes_names_as_data(chinese: None) -> None:
    made = write_pdf(REPORT)
    assert made.startswith(b"%PDF-")
    assert write_pdf(REPORT) == made, "the same file again"
    bare = REPORT.model_copy(update={"weights": REPORT.weights[:1], "bands": ()})
    packed = [
        zlib.decompress(each)
        for each in re.findall(rb"/FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", made, re.DOTALL)
    ]
    drawn = sum(len(re.findall(rb"\nf\n", each)) for each in packed)
    assert drawn >= 16, "every bar is drawn"
    assert len(write_pdf(bare)) < len(made)


def test_every_finding_has_words(chinese: None) -> None:
    for kind in FindingKind:
        words = note_words(Note(kind=kind, place="limit", detail="x"))
        assert kind not in words
        assert "limit" in words


def test_the_terminals_words_say_what_cannot_be_told() -> None:
    told = "\n".join(describe_report(REPORT))
    assert "trained on 1,200 common subjects, 300 with the event; 7 rounds" in told
    assert "no joint AUC" in told
    assert "limit" in told


def test_progress_is_a_share_of_the_goal_or_of_the_rounds() -> None:
    at = JobProgress(Stage.TRAINING, round=3, rounds=25, distance=0.05, sent=2_000_000)
    assert 0.4 < at.share < 0.6
    assert JobProgress(Stage.TRAINING, round=24, rounds=25, distance=0.9).share == 0.96
    assert JobProgress(Stage.ALIGNING).share == 0
    line = describe_progress(at)
    assert "round 3 of at most 25" in line
    assert "2.0 MB" in line


def test_a_report_is_read_as_it_was_written() -> None:
    assert TrainingReport.model_validate_json(REPORT.model_dump_json()) == REPORT


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_narrow_terminal_shows_all_of_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    bar, told = job.progress_bar(quiet=False)
    now = JobProgress(
        *(Stage.TRAINING, 1300, 2, 20, 0.065, 0.2, 12_345_678, 2_345_678, 13.0),
    )
    with bar:
        told(now)
        bar.refresh()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\u2501\u2578\u257a]", "", shown.getvalue())
    assert describe_progress(now) in " ".join(text.split())


def test_before_anything_was_sent_no_bytes_are_told() -> None:
    assert describe_progress(JobProgress(Stage.ASKING)) == (
        "reading your table, blinding its subjects and asking"
    )
