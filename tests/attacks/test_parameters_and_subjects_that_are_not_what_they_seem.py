"""Values off the grid, of wrong types, in other alphabets, and subjects that only look like one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope, sign
from saferoom_proto.reasons import CATALOGUE, Reason, SafeRoomError
from simulator import EnclaveHarness, Sample

ODD_NUMBERS = {
    "off the grid": "50001",
    "not a number": "NaN",
    "infinite": "Infinity",
    "too large": "1e999",
    "small exponent": "5e4",
    "signed": "+50000",
    "negative zero": "-0",
    "leading zero": "050000",
    "with a space": " 50000",
    "with a line feed": "50000\n",
    "with a point and nothing": "50000.",
    "grouped": "50,000",
    "grouped as in Python": "50_000",
    "hexadecimal": "0xc350",
    "in Arabic digits": "\u0665\u0660\u0660\u0660\u0660",
    "in wide digits": "\uff15\uff10\uff10\uff10\uff10",
    "with a zero-width space": "5\u200b0000",
    "ended by NUL": "50000\u0000",
    "a formula": "50000 OR tax.vat_paid >= 0",
    "a quotation": "' OR '1'='1",
    "another parameter": ":min_vat",
    "null": "NULL",
    "nothing": "",
    "long": "5" * 4000,
}
NOT_ONE_VALUE: Mapping[str, object] = {
    "a number": 50000,
    "a float": 50000.5,
    "null": None,
    "a list": ["50000"],
    "an object": {"value": "50000"},
}
LOOK_ALIKES: Mapping[str, Callable[[str], str]] = {
    "a Cyrillic letter": lambda code: code[:-1] + "\u0410",
    "wide digits": lambda code: code.replace("9", "\uff19", 1),
    "small letters": lambda code: code[:16] + code[16:].lower() + "a",
    "a space before": lambda code: " " + code,
    "a line feed behind": lambda code: code + "\n",
    "NUL behind": lambda code: code + "\u0000",
    "NUL within": lambda code: code[:9] + "\u0000" + code[10:],
    "one too short": lambda code: code[:-1],
    "one too long": lambda code: code + "0",
    "another check digit": lambda code: code[:-1] + ("0" if code[-1] != "0" else "1"),
    "a zero-width joiner": lambda code: code[:5] + "\u200d" + code[5:],
    "a pattern": lambda code: code[:-1] + "%",
    "two subjects": lambda code: code + "," + code,
    "nobody": lambda _: "",
}


def altered(room: Sample, **changes: object) -> Envelope:
    """Sign, as the bank, a question whose JSON no client of ours would have written."""
    question = room.question()
    document: dict[str, object] = json.loads(question.payload)
    payload = json.dumps(document | changes, sort_keys=True, ensure_ascii=False)
    return sign(question.payload_type, payload.encode(), room.bank.key)


def said(enclave: EnclaveHarness, question: Envelope) -> tuple[Reason, str, bool]:
    """Tell how a question is refused: the reason, all that a caller reads, if it was recorded."""
    before = enclave.enclave.whereabouts().chain_length
    try:
        verdict = enclave.ask(question)
    except SafeRoomError as error:
        words = " ".join((str(error.reason), *(f"{each}" for each in error.fields)))
        return error.reason, words, enclave.enclave.whereabouts().chain_length > before
    assert verdict.reason is not None
    assert verdict.judged.sealed == b""
    assert verdict.release.charges == ()
    words = CATALOGUE[verdict.reason].what + verdict.judged.entry.statement.payload.decode()
    return verdict.reason, words, True


def require_unspent(room: Sample, enclave: EnclaveHarness) -> None:
    """Ask an honest question, and see that it is the first one that anything was charged for."""
    verdict = enclave.ask(room.question())
    assert verdict.truth is Truth.YES
    assert [charge.cells_before for charge in verdict.release.charges] == [1, 1]


def test_no_value_that_only_looks_like_a_threshold_is_taken_for_one(
    room: Sample, enclave: EnclaveHarness
) -> None:
    for what, value in ODD_NUMBERS.items():
        reason, words, _ = said(enclave, altered(room, params={"min_vat": value}))
        assert reason in (Reason.OFF_GRID, Reason.MALFORMED), what
        if len(value) > 5:
            assert value not in words, what
            assert value not in enclave.log.getvalue(), what
    require_unspent(room, enclave)


def test_a_parameter_that_is_no_single_value_is_refused_without_a_trace(
    room: Sample, enclave: EnclaveHarness
) -> None:
    for what, value in NOT_ONE_VALUE.items():
        question = altered(room, params={"min_vat": value})
        reason, _, recorded = said(enclave, question)
        assert (reason, recorded) == (Reason.MALFORMED, False), what
    require_unspent(room, enclave)


def test_more_and_other_parameters_than_the_template_takes_are_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    for params in ({}, {"min_vat": "50000", "x": "1"}, {"MIN_VAT": "50000"}, {"min_vat": True}):
        reason, _, _ = said(enclave, altered(room, params=params))
        assert reason in (Reason.OFF_DOMAIN, Reason.MALFORMED)
    require_unspent(room, enclave)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_bare_words_of_javascript_are_no_json(
    room: Sample, enclave: EnclaveHarness, number: str
) -> None:
    question = room.question()
    payload = question.payload.replace(b'"50000"', number.encode())
    assert payload != question.payload
    forged = sign(question.payload_type, payload, room.bank.key)
    assert said(enclave, forged)[0] is Reason.MALFORMED
    require_unspent(room, enclave)


def test_a_subject_is_its_eighteen_characters_and_nothing_like_them(
    room: Sample, enclave: EnclaveHarness
) -> None:
    code = room.world.subject(1).uscc
    for what, alike in LOOK_ALIKES.items():
        reason, words, recorded = said(enclave, altered(room, subject=alike(code)))
        assert reason in (Reason.MALFORMED_SUBJECT, Reason.MALFORMED), what
        assert not recorded, what
        assert code not in words, what
    require_unspent(room, enclave)


@pytest.mark.parametrize("key", ["subject", "params", "purpose", "nonce"])
def test_a_key_that_stands_twice_lets_nobody_choose_which_counts(
    room: Sample, enclave: EnclaveHarness, key: str
) -> None:
    question, other = room.question(1), room.question(2, "10000")
    second = json.dumps({key: json.loads(other.payload)[key]})[1:-1]
    payload = question.payload[:-1] + b"," + second.encode() + b"}"
    doubled = sign(question.payload_type, payload, room.bank.key)
    reason, _, recorded = said(enclave, doubled)
    assert (reason, recorded) == (Reason.MALFORMED, False)
    require_unspent(room, enclave)


@pytest.mark.parametrize(
    "behind", [b"{}", b" \x00", b"\n[]", b"\xef\xbb\xbf", b"// a comment", b"\xff"]
)
def test_nothing_stands_behind_a_question(
    room: Sample, enclave: EnclaveHarness, behind: bytes
) -> None:
    question = room.question()
    longer = sign(question.payload_type, question.payload + behind, room.bank.key)
    assert said(enclave, longer)[0] is Reason.MALFORMED
    require_unspent(room, enclave)
