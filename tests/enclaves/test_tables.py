"""Tables in the enclave: what is asked, protected, kept, and given again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from saferoom_enclaves.storework import StoreWork
from saferoom_enclaves.tables import charge
from saferoom_enclaves.tables.desk import BegunTable
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Aggregate,
    ClassCell,
    FeatureKind,
    MeasureKind,
    Outcome,
    Purpose,
    TableMeasure,
    TableRequest,
    load,
)
from saferoom_proto.statements.aggregate import TableRules
from saferoom_proto.tables.told import TABLES_SEAL
from simulator.sample import Approved, feature
from simulator.tabled import COUNT, SIZES, TableRoom, added, firms, numbers, plan, to_csv


@pytest.fixture
def own(tmp_path: Path) -> Iterator[TableRoom]:
    """Give a room that a test may break."""
    made = TableRoom.make(tmp_path)
    yield made
    made.enclave.close()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TableRoom]:
    """Give a room in which tables are asked for, and nothing is changed."""
    made = TableRoom.make(tmp_path_factory.mktemp("tables"))
    yield made
    made.enclave.close()


def refused(room: TableRoom, tables: Approved, **changes: object) -> Reason | None:
    judged = room.enclave.tabulate(room.request(tables, None, None, **changes))
    said = room.said(judged)
    assert (said.outcome, judged.sealed, said.together) == (Outcome.REFUSED, b"", None)
    return said.reason


def test_tables_tell_rounded_numbers_and_withhold_small_cells_and_their_complements(
    own: TableRoom,
) -> None:
    measures = (COUNT, added(MeasureKind.SUM), added(MeasureKind.MEAN))
    tables = own.approved("by-size", plan("size", "late", ways=2, measures=measures))
    told = own.ask(tables)
    total, by_size, by_late, both = (numbers(each) for each in told[:4])
    assert total == {(): "300"}
    assert by_size == {("small",): "180", ("middle",): "90", ("large",): "30"}
    # Two large firms and six middle ones are late: neither leaves, nor what they follow from.
    assert both["large", "true"] is None
    assert both["middle", "true"] is None
    assert by_late[("true",)] in {None, "55"}
    assert both["large", "false"] is None
    rows = firms()
    mean = sum(each.vat for each in rows) / len(rows)
    assert float(numbers(told[8])[()] or 0) == pytest.approx(mean, rel=0.01)
    assert float(numbers(told[4])[()] or 0) == pytest.approx(300 * mean, rel=0.01)


def test_a_histogram_and_a_share_are_told_of_each_cell(room: TableRoom) -> None:
    measures = (
        TableMeasure(kind=MeasureKind.HISTOGRAM, of="tax.vat"),
        TableMeasure(kind=MeasureKind.SHARE, of="tax.late", classes=("true",)),
    )
    total, _, share, _ = room.ask(room.approved("more", plan("size", measures=measures)))
    assert [cell.classes for cell in total.cells] == [
        *(("below 2000",), ("2000 to below 5000",), ("5000 or more",), ("unknown",))
    ]
    late = sum(each.late for each in firms()) / 300
    assert float(numbers(share)[()] or 0) == pytest.approx(late, abs=0.02)


def test_the_word_is_signed_in_the_chain_and_commits_to_what_was_sealed(room: TableRoom) -> None:
    tables = room.approved("by-size", plan("size"))
    request = room.request(tables)
    judged = room.enclave.tabulate(request)
    said = room.said(judged)
    assert (said.outcome, said.reason) == (Outcome.ANSWERED, None)
    assert (said.template, said.certificate) == (tables.template.digest, tables.certificate.digest)
    assert len(said.approvals) == room.tax.charter.charter.threshold
    with pytest.raises(SafeRoomError) as caught:
        TABLES_SEAL.open(judged.sealed, SealingKey.generate(), request.digest, "tax")
    assert caught.value.reason is Reason.BAD_SEAL


def test_a_repeat_gets_the_same_bytes_and_a_new_request_the_same_numbers(own: TableRoom) -> None:
    tables = own.approved("by-size", plan("size", "late", ways=2))
    request = own.request(tables)
    first = own.enclave.tabulate(request)
    own.enclave.kill()
    assert own.enclave.tabulate(request) == first
    anew = own.request(tables)
    again = own.enclave.tabulate(anew)
    assert again.entry.chain_index != first.entry.chain_index
    assert own.opened(tables, anew, again) == own.opened(tables, request, first)
    assert own.said(again).together == 1


def test_what_was_released_is_kept_over_kills_and_protects_what_follows(own: TableRoom) -> None:
    by_late = own.approved("by-late", plan("late"))
    assert numbers(own.ask(by_late)[1]) == {("false",): "245", ("true",): "55"}
    own.enclave.kill()
    both = own.approved("both", plan("size", "late", ways=2), own.banks[2])
    request = own.request(both, own.banks[2])
    judged = own.enclave.tabulate(request)
    assert own.said(judged).together == 2
    told = own.opened(both, request, judged, own.banks[2])
    # What left before stands; so more is withheld of what would tell the two late large firms.
    assert numbers(told[2]) == {("false",): "245", ("true",): "55"}
    assert numbers(told[3])["large", "true"] is None


def test_what_the_owner_does_not_allow_is_a_verdict(room: TableRoom) -> None:
    tables = room.approved("judged", plan("size"))
    other = room.bank.tables("unapproved", plan("late"))
    room.enclave.follow()
    assert refused(room, Approved(*other)) is Reason.NOT_APPROVED
    mixed = Approved(tables.template, other[1])
    assert refused(room, mixed) is Reason.CERTIFICATE_MISMATCH
    room.tax.withdraw(tables.template)
    room.enclave.follow()
    assert refused(room, tables) is Reason.NOT_APPROVED
    room.tax.pause(tables.template)
    room.enclave.follow()
    assert refused(room, tables) is Reason.PAUSED


def test_a_request_is_of_now_and_its_nonce_is_its_own(own: TableRoom) -> None:
    tables = own.approved("by-size", plan("size"))
    request = own.request(tables)
    own.enclave.tabulate(request)
    nonce = load(request, TableRequest).nonce
    later = own.world.now() + timedelta(minutes=1)
    assert refused(own, tables, nonce=nonce, not_after=later) is Reason.NONCE_REUSED
    early = {"not_before": later, "not_after": later + timedelta(minutes=1)}
    assert refused(own, tables, **early) is Reason.NOT_YET_VALID
    late = own.request(tables)
    own.world.clock.advance(601)
    own.enclave.follow()
    assert own.said(own.enclave.tabulate(late)).reason is Reason.EXPIRED


def test_nobody_without_an_agreement_is_heard(room: TableRoom) -> None:
    tables = room.approved("by-size", plan("size"))
    before = room.enclave.enclave.whereabouts().chain_length
    for request in (
        room.request(tables, room.world.bank("bank-d")),
        room.request(tables, key=room.world.seeds.signing("somebody")),
        room.request(tables, purpose=Purpose.PRE_LOAN),
    ):
        with pytest.raises(SafeRoomError) as caught:
            room.enclave.tabulate(request)
        assert caught.value.reason in {Reason.NO_AGREEMENT, Reason.BAD_SIGNATURE}
    assert room.enclave.enclave.whereabouts().chain_length == before


def test_a_plan_that_does_not_go_with_earlier_ones_is_refused(
    own: TableRoom,
) -> None:
    own.ask(own.approved("sums", plan("size", measures=(added(MeasureKind.SUM),))))
    others = (added(MeasureKind.SUM, 20_000),)
    elsewhere = own.approved("others", plan("size", measures=others))
    assert refused(own, elsewhere) is Reason.CONFLICT
    select = "SELECT uscc AS subject, size AS value FROM firms WHERE vat > 600"
    classes = tuple(ClassCell(name=each, values=(each,)) for each in SIZES)
    changed = feature("tax", "size", select, FeatureKind.CLASSES, classes=classes, version=2)
    own.tax.define(changed)
    own.enclave.follow()
    assert refused(own, own.approved("redefined", plan("size"))) is Reason.CONFLICT


def stricter(*dimensions: str, **rules: int) -> Aggregate:
    return plan(*dimensions).model_copy(update={"rules": TableRules(**rules)})


def test_a_laxer_plan_keeps_to_the_stricter_rules_of_what_was_told_before(own: TableRoom) -> None:
    by_late = own.approved("by-late", plan("late"))
    strict = own.approved("by-size", stricter("size", threshold=60))
    assert numbers(own.ask(strict)[1])["large",] is None
    # Fifty-five are late: enough for this plan, and not for the one that was told before.
    assert numbers(own.ask(by_late)[1])["true",] is None


def test_a_stricter_plan_is_told_after_a_laxer_one_whose_numbers_stand(own: TableRoom) -> None:
    by_late = own.approved("by-late", plan("late"))
    told = own.ask(by_late)
    assert numbers(told[1])["true",] == "55"
    strict = own.approved("by-size", stricter("size", threshold=60))
    assert numbers(own.ask(strict)[1])["small",] == "180"
    assert own.ask(by_late) == told


def test_all_tables_of_the_same_records_are_rounded_by_the_first_of_them(own: TableRoom) -> None:
    measures = (COUNT, added(MeasureKind.SUM))
    told: dict[int, dict[tuple[str, ...], str | None]] = {}
    for base, digits in ((9, 2), (5, 3), (10, 1)):
        rules = TableRules(base=base, digits=digits)
        aggregate = plan("size", measures=measures).model_copy(update={"rules": rules})
        tables = own.ask(own.approved(f"to-{base}", aggregate))
        told[base] = numbers(tables[1]) | {("added",): numbers(tables[2])[()]}
        own.enclave.kill()
    nines = {"small": "180", "middle": "90", "large": "27"}
    assert [told[9][each,] for each in nines] == list(nines.values())
    # To fives, and to tens, of what was told to nines: thirty large firms are told by neither.
    assert (told[5]["large",], told[10]["large",]) == ("25", "30")
    assert told[5]["added",] == told[9]["added",]
    assert float(told[10]["added",] or 0) == float(f"{float(told[9]['added',] or 0):.0e}")


def test_the_days_of_what_was_told_hold_for_every_plan_of_other_records(own: TableRoom) -> None:
    patient = own.approved("patient", stricter("late", days=60))
    default = own.approved("default", plan("size"))
    own.ask(patient)
    own.enclave.load({"firms": to_csv(firms(2, 280))})
    for days, reason in ((31, Reason.OVER_BUDGET), (28, Reason.OVER_BUDGET), (2, None)):
        own.world.clock.advance(days * 24 * 3600)
        own.enclave.unlock()
        own.enclave.follow()
        assert own.said(own.enclave.tabulate(own.request(default))).reason is reason


def test_plans_of_too_many_cells_together_are_refused_and_answered_ones_told_again(
    own: TableRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charge, "MOST_CELLS", 10)
    first = own.approved("first", plan("size", "late"))
    told = own.ask(first)
    assert refused(own, own.approved("second", plan("vat"))) is Reason.TOO_LARGE
    assert own.ask(first) == told


def test_the_same_tables_are_told_so_often_and_each_answer_is_kept(
    own: TableRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charge, "MOST_ANSWERS", 2)
    by_size, by_late = own.approved("by-size", plan("size")), own.approved("by-late", plan("late"))
    first = own.request(by_size)
    told = own.enclave.tabulate(first)
    own.ask(by_size)
    assert refused(own, by_size) is Reason.OVER_BUDGET
    own.enclave.kill()
    # What was told is given again; other tables, other banks and other records are no repeats.
    assert own.enclave.tabulate(first) == told
    assert refused(own, by_size) is Reason.OVER_BUDGET
    assert own.ask(by_late)
    assert own.ask(by_size, own.banks[1])
    own.enclave.load({"firms": to_csv(firms(2, 280))})
    own.world.clock.advance(31 * 24 * 3600)
    own.enclave.unlock()
    own.enclave.follow()
    assert own.ask(by_size)


def test_a_check_by_a_template_of_tables_is_refused_and_the_other_way_round(
    room: TableRoom,
) -> None:
    tables = room.approved("by-size", plan("size"))
    subject = room.world.subject(1)
    question = room.bank.request(
        subject, tables.template, tables.certificate, purpose=Purpose.PRODUCT_DESIGN
    )
    release = room.enclave.ask(question).release
    assert release.reason is Reason.CERTIFICATE_MISMATCH
    check = room.bank.propose("check", "tax.late", (Purpose.PRODUCT_DESIGN,))
    room.tax.approve(check[0], check[1].digest)
    room.enclave.follow()
    assert refused(room, Approved(*check)) is Reason.CERTIFICATE_MISMATCH


def test_whatever_fails_while_tables_are_made_says_the_same(
    room: TableRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = room.approved("by-size", plan("size"))

    def fails(*_: object) -> NoReturn:
        raise SafeRoomError(Reason.DEADLINE, "stopped after 300 s")

    monkeypatch.setattr(StoreWork, "tabulate", fails)
    assert refused(room, tables) is Reason.WITHHELD
    assert "stopped" not in room.enclave.log.getvalue()
    monkeypatch.undo()
    assert numbers(room.ask(tables)[0]) == {(): "300"}


def test_tables_that_could_not_be_made_count_among_the_times(
    own: TableRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever asks for too much has children made without end."""
    monkeypatch.setattr(charge, "MOST_ANSWERS", 2)
    tables, other = own.approved("by-size", plan("size")), own.approved("by-late", plan("late"))

    def fails(*_: object) -> NoReturn:
        raise SafeRoomError(Reason.DEADLINE, "stopped after 300 s")

    with monkeypatch.context() as broken:
        broken.setattr(StoreWork, "tabulate", fails)
        assert [refused(own, tables) for _ in range(2)] == [Reason.WITHHELD] * 2
        assert refused(own, tables) is Reason.OVER_BUDGET
        assert refused(own, other) is Reason.WITHHELD
    own.enclave.kill()
    assert refused(own, tables) is Reason.OVER_BUDGET
    # Nothing was told: tables of other records need not wait.
    own.enclave.load({"firms": to_csv(firms(2, 280))})
    own.enclave.follow()
    assert numbers(own.ask(tables)[0]) == {(): "280"}


def test_a_store_that_changed_meanwhile_is_asked_again(own: TableRoom) -> None:
    tables = own.approved("by-size", plan("size"))
    request = own.request(tables)
    begun = own.enclave.enclave.tables.begin(request)
    assert isinstance(begun, BegunTable)
    made = begun.make()
    own.enclave.load({"firms": to_csv(firms(2, 280))})
    with pytest.raises(SafeRoomError) as caught:
        own.enclave.enclave.tables.finish(begun, made)
    begun.close()
    assert caught.value.reason is Reason.UNAVAILABLE
    judged = own.enclave.tabulate(request)
    assert numbers(own.opened(tables, request, judged)[0]) == {(): "280"}
