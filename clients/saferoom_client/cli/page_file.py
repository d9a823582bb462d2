"""What is public as a page in a file: .html, .pdf, .json or .txt, by the end of its name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from saferoom_client.files import PUBLIC_FILE, write_file
from saferoom_client.report.pdf import pdf, require_pdf
from saferoom_client.sheet.render import html, text
from saferoom_client.sheet.rows import Page
from saferoom_client.tongue import say
from saferoom_proto.encoding import dump
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

_PDF: Final = ".pdf"
_KINDS: Final = (".html", _PDF, ".json", ".txt")

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Write it as a page: .html, .pdf, .json or .txt.", dir_okay=False
    ),
]


def require_page_kind(out: Path | None) -> None:
    """Refuse, before anybody is asked, a page that cannot be written."""
    if out is None:
        return
    if out.suffix.lower() not in _KINDS:
        rule = say("one of {renderers} at the end of its name", renderers=", ".join(_KINDS))
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--out", rule)])
    if out.suffix.lower() == _PDF:
        require_pdf()


def write_page(out: Path, document: object, page: Page, at: datetime) -> None:
    """Write a page, or for programs its document; `at` is when what it says was said."""
    match out.suffix.lower():
        case ".json":
            data = dump(document) + b"\n"
        case ".pdf":
            data = pdf(page, at)
        case ".txt":
            data = text(page).encode()
        case _:
            data = html(page).encode()
    write_file(out, data, PUBLIC_FILE)


def written_to(out: Path | None) -> Iterator[str]:
    """Say where a page was written, if it was."""
    if out is not None:
        yield say("wrote {path}", path=out)


def proof_in(receipt: Path | None) -> Iterator[str]:
    """Say where a receipt was written, if it was."""
    if receipt is not None:
        yield say("the proof is {file}: keep it too", file=receipt)
