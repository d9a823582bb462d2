"""A page as PDF, by Typst (the extra `report`): archival PDF/A-2u, its fonts in the file.

The layout is ours and fixed; all that a page says goes in beside it as data, and no part of it is
ever read as markup. PDF/A-2u asks for a glyph and a meaning for every character, so a character
that no font here has is an error and never an empty box.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Final

from saferoom_client.extras import Extra, needing
from saferoom_client.sheet.rows import Form, Page, Row
from saferoom_client.tongue import Language
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

FONTS: Final = (
    "Noto Sans CJK SC",
    "Noto Serif CJK SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "SimSun",
    "WenQuanYi Zen Hei",
)
"""Those with the characters of GB 18030 that Debian, macOS and Windows come with."""
_NO_GLYPH: Final = "could not be displayed"
"""What Typst says of a character that PDF/A-2u has no glyph for."""
_LONG: Final = re.compile(r"([^\s\u2e80-\U0010ffff]{24})(?=[^\s\u2e80-\U0010ffff])")
"""Of a long word what may stand in a line alone; from U+2E80 on characters break by themselves."""
_LAYOUT: Final = """
#let told = json(bytes(sys.inputs.told))
#set document(title: told.title, date: auto)
#set page(paper: "a4", margin: (x: 20mm, y: 22mm), numbering: "1 / 1")
#set text(font: told.font, size: 10pt, lang: told.language)
#set par(justify: false)
#let pieces(line) = line.enumerate().map(((at, one)) => if calc.odd(at) { box(one) } else { one })
#let lines(told) = told.map(line => pieces(line).join()).join(linebreak())
#let tones = (yes: rgb("#1f7a4d"), no: rgb("#9a3b26"), refused: rgb("#8a6d00"))
#text(size: 17pt, weight: "bold", told.title)
#parbreak()
#text(fill: luma(35%), told.lead)
#block(width: 100%, inset: 9pt, fill: luma(95%),
  stroke: (left: 4pt + tones.at(told.tone, default: luma(40%))),
  text(weight: "bold", told.answer))
#for section in told.sections [
  #v(6pt)
  #block(sticky: true, text(size: 12pt, weight: "bold", section.heading))
  #line(length: 100%, stroke: 0.5pt + luma(70%))
  #grid(columns: (32mm, 1fr), column-gutter: 5mm, row-gutter: 2.6mm,
    ..for row in section.rows {
      if row.drawing == none { (text(fill: luma(35%), row.label), lines(row.lines)) }
      else { (grid.cell(colspan: 2, image(bytes(row.drawing), format: "svg", width: 100%)),) }
    })
]
"""


def require_pdf() -> None:
    """Refuse with `NOT_INSTALLED`, before anything is asked, where no PDF can be written."""
    _font()


def pdf(page: Page, at: datetime) -> bytes:
    """Write a page as PDF.

    Args:
        page: the page.
        at: when what it says was said: the same page is the same file.

    Raises:
        SafeRoomError: `NOT_INSTALLED` without the extra, or a font with Chinese characters;
            `MALFORMED` for a character that no font here has; `INTERNAL`.
    """
    with needing(Extra.REPORT, "PDF"):
        import typst  # noqa: PLC0415 - the light client has no part of it
    data = json.dumps(_data(page) | {"font": _font()}, ensure_ascii=False)
    try:
        made = typst.compile(
            _LAYOUT.encode(),
            format="pdf",
            sys_inputs={"told": data},
            pdf_standards="a-2u",
            timestamp=int(at.timestamp()),
        )
    except typst.TypstError as error:
        if _NO_GLYPH not in error.message:
            raise SafeRoomError(Reason.INTERNAL, "the layout") from error
        rule = "no font here has a character of it: write it as .html, which browsers can show"
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--out", rule)]) from error
    return made


def _font() -> str:
    with needing(Extra.REPORT, "PDF"):
        import typst  # noqa: PLC0415
    there = set(typst.Fonts().families())
    for family in FONTS:
        if family in there:
            return family
    rule = "PDF needs a font with Chinese characters: none is installed"
    refusal = SafeRoomError(Reason.NOT_INSTALLED, rule, [FieldFault("PDF", rule)])
    refusal.add_note("sudo apt-get install fonts-noto-cjk")
    raise refusal


def _data(page: Page) -> dict[str, object]:
    return {
        "title": page.title,
        "lead": page.lead,
        "tone": page.tone,
        "answer": page.answer,
        "language": "zh" if page.language is Language.ZH else "en",
        "sections": [
            {"heading": each.heading, "rows": [_row(row) for row in each.rows]}
            for each in page.sections
        ],
    }


def _row(row: Row) -> dict[str, object]:
    # The layout boxes every other piece, the long ones, between which it breaks: nothing runs off
    # the paper, and no character stands there to be copied with them.
    if row.form is Form.DRAWING:
        return {"drawing": row.value}
    lines = [_LONG.split(line) for line in row.value.split("\n")]
    return {"label": row.label, "lines": lines, "drawing": None}
