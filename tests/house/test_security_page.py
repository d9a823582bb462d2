"""SECURITY.md names a test for each promise it makes; the tests are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
PROMISE = re.compile(r"^\*\*\d+\. .*?(?=^\*\*\d+\. |^## )", re.MULTILINE | re.DOTALL)


def test_every_test_that_the_page_names_is_there(root: Path) -> None:
    named = NAMED.findall((root / "SECURITY.md").read_text())
    assert len(named) > 20
    missing = [f"{path}::{name}" for path, name in named if name not in functions(root / path)]
    assert missing == []


def test_every_promise_names_a_test_or_says_that_it_is_not_kept(root: Path) -> None:
    promises = PROMISE.findall((root / "SECURITY.md").read_text())
    assert len(promises) == 10
    bare = [
        promise.splitlines()[0]
        for promise in promises
        if not NAMED.search(promise) and "Not kept yet" not in promise and "In part" not in promise
    ]
    assert bare == []


def functions(path: Path) -> set[str]:
    """List the functions that a file of tests defines."""
    tree = ast.parse(path.read_bytes())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)} | {
        node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)
    }
