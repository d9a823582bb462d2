"""docs/joint-training.md is typed as it stands: its program runs, and so does its benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from saferoom_models.vertical.columns import FindingKind
from saferoom_models.vertical.messages import MessageKind
from saferoom_models.vertical.scheme import MODULUS
from tests.flow.pages import DOCS, read_page

PAGE = "joint-training.md"


def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in read_page(PAGE):
        if block.file is not None:
            (tmp_path / block.file).write_text(block.text, "utf-8")
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            timeout=100,
            check=False,
        )
        block.check(done.returncode, (done.stdout + done.stderr).decode())


def test_the_page_names_every_message_and_finding() -> None:
    text = (DOCS / PAGE).read_text("utf-8")
    assert [kind.name for kind in MessageKind if f"**{kind.name}**" not in text] == []
    assert [kind for kind in FindingKind if f"`{kind}`" not in text] == []
    assert str(MODULUS) in text
