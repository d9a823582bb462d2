"""DSSE envelopes: the specification's example, another implementation, and attacks on both."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib import dsse as reference

# The package imports its documented names without the `as` that re-exports them to checkers.
from securesystemslib.signer import (
    CryptoSigner,  # pyright: ignore[reportPrivateImportUsage]
    SSlibKey,  # pyright: ignore[reportPrivateImportUsage]
)

from saferoom_proto.dsse import (
    MAX_ENVELOPE_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_SIGNATURES,
    Envelope,
    Signature,
    pae,
    sign,
)
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError

KEYS = [SigningKey.from_seed(bytes([number]) * 32) for number in range(1, 5)]
KEY = KEYS[0]
TYPE = "application/vnd.saferoom.test+json"
PAYLOAD = b'{"answer":"yes"}'
ENVELOPE = sign(TYPE, PAYLOAD, KEY)

payloads = st.binary(max_size=200)
types = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128)


def refused(data: bytes) -> Reason:
    with pytest.raises(SafeRoomError) as refusal:
        Envelope.from_json(data)
    return refusal.value.reason


def unverified(envelope: Envelope, *keys: SigningKey, threshold: int = 1) -> Reason:
    with pytest.raises(SafeRoomError) as refusal:
        envelope.verify([key.verify_key for key in keys], threshold)
    return refusal.value.reason


def document() -> dict[str, object]:
    return cast("dict[str, object]", json.loads(ENVELOPE.to_json()))


def altered(**changes: object) -> bytes:
    return json.dumps(document() | changes).encode()


def other_key(key: SigningKey) -> SSlibKey:
    """The same key as the other implementation holds it."""
    public = {"public": key.verify_key.raw.hex()}
    return SSlibKey(key.verify_key.keyid, "ed25519", "ed25519", public)


def test_the_encoding_is_the_specifications_own_example() -> None:
    encoded = pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(payload=payloads, payload_type=types)
def test_the_encoding_and_the_json_form_are_the_other_implementations_too(
    payload: bytes, payload_type: str
) -> None:
    ours = sign(payload_type, payload, KEY)
    theirs = reference.Envelope.from_dict(  # pyright: ignore[reportUnknownMemberType]
        json.loads(ours.to_json())
    )
    assert theirs.pae() == ours.pae
    written = theirs.to_dict()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    assert json.loads(ours.to_json()) == written


@given(first=st.tuples(types, payloads), second=st.tuples(types, payloads))
def test_two_statements_never_have_one_encoding(
    first: tuple[str, bytes], second: tuple[str, bytes]
) -> None:
    assert (pae(*first) == pae(*second)) == (first == second)


@given(payload=payloads, payload_type=types, count=st.integers(1, 4))
def test_a_signed_envelope_survives_its_json_form(
    payload: bytes, payload_type: str, count: int
) -> None:
    envelope = sign(payload_type, payload, *KEYS[:count])
    back = Envelope.from_json(envelope.to_json())
    assert back == envelope
    assert back.digest == envelope.digest
    assert back.to_json() == envelope.to_json()
    signers = {key.verify_key.keyid for key in KEYS[:count]}
    assert back.verify([key.verify_key for key in KEYS], threshold=count) == signers


@given(payload=payloads)
def test_the_other_implementation_verifies_what_we_sign(payload: bytes) -> None:
    ours = sign(TYPE, payload, *KEYS[:2])
    # Annotated as a bare dict, as is `to_dict` below.
    theirs = reference.Envelope.from_dict(  # pyright: ignore[reportUnknownMemberType]
        json.loads(ours.to_json())
    )
    accepted = theirs.verify([other_key(key) for key in KEYS[:2]], threshold=2)
    assert set(accepted) == {key.verify_key.keyid for key in KEYS[:2]}


@given(payload=payloads)
def test_we_verify_what_the_other_implementation_signs(payload: bytes) -> None:
    signer = CryptoSigner.generate_ed25519("any-keyid")
    public = cast("str", signer.public_key.keyval["public"])
    key = VerifyKey(bytes.fromhex(public))
    theirs = reference.Envelope(payload, TYPE, {})
    signature = theirs.sign(signer)
    signature.keyid = key.keyid
    theirs.signatures = {key.keyid: signature}
    written = json.dumps(theirs.to_dict())  # pyright: ignore[reportUnknownMemberType]
    ours = Envelope.from_json(written.encode())
    assert ours.payload == payload
    assert ours.verify([key]) == {key.keyid}


def test_the_digest_is_of_what_was_signed_and_not_of_who_signed() -> None:
    expected = f"sha256:{hashlib.sha256(pae(TYPE, PAYLOAD)).hexdigest()}"
    assert ENVELOPE.digest == expected
    assert sign(TYPE, PAYLOAD, *KEYS).digest == expected
    assert sign(TYPE + "x", PAYLOAD, KEY).digest != expected


def test_one_key_given_or_signing_twice_does_not_make_two() -> None:
    assert unverified(ENVELOPE, KEY, KEY, threshold=2) is Reason.BAD_SIGNATURE
    signature = ENVELOPE.signatures[0]
    with pytest.raises(SafeRoomError) as refusal:
        Envelope(TYPE, PAYLOAD, (signature, signature))
    assert refusal.value.reason is Reason.MALFORMED
    with pytest.raises(SafeRoomError):
        sign(TYPE, PAYLOAD, KEY, KEY)


def test_one_signature_under_two_names_counts_for_neither_stranger() -> None:
    own = ENVELOPE.signatures[0]
    copied = Signature(KEYS[1].verify_key.keyid, own.sig)
    envelope = Envelope(TYPE, PAYLOAD, (own, copied))
    assert unverified(envelope, *KEYS[:2], threshold=2) is Reason.BAD_SIGNATURE


def test_two_of_three_approvers_are_enough_and_one_is_not() -> None:
    approvers = KEYS[:3]
    assert unverified(ENVELOPE, *approvers, threshold=2) is Reason.BAD_SIGNATURE
    both = sign(TYPE, PAYLOAD, KEYS[0], KEYS[2])
    signed = both.verify([key.verify_key for key in approvers], threshold=2)
    assert signed == {KEYS[0].verify_key.keyid, KEYS[2].verify_key.keyid}


def test_a_strangers_signature_is_passed_over_and_never_counted() -> None:
    envelope = sign(TYPE, PAYLOAD, KEYS[0], KEYS[3])
    assert envelope.verify([KEYS[0].verify_key]) == {KEYS[0].verify_key.keyid}
    assert unverified(envelope, *KEYS[:2], threshold=2) is Reason.BAD_SIGNATURE
    assert unverified(envelope, KEYS[1]) is Reason.BAD_SIGNATURE


def test_a_forged_signature_is_refused_even_where_others_suffice() -> None:
    forged = Signature(KEYS[1].verify_key.keyid, bytes(64))
    envelope = Envelope(TYPE, PAYLOAD, (*ENVELOPE.signatures, forged))
    assert unverified(envelope, *KEYS[:2]) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("threshold", [0, -1, 2])
def test_a_threshold_that_asks_for_nothing_or_too_much_is_refused(threshold: int) -> None:
    assert unverified(ENVELOPE, KEY, threshold=threshold) is Reason.BAD_SIGNATURE


def test_no_keys_verify_nothing() -> None:
    for threshold in (-1, 0, 1):
        assert unverified(ENVELOPE, threshold=threshold) is Reason.BAD_SIGNATURE


@given(place=st.integers(0, len(PAYLOAD) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_payload_is_refused(place: int, bit: int) -> None:
    changed = bytearray(PAYLOAD)
    changed[place] ^= 1 << bit
    envelope = Envelope(TYPE, bytes(changed), ENVELOPE.signatures)
    assert unverified(envelope, KEY) is Reason.BAD_SIGNATURE


def test_a_payload_signed_as_one_type_is_not_another() -> None:
    envelope = Envelope("application/vnd.saferoom.consent+json", PAYLOAD, ENVELOPE.signatures)
    assert unverified(envelope, KEY) is Reason.BAD_SIGNATURE


def test_the_boundary_between_type_and_payload_can_not_be_moved() -> None:
    signed = sign("a", b"b 1 c", KEY)
    moved = Envelope("a", b"c", signed.signatures)
    assert unverified(moved, KEY) is Reason.BAD_SIGNATURE


SIGNED = document()["signatures"]
ONE = cast("list[dict[str, str]]", SIGNED)[0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        altered(extra=1),
        altered(signatures=[]),
        altered(signatures={}),
        altered(signatures=None),
        altered(signatures=["sig"]),
        altered(signatures=[ONE, ONE]),
        altered(signatures=[ONE | {"cert": "x"}]),
        altered(signatures=[{"sig": ONE["sig"]}]),
        altered(signatures=[ONE | {"keyid": ""}]),
        altered(signatures=[ONE | {"keyid": 7}]),
        altered(signatures=[ONE | {"keyid": "k" * 129}]),
        altered(signatures=[ONE | {"sig": ""}]),
        altered(signatures=[ONE | {"sig": ONE["sig"].rstrip("=")}]),
        altered(signatures=[ONE | {"sig": base64.b64encode(bytes(4097)).decode()}]),
        altered(payload=7),
        altered(payload=None),
        altered(payload="not base64"),
        altered(payload=base64.urlsafe_b64encode(b"\xfb\xff\xfe").decode()),
        altered(payloadType=""),
        altered(payloadType=7),
        altered(payloadType="t" * 129),
        altered(payloadType="text/plain; x"),
        altered(payloadType="te\u0445t/plain"),
        ENVELOPE.to_json() + b"{}",
        ENVELOPE.to_json()[:-1] + b',"payload":"AAAA"}',
        json.dumps({"payload": "AAAA", "payloadType": "t"}).encode(),
    ],
)
def test_an_envelope_in_any_other_form_is_refused(data: bytes) -> None:
    assert refused(data) is Reason.MALFORMED


def test_too_many_signatures_are_refused_before_any_is_verified() -> None:
    many = [ONE | {"keyid": f"k{number}"} for number in range(MAX_SIGNATURES + 1)]
    assert refused(altered(signatures=many)) is Reason.MALFORMED
    assert len(Envelope.from_json(altered(signatures=many[1:])).signatures) == MAX_SIGNATURES


def test_the_largest_payload_travels_and_a_larger_one_is_refused() -> None:
    largest = sign(TYPE, bytes(MAX_PAYLOAD_BYTES), KEY)
    assert Envelope.from_json(largest.to_json()) == largest
    with pytest.raises(SafeRoomError) as refusal:
        sign(TYPE, bytes(MAX_PAYLOAD_BYTES + 1), KEY)
    assert refusal.value.reason is Reason.TOO_LARGE
    larger = base64.b64encode(bytes(MAX_PAYLOAD_BYTES + 1)).decode()
    assert refused(altered(payload=larger)) is Reason.TOO_LARGE
    assert refused(b"x" * (MAX_ENVELOPE_BYTES + 1)) is Reason.TOO_LARGE


def test_a_statement_signed_by_nobody_is_not_made() -> None:
    with pytest.raises(SafeRoomError) as refusal:
        sign(TYPE, PAYLOAD)
    assert refusal.value.reason is Reason.MALFORMED


def test_an_envelope_cannot_be_changed_after_it_was_verified() -> None:
    with pytest.raises(AttributeError):
        ENVELOPE.payload = b"no"  # pyright: ignore[reportAttributeAccessIssue] - the attack


def test_shown_in_a_log_an_envelope_is_its_digest_and_not_its_payload() -> None:
    assert ENVELOPE.digest in repr(ENVELOPE)
    assert "answer" not in repr(ENVELOPE)
