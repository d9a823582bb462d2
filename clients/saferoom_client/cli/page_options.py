"""Where a command writes its page for people: `--out`, and the end of its name says the form.

They were called `--html`, `--pdf` and `--report` before; those still work and are not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from saferoom_client.files import require_writable
from saferoom_client.report.pdf import require_pdf
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

PageOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write a page for people: one .html file.", dir_okay=False),
]
PagesOption = Annotated[
    list[Path],
    typer.Option(
        "--out", "-o", help="Write it as a page: .html or .pdf; repeat it for both.", dir_okay=False
    ),
]
FormerHtml = Annotated[Path | None, typer.Option("--html", hidden=True, dir_okay=False)]
FormerPdf = Annotated[Path | None, typer.Option("--pdf", hidden=True, dir_okay=False)]
FormerReport = Annotated[Path | None, typer.Option("--report", hidden=True, dir_okay=False)]


def page_file(out: Path | None, former: Path | None) -> Path | None:
    """Give where the page goes; refuse, before anything is asked, what is no .html file."""
    for option, path in (("--out", out), ("--report", former)):
        if path is not None and path.suffix.lower() != ".html":
            raise _misnamed(option, "a page ends in .html")
    require_writable(out or former)
    return out or former


def page_files(out: Sequence[Path], html: Path | None, pdf: Path | None) -> dict[str, Path]:
    """Give where the pages go, by their form; refuse the same before anything is read."""
    files: dict[str, Path] = {}
    for path in out:
        form = path.suffix.lower().removeprefix(".")
        if form not in {"html", "pdf"}:
            raise _misnamed("--out", "a page ends in .html or .pdf")
        if form in files:
            raise _misnamed("--out", f".{form} is given twice")
        files[form] = path
    former = {"html": html, "pdf": pdf}
    files |= {form: path for form, path in former.items() if path is not None}
    require_writable(*files.values())
    if "pdf" in files:
        require_pdf()
    return files


def _misnamed(option: str, rule: str) -> SafeRoomError:
    return SafeRoomError(Reason.MALFORMED, rule, [FieldFault(option, rule)])
