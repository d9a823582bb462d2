"""docs/features.md is typed as it stands; what is taken is read as drafts, and wrong names told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from saferoom_client.records.offers import offers
from saferoom_client.yaml_text import read_yaml
from saferoom_proto.reasons import Reason
from tests.client.test_cli import run, three_parts
from tests.flow.pages import run_page


def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    assert "questions: 2" in run_page("features.md", tmp_path)
    check = read_yaml((tmp_path / "drafts" / "tax-loan.yaml").read_text("utf-8")).document
    owners = {word.partition(".")[0] for word in str(check["check"]).split() if "." in word}
    assert owners == {"provincial_tax", "registry", "court"}
    params = cast("dict[str, object]", check["params"])
    assert params["vat"] == {"feature": "provincial_tax.tax_vat_paid_12m"}


def test_lists_name_every_offer_in_either_language() -> None:
    features, checks = run("catalogue", "features"), run("--lang", "zh", "catalogue", "checks")
    assert all(name in features.output for name in offers().features)
    assert all(each.zh in checks.output for each in offers().checks.values())
    of_type = json.loads(run("catalogue", "features", "12.2", "--json").stdout)
    assert {each["information_types"][0] for each in of_type} == {"12.2"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("features", "9.9"), "9.9: no information type of the catalogue"),
        (("features", "--name", "tax_luck"), "tax_luck: no feature that the catalogue offers"),
        (("checks", "good-firm"), "good-firm: no check that the catalogue offers"),
    ],
)
def test_what_is_not_offered_is_named(words: tuple[str, ...], told: str) -> None:
    said = run("catalogue", *words)
    assert said.exit_code == 1
    assert told in said.output


@pytest.mark.parametrize("given", ["tax", "tax=", "tax=Tax", "taxes=tax", "tax=a.b"])
def test_an_owner_is_named_by_a_handle_that_checks_have(given: str) -> None:
    said = three_parts(run("catalogue", "checks", "--owner", given), Reason.MALFORMED)
    assert "--owner: " in said


def test_drafts_take_no_other_file_s_place(tmp_path: Path) -> None:
    mine = tmp_path / "tax_grade.yaml"
    mine.write_text("mine")
    said = run("catalogue", "features", "3.1", "--out", str(tmp_path))
    assert said.exit_code == 1
    assert mine.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["tax_grade.yaml"]
