"""A scorecard of released tables: its counts, what was withheld, and the receipts it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest

from saferoom_client.scorecards.applying import score_values
from saferoom_client.scorecards.document import Scorecard
from saferoom_client.scorecards.exporting import card_as_onnx, card_as_pmml
from saferoom_client.scorecards.fitting import Wanted
from saferoom_client.scorecards.page import write_page
from saferoom_client.scorecards.released import ReadTables, counts_of
from saferoom_client.scorecards.table import Columns
from saferoom_client.scorecards.tabled import card_of_read, card_of_tables
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.formula import FeatureRef, FeatureShape
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Absent,
    FeatureKind,
    MeasureKind,
    TableRelease,
    TableRequest,
    Template,
)
from saferoom_proto.tables.asked import classes_of
from saferoom_proto.tables.plan import Measure
from saferoom_proto.tables.receipt import VerifiedTables
from saferoom_proto.tables.told import Cell, Told
from saferoom_proto.trust import Trust
from tests.client.scorecard_rows import AT
from tests.client.test_cli import run
from tests.proto.golden_seeds import digest, key
from tests.proto.golden_tables import table_certificate, table_receipt, templates, words_on_tables

LABEL = "tax.late"
WANTED = Wanted(Columns(LABEL, "true"), shapes={"tax.vat": "falling"})
COUNT = Measure(MeasureKind.COUNT)


def shape(name: str, kind: FeatureKind, **changes: object) -> FeatureShape:
    grid = (Decimal(10), Decimal(20)) if kind is FeatureKind.ORDERED else ()
    classes = ("farm", "trade") if kind is FeatureKind.CLASSES else ()
    absent = Absent.UNKNOWN if changes.get("unknown", True) else Absent.FALSE
    return FeatureShape(FeatureRef.parse(name), kind, grid, classes, absent)


SHAPES = {
    "tax.vat": shape("tax.vat", FeatureKind.ORDERED),
    "tax.kind": shape("tax.kind", FeatureKind.CLASSES),
    LABEL: shape(LABEL, FeatureKind.FLAG, unknown=False),
}
VAT = {"below 10": (200, 300), "10 to below 20": (100, 400), "20 or more": (40, 460)}
KIND = {"farm": (240, 460), "trade": (100, 700)}
UNKNOWN = (10, 40)
TABLES: dict[tuple[str, ...], dict[tuple[str, ...], int | None]] = {
    ("tax.vat", LABEL): {
        (name, label): number
        for name, both in (VAT | {"unknown": UNKNOWN}).items()
        for label, number in zip(("true", "false"), both, strict=True)
    },
    (LABEL, "tax.kind"): {
        (label, name): number
        for name, both in (KIND | {"unknown": UNKNOWN}).items()
        for label, number in zip(("true", "false"), both, strict=True)
    },
    (LABEL,): {("true",): 350, ("false",): 1200},
}


def laid(columns: Sequence[str], numbers: Mapping[tuple[str, ...], int | None]) -> Told:
    """Lay numbers out as a receipt's reader does."""
    classes = product(*(classes_of(SHAPES[each]) for each in columns))
    told = ((each, numbers[each]) for each in classes)
    cells = tuple(Cell(each, None if n is None else str(n)) for each, n in told)
    return Told(COUNT, tuple(columns), tuple(columns), cells)


def read(**changes: int | None) -> ReadTables:
    """Give what a receipt of those tables is read as; a number of vat's can be another."""
    tables = dict(TABLES)
    for name, number in changes.items():
        classes = (name.replace("_", " "), "true")
        tables["tax.vat", LABEL] = {**TABLES["tax.vat", LABEL], classes: number}
    told = tuple(laid(*each) for each in tables.items())
    words, template = words_on_tables(), templates()["template of tables"]
    request, release = words["table-request"], words["table-release"]
    assert isinstance(template, Template)
    assert isinstance(request, TableRequest)
    assert isinstance(release, TableRelease)
    head = Checkpoint("city.example/room", 9, b"r" * 32)
    verified = VerifiedTables(
        request, digest("table request"), template, table_certificate(), release, told, head, 7
    )
    return ReadTables(Path("tables.json"), "ab" * 32, verified, SHAPES, counts_of(told, LABEL))


@pytest.fixture(scope="module")
def card() -> Scorecard:
    return card_of_read([read()], WANTED, name="unseen", now=AT)


def test_its_bins_are_of_the_counts_and_it_names_what_it_stands_on(
    card: Scorecard, tmp_path: Path
) -> None:
    vat, kind = card.columns
    assert [(each.low, each.high, each.events, each.others) for each in vat.bins[:-1]] == [
        (None, 10.0, 200, 300),
        (10.0, 20.0, 100, 400),
        (20.0, None, 40, 460),
    ]
    assert (vat.bins[-1].missing, vat.bins[-1].events, vat.bins[-1].others) == (True, *UNKNOWN)
    assert {each.classes: each.events for each in kind.bins[:-1]} == {
        ("farm",): 240,
        ("trade",): 100,
    }
    assert (card.on.rows, card.on.events) == (1550, 350)
    (stood,) = card.tables
    assert (stood.request, stood.receipt) == (digest("table request"), "ab" * 32)
    assert (stood.columns, stood.base, stood.epsilon) == (("tax.vat", "tax.kind"), 5, None)
    assert (stood.entry, card.fitted, card.held, card.membership) == (7, None, None, None)
    card.write(tmp_path / "card.json")
    assert Scorecard.read(tmp_path / "card.json") == card


def test_it_scores_reports_and_is_exported_as_every_card(card: Scorecard) -> None:
    worst, reasons = score_values(card, {"tax.vat": "3", "tax.kind": "farm"})
    best, _ = score_values(card, {"tax.vat": "25", "tax.kind": "trade"})
    unseen, _ = score_values(card, {"tax.vat": "25", "tax.kind": "bank"})
    assert worst < unseen < best
    assert reasons[0].column.name == "tax.vat"
    page = write_page(card).decode()
    assert "tables of tax" in page
    assert digest("table request") in page
    assert "It was measured with no rows" in page
    assert "of your own rows" not in page
    assert b"of tables of tax" in card_as_pmml(card)
    assert len(card_as_onnx(card)) > 0


def test_columns_weigh_one_each_where_no_table_shows_two_of_them(card: Scorecard) -> None:
    assert {each.weight for each in card.columns} == {1.0}
    assert [note.kind for note in card.notes][:1] == ["WEIGHED_ALONE"]


def test_a_column_of_which_a_number_is_withheld_is_left_out_and_said() -> None:
    card = card_of_read([read(below_10=None)], WANTED, name="less", now=AT)
    assert [each.name for each in card.columns] == ["tax.kind"]
    assert [(note.kind, note.column) for note in card.notes] == [("WITHHELD", "tax.vat")]
    alone = Wanted(Columns(LABEL, "true", named=("tax.vat",)))
    with pytest.raises(SafeRoomError) as caught:
        card_of_read([read(below_10=None)], alone, name="none", now=AT)
    assert "withheld" in caught.value.fields[0].rule


def test_where_nobody_is_unknown_who_lacks_a_value_has_the_riskiest_bins_points() -> None:
    card = card_of_read([read(unknown=None)], WANTED, name="known", now=AT)
    (vat,) = (each for each in card.columns if each.name == "tax.vat")
    assert (vat.missing_known, vat.bins[-1].events) == (False, 0)
    assert vat.bins[-1].points == min(each.points for each in vat.bins)


@pytest.mark.parametrize("withheld", [None, "unknown", "trade"])
def test_tables_of_two_columns_weigh_them_beside_each_other(withheld: str | None) -> None:
    both: dict[tuple[str, ...], int | None] = {
        (a, b, label): 0 if "unknown" in (a, b) else 20 + 60 * (at % 7)
        for at, (a, b, label) in enumerate(
            product(classes_of(SHAPES["tax.vat"]), (*KIND, "unknown"), ("true", "false"))
        )
    }
    for at in both:
        if withheld in at:
            both[at] = None
    names = ("tax.vat", "tax.kind", LABEL)
    plain = read()
    counts = dict(plain.counts) | counts_of([laid(names, both)], LABEL)
    card = card_of_read([replace(plain, counts=counts)], WANTED, name="beside", now=AT)
    alone = "WEIGHED_ALONE" in [note.kind for note in card.notes]
    assert alone is (withheld == "trade")
    assert ({each.weight for each in card.columns} == {1.0}) is alone


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (Columns(LABEL, "maybe"), "no such class"),
        (Columns(LABEL, "true", named=("tax.size",)), "no receipt has such a column"),
    ],
    ids=["event", "column"],
)
def test_what_the_receipts_do_not_have_is_told(columns: Columns, words: str) -> None:
    with pytest.raises(SafeRoomError) as caught:
        card_of_read([read()], Wanted(columns), name="other", now=AT)
    assert words in caught.value.fields[0].rule
    with pytest.raises(SafeRoomError) as twice:
        card_of_read([read(), read()], WANTED, name="twice", now=AT)
    assert "another receipt" in twice.value.fields[0].rule


def test_a_receipt_that_does_not_verify_makes_no_card(tmp_path: Path) -> None:
    forged = tmp_path / "forged.json"
    forged.write_bytes(table_receipt().to_json())
    ledger = key("ledger").verify_key.public
    trust = Trust(origin="city.example/room", ledger_key=ledger, charter_roots={})
    with pytest.raises(SafeRoomError) as caught:
        card_of_tables([forged], WANTED, trust, name="forged")
    assert caught.value.reason is Reason.MALFORMED
    told = run("scorecard", "tables", str(forged), "--label", LABEL, "-p", str(tmp_path / "none"))
    assert told.exit_code == 2


def test_a_card_of_rows_keeps_its_form(card: Scorecard) -> None:
    assert "tables" in card.model_dump(mode="json")
    bare = card.model_copy(update={"tables": ()})
    assert "tables" not in bare.model_dump(mode="json")
