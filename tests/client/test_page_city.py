"""docs/city.md is typed as it stands, and says of a city what is so."""

from __future__ import annotations

from pathlib import Path

from saferoom_city.firm import MOST_FIRMS
from tests.flow.pages import DOCS, run_page

PAGE = "city.md"


def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    printed = run_page(PAGE, tmp_path)
    assert "Traceback" not in printed
    made = {path.name for path in (tmp_path / "part" / "utilities").iterdir()}
    assert made == {
        "util_water.csv",
        "util_water_customer_registration.csv",
        "util_water_monthly_payment.csv",
        "util_water_water_bill_detail.csv",
    }


def test_the_decision_names_the_most_firms() -> None:
    text = (DOCS / "adr" / "0034-a-city-is-made-by-plain-python.md").read_text("utf-8")
    assert f"{MOST_FIRMS:,} firms" in text
