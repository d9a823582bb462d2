"""The project's own files, for the rules of the house."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the root folder of the project."""
    return Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def kept_files(root: Path) -> list[Path]:
    """List the files that git keeps or would be asked to keep; without git the test is skipped."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a working copy of git")
    paths = (root / name for name in listing.stdout.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file())


@pytest.fixture(scope="session")
def own_modules(kept_files: list[Path]) -> list[Path]:
    """List the Python modules that somebody wrote, so not those that protoc did."""
    return [
        path
        for path in kept_files
        if path.suffix == ".py" and not path.stem.endswith(("_pb2", "_pb2_grpc"))
    ]
