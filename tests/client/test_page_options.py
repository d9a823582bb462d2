"""A page for people goes to `--out`, whichever command writes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.cli.page_options import page_file, page_files
from tests.needs import chinese_font


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        (("page.txt",), "a page ends in .html or .pdf"),
        (("page.html", "other.html"), ".html is given twice"),
    ],
)
def test_a_page_of_no_form_or_of_one_form_twice_is_refused_before_anything_is_read(
    names: tuple[str, ...], rule: str
) -> None:
    given = [word for name in names for word in ("--out", name)]
    refused = CliRunner().invoke(app, ["job", "report", "job", "-p", "nobody", *given])
    assert refused.exit_code == 1
    assert f"--out: {rule}" in refused.output


def test_a_page_may_be_named_as_it_was_before_and_help_shows_the_one_way(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert page_files([page], None, None) == page_files([], page, None) == {"html": page}
    assert page_file(page, None) == page_file(None, page) == page
    for command in (("job", "report"), ("scorecard", "report"), ("audit", "verify")):
        shown = CliRunner().invoke(app, [*command, "--help"]).output
        assert "--out" in shown
        assert not {"--html", "--pdf", "--report"} & {*shown.split()}


@chinese_font
def test_a_page_is_written_in_both_forms_at_once(tmp_path: Path) -> None:
    html, pdf = tmp_path / "page.html", tmp_path / "page.pdf"
    assert page_files([pdf, html], None, None) == {"pdf": pdf, "html": html}
    assert page_files([html], None, pdf) == {"pdf": pdf, "html": html}
