"""docs/reports.md is typed as it stands, in a room that is running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from saferoom_proto.statements import ListRequest
from saferoom_proto.use_receipt import UseReceipt, verify_use_receipt
from tests import needs
from tests.flow.live import LiveRoom
from tests.flow.offers import FICKLE
from tests.flow.pages import DOCS, Hand, read_page, typing_in

PAGE = "reports.md"
COMMANDS = ("ask", "show", "own", "draft")
OF_LISTS = ("ask", "show", "list")


@pytest.fixture
def hand(live: LiveRoom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    """Give a folder in which the page's people have their member folders."""
    people = {
        "firm": live.member(FICKLE, "self"),
        "bank": live.member("bank-a", "desk"),
        "court-li": live.member("court", "li"),
        "court-wang": live.member("court", "wang"),
    }
    with typing_in(tmp_path_factory.mktemp("reports")) as hand:
        for name, folder in people.items():
            (hand.folder / name).symlink_to(folder.resolve())
        yield hand


@needs.chinese_font
def test_the_page_works_as_it_stands(live: LiveRoom, hand: Hand) -> None:
    for block in read_page(PAGE):
        hand.do(block)
    assert (hand.folder / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert "豫0402执17号" in (hand.folder / "report.html").read_text("utf-8")
    # A firm is shown the lists that told of it, and can show that they were asked for.
    shown = [UseReceipt.from_json(each.read_bytes()) for each in hand.folder.glob("shown/*.json")]
    trust = live.profile("auditor", "desk").trust
    asked = [verify_use_receipt(each, trust).request for each in shown]
    assert any(isinstance(each, ListRequest) and each.code == "9900" for each in asked)
    # The room is others' too: what is disputed here is taken back.
    with live.open(FICKLE, "self") as room:
        for each in room.list_disputes():
            if each.is_open and each.dispute.field == "cases.case_no":
                room.withdraw_dispute(each.digest)


def test_the_page_names_every_command_of_reports_and_lists() -> None:
    text = (DOCS / PAGE).read_text("utf-8")
    assert [each for each in COMMANDS if f"saferoom report {each}" not in text] == []
    assert [each for each in OF_LISTS if f"listing {each}" not in text] == []
