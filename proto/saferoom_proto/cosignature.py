"""Cosignatures: a witness's word on a log, as a line of the checkpoint's note.

It says: at this instant, this is the largest tree I have seen of this log, and it begins with every
tree of it that I saw before. Two kinds are read and written, each with its own type byte in the
key: Ed25519, which signs the checkpoint's text, and ML-DSA-44, which the standard advises for
whatever is new: it signs the witness's name too, and holds against quantum computers.

Source: c2sp.org/tlog-cosignature, c2sp.org/signed-note (verifier keys), FIPS 204 (ML-DSA-44).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from saferoom_proto.checkpoint import (
    Checkpoint,
    NoteSignature,
    key_hint,
    require_name,
    signature_line,
)
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError

_TIME: Final = struct.Struct(">Q")
_MAX_TIME: Final = (1 << 63) - 1
_MAX_NAME_BYTES: Final = 255
"""An ML-DSA-44 cosignature signs names behind one byte that holds their length."""
_ML_DSA_44_BYTES: Final = 1312
"""Of a public key (FIPS 204 table 2)."""
_SUBTREE_LABEL: Final = b"subtree/v1\n\0"


class Algorithm(StrEnum):
    """How a witness signs."""

    ED25519 = "ed25519"
    ML_DSA_44 = "ml-dsa-44"

    @property
    def type_byte(self) -> bytes:
        """What stands before the public key (signed-note, signature types)."""
        return _TYPE_BYTES[self]


_TYPE_BYTES: Final = {Algorithm.ED25519: b"\x04", Algorithm.ML_DSA_44: b"\x06"}


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """A witness's name and public key: what its reader pins.

    Raises:
        SafeRoomError: `MALFORMED` for a name that no note carries, or no such public key.
    """

    name: str
    algorithm: Algorithm
    public: bytes
    _key: VerifyKey | MLDSA44PublicKey = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        require_name(self.name)
        if not self.name.isprintable() or len(self.name.encode()) > _MAX_NAME_BYTES:
            raise SafeRoomError(Reason.MALFORMED, "a witness's name is text of up to 255 bytes")
        object.__setattr__(self, "_key", _public_key(self.algorithm, self.public))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a verifier key: `NAME+ID+BASE64`.

        Raises:
            SafeRoomError: `MALFORMED`; also for a key of another signature type.
        """
        name, _, rest = text.partition("+")
        hint, _, encoded = rest.partition("+")
        typed = unb64(encoded)
        of_type = [each for each in Algorithm if each.type_byte == typed[:1]]
        if not of_type:
            raise SafeRoomError(Reason.MALFORMED, "not the key of a witness, by its type byte")
        key = cls(name, of_type[0], typed[1:])
        if hint != key.key_id.hex():
            raise SafeRoomError(Reason.MALFORMED, "a verifier key's id is not of its name and key")
        return key

    @property
    def text(self) -> str:
        """The verifier key as people hand it on."""
        return f"{self.name}+{self.key_id.hex()}+{b64(self._typed)}"

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a note's reader finds this key's lines."""
        return key_hint(self.name, self._typed)

    def signed(self, line: NoteSignature) -> bool:
        """Tell whether a line claims to be by this key."""
        return (line.name, line.key_id) == (self.name, self.key_id)

    def verify(self, line: NoteSignature, checkpoint: Checkpoint) -> int:
        """Check that this key cosigned a checkpoint, as a line of its note says.

        Returns:
            When, in seconds since 1970, by the witness's clock.

        Raises:
            SafeRoomError: `BAD_SIGNATURE`.
        """
        if len(line.sig) <= _TIME.size or not self.signed(line):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"not a cosignature by {self.name}")
        (time,) = _TIME.unpack_from(line.sig)
        if not 0 < time <= _MAX_TIME:
            # Zero would say nothing of this tree being the largest; only other subtrees may.
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"a cosignature by {self.name} has no time")
        signed = _message(self, checkpoint, time)
        sig = line.sig[_TIME.size :]
        if isinstance(self._key, VerifyKey):
            self._key.verify(sig, signed)
            return time
        try:
            self._key.verify(sig, signed)
        except InvalidSignature as error:
            detail = f"the cosignature is not by {self.name}"
            raise SafeRoomError(Reason.BAD_SIGNATURE, detail) from error
        return time

    @property
    def _typed(self) -> bytes:
        return self.algorithm.type_byte + self.public


@dataclass(frozen=True, slots=True, eq=False)
class Cosigner:
    """A witness's private key under its name. Its text form shows the public half only."""

    key: CosignerKey
    _private: SigningKey | MLDSA44PrivateKey = field(repr=False)

    @classmethod
    def generate(cls, name: str, algorithm: Algorithm) -> Self:
        """Make a witness's key from the operating system's randomness."""
        if algorithm is Algorithm.ED25519:
            return cls._of(name, SigningKey.generate())
        return cls._of(name, MLDSA44PrivateKey.generate())

    @classmethod
    def from_pem(cls, name: str, pem: bytes) -> Self:
        """Read an unencrypted PKCS #8 key of either kind.

        Raises:
            SafeRoomError: `BAD_CONFIG` for any other content.
        """
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SafeRoomError(Reason.BAD_CONFIG, "not an unencrypted PEM private key") from error
        if isinstance(private, Ed25519PrivateKey):
            return cls._of(name, SigningKey(private))
        if isinstance(private, MLDSA44PrivateKey):
            return cls._of(name, private)
        raise SafeRoomError(Reason.BAD_CONFIG, "a witness's key is Ed25519 or ML-DSA-44")

    def to_pem(self) -> bytes:
        """Write the unencrypted PKCS #8 form; whoever stores it guards it (mode 0600)."""
        if isinstance(self._private, SigningKey):
            return self._private.to_pem()
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def cosign(self, checkpoint: Checkpoint, time: int) -> str:
        """Cosign a checkpoint; who calls has verified that it follows all that was cosigned before.

        Args:
            checkpoint: of the log.
            time: now, in seconds since 1970.

        Returns:
            A line for the checkpoint's note.
        """
        signature = self._private.sign(_message(self.key, checkpoint, time))
        return signature_line(self.key.name, self.key.key_id, _TIME.pack(time) + signature)

    @classmethod
    def _of(cls, name: str, private: SigningKey | MLDSA44PrivateKey) -> Self:
        if isinstance(private, SigningKey):
            return cls(CosignerKey(name, Algorithm.ED25519, private.verify_key.raw), private)
        public = private.public_key().public_bytes_raw()
        return cls(CosignerKey(name, Algorithm.ML_DSA_44, public), private)


def _public_key(algorithm: Algorithm, public: bytes) -> VerifyKey | MLDSA44PublicKey:
    if algorithm is Algorithm.ED25519:
        return VerifyKey(public)
    if len(public) != _ML_DSA_44_BYTES:
        detail = f"an ML-DSA-44 public key has {_ML_DSA_44_BYTES} bytes"
        raise SafeRoomError(Reason.MALFORMED, detail)
    return MLDSA44PublicKey.from_public_bytes(public)


def _message(key: CosignerKey, checkpoint: Checkpoint, time: int) -> bytes:
    """Write what is signed; of ML-DSA-44, the standard's `cosigned_message` over a whole tree."""
    if key.algorithm is Algorithm.ED25519:
        return f"cosignature/v1\ntime {time}\n{checkpoint.text}".encode()
    return b"".join(
        (
            _SUBTREE_LABEL,
            _with_length(key.name),
            _TIME.pack(time),
            _with_length(checkpoint.origin),
            _TIME.pack(0),  # a checkpoint's tree begins at 0
            _TIME.pack(checkpoint.size),
            checkpoint.root,
        )
    )


def _with_length(name: str) -> bytes:
    encoded = name.encode()
    if len(encoded) > _MAX_NAME_BYTES:
        raise SafeRoomError(Reason.MALFORMED, "a cosigned log's origin has at most 255 bytes")
    return bytes([len(encoded)]) + encoded
