"""Finds what a Python process must still be able to read once it is confined."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError

# The loader's libraries and cache; what C libraries ask about processors and memory; randomness.
# The control groups are here for DuckDB 2.0.0: it sees their files, which Landlock does not hide,
# and aborts when it may not read them.
_HOST: Final = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/dev/urandom",
    "/dev/null",
)


def interpreter_paths(*packages: str) -> tuple[Path, ...]:
    """Returns the files and folders to name in `SandboxPlan.read_only` for this interpreter.

    They are the standard library, the installed packages, the host's shared libraries, and for
    each named package that lies elsewhere (an editable install) the folder it is found in. No
    other entry of `sys.path` is opened: in a source tree one of them is the tree itself.

    Args:
        packages: top-level packages that will be imported after the sandbox has closed, or whose
            modules will be.

    Raises:
        SafeRoomError: BAD_CONFIG, a package is not installed.
    """
    found = {path for path in (*_python(), *map(Path, _HOST)) if path.exists()}
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise SafeRoomError(Reason.BAD_CONFIG, f"the package {package} is not installed")
        found.update(Path(folder).parent for folder in spec.submodule_search_locations)
    return tuple(sorted(found))


def _python() -> Iterator[Path]:
    for kind in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield Path(sysconfig.get_path(kind))
    yield Path(sys.base_prefix) / "lib"  # a shared libpython lies here
