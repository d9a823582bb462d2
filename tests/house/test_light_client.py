"""What a bank installs is light: no database and no numerical library, only asked for by name."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import venv
from fnmatch import fnmatch
from importlib.metadata import Distribution, packages_distributions, requires
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MOST_BYTES: Final = 60_000_000
"""What `pip install saferoom` may add, as its wheels unpack. Python's bytecode caches, which pip
writes beside them unless told not to, come to a third more (docs/adr/0009)."""

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


def needed(name: str) -> set[str]:
    """List the distributions that installing one without extras brings, itself included."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        found.add(one := canonicalize_name(waiting.pop()))
        asked = (Requirement(text) for text in requires(one) or ())
        waiting += [
            each.name
            for each in asked
            if (each.marker is None or each.marker.evaluate({"extra": ""}))
            and canonicalize_name(each.name) not in found
        ]
    return found


def unpacked_bytes(distribution: Distribution) -> int:
    """Add up what a distribution's wheel unpacks to; caches of bytecode are not in it."""
    paths = [path for path in distribution.files or () if path.suffix != ".pyc"]
    return sum(Path(str(path.locate())).stat().st_size for path in paths)


def of_the_wheel(root: Path) -> tuple[list[Path], list[str]]:
    """Give the folders of which the wheel is made, and the patterns of what it leaves out."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    return [root / each for each in wheel["packages"]], wheel["exclude"]


def test_the_light_client_unpacks_to_less_than_60_mb(root: Path, kept_files: list[Path]) -> None:
    names = needed("saferoom") - {"saferoom"}
    assert {"grpcio", "cryptography", "pydantic"} <= names
    assert not names & {"duckdb", "numpy", "scikit-learn", "sqlalchemy"}
    sizes = {name: unpacked_bytes(Distribution.from_name(name)) for name in names}
    # Of ours, a checkout holds what the wheel will, and what its configuration leaves out.
    sources, left_out = of_the_wheel(root)
    sizes["saferoom"] = sum(
        path.stat().st_size
        for path in kept_files
        if any(path.is_relative_to(source) for source in sources)
        and not any(fnmatch(path.name, pattern) for pattern in left_out)
        and not any(path.is_relative_to(root / folder) for folder in left_out if "/" in folder)
    )
    listed = sorted(((size, name) for name, size in sizes.items()), reverse=True)
    assert sum(sizes.values()) < MOST_BYTES, listed


@pytest.mark.soak
def test_a_fresh_environment_gets_that_and_no_more(root: Path, tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (wheel,) = dist.glob("saferoom-*.whl")
    venv.create(tmp_path / "fresh", with_pip=False)
    python = tmp_path / "fresh" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-compile"]
    fetched = subprocess.run(
        [*install, "--quiet", str(wheel)], check=False, capture_output=True, text=True
    )
    if fetched.returncode != 0:
        pytest.skip(f"no registry: {fetched.stderr[-300:]}")
    (library,) = (tmp_path / "fresh" / "lib").glob("python3*/site-packages")
    held = [path for path in library.rglob("*") if path.is_file()]
    assert not {"duckdb", "numpy", "sklearn"} & {path.name for path in library.iterdir()}
    assert sum(path.stat().st_size for path in held) < MOST_BYTES
    command = [str(python.with_name("saferoom")), "--help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "receipt" in shown.stdout
