"""The ledger's leaf: bound to one statement, silent about it."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from saferoom_proto.entry import commitment, leaf
from saferoom_proto.reasons import Reason, SafeRoomError

salts = st.binary(min_size=32, max_size=32)
digests = st.binary(max_size=3).map(lambda data: f"sha256:{hashlib.sha256(data).hexdigest()}")
DIGEST = "sha256:" + "a" * 64


@given(salt=salts, digest=digests)
def test_a_commitment_is_the_hmac_of_the_digest_under_the_salt(salt: bytes, digest: str) -> None:
    expected = hmac.new(salt, digest.encode(), hashlib.sha256).digest()
    assert commitment(salt, digest) == expected
    assert leaf(expected) == b"saferoom entry v1\n" + base64.b64encode(expected) + b"\n"


@given(first=st.tuples(salts, digests), second=st.tuples(salts, digests))
def test_another_salt_or_statement_gives_another_commitment(
    first: tuple[bytes, str], second: tuple[bytes, str]
) -> None:
    assume(first != second)
    assert commitment(*first) != commitment(*second)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64, 65])
def test_a_salt_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        commitment(bytes(length), DIGEST)
    assert refusal.value.reason is Reason.MALFORMED


def test_two_salts_never_open_one_commitment_by_hmacs_padding() -> None:
    short = b"s" * 31
    padded = hmac.new(short + b"\0", DIGEST.encode(), hashlib.sha256).digest()
    assert hmac.new(short, DIGEST.encode(), hashlib.sha256).digest() == padded  # why it is fixed
    with pytest.raises(SafeRoomError):
        commitment(short, DIGEST)


@pytest.mark.parametrize("digest", ["", "a" * 64, DIGEST.upper(), DIGEST + "\n"])
def test_only_a_digest_is_committed_to(digest: str) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        commitment(bytes(32), digest)
    assert refusal.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_leaf_holds_a_whole_commitment(length: int) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        leaf(bytes(length))
    assert refusal.value.reason is Reason.MALFORMED


def test_a_leaf_tells_neither_salt_nor_digest() -> None:
    salt = bytes(range(32))
    data = leaf(commitment(salt, DIGEST))
    assert base64.b64encode(salt) not in data
    assert DIGEST.encode() not in data
