"""Sealing: what is sealed to one reader for one purpose opens for nobody else and nothing else."""

from __future__ import annotations

import pickle

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke as reference
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto.hpke import SealingKey, require_public, seal
from saferoom_proto.reasons import Reason, SafeRoomError

INFO = b"saferoom test v1"
KEY = SealingKey.from_bytes(bytes(range(96)))
OVERHEAD = 1136  # an ML-KEM ciphertext, an X25519 key and the tag of AES-GCM


def refused(ciphertext: bytes, key: SealingKey = KEY, info: bytes = INFO) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as refusal:
        key.open(ciphertext, info=info)
    assert refusal.value.reason is Reason.BAD_SEAL
    return refusal.value


def is_refused(ciphertext: bytes, key: SealingKey = KEY, info: bytes = INFO) -> bool:
    """Tell whether it opens to nothing, for the one reason there is."""
    return refused(ciphertext, key, info).reason is Reason.BAD_SEAL


@given(plaintext=st.binary(max_size=300), info=st.binary(min_size=1, max_size=40))
def test_what_is_sealed_opens_to_itself(plaintext: bytes, info: bytes) -> None:
    sealed = seal(KEY.public, plaintext, info=info)
    assert KEY.open(sealed, info=info) == plaintext
    assert len(sealed) == len(plaintext) + OVERHEAD


def test_a_key_survives_a_restart() -> None:
    key = SealingKey.generate()
    again = SealingKey.from_bytes(key.to_bytes())
    assert again.public == key.public
    assert again.open(seal(key.public, b"yes", info=INFO), info=INFO) == b"yes"


def test_one_plaintext_is_never_sealed_the_same_way_twice() -> None:
    assert seal(KEY.public, b"yes", info=INFO) != seal(KEY.public, b"yes", info=INFO)


@given(data=st.data())
def test_any_flipped_bit_is_refused(data: st.DataObject) -> None:
    sealed = seal(KEY.public, b"the answer", info=INFO)
    place = data.draw(st.integers(0, len(sealed) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    assert is_refused(sealed[:place] + bytes([sealed[place] ^ bit]) + sealed[place + 1 :])


@given(kept=st.integers(0, OVERHEAD + 9))
def test_any_truncation_is_refused(kept: int) -> None:
    assert is_refused(seal(KEY.public, b"the answer", info=INFO)[:kept])


def test_appended_bytes_are_refused() -> None:
    assert is_refused(seal(KEY.public, b"the answer", info=INFO) + b"\0")


def test_another_key_opens_nothing() -> None:
    assert is_refused(seal(KEY.public, b"yes", info=INFO), key=SealingKey.generate())


def test_a_seal_for_one_purpose_opens_for_no_other() -> None:
    sealed = seal(KEY.public, b"store key", info=b"saferoom store key v1")
    assert is_refused(sealed, info=b"saferoom answer v1")


def test_halves_of_two_seals_do_not_go_together() -> None:
    first, second = (seal(KEY.public, text, info=INFO) for text in (b"yes", b"no!"))
    assert is_refused(first[:1120] + second[1120:])
    assert is_refused(first[:1088] + second[1088:1120] + first[1120:])


def test_a_seal_without_a_purpose_is_refused_on_both_sides() -> None:
    with pytest.raises(SafeRoomError) as refusal:
        seal(KEY.public, b"yes", info=b"")
    assert refusal.value.reason is Reason.BAD_SEAL
    assert is_refused(seal(KEY.public, b"yes", info=INFO), info=b"")


@pytest.mark.parametrize(
    "public",
    [
        b"",
        KEY.public[:-1],
        KEY.public + b"\0",
        b"\xff" * 1184 + KEY.public[1184:],  # coefficients beyond ML-KEM's modulus
        KEY.public[:1184] + bytes(32),  # X25519's point of small order: the shared secret is known
    ],
    ids=["empty", "short", "long", "ml-kem", "x25519"],
)
def test_what_is_no_public_key_is_not_sealed_to(public: bytes) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        seal(public, b"yes", info=INFO)
    assert refusal.value.reason is Reason.BAD_SEAL


LOW_ORDER = [
    # RFC 7748 section 7 asks for the check; the points: Bernstein, cr.yp.to/ecdh.html, "validate".
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    # The same, written past the field: p and p + 1.
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("high_bit", [0, 0x80], ids=["plain", "high bit"])
@pytest.mark.parametrize("low", LOW_ORDER)
def test_a_point_of_low_order_is_refused_before_anything_is_sealed(low: str, high_bit: int) -> None:
    x25519 = bytearray.fromhex(low)
    x25519[-1] |= high_bit
    with pytest.raises(ValueError, match=r".*"):  # the list is right: nothing can be shared with it
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(bytes(x25519)))
    with pytest.raises(SafeRoomError, match="low order") as refusal:
        require_public(KEY.public[:1184] + bytes(x25519))
    assert refusal.value.reason is Reason.BAD_SEAL


@given(st.binary(min_size=32, max_size=32))
def test_every_other_point_is_taken_and_can_be_sealed_to(x25519: bytes) -> None:
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(x25519))
    except ValueError:
        return
    assert seal(KEY.public[:1184] + x25519, b"yes", info=INFO)


@pytest.mark.parametrize("length", [0, 64, 95, 97])
def test_seeds_of_another_length_are_bad_configuration(length: int) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        SealingKey.from_bytes(bytes(length))
    assert refusal.value.reason is Reason.BAD_CONFIG


def test_the_private_form_is_the_two_standard_seeds() -> None:
    seeds = KEY.to_bytes()
    assert seeds == bytes(range(96))
    halves = (
        MLKEM768PrivateKey.from_seed_bytes(seeds[:64]).public_key(),
        X25519PrivateKey.from_private_bytes(seeds[64:]).public_key(),
    )
    assert KEY.public == b"".join(half.public_bytes_raw() for half in halves)


def test_the_suite_is_the_one_that_the_contract_names() -> None:
    suite = reference.Suite(
        reference.KEM.MLKEM768_X25519, reference.KDF.HKDF_SHA256, reference.AEAD.AES_256_GCM
    )
    private = reference.MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(bytes(range(64))),
        X25519PrivateKey.from_private_bytes(bytes(range(64, 96))),
    )
    sealed = seal(KEY.public, b"yes", info=INFO)
    assert suite.decrypt(sealed, private, info=INFO) == b"yes"
    weaker = reference.Suite(
        reference.KEM.MLKEM768_X25519, reference.KDF.HKDF_SHA256, reference.AEAD.AES_128_GCM
    )
    with pytest.raises(InvalidTag):
        weaker.decrypt(sealed, private, info=INFO)


def test_a_refusal_does_not_say_what_was_wrong() -> None:
    sealed = seal(KEY.public, b"yes", info=INFO)
    faults = [sealed[:10], sealed[:-1], bytes(len(sealed)), sealed[:-1] + bytes([sealed[-1] ^ 1])]
    assert len({str(refused(fault)) for fault in faults}) == 1


def test_nothing_shown_or_pickled_holds_the_private_half() -> None:
    assert KEY.to_bytes()[:16].hex() not in repr(KEY)
    assert "0x" in repr(KEY)  # the object's address and nothing of its fields
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
