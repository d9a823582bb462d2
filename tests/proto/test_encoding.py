"""Strict JSON, YAML, base64 and digests: one reading or none."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto.encoding import (
    b64,
    check_digest,
    dump,
    parse_object,
    sha256_digest,
    unb64,
)
from saferoom_proto.reasons import Reason, SafeRoomError

words = st.text(st.characters(codec="utf-8"), max_size=8)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False, width=64).map(lambda n: Decimal(repr(n)))
    | words
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4)
)
objects = st.dictionaries(words, values, max_size=5)


def refused(data: bytes, limit: int = 1 << 20) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as refusal:
        parse_object(data, limit)
    return refusal.value


def outcome(attempt: Callable[[], object]) -> object:
    """What an attempt gives, or the reason for which it is refused."""
    try:
        return attempt()
    except SafeRoomError as error:
        return error.reason


@given(document=objects)
def test_what_is_dumped_is_read_back_and_dumped_to_the_same_bytes(
    document: dict[str, object],
) -> None:
    data = dump(document)
    assert parse_object(data) == document
    assert dump(parse_object(data)) == data


@given(document=objects)
def test_other_readers_see_the_same_document(document: dict[str, object]) -> None:
    assert json.loads(dump(document), parse_float=Decimal) == document


@given(data=st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_refusal(data: bytes) -> None:
    result = outcome(lambda: parse_object(data))
    assert result is Reason.MALFORMED or result == json.loads(data, parse_float=Decimal)


def test_fractions_are_decimals_and_whole_numbers_are_integers() -> None:
    document = parse_object(b'{"a":1.10,"b":7,"c":1e3,"d":-0}')
    assert document == {"a": Decimal("1.10"), "b": 7, "c": Decimal(1000), "d": 0}
    assert [type(value) for value in document.values()] == [Decimal, int, Decimal, int]
    assert str(document["a"]) == "1.10"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b'{"a":1,"a":1}', "a"),
        (b'{"a":[{"b":1,"b":2}]}', "a[0].b"),
        (b'{"a":{"b":{"c":1,"c":2}}}', "a.b.c"),
        (b'{"a":1,"\\u0061":2}', "a"),
        (b'{"outer":{"b":1,"b":2},"outer":3}', "outer"),
    ],
)
def test_a_key_that_stands_twice_is_refused_by_its_path(data: bytes, field: str) -> None:
    error = refused(data)
    assert error.reason is Reason.MALFORMED
    assert [fault.field for fault in error.fields] == [field]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b"{}{}",
        b"{} x",
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":1}//',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-32"),
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":["\\ud800\\ud800"]}',
        b'{"a":"tab\there"}',
        b'{"a":' + b"9" * 65 + b"}",
        b'{"a":0.' + b"9" * 65 + b"}",
        b'{"a":1e309}',
        b'{"a":1e-400}',
        b'{"a":-1e-99999999999999999999}',
        b'{"a":1e99999999999999999999}',
        b'{"a":1' + b"0" * 5000 + b"}",
        b'{"a":' + b"[" * 65 + b"]" * 65 + b"}",
        b'{"a":' + b"[" * 900 + b'"\\ud800"' + b"]" * 900 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_two_readers_could_take_differently_is_refused(data: bytes) -> None:
    assert refused(data).reason is Reason.MALFORMED


def test_nesting_up_to_the_limit_is_read() -> None:
    assert parse_object(b'{"a":' + b"[" * 64 + b"]" * 64 + b"}")


def test_a_zero_with_any_exponent_is_zero() -> None:
    assert parse_object(b'{"a":0e99999999999999999999,"b":-0.00}') == {"a": 0, "b": 0}


def test_a_hundred_thousand_keys_before_a_repeated_one_cost_no_quadratic_time() -> None:
    keys = ",".join(f'"{number:05x}":1' for number in range(100_000))
    error = refused(f'{{{keys},"1869f":2}}'.encode(), limit=2 << 20)
    assert error.fields[0].field == "1869f"


def test_a_pair_of_surrogates_is_the_character_it_means() -> None:
    assert parse_object(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_a_document_past_the_limit_is_not_even_looked_at() -> None:
    assert refused(b"x" * 11, limit=10).reason is Reason.TOO_LARGE
    assert parse_object(b'{"a":"bc"}', limit=10) == {"a": "bc"}


def test_a_refusal_names_a_place_and_repeats_no_value() -> None:
    error = refused(b'{"revenue":\n  12345678 secret}')
    assert "line 2 column 12" in error.detail
    assert "12345678" not in str(error)
    assert "secret" not in str(error)


def test_the_path_that_is_shown_is_short_and_readable() -> None:
    fault = refused(b'{"\\ud800' + b"k" * 5000 + b'":1}').fields[0]
    assert len(fault.field) <= 200
    assert fault.field.encode("utf-8")


def test_dumping_sorts_compacts_and_keeps_characters() -> None:
    assert dump({"b": Decimal("1.5"), "a": "税", "": [1, None, True]}) == (
        '{"":[1,null,true],"a":"税","b":1.5}'.encode()
    )


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("0.1000000000000000055511151231257827"),
        Decimal("1e400"),
        "\ud800",
    ],
)
def test_what_json_cannot_carry_exactly_is_not_dumped(value: object) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        dump({"a": value})
    assert refusal.value.reason is Reason.MALFORMED


def test_a_document_that_holds_itself_is_not_dumped() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(SafeRoomError):
        dump(loop)


def test_an_object_that_is_no_json_value_is_the_callers_mistake() -> None:
    with pytest.raises(TypeError):
        dump({"a": b"bytes"})


@given(data=st.binary(max_size=100))
def test_base64_survives_and_is_the_standard_one(data: bytes) -> None:
    assert unb64(b64(data)) == data
    assert b64(data) == base64.standard_b64encode(data).decode()


@given(text=st.text(st.sampled_from("AQZaz09+/-_= \n"), max_size=12))
def test_every_text_but_one_for_the_same_bytes_is_refused(text: str) -> None:
    result = outcome(lambda: unb64(text))
    assert result is Reason.MALFORMED or (isinstance(result, bytes) and b64(result) == text)


@pytest.mark.parametrize(
    "text", ["QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "QQ==QQ==", "-_-_", "QÄ==", "=", "\ud800"]
)
def test_loose_base64_is_refused(text: str) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        unb64(text)
    assert refusal.value.reason is Reason.MALFORMED


def test_a_digest_names_its_algorithm() -> None:
    digest = sha256_digest(b"abc")
    assert digest == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    assert check_digest(digest) == digest
