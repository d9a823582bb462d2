"""Strict JSON, YAML and base64: one reading or none."""

from __future__ import annotations

from decimal import Decimal

import pytest
from saferoom_proto.encoding import dump, parse_object, parse_yaml
from saferoom_proto.reasons import Reason, SafeRoomError


def test_fractions_are_decimals_and_whole_numbers_are_integers() -> None:
    assert parse_object(b'{"a":1.10,"b":7}') == {"a": Decimal("1.10"), "b": 7}


def test_a_key_that_stands_twice_is_refused_by_its_path() -> None:
    with pytest.raises(SafeRoomError) as refusal:
        parse_object(b'{"a":[{"b":1,"b":2}]}')
    assert refusal.value.reason is Reason.MALFORMED
    assert refusal.value.fields[0].field == "a[0].b"


def test_dumping_sorts_and_compacts() -> None:
    assert dump({"b": Decimal("1.5"), "a": "税"}) == '{"a":"税","b":1.5}'.encode()


def test_yaml_words_are_words() -> None:
    document = parse_yaml("a: no\nb: true\nc: 1.50\nd: 007\ne: 2024-01-01\nf: '1'\n")
    assert document == {
        "a": "no",
        "b": True,
        "c": Decimal("1.50"),
        "d": "007",
        "e": "2024-01-01",
        "f": "1",
    }
