"""SM2: the standard's vector, another implementation, and what is no key or no signature."""

from __future__ import annotations

import shutil
import subprocess
import sys
from base64 import encodebytes
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ssl import DER_cert_to_PEM_cert

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from saferoom_proto import sm2
from saferoom_proto.identity import organisation_uri
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite
from simulator import World

# GB/T 32918.5-2017, appendix A.2: a signature on the recommended curve.
PRIVATE = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
PUBLIC = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
MESSAGE = b"message digest"
DIGEST = "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640"
R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA
ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
PRIME = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF

KEY = SigningKey.generate(Suite.GUOMI)
GIVEN = VerifyKey(PUBLIC)
SIGNED = encode_dss_signature(R, S)


def reason(attempt: Callable[[], object]) -> Reason:
    with pytest.raises(SafeRoomError) as refusal:
        attempt()
    return refusal.value.reason


def test_the_standards_signature_verifies() -> None:
    GIVEN.verify(SIGNED, MESSAGE)
    assert sm2.message_digest(PUBLIC, MESSAGE).hex() == DIGEST
    own = SigningKey.from_pem(pem(sm2.to_pkcs8(PRIVATE, PUBLIC)))
    assert own.verify_key == GIVEN
    GIVEN.verify(own.sign(MESSAGE), MESSAGE)


def test_a_key_says_that_it_is_of_sm2() -> None:
    assert GIVEN.suite is KEY.suite is Suite.GUOMI
    assert GIVEN.keyid == f"sm2:{Suite.GUOMI.hash(PUBLIC).hex()[:32]}"
    assert VerifyKey.from_public(GIVEN.public) == GIVEN
    assert PRIVATE.hex() not in repr(SigningKey.from_pem(pem(sm2.to_pkcs8(PRIVATE, PUBLIC))))


@pytest.mark.parametrize(
    "other",
    [
        b"",
        SIGNED[:-1],
        SIGNED + b"\0",
        SIGNED[:2] + b"\0" + SIGNED[3:],
        R.to_bytes(32, "big") + S.to_bytes(32, "big"),
        b"\x30\x47" + SIGNED[2:37] + b"\x02\x22\x00" + SIGNED[39:],
        encode_dss_signature(0, S),
        encode_dss_signature(R, 0),
        encode_dss_signature(R + ORDER, S),
        encode_dss_signature(R, S + ORDER),
        encode_dss_signature(R, ORDER - S),
        encode_dss_signature(S, R),
    ],
)
def test_a_signature_has_one_form_and_one_value(other: bytes) -> None:
    assert reason(lambda: GIVEN.verify(other, MESSAGE)) is Reason.BAD_SIGNATURE


def test_another_message_or_key_does_not_verify() -> None:
    assert reason(lambda: GIVEN.verify(SIGNED, MESSAGE + b"!")) is Reason.BAD_SIGNATURE
    assert reason(lambda: KEY.verify_key.verify(SIGNED, MESSAGE)) is Reason.BAD_SIGNATURE


def test_no_two_signatures_are_alike() -> None:
    first, second = KEY.sign(MESSAGE), KEY.sign(MESSAGE)
    assert decode_dss_signature(first)[0] != decode_dss_signature(second)[0]


@pytest.mark.parametrize(
    "raw",
    [
        PUBLIC[1:],
        b"\x02" + PUBLIC[1:33],
        b"\x05" + PUBLIC[1:],
        PUBLIC[:-1] + bytes([PUBLIC[-1] ^ 1]),
        b"\x04" + bytes(64),
        b"\x04" + (PRIME + 1).to_bytes(32, "big") + PUBLIC[33:],
        b"\x04" + b"\xff" * 64,
        PUBLIC + b"\0",
    ],
)
def test_what_is_no_point_of_the_curve_is_no_key(raw: bytes) -> None:
    assert reason(lambda: VerifyKey(raw)) is Reason.MALFORMED


def test_a_key_file_is_read_back() -> None:
    again = SigningKey.from_pem(KEY.to_pem())
    assert again.verify_key == KEY.verify_key
    assert again.to_pem() == KEY.to_pem()


@pytest.mark.parametrize(
    "der",
    [
        sm2.to_pkcs8(PRIVATE, KEY.verify_key.raw),  # the halves of two keys
        sm2.to_pkcs8(bytes(32), PUBLIC),
        sm2.to_pkcs8(ORDER.to_bytes(32, "big"), PUBLIC),
        sm2.to_pkcs8((ORDER - 1).to_bytes(32, "big"), PUBLIC),
        sm2.to_pkcs8(PRIVATE, b"\x04" + bytes(64)),
        sm2.to_pkcs8(PRIVATE, PUBLIC) + b"\0",
        sm2.to_pkcs8(PRIVATE, PUBLIC)[:-1],
    ],
)
def test_a_key_file_that_does_not_fit_is_refused(der: bytes) -> None:
    assert reason(lambda: SigningKey.from_pem(pem(der))) is Reason.BAD_CONFIG


def test_text_around_a_key_file_is_no_part_of_it() -> None:
    for data in (b"more\n" + KEY.to_pem(), KEY.to_pem() * 2, KEY.to_pem().replace(b"\n", b"?", 2)):
        assert reason(lambda data=data: SigningKey.from_pem(data)) is Reason.BAD_CONFIG


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no other implementation is here")
def test_openssl_reads_our_keys_and_signatures_and_we_read_its(tmp_path: Path) -> None:
    message, key, signature = (tmp_path / name for name in ("message", "key.pem", "signature"))
    message.write_bytes(MESSAGE)
    openssl("genpkey", "-algorithm", "SM2", "-out", key)
    theirs = SigningKey.from_pem(key.read_bytes())
    options = ("-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678")
    with_key = ("-inkey", key, "-in", message)
    openssl("pkeyutl", "-sign", *with_key, "-out", signature, *options)
    theirs.verify_key.verify(signature.read_bytes(), MESSAGE)
    key.write_bytes(KEY.to_pem())
    signature.write_bytes(KEY.sign(MESSAGE))
    told = openssl("pkeyutl", "-verify", *with_key, "-sigfile", signature, *options)
    assert "Signature Verified Successfully" in told


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no other implementation is here")
def test_openssl_verifies_our_certificates(tmp_path: Path) -> None:
    issuer, days = World("openssl", suite=Suite.GUOMI).issuer, timedelta(days=365)
    now = datetime.now(UTC)
    der = issuer.issue(organisation_uri("bank-a", "desk"), KEY.verify_key, now - days, 2 * days)
    authority, member = tmp_path / "authority.pem", tmp_path / "member.pem"
    authority.write_text(issuer.certificate)
    member.write_text(DER_cert_to_PEM_cert(der))
    identity = ("-vfyopt", "distid:1234567812345678")
    assert openssl("verify", "-CAfile", authority, *identity, authority, member).count("OK") == 2


def test_without_the_extra_a_key_of_sm2_is_refused_by_name() -> None:
    code = (
        "import sys; sys.modules['gmssl_pyx'] = None\n"
        "from saferoom_proto.keys import SigningKey, VerifyKey\n"
        "from saferoom_proto.suite import Suite\n"
        "SigningKey.generate()\n"
        f"key = VerifyKey(bytes.fromhex('{PUBLIC.hex()}'))\n"
        "for attempt in (lambda: SigningKey.generate(Suite.GUOMI), lambda: key.verify(b'', b'')):\n"
        "    try:\n"
        "        attempt()\n"
        "    except Exception as error:\n"
        "        print(error, *error.__notes__)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        told.stdout.splitlines()
        == ["NOT_INSTALLED: SM2 signatures need saferoom[guomi] pip install saferoom[guomi]"] * 2
    )


def pem(der: bytes) -> bytes:
    """Wrap a key's DER form."""
    return b"-----BEGIN PRIVATE KEY-----\n" + encodebytes(der) + b"-----END PRIVATE KEY-----\n"


def openssl(*arguments: str | Path) -> str:
    """Have OpenSSL do something; gives what it says."""
    words = ["openssl", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
