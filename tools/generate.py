"""Generate the Python code of the protos, or check that the committed code is fresh.

A proto's path is its import path, so what protoc writes runs as written (docs/adr/0002). Both uses
generate into a temporary folder first: the check compares byte for byte, the other use copies and
takes away what no proto gives any more.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

PROTO_ROOT: Final = Path(__file__).resolve().parent.parent / "proto"
PACKAGE: Final = "saferoom_proto"
EXPERIMENTAL: Final = re.compile(
    r"\n\n # This class is part of an EXPERIMENTAL API\.\n.*?(?=\n\n\nclass |\Z)", re.DOTALL
)
"""A second class for each service, which its plugin always writes and nobody here calls: 58 kB of
the light client's 60 MB. It has no stub of types either."""
DOCSTRING: Final = re.compile(r'\n +"""(?:(?!""").)*"""(?=\n)', re.DOTALL)
"""What the protos say of methods, once more: it stands in them and in the stubs of types. 10 kB."""
ALIAS: Final = re.compile(r"\bsaferoom__proto_dot_v1_dot_([a-z]+)__pb2\b")
"""The plugin's name for a module, where the module's own does: 8 kB."""
GENERATED: Final = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def protos(root: Path) -> list[str]:
    """List the protos of the package, as paths below `root`."""
    return sorted(path.relative_to(root).as_posix() for path in (root / PACKAGE).rglob("*.proto"))


def generated(root: Path) -> set[Path]:
    """List the generated files below `root`, as paths below it."""
    return {
        path.relative_to(root) for pattern in GENERATED for path in (root / PACKAGE).rglob(pattern)
    }


def generate(root: Path, target: Path) -> None:
    """Run protoc on every proto below `root` and write the code below `target`.

    Raises:
        CalledProcessError: protoc refused a proto and has said why.
    """
    # The plugins of this environment, not whatever the PATH names first.
    plugins = Path(sys.executable).parent
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--proto_path={root}",
        f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
        f"--python_out={target}",
        f"--grpc_python_out={target}",
        f"--mypy_out=quiet:{target}",
        f"--mypy_grpc_out=quiet:{target}",
        *protos(root),
    ]
    subprocess.run(command, check=True)
    for path in (target / PACKAGE).rglob("*_pb2_grpc.py"):
        text = DOCSTRING.sub("", EXPERIMENTAL.sub("", path.read_text("utf-8")))
        path.write_text(ALIAS.sub(r"\1_pb2", text), "utf-8")


def stale(root: Path, fresh: Path) -> list[Path]:
    """List what below `root` is not as in `fresh`: different, missing or left over."""
    return sorted(
        path
        for path in generated(root) | generated(fresh)
        if not (root / path).is_file()
        or not (fresh / path).is_file()
        or (root / path).read_bytes() != (fresh / path).read_bytes()
    )


def bring_up_to_date(root: Path, fresh: Path) -> None:
    """Make the generated files below `root` those of `fresh`, and name each that changes."""
    for path in stale(root, fresh):
        if (fresh / path).is_file():
            shutil.copyfile(fresh / path, root / path)
            print(f"wrote {path}")
        else:
            (root / path).unlink()
            print(f"removed {path}")


def main() -> int:
    """Generate, or with `--check` only compare; the status is 1 when the code is not fresh."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare only, change nothing")
    arguments = parser.parse_args()
    if not protos(PROTO_ROOT):
        print(f"No proto lies below {PACKAGE}.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        try:
            generate(PROTO_ROOT, fresh)
        except subprocess.CalledProcessError as error:
            return error.returncode
        if not arguments.check:
            bring_up_to_date(PROTO_ROOT, fresh)
            return 0
        differing = stale(PROTO_ROOT, fresh)
    for path in differing:
        print(f"{path} is not what its proto gives: run `make generate`.", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
