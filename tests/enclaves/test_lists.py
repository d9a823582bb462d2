"""Lists of what is public by law: who stands on a page, what is told of it, and what never is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from saferoom_enclaves.reports import times
from saferoom_enclaves.reports.desk import BegunReport
from saferoom_enclaves.storework import StoreWork
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.listed import LIST_SEAL, OwnerList
from saferoom_proto.reports.told import REPORT_SEAL, Mark
from saferoom_proto.statements import (
    Listing,
    Only,
    Outcome,
    Purpose,
    Report,
    ReportTable,
    load,
)
from saferoom_proto.statements.listing import ListRequest, division_of
from saferoom_proto.suite import Suite
from simulator.listed import BY_DISTRICT, BY_TRADE, REGISTER, ListRoom, listing, registers
from simulator.sample import Approved


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ListRoom]:
    """Give a room that a test may break."""
    made = ListRoom.make(tmp_path)
    yield made
    made.enclave.close()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ListRoom]:
    """Give a room in which lists are asked for, and nothing is changed."""
    made = ListRoom.make(tmp_path_factory.mktemp("lists"))
    yield made
    made.enclave.close()


def told(page: OwnerList) -> dict[str, tuple[tuple[str | None, ...], ...]]:
    return {each.subject: each.rows for each in page.listed}


def refused(room: ListRoom, of: Approved, code: str = "C26", **changes: object) -> Reason | None:
    judged = room.enclave.report(room.request(of, code, **changes))
    said = room.said(judged)
    assert (said.outcome, judged.sealed, said.charges) == (Outcome.REFUSED, b"", ())
    return said.reason


def test_a_list_tells_who_of_a_trade_stands_on_the_register_and_of_nobody_else(
    room: ListRoom,
) -> None:
    page = room.ask(room.approved())
    assert (page.firms, page.pages, page.more) == (2, 1, False)
    # Rows that differ in the amount alone are one; who was taken off, or is of another trade, is
    # not there.
    assert told(page) == {
        room.code(1): (("2026-7", "Xinhua"),),
        room.code(2): (("2024-9", None), ("2025-3", "Weidong")),
    }
    assert list(told(page)) == sorted(told(page))
    assert [each.name for each in page.columns] == ["case_no", "court"]
    assert set(told(room.ask(room.approved(), "F"))) == {room.code(4)}
    assert set(told(room.ask(room.approved(), "C2612"))) == {room.code(2)}
    # A code is compared by its letters: it is no pattern, and no part of a query.
    for code in ("Z", "%", "_26", "C26%", "'||'", "c26"):
        assert told(room.ask(room.approved(), code)) == {}


def test_a_district_is_that_of_the_code(room: ListRoom) -> None:
    asked = listing(by=BY_DISTRICT)
    of = room.approved("by-district", asked)
    expected = {
        room.code(each) for each in (1, 2, 4) if division_of(room.code(each)) == room.district
    }
    assert set(told(room.ask(of, room.district, asked=asked))) == expected
    assert refused(room, of, "4") is Reason.OFF_DOMAIN
    assert told(room.ask(of, "0000", asked=asked)) == {}


def test_only_rows_with_the_values_that_were_approved_count(room: ListRoom) -> None:
    asked = listing("case_no", only=(Only(column="court", values=("Xinhua", "Zhanhe")),))
    page = room.ask(room.approved("two-courts", asked), asked=asked)
    assert told(page) == {room.code(1): (("2026-7",),), room.code(3): (("2024-1",),)}


def test_pages_come_in_order_and_end_where_the_list_does(
    own: ListRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (
        "saferoom_proto.reports.listed",
        "saferoom_proto.statements.listing",
        "saferoom_enclaves.reports.listing",
    ):
        monkeypatch.setattr(f"{module}.PAGE_FIRMS", 2)
    own.load([(who, f"case-{who}", "1", "Xinhua", "", "C26") for who in range(1, 8)])
    asked = listing(most=5)
    of = own.approved("short", asked)
    pages = [own.ask(of, asked=asked, page=number) for number in (1, 2, 3)]
    assert [len(page.listed) for page in pages] == [2, 2, 1]
    assert {(page.firms, page.pages, page.more) for page in pages} == {(5, 3, True)}
    whole = [each.subject for page in pages for each in page.listed]
    assert whole == sorted(own.code(who) for who in range(1, 8))[:5]
    # The sixth firm is on no page, whatever is asked.
    assert refused(own, of, page=4) is Reason.OFF_DOMAIN


@pytest.mark.parametrize(
    "smuggled",
    [
        listing("case_no", "amount"),
        listing(only=(Only(column="amount", values=("900",)),)),
        listing(by=BY_TRADE.model_copy(update={"table": "listed", "column": "amount"})),
    ],
    ids=["told", "counted", "picked by"],
)
def test_nothing_above_level_1_is_told_counted_or_picked_by(
    room: ListRoom, smuggled: Listing
) -> None:
    of = room.approved(f"smuggled-{len(smuggled.columns)}-{smuggled.by.column}", smuggled)
    assert refused(room, of, "900") is Reason.NOT_ALLOWED


@pytest.mark.parametrize("raised", [{"code": 2}, {"trade": 3}, {"off": 2}], ids=str)
def test_an_owner_that_raises_any_level_of_it_stops_the_list_at_once(
    own: ListRoom, raised: dict[str, int]
) -> None:
    of = own.approved()
    assert told(own.ask(of))
    own.office.publish_schema(registers(**raised, version=2))
    own.enclave.follow()
    assert refused(own, of) is Reason.NOT_ALLOWED


def test_who_asks_without_leave_is_told_nothing(own: ListRoom) -> None:
    of = own.approved()
    assert refused(own, of, purpose=Purpose.PRODUCT_DESIGN) is Reason.WRONG_PURPOSE
    unapproved, certificate = own.bank.listing("unapproved", listing("court"))
    own.enclave.follow()
    assert refused(own, Approved(unapproved, certificate)) is Reason.NOT_APPROVED
    stranger = own.world.bank("bank-c")
    request = stranger.list_request(of.template, of.certificate, code="C26")
    with pytest.raises(SafeRoomError) as caught:
        own.enclave.report(request)
    assert caught.value.reason is Reason.NO_AGREEMENT
    own.office.withdraw(of.template)
    own.enclave.follow()
    assert refused(own, of) is Reason.NOT_APPROVED


def test_a_list_is_no_report_and_a_report_no_list(room: ListRoom) -> None:
    tables = (ReportTable(owner="office", table="listed", columns=("case_no",)),)
    template, certificate = room.bank.report("report", Report(tables=tables))
    room.office.approve(template, certificate.digest)
    room.enclave.follow()
    assert refused(room, Approved(template, certificate)) is Reason.CERTIFICATE_MISMATCH
    of = room.approved()
    check = room.bank.request(room.firm(), of.template, of.certificate)
    said = room.said(room.enclave.report(check))
    assert (said.outcome, said.reason) == (Outcome.REFUSED, Reason.CERTIFICATE_MISMATCH)
    assert room.said(room.enclave.judge(check)).reason is Reason.CERTIFICATE_MISMATCH
    request = room.request(of)
    judged = room.enclave.report(request)
    with pytest.raises(SafeRoomError) as caught:
        REPORT_SEAL.open(judged.sealed, room.bank.reply, request.digest, "office")
    assert caught.value.reason is Reason.BAD_SEAL


def test_a_repeat_gets_the_same_bytes_after_a_kill_too(own: ListRoom) -> None:
    request = own.request(own.approved())
    first = own.enclave.report(request)
    own.enclave.kill()
    assert own.enclave.report(request) == first


def test_the_same_page_is_told_so_often_and_lists_of_all_codes_so_often(
    own: ListRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(times, "MOST_ANSWERS", 2)
    monkeypatch.setattr(times, "MOST_PAGES_TOLD", 4)
    of = own.approved()
    for _ in range(2):
        own.ask(of)
    assert refused(own, of) is Reason.OVER_BUDGET
    # Codes that nobody has fill no disk either.
    for code in ("X1", "X2"):
        own.ask(of, code)
    assert refused(own, of, "X3") is Reason.OVER_BUDGET
    own.load(REGISTER)
    assert told(own.ask(of))


def test_what_fails_while_reading_is_withheld_and_nobody_is_kept_as_shown(
    own: ListRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = own.approved()

    def broken(*_: object) -> None:
        raise SafeRoomError(Reason.TOO_LARGE, "a value")

    monkeypatch.setattr(StoreWork, "pick", broken)
    assert refused(own, of) is Reason.WITHHELD
    assert own.held(1).lists == ()


def test_what_its_subject_disputes_is_marked_for_that_firm_alone(room: ListRoom) -> None:
    dispute = room.firm(2).dispute(owner="office", field="listed.court")
    other = room.firm(1).dispute(owner="office", field="listed.amount")
    page = room.ask(room.approved(), disputes=[dispute, other])
    marks = {each.subject: {(m.column, m.mark) for m in each.marks} for each in page.listed}
    assert marks == {room.code(1): set(), room.code(2): {("court", Mark.DISPUTED)}}
    # Whoever takes back another's dispute takes back nothing.
    taken = room.firm(1).withdraw(dispute, owner="office")
    page = room.ask(room.approved(), disputes=[dispute, taken])
    assert any(each.marks for each in page.listed)
    taken = room.firm(2).withdraw(dispute, owner="office")
    assert not any(e.marks for e in room.ask(room.approved(), disputes=[dispute, taken]).listed)


def test_a_firm_is_shown_which_lists_told_of_it_and_nobody_elses(own: ListRoom) -> None:
    request = own.request(own.approved())
    judged = own.enclave.report(request)
    own.enclave.report(own.request(own.approved(), "F"))
    own.enclave.kill()
    (shown,) = own.held(2).lists
    assert shown.question == request.to_json().decode()
    assert shown.word == judged.entry.statement.to_json().decode()
    assert len(own.held(4).lists) == 1
    # Who was taken off was on none.
    assert own.held(3).lists == ()


def test_of_many_lists_the_newest_are_shown_and_the_others_counted(
    own: ListRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saferoom_enclaves.reports.shown.MOST_LISTS", 3)
    of = own.approved()
    for code in ("C", "C2", "C26", "C261", "C2611"):
        own.ask(of, code)
    held = own.held(1)
    codes = [_code(each.question) for each in held.lists]
    assert (codes, held.earlier_lists) == (["C2611", "C261", "C26"], 2)


def _code(question: str) -> str:
    return load(Envelope.from_text(question), ListRequest).code


def test_a_list_is_told_in_a_room_of_the_commercial_suite(tmp_path: Path) -> None:
    own = ListRoom.make(tmp_path, Suite.GUOMI)
    page = own.ask(own.approved())
    assert set(told(page)) == {own.code(1), own.code(2)}
    assert page.request.startswith("sm3:")
    assert len(own.held(1).lists) == 1
    own.enclave.close()


def test_a_firm_with_more_rows_than_a_page_may_have_withholds_its_page_and_no_other(
    own: ListRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (
        "saferoom_proto.reports.listed",
        "saferoom_proto.statements.listing",
        "saferoom_enclaves.reports.listing",
    ):
        monkeypatch.setattr(f"{module}.PAGE_FIRMS", 2)
    monkeypatch.setattr("saferoom_enclaves.reports.listing.MOST_ROWS", 3)
    rows = [(who, f"case-{who}", "1", "Xinhua", "", "C26") for who in range(1, 5)]
    first = min(range(1, 5), key=own.code)
    own.load([*rows, *((first, f"more-{at}", "1", "Xinhua", "", "C26") for at in range(3))])
    of = own.approved()
    assert refused(own, of) is Reason.WITHHELD
    assert len(told(own.ask(of, page=2))) == 2


def test_a_schema_that_raises_a_level_while_a_page_is_read_stops_it(own: ListRoom) -> None:
    of = own.approved()
    desk = own.enclave.enclave.reports
    begun = desk.begin(own.request(of), ())
    assert isinstance(begun, BegunReport)
    sealed = begun.read()
    own.office.publish_schema(registers(code=2, version=2))
    own.enclave.follow()
    said = own.said(desk.finish(begun, sealed))
    begun.close()
    assert said.reason is Reason.NOT_ALLOWED
    assert own.held(1).lists == ()


def test_a_list_opens_for_who_asked_only(room: ListRoom) -> None:
    request = room.request(room.approved())
    judged = room.enclave.report(request)
    with pytest.raises(SafeRoomError) as caught:
        LIST_SEAL.open(judged.sealed, room.banks[1].reply, request.digest, "office")
    assert caught.value.reason is Reason.BAD_SEAL
