"""The log over HTTP: an independent reader recomputes it from the tiles alone."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import http.client
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from io import StringIO
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from saferoom.ledger.ledger import Ledger
from saferoom.ledger.tiles import Place
from saferoom.logs import Level, make_log
from saferoom.state.database import Database
from saferoom.tiles import MOST_CONNECTIONS, serving_tiles
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator import World
from tests.server.ledger.made_up import KEY, ORIGIN, consent, open_ledger
from tests.server.room.opened import SECONDS, opened

ENTRIES: Final = 600
"""Two full tiles and a part of one, with a level above."""


class Reader:
    """Knows HTTP, SHA-256 and Ed25519, and nothing of this project."""

    def __init__(self, port: int, key: bytes) -> None:
        self.port = port
        self.key = key

    def get(self, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            line.request("GET", path, headers=headers)
            answer = line.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            line.close()

    def checkpoint(self) -> tuple[int, bytes]:
        """Give size and root, by the log's own key."""
        status, body, _ = self.get("/checkpoint")
        assert status == 200
        text, _, signatures = body.decode().rpartition("\n\n")
        origin, size, root = text.split("\n")
        line = next(one for one in signatures.split("\n") if one.split(" ")[1] == origin)
        signature = base64.b64decode(line.split(" ")[2])[4:]
        Ed25519PublicKey.from_public_bytes(self.key).verify(signature, f"{text}\n".encode())
        return int(size), base64.b64decode(root)

    def tile(self, level: str, index: int, width: int) -> bytes:
        assert index < 1000
        part = "" if width == 256 else f".p/{width}"
        status, body, headers = self.get(f"/tile/{level}/{index:03}{part}")
        assert status == 200
        assert "immutable" in headers["Cache-Control"]
        assert headers["Content-Type"] == "application/octet-stream"
        return body

    def hashes(self, level: int, count: int) -> list[bytes]:
        """Read a whole level of so many hashes."""
        read: list[bytes] = []
        for index in range((count + 255) // 256):
            tile = self.tile(str(level), index, min(256, count - 256 * index))
            read += [tile[at : at + 32] for at in range(0, len(tile), 32)]
        return read

    def entries(self, count: int) -> list[bytes]:
        read: list[bytes] = []
        for index in range((count + 255) // 256):
            bundle = self.tile("entries", index, min(256, count - 256 * index))
            while bundle:
                (length,) = struct.unpack(">H", bundle[:2])
                read.append(bundle[2 : 2 + length])
                bundle = bundle[2 + length :]
        return read


def tree(hashes: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, over hashes of leaves."""
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << ((len(hashes) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + tree(hashes[:k]) + tree(hashes[k:])).digest()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    with Database.open(tmp_path / "room.db") as database:
        async with await open_ledger(database) as ledger:
            await asyncio.gather(*(ledger.append(consent(each)) for each in range(ENTRIES)))
            yield ledger


@pytest.fixture
def reader(ledger: Ledger) -> Iterator[Reader]:
    log = make_log(Level.INFO, StringIO())
    with serving_tiles(ledger.tiles, ledger.checkpoint, "127.0.0.1:0", log) as port:
        yield Reader(port, KEY.verify_key.raw)


def test_a_reader_recomputes_the_signed_root_from_the_tiles_alone(reader: Reader) -> None:
    size, root = reader.checkpoint()
    assert size == ENTRIES
    leaves = reader.hashes(0, size)
    assert len(leaves) == size
    assert tree(leaves) == root
    # Each hash of the level above is that of a full tile below it.
    above = reader.hashes(1, size // 256)
    assert above == [tree(leaves[at : at + 256]) for at in range(0, size - 255, 256)]
    assert tree([*above, tree(leaves[512:])]) == root


def test_the_entries_are_what_the_leaves_hash(reader: Reader) -> None:
    entries = reader.entries(ENTRIES)
    assert [hashlib.sha256(b"\x00" + each).digest() for each in entries] == reader.hashes(0, 600)


def test_nothing_leaves_but_salted_commitments(reader: Reader) -> None:
    for entry in reader.entries(ENTRIES):
        label, commitment, rest = entry.split(b"\n")
        assert (label, rest) == (b"saferoom entry v1", b"")
        assert len(base64.b64decode(commitment)) == 32


async def test_a_tile_of_an_earlier_size_is_still_there_when_the_log_has_grown(
    ledger: Ledger, reader: Reader
) -> None:
    before = await asyncio.to_thread(reader.tile, "0", 2, 88)
    await asyncio.gather(*(ledger.append(consent(each)) for each in range(ENTRIES, 620)))
    assert await asyncio.to_thread(reader.tile, "0", 2, 88) == before
    after = await asyncio.to_thread(reader.tile, "0", 2, 108)
    assert after[: len(before)] == before


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/checkpoint/",
        "/tile/0/003",
        "/tile/0/002",
        "/tile/0/002.p/89",
        "/tile/0/002.p/0",
        "/tile/0/002.p/256",
        "/tile/0/002.p/088",
        "/tile/1/000",
        "/tile/2/000.p/1",
        "/tile/64/000",
        "/tile/00/000",
        "/tile/-1/000",
        "/tile/0/0",
        "/tile/0/x000/000",
        "/tile/0/x999/x999/x999/x999/x999/x999/999",
        "/tile/63/x999/x999/x999/x999/x999/x999/999",
        "/tile/entries/003",
        "/tile/entries/../../../etc/passwd",
        "/tile/0/%30%30%30",
        "/tile/0/000?x=1",
        "/../room.toml",
    ],
)
def test_what_is_no_tile_of_this_log_is_not_found(reader: Reader, path: str) -> None:
    status, body, headers = reader.get(path)
    assert status == 404
    assert len(body) < 100
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("index", [0, 7, 999, 1000, 1234067])
def test_an_index_is_written_in_groups_of_three_digits(index: int) -> None:
    written = {0: "000", 7: "007", 999: "999", 1000: "x001/000", 1234067: "x001/x234/067"}[index]
    assert Place.parse(f"/tile/0/{written}") == Place(0, index, 256)
    assert Place.parse(f"/tile/entries/{written}.p/17") == Place(None, index, 17)


def test_the_newest_head_is_not_kept_by_caches_and_bodies_are_packed_on_request(
    reader: Reader,
) -> None:
    _, note, headers = reader.get("/checkpoint")
    assert headers["Cache-Control"] == "public, max-age=1"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert note.startswith(f"{ORIGIN}\n{ENTRIES}\n".encode())
    _, packed, headers = reader.get("/tile/entries/000", **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed) == reader.tile("entries", 0, 256)


def test_nothing_but_reading_is_answered(reader: Reader) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        line = http.client.HTTPConnection("127.0.0.1", reader.port, timeout=SECONDS)
        line.request(method, "/tile/0/000", body=b"x")
        assert line.getresponse().status == 501
        line.close()


def test_a_crowd_that_says_nothing_leaves_the_server_standing(reader: Reader) -> None:
    crowd = [
        socket.create_connection(("127.0.0.1", reader.port), timeout=SECONDS)
        for _ in range(MOST_CONNECTIONS + 20)
    ]
    for one in crowd:
        one.close()
    assert reader.checkpoint()[0] == ENTRIES


def test_a_crowd_that_goes_on_saying_little_keeps_no_reader_out(reader: Reader) -> None:
    with ExitStack() as left:
        for _ in range(2 * MOST_CONNECTIONS):
            one = left.enter_context(socket.create_connection(("127.0.0.1", reader.port)))
            one.sendall(b"GET /checkpoint HTTP/1.1\r\nX: ")
        for _ in range(5):
            assert reader.checkpoint()[0] == ENTRIES


@pytest.mark.parametrize("body", ["Content-Length: {}", "Content-Length : {}", "X: {}"])
def test_nothing_in_a_requests_body_is_answered(reader: Reader, body: str) -> None:
    """Else a proxy gives that answer to whoever asks next, and keeps it for ever."""
    hidden = b"GET /tile/0/001 HTTP/1.1\r\nHost: log\r\n\r\n"
    head = f"GET /tile/0/000 HTTP/1.1\r\nHost: log\r\n{body.format(len(hidden))}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", reader.port), timeout=SECONDS) as line:
        line.sendall(head.encode() + hidden)
        answers = b""
        with suppress(ConnectionResetError):
            while some := line.recv(1 << 16):
                answers += some
    assert answers.count(b"HTTP/1.") == 1


async def test_a_room_serves_its_log_where_its_settings_say_and_else_nowhere(
    tmp_path: Path,
) -> None:
    world = World("tiles")
    settings = '[tiles]\naddress = "127.0.0.1:0"\n'
    async with opened(tmp_path / "room", world, settings) as room:
        await room.join(world.owner("tax"), attend=False)
        port = room.server.tiles_port
        assert port is not None
        reader = Reader(port, world.ledger.key.verify_key.raw)
        size, root = await asyncio.to_thread(reader.checkpoint)
        leaves = await asyncio.to_thread(reader.hashes, 0, size)
        assert (size, tree(leaves)) == (1, root)
        taken = f'[tiles]\naddress = "127.0.0.1:{port}"\n'
        with pytest.raises(SafeRoomError, match=r"tiles\.address") as refusal:
            async with opened(tmp_path / "other", World("other"), taken):
                pass
        assert refusal.value.reason is Reason.BAD_CONFIG
    async with opened(tmp_path / "quiet", World("quiet")) as room:
        assert room.server.tiles_port is None
