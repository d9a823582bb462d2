"""Templates of tables: what they can let out is derived alike by everyone, and never kinder."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saferoom_proto.certificate import OwnerPart, derive_certificate, features_named, owners_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.hpke import SealingKey
from saferoom_proto.pinned import pin
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Template, load, seal_statement
from saferoom_proto.tables.asked import rules_of
from saferoom_proto.tables.plan import (
    MAX_CELLS,
    Dimension,
    Measure,
    MeasureKind,
    ReleasePlan,
    every_margin,
)
from saferoom_proto.tables.receipt import TableReceipt
from saferoom_proto.tables.rules import Rules
from saferoom_proto.tables.told import FEWEST_BYTES, MOST_BYTES, TABLES_SEAL, Tables
from tests.proto.golden_seeds import digest
from tests.proto.golden_tables import table_receipt, tables
from tests.proto.test_certificate import KEY, ROOM, feature, features

COUNT: dict[str, object] = {"kind": "count"}
SUM: dict[str, object] = {"kind": "sum", "of": "tax.vat", "low": 0, "high": 100}


def template(**aggregate: object) -> Envelope:
    plan: dict[str, object] = {"dimensions": ("tax.arrears",), "measures": (COUNT,), "ways": 1}
    given = plan | aggregate
    fields: dict[str, object] = {
        "room": ROOM,
        "kind": "Aggregate",
        "name": "tables",
        "title": {"en": "tables", "zh": "统计表"},
        "proposer": "bank-a",
        "signer": "",
        "purposes": ("product-design",),
        "aggregate": {name: each for name, each in given.items() if each is not None},
    }
    return seal_statement(Template.model_validate(fields, strict=False), KEY)


def part(**aggregate: object) -> OwnerPart:
    return derive_certificate(template(**aggregate), features()).part("tax")


def refused(**aggregate: object) -> Reason:
    with pytest.raises(SafeRoomError) as caught:
        derive_certificate(template(**aggregate), features())
    assert caught.value.fields, "the fault names no field"
    return caught.value.reason


def test_the_certificate_counts_every_number_and_names_classes_rules_and_levels() -> None:
    hist: dict[str, object] = {"kind": "histogram", "of": "tax.vat"}
    of = part(dimensions=("tax.arrears", "tax.public"), measures=(COUNT, SUM, hist), ways=2)
    assert of.table is not None
    # The total, two columns of two, one of four; twice, and each by the five classes of the other.
    assert (of.table.tables, of.table.cells) == (12, 9 + 9 + 9 * 5)
    assert [each.classes for each in of.table.columns][2] == (
        *("below 1", "1 to below 5", "5 to below 10", "10 or more"),
        "unknown",
    )
    assert {use.feature: (use.level, use.charged) for use in of.features} == {
        "tax.arrears": (2, False),
        "tax.public": (1, False),
        "tax.vat": (3, False),
    }
    assert not of.needs_consent
    assert not of.most_bits
    assert rules_of(of.table.rules) == Rules()


def test_a_template_of_tables_names_its_owner_and_features() -> None:
    opened = load(template(measures=(COUNT, SUM)), Template)
    assert owners_of(opened) == ("tax",)
    assert [str(each) for each in features_named(opened)] == ["tax.arrears", "tax.vat"]


def test_of_level_4_tables_count_and_tell_nothing_else() -> None:
    assert part(dimensions=("tax.secret",)).table
    assert refused(dimensions=("tax.secret",), measures=(COUNT, SUM)) is Reason.NOT_ALLOWED


@pytest.mark.parametrize("asked", [{"dimensions": ("tax.vat",)}, {"measures": (COUNT, SUM)}])
def test_no_table_counts_what_a_provider_is_asked_for(asked: dict[str, object]) -> None:
    source = {"name": "payments", "days": 7}
    fetched = pin([feature("tax.vat", source=source, prior="Yearbook 2025, table 3")])
    with pytest.raises(SafeRoomError) as caught:
        derive_certificate(template(**asked), features() | fetched)
    assert caught.value.reason is Reason.NOT_ALLOWED
    assert caught.value.fields[0].field == "aggregate"
    told = "tax.vat is asked of a source, about one subject at a time: no table counts it"
    assert caught.value.fields[0].rule == told


@pytest.mark.parametrize(
    ("aggregate", "reason"),
    [
        ({"dimensions": ("tax.nothing",)}, Reason.UNKNOWN_FEATURE),
        ({"measures": ({**SUM, "of": "tax.arrears"},)}, Reason.NOT_ALLOWED),
        ({"measures": (SUM, {**SUM, "kind": "mean", "high": 50})}, Reason.MALFORMED),
        ({"measures": (COUNT, COUNT)}, Reason.MALFORMED),
        ({"ways": None, "margins": ((), ("tax.vat",))}, Reason.MALFORMED),
        (
            {"measures": ({"kind": "share", "of": "tax.vat", "classes": ("above",)},)},
            Reason.MALFORMED,
        ),
    ],
)
def test_what_is_no_plan_is_refused_by_field(aggregate: dict[str, object], reason: Reason) -> None:
    assert refused(**aggregate) is reason


@pytest.mark.parametrize(
    "aggregate",
    [
        {"ways": None},
        {"ways": 1, "margins": ((),)},
        {"ways": 4},
        {"dimensions": ()},
        {"dimensions": ("tax.arrears", "court.dishonest")},
        {"dimensions": ("tax.arrears", "tax.arrears")},
        {"measures": ()},
        {"measures": ({"kind": "sum", "of": "tax.vat"},)},
        {"measures": ({**SUM, "low": 1},)},
        {"measures": ({"kind": "count", "of": "tax.vat"},)},
        {"measures": ({"kind": "share", "of": "tax.vat"},)},
        {"rules": {"threshold": 9}},
        {"rules": {"share": 86}},
        {"rules": {"days": 29}},
        {"rules": {"threshold": 10, "base": 20}},
    ],
)
def test_no_plan_is_malformed_or_laxer_than_the_room(aggregate: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="aggregate"):
        template(**aggregate)


def test_a_check_has_no_plan_and_tables_have_no_formula() -> None:
    said = load(template(), Template).model_dump()
    for wrong in (
        {"kind": "Check"},
        {"check": "tax.vat >= 5"},
        {"kind": "Check", "check": "tax.vat >= 5"},
        {"aggregate": None},
        {"params": {"least": {"feature": "tax.vat"}}},
    ):
        with pytest.raises(ValueError, match=r"Aggregate|Check"):
            Template.model_validate({**said, **wrong})


def test_length_says_nothing_of_what_is_withheld() -> None:
    told = tables()
    withheld = told.model_copy(update={"numbers": tuple((None,) * len(e) for e in told.numbers)})
    assert len(told.to_bytes()) == len(withheld.to_bytes()) == FEWEST_BYTES


@pytest.mark.parametrize("cells", [800, 3_000, 16 * MAX_CELLS])
def test_length_says_nothing_of_many_numbers_either(cells: int) -> None:
    # In sixteen tables of their own, as many measures have; the widest number there is.
    lengths = {
        len(tables().model_copy(update={"numbers": ((number,) * (cells // 16),) * 16}).to_bytes())
        for number in (None, "5", f"-{(1 << 53) - 1}")
    }
    assert len(lengths) == 1
    assert max(lengths) <= MOST_BYTES


def test_tables_open_for_the_asker_of_that_request_at_that_owner_only() -> None:
    key, request = SealingKey.generate(), digest("request")
    plaintext = tables().to_bytes()
    sealed = TABLES_SEAL.seal(plaintext, key.public, request, "tax")
    assert Tables.from_bytes(TABLES_SEAL.open(sealed, key, request, "tax")) == tables()
    for other, owner in ((digest("another"), "tax"), (request, "court")):
        with pytest.raises(SafeRoomError) as caught:
            TABLES_SEAL.open(sealed, key, other, owner)
        assert caught.value.reason is Reason.BAD_SEAL


def test_an_enclave_that_seals_no_text_is_refused_in_words() -> None:
    key, request = SealingKey.generate(), digest("request")
    told = TABLES_SEAL.seal(tables().to_bytes(), key.public, request, "tax")
    assert TABLES_SEAL.open_text(told, key, request, "tax") == tables().to_bytes().decode()
    odd = TABLES_SEAL.seal(b"\xff{}", key.public, request, "tax")
    with pytest.raises(SafeRoomError, match="tax's enclave sealed is no text") as caught:
        TABLES_SEAL.open_text(odd, key, request, "tax")
    assert caught.value.reason is Reason.BAD_SEAL


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2), st.permutations(["a", "b"]))
def test_numbers_are_laid_out_by_the_plan_and_by_no_other(ways: int, names: list[str]) -> None:
    plan = ReleasePlan(
        dimensions=tuple(Dimension(name, ("x", "y", "z")) for name in names),
        variables=(),
        measures=(Measure(MeasureKind.COUNT), Measure(MeasureKind.HISTOGRAM, "b")),
        margins=every_margin(names, ways),
        epoch=1,
    )
    sizes = [
        3 ** len(measure.told_in(margin)) for measure in plan.measures for margin in plan.margins
    ]
    assert sum(sizes) == plan.numbers
    numbers = tuple(tuple(str(5 * k) for k in range(size)) for size in sizes)
    told = tables().model_copy(update={"numbers": numbers})
    laid = told.by_plan(plan)
    assert [tuple(cell.number for cell in each.cells) for each in laid] == list(numbers)
    last = laid[-1]
    assert last.cells[1].classes == (*("x",) * (len(last.columns) - 1), "y")
    short = told.model_copy(update={"numbers": (numbers[0][:-1], *numbers[1:])})
    with pytest.raises(SafeRoomError) as caught:
        short.by_plan(plan)
    assert caught.value.reason is Reason.BAD_PROOF


def test_a_receipt_reads_as_it_was_written_and_names_its_format() -> None:
    written = table_receipt().to_json()
    assert TableReceipt.from_json(written) == table_receipt()
    for spoilt in (written.replace(b"table-receipt/v1", b"receipt/v1"), b"{}"):
        with pytest.raises(SafeRoomError) as caught:
            TableReceipt.from_json(spoilt)
        assert caught.value.reason is Reason.MALFORMED
