"""DSSE envelopes: the specification's example, another implementation, and what is refused."""

from __future__ import annotations

from saferoom_proto.dsse import Envelope, pae, sign
from saferoom_proto.keys import SigningKey

KEY = SigningKey.from_seed(bytes(32))
TYPE = "application/vnd.saferoom.test+json"


def test_the_encoding_is_the_specifications_own_example() -> None:
    encoded = pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_a_signed_envelope_survives_its_json_form() -> None:
    envelope = sign(TYPE, b'{"a":1}', KEY)
    back = Envelope.from_json(envelope.to_json())
    assert back == envelope
    assert back.digest == envelope.digest
    assert back.verify([KEY.verify_key]) == {KEY.verify_key.keyid}
