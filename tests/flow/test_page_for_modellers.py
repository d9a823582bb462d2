"""docs/modellers.md is typed as it stands, between what others do, as docs/by-hand.md has it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final, cast

import pytest

from tests import needs
from tests.flow.pages import DOCS, Block, moved, read_page, sections, typing_in
from tests.flow.processes import free_port

PAGE: Final = "modellers.md"
IN_ROOM: Final = "training-in-the-room.md"
COMMANDS: Final = (
    *("job submit", "job resume", "job watch", "job list", "job cancel", "job report"),
    *("template propose", "agreement propose"),
    *("score draft", "score ask"),
)

NOTEBOOK: Final = DOCS.parent / "examples" / "a_modellers_day.ipynb"
DAY: Final = """
python a_modellers_day.py
# prints: the owner's features: tax.vat_paid
# prints: 1,450 rows
# prints: round 1: separation
# prints: released over 1,350 common subjects
# prints: the owner's half: band
# prints: both halves
# prints: released round
"""
JOBS: Final = 6


def test_the_page_holds_the_modeller_s_commands() -> None:
    typed = "".join(each.text for each in read_page(PAGE) if each.kind == "sh")
    assert [each for each in COMMANDS if f"saferoom {each}" not in typed] == []


@needs.chinese_font
@pytest.mark.timeout(300)  # jobs, a notebook and scores: a minute where nothing else runs
def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    own, others = sections(PAGE), sections("by-hand.md")
    # Nobody comes to this room for itself, and its records are those of the page.
    before = [
        *(each for number in (1, 2, 3, 4) for each in others[number]),
        *own[1],
        *(each for each in others[5] if each.file != "vat.csv"),
    ]
    rest = [block for number in sorted(own) if number > 1 for block in own[number]]
    port = free_port()
    with typing_in(tmp_path) as hand:
        python = hand.commands / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -W error "$@"\n')
        python.chmod(0o700)
        for block in [*before, *rest]:
            hand.do(_of_many(moved(block, port)))
        for block in read_page(IN_ROOM):
            hand.do(moved(block, port))
        hand.do(Block("a_modellers_day.py", "python", _code(NOTEBOOK)))
        hand.do(Block(None, "sh", DAY))
        assert (hand.folder / "report.png").stat().st_size > 0
        jobs = sorted((hand.folder / "bank-a" / "jobs").iterdir())
        kept = {path.name for job in jobs for path in job.iterdir()}
    assert len(jobs) == JOBS
    assert kept == {"request.json", "ended.json", "report.json"}, "no state, no channel's secret"


def _code(notebook: Path) -> str:
    """Join the cells of code, as they would be run one after the other."""
    cells = cast("list[dict[str, str | list[str]]]", json.loads(notebook.read_bytes())["cells"])
    return "\n".join("".join(each["source"]) for each in cells if each["cell_type"] == "code")


def _of_many(block: Block) -> Block:
    """Expect as many rows as the page's own records have."""
    return Block(block.file, block.kind, block.text.replace("(5 rows)", "(1,400 rows)"))
