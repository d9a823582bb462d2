"""Signing keys: the standard's vectors, other tools' files, and what never leaves a key."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

KEY = SigningKey.from_seed(bytes(range(32)))

PRIME = 2**255 - 19
CURVE_D = -121665 * pow(121666, -1, PRIME) % PRIME
Point = tuple[int, int]


def reason(attempt: Callable[[], object]) -> Reason:
    with pytest.raises(SafeRoomError) as refusal:
        attempt()
    return refusal.value.reason


def add(first: Point, second: Point) -> Point:
    """The addition law of RFC 8032 section 5.1, in affine coordinates."""
    (x1, y1), (x2, y2) = first, second
    twist = CURVE_D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + twist, -1, PRIME)
    y = (y1 * y2 + x1 * x2) * pow(1 - twist, -1, PRIME)
    return x % PRIME, y % PRIME


def times(factor: int, point: Point) -> Point:
    total = (0, 1)
    while factor:
        if factor & 1:
            total = add(total, point)
        point, factor = add(point, point), factor >> 1
    return total


def any_point(seed: int) -> Point:
    """A point of the curve whose x is found for the first y from the seed that has one."""
    for y in range(seed, seed + 100):
        square = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, PRIME) % PRIME
        root = pow(square, (PRIME + 3) // 8, PRIME)
        for x in (root, root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME):
            if x * x % PRIME == square:
                return x, y
    raise AssertionError("every second y has an x")


def weak_points() -> set[Point]:
    """All points of the torsion group, by the group's own order and nothing else."""
    order = 2**252 + 27742317777372353535851937790883648493
    for seed in range(2, 2000, 100):
        generator = times(order, any_point(seed))
        found = {times(factor, generator) for factor in range(8)}
        if len(found) == 8:
            return found
    raise AssertionError("no point of order 8 was found")


def test_the_first_vectors_of_rfc_8032_hold() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = SigningKey.from_seed(seed)
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.verify_key.raw.hex() == public
    assert key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


@given(seed=st.binary(min_size=32, max_size=32), data=st.binary(max_size=100))
def test_a_signature_verifies_and_one_flipped_bit_does_not(seed: bytes, data: bytes) -> None:
    key = SigningKey.from_seed(seed)
    sig = key.sign(data)
    key.verify_key.verify(sig, data)
    place = len(data) % 64
    flipped = sig[:place] + bytes([sig[place] ^ 1]) + sig[place + 1 :]
    assert reason(lambda: key.verify_key.verify(flipped, data)) is Reason.BAD_SIGNATURE
    assert reason(lambda: key.verify_key.verify(sig, data + b"!")) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("sig", [b"", bytes(63), bytes(64), bytes(65)])
def test_what_is_no_signature_is_refused_as_one(sig: bytes) -> None:
    assert reason(lambda: KEY.verify_key.verify(sig, b"data")) is Reason.BAD_SIGNATURE


def test_a_key_is_known_by_its_public_half() -> None:
    key = KEY.verify_key
    assert VerifyKey.from_public(key.public) == key
    assert {key, VerifyKey(key.raw)} == {key}
    assert key.keyid.startswith("ed25519:")
    assert len(key.keyid) == len("ed25519:") + 32
    assert key.keyid != SigningKey.generate().verify_key.keyid
    assert KEY.suite is Suite.INTERNATIONAL


def test_the_pem_form_is_one_that_other_tools_read_and_write() -> None:
    other = load_pem_private_key(KEY.to_pem(), password=None)
    public = other.public_key()
    assert isinstance(public, Ed25519PublicKey)
    assert public.public_bytes_raw() == KEY.verify_key.raw
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert SigningKey.from_pem(pem).verify_key == KEY.verify_key


def other_pems() -> list[bytes]:
    private = load_pem_private_key(KEY.to_pem(), password=None)
    encryption = BestAvailableEncryption(b"password")
    return [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        KEY.to_pem()[:-40],
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption),
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        X25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
    ]


def test_anything_but_one_open_ed25519_key_is_bad_configuration() -> None:
    for pem in other_pems():
        assert reason(lambda pem=pem: SigningKey.from_pem(pem)) is Reason.BAD_CONFIG


def test_a_seed_or_public_key_of_another_length_is_refused() -> None:
    assert reason(lambda: SigningKey.from_seed(bytes(31))) is Reason.BAD_CONFIG
    assert reason(lambda: VerifyKey(KEY.verify_key.raw + b"\0")) is Reason.MALFORMED
    assert reason(lambda: VerifyKey.from_public("not base64")) is Reason.MALFORMED


def test_a_key_under_which_one_signature_fits_many_messages_is_refused() -> None:
    points = weak_points()
    assert len(points) == 8
    for x, y in points:
        for alias in (y, y + PRIME):  # small y have a second, longer way to be written
            for sign in (x & 1, 1 - (x & 1)):
                if alias < 2**255:
                    raw = (alias | sign << 255).to_bytes(32, "little")
                    assert reason(lambda raw=raw: VerifyKey(raw)) is Reason.MALFORMED


def test_a_key_not_written_in_its_one_form_is_refused() -> None:
    raw = (PRIME + 3).to_bytes(32, "little")
    assert reason(lambda: VerifyKey(raw)) is Reason.MALFORMED


def test_nothing_shown_or_pickled_holds_the_private_half() -> None:
    seed = bytes(range(32))
    shown = repr(KEY) + str(KEY) + f"{KEY}"
    assert seed.hex() not in shown
    assert repr(seed) not in shown
    assert "_private" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(KEY)


def test_a_verify_key_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        KEY.verify_key.raw = bytes(32)  # pyright: ignore[reportAttributeAccessIssue] - the attack
