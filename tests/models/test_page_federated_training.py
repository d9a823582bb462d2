"""docs/federated-training.md is typed as it stands: its program runs, and so does its benchmark."""

from __future__ import annotations

from pathlib import Path

from saferoom_models.horizontal.messages import Kind
from saferoom_models.horizontal.model import FindingKind
from tests.flow.pages import DOCS, blocks, run_blocks

PAGE = "federated-training.md"


def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    before, _, after = (DOCS / PAGE).read_text("utf-8").partition("\n## Through a room\n")
    alone = [*blocks(before), *blocks(after.partition("\n## ")[2])]
    printed = run_blocks(alone, tmp_path)
    assert "converged: False" not in printed


def test_the_page_names_every_message_and_finding() -> None:
    text = (DOCS / PAGE).read_text("utf-8")
    assert [kind.name for kind in Kind if f"**{kind.name}**" not in text] == []
    assert [kind for kind in FindingKind if f"`{kind}`" not in text] == []
