"""Sealed snapshots: an owner's store, encrypted at rest and bound to its place.

A snapshot is one file of 1 MiB chunks under AES-256-GCM (SM4-GCM in a room of the suite guomi),
after the STREAM construction: the nonce counts the chunks, and what is authenticated with each
names the header, the owner's store, the chunk's index and whether it is the last. So no chunk can
be altered, moved, dropped, cut off, appended, or taken from another file. That a whole file is not
an older one is what the epoch and the digest in the ledger are for.

Source: Hoang, Reyhanitabar, Rogaway, Vizar: Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance (CRYPTO 2015), section 7, STREAM; RFC 5869, HKDF.
"""

from __future__ import annotations

import hmac
import io
import os
import struct
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, fcntl
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag

from saferoom_enclaves.aead import TAG_BYTES, aead
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite, suite_of

KEY_BYTES: Final = 32
"""Length of a store's key-encryption key, from which each snapshot's key is derived."""
CHUNK_BYTES: Final = 1 << 20
"""Plaintext of a chunk. Larger ones unseal no faster (measured), smaller ones cost tags."""

_MAGIC: Final = b"SAFEROOM"
_VERSIONS: Final = {Suite.INTERNATIONAL: 1, Suite.GUOMI: 2}
"""Of the format, by what a file is sealed with."""
_HEADER: Final = struct.Struct(">8sHQQQ32s")
_PLACE: Final = struct.Struct(">QB")


@dataclass(frozen=True, slots=True)
class SnapshotId:
    """Which snapshot counts: what the ledger holds of it.

    Attributes:
        epoch: the store's version, from 1, higher with every load.
        digest: of the sealed file, by the hash of the room's suite.
    """

    epoch: int
    digest: str


@dataclass(frozen=True, slots=True)
class _Header:
    epoch: int
    plaintext_bytes: int
    salt: bytes
    suite: Suite

    @property
    def chunks(self) -> int:
        """How many chunks there are; an empty store has one, so that its end is sealed too."""
        return max(1, -(-self.plaintext_bytes // CHUNK_BYTES))

    @property
    def file_bytes(self) -> int:
        return _HEADER.size + self.plaintext_bytes + self.chunks * TAG_BYTES

    def pack(self) -> bytes:
        counts = (self.epoch, self.plaintext_bytes, self.chunks)
        return _HEADER.pack(_MAGIC, _VERSIONS[self.suite], *counts, self.salt)

    @classmethod
    def parse(cls, packed: bytes, suite: Suite) -> _Header:
        if len(packed) != _HEADER.size:
            raise _damaged("the file is shorter than a header")
        magic, version, epoch, plaintext_bytes, chunks, salt = _HEADER.unpack(packed)
        if magic != _MAGIC:
            raise _damaged("the file is not a sealed snapshot")
        if version != _VERSIONS[suite]:
            raise _damaged(f"the format's version is {version}, not {_VERSIONS[suite]}")
        header = cls(epoch, plaintext_bytes, salt, suite)
        if chunks != header.chunks:
            raise _damaged("the number of chunks does not fit the length")
        return header


class _Sealer:
    """The cipher of one snapshot: its key, and what each chunk is bound to."""

    def __init__(self, kek: bytes, owner: str, header: _Header) -> None:
        if len(kek) != KEY_BYTES:
            raise SafeRoomError(Reason.BAD_CONFIG, f"a store key has {KEY_BYTES} bytes")
        name = owner.encode()
        store = struct.pack(">H", len(name)) + name
        # The salt is fresh for every sealing. Without it, an epoch sealed a second time, after a
        # crash between sealing and logging, would use the same key and nonces for other bytes.
        info = b"saferoom sealed snapshot v1\0" + struct.pack(">Q", header.epoch) + store
        self._cipher = aead(header.suite.derive(kek, info, header.salt), header.suite)
        self._bound = header.pack() + store
        self._last = header.chunks - 1

    def seal(self, index: int, plaintext: bytes) -> bytes:
        return self._cipher.encrypt(self._nonce(index), plaintext, self._place(index))

    def open(self, index: int, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(self._nonce(index), sealed, self._place(index))
        except InvalidTag as error:
            raise _damaged(f"chunk {index} does not authenticate") from error

    def _nonce(self, index: int) -> bytes:
        return struct.pack(">IQ", 0, index)

    def _place(self, index: int) -> bytes:
        return self._bound + _PLACE.pack(index, index == self._last)


def snapshot_path(folder: Path, epoch: int) -> Path:
    """Names the file of an epoch."""
    return folder / f"snapshot-{epoch}.sealed"


def seal_snapshot(
    folder: Path,
    kek: bytes,
    owner: str,
    epoch: int,
    plaintext: BinaryIO | bytes,
    *,
    suite: Suite = Suite.INTERNATIONAL,
) -> SnapshotId:
    """Seals a store into its owner's folder, durably, and tells what the ledger must hold of it.

    The file appears whole or not at all: it is written beside its place, synced, renamed, and the
    folder synced. It replaces a file of the same epoch, which a crash before logging can leave.

    Args:
        folder: the owner's folder for sealed snapshots.
        kek: the store's key-encryption key, 32 bytes.
        owner: the store's name.
        epoch: the store's new version, above the ledger's.
        plaintext: the store; a file must be seekable and stay as it is.
        suite: the room's.

    Raises:
        SafeRoomError: BAD_CONFIG, the key has another length; INTERNAL, the file changed.
        OSError: the disk is full or failing.
    """
    source = io.BytesIO(plaintext) if isinstance(plaintext, bytes) else plaintext
    length = source.seek(0, os.SEEK_END)
    source.seek(0)
    header = _Header(epoch, length, os.urandom(32), suite)
    sealer = _Sealer(kek, owner, header)
    digest = suite.running()
    digest.update(header.pack())
    with _appearing(snapshot_path(folder, epoch)) as target:
        target.write(header.pack())
        for index in range(header.chunks):
            size = min(CHUNK_BYTES, length - index * CHUNK_BYTES)
            piece = _read(source, size)
            if len(piece) != size:
                raise SafeRoomError(Reason.INTERNAL, "the store shrank while it was sealed")
            sealed = sealer.seal(index, piece)
            digest.update(sealed)
            target.write(sealed)
    return SnapshotId(epoch, suite.named(digest.digest()))


def open_snapshot(folder: Path, kek: bytes, owner: str, expected: SnapshotId) -> int:
    """Opens the snapshot that the ledger names into memory, and nothing else.

    Returns:
        The descriptor of a memfd with the plaintext, sealed against every change. The caller
        closes it. Nothing of a snapshot that fails any rule is returned.

    Raises:
        SafeRoomError: STORE_DAMAGED or STORE_ROLLED_BACK, naming the rule that failed; BAD_CONFIG,
            the key has another length.
    """
    try:
        source = snapshot_path(folder, expected.epoch).open("rb", buffering=0)
    except FileNotFoundError as error:
        raise _damaged(f"there is no snapshot of epoch {expected.epoch}") from error
    with source:
        header = _Header.parse(_read(source, _HEADER.size), suite_of(expected.digest))
        if header.epoch < expected.epoch:
            raise _rolled_back(f"the file is of epoch {header.epoch}, not {expected.epoch}")
        if header.epoch > expected.epoch:
            raise _damaged(f"the file is of epoch {header.epoch}, not {expected.epoch}")
        if os.fstat(source.fileno()).st_size != header.file_bytes:
            raise _damaged("the file's length does not fit its header")
        memfd = os.memfd_create("store", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            digest = _unseal(source, memfd, _Sealer(kek, owner, header), header)
            _require_same(digest, expected.digest)
            freeze(memfd)
        except BaseException:
            os.close(memfd)
            raise
    return memfd


def freeze(memfd: int) -> None:
    """Seal memory against every change, for ever.

    Raises:
        OSError: somebody has it mapped for writing.
    """
    fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)


def _unseal(source: BinaryIO, memfd: int, sealer: _Sealer, header: _Header) -> str:
    """Decrypts every chunk into the memfd, and returns the digest of the file."""
    digest = header.suite.running()
    digest.update(header.pack())
    for index in range(header.chunks):
        size = min(CHUNK_BYTES, header.plaintext_bytes - index * CHUNK_BYTES)
        sealed = _read(source, size + TAG_BYTES)
        digest.update(sealed)
        piece = memoryview(sealer.open(index, sealed))
        while piece:
            piece = piece[os.write(memfd, piece) :]
    return header.suite.named(digest.digest())


def _require_same(digest: str, expected: str) -> None:
    if not hmac.compare_digest(digest, expected):
        raise _rolled_back("the file's digest is not the ledger's")


@contextmanager
def _appearing(path: Path) -> Generator[BinaryIO]:
    """Gives a file to write that takes its name only when it is whole and on disk."""
    part = path.with_name(path.name + ".part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(source: BinaryIO, size: int) -> bytes:
    """Reads so many bytes, or fewer at the end of the file; one read may return less."""
    piece = source.read(size)
    while 0 < len(piece) < size and (more := source.read(size - len(piece))):
        piece += more
    return piece


def _damaged(rule: str) -> SafeRoomError:
    return SafeRoomError(Reason.STORE_DAMAGED, rule)


def _rolled_back(rule: str) -> SafeRoomError:
    return SafeRoomError(Reason.STORE_ROLLED_BACK, rule)
