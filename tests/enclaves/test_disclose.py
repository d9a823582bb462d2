"""A subject is shown all that an enclave holds about it, once a request and in its chain."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from saferoom_enclaves import held
from saferoom_enclaves.claim import MOST_A_DAY
from saferoom_enclaves.journal import Judged
from saferoom_proto.dsse import Envelope
from saferoom_proto.holdings import FEWEST_BYTES, Holdings, commitment, open_holdings
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Column, ColumnType, Disclosure, load
from simulator import EnclaveHarness, Sample, sample, tax_csv
from simulator.sample import column, schema, table

BUYER = "91110108MA01XK2F3A"
IDENTITY = "410401197001010017"


def shown(room: Sample, enclave: EnclaveHarness, serial: int) -> tuple[Judged, Holdings]:
    """Have a subject ask, and open what it is shown."""
    subject = room.world.subject(serial)
    request = subject.claim("tax")
    judged = enclave.disclose(request)
    return judged, subject.open(request, "tax", judged.sealed)


def refused(enclave: EnclaveHarness, request: Envelope) -> Reason:
    """Tell why a request is refused; nothing was recorded of it."""
    before = enclave.enclave.whereabouts().chain_length
    with pytest.raises(SafeRoomError) as error:
        enclave.disclose(request)
    assert enclave.enclave.whereabouts().chain_length == before
    return error.value.reason


@pytest.fixture
def invoices(tmp_path: Path) -> Iterator[tuple[Sample, EnclaveHarness]]:
    """Give an enclave whose rows name others: a buyer, and the owner's identity number."""
    room = sample("invoices")
    columns = (
        column("buyer", ColumnType.TEXT, 4),
        column("amount", ColumnType.DECIMAL, 4),
        column("day", ColumnType.DATE, 4),
        column("owner_id", ColumnType.TEXT, 4),
        column("status", ColumnType.TEXT, 2),
    )
    tables = (table("firms", *_firms()), table("invoices", *columns))
    room.tax.publish_schema(schema("tax", *tables, version=2))
    enclave = EnclaveHarness(room.tax, tmp_path)
    one, two = (room.world.subject(serial).uscc for serial in (1, 2))
    rows = [
        "uscc,buyer,amount,day,owner_id,status",
        f"{one},{BUYER},1200.50,2026-01-05,{IDENTITY},valid",
        f"{two},{one},77.00,2026-02-07,{IDENTITY},valid",
        f"{one},{two},3.25,2025-12-31,,void",
    ]
    enclave.load({"firms": tax_csv(room.world), "invoices": "\n".join(rows).encode() + b"\n"})
    enclave.follow()
    yield room, enclave
    enclave.close()


def _firms() -> tuple[Column, ...]:
    return (
        column("vat", ColumnType.DECIMAL, 3),
        column("arrears", ColumnType.BOOLEAN, 2),
        column("rating", ColumnType.TEXT, 2),
    )


def test_a_subject_is_shown_its_rows_its_features_and_who_asked_how_much(
    room: Sample, enclave: EnclaveHarness
) -> None:
    enclave.ask(room.question(1, "50000"))
    enclave.ask(room.question(1, "10000"))
    judged, holdings = shown(room, enclave, 1)
    (firms,) = holdings.tables
    uscc = room.world.subject(1).uscc
    assert firms.rows == ((uscc, "120000.0000", "false", "A"),)
    values = {each.feature: each.value for each in holdings.features}
    assert values == {
        "tax.arrears": "false",
        "tax.rating": "A",
        "tax.registered": "true",
        "tax.vat_paid": "120000.0000",
    }
    account = {each.feature: each for each in holdings.accounts}["tax.vat_paid"]
    assert (account.group, account.institutions) == ("bank-a", ("bank-a",))
    assert account.cuts == ("10000", "50000")
    disclosure = load(judged.entry.statement, Disclosure)
    assert (disclosure.subject, disclosure.store) == (uscc, holdings.store)


def test_of_whom_nothing_is_held_sees_so_in_the_same_length(
    room: Sample, enclave: EnclaveHarness
) -> None:
    known, of_known = shown(room, enclave, 1)
    unknown, of_unknown = shown(room, enclave, 9)
    assert of_unknown.tables[0].rows == ()
    values = {each.feature: each.value for each in of_unknown.features}
    assert set(values.values()) == {None}
    assert len(known.sealed) == len(unknown.sealed)
    assert of_known.to_bytes().rstrip() != of_unknown.to_bytes().rstrip()


def test_what_was_shown_is_committed_to_and_stands_in_the_chain(
    room: Sample, enclave: EnclaveHarness
) -> None:
    before = enclave.enclave.whereabouts().chain_length
    subject = room.world.subject(1)
    request = subject.claim("tax")
    judged = enclave.disclose(request)
    plaintext = open_holdings(judged.sealed, subject.reply, request.digest, "tax")
    disclosure = load(judged.entry.statement, Disclosure)
    assert disclosure.answer == commitment(plaintext)
    assert disclosure.request == request.digest
    assert len(plaintext) == FEWEST_BYTES
    assert enclave.enclave.whereabouts().chain_length == before + 1
    assert judged.entry in enclave.enclave.outbox(0)


def test_a_repeat_gets_the_same_bytes_also_after_a_kill(
    room: Sample, enclave: EnclaveHarness
) -> None:
    request = room.world.subject(1).claim("tax")
    first = enclave.disclose(request)
    assert enclave.disclose(request) == first
    enclave.kill()
    assert enclave.disclose(request) == first


def test_nothing_is_charged(room: Sample, enclave: EnclaveHarness) -> None:
    shown(room, enclave, 1)
    _, holdings = shown(room, enclave, 1)
    assert holdings.accounts == ()


def test_a_subject_asks_so_often_a_day_and_then_again(
    room: Sample, enclave: EnclaveHarness
) -> None:
    subject = room.world.subject(1)
    requests = [subject.claim("tax") for _ in range(MOST_A_DAY)]
    answers = [enclave.disclose(request) for request in requests]
    assert refused(enclave, subject.claim("tax")) is Reason.TOO_MANY_REQUESTS
    assert enclave.disclose(requests[0]) == answers[0]
    shown(room, enclave, 2)  # another subject's day is its own
    enclave.kill()
    assert refused(enclave, subject.claim("tax")) is Reason.TOO_MANY_REQUESTS
    room.world.clock.advance(timedelta(hours=23).total_seconds())
    enclave.unlock()
    enclave.follow()
    assert refused(enclave, subject.claim("tax")) is Reason.TOO_MANY_REQUESTS
    room.world.clock.advance(timedelta(hours=1).total_seconds())
    enclave.unlock()
    enclave.follow()
    shown(room, enclave, 1)


def test_what_names_somebody_else_is_counted_and_not_shown(
    invoices: tuple[Sample, EnclaveHarness],
) -> None:
    room, enclave = invoices
    judged, holdings = shown(room, enclave, 1)
    table = {each.name: each for each in holdings.tables}["invoices"]
    one = room.world.subject(1).uscc
    assert table.rows == (
        (one, None, "1200.5000", "2026-01-05", None, "valid"),
        (one, None, "3.2500", "2025-12-31", None, "void"),
    )
    assert [each.name for each in table.columns if each.withheld] == ["buyer", "owner_id"]
    assert table.withheld == (0, 2, 0, 0, 1, 0)
    text = holdings.to_bytes()
    for other in (BUYER, IDENTITY, room.world.subject(2).uscc, "77.00", "2026-02-07"):
        assert other.encode() not in text
    assert judged.sealed


def test_what_cannot_be_read_is_withheld_in_the_words_of_all_that_depends_on_records(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "MOST_ROWS", 0)
    assert refused(enclave, room.world.subject(1).claim("tax")) is Reason.WITHHELD
    assert "120000" not in enclave.log.getvalue()
    shown(room, enclave, 9)  # of whom there is no row


def test_without_data_there_is_nothing_to_show(tmp_path: Path) -> None:
    room = sample("empty")
    enclave = EnclaveHarness(room.tax, tmp_path)
    assert refused(enclave, room.world.subject(1).claim("tax")) is Reason.NO_DATA
    enclave.close()


def test_a_pause_stops_no_subject(room: Sample, enclave: EnclaveHarness) -> None:
    room.tax.pause()
    enclave.follow()
    assert shown(room, enclave, 1)[1].tables[0].rows


def test_an_enclave_that_has_not_heard_of_the_newest_statements_shows_nothing(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.world.clock.advance(61)
    assert refused(enclave, room.world.subject(1).claim("tax")) is Reason.STALE_HEAD
