"""A report's pages: whatever a record's value holds, it stays a value, in HTML, text and PDF."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from saferoom_client.report.content import (
    Content,
    ContentColumn,
    ContentPart,
    ContentTable,
    document,
    plain,
)
from saferoom_client.report.draft import public_of
from saferoom_client.report.page import page_of
from saferoom_client.report.pdf import pdf
from saferoom_client.sheet.render import html, text
from saferoom_client.sheet.rows import Row, Section
from saferoom_client.tongue import Language, speak
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.told import Mark, MarkedColumn
from saferoom_proto.statements import ColumnType, Title
from tests import needs

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
        tuple((value,) for value in values),
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


def test_no_two_values_look_alike_and_programs_are_given_them_as_they_are() -> None:
    values = ("a\nb", r"a\nb", r"a\\nb", "a\u202eb", r"a\u202eb", "案号")
    shown = [plain(value) for value in values]
    assert len(set(shown)) == len(values)
    assert (shown[0], shown[1], shown[-1]) == (r"a\nb", r"a\\nb", "案号")
    told = json.loads(json.dumps(document(content(*values))))
    (table,) = told["parts"][0]["tables"]
    assert [row["case_no"] for row in table["rows"]] == list(values)


@needs.chinese_font
def test_pdf_takes_all_that_a_page_says_as_data_and_is_the_same_file_again() -> None:
    # Read as markup, or as code, none of them is a document.
    broken = ('#panic("read as markup")', "#read(", "]", "$", "@nowhere", '"', "*")
    page, whole = page_of(content(*HOSTILE, *broken)), " ".join(broken)
    own = tuple(Section(said, (Row(said, said),)) for said in broken)
    told = replace(page, title=whole, lead=whole, answer=whole, sections=(*page.sections, *own))
    made = pdf(told, AT)
    assert made.startswith(b"%PDF-")
    assert pdf(told, AT) == made


@needs.chinese_font
def test_what_is_copied_from_pdf_is_what_stands_there() -> None:
    made = pdf(page_of(content("公共信用报告" * 20, "sha256:" + "ab" * 32, "a" * 300)), AT)
    packed = re.findall(rb"/FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", made, re.DOTALL)
    meanings = [each for each in map(zlib.decompress, packed) if b"beginbfchar" in each]
    assert any("信".encode("utf-16-be").hex().upper().encode() in each for each in meanings)
    assert not any(b"200B" in each for each in meanings)


@needs.chinese_font
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
    with pytest.raises(SafeRoomError) as caught:
        public_of([source])
    assert caught.value.reason is Reason.MALFORMED


def test_a_draft_names_the_catalogues_public_columns_and_no_other() -> None:
    tables = public_of(["registry=1.1", "registry=1.6"])
    told = {f"{each.table}.{column}" for each in tables for column in each.columns}
    assert "reg_business_licence.company_name" in told
    assert "reg_business_licence.legal_rep_name" not in told
    assert not any("id_no" in each or each.endswith(".uscc") for each in told)
