"""Unified social credit codes: the standard's rules, both check characters, nothing mended."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from stdnum.cn import uscc as stdnum_uscc

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import make_uscc, parse_uscc

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
EXAMPLE = "91350100M000100Y43"  # the example GB 32100-2015 gives

serials = st.integers(0, 10**8 - 1)


def refused(text: str) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as refusal:
        parse_uscc(text)
    assert refusal.value.reason is Reason.MALFORMED_SUBJECT
    return refusal.value


def with_checks(head: str, body: str) -> str:
    """A code with right check characters, each computed here by its standard's formula."""
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    values = [int(char) if char.isdigit() else ord(char) - ord("A") + 10 for char in body]
    nine = 11 - sum(value * weight for value, weight in zip(values, weights, strict=True)) % 11
    code = head + body + {10: "X", 11: "0"}.get(nine, str(nine))
    total = sum(ALPHABET.index(char) * pow(3, place, 31) for place, char in enumerate(code))
    return code + ALPHABET[(31 - total % 31) % 31]


def test_the_standards_own_example_is_accepted() -> None:
    assert parse_uscc(EXAMPLE) == EXAMPLE
    assert with_checks("91350100", "M000100Y") == EXAMPLE


@pytest.mark.parametrize("head", ["N2410400", "Y1410400", "A1410400", "12410400", "93410400"])
def test_every_registering_authority_is_accepted(head: str) -> None:
    code = with_checks(head, "MF123456")
    assert parse_uscc(code) == code


@given(body=st.text(ALPHABET, min_size=8, max_size=8))
def test_every_organisation_code_is_accepted_with_its_own_check(body: str) -> None:
    code = with_checks("91410400", body)
    assert parse_uscc(code) == code


@given(serial=serials, region=st.from_regex(r"[0-9]{6}", fullmatch=True))
def test_made_up_codes_are_valid_here_and_elsewhere(serial: int, region: str) -> None:
    code = make_uscc(serial, region)
    assert parse_uscc(code) == code == stdnum_uscc.validate(code)


@given(first=serials, second=serials)
def test_two_serials_never_give_one_code(first: int, second: int) -> None:
    assume(first != second)
    assert make_uscc(first) != make_uscc(second)


def test_made_up_codes_belong_to_no_place() -> None:
    assert make_uscc(1)[2:8] == "990000"
    assert parse_uscc(make_uscc(1, registered="93")).startswith("93990000")


@given(serial=serials, place=st.integers(0, 17), char=st.sampled_from(ALPHABET))
def test_no_single_wrong_character_passes(serial: int, place: int, char: str) -> None:
    code = make_uscc(serial)
    assume(code[place] != char)
    assert refused(code[:place] + char + code[place + 1 :]).reason is Reason.MALFORMED_SUBJECT


@given(serial=serials, place=st.integers(0, 16))
def test_no_two_neighbours_swapped_pass(serial: int, place: int) -> None:
    code = make_uscc(serial)
    assume(code[place] != code[place + 1])
    assert (
        refused(code[:place] + code[place + 1] + code[place] + code[place + 2 :]).reason
        is Reason.MALFORMED_SUBJECT
    )


def test_a_wrong_organisation_digit_is_refused_even_under_a_right_last_check() -> None:
    code = "91350100M000100Y5"
    code += stdnum_uscc.calc_check_digit(code)
    assert stdnum_uscc.is_valid(code)
    assert "17th" in refused(code).detail


def test_lower_case_and_surrounding_space_are_taken() -> None:
    assert parse_uscc(f"\u3000 {EXAMPLE.lower()}\n") == EXAMPLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        EXAMPLE[:-1],
        EXAMPLE + "3",
        "9135 0100M000100Y43",
        "91-350100-M000100Y4-3",
        EXAMPLE.replace("9", "\uff19"),
        EXAMPLE.replace("0", "O"),
        "I1350100M000100Y43",
        "91350100M000100Y43\x00",
        "9\u0661350100M000100Y43",
    ],
)
def test_nothing_else_is_mended(text: str) -> None:
    assert refused(text).reason is Reason.MALFORMED_SUBJECT


def test_a_ligature_does_not_become_two_letters() -> None:
    code = with_checks("91410400", "FF123456")
    assert parse_uscc(code) == code
    assert refused(code.replace("FF", "\ufb00")).reason is Reason.MALFORMED_SUBJECT


def test_a_refusal_does_not_repeat_the_code() -> None:
    error = refused("91350100M000100Y44")
    assert "91350100" not in str(error)
    assert error.fields[0].field == "subject"
    assert "91350100" not in error.fields[0].rule


@pytest.mark.parametrize(
    ("serial", "region"), [(-1, "990000"), (10**8, "990000"), (1, "99"), (1, "\u0661" * 6)]
)
def test_nothing_is_made_up_out_of_range(serial: int, region: str) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        make_uscc(serial, region)
    assert refusal.value.reason is Reason.MALFORMED_SUBJECT


@pytest.mark.parametrize("registered", ["", "9", "9I", "911", "九一"])
def test_a_code_begins_with_two_characters_of_the_standard(registered: str) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        make_uscc(1, registered=registered)
    assert refusal.value.reason is Reason.MALFORMED_SUBJECT
