"""Sealed snapshots: what was sealed comes back, and no other file passes for it."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_enclaves import vault
from saferoom_enclaves.vault import SnapshotId, open_snapshot, seal_snapshot, snapshot_path
from saferoom_proto.reasons import Reason, SafeRoomError

KEK: Final = bytes(range(32))
OWNER: Final = "tax"
CHUNK: Final = 64  # so that small files have many chunks
SEALED_CHUNK: Final = CHUNK + 16
HEADER: Final = 66
CANARY: Final = b"canary-4711-canary"
PLAINTEXT: Final = (CANARY + b".") * 20  # 380 bytes: six chunks, the last one shorter


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "CHUNK_BYTES", CHUNK)


def content(memfd: int) -> bytes:
    with os.fdopen(memfd, "rb") as file:
        file.seek(0)
        return file.read()


def refusal(folder: Path, expected: SnapshotId, kek: bytes = KEK, owner: str = OWNER) -> str:
    """Open what must not open, and tell the reason and the rule."""
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    with pytest.raises(SafeRoomError) as caught:
        open_snapshot(folder, kek, owner, expected)
    assert len(list(descriptors.iterdir())) == before  # no memfd is left open
    assert CANARY.decode() not in str(caught.value)
    return str(caught.value)


@given(plaintext=st.binary(max_size=5 * CHUNK), epoch=st.integers(1, (1 << 64) - 1))
def test_what_was_sealed_comes_back(plaintext: bytes, epoch: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        sealed = seal_snapshot(Path(name), KEK, OWNER, epoch, plaintext)
        assert sealed.epoch == epoch
        assert content(open_snapshot(Path(name), KEK, OWNER, sealed)) == plaintext


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_lengths_around_the_end_of_a_chunk(tmp_path: Path, length: int) -> None:
    sealed = seal_snapshot(tmp_path, KEK, OWNER, 1, b"x" * length)
    chunks = max(1, -(-length // CHUNK))
    assert snapshot_path(tmp_path, 1).stat().st_size == HEADER + length + 16 * chunks
    assert content(open_snapshot(tmp_path, KEK, OWNER, sealed)) == b"x" * length


def test_a_file_is_sealed_as_its_bytes_are(tmp_path: Path) -> None:
    file = io.BytesIO(PLAINTEXT)
    file.seek(100)  # where it stands does not matter
    sealed = seal_snapshot(tmp_path, KEK, OWNER, 1, file)
    assert content(open_snapshot(tmp_path, KEK, OWNER, sealed)) == PLAINTEXT


def test_a_file_that_reads_in_drips_is_sealed_whole(tmp_path: Path) -> None:
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 7))

    sealed = seal_snapshot(tmp_path, KEK, OWNER, 1, Dripping(PLAINTEXT))
    assert content(open_snapshot(tmp_path, KEK, OWNER, sealed)) == PLAINTEXT


def test_no_plaintext_is_on_disk_and_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    seal_snapshot(tmp_path, KEK, OWNER, 1, PLAINTEXT)
    path = snapshot_path(tmp_path, 1)
    assert CANARY[:6] not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_memory_cannot_be_changed(tmp_path: Path) -> None:
    sealed = seal_snapshot(tmp_path, KEK, OWNER, 1, PLAINTEXT)
    memfd = open_snapshot(tmp_path, KEK, OWNER, sealed)
    attempts: list[Callable[[], object]] = [
        lambda: os.pwrite(memfd, b"x", 0),
        lambda: os.pwrite(memfd, b"x", len(PLAINTEXT)),
        lambda: os.ftruncate(memfd, 0),
    ]
    for attempt in attempts:
        with pytest.raises(PermissionError):
            attempt()
    assert content(memfd) == PLAINTEXT


def test_the_same_epoch_sealed_twice_shares_no_key(tmp_path: Path) -> None:
    first = seal_snapshot(tmp_path, KEK, OWNER, 1, PLAINTEXT)
    before = snapshot_path(tmp_path, 1).read_bytes()[HEADER:]
    second = seal_snapshot(tmp_path, KEK, OWNER, 1, PLAINTEXT)
    after = snapshot_path(tmp_path, 1).read_bytes()[HEADER:]
    assert first.digest != second.digest
    assert before[:CHUNK] != after[:CHUNK]  # else key and nonce were the same


# Attacks. Each takes the sealed file and gives what the attacker puts in its place.


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _chunk(data: bytes, index: int) -> bytes:
    start = HEADER + index * SEALED_CHUNK
    return data[start : start + SEALED_CHUNK]


def _shortened(data: bytes, chunks: int) -> bytes:
    """Drop chunks from the end and make the header agree."""
    length, count = chunks * CHUNK, chunks
    header = data[:18] + length.to_bytes(8, "big") + count.to_bytes(8, "big") + data[34:HEADER]
    return header + data[HEADER : HEADER + chunks * SEALED_CHUNK]


ATTACKS: Final[dict[str, tuple[Callable[[bytes], bytes], str]]] = {
    "a flipped bit in a chunk": (
        lambda data: _flip(data, HEADER + SEALED_CHUNK + 5),
        "STORE_DAMAGED: chunk 1 does not authenticate",
    ),
    "a flipped bit in the last tag": (
        lambda data: _flip(data, len(data) - 1),
        "STORE_DAMAGED: chunk 5 does not authenticate",
    ),
    "two chunks swapped": (
        lambda data: (
            data[:HEADER] + _chunk(data, 1) + _chunk(data, 0) + data[HEADER + 2 * SEALED_CHUNK :]
        ),
        "STORE_DAMAGED: chunk 0 does not authenticate",
    ),
    "a chunk repeated in place of another": (
        lambda data: (
            data[: HEADER + 2 * SEALED_CHUNK] + _chunk(data, 1) + data[HEADER + 3 * SEALED_CHUNK :]
        ),
        "STORE_DAMAGED: chunk 2 does not authenticate",
    ),
    "cut short": (
        lambda data: data[:-7],
        "STORE_DAMAGED: the file's length does not fit its header",
    ),
    "cut to half a header": (
        lambda data: data[: HEADER // 2],
        "STORE_DAMAGED: the file is shorter than a header",
    ),
    "empty": (lambda _: b"", "STORE_DAMAGED: the file is shorter than a header"),
    "the last chunk dropped": (
        lambda data: data[: HEADER + 5 * SEALED_CHUNK],
        "STORE_DAMAGED: the file's length does not fit its header",
    ),
    "the last chunk dropped and the header made to fit": (
        lambda data: _shortened(data, 5),
        "STORE_DAMAGED: chunk 0 does not authenticate",
    ),
    "bytes appended": (
        lambda data: data + b"\0" * SEALED_CHUNK,
        "STORE_DAMAGED: the file's length does not fit its header",
    ),
    "a later epoch written into the header": (
        lambda data: data[:10] + (8).to_bytes(8, "big") + data[18:],
        "STORE_DAMAGED: the file is of epoch 8, not 7",
    ),
    "an earlier epoch written into the header": (
        lambda data: data[:10] + (6).to_bytes(8, "big") + data[18:],
        "STORE_ROLLED_BACK: the file is of epoch 6, not 7",
    ),
    "another number of chunks": (
        lambda data: data[:26] + (5).to_bytes(8, "big") + data[34:],
        "STORE_DAMAGED: the number of chunks does not fit the length",
    ),
    "another salt": (
        lambda data: _flip(data, 40),
        "STORE_DAMAGED: chunk 0 does not authenticate",
    ),
    "another version": (
        lambda data: _flip(data, 9),
        "STORE_DAMAGED: the format's version is 0, not 1",
    ),
    "another format": (
        lambda data: b"SQLite f" + data[8:],
        "STORE_DAMAGED: the file is not a sealed snapshot",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_tampering_is_refused_by_its_rule(tmp_path: Path, attack: str) -> None:
    alter, rule = ATTACKS[attack]
    sealed = seal_snapshot(tmp_path, KEK, OWNER, 7, PLAINTEXT)
    path = snapshot_path(tmp_path, 7)
    path.write_bytes(alter(path.read_bytes()))
    assert refusal(tmp_path, sealed) == rule


@given(at=st.integers(0, HEADER + len(PLAINTEXT) + 6 * 16 - 1), bit=st.integers(0, 7))
def test_no_bit_can_be_changed(at: int, bit: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sealed = seal_snapshot(folder, KEK, OWNER, 7, PLAINTEXT)
        data = bytearray(snapshot_path(folder, 7).read_bytes())
        data[at] ^= 1 << bit
        snapshot_path(folder, 7).write_bytes(data)
        assert refusal(folder, sealed).startswith("STORE_")


def test_another_owners_file_is_refused(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    sealed = seal_snapshot(theirs, KEK, "court", 7, PLAINTEXT)
    snapshot_path(theirs, 7).rename(snapshot_path(ours, 7))
    assert refusal(ours, sealed) == "STORE_DAMAGED: chunk 0 does not authenticate"


def test_an_older_file_in_the_place_of_the_newest_is_refused(tmp_path: Path) -> None:
    seal_snapshot(tmp_path, KEK, OWNER, 6, PLAINTEXT)
    newest = seal_snapshot(tmp_path, KEK, OWNER, 7, PLAINTEXT + b"more")
    snapshot_path(tmp_path, 6).rename(snapshot_path(tmp_path, 7))
    assert refusal(tmp_path, newest) == "STORE_ROLLED_BACK: the file is of epoch 6, not 7"


def test_an_unlogged_file_of_the_same_epoch_is_refused(tmp_path: Path) -> None:
    logged = seal_snapshot(tmp_path, KEK, OWNER, 7, PLAINTEXT)
    seal_snapshot(tmp_path, KEK, OWNER, 7, PLAINTEXT)
    assert refusal(tmp_path, logged) == "STORE_ROLLED_BACK: the file's digest is not the ledger's"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    sealed = seal_snapshot(tmp_path, KEK, OWNER, 7, PLAINTEXT)
    snapshot_path(tmp_path, 7).unlink()
    assert refusal(tmp_path, sealed) == "STORE_DAMAGED: there is no snapshot of epoch 7"


@pytest.mark.parametrize("key", [KEK[::-1], bytes(32)])
def test_a_wrong_key_opens_nothing(tmp_path: Path, key: bytes) -> None:
    sealed = seal_snapshot(tmp_path, KEK, OWNER, 7, PLAINTEXT)
    found = refusal(tmp_path, sealed, kek=key)
    assert found == "STORE_DAMAGED: chunk 0 does not authenticate"


@pytest.mark.parametrize("key", [b"", KEK[:16], KEK + b"x"])
def test_a_key_of_another_length_is_not_used(tmp_path: Path, key: bytes) -> None:
    with pytest.raises(SafeRoomError) as caught:
        seal_snapshot(tmp_path, key, OWNER, 7, PLAINTEXT)
    assert caught.value.reason is Reason.BAD_CONFIG
    assert list(tmp_path.iterdir()) == []


def test_a_sealing_that_fails_leaves_nothing_and_keeps_the_old(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > CHUNK:
                raise OSError("the disk failed")
            return super().read(size)

    sealed = seal_snapshot(tmp_path, KEK, OWNER, 7, PLAINTEXT)
    with pytest.raises(OSError, match="the disk failed"):
        seal_snapshot(tmp_path, KEK, OWNER, 7, Failing(PLAINTEXT))
    assert [entry.name for entry in tmp_path.iterdir()] == ["snapshot-7.sealed"]
    assert content(open_snapshot(tmp_path, KEK, OWNER, sealed)) == PLAINTEXT


def test_a_store_that_shrinks_while_it_is_sealed_is_refused(tmp_path: Path) -> None:
    class Shrinking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(size) if self.tell() < CHUNK else b""

    with pytest.raises(SafeRoomError, match="shrank"):
        seal_snapshot(tmp_path, KEK, OWNER, 7, Shrinking(PLAINTEXT))
    assert list(tmp_path.iterdir()) == []


def test_only_a_few_chunks_are_held_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = 1 << 16
    monkeypatch.setattr(vault, "CHUNK_BYTES", chunk)
    plain = tmp_path / "plain"
    plain.write_bytes(bytes(100 * chunk))
    tracemalloc.start()
    try:
        with plain.open("rb") as file:
            sealed = seal_snapshot(tmp_path, KEK, OWNER, 7, file)
        os.close(open_snapshot(tmp_path, KEK, OWNER, sealed))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * chunk
