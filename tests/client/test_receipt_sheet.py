"""A receipt's page for people: all that was verified, nothing else, and nothing that runs."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.sheet.facts import Sheet, read_sheet
from saferoom_client.sheet.render import html, text
from saferoom_client.sheet.rows import Form, Row, Section
from saferoom_client.sheet.words import Language, reason, say
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Consent, load
from tests.client.desks import Desk
from tests.client.every_receipt import fit
from tests.client.made import make_case
from tests.client.tampering import BROKEN, Told, altered, flipped, text_in, told

HOSTILE = "</dd><script>alert(1)</script><img src=//evil.example onerror='x'>&amp;\"'"
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section"),
    *("dl", "dt", "dd", "code", "pre"),
}


class Page(HTMLParser):
    """Reads a page as a browser would: its tags, their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page(whole: Told, language: Language = Language.EN) -> str:
    return html(read_sheet(whole.receipt, whole.trust, language))


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("render", [html, text])
def test_a_page_holds_what_an_auditor_looks_for(
    whole: Told, language: Language, render: object
) -> None:
    assert callable(render)
    shown = str(render(read_sheet(whole.receipt, whole.trust, language)))
    request, case = whole.question.request, whole.case
    for known in (
        request.subject,
        request.institution,
        whole.question.request_id,
        request.template,
        request.certificate,
        "least = 5000",
        "tax.vat_paid",
        case.consent.digest,
        load(case.consent, Consent).notice,
        *(each.digest for each in case.agreements.values()),
        *(each.endorsement.digest for each in case.enclaves.values()),
        *(case.world.owner(each).charter.digest for each in ("tax", "court")),
        *whole.trust.charter_roots.values(),
        whole.trust.ledger_key,
        "c2sp.org/tlog-proof@v1",
        "saferoom receipt verify",
        say("answer yes", language),
        say("evidence software", language),
        say("title", language),
    ):
        assert known in shown.replace("&#x27;", "'"), known


def test_a_page_is_the_same_whenever_and_wherever_it_is_written(
    whole: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = page(whole)
    monkeypatch.setenv("TZ", "America/St_Johns")
    assert page(whole) == first


def test_a_page_asks_for_nothing_from_outside_and_runs_nothing(whole: Told) -> None:
    shown = page(whole)
    assert set(Page(shown).tags) <= TAGS
    assert Page(shown).attributes <= {"lang", "charset", "http-equiv", "content", "name", "class"}
    assert "default-src 'none'" in shown
    assert not re.search(r"https?:|url\(|@import|javascript:", shown)


def test_what_people_wrote_into_a_receipt_is_shown_as_text_only() -> None:
    whole = told(make_case(titled=HOSTILE))
    for language in Language:
        shown = page(whole, language)
        assert set(Page(shown).tags) <= TAGS
        assert HOSTILE in "".join(Page(shown).text)
        assert "<script" not in shown


ANY = st.text(min_size=1, max_size=40)


@given(texts=st.lists(st.one_of(ANY, st.just(HOSTILE)), min_size=6, max_size=6))
def test_no_text_in_any_place_of_a_page_becomes_anything_but_text(texts: list[str]) -> None:
    title, lead, answer, heading, label, value = texts
    # A drawing is no text: a library made it, and a receipt has none.
    rows = tuple(Row(label, value, form) for form in Form if form is not Form.DRAWING)
    sheet = Sheet(Language.EN, title, lead, Truth.YES, answer, (Section(heading, rows),))
    read = Page(html(sheet))
    assert sorted(read.tags) == sorted(
        [
            *("html", "head", "meta", "meta", "meta", "meta", "title", "style", "body", "h1"),
            *("p", "p", "section", "h2", "dl", "dt", "dd", "dt", "dd", "code", "dt", "dd", "pre"),
        ]
    )


def test_of_a_refusal_nothing_is_shown_that_nobody_verified() -> None:
    # The file of a refusal may hold approvals and a consent; verification looks at neither.
    case = make_case()
    question = case.question()
    parts = {
        "court": case.answer(question, "court"),
        "tax": case.answer(question, "tax", Reason.OVER_BUDGET, approvals=(), consent=None),
    }
    receipt = case.receipt(question, parts)
    receipt = receipt.model_copy(update={"parts": receipt.parts[1:] + receipt.parts[:1]})
    sheet = read_sheet(receipt, case.world.trust(), Language.EN)
    assert sheet.answer.startswith("Refused: OVER_BUDGET")
    by_owner = {section.heading.split(",")[0]: section for section in sheet.sections}
    labels = {row.label for row in by_owner["Data owner: tax"].rows}
    assert labels.isdisjoint({"Approved by", "The subject's consent", "Commitment to the answer"})
    assert {"Approved by", "The subject's consent"} <= {
        row.label for row in by_owner["Data owner: court"].rows
    }


@pytest.mark.parametrize("name", BROKEN)
def test_of_a_tampered_receipt_there_is_no_page(whole: Told, name: str) -> None:
    broken = altered(whole.receipt, **{name: flipped(text_in(whole.receipt, name))})
    with pytest.raises(SafeRoomError):
        read_sheet(broken, whole.trust, Language.EN)


def test_the_command_writes_a_page_or_nothing(whole: Told, tmp_path: Path) -> None:
    receipt, trust = tmp_path / "receipt.json", tmp_path / "trust.json"
    receipt.write_bytes(whole.receipt.to_json())
    trust.write_text(whole.trust.model_dump_json())
    for name, language, known in (
        ("receipt.html", "en", "Receipt of a check"),
        ("回执.html", "zh", "核验回执"),
        ("receipt.txt", "zh", "核验回执"),
    ):
        out = tmp_path / name
        done = CliRunner().invoke(
            app,
            ["receipt", "export", str(receipt), "--out", str(out), "--lang", language,
             "--trust", str(trust)],
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        assert known in out.read_text("utf-8")
    wrong = CliRunner().invoke(
        app,
        ["receipt", "export", str(receipt), "-o", str(tmp_path / "a.pdf"), "--trust", str(trust)],
    )
    assert wrong.exit_code == 1
    assert ".html, .txt" in wrong.output
    receipt.write_bytes(altered(whole.receipt, salt="AAAA").to_json())
    out = tmp_path / "tampered.html"
    done = CliRunner().invoke(
        app, ["receipt", "export", str(receipt), "--out", str(out), "--trust", str(trust)]
    )
    assert done.exit_code == 1
    assert not out.exists()


def test_a_training_has_a_page_too_in_the_language_that_is_asked_for(tmp_path: Path) -> None:
    desk = Desk()
    kept, trust = tmp_path / "fit.json", tmp_path / "trust.json"
    written = fit(desk, ())
    kept.write_bytes(written.to_json())
    trust.write_text(desk.world.trust().model_dump_json())
    command = ("receipt", "export", str(kept), "--trust", str(trust), "--out")
    for name, language, known in (("a.html", "en", "Model card"), ("a.txt", "zh", "模型卡")):
        out = tmp_path / name
        done = CliRunner().invoke(app, [*command, str(out), "--lang", language])
        assert done.exit_code == 0, done.output
        assert "wrote" in done.output  # the command itself goes on in its user's language
        assert known in out.read_text("utf-8")
    kept.write_bytes(written.model_copy(update={"salt": "A" * 43 + "="}).to_json())
    refused = CliRunner().invoke(app, [*command, str(tmp_path / "b.html")])
    assert refused.exit_code == 1
    assert not (tmp_path / "b.html").exists()


def test_every_verdict_has_its_words_in_both_languages() -> None:
    verdicts = (Reason.NO_CONSENT, Reason.OVER_BUDGET, Reason.PAUSED, Reason.WITHHELD)
    for each in verdicts:
        assert reason(each, Language.ZH) != reason(each, Language.EN)
        assert reason(each, Language.ZH).startswith(each)
