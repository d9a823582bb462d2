"""Scores of a file of applicants: what is wrong in it is told by line, before anything is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom_client.applicants import read_applicants
from saferoom_client.batch_answer import RowAnswer
from saferoom_client.cli.score_file import SCORE_COLUMNS, own_of
from saferoom_client.scores import own_part
from saferoom_proto.answer import Band
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import MODULUS, Share
from saferoom_proto.uscc import make_uscc
from tests.client.test_cli import USAGE, run
from tests.client.test_scores import OWN, report
from tests.proto.golden_scores import score_certificate, scores_of_two

ONE, TWO = make_uscc(1), make_uscc(2)


def own(path: Path, text: str) -> list[float | None]:
    path.write_text(text, "utf-8")
    names = [weight.name for weight in report().weights]
    applicants = read_applicants(path, names, None, written=SCORE_COLUMNS, once=True)
    return list(own_of(path, applicants, report()))


def faults(path: Path, text: str) -> tuple[Reason, list[str]]:
    with pytest.raises(SafeRoomError) as refused:
        own(path, text)
    return refused.value.reason, [f"{each.field}: {each.rule}" for each in refused.value.fields]


def test_each_lines_own_part_is_that_of_its_values(tmp_path: Path) -> None:
    told = own(
        tmp_path / "firms.csv",
        f"years,uscc,flat,limit,name\n3,{ONE},7,120,甲\n0,{TWO},7,0,乙\n",
    )
    assert told == [
        own_part(report(), OWN),
        own_part(report(), {"limit": 0.0, "years": 0.0, "flat": 7.0}),
    ]


@pytest.mark.parametrize(
    ("text", "reason", "told"),
    [
        (f"uscc,limit\n{ONE},1\n", Reason.BAD_CONFIG, "the model reads flat, years too"),
        (
            f"uscc,limit,years,flat\n{ONE},1,2,3\n{TWO},1,many,3\n",
            Reason.MALFORMED,
            "line 3: own.years: a finite number is expected",
        ),
        (f"uscc,limit,years,flat\n{ONE},1,inf,3\n", Reason.MALFORMED, "line 2: own.years"),
        (f"uscc,limit,years,flat\n{ONE},1,,3\n", Reason.MALFORMED, "line 2: no value for years"),
        (
            f"uscc,limit,years,flat\n{ONE},1,2,3\n{ONE},9,2,3\n",
            Reason.MALFORMED,
            "line 3: the same subject stands in line 2",
        ),
        (f"uscc,points\n{ONE},1\n", Reason.BAD_CONFIG, "the column points is written by this"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_place(
    tmp_path: Path, text: str, reason: Reason, told: str
) -> None:
    said, places = faults(tmp_path / "firms.csv", text)
    assert said is reason
    assert any(told in place for place in places), places


@pytest.mark.parametrize("number", [5, MODULUS - 1])
def test_a_row_whose_shares_make_no_band_is_refused_alone(number: int) -> None:
    """An owner that gives any number for one row does not take the others from the bank."""
    certificate = score_certificate(scores_of_two())
    lied = RowAnswer(1, ONE, {"court": Share(number), "tax": Share(0)}, certificate)
    assert (lied.told, lied.truth, lied.reason) == (None, None, Reason.BAD_PROOF)
    sound = RowAnswer(2, TWO, {"court": Share(MODULUS - 1), "tax": Share(5)}, certificate)
    assert (sound.told, sound.reason) == (Band(5), None)


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ((), "give --subject, or --file"),
        (("--subject", ONE, "--file", "FILE", "--out", "x"), "stand in its columns"),
        (("--own", "limit=1", "--file", "FILE", "--out", "x"), "stand in its columns"),
        (("--file", "FILE"), "give TEMPLATE, --purpose and --out"),
    ],
)
def test_a_command_that_asks_neither_one_nor_a_file_is_told_so(
    tmp_path: Path, more: tuple[str, ...], rule: str
) -> None:
    (tmp_path / "FILE").write_text("uscc\n")
    words = [str(tmp_path / each) if each in ("FILE", "x") else each for each in more]
    said = run("score", "ask", "risk", "--purpose", "pre-loan", "-p", "x", *words)
    assert said.exit_code == USAGE
    assert rule in said.output
    assert not (tmp_path / "x").exists()
