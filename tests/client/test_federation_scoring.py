"""A bank scores rows of its own with the model that it holds, in one process and with no room."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saferoom_client.federating.folder import FEDERATIONS, MODEL, KeptModel
from saferoom_client.federating.scoring import FederationScored, score_file
from saferoom_client.files import make_folder, write_model
from saferoom_client.issuer import Issuer, enrol_member
from saferoom_client.profile import Member, Profile
from saferoom_client.session import utc_now
from saferoom_client.training.folder import short
from saferoom_models.horizontal.model import Finding, FindingKind, Model
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.client.test_cli import run
from tests.client.test_profile import card

FITTED = Model(
    names=("income", "debt", "same"),
    weights=(0.9, -0.6, 0.0),
    intercept=-1.0,
    means=(0.5, 1.0, 3.0),
    scales=(2.0, 0.5, 0.0),
    bounds=((-6.0, 6.0), (-6.0, 6.0), (0.0, 4.0)),
    rows=1200,
    events=300,
    rounds=6,
    converged=True,
    separation=0.2,
    findings=(Finding(FindingKind.CONSTANT, "same", "left out"),),
)
HEADING = "uscc,debt,income,same,note"


def keep(profile: Profile, digit: str, name: str = "default-12m") -> KeptModel:
    model = KeptModel(
        federation="sha256:" + digit * 64,
        name=name,
        course="c0" * 32,
        banks=("bank-a", "bank-b", "bank-c"),
        fitted=FITTED,
        findings_here=(),
    )
    folder = make_folder(make_folder(profile.folder / FEDERATIONS) / short(model.federation))
    write_model(folder / MODEL, model)
    return model


@pytest.fixture
def bank(tmp_path: Path, issuer: Issuer) -> Profile:
    member = Member(organisation="bank-a", name="desk")
    profile = enrol_member(issuer, tmp_path / "desk", card(), member, utc_now())
    keep(profile, "a")
    return profile


def rows_in(path: Path, *lines: str) -> Path:
    path.write_text("\n".join((HEADING, *lines)) + "\n", "utf-8")
    return path


def written(scored: FederationScored) -> list[dict[str, str]]:
    with scored.file.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def refusal(act: Callable[[], object]) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as refused:
        act()
    return refused.value


def test_each_row_has_the_log_odds_that_follow_from_the_model(
    bank: Profile, tmp_path: Path
) -> None:
    file = rows_in(tmp_path / "own.csv", 'x1,1.5,2.5,3,"a, b"', "x2,-9,0.5,9,", "x3,1,40,0,零")
    scored = score_file(bank, "default-12m", file, tmp_path / "scores.csv")
    assert (scored.rows, scored.bad, scored.cut, scored.faults) == (3, 0, 2, ())
    rows = written(scored)
    assert [row["note"] for row in rows] == ["a, b", "", "零"], "the rows as they stand"
    assert [row["line"] for row in rows] == ["2", "3", "4"]
    # By hand: weights on (value cut to its bounds - mean) / scale, that cut at 8; `same` is out.
    expected = [
        -1 + 0.9 * (2.5 - 0.5) / 2 - 0.6 * (1.5 - 1) / 0.5,
        -1 + 0.9 * 0 - 0.6 * -8,
        -1 + 0.9 * (6 - 0.5) / 2 - 0.6 * 0,
    ]
    for row, odds in zip(rows, expected, strict=True):
        assert float(row["log_odds"]) == pytest.approx(odds, rel=1e-5)
        assert float(row["probability"]) == pytest.approx(1 / (1 + math.exp(-odds)), rel=1e-5)
    assert np.allclose(FITTED.points(np.array([[2.5, 1.5, 3.0]])), expected[0])


def test_a_bad_row_has_no_score_and_says_why_by_its_line(bank: Profile, tmp_path: Path) -> None:
    lines = ["x1,1,1,3,", "x2,,1,3,", "x3,1,1", "x4,inf,x,3,", "x5,1,1,3,"]
    scored = score_file(bank, "aaaa", rows_in(tmp_path / "own.csv", *lines), tmp_path / "out.csv")
    assert (scored.rows, scored.bad) == (2, 3)
    assert [(each.line, each.column) for each in scored.faults] == [
        (3, "debt"),
        (4, ""),
        (5, "debt"),
        (5, "income"),
    ]
    rows = written(scored)
    assert [row["line"] for row in rows] == ["2", "3", "4", "5", "6"]
    assert [bool(row["log_odds"]) for row in rows] == [True, False, False, False, True]
    assert [bool(row["error"]) for row in rows] == [False, True, True, True, False]
    assert rows[1]["error"].startswith("debt: a number; fill what is missing")
    assert rows[3]["error"].count("a number; fill") == 2
    assert rows[0]["log_odds"] == rows[4]["log_odds"]


def test_many_rows_are_scored_batch_by_batch(bank: Profile, tmp_path: Path) -> None:
    file = rows_in(
        tmp_path / "own.csv", *(f"x,{at % 5},{at % 7},3," for at in range(5000)), "x,,,,"
    )
    seen: list[int] = []
    scored = score_file(bank, "default-12m", file, tmp_path / "out.csv", told=seen.append)
    assert (scored.rows, scored.bad) == (5000, 1)
    assert seen == sorted(seen)
    assert seen[-1] == 5001
    assert len(seen) > 2
    rows = written(scored)
    values = np.array([[at % 7, at % 5, 3.0] for at in range(5000)])
    assert np.allclose([float(row["log_odds"]) for row in rows[:5000]], FITTED.points(values), 1e-5)


@pytest.mark.parametrize(
    ("heading", "rule"),
    [
        ("uscc,debt,same", "no column income in its heading"),
        ("debt,debt,income,same", "stands twice"),
        ("debt,income,same,probability", "the column probability is written by this command"),
        (HEADING, "it has no rows"),
    ],
)
def test_a_file_that_cannot_be_scored_leaves_nothing(
    bank: Profile, tmp_path: Path, heading: str, rule: str
) -> None:
    file, out = tmp_path / "own.csv", tmp_path / "out.csv"
    file.write_text(heading + "\n")
    refused = refusal(lambda: score_file(bank, "default-12m", file, out))
    assert refused.reason is Reason.BAD_CONFIG
    assert rule in refused.detail
    assert [path.name for path in tmp_path.glob("*out.csv*")] == []


def test_a_file_is_never_written_over_least_of_all_the_rows(bank: Profile, tmp_path: Path) -> None:
    file = rows_in(tmp_path / "own.csv", "x1,1,1,3,")
    before = file.read_bytes()
    assert "not written over" in refusal(lambda: score_file(bank, "aaaa", file, file)).detail
    assert file.read_bytes() == before


def test_a_model_is_found_by_name_or_digits_and_several_are_told_apart(
    bank: Profile, tmp_path: Path
) -> None:
    file = rows_in(tmp_path / "own.csv", "x1,1,1,3,")
    keep(bank, "b")
    refused = refusal(lambda: score_file(bank, "default-12m", file, tmp_path / "out.csv"))
    assert refused.reason is Reason.UNKNOWN_STATEMENT
    assert refused.detail.count("default-12m (") == 2
    assert refused.__notes__ == [f"saferoom federation list -p {bank.folder}"]
    for number, named in enumerate(("b", "sha256:bb", "sha256:" + "b" * 64)):
        scored = score_file(bank, named, file, tmp_path / f"{number}.csv")
        assert scored.model.federation == "sha256:" + "b" * 64
    for named in ("nope", "", "sha256:"):
        refused = refusal(lambda name=named: score_file(bank, name, file, tmp_path / "out.csv"))
        assert refused.reason is Reason.UNKNOWN_STATEMENT


def test_a_model_whose_lists_do_not_fit_is_refused_by_its_file(
    bank: Profile, tmp_path: Path
) -> None:
    path = next((bank.folder / FEDERATIONS).glob(f"*/{MODEL}"))
    kept = json.loads(path.read_text())
    kept["fitted"]["weights"].pop()
    path.write_text(json.dumps(kept))
    file = rows_in(tmp_path / "own.csv", "x1,1,1,3,")
    refused = refusal(lambda: score_file(bank, "default-12m", file, tmp_path / "out.csv"))
    assert refused.reason is Reason.BAD_CONFIG
    assert MODEL in refused.fields[0].field


def test_the_command_tells_what_was_scored_and_fails_where_a_row_was_not(
    bank: Profile, tmp_path: Path
) -> None:
    file = rows_in(tmp_path / "own.csv", "x1,1,1,3,", "x2,?,1,3,")
    arguments = ["federation", "score", "default-12m", str(file), "-p", str(bank.folder), "--out"]
    shown = run(*arguments, str(tmp_path / "out.csv"))
    assert shown.exit_code == 1
    assert "1 rows scored by the model of default-12m, 1 not" in shown.output
    assert "line 3: debt: a number" in shown.output
    told = run(*arguments, str(tmp_path / "again.csv"), "--json")
    document: dict[str, Any] = json.loads(told.stdout)
    assert (document["rows"], document["bad"], document["cut"]) == (1, 1, 0)
    assert document["faults"][0]["line"] == 3
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
