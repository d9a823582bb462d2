"""Reports of what is public by law: what is told of one subject, to whom, and what never is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from saferoom_enclaves.reports.desk import BegunReport
from saferoom_enclaves.storework import StoreWork
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.told import REPORT_SEAL, Mark, MarkedColumn, OwnerReport
from saferoom_proto.statements import (
    CheckRequest,
    ColumnType,
    CostEstimate,
    Finding,
    Outcome,
    Purpose,
    Report,
    ReportTable,
    Table,
    load,
    seal_statement,
)
from saferoom_proto.statements.report import ReportPart, ReportPartTable
from saferoom_proto.suite import Suite
from simulator.reported import PUBLIC, ROWS, ReportRoom, lists, plan, to_csv
from simulator.sample import Approved, column, schema, table


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ReportRoom]:
    """Give a room that a test may break."""
    made = ReportRoom.make(tmp_path)
    yield made
    made.enclave.close()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportRoom]:
    """Give a room in which reports are asked for, and nothing is changed."""
    made = ReportRoom.make(tmp_path_factory.mktemp("reports"))
    yield made
    made.enclave.close()


def refused(
    room: ReportRoom,
    of: Approved,
    serial: int = 1,
    params: Mapping[str, str | bool] | None = None,
    **changes: object,
) -> Reason | None:
    judged = room.enclave.report(room.request(of, serial, None, params, **changes))
    said = room.said(judged)
    assert (said.outcome, judged.sealed, said.charges) == (Outcome.REFUSED, b"", ())
    return said.reason


def rows(told: OwnerReport) -> tuple[tuple[str | None, ...], ...]:
    return told.tables[0].rows


def test_a_report_tells_the_public_columns_of_one_subject_and_nothing_of_the_others(
    room: ReportRoom,
) -> None:
    told = room.ask(room.approved())
    # Two rows that differ in the amount alone are one, and a row of the amount alone is none.
    assert rows(told) == (("2025-3", "Weidong"), ("2026-7", "Xinhua"))
    assert [each.name for each in told.tables[0].columns] == list(PUBLIC)
    assert rows(room.ask(room.approved(), 2)) == (("2024-1", "Zhanhe"),)
    assert rows(room.ask(room.approved(), 3)) == ()


def test_the_order_of_the_rows_is_that_of_what_is_told(room: ReportRoom) -> None:
    told = room.ask(
        room.approved("other", plan("court", "case_no")), report=plan("court", "case_no")
    )
    assert rows(told) == (("Weidong", "2025-3"), ("Xinhua", "2026-7"))


def test_neither_consent_nor_charge_is_asked_and_the_word_stands_in_the_chain(
    room: ReportRoom,
) -> None:
    of = room.approved()
    before = room.enclave.enclave.whereabouts().chain_length
    judged = room.enclave.report(room.request(of))
    said = room.said(judged)
    assert (said.outcome, said.consent, said.charges) == (Outcome.ANSWERED, None, ())
    assert (said.chain.index, judged.entry.chain_index) == (before, before)
    assert len(said.approvals) == room.court.charter.charter.threshold


def test_a_report_opens_for_who_asked_only(room: ReportRoom) -> None:
    request = room.request(room.approved())
    judged = room.enclave.report(request)
    for key, request_id, owner in (
        (SealingKey.generate(), request.digest, "court"),
        (room.bank.reply, room.request(room.approved()).digest, "court"),
        (room.bank.reply, request.digest, "tax"),
    ):
        with pytest.raises(SafeRoomError) as caught:
            REPORT_SEAL.open(judged.sealed, key, request_id, owner)
        assert caught.value.reason is Reason.BAD_SEAL


def test_a_repeat_gets_the_same_bytes_after_a_kill_too(own: ReportRoom) -> None:
    request = own.request(own.approved())
    first = own.enclave.report(request)
    own.enclave.kill()
    assert own.enclave.report(request) == first
    again = own.enclave.report(own.request(own.approved()))
    assert again.entry.chain_index != first.entry.chain_index


@pytest.mark.parametrize("columns", [("amount",), ("case_no", "amount"), ("uscc", "case_no")])
def test_a_column_above_level_1_that_approvers_signed_is_told_all_the_same_to_nobody(
    room: ReportRoom, columns: tuple[str, ...]
) -> None:
    of = room.approved(f"smuggled-{len(columns)}-{columns[0]}", plan(*columns))
    assert refused(room, of) is Reason.NOT_ALLOWED


def test_an_owner_that_raises_a_level_stops_the_report_at_once_and_for_good(
    own: ReportRoom,
) -> None:
    of = own.approved()
    assert rows(own.ask(of))
    own.court.publish_schema(lists(court=2, version=2))
    own.enclave.follow()
    # Before any load by the new schema.
    assert refused(own, of) is Reason.NOT_ALLOWED
    assert rows(own.ask(own.approved("less", plan("case_no")), report=plan("case_no")))
    own.enclave.load({"listed": to_csv(own.world, ROWS)})
    assert refused(own, of) is Reason.NOT_ALLOWED


@pytest.mark.parametrize(
    "newest",
    [
        table("listed", column("case_no", ColumnType.TEXT, 1)),
        table("renamed", *(column(each, ColumnType.TEXT, 1) for each in PUBLIC)),
        table("listed", *(column(each, ColumnType.TEXT, 1) for each in ("case_no", "at"))),
    ],
    ids=["column dropped", "table renamed", "column renamed"],
)
def test_what_the_newest_schema_has_no_more_is_told_no_more(own: ReportRoom, newest: Table) -> None:
    of = own.approved()
    assert rows(own.ask(of))
    own.court.publish_schema(schema("court", newest, version=2))
    own.enclave.follow()
    # The records still have it, and their schema calls it public.
    assert refused(own, of) is Reason.NOT_ALLOWED


def test_records_loaded_under_a_higher_level_keep_it_when_a_later_schema_lowers_it(
    own: ReportRoom,
) -> None:
    of = own.approved("amounts", plan("amount"))
    own.court.publish_schema(lists(amount=1, version=2))
    own.enclave.follow()
    assert refused(own, of) is Reason.NOT_ALLOWED
    own.enclave.load({"listed": to_csv(own.world, ROWS)})
    told = own.ask(of, report=plan("amount"))
    assert sorted(each for (each,) in rows(told) if each) == ["100", "5", "800", "900"]


def test_a_level_that_is_raised_while_a_report_is_read_holds_it_back(own: ReportRoom) -> None:
    request = own.request(own.approved())
    begun = own.enclave.enclave.reports.begin(request, ())
    assert isinstance(begun, BegunReport)
    sealed = begun.read()
    own.court.publish_schema(lists(court=3, version=2))
    own.enclave.follow()
    judged = own.enclave.enclave.reports.finish(begun, sealed)
    begun.close()
    assert own.said(judged).reason is Reason.NOT_ALLOWED
    assert judged.sealed == b""


def test_a_store_that_changed_meanwhile_is_asked_again(own: ReportRoom) -> None:
    request = own.request(own.approved())
    begun = own.enclave.enclave.reports.begin(request, ())
    assert isinstance(begun, BegunReport)
    sealed = begun.read()
    own.enclave.load({"listed": to_csv(own.world, ROWS[-1:])})
    with pytest.raises(SafeRoomError) as caught:
        own.enclave.enclave.reports.finish(begun, sealed)
    begun.close()
    assert caught.value.reason is Reason.UNAVAILABLE
    assert rows(own.opened(request, own.enclave.report(request))) == ()


def test_what_the_records_do_not_have_is_no_verdict(room: ReportRoom) -> None:
    for number, report in enumerate((plan("judge"), plan("case_no", name="judges"))):
        of = room.approved(f"absent-{number}", report)
        with pytest.raises(SafeRoomError) as caught:
            room.enclave.report(room.request(of))
        assert caught.value.reason is Reason.NO_DATA


def test_what_the_owner_does_not_allow_is_a_verdict(own: ReportRoom) -> None:
    of = own.approved()
    other = own.bank.report("unapproved", plan("case_no"))
    own.enclave.follow()
    assert refused(own, Approved(*other)) is Reason.NOT_APPROVED
    assert refused(own, Approved(of.template, other[1])) is Reason.CERTIFICATE_MISMATCH
    assert refused(own, of, params={"level": "3"}) is Reason.OFF_DOMAIN
    own.court.withdraw(of.template)
    own.enclave.follow()
    assert refused(own, of) is Reason.NOT_APPROVED
    own.court.pause(of.template)
    own.enclave.follow()
    assert refused(own, of) is Reason.PAUSED


def test_a_certificate_that_names_other_columns_than_the_template_is_worth_nothing(
    own: ReportRoom,
) -> None:
    template, certificate = own.bank.report("two-faced", plan("case_no"))
    derived = load(certificate, ReleaseCertificate)
    part = ReportPart(tables=(ReportPartTable(table="listed", columns=("amount",)),))
    wider = derived.model_copy(
        update={"parts": (derived.parts[0].model_copy(update={"report": part}),)}
    )
    forged = own.world.publish(seal_statement(wider, own.bank.key))
    own.court.approve(template, forged.digest)
    own.enclave.follow()
    assert refused(own, Approved(template, forged)) is Reason.CERTIFICATE_MISMATCH


def test_nobody_without_an_agreement_for_the_purpose_is_heard(room: ReportRoom) -> None:
    of = room.approved()
    before = room.enclave.enclave.whereabouts().chain_length
    stranger = room.world.bank("bank-d")
    for request in (
        stranger.request(room.firm(), of.template, of.certificate),
        room.request(of, key=room.world.seeds.signing("somebody")),
        room.request(of, purpose=Purpose.SUPERVISION),
    ):
        with pytest.raises(SafeRoomError) as caught:
            room.enclave.report(request)
        assert caught.value.reason in {Reason.NO_AGREEMENT, Reason.BAD_SIGNATURE}
    assert room.enclave.enclave.whereabouts().chain_length == before


def test_a_request_is_of_now_and_its_nonce_is_its_own(own: ReportRoom) -> None:
    of = own.approved()
    request = own.request(of)
    own.enclave.report(request)
    nonce = load(request, CheckRequest).nonce
    assert refused(own, of, serial=2, nonce=nonce) is Reason.NONCE_REUSED
    late = own.request(of)
    own.world.clock.advance(timedelta(minutes=11).total_seconds())
    own.enclave.follow()
    assert own.said(own.enclave.report(late)).reason is Reason.EXPIRED


def test_a_report_asked_as_a_check_tells_nothing_and_the_other_way_round(own: ReportRoom) -> None:
    verdict = own.enclave.ask(own.request(own.approved()))
    assert (verdict.reason, verdict.truth) == (Reason.CERTIFICATE_MISMATCH, None)
    tables = own.bank.report("elsewhere", Report(tables=(_of("tax"), _of("court"))))
    own.court.approve(tables[0], tables[1].digest)
    own.enclave.follow()
    # Of a report of several owners each tells its own part.
    both = own.enclave.report(own.request(Approved(*tables)))
    assert own.said(both).outcome is Outcome.ANSWERED
    alone = own.bank.report("of-others", Report(tables=(_of("tax"),)))
    own.enclave.follow()
    assert refused(own, Approved(*alone)) is Reason.CERTIFICATE_MISMATCH


def _of(owner: str) -> ReportTable:
    return ReportTable(owner=owner, table="listed", columns=PUBLIC)


def test_a_report_has_no_price_to_be_asked(room: ReportRoom) -> None:
    cost = room.bank.cost_request(room.request(room.approved()))
    told = load(room.enclave.judge(cost).entry.statement, CostEstimate)
    assert (told.refused, told.features) == (Reason.CERTIFICATE_MISMATCH, ())


def test_a_room_of_guomi_tells_reports_under_its_own_digests(tmp_path: Path) -> None:
    made = ReportRoom.make(tmp_path, Suite.GUOMI)
    try:
        request = made.request(made.approved())
        judged = made.enclave.report(request, [of_court(made)])
        told = made.opened(request, judged)
        assert (len(rows(told)), disputed(told)) == (2, {"court": Mark.DISPUTED})
        assert (made.said(judged).answer or "").startswith("sm3:")
    finally:
        made.enclave.close()


@pytest.mark.parametrize("reason", [Reason.DEADLINE, Reason.TOO_LARGE, Reason.INTERNAL])
def test_whatever_fails_while_a_report_is_read_says_the_same(
    room: ReportRoom, monkeypatch: pytest.MonkeyPatch, reason: Reason
) -> None:
    of = room.approved()

    def fails(*_: object) -> NoReturn:
        raise SafeRoomError(reason, "case 2026-7")

    monkeypatch.setattr(StoreWork, "about", fails)
    assert refused(room, of) is Reason.WITHHELD
    assert "2026-7" not in room.enclave.log.getvalue()


def test_more_than_can_be_sent_is_withheld(own: ReportRoom) -> None:
    many = [(1, f"2026-{number}-{'x' * 200}", "1", "Xinhua") for number in range(6000)]
    own.enclave.load({"listed": to_csv(own.world, many)})
    assert refused(own, own.approved()) is Reason.WITHHELD


def disputed(told: OwnerReport) -> dict[str, Mark]:
    return {each.column: each.mark for each in told.tables[0].marks}


def of_court(room: ReportRoom, serial: int = 1, **changes: object) -> Envelope:
    return room.firm(serial).dispute(owner="court", **({"field": "listed.court"} | changes))


def test_what_its_subject_disputes_is_marked_and_what_was_corrected_too(room: ReportRoom) -> None:
    of = room.approved("marked")
    dispute = of_court(room)
    told = room.ask(of, disputes=[dispute])
    assert disputed(told) == {"court": Mark.DISPUTED}
    corrected = room.court.answer(dispute, finding=Finding.CORRECTED, epoch=2)
    told = room.ask(of, disputes=[dispute, corrected])
    (mark,) = told.tables[0].marks
    assert isinstance(mark, MarkedColumn)
    assert (mark.mark, mark.epoch) == (Mark.CORRECTED, 2)
    stands = room.court.answer(dispute, finding=Finding.STANDS)
    assert disputed(room.ask(of, disputes=[dispute, stands])) == {}
    passed = room.court.answer(dispute, finding=Finding.PASSED_ON)
    assert disputed(room.ask(of, disputes=[dispute, passed])) == {"court": Mark.DISPUTED}
    withdrawn = room.firm().withdraw(dispute, owner="court")
    assert disputed(room.ask(of, disputes=[dispute, withdrawn])) == {}


def test_an_open_dispute_goes_before_one_that_was_settled(room: ReportRoom) -> None:
    first, second = of_court(room), of_court(room)
    settled = room.court.answer(first, finding=Finding.CORRECTED)
    for order in ([first, second, settled], [second, settled, first]):
        assert disputed(room.ask(room.approved(), disputes=order)) == {"court": Mark.DISPUTED}


def test_a_dispute_of_a_column_that_is_not_told_is_not_told_either(room: ReportRoom) -> None:
    told = room.ask(room.approved(), disputes=[of_court(room, field="listed.amount")])
    assert disputed(told) == {}


def test_no_room_makes_up_a_mark_or_its_end(room: ReportRoom) -> None:
    of, dispute = room.approved("made-up"), of_court(room)
    key = room.world.seeds.signing("somebody")
    ahead = room.world.now() + timedelta(hours=1)
    for made_up in (
        room.firm().dispute(key, owner="court", field="listed.court"),
        of_court(room, 2),
        room.firm().dispute(owner="tax", field="listed.court"),
        of_court(room, at=ahead),
        of_court(room, field=None, use=dispute.digest),
        room.bank.request(room.firm(), of.template, of.certificate),
    ):
        assert disputed(room.ask(of, disputes=[made_up])) == {}
    for made_up in (
        room.court.answer(dispute, key, finding=Finding.STANDS),
        room.firm(2).withdraw(dispute, owner="court"),
        room.firm().withdraw(dispute, key, owner="court"),
        room.court.answer(dispute, finding=Finding.STANDS, at=ahead),
    ):
        assert disputed(room.ask(of, disputes=[dispute, made_up])) == {"court": Mark.DISPUTED}


def test_what_an_approver_settled_stays_settled_when_it_is_an_approver_no_more(
    own: ReportRoom,
) -> None:
    dispute = of_court(own)
    settled = own.court.answer(dispute)
    own.court.approvers["chen"] = own.world.seeds.signing("another chen")
    own.court.adopt()
    own.court.publish_schema(lists(version=2))
    own.court.agree(own.bank)
    own.enclave.restart()
    of = own.approved()
    own.enclave.load({"listed": to_csv(own.world, ROWS)})
    assert disputed(own.ask(of, disputes=[dispute])) == {"court": Mark.DISPUTED}
    assert disputed(own.ask(of, disputes=[dispute, settled])) == {}
    # Nobody answers under a charter that is not the owner's.
    stray = own.court.answer(dispute, charter=settled.digest)
    assert disputed(own.ask(of, disputes=[dispute, stray])) == {"court": Mark.DISPUTED}
