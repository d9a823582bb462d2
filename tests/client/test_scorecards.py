"""A bank's scorecard: fitted, kept, shown, exported, applied."""

from __future__ import annotations

import csv
import json
import math
import stat
from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

import pytest

from saferoom_client.scorecards.applying import score_table, score_values
from saferoom_client.scorecards.document import Scorecard
from saferoom_client.scorecards.exporting import card_as_pmml
from saferoom_client.scorecards.fitting import Wanted, fit_scorecard
from saferoom_client.scorecards.page import write_page
from saferoom_client.scorecards.table import Columns
from saferoom_client.scorecards.words import note_words
from saferoom_client.tongue import Language, speak
from saferoom_models.scorecard.fit import NoteKind
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.client.scorecard_rows import AT, EVIL, ROWS, WANTED, make_card, make_table, write_rows
from tests.client.test_cli import run


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_table(tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="module")
def card(table: Path) -> Scorecard:
    return make_card(table)


@pytest.fixture
def kept(card: Scorecard, tmp_path: Path) -> Path:
    path = tmp_path / "card.json"
    card.write(path)
    return path


def refused(*words: str | Path) -> str:
    result = run("scorecard", *map(str, words))
    told = result.stderr
    assert result.exit_code in {1, 2}, result.output
    assert told.startswith(("BAD_CONFIG: ", "MALFORMED: ")), told
    assert "  at    " in told
    assert "  next  " in told
    return told


def test_the_same_rows_give_the_same_card_and_it_is_read_as_it_was_written(
    table: Path, card: Scorecard, kept: Path
) -> None:
    assert fit_scorecard(table, WANTED, name="loans", now=AT) == card
    assert Scorecard.read(kept) == card
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600, "it holds counts of the bank's rows"


def test_it_tells_rows_apart_that_it_never_saw(card: Scorecard) -> None:
    assert card.held is not None
    assert card.fitted is not None
    assert card.held.rows == round(0.3 * ROWS)
    assert card.held.rows + card.fitted.rows == ROWS
    assert card.held.auc.value > 0.75
    assert card.membership is not None
    assert card.membership.advantage < 2 * card.membership.by_chance


def test_a_table_of_a_later_year_measures_it(table: Path) -> None:
    wanted = Wanted(Columns(label="defaulted"), held_out=table)
    whole = fit_scorecard(table, wanted, name="loans", now=AT)
    assert whole.fitted == whole.held
    assert whole.stability == 0
    assert whole.on.held_out == "rows.csv"


def test_points_and_reasons_of_a_table_are_those_of_each_row(
    table: Path, card: Scorecard, kept: Path, tmp_path: Path
) -> None:
    out, woe = tmp_path / "points.csv", tmp_path / "woe.csv"
    words = ("--rows", table, "--label", "defaulted", "--keep", "uscc", "--out", out, "--woe", woe)
    done = run("scorecard", "apply", str(kept), *map(str, words), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == ROWS
    with table.open(encoding="utf-8") as lines, out.open(encoding="utf-8") as scored:
        for row, got in list(zip(csv.DictReader(lines), csv.DictReader(scored), strict=True))[:50]:
            values = {name: row[name] for name in ("limit", "years", "trade")}
            points, reasons = score_values(card, values)
            assert got["uscc"] == row["uscc"]
            assert int(got["points"]) == points
            named = [got[f"reason_{rank}"] for rank in range(1, 4)]
            assert [name for name in named if name] == [loss.column.name for loss in reasons]
            assert points == sum(column.most for column in card.columns) - sum(
                loss.points for loss in reasons
            )
    assert woe.read_text("utf-8").startswith("uscc,defaulted,limit,years,trade\n")


def test_rows_that_moved_are_told_by_the_index(
    table: Path, card: Scorecard, tmp_path: Path
) -> None:
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    moved = write_rows(
        tmp_path / "moved.csv",
        list(rows[0]),
        ([*row.values()] for row in rows if float(row["limit"]) > 350),
    )
    same = score_table(card, table, Columns())
    other = score_table(card, moved, Columns(label="defaulted"))
    assert same.stability is not None
    assert other.stability is not None
    assert same.stability < 0.01
    assert other.stability > 0.25
    assert other.columns["limit"] > 0.25 > other.columns["trade"]
    assert other.measured is not None


def test_the_page_and_the_words_are_in_both_languages_and_names_are_no_markup(
    card: Scorecard, monkeypatch: pytest.MonkeyPatch
) -> None:
    english = write_page(card).decode()
    assert EVIL not in english
    assert "&lt;script&gt;" in english
    assert english.count("<svg") == 3 + len(card.columns)
    assert "by chance up to" in english
    assert "Nobody in a room" in english
    monkeypatch.setenv("LANGUAGE", "")
    speak(Language.ZH)
    chinese = write_page(card).decode()
    assert "评分卡 loans" in chinese
    assert "成员推断" in chinese
    assert "证据权重" in chinese
    for kind in NoteKind:
        note = (
            card.notes[0].model_copy(update={"kind": kind, "column": "limit"})
            if card.notes
            else None
        )
        assert note is None or kind not in note_words(note)


def test_export_holds_no_count_of_rows(card: Scorecard) -> None:
    told = card_as_pmml(card).decode()
    assert ET.fromstring(told).get("version") == "4.4"
    counts = {each.events for column in card.columns for each in column.bins}
    counts |= {each.others for column in card.columns for each in column.bins}
    numbers = {
        value
        for element in ET.fromstring(told).iter()
        for key, value in element.attrib.items()
        if key not in {"partialScore", "baselineScore"}
    }
    assert not {str(count) for count in counts if count > 100} & numbers


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("1", "x", "1"), ("2", "y", "1")], "with the event and without it"),
        ([("1", "x", "2"), ("2", "y", "0"), ("3", "y", "5")], "line 4: label"),
        ([("inf", "x", "1"), ("2", "y", "0")], "line 2: number: no finite number; leave"),
        ([("1_0", "x", "1"), ("2", "y", "0")], "line 2: number: no finite number"),
        ([], "no rows"),
        ([("1", "a\nMALFORMED", "1"), ("2", "y", "0")], "line 2: trade: a class has at most 200"),
        ([("1", "y", "1"), ("2", "\u202ex", "0")], "line 3: trade: a class has at most 200"),
        ([(str(at), f"firm {at}", str(at % 2)) for at in range(99)], "trade: 69 classes"),
    ],
)
def test_rows_that_make_no_card_are_refused_by_place_and_rule(
    rows: list[tuple[str, ...]], told: str, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "rows.csv", ["number", "trade", "label"], rows)
    said = refused("fit", file, "--label", "label", "--out", tmp_path / "card.json")
    assert told in said
    assert not (tmp_path / "card.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--label", "missing"),
        ("--label", "defaulted", "--risk", "limit=down"),
        ("--label", "defaulted", "--risk", "trade=rising"),
        ("--label", "defaulted", "--risk", "nobody=rising"),
        ("--label", "defaulted", "--risk", "rising", "--risk", "falling"),
        ("--label", "defaulted", "--held-out", "1"),
        ("--label", "defaulted", "--held-out", "nan"),
        ("--label", "defaulted", "--least-share", "0.9"),
        ("--label", "defaulted", "--most-bins", "1"),
        ("--label", "defaulted", "--least-events", "100000"),
        ("--label", "defaulted", "--least-value", "99"),
        ("--label", "defaulted", "--odds", "0"),
        ("--label", "defaulted", "--double", "-1"),
        ("--label", "defaulted", "--points", "1e300"),
        ("--label", "defaulted", "--event", "yes"),
        ("--label", "defaulted", "--column", "defaulted"),
        ("--label", "defaulted", "--classes", "limit"),
        ("--label", "defaulted", "--test", "/dev/null"),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_three_parts(
    words: tuple[str, ...], table: Path, tmp_path: Path
) -> None:
    refused("fit", table, *words, "--out", tmp_path / "card.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("apply", "CARD"),
        ("apply", "CARD", "--value", "limit=1", "--rows", "CARD"),
        ("apply", "CARD", "--value", "limit=inf"),
        ("apply", "CARD", "--value", "nobody=1"),
        ("apply", "CARD", "--rows", "CARD"),
        ("report", "CARD"),
        ("export", "CARD"),
        ("export", "CARD", "--pmml", "/dev/null/x"),
    ],
)
def test_what_cannot_be_done_with_a_card_is_refused(words: tuple[str, ...], kept: Path) -> None:
    before = kept.read_bytes()
    told = refused(*(kept if word == "CARD" else word for word in words))
    assert "  next  " in told
    assert kept.read_bytes() == before


def test_a_column_to_keep_hides_no_points(table: Path, kept: Path, tmp_path: Path) -> None:
    with table.open(encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    heading = ["points", "limit", "years", "trade", "defaulted"]
    taken = write_rows(tmp_path / "taken.csv", heading, rows)
    out = tmp_path / "out.csv"
    assert "rename" in refused("apply", kept, "--rows", taken, "--keep", "points", "--out", out)
    assert not out.exists()


CHANGES: tuple[tuple[str, dict[str, object]], ...] = (
    ("bin 0", {"points": math.nan}),
    ("bin 0", {"points": 10**9}),
    ("bin 0", {"points": 1.5}),
    ("bin 0", {"high": 10**6}),
    ("bin 0", {"low": 1.0}),
    ("bin 0", {"missing": True, "low": None, "high": None}),
    ("bin 0", {"classes": ["a"]}),
    ("bin 0", {"events": -1}),
    ("bin 1", {"low": -5.0}),
    ("bin 1", {"missing": True}),
    ("column", {"bins": []}),
    ("column", {"weight": math.inf}),
    ("column", {"name": ""}),
    ("column", {"name": "trade"}),
    ("scale", {"odds": 0}),
    ("card", {"columns": []}),
    ("card", {"format": "saferoom-scorecard/v2"}),
    ("card", {"fitted": None}),
    ("card", {"run": "rm"}),
)


@pytest.mark.parametrize(("place", "change"), CHANGES)
def test_a_card_that_was_tampered_with_is_not_read(
    place: str, change: dict[str, object], card: Scorecard, tmp_path: Path
) -> None:
    document = cast("dict[str, object]", json.loads(card.model_dump_json()))
    column = cast("list[dict[str, object]]", document["columns"])[0]
    bins = cast("list[dict[str, object]]", column["bins"])
    places = {"card": document, "column": column, "bin 0": bins[0], "bin 1": bins[1]}
    places["scale"] = cast("dict[str, object]", document["scale"])
    places[place].update(change)
    path = tmp_path / "card.json"
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(SafeRoomError) as caught:
        Scorecard.read(path)
    assert caught.value.reason is Reason.BAD_CONFIG
