"""A comparison of two templates hides nothing: not a letter, not an order, not a feature."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_client.differences import in_lines, in_words, visible
from saferoom_client.lineage import columns_read
from saferoom_proto.certificate import ReleaseCertificate, derive_certificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import (
    Feature,
    Purpose,
    Template,
    Title,
    load,
    seal_statement,
)
from simulator import Sample, sample
from simulator.sample import TAX_TABLES, schema


@pytest.fixture(scope="module")
def room() -> Sample:
    return sample()


def told(room: Sample, **changes: object) -> tuple[list[str], list[str]]:
    """Compare the steady template with one that differs; gives words and lines."""
    before = room.steady.template
    says = load(before, Template)
    now = seal_statement(says.model_copy(update=changes), room.bank.key)
    return in_words(
        says,
        load(now, Template),
        (certified(room, before), certified(room, before)),
        features(room),
    ), (in_lines(before, now))


def certified(room: Sample, template: Envelope) -> ReleaseCertificate:
    return derive_certificate(template, room.world.features)


def features(room: Sample) -> dict[str, Feature]:
    return {each.digest: each.definition for each in room.world.features.values()}


def test_a_look_alike_letter_is_written_out(room: Sample) -> None:
    words, lines = told(room, title=Title(en="ste\u0430dy", zh="steady"))
    assert any("ste\\u{0430}dy" in each for each in words)
    assert any(each.startswith("+") and "ste\\u{0430}dy" in each for each in lines)


def test_another_order_is_a_change(room: Sample) -> None:
    orders = (Purpose.PRE_LOAN, Purpose.IN_LOAN), (Purpose.IN_LOAN, Purpose.PRE_LOAN)
    says = load(room.steady.template, Template)
    one, two = (
        seal_statement(says.model_copy(update={"purposes": each}), room.bank.key) for each in orders
    )
    certificates = (certified(room, one), certified(room, two))
    words = in_words(load(one, Template), load(two, Template), certificates, features(room))
    assert words == ["the purposes: pre-loan, in-loan -> in-loan, pre-loan"]
    assert len(in_lines(one, two)) >= 2


def test_white_space_alone_is_a_change(room: Sample) -> None:
    says = load(room.steady.template, Template)
    words, lines = told(room, check=says.check.replace(" AND ", "  AND "))
    assert words[0].startswith("what is asked: ")
    assert len(lines) == 2


def test_another_signer_is_a_change(room: Sample) -> None:
    other = load(room.steady.template, Template).model_copy(update={"signer": "AAAA"})
    words, lines = told(room, signer=other.signer)
    assert words == ["another certificate signed it"]
    assert len(lines) == 2


def test_a_feature_that_was_defined_anew_is_told_field_by_field(room: Sample) -> None:
    before = certified(room, room.steady.template)
    pinned = next(
        each for each in room.world.features.values() if each.definition.name == "vat_paid"
    )
    wider = pinned.definition.model_copy(update={"version": 2, "grid": pinned.definition.grid[:2]})
    known = features(room)
    room.tax.define(wider)
    after = certified(room, room.steady.template)
    says = load(room.steady.template, Template)
    words = in_words(says, says, (before, after), known | features(room))
    assert "tax.vat_paid, version: 1 -> 2" in words
    assert any(each.startswith("tax.vat_paid, grid: 10000, 50000, 100000") for each in words)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)


@given(TEXTS, TEXTS)
def test_two_texts_that_differ_are_shown_differently(one: str, two: str) -> None:
    assert (visible(one) == visible(two)) == (one == two)
    assert visible("\\u{0430}") != visible("\u0430")


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT uscc AS subject, vat AS value FROM firms", {"vat"}),
        ('SELECT USCC AS subject, F."VAT" AS value FROM FIRMS F WHERE arrears', {"vat", "arrears"}),
        ("SELECT uscc AS subject, 1 AS value FROM firms -- rating", {"rating"}),
        ("SELECT uscc AS subject, vat AS value FROM elsewhere", set[str]()),
    ],
)
def test_every_column_that_the_sql_spells_counts_as_read(sql: str, columns: set[str]) -> None:
    read = columns_read(sql, schema("tax", *TAX_TABLES))
    assert {each.column.name for each in read} == columns
