"""The size of modules and functions, what a comment may leave open, and that tests assert."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MODULE_LINES: Final = 400
FUNCTION_LINES: Final = 70
# A comment that opens with such a word; an issue's number must follow it: (#12).
OPEN_END: Final = re.compile(r"(?:#|//|--|<!--)\s*(?:TODO|FIXME|XXX|HACK)\b(?! ?\(#\d+\))")
COMMENTED: Final = {".py", ".pyi", ".proto", ".toml", ".yaml", ".yml", ".sql", ".md", ".sh", ""}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def asserts(node: ast.AST) -> bool:
    """Tell an assertion: the statement, pytest's own, or a call of something named assert_..."""
    if isinstance(node, ast.Assert):
        return True
    if not isinstance(node, ast.Call):
        return False
    match node.func:
        case ast.Attribute(value=ast.Name(id="pytest"), attr="raises" | "warns" | "fail"):
            return True
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name.startswith("assert_")
        case _:
            return False


def test_no_module_is_too_long(own_modules: list[Path]) -> None:
    lengths = {path: len(path.read_bytes().splitlines()) for path in own_modules}
    assert {path: length for path, length in lengths.items() if length > MODULE_LINES} == {}


def test_no_function_is_too_long(own_modules: list[Path]) -> None:
    lengths = {
        f"{path}:{function.lineno} {function.name}": function.end_lineno - function.lineno + 1
        for path in own_modules
        for function in functions(path)
        if function.end_lineno is not None
    }
    assert {name: length for name, length in lengths.items() if length > FUNCTION_LINES} == {}


def test_what_is_left_open_names_its_issue(kept_files: list[Path]) -> None:
    found = [
        f"{path}:{number} {line.strip()}"
        for path in kept_files
        if path.suffix in COMMENTED
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1)
        if OPEN_END.search(line)
    ]
    assert found == []


def test_every_test_asserts_something(own_modules: list[Path]) -> None:
    silent = [
        f"{path}:{function.lineno} {function.name}"
        for path in own_modules
        if path.name.startswith("test_")
        for function in functions(path)
        if function.name.startswith("test_") and not any(map(asserts, ast.walk(function)))
    ]
    assert silent == []
