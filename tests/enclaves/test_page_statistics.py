"""docs/statistics.md is typed as it stands: its program runs, and its numbers are the defaults."""

from __future__ import annotations

from pathlib import Path

from saferoom_proto.tables.plan import MAX_CELLS
from saferoom_proto.tables.rules import Rules
from tests.flow.pages import DOCS, run_page

PAGE = "statistics.md"


def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    printed = run_page(PAGE, tmp_path)
    # Six large firms are late: the program shows that nowhere.
    assert "large yes: WITHHELD" in printed
    assert "large yes: 6" not in printed


def test_the_page_tells_the_rules_that_hold() -> None:
    text = (DOCS / PAGE).read_text("utf-8")
    rules = Rules()
    rows = {
        "threshold": rules.threshold,
        "p%": rules.percent,
        "dominance": f"{rules.largest}, {rules.share}",
        "rounding": f"{rules.base}, {rules.digits}",
    }
    for name, default in rows.items():
        assert any(
            line.startswith(f"| {name} |") and line.endswith(f"| {default} |")
            for line in text.splitlines()
        ), name
    assert f"{MAX_CELLS:,} cells" in text
