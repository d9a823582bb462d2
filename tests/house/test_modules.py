"""The size of modules and functions, what a comment may leave open, and that tests assert."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MODULE_LINES: Final = 400
FUNCTION_LINES: Final = 70
ONE_FILE: Final = {"verify_receipt.py"}
"""Programs that are shipped as one file, to be read and kept as one (docs/receipts.md)."""
# A comment that opens with such a word; an issue's number must follow it: (#12).
OPEN_END: Final = re.compile(r"(?:#|//|--|<!--)\s*(?:TODO|FIXME|XXX|HACK)\b(?! ?\(#\d+\))")
COMMENTED: Final = {".py", ".pyi", ".proto", ".toml", ".yaml", ".yml", ".sql", ".md", ".sh", ""}
PYTESTS_OWN: Final = {("pytest", name) for name in ("raises", "RaisesGroup", "warns", "fail")}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def calls(function: Function) -> set[str]:
    """Name what a function calls by a bare name."""
    return {
        node.func.id
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def asserts(function: Function) -> bool:
    """Tell whether a function holds an assertion: the statement, or pytest's own."""
    return any(
        isinstance(node, ast.Assert)
        or (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) in PYTESTS_OWN
        )
        for node in ast.walk(function)
    )


def asserting(known: list[Function], borrowed: frozenset[str] = frozenset()) -> frozenset[str]:
    """Name the functions that assert, themselves or through a function that does."""
    found = borrowed | {function.name for function in known if asserts(function)}
    called = [(function.name, calls(function)) for function in known]
    while more := {name for name, names in called if names & found} - found:
        found |= more
    return found


def test_no_module_is_too_long(own_modules: list[Path]) -> None:
    lengths = [(len(path.read_bytes().splitlines()), path) for path in own_modules]
    too_long = [
        f"{path} has {length} lines"
        for length, path in lengths
        if length > MODULE_LINES and path.name not in ONE_FILE
    ]
    assert not too_long, "\n".join(too_long)


def test_no_function_is_too_long(own_modules: list[Path]) -> None:
    too_long = [
        f"{path}:{function.lineno} {function.name}"
        for path in own_modules
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES
    ]
    assert not too_long, "\n".join(too_long)


def test_what_is_left_open_names_its_issue(kept_files: list[Path]) -> None:
    found = [
        f"{path}:{number} {line.strip()}"
        for path in kept_files
        if path.suffix in COMMENTED
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1)
        if OPEN_END.search(line)
    ]
    assert not found, "\n".join(found)


def test_every_test_asserts_something(root: Path, own_modules: list[Path]) -> None:
    tests = {path: list(functions(path)) for path in own_modules if root / "tests" in path.parents}
    lent = [known for path, known in tests.items() if not path.name.startswith("test_")]
    borrowed = asserting([function for known in lent for function in known])
    silent = [
        f"{path}:{function.lineno} {function.name}"
        for path, known in tests.items()
        for names in [asserting(known, borrowed)]
        for function in known
        if function.name.startswith("test_") and function.name not in names
    ]
    assert not silent, "\n".join(silent)
