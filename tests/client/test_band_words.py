"""Bands of a model's card, for those who approve them and those who read them."""

from __future__ import annotations

from decimal import Decimal

from saferoom_client.band_words import (
    HEADINGS,
    band_rows,
    bands_document,
    bands_section,
    describe_bands,
    describe_bands_asked,
)
from saferoom_client.cli.tables import table
from saferoom_client.sheet.rows import Form
from saferoom_proto.fit_bands import ToldBand
from saferoom_proto.statements.fit import FitPart
from tests.proto.golden_fits import BANDED, fit_template

BANDS = (
    ToldBand(events=60, others=40, foretold="0.550"),
    ToldBand(events=20, others=80, foretold="0.250"),
)


def part() -> FitPart:
    """Give an owner's part that lets bands out."""
    fit = fit_template(**BANDED).fit
    assert fit is not None
    return FitPart.of(fit, ("tax.vat",))


def test_an_approver_reads_what_bands_tell_the_noise_and_what_adds_up() -> None:
    of = part()
    assert of.bands is not None
    told = "\n".join(describe_bands_asked("tax", of, of.bands, alone=True))
    for words in (
        "none of fewer than 20 of either",
        "e^0.5 = 1.65",
        "19 of 20 are within 24",
        "at most 1.5 in 30 days of all models of tax",
        "whatever became of it",
    ):
        assert words in told


def test_a_table_of_bands_has_rates_lifts_and_the_curve_at_edges() -> None:
    head, first, second = table(HEADINGS, band_rows(BANDS))
    assert head.split()[:3] == ["band", "rows", "events"]
    assert first.split() == ["1", "100", "60", "60.0%", "55.0%", "1.50", "75%", "33%"]
    assert second.split()[-2:] == ["100%", "100%"]
    below = "\n".join(describe_bands(BANDS, Decimal("0.5")))
    assert "5.0% from what was foretold" in below
    assert "KS at bands' edges 0.42" in below
    assert "too few rows" in "\n".join(describe_bands((), Decimal("0.5")))


def test_a_page_draws_bands_and_a_program_reads_what_follows_of_them() -> None:
    section = bands_section(BANDS, Decimal("0.5"))
    drawn = [each.value for each in section.rows if each.form is Form.DRAWING]
    assert ["events so far" in each for each in drawn] == [False, True]
    assert all(each.startswith("<svg") and "<script" not in each for each in drawn)
    assert "lift 1.50" in section.rows[1].value
    assert bands_section((), Decimal("0.5")).rows[0].form is Form.TEXT
    document = bands_document(BANDS)
    assert document is not None
    assert document["rates"] == [0.6, 0.2]
    assert bands_document(()) is bands_document(None) is None
