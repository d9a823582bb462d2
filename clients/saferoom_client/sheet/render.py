"""A page for people as one HTML file, or as text: a receipt's, or an audit's.

Whatever comes from a receipt or a log is text, and is written through `_text` only; a drawing is
written as the library made it. The file asks for nothing from outside, and its policy forbids it
to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Final

from saferoom_client.sheet.rows import Form, Row, Section, Shown
from saferoom_client.sheet.words import Language

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_STYLE: Final = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 54rem; padding: 2rem 1.5rem 4rem; color: #1c2430;
  font: 15px/1.55 system-ui, "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
.lead { color: #55606f; margin: 0 0 1.5rem; }
.answer { border-left: .4rem solid #667; background: #f3f5f8; padding: .9rem 1.2rem;
  margin: 0 0 2rem; font-size: 1.35rem; font-weight: 600; overflow-wrap: anywhere; }
.yes { border-color: #1f7a4d; } .no { border-color: #9a3b26; } .refused { border-color: #8a6d00; }
section { break-inside: avoid-page; margin: 0 0 1.8rem; }
h2 { font-size: 1.1rem; border-bottom: 1px solid #cfd6df; padding-bottom: .3rem;
  margin: 0 0 .4rem; }
dl { display: grid; grid-template-columns: minmax(9rem, 13rem) minmax(0, 1fr); gap: .25rem 1rem;
  margin: 0; }
dt { color: #55606f; } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-line; }
svg { max-width: 100%; height: auto; }
code, pre { font: 12.5px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; background: #f3f5f8;
  padding: .5rem .7rem; }
@media print { body { padding: 0; max-width: none; font-size: 11px; } }
@media (max-width: 40rem) { dl { grid-template-columns: minmax(0, 1fr); }
  dd { margin-bottom: .5rem; } }
"""
_LANGUAGE: Final = {Language.EN: "en", Language.ZH: "zh-CN"}
_DIGEST: Final = re.compile(r"(?:sha256|sm3):[0-9a-f]{64}", re.ASCII)
_INDENT: Final = "  "


def html(sheet: Shown) -> str:
    """Write a page as one HTML file."""
    return "\n".join(_html(sheet)) + "\n"


def text(sheet: Shown) -> str:
    """Write a page as text, to be read in a terminal or kept beside the file."""
    return "\n".join(_lines(sheet)) + "\n"


def _html(sheet: Shown) -> Iterator[str]:
    yield "<!doctype html>"
    yield f'<html lang="{_LANGUAGE[sheet.language]}">'
    yield '<head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"<title>{_text(sheet.title)}</title>"
    yield f"<style>{_STYLE}</style></head>"
    yield f"<body><h1>{_text(sheet.title)}</h1>"
    yield f'<p class="lead">{_text(sheet.lead)}</p>'
    yield f'<p class="answer {_text(sheet.tone)}">{_text(sheet.answer)}</p>'
    for section in sheet.sections:
        yield from _section(section)
    yield "</body></html>"


def _section(section: Section) -> Iterator[str]:
    yield f"<section><h2>{_text(section.heading)}</h2><dl>"
    for row in section.rows:
        yield f"<dt>{_text(row.label)}</dt><dd>{_value(row)}</dd>"
    yield "</dl></section>"


def _value(row: Row) -> str:
    match row.form:
        case Form.TEXT:
            return _DIGEST.sub(r"<code>\g<0></code>", _text(row.value))
        case Form.CODE:
            return f"<code>{_text(row.value)}</code>"
        case Form.BLOCK:
            return f"<pre>{_text(row.value.rstrip())}</pre>"
        case Form.DRAWING:
            return row.value


def _text(value: str) -> str:
    return escape(value, quote=True)


def _lines(sheet: Shown) -> Iterator[str]:
    yield sheet.title
    yield sheet.lead
    yield ""
    yield sheet.answer
    for section in sheet.sections:
        yield ""
        yield section.heading
        for row in section.rows:
            if row.form is Form.DRAWING:
                continue
            first, *more = row.value.rstrip().split("\n")
            if not more:
                yield f"{_INDENT}{row.label}: {first}"
                continue
            yield f"{_INDENT}{row.label}:"
            yield from (f"{_INDENT * 2}{line}" for line in (first, *more))
