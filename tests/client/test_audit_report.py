"""An audit's page for people: all that was found, in both languages, and nothing that runs."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from saferoom_client.audit.report import Audited, audit_page
from saferoom_client.audit.run import AuditReport, Violation
from saferoom_client.cli import app
from saferoom_client.sheet.render import html
from saferoom_client.tongue import Language, say_in, speak
from saferoom_proto.answer import Truth
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.reasons import CATALOGUE, Reason
from tests.client.story import Story
from tests.client.test_receipt_sheet import HOSTILE, TAGS, Page


def page_of(story: Story, *also: Violation) -> str:
    auditor = story.audit()
    report = AuditReport(
        checkpoint=Checkpoint(story.world.room, len(story.log), bytes(32)),
        grown_from=None,
        since=0,
        judged=auditor.judged,
        erased=auditor.erased,
        unjudged=auditor.unjudged,
        crossed=auditor.crossed,
        replayed=auditor.replayed,
        receipts=0,
        opened=auditor.opened,
        recovered=auditor.recovered,
        stores=auditor.stores,
        overdue=(),
        disagreeing=(),
        unpinned=(),
        violations=(*auditor.violations, *also),
    )
    by = "auditor desk"
    return html(audit_page(Audited(report, story.world.trust(), by, story.world.now())))


@pytest.fixture(params=Language)
def language(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Language:
    monkeypatch.setenv("LANGUAGE", "")  # put back what was spoken
    spoken = Language(request.param)
    speak(spoken)
    return spoken


def test_a_page_tells_each_violation_with_its_entry_and_its_rule(language: Language) -> None:
    story = Story().begin()
    story.release(Truth.YES, consent=None)
    shown = Page(page_of(story))
    told = "\n".join(shown.text)
    assert say_in(language, CATALOGUE[Reason.NO_CONSENT].what) in told
    assert "NO_CONSENT" in told
    assert str(len(story.log) - 1) in told
    assert story.world.trust().ledger_key in told
    assert say_in(language, "What was checked") in told
    assert (language is Language.ZH) == ("违规" in told)


def test_a_page_of_a_whole_log_says_that_nothing_was_found(language: Language) -> None:
    story = Story().begin()
    story.release()
    shown = page_of(story)
    assert say_in(language, "no violation") in shown
    assert 'class="answer yes"' in shown


def test_nothing_that_the_log_says_runs_or_is_fetched() -> None:
    shown = Page(page_of(Story().begin(), Violation(None, Reason.BAD_PROOF, HOSTILE)))
    assert set(shown.tags) <= TAGS
    assert not {name for name in shown.attributes if name.startswith("on") or name == "src"}
    assert HOSTILE in "\n".join(shown.text)


@pytest.mark.parametrize("option", ["--out", "--report"])
def test_a_report_of_another_form_is_refused_before_the_log_is_read(option: str) -> None:
    words = ["audit", "verify", "-p", "nobody", option, "audit.pdf"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert f"{option}: a page ends in .html" in result.output
