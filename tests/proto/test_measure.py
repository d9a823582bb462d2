"""The digests of code: the same for the same code, another for another."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from saferoom_proto import measure
from saferoom_proto.encoding import check_digest
from saferoom_proto.reasons import SafeRoomError

MEASURE = "from saferoom_proto.measure import measure_code; print(measure_code())"


def measured(folder: Path, *flags: str) -> str:
    command = [
        sys.executable,
        "-B",
        "-c",
        f"import sys; sys.path[:0] = [{str(folder)!r}]; {MEASURE}",
    ]
    run = subprocess.run([*command, *flags], capture_output=True, check=True, text=True)
    return run.stdout.strip()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    root = Path(measure.__file__).resolve().parent.parent.parent
    for source in ("proto/saferoom_proto", "enclaves/saferoom_enclaves"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / source, tmp_path / Path(source).name, ignore=ignored)
    return tmp_path


def test_the_same_code_in_another_place_has_the_same_digest(copied: Path) -> None:
    assert measured(copied) == measure.measure_code()


@pytest.mark.parametrize("name", ["entry.py", "extra.py", "entry.so", "entry.pyc"])
def test_a_module_that_was_altered_or_added_changes_the_digest(copied: Path, name: str) -> None:
    with (copied / "saferoom_proto" / name).open("ab") as module:
        module.write(b"\n# altered\n")
    assert measured(copied) != measure.measure_code()


def test_what_is_no_code_does_not_count(copied: Path) -> None:
    (copied / "saferoom_proto" / "notes.txt").write_text("a note")
    cache = copied / "saferoom_proto" / "__pycache__"
    cache.mkdir()
    (cache / "entry.cpython-311.pyc").write_bytes(b"x")
    assert measured(copied) == measure.measure_code()


def test_the_digest_is_what_sha256sum_would_give(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "made_up_package"
    package.mkdir()
    for name in ("b.py", "a.py"):
        (package / name).write_text(name)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(measure, "PACKAGES", ("made_up_package",))
    lines = "".join(
        f"{hashlib.sha256(name.encode()).hexdigest()}  made_up_package/{name}\n"
        for name in ("a.py", "b.py")
    )
    assert measure.measure_code() == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
    assert "made_up_package" not in sys.modules


def test_a_package_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PACKAGES", ("no_such_package",))
    with pytest.raises(SafeRoomError, match="BAD_EVIDENCE"):
        measure.measure_code()


def test_the_dependencies_have_one_digest_however_often_it_is_asked() -> None:
    assert check_digest(measure.measure_dependencies()) == measure.measure_dependencies()
