"""A card of a bank's half of a joint model, trained on a card's weights of evidence."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from saferoom_client.scorecards.applying import score_table
from saferoom_client.scorecards.document import KeptApproval, Scorecard
from saferoom_client.scorecards.exporting import card_as_pmml
from saferoom_client.scorecards.joint import join_card
from saferoom_client.scorecards.page import write_page
from saferoom_client.scorecards.table import Columns
from saferoom_client.scores import own_part
from saferoom_client.training.report import TrainingReport, Weight
from saferoom_client.training.table import TrainingTable, read_table
from saferoom_models.vertical.columns import prepare
from saferoom_models.vertical.label_side import LabelSide
from saferoom_models.vertical.room_side import RoomSide
from saferoom_models.vertical.terms import Terms
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.client.scorecard_rows import AT, ROWS, make_card, make_table
from tests.client.test_cli import run
from tests.client.test_job_report import REPORT


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_table(tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="module")
def card(table: Path) -> Scorecard:
    return make_card(table)


@pytest.fixture(scope="module")
def trained(
    card: Scorecard, table: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingReport, TrainingTable]:
    """Train with a room's side on the card's weights of evidence; no room carries it."""
    folder = tmp_path_factory.mktemp("job")
    card.write(folder / "card.json")
    words = ("--rows", table, "--label", "defaulted", "--keep", "uscc", "--woe", folder / "woe.csv")
    assert run("scorecard", "apply", str(folder / "card.json"), *map(str, words)).exit_code == 0
    own = read_table(folder / "woe.csv", label="defaulted")
    names = tuple(own.columns)
    values = np.stack([np.array(own.columns[name]) for name in names], axis=1)
    draw = np.random.default_rng(9)
    labels = np.array(own.labels, dtype=np.int64)
    theirs = draw.normal(size=(ROWS, 1)) + labels[:, None]
    terms = Terms("ab" * 32, ROWS, len(names), 1)
    with threadpool_limits(1):
        label = LabelSide(terms, prepare(names, values), labels)
        room = RoomSide(terms, prepare(("paid",), theirs), os.urandom)
        message: bytes | None = label.begin()
        while message is not None:
            message = label.answer(room.answer(message))
    end = label.trained()
    weights = tuple(
        Weight(name=name, joint=float(joint), alone=0.0, mean=float(mean), scale=float(scale))
        for name, joint, mean, scale in zip(
            end.names, end.weights, end.means, end.scales, strict=True
        )
    )
    report = REPORT.model_copy(update={"weights": weights, "intercept": end.intercept})
    return report, own


def half_of(card: Scorecard, report: TrainingReport, own: TrainingTable) -> Scorecard:
    return join_card(
        card,
        report,
        own,
        template_digest="sha256:" + "ef" * 32,
        owners=("tax",),
        approvals=(KeptApproval(owner="tax", approvers=("li", "wang")),),
        now=AT,
    )


def test_a_half_s_points_are_the_own_part_of_the_joint_model(
    card: Scorecard, trained: tuple[TrainingReport, TrainingTable], table: Path, tmp_path: Path
) -> None:
    report, own = trained
    half = half_of(card, report, own)
    scored = score_table(half, table, Columns())
    scale = half.scale.scale()
    for at in range(0, ROWS, 7):
        part = own_part(report, {name: own.columns[name][at] for name in own.columns})
        assert abs(scored.points[at] - scale.of(part)) <= len(half.columns) / 2 + 0.05
    assert scored.stability is None
    assert scored.measured is None
    half.write(tmp_path / "half.json")
    assert Scorecard.read(tmp_path / "half.json") == half


def test_a_half_says_what_it_is_wherever_it_goes(
    card: Scorecard, trained: tuple[TrainingReport, TrainingTable], tmp_path: Path
) -> None:
    half = half_of(card, *trained)
    page = write_page(half).decode()
    for words in ("Alone it ranks nobody", "li, wang of tax", half.on.digest, "Not measured"):
        assert words in page
    header = ET.fromstring(card_as_pmml(half)).find("{http://www.dmg.org/PMML-4_4}Header")
    assert header is not None
    assert "half of tax are to be added" in header.attrib["description"]
    half.write(tmp_path / "half.json")
    told = run("scorecard", "apply", str(tmp_path / "half.json"), "--value", "limit=50").output
    assert "add the points of the owner's band" in told


def test_a_job_on_other_columns_makes_no_half_of_this_card(
    card: Scorecard, trained: tuple[TrainingReport, TrainingTable]
) -> None:
    report, own = trained
    raw = {**own.columns, "limit": own.columns["limit"][::-1]}
    raw["limit"][5] += 0.01
    renamed = report.model_copy(
        update={"weights": (report.weights[0].model_copy(update={"name": "other"}),)}
    )
    for other, rows in ((report, replace(own, columns=raw)), (renamed, own)):
        with pytest.raises(SafeRoomError) as caught:
            half_of(card, other, rows)
        assert caught.value.reason is Reason.MALFORMED
        assert "weights of evidence" in caught.value.fields[0].rule
