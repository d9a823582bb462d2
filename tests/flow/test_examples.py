"""The programs of `examples/`, run against a real room as their first lines say; the SDK's page."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import saferoom_client
from saferoom_client import AsyncRoom, Room, public
from tests.flow.live import LiveRoom
from tests.flow.offers import POOR, SILENT, STEADY, UNKNOWN

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = ROOT / "examples"
PAGE: Final = (ROOT / "docs" / "sdk.md").read_text("utf-8")
SECONDS: Final = 60


def run(folder: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *words],
        cwd=folder,
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        text=True,
    )


def printed(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def bank(live: LiveRoom) -> str:
    return str(live.member("bank-a", "desk"))


def test_a_check_is_asked_and_its_receipt_verifies_offline(bank: str, tmp_path: Path) -> None:
    truth, bits = printed(run(tmp_path, "check.py", bank, STEADY))
    assert truth == "yes"
    assert "bits beyond" in bits
    told = printed(run(tmp_path, "verify_receipt.py", bank, "receipt.json"))
    assert told[0] == f"yes to bank-a about {STEADY}"
    assert told[1].startswith("tax: yes, entry ")


def test_a_refusal_is_told_in_its_words(bank: str, tmp_path: Path) -> None:
    refused = run(tmp_path, "check.py", bank, SILENT)
    assert refused.returncode == 1
    assert refused.stderr.startswith("NO_CONSENT: No consent in force")
    assert not (tmp_path / "receipt.json").exists()


def test_an_altered_receipt_is_refused(bank: str, tmp_path: Path) -> None:
    printed(run(tmp_path, "check.py", bank, STEADY))
    path = tmp_path / "receipt.json"
    receipt = json.loads(path.read_bytes())
    receipt["parts"][0]["answer"] = receipt["parts"][0]["salt"]
    path.write_text(json.dumps(receipt))
    refused = run(tmp_path, "verify_receipt.py", bank, "receipt.json")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("BAD_PROOF:")


def test_many_are_asked_at_once(bank: str, tmp_path: Path) -> None:
    told = printed(run(tmp_path, "check_many.py", bank, STEADY, POOR, UNKNOWN, SILENT))
    assert told == [f"{STEADY} yes", f"{POOR} no", f"{UNKNOWN} not_found", f"{SILENT} NO_CONSENT"]


def test_a_kept_question_brings_the_same_answer_again(bank: str, tmp_path: Path) -> None:
    first = printed(run(tmp_path, "ask_again.py", bank, STEADY, "kept.json"))
    assert first[0].startswith("yes sha256:")
    assert (tmp_path / "kept.json").stat().st_mode & 0o777 == 0o600
    assert printed(run(tmp_path, "ask_again.py", bank, STEADY, "kept.json")) == first


def test_the_log_is_watched(live: LiveRoom, tmp_path: Path) -> None:
    told = printed(run(tmp_path, "watch_log.py", str(live.member("auditor", "desk"))))
    assert told[-1].endswith("the log only grew")
    size, opened = re.findall(r"\d+", told[-1])
    assert int(size) == int(opened) > 0


def test_every_example_is_named_on_the_page_and_run_here() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    run_here = set(re.findall(r'run\(tmp_path, "(\w+\.py)"', Path(__file__).read_text("utf-8")))
    named = set(re.findall(r"\(\.\./examples/(\w+\.py)\)", PAGE))
    assert programs == run_here == named


def methods(kind: type) -> set[str]:
    return {
        name
        for name, value in inspect.getmembers(kind)
        if not name.startswith("_") and callable(value)
    }


def test_the_page_lists_every_method_that_both_kinds_of_room_have() -> None:
    own_of_a_session = {"call", "clock", "sign", "recorded"}
    expected = (methods(Room) & methods(AsyncRoom)) - {"open", "close"} - own_of_a_session
    _, _, table = PAGE.partition("## The methods")
    assert set(re.findall(r"`(\w+)`", table)) - {"Room", "AsyncRoom"} == expected
    assert methods(AsyncRoom) - methods(Room) <= own_of_a_session
    assert all(inspect.getdoc(getattr(Room, name)) for name in expected)


def test_every_snippet_of_the_page_is_python() -> None:
    snippets = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(snippets) == 5
    for snippet in snippets:
        whole = snippet if not snippet.startswith("except") else f"try:\n    ...\n{snippet}"
        compile(whole, "docs/sdk.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_what_programs_import_is_there() -> None:
    assert sorted(saferoom_client.__all__) == sorted(public.__all__)
    assert set(saferoom_client.__all__) <= set(dir(saferoom_client))
    for name in saferoom_client.__all__:
        assert getattr(saferoom_client, name) is getattr(public, name)
    with pytest.raises(AttributeError, match="no attribute 'Rom'"):
        getattr(saferoom_client, "Rom")  # noqa: B009 - what a typing mistake does
