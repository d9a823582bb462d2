"""docs/joint-training.md is typed as it stands: its program runs, and so does its benchmark."""

from __future__ import annotations

from pathlib import Path

from saferoom_models.psi.messages import AlignmentKind
from saferoom_models.vertical.columns import FindingKind
from saferoom_models.vertical.messages import MessageKind
from saferoom_models.vertical.scheme import MODULUS
from tests.flow.pages import DOCS, run_page

PAGE = "joint-training.md"


def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    printed = run_page(PAGE, tmp_path)
    assert "converged: True" in printed
    assert "converged: False" not in printed


def test_the_page_names_every_message_and_finding() -> None:
    text = (DOCS / PAGE).read_text("utf-8")
    kinds = [*MessageKind, *AlignmentKind]
    assert [kind.name for kind in kinds if f"**{kind.name}**" not in text] == []
    assert [kind for kind in FindingKind if f"`{kind}`" not in text] == []
    assert str(MODULUS) in text
