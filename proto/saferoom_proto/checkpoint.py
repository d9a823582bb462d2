"""The ledger's signed head and its proofs, as text that other tools for such logs can read.

Three formats, each built on the one before: a signed note, a checkpoint (a note whose text is a
log's origin, size and root), and an inclusion proof that carries its checkpoint. Witnesses add
their own lines to a note; lines by keys unknown here are passed over, as the standard asks.

The log of a room of the suite guomi is signed with SM2 and hashed with SM3, for which the standards
have no name yet: its signature type is the one kept for such, 0xff, with a name of our own behind
it. Tools that know only the standards' types see a note by a key they do not know.

Source: c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature and
c2sp.org/tlog-proof@v1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from saferoom_proto.encoding import b64, unb64
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.merkle import HASH_BYTES, empty_root, leaf_hash, verify_inclusion
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

MAX_SIGNATURES: Final = 17
"""The log's own and 16 witnesses': signed-note asks for at least 16 in all."""

_MAX_NOTE_CHARS: Final = 1 << 17
"""17 lines of the largest signatures the standard speaks of (5 kB), in base64, and the text."""

_MAX_HASHES: Final = 63
"""The longest path in a tree of fewer than 2^63 leaves."""

_MAX_SIZE: Final = (1 << 63) - 1
_EMPTY_ROOTS: Final = frozenset(map(empty_root, Suite))
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)

KEY_ID_BYTES: Final = 4
_DASH: Final = "\u2014 "
_TYPES: Final = {
    Suite.INTERNATIONAL: b"\x01",  # signed-note's type byte of a plain Ed25519 signature
    Suite.GUOMI: b"\xffsaferoom.sm2-sm3/v1\n",
}
"""What stands before a public key (signed-note, "Signature types": behind 0xff, whatever is long
enough to be nobody else's)."""
_PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line of a note: the signer's name, the short key id, the signature."""

    name: str
    key_id: bytes
    sig: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note's text, which ends in a newline, and its signature lines, none of them checked."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, note: str) -> Self:
        """Split a note at its last empty line.

        Raises:
            SafeRoomError: `MALFORMED` if it is not a note in every line, `TOO_LARGE` past 128 KiB.
        """
        if len(note) > _MAX_NOTE_CHARS:
            raise SafeRoomError(Reason.TOO_LARGE, f"a note of {len(note)} characters")
        _require_text(note)
        text, blank, signed = note.rpartition("\n\n")
        *lines, after = signed.split("\n")
        if not text or not blank or after or not 0 < len(lines) <= MAX_SIGNATURES:
            raise _malformed("a note is text, an empty line and 1 to 17 signature lines")
        return cls(f"{text}\n", tuple(_parse_signature(line) for line in lines))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's head: whose log, how many leaves, and their Merkle root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_name(self.origin)
        if not 0 <= self.size <= _MAX_SIZE or len(self.root) != HASH_BYTES:
            raise _malformed("a checkpoint has a size below 2^63 and a root of 32 bytes")
        if self.size == 0 and self.root not in _EMPTY_ROOTS:
            raise _malformed("the empty tree has one root only")
        if any(not line or "\n" in line for line in self.extensions):
            raise _malformed("an extension is one line and not empty")

    @property
    def text(self) -> str:
        """The note text that is signed."""
        lines = (self.origin, str(self.size), b64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note's text as a checkpoint; its signatures are another matter.

        Raises:
            SafeRoomError: `MALFORMED`.
        """
        *lines, after = text.split("\n")
        if after or len(lines) < 3:  # noqa: PLR2004 - origin, size and root
            raise _malformed("a checkpoint begins with origin, size and root")
        origin, size, root, *extensions = lines
        return cls(origin, _parse_decimal(size), unb64(root), tuple(extensions))


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """Where a leaf stands, the path to the root, and the note of the checkpoint with that root.

    `extra` is whatever the maker put beside it; nothing vouches for it.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: str
    extra: bytes = b""

    def __post_init__(self) -> None:
        if not 0 <= self.index <= _MAX_SIZE or len(self.hashes) > _MAX_HASHES:
            raise _malformed("a proof has an index below 2^63 and at most 63 hashes")
        if any(len(one) != HASH_BYTES for one in self.hashes):
            raise _malformed(f"a hash in a proof has {HASH_BYTES} bytes")

    def verify(self, leaf: bytes, origin: str, key: VerifyKey) -> Checkpoint:
        """Check that the log of this origin and key holds a leaf of these bytes at the index.

        Returns:
            The log's checkpoint.

        Raises:
            SafeRoomError: `MALFORMED`, `BAD_SIGNATURE` or `BAD_PROOF`.
        """
        head = open_checkpoint(self.note, origin, key)
        self.require_under(leaf, head, key.suite)
        return head

    def require_under(
        self, leaf: bytes, head: Checkpoint, suite: Suite = Suite.INTERNATIONAL
    ) -> None:
        """Check that a log's verified head holds a leaf of these bytes at the index.

        Args:
            leaf: its bytes.
            head: the log's.
            suite: of the log's key.

        Raises:
            SafeRoomError: `BAD_PROOF`.
        """
        hashed = leaf_hash(leaf, suite)
        verify_inclusion(self.index, head.size, hashed, self.hashes, head.root, suite=suite)


def key_id(name: str, key: VerifyKey) -> bytes:
    """Give the four bytes that point a note's reader to the log's key; a hint, not an identity."""
    return key_hint(name, _TYPES[key.suite] + key.raw)


def key_hint(name: str, typed_key: bytes) -> bytes:
    """Give the key id of a name and a public key behind the byte of its signature type."""
    return hashlib.sha256(name.encode() + b"\n" + typed_key).digest()[:KEY_ID_BYTES]


def signature_line(name: str, key_id: bytes, sig: bytes) -> str:
    """Write a signature as a line of a note."""
    require_name(name)
    return f"{_DASH}{name} {b64(key_id + sig)}\n"


def sign_note(text: str, name: str, key: SigningKey) -> str:
    """Sign a text under a name.

    Raises:
        SafeRoomError: `MALFORMED` if the text does not end in a newline or a note can not carry it.
    """
    _require_text(text)
    if not text.endswith("\n"):
        raise _malformed("a note's text ends in a newline")
    line = signature_line(name, key_id(name, key.verify_key), key.sign(text.encode()))
    return f"{text}\n{line}"


def cosign_note(note: str, name: str, keys: Iterable[SigningKey]) -> str:
    """Add the signatures of those keys of a name that have not signed a note.

    Raises:
        SafeRoomError: `MALFORMED` if that is no note.
    """
    parsed = Note.parse(note)
    signed = {(each.name, each.key_id) for each in parsed.signatures}
    for key in keys:
        own = key_id(name, key.verify_key)
        if (name, own) not in signed:
            note += signature_line(name, own, key.sign(parsed.text.encode()))
    return note


def add_lines(note: str, lines: Iterable[str]) -> str:
    """Add signatures to a note.

    Raises:
        SafeRoomError: `MALFORMED` if that is no note, or there are too many.
    """
    whole = note + "".join(lines)
    Note.parse(whole)
    return whole


def open_note(note: str, name: str, key: VerifyKey) -> str:
    """Give a note's text if the key of that name signed it.

    Raises:
        SafeRoomError: `MALFORMED` for a broken line, whoever's it is; `BAD_SIGNATURE` if that key's
            line is missing or does not verify.
    """
    parsed = Note.parse(note)
    expected = key_id(name, key)
    own = [one for one in parsed.signatures if (one.name, one.key_id) == (name, expected)]
    if not own:
        raise SafeRoomError(Reason.BAD_SIGNATURE, "the note lacks the expected signer's line")
    for signature in own:
        key.verify(signature.sig, parsed.text.encode())
    return parsed.text


def sign_checkpoint(cp: Checkpoint, key: SigningKey) -> str:
    """Write a checkpoint as a note, signed by the log's key under the log's origin."""
    return sign_note(cp.text, cp.origin, key)


def open_checkpoint(note: str, origin: str, key: VerifyKey) -> Checkpoint:
    """Read a checkpoint that this log signed, whoever else signed it too.

    Raises:
        SafeRoomError: `MALFORMED`, or `BAD_SIGNATURE` if it is not this log's.
    """
    checkpoint = Checkpoint.parse(open_note(note, origin, key))
    if checkpoint.origin != origin:
        raise SafeRoomError(Reason.BAD_SIGNATURE, "the checkpoint is of another log")
    if checkpoint.size == 0 and checkpoint.root != empty_root(key.suite):
        raise SafeRoomError(Reason.BAD_PROOF, "the empty tree's root is of another hash")
    return checkpoint


def format_proof(index: int, hashes: Sequence[bytes], note: str, extra: bytes = b"") -> str:
    """Write an inclusion proof with its checkpoint.

    Raises:
        SafeRoomError: `MALFORMED`.
    """
    proof = InclusionProof(index, tuple(hashes), note, extra)
    lines = [_PROOF_HEADER, f"index {proof.index}", *map(b64, proof.hashes)]
    if extra:
        lines.insert(1, f"extra {b64(extra)}")
    return "".join(f"{line}\n" for line in lines) + f"\n{note}"


def parse_proof(text: str) -> InclusionProof:
    """Read an inclusion proof; nothing in it is checked but its form.

    Raises:
        SafeRoomError: `MALFORMED`.
    """
    head, _, note = text.partition("\n\n")
    header, *lines = head.split("\n")
    if header != _PROOF_HEADER or not lines:
        raise _malformed(f"a proof begins with {_PROOF_HEADER}")
    extra = b""
    if lines[0].startswith("extra "):
        extra = unb64(lines.pop(0).removeprefix("extra "))
        if not extra:
            raise _malformed("empty extra data is left out")
    if not lines or not lines[0].startswith("index "):
        raise _malformed("a proof names its leaf's index")
    index = _parse_decimal(lines[0].removeprefix("index "))
    Note.parse(note)
    return InclusionProof(index, tuple(unb64(line) for line in lines[1:]), note, extra)


def _parse_signature(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise _malformed("a signature line is a dash, a name and base64")
    require_name(name)
    signature = unb64(encoded)
    if len(signature) <= KEY_ID_BYTES:
        raise _malformed("a signature line holds no signature")
    return NoteSignature(name, signature[:KEY_ID_BYTES], signature[KEY_ID_BYTES:])


def _parse_decimal(text: str) -> int:
    if _DECIMAL.fullmatch(text) is None:
        raise _malformed("a number is decimal digits without leading zeros")
    return int(text)


def require_name(name: str) -> None:
    """Refuse with `MALFORMED` what names no key in a note."""
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise _malformed("a key name is not empty and holds no space and no plus")


def _require_text(text: str) -> None:
    """Refuse controls, which could hide a line from whoever looks at the note."""
    if any((char < " " and char != "\n") or "\ud800" <= char <= "\udfff" for char in text):
        raise _malformed("a note holds a control or a half character")


def _malformed(detail: str) -> SafeRoomError:
    return SafeRoomError(Reason.MALFORMED, f"note: {detail}")
