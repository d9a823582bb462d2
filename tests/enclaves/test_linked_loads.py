"""Tables without a subject's code, in a whole enclave: linked at a load, told to its owner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saferoom_enclaves.loads import LoadReport
from saferoom_proto.answer import Truth
from saferoom_proto.load import Change, LoadHeader, LoadSealer, LoadTable
from saferoom_proto.load_faults import open_links, seal_faults, seal_links
from saferoom_proto.load_links import AMBIGUOUS_RULE, UNLINKED_RULE
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FeatureKind, Snapshot, load
from simulator import EnclaveHarness, Sample, tax_csv
from simulator.attended import fault_key
from simulator.sample import TAX_TABLES, feature, ordered, schema
from tests.enclaves.linked import BILLS, MAP, as_file

KEY = bytes(range(32))
WATER = "tax.water_paid"
SQL = "SELECT uscc AS subject, sum(paid) AS value FROM bills GROUP BY uscc"


@pytest.fixture
def linked(room: Sample, enclave: EnclaveHarness) -> EnclaveHarness:
    """Give the tax office's enclave under tables of accounts and bills, and a feature of bills."""
    room.tax.publish_schema(schema("tax", *TAX_TABLES, MAP, BILLS, version=2))
    room.tax.define(ordered("tax", "water_paid", SQL, ["100", "1000"]))
    enclave.follow()
    return enclave


def tables(room: Sample, maps: list[tuple[int, str]], *bills: tuple[str, int]) -> dict[str, bytes]:
    rows = [(room.world.subject(who).uscc, number, None, None) for who, number in maps]
    return {
        "firms": tax_csv(room.world),
        "accounts": as_file(MAP, rows),
        "bills": as_file(BILLS, bills),
    }


def paid(room: Sample, enclave: EnclaveHarness, serial: int) -> Truth | None:
    """Ask whether a firm has paid 100 or more for water."""
    check = room.approved(f"water-{len(enclave.enclave.outbox(0))}", f"{WATER} >= 100")
    room.world.subject(serial).give(room.bank, [WATER])
    enclave.follow()
    return enclave.ask(room.question(serial, asked=check)).truth


def rows(report: LoadReport) -> dict[str, int]:
    assert report.snapshot is not None
    return load(report.snapshot.statement, Snapshot).rows


MAPS = [(1, "A-1"), (1, "A-2"), (2, "B-1"), (2, "S-1"), (1, "S-1")]
GOOD = [("A-1", 60), ("A-2", 50), ("B-1", 7)]


def test_a_feature_sees_all_rows_of_a_subjects_accounts_and_no_others(
    room: Sample, linked: EnclaveHarness
) -> None:
    report = linked.load(tables(room, MAPS, *GOOD))
    assert rows(report) == {"firms": 4, "accounts": 5, "bills": 3}
    assert paid(room, linked, 1) is Truth.YES
    assert paid(room, linked, 2) is Truth.NO
    linked.restart()
    again = room.approved("again", f"{WATER} >= 100")
    linked.follow()
    assert linked.ask(room.question(1, asked=again)).truth is Truth.YES


def test_stray_rows_refuse_a_load_unless_its_order_leaves_them(
    room: Sample, linked: EnclaveHarness
) -> None:
    strays = tables(room, MAPS, *GOOD, ("S-1", 5000), ("X-1", 5000))
    before = linked.enclave.store
    header, key, pieces = linked.sealed(strays)
    refused = linked.load_pieces(header, key, pieces)
    assert refused.snapshot is None
    assert linked.enclave.store == before
    faults = linked.faults(refused, header)
    told = [(row.line, row.column, row.rule) for row in faults.rows]
    assert told == [(5, "account", AMBIGUOUS_RULE), (6, "account", UNLINKED_RULE)]
    assert [(each.linked, each.left) for each in faults.links] == [(3, 2)]

    header, key, pieces = linked.sealed(strays, leaves=["bills"])
    taken = linked.load_pieces(header, key, pieces)
    assert rows(taken)["bills"] == 3
    assert "A-1" not in linked.log.getvalue()
    assert paid(room, linked, 2) is Truth.NO


def test_how_rows_were_linked_is_told_to_who_ordered_the_load_by_the_enclave_alone(
    room: Sample, linked: EnclaveHarness
) -> None:
    brought = tables(room, MAPS, *GOOD, ("X-1", 5000))
    sizes = (LoadTable.of(name, len(each), leaves=True) for name, each in brought.items())
    header = LoadHeader("tax", linked.newest_schema(), tuple(sizes))
    sealer = LoadSealer(header.digest, KEY)
    pieces = [one for at, each in enumerate(brought.values()) for one in sealer.table(at, each)]
    report = linked.load_pieces(header, linked.order(header, KEY), pieces)
    reply = fault_key(linked.owner)
    told = open_links(report.sealed_faults, reply, header.digest, KEY)
    (link,) = told.links
    assert (told.count, told.rows[0].line, told.rows[0].rule) == (1, 5, UNLINKED_RULE)
    assert (link.linked, link.unlinked, link.ambiguous, link.unused) == (3, 1, 0, 1)
    # Whatever came of the rows, the answer is as long: whoever passes it on learns nothing.
    good = linked.load(tables(room, MAPS, *GOOD))
    assert len(good.sealed_faults) == len(report.sealed_faults)
    # The reply key stands in the ledger now; what is sealed to it without the load's key is none.
    forged = seal_faults(told, reply.public, header.digest)
    other = seal_links(told, reply.public, header.digest, bytes(32))
    for sealed in (forged, other):
        with pytest.raises(SafeRoomError) as refusal:
            open_links(sealed, reply, header.digest, KEY)
        assert refusal.value.reason is Reason.BAD_SEAL


def test_whoever_passes_a_load_on_cannot_have_rows_left_out(
    room: Sample, linked: EnclaveHarness
) -> None:
    header, key, pieces = linked.sealed(tables(room, MAPS, *GOOD, ("X-1", 5000)))
    others = tuple(replace(table, leaves=True) for table in header.tables)
    with pytest.raises(SafeRoomError) as refusal:
        linked.load_pieces(replace(header, tables=others), key, pieces)
    assert refusal.value.reason is Reason.BAD_SEAL


def test_a_map_changes_with_all_that_it_leads_to_and_an_earlier_load_comes_back_whole(
    room: Sample, linked: EnclaveHarness
) -> None:
    linked.load(tables(room, MAPS, *GOOD))
    first = linked.enclave.store
    assert first is not None
    turned = tables(room, [(2, "A-1"), (2, "A-2"), (1, "B-1")], *GOOD)
    kept = dict.fromkeys(turned, Change.KEEP)
    for changes in ({"accounts": Change.WHOLE}, {"accounts": Change.REPLACE}):
        with pytest.raises(SafeRoomError) as refusal:
            linked.load(turned, change=kept | changes)
        assert refusal.value.reason is Reason.CONFLICT
        assert refusal.value.fields[0].field == "bills"
    linked.load(turned, change=kept | {"accounts": Change.WHOLE, "bills": Change.WHOLE})
    assert paid(room, linked, 2) is Truth.YES
    # A table alone is linked through the map that is stored.
    alone = {**dict.fromkeys(turned, b""), "bills": as_file(BILLS, [("B-1", 900)])}
    report = linked.load(alone, change=kept | {"bills": Change.REPLACE})
    assert rows(report)["bills"] == 3
    assert paid(room, linked, 1) is Truth.YES
    linked.roll_back(linked.rollback_order(first.digest))
    assert paid(room, linked, 2) is Truth.NO


def test_no_thresholds_are_asked_of_an_account(room: Sample, linked: EnclaveHarness) -> None:
    sql = "SELECT uscc AS subject, max(account) = 'A-1' AS value FROM bills GROUP BY uscc"
    room.tax.define(feature("tax", "whose", sql, FeatureKind.FLAG, level=3))
    room.tax.define(feature("tax", "whose_map", sql.replace("bills", "accounts"), FeatureKind.FLAG))
    linked.follow()
    linked.load(tables(room, MAPS, *GOOD))
    for name in ("whose", "whose_map"):
        check = room.approved(name, f"tax.{name}")
        room.world.subject(1).give(room.bank, [f"tax.{name}"])
        linked.follow()
        with pytest.raises(SafeRoomError) as refusal:
            linked.ask(room.question(1, asked=check))
        assert refusal.value.reason is Reason.NO_DATA  # below its columns' level: not computed
