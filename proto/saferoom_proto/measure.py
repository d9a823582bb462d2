"""What code an enclave is made of: digests that its claims carry and its owner's agent compares.

Both sides run these same functions, the enclave over itself and the agent over what its owner
accepts. Packages are found, never imported: what measures runs nothing of what it measures.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from saferoom_proto.encoding import sha256_digest
from saferoom_proto.reasons import Reason, SafeRoomError

PACKAGES: Final = ("saferoom_enclaves", "saferoom_proto")
"""What of ours runs in an enclave."""

_IMPORTABLE: Final = frozenset({".py", ".so", ".pyc"})
"""What Python would run as a module: a library or a lone .pyc comes before a .py of its name."""

_OWN: Final = "saferoom"


def measure_code() -> str:
    """Give the digest of our own code: `sha256sum` lines of every module, sorted by path.

    Raises:
        SafeRoomError: `BAD_EVIDENCE` if a package is not installed as a folder.
    """
    return _digest(line for package in PACKAGES for line in _module_lines(package))


def measure_dependencies() -> str:
    """Give the digest of everything else that is installed, as its installer recorded it."""
    lines: set[str] = set()
    for distribution in distributions():
        name = re.sub(r"[-_.]+", "-", distribution.name).lower()
        if name != _OWN:
            content = "\n".join(sorted(_recorded(distribution)))
            lines.add(f"{hashlib.sha256(content.encode()).hexdigest()}  {name}")
    return _digest(lines)


def _module_lines(package: str) -> Iterator[str]:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SafeRoomError(Reason.BAD_EVIDENCE, f"{package} is not installed as a package")
    for location in spec.submodule_search_locations:
        root = Path(location)
        for path in root.rglob("*"):
            if path.suffix in _IMPORTABLE and "__pycache__" not in path.parts:
                place = f"{package}/{path.relative_to(root).as_posix()}"
                yield f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {place}"


def _recorded(distribution: Distribution) -> Iterator[str]:
    """Give the lines of RECORD that are the same wherever the same release is installed.

    Left out is what an installer makes on the spot: files above the packages (scripts, with the
    interpreter's path in them), its own notes, and compiled files, which RECORD gives no hash.
    """
    record = distribution.read_text("RECORD")
    if record is None:
        yield distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        return
    for line in record.splitlines():
        path, _, rest = line.rpartition(",")[0].rpartition(",")
        if rest and not path.startswith("..") and ".dist-info/" not in path:
            yield line


def _digest(lines: Iterable[str]) -> str:
    content = "".join(
        f"{line}\n" for line in sorted(lines, key=lambda line: line.split("  ", 1)[1])
    )
    return sha256_digest(content.encode())
