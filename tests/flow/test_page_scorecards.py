"""docs/scorecards.md is typed as it stands; no room is needed."""

from __future__ import annotations

import sys
from pathlib import Path

from tests import needs
from tests.flow.pages import read_page, typing_in

COMMANDS = ("fit", "show", "report", "apply", "export")


@needs.chinese_font
def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    page = read_page("scorecards.md")
    typed = "".join(each.text for each in page if each.kind == "sh")
    assert [each for each in COMMANDS if f"saferoom scorecard {each}" not in typed] == []
    with typing_in(tmp_path) as hand:
        python = hand.commands / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -W error "$@"\n')
        python.chmod(0o700)
        for block in page:
            hand.do(block)
        assert (hand.folder / "card.pdf").read_bytes().startswith(b"%PDF-")
        assert (hand.folder / "woe.csv").read_text().startswith("uscc,defaulted,limit,years,trade")
