"""Signed statements: payload bytes in a DSSE envelope, signed over their type and length too.

The bytes that were signed travel as they are, so nobody has to agree on how to write JSON. A
statement's digest is over the pre-authentication encoding of its payload: it stays the same
whoever signs, and however the envelope is written.

The type names the crypto suite: `application/...+json` is the suite `international`'s, with
`;suite=guomi` behind it the suite `guomi`'s. So what a signature covers says how it was made and
how the statement is hashed, and a key of one suite signs nothing of the other.

Source: DSSE v1.0.2 (github.com/secure-systems-lab/dsse), protocol.md and envelope.md. Tests swap
envelopes with securesystemslib, whose reader is no model: it takes URL-safe base64, unknown fields
and any type of value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self, cast

from saferoom_proto.encoding import b64, dump, parse_object, unb64
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

MAX_PAYLOAD_BYTES: Final = 1 << 20
"""Enough for a batch of 10,000 rows in one signed request; a batch is cut to fit."""

MAX_SIGNATURES: Final = 32
"""More than any charter's approvers; each costs a verification."""

_GUOMI: Final = ";suite=guomi"
"""A parameter of the media type (RFC 6838 section 4.3); the international suite has none."""

_MAX_TYPE_CHARS: Final = 128
_MAX_KEYID_CHARS: Final = 128
_MAX_SIG_BYTES: Final = 4096
"""Above ML-DSA-65's 3309 (FIPS 204 table 2), the largest signature a suite could come to name."""

MAX_ENVELOPE_BYTES: Final = 2 * MAX_PAYLOAD_BYTES
"""Base64 makes 4 bytes of 3; the rest is for the signatures."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and the id of the key that is said to have made it."""

    keyid: str
    sig: bytes

    def __post_init__(self) -> None:
        _require_word(self.keyid, _MAX_KEYID_CHARS, "keyid")
        if not 0 < len(self.sig) <= _MAX_SIG_BYTES:
            raise SafeRoomError(Reason.MALFORMED, "DSSE: a signature is empty or too long")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type and at least one signature, none of them checked yet.

    `payload_type` says of what kind the statement is, `media_type` its suite too. `pae` is what is
    signed; `digest` is its hash, the statement's name.
    """

    payload_type: str
    payload: bytes = field(repr=False)
    signatures: tuple[Signature, ...]
    suite: Suite = Suite.INTERNATIONAL
    pae: bytes = field(init=False, repr=False, compare=False)
    digest: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if self.payload_type.endswith(_GUOMI):
            raise SafeRoomError(Reason.MALFORMED, "DSSE: a type that names its suite twice")
        if not 0 < len(self.signatures) <= MAX_SIGNATURES:
            raise SafeRoomError(Reason.MALFORMED, f"DSSE: {len(self.signatures)} signatures")
        if len({one.keyid for one in self.signatures}) != len(self.signatures):
            raise SafeRoomError(Reason.MALFORMED, "DSSE: two signatures name one key")
        object.__setattr__(self, "pae", pae(self.media_type, self.payload))
        object.__setattr__(self, "digest", self.suite.digest(self.pae))

    @classmethod
    def read(cls, media_type: str, payload: bytes, signatures: tuple[Signature, ...]) -> Self:
        """Make an envelope of its parts as they travel and lie: its type names the suite."""
        payload_type, suite = split_type(media_type)
        return cls(payload_type, payload, signatures, suite)

    @property
    def media_type(self) -> str:
        """The type as it travels: of which kind, and of which suite."""
        return media_type(self.payload_type, self.suite)

    @property
    def whole(self) -> str:
        """Digest of the whole envelope, signatures included: what a statement stream counts by.

        Two envelopes with one `digest` can differ in their signatures. A running hash over `whole`
        convicts whoever delivers a statement with a signature stripped or spoilt.
        """
        signed = b"".join(_framed(one.keyid.encode()) + _framed(one.sig) for one in self.signatures)
        return self.suite.digest(b"saferoom envelope v1\n" + _framed(self.pae) + signed)

    def verify(self, keys: Iterable[VerifyKey], threshold: int = 1) -> frozenset[str]:
        """Check that enough of these keys signed the payload.

        Signatures by other keys are passed over. One that names a given key and is not by it is
        refused even where others suffice: somebody altered the envelope. So is a key of another
        suite than the statement's.

        Args:
            keys: whose signatures count; a key given twice counts once.
            threshold: how many distinct keys must have signed.

        Returns:
            The ids of all given keys that signed.

        Raises:
            SafeRoomError: `BAD_SIGNATURE`; also for no keys or a threshold below 1.
        """
        known = {key.keyid: key for key in keys}
        if not known or not 1 <= threshold <= len(known):
            detail = f"DSSE: {threshold} of {len(known)} keys can not be met"
            raise SafeRoomError(Reason.BAD_SIGNATURE, detail)
        if any(key.suite is not self.suite for key in known.values()):
            detail = f"DSSE: a key of another suite than the statement's, {self.suite}"
            raise SafeRoomError(Reason.BAD_SIGNATURE, detail)
        signed: set[str] = set()
        for signature in self.signatures:
            if (key := known.get(signature.keyid)) is not None:
                key.verify(signature.sig, self.pae)
                signed.add(signature.keyid)
        if len(signed) < threshold:
            detail = f"DSSE: {len(signed)} of {threshold} signatures"
            raise SafeRoomError(Reason.BAD_SIGNATURE, detail)
        return frozenset(signed)

    def to_json(self) -> bytes:
        """Write the envelope's standard JSON form."""
        return dump(
            {
                "payload": b64(self.payload),
                "payloadType": self.media_type,
                "signatures": [
                    {"keyid": one.keyid, "sig": b64(one.sig)} for one in self.signatures
                ],
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read the standard JSON form, strictly: exactly its fields, standard base64.

        Raises:
            SafeRoomError: `MALFORMED` or `TOO_LARGE`.
        """
        document = parse_object(data, limit=MAX_ENVELOPE_BYTES)
        payload, payload_type, signatures = _fields(
            document, "payload", "payloadType", "signatures"
        )
        if not isinstance(signatures, list):
            raise SafeRoomError(Reason.MALFORMED, "DSSE: signatures is not a list")
        return cls.read(
            _text(payload_type),
            unb64(_text(payload)),
            tuple(_signature(item) for item in cast("list[object]", signatures)),
        )

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the standard JSON form as files and settings hold it, a text; as `from_json`."""
        return cls.from_json(text.encode())


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def media_type(payload_type: str, suite: Suite) -> str:
    """Write a kind's payload type as a statement of a suite carries it."""
    return payload_type + _GUOMI if suite is Suite.GUOMI else payload_type


def split_type(text: str) -> tuple[str, Suite]:
    """Take a type as it travels apart: the kind's, and the suite.

    Whatever else stands behind a semicolon stays with the kind, so that it is no known one.
    """
    kind = text.removesuffix(_GUOMI)
    return (text, Suite.INTERNATIONAL) if kind == text else (kind, Suite.GUOMI)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Give the pre-authentication encoding: the bytes that a signature covers.

    Raises:
        SafeRoomError: `MALFORMED` for a type that is none, `TOO_LARGE` past 1 MiB of payload.
    """
    _require_word(payload_type, _MAX_TYPE_CHARS, "payloadType")
    if len(payload) > MAX_PAYLOAD_BYTES:
        detail = f"DSSE: {len(payload)} bytes of payload, at most {MAX_PAYLOAD_BYTES}"
        raise SafeRoomError(Reason.TOO_LARGE, detail)
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, *keys: SigningKey) -> Envelope:
    """Sign a payload with one or more keys, as a statement of their suite.

    Raises:
        SafeRoomError: `MALFORMED` for no key, the same key twice, keys of two suites, or a type
            that is none; `TOO_LARGE` past 1 MiB.
    """
    suites = {key.suite for key in keys}
    if len(suites) > 1:
        raise SafeRoomError(Reason.MALFORMED, "DSSE: keys of two suites sign no statement together")
    suite = next(iter(suites), Suite.INTERNATIONAL)
    message = pae(media_type(payload_type, suite), payload)
    signatures = tuple(Signature(key.verify_key.keyid, key.sign(message)) for key in keys)
    return Envelope(payload_type, payload, signatures, suite)


def add_signature(statement: Envelope, key: SigningKey) -> Envelope:
    """Add one's signature to a statement that others signed.

    Raises:
        SafeRoomError: `MALFORMED` if this key has signed it already.
    """
    signature = Signature(key.verify_key.keyid, key.sign(statement.pae))
    signatures = (*statement.signatures, signature)
    return Envelope.read(statement.media_type, statement.payload, signatures)


def _signature(item: object) -> Signature:
    if not isinstance(item, dict):
        raise SafeRoomError(Reason.MALFORMED, "DSSE: a signature is not an object")
    keyid, sig = _fields(cast("dict[str, object]", item), "keyid", "sig")
    return Signature(_text(keyid), unb64(_text(sig)))


def _fields(document: dict[str, object], *names: str) -> tuple[object, ...]:
    if document.keys() != set(names):
        raise SafeRoomError(Reason.MALFORMED, f"DSSE: exactly {', '.join(names)} must stand there")
    return tuple(document[name] for name in names)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise SafeRoomError(Reason.MALFORMED, "DSSE: a field is not a string")
    return value


def _require_word(text: str, limit: int, name: str) -> None:
    """Refuse what could look like something else when shown: spaces, controls, other scripts."""
    # Printable ASCII is 0x20 to 0x7e; of these only the space is no part of a word.
    printable = text.isascii() and text.isprintable() and " " not in text
    if not 0 < len(text) <= limit or not printable:
        raise SafeRoomError(Reason.MALFORMED, f"DSSE: {name} is not 1 to {limit} ASCII characters")
