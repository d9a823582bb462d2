"""What a bank installs is light: no database and no numerical library, only asked for by name."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Final

IMPORT_ALL: Final = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    sys.modules[name] = None
for package in ("saferoom_proto", "saferoom_client"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def modules_of_the_room() -> list[str]:
    """List the import names of what only `saferoom[room]` brings."""
    room = {
        re.split(r"[^\w.-]", requirement)[0].lower()
        for requirement in requires("saferoom") or ()
        if "extra == 'room'" in requirement
    }
    return sorted(
        module
        for module, distributions in packages_distributions().items()
        if room & {name.lower() for name in distributions}
    )


def imports_by_name(path: Path) -> list[str]:
    """List the places where a module imports another by a name that no linter of imports sees."""
    return [
        f"{path}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path)))
        if isinstance(node, ast.Name | ast.Attribute)
        and (node.id if isinstance(node, ast.Name) else node.attr)
        in {"import_module", "__import__", "run_module"}
    ]


def test_the_client_and_the_contract_import_without_what_the_room_needs() -> None:
    absent = modules_of_the_room()
    assert {"duckdb", "numpy", "sqlalchemy"} <= set(absent)
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *absent], capture_output=True, check=False, text=True
    )
    assert run.returncode == 0, run.stderr


def test_only_the_command_line_imports_by_name(root: Path, own_modules: list[Path]) -> None:
    command_line = root / "clients" / "saferoom_client" / "cli"
    product = [root / name for name in ("proto", "models", "enclaves", "saferoom", "clients")]
    found = [
        place
        for path in own_modules
        if any(path.is_relative_to(folder) for folder in product)
        and not path.is_relative_to(command_line)
        and path != command_line.with_suffix(".py")
        for place in imports_by_name(path)
    ]
    assert not found, "\n".join(found)
