"""The programs of `examples/`, run against a real room as their first lines say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

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
