"""A report's pages: whatever a record's value holds, it stays a value, in HTML, text and PDF."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from saferoom_client.report.content import Content, ContentColumn, ContentPart, ContentTable, plain
from saferoom_client.report.draft import public_of
from saferoom_client.report.page import page_of
from saferoom_client.report.pdf import pdf
from saferoom_client.sheet.render import html, text
from saferoom_client.tongue import Language, speak
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.told import Mark, MarkedColumn
from saferoom_proto.statements import ColumnType, Title

AT = datetime(2026, 11, 30, 8, tzinfo=UTC)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "&lt;b&gt; <!-- </section></body></html>",
    '#eval("1") #read("/etc/passwd") $x$ @ref *bold* `raw` \\u{41} //',
    "none\ncase no: nothing else\n\nMissing",
    "\u202ereversed\u2066 \x1b[31mred\x07 \x00 \u2028",
    "=HYPERLINK(1)",
)


def content(*values: str, mark: MarkedColumn | None = None) -> Content:
    title = Title(en="Case number", zh="案号")
    table = ContentTable(
        "listed",
        Title(en="Listed", zh="失信被执行人"),
        (ContentColumn("case_no", title, ColumnType.TEXT, mark),),
        tuple((plain(value),) for value in values),
    )
    part = ContentPart("court", Title(en="Court", zh="法院"), AT, 3, 17, (table,))
    return Content(
        subject="91990000000000027W",
        room="room.example/city",
        title=Title(en="Public report", zh="公共信用报告"),
        asked_by="bank-a",
        purpose="pre-loan",
        request_id="sha256:" + "ab" * 32,
        parts=(part,),
        missing={"tax": Reason.UNAVAILABLE},
    )


class Tags(HTMLParser):
    """Notes what is markup."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def markup(written: str) -> tuple[list[str], list[str]]:
    tags = Tags()
    tags.feed(written)
    return tags.tags, tags.attributes


def test_no_value_makes_markup_or_a_line_of_its_own() -> None:
    harmless = content(*(f"value {number}" for number in range(len(HOSTILE))))
    hostile = content(*HOSTILE)
    assert markup(html(page_of(hostile))) == markup(html(page_of(harmless)))
    written, plainly = html(page_of(hostile)), text(page_of(hostile))
    assert "<script" not in written
    assert "<img" not in written
    assert len(plainly.splitlines()) == len(text(page_of(harmless)).splitlines())
    assert len(written.splitlines()) == len(html(page_of(harmless)).splitlines())
    assert not re.search("[\u202e\u2066\u2028\x00\x07\x1b]", written + plainly)


def test_pdf_takes_values_as_data_and_is_the_same_file_again() -> None:
    page = page_of(content(*HOSTILE))
    made = pdf(page, AT)
    assert made.startswith(b"%PDF-")
    assert b"/JavaScript" not in made
    assert b"/EmbeddedFile" not in made
    assert pdf(page, AT) == made


def test_a_character_that_no_font_has_is_an_error_and_no_empty_box() -> None:
    with pytest.raises(SafeRoomError) as caught:
        pdf(page_of(content("\U0002a6da")), AT)
    assert caught.value.reason is Reason.MALFORMED
    assert "write it as .html" in caught.value.fields[0].rule


def test_a_page_speaks_chinese_and_says_what_is_marked_and_missing() -> None:
    mark = MarkedColumn(column="case_no", mark=Mark.CORRECTED, since=AT, epoch=4)
    speak(Language.ZH)
    try:
        written = html(page_of(content("2026-7", mark=mark)))
    finally:
        speak(Language.EN)
    assert '<html lang="zh-CN">' in written
    for words in ("公共信用报告", "失信被执行人", "案号 *: 2026-7", "自第 4 期的记录起", "缺.tax"):
        assert re.search(words.replace("*", r"\*"), written), words


@pytest.mark.parametrize("source", ["court", "court=", "=2.4", "court=99.9", "court=4.1x"])
def test_a_draft_of_what_is_no_type_is_refused(source: str) -> None:
    with pytest.raises(SafeRoomError):
        public_of([source])


def test_a_draft_names_the_catalogues_public_columns_and_no_other() -> None:
    tables = public_of(["registry=1.1", "registry=1.6"])
    told = {f"{each.table}.{column}" for each in tables for column in each.columns}
    assert "reg_business_licence.company_name" in told
    assert "reg_business_licence.legal_rep_name" not in told
    assert not any("id_no" in each or each.endswith(".uscc") for each in told)
