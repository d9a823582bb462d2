"""docs/disclosure.md names tests and modules that are there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.house.test_security_page import NAMED, functions


def test_every_test_that_the_page_names_is_there(root: Path) -> None:
    named = NAMED.findall((root / "docs" / "disclosure.md").read_text("utf-8"))
    assert len(named) >= 9
    missing = [f"{path}::{name}" for path, name in named if name not in functions(root / path)]
    assert missing == []


def test_every_module_that_the_page_names_is_there(root: Path) -> None:
    page = (root / "docs" / "disclosure.md").read_text("utf-8")
    modules = set(re.findall(r"`([\w/]+\.py)`", page))
    assert len(modules) >= 6
    code = root / "enclaves" / "saferoom_enclaves"
    there = {path.relative_to(code).as_posix() for path in code.rglob("*.py")}
    assert modules - there == set()
