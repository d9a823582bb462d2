"""The log over HTTP, read-only: its newest checkpoint, and tiles (C2SP tlog-tiles).

It is served on an address of its own (`tiles.address`), in plain HTTP, to whoever reaches it: a
proxy of the operator's brings TLS. Nothing leaves here but signed heads, hashes and commitments.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Final

from saferoom.ledger.tiles import Place, Tiles
from saferoom.logs import Log
from saferoom.plain_http import IDLE_SECONDS, serving_pages
from saferoom_proto.reasons import SafeRoomError

MOST_CONNECTIONS: Final = 64
"""Of readers at a time."""

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_FOR_A_MOMENT: Final = "public, max-age=1"
_NEVER: Final = "no-store"

_BYTES: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Pages:
    """What is served."""

    tiles: Tiles
    checkpoint: Callable[[], str]
    log: Log


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of a checkpoint and of tiles: one request of each connection.

    What follows a request is not read: where it was the request's body, a proxy would give its
    answer to somebody else's request, and keep it for ever.
    """

    protocol_version = "HTTP/1.0"
    server_version = "saferoom"
    sys_version = ""
    timeout = IDLE_SECONDS

    def __init__(
        self, pages: _Pages, request: socket, address: object, server: ThreadingHTTPServer
    ) -> None:
        self._pages: Final = pages
        super().__init__(request, address, server)

    def do_GET(self) -> None:
        """Give what is asked for."""
        try:
            self._answer()
        except SafeRoomError as error:
            # What is damaged is for the operator to see; the reader gets no word of it.
            told = {"reason": str(error.reason), "detail": error.detail}
            self._pages.log.error("tile not served", **told)  # noqa: TRY400 - no traceback
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, b"", _TEXT, _NEVER)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _answer(self) -> None:
        if self.path == "/checkpoint":
            note = self._pages.checkpoint().encode()
            self._send(HTTPStatus.OK, note, _TEXT, _FOR_A_MOMENT)
            return
        try:
            place = Place.parse(self.path)
        except SafeRoomError:
            self._send(HTTPStatus.NOT_FOUND, b"no such path\n", _TEXT, _NEVER)
            return
        tile = self._pages.tiles.read(place)
        if tile is None:
            self._send(HTTPStatus.NOT_FOUND, b"the log has not come so far\n", _TEXT, _NEVER)
            return
        self._send(HTTPStatus.OK, tile, _BYTES, _FOR_EVER)

    def _send(self, status: HTTPStatus, body: bytes, kind: str, caching: str) -> None:
        packed = kind == _BYTES and "gzip" in self.headers.get("Accept-Encoding", "")
        if packed:
            body = gzip.compress(body, compresslevel=6, mtime=0)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", caching)
        if kind == _BYTES:
            self.send_header("Vary", "Accept-Encoding")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Keep no list of who read what."""


@contextmanager
def serving_tiles(
    tiles: Tiles, checkpoint: Callable[[], str], address: str, log: Log
) -> Generator[int]:
    """Serve the log while the room is open; gives the port.

    Raises:
        SafeRoomError: `BAD_CONFIG` if the address cannot be bound.
    """
    handler = partial(_Handler, _Pages(tiles, checkpoint, log))
    with serving_pages(handler, address, log, what="tiles", most=MOST_CONNECTIONS) as port:
        yield port
