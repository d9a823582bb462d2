"""A receipt that cannot be written hides no answer, and a program still reads one document."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

from tests.flow.live import LiveRoom
from tests.flow.offers import STEADY


def test_an_answer_whose_receipt_cannot_be_written_is_one_document(
    live: LiveRoom, tmp_path: Path
) -> None:
    receipt, kept = tmp_path / "receipt.json", tmp_path / "question.json"
    words = [
        *(sys.executable, "-m", "saferoom_client", "check", "paid-enough"),
        *("--subject", STEADY, "--purpose", "pre-loan", "--param", "least=5000"),
        *("-p", str(live.member("bank-a", "desk")), "--receipt", str(receipt)),
    ]
    # No file grows past 4 KiB: the question fits, its receipt does not.
    typed = f"ulimit -f 4; exec {shlex.join([*words, '--keep', str(kept), '--json'])}"
    failed = subprocess.run(["bash", "-c", typed], capture_output=True, check=False, timeout=100)
    told = json.loads(failed.stdout)
    assert (failed.returncode, told["answer"]) == (1, "yes")
    assert told["error"]["places"] == [{"field": str(receipt), "rule": "File too large"}]
    assert told["error"]["steps"] == [f"saferoom check --again {kept} --receipt FILE"]
    assert [each.name for each in tmp_path.iterdir()] == [kept.name]
