"""YAML as people write it: one reading or none, and every fault at its place."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from saferoom_client.yaml_text import LIMIT_CHARS, read_yaml, write_yaml
from saferoom_proto.encoding import dump
from saferoom_proto.reasons import Reason, SafeRoomError

words = st.text(st.characters(codec="utf-8"), max_size=8).filter(str.isprintable)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False, width=64).map(lambda n: Decimal(repr(n)))
    | words
)


def refused_yaml(text: str) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as refusal:
        read_yaml(text)
    assert refusal.value.reason is Reason.MALFORMED
    return refusal.value


def test_yaml_words_are_words_and_numbers_are_exact() -> None:
    text = """
        no: [yes, on, off, No, True, NULL, y, ~]
        truth: [true, false, null]
        empty:
        numbers: [1.50, -7, 1e3, 0]
        words: [007, +1, .5, 0x1f, 1_000, 12:30, 2024-01-01, .inf, .nan, 1., <<, =]
        quoted: ["true", '1', ""]
        block: |
            1
    """
    assert read_yaml(text).document == {
        "no": ["yes", "on", "off", "No", "True", "NULL", "y", "~"],
        "truth": [True, False, None],
        "empty": None,
        "numbers": [Decimal("1.50"), -7, Decimal(1000), 0],
        "words": [
            *("007", "+1", ".5", "0x1f", "1_000", "12:30", "2024-01-01", ".inf", ".nan", "1."),
            *("<<", "="),
        ],
        "quoted": ["true", "1", ""],
        "block": "1\n",
    }


@given(document=st.dictionaries(words, st.lists(leaves, max_size=4)))
def test_a_json_object_is_the_same_object_as_yaml(document: dict[str, object]) -> None:
    assert read_yaml(dump(document).decode()).document == document


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3 column 1"),
        ("a:\n  b: 1\n  b: 2\n", "line 3 column 3"),
        ("a: 1\n'a': 2\n", "line 2 column 1"),
        ("a: &x 1\nb: *x\n", "line 1 column 4"),
        ("a: *x\n", "line 1 column 4"),
        ("a: !!str 1\n", "line 1 column 4"),
        ("a: ! 1\n", "line 1 column 4"),
        ("a: !!python/object/apply:os.system [id]\n", "line 1 column 4"),
        ("1: a\n", "line 1 column 1"),
        ("true: a\n", "line 1 column 1"),
        ("? [a]\n: b\n", "line 1 column 3"),
        ("? {a: b}\n: b\n", "line 1 column 3"),
        ("a: 1\n---\nb: 2\n", "line 2 column 1"),
        ("a: [1, 2\n", "line 2 column 1"),
        ("a: b: c\n", "line 1 column 5"),
        ("\ta: 1\n", "line 1 column 1"),
        ("a: 1e309\n", "line 1 column 4"),
        ("- a\n", "line 1 column 1"),
        ("", "line 1 column 1"),
        ("just words\n", "line 1 column 1"),
    ],
)
def test_yaml_that_could_be_misread_is_refused_at_its_place(text: str, place: str) -> None:
    assert place in refused_yaml(text).detail


def test_yaml_with_control_characters_or_endless_nesting_is_refused() -> None:
    assert "#x0007" in refused_yaml("a: \x07\n").detail
    assert "nested too deeply" in refused_yaml("a: " + "[" * 5000).detail


def test_a_billion_laughs_stay_one() -> None:
    laughs = "a: &a [x, x]\n" + "".join(
        f"{name}: &{name} [*{before}, *{before}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "anchors" in refused_yaml(laughs).detail


def test_yaml_past_the_limit_is_not_even_looked_at() -> None:
    with pytest.raises(SafeRoomError) as refusal:
        read_yaml("#" * (LIMIT_CHARS + 1))
    assert refusal.value.reason is Reason.TOO_LARGE


def test_a_template_as_people_write_it_is_read() -> None:
    text = """
kind: Check
name: steady-taxpayer
title: {en: Steady taxpayer, zh: 连续正常纳税}
purposes: [pre-loan]
params: {min_vat: {feature: tax.vat_paid_12m}}     # its domain is that feature's grid
check: tax.vat_paid_12m >= :min_vat AND tax.arrears IS FALSE AND court.dishonest IS FALSE
"""
    document = read_yaml(text).document
    assert document == YAML(typ="safe", pure=True).load(text)
    assert document["check"] == (
        "tax.vat_paid_12m >= :min_vat AND tax.arrears IS FALSE AND court.dishonest IS FALSE"
    )


PLAIN = st.none() | st.booleans() | st.integers(-(10**30), 10**30)
SAID = st.text(st.sampled_from("a: -#'\"\n01.e+~[]{},&*!|>%@`ä中"), max_size=12) | st.sampled_from(
    (
        "true",
        "null",
        "",
        "~",
        "1e5",
        "0o7",
        "2024-01-01",
        "no",
        "a: b",
        " x",
        "x ",
        "-",
        "\n",
        "a\n\n",
    )
)


@settings(max_examples=40)
@given(
    document=st.dictionaries(
        SAID, st.recursive(PLAIN | SAID, lambda one: st.lists(one) | st.dictionaries(SAID, one))
    )
)
def test_what_is_written_reads_back_as_it_was(document: dict[str, object]) -> None:
    assert read_yaml(write_yaml(document)).document == document


def test_a_value_is_found_at_its_line_or_where_it_would_stand() -> None:
    written = read_yaml("a: 1\nb:\n  c: [1,\n    2]\n  d:\n  - e: {f: 1}\n")
    lines = {"a": 1, "b": 2, "b.c": 3, "b.c.0": 3, "b.c.1": 4, "b.d": 5, "b.d.0": 6, "b.d.0.e.f": 6}
    assert {path: written.line(path) for path in lines} == lines
    assert [written.line(path) for path in ("b.c.7", "b.x", "x.y", "")] == [3, 2, 1, 1]
