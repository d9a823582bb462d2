"""The catalogue of records is the annex, whole and in order; what the package holds is fresh."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from ruamel.yaml import YAML

from saferoom_client.records.annex import FieldType, Mode, catalogue

UNITS = {
    "province": 34,
    "drc_lead": 7,
    "housing_fund_centre": 2,
    "water_company": 1,
    "gas_company": 1,
    "science_group": 1,
    "agri_group": 1,
    "public_resource_group": 1,
}


def parsed(path: Path) -> dict[str, Any]:
    read = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    return cast("dict[str, Any]", read)


def source(root: Path) -> dict[str, Any]:
    path = root / "clients" / "saferoom_client" / "records" / "catalogue.yaml"
    return parsed(path)


def types_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for category in document["categories"] for one in category["sub_types"]]


def test_it_is_the_annex_whole() -> None:
    known = catalogue()
    assert (len(known.categories), len(known.types)) == (15, 48)
    fields = [field for one in known.types for field in one.fields]
    assert len(fields) == 399
    groups = [field for field in fields if field.type is FieldType.GROUP]
    assert len(groups) == 31
    assert sum("p" in field.flags for field in fields) == 54
    assert [sum(field.level == level for field in fields) for level in range(1, 5)] == [
        *(230, 59, 79, 31)
    ]
    modes = [one.mode for one in known.types]
    assert [modes.count(mode) for mode in Mode] == [34, 12, 2]
    units = [one.unit.key for one in known.types]
    assert {unit: units.count(unit) for unit in units} == UNITS
    assert all(one.level == max(field.level for field in one.fields) for one in known.types)


def test_every_table_can_be_a_store_s_and_every_rule_is_about_its_columns() -> None:
    tables = catalogue().tables
    groups = sum(field.type is FieldType.GROUP for one in catalogue().types for field in one.fields)
    # Six types are made of groups only; every other has a table of its plain fields too.
    assert len(tables) == groups + 43
    for table in tables.values():
        names = [column.name for column in table.columns]
        assert len(set(names)) == len({column.zh for column in table.columns}) == len(names)
        key = table.columns[names.index(table.key)]
        assert key.type is FieldType.USCC
        told = {name for rule in (*table.order, *table.sums, table.unique) for name in rule}
        assert told <= set(names)
        assert {column.dated for column in table.columns if column.dated} <= set(names)


def test_no_rule_of_the_file_is_about_a_table_that_there_is_not(root: Path) -> None:
    document = source(root)
    named = {name for rules in ("order", "sums", "unique", "dated") for name in document[rules]}
    assert named <= set(catalogue().tables)


def test_it_is_equal_to_the_plan_s_annex(root: Path, shared: Path) -> None:
    path = shared / "catalogue.yaml"
    if not path.is_file():
        pytest.skip("the annex does not lie beside the project")
    annex, own = parsed(path), source(root)
    assert own["units"] == annex["units"]
    for ours, theirs in zip(types_of(own), types_of(annex), strict=True):
        # Where it stands in the annex's table, and that lists are open, is told for all at once.
        placed = {"annex_rows", "open_list", "key_missing", "fields"}
        told = {key: value for key, value in theirs.items() if key not in placed}
        assert {key: value for key, value in ours.items() if key != "fields"} == told
        plain = [{k: v for k, v in field.items() if k != "row"} for field in theirs["fields"]]
        assert ours["fields"] == plain


def test_what_the_package_holds_and_the_page_are_fresh(root: Path) -> None:
    command = [sys.executable, "tools/annex.py", "--check"]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
