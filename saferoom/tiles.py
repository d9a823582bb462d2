"""The log over HTTP, read-only: its newest checkpoint, and tiles (C2SP tlog-tiles).

It is served on an address of its own (`tiles.address`), in plain HTTP, to whoever reaches it: a
proxy of the operator's brings TLS. Nothing leaves here but signed heads, hashes and commitments.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from threading import BoundedSemaphore, Lock, Thread
from typing import Final

from saferoom.config import split_address
from saferoom.ledger.tiles import Place, Tiles
from saferoom.logs import Log
from saferoom_proto.reasons import Reason, SafeRoomError

MOST_CONNECTIONS: Final = 64
"""Each holds a thread; for one more the oldest is closed: who says little keeps nobody out."""
_IDLE_SECONDS: Final = 10.0
"""After which a connection that says nothing is closed."""
_ROOM_SECONDS: Final = 0.1
"""So long the end of the oldest is waited for; else the new one is closed."""

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
    timeout = _IDLE_SECONDS

    def __init__(self, pages: _Pages, request: socket, address: object, server: _Server) -> None:
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


class _Server(ThreadingHTTPServer):
    """Serves in threads, a bounded number of them."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS
    """Else a crowd's sixth connection waits for its first packet to be sent again: a second."""

    def __init__(self, address: tuple[str, int], pages: _Pages) -> None:
        self._log: Final = pages.log
        self._places: Final = BoundedSemaphore(MOST_CONNECTIONS)
        self._open: Final = dict[socket, None]()
        """In the order in which they came."""
        self._lock: Final = Lock()
        super().__init__(address, partial(_Handler, pages))

    def process_request(  # pyright: ignore[reportIncompatibleMethodOverride] - TCP only
        self, request: socket, client_address: object
    ) -> None:
        """Serve a connection in a thread of its own, in the oldest's place if all are taken."""
        if not self._places.acquire(blocking=False):
            self._end_oldest()
            if not self._places.acquire(timeout=_ROOM_SECONDS):
                self.shutdown_request(request)
                return
        with self._lock:
            self._open[request] = None
        super().process_request(request, client_address)

    def process_request_thread(  # pyright: ignore[reportIncompatibleMethodOverride] - TCP only
        self, request: socket, client_address: object
    ) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(request, None)
            self._places.release()

    def _end_oldest(self) -> None:
        """Have the thread of the oldest connection come to its end."""
        with self._lock:
            oldest = next(iter(self._open), None)
            if oldest is not None:
                del self._open[oldest]
        if oldest is not None:
            with suppress(OSError):  # it was at its end already
                oldest.shutdown(SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a reader that left in the middle, and of the rest what it was."""
        del request, client_address
        error = sys.exception()
        if not isinstance(error, OSError):
            self._log.error("tile not served", failed=type(error).__name__)


@contextmanager
def serving_tiles(
    tiles: Tiles, checkpoint: Callable[[], str], address: str, log: Log
) -> Generator[int]:
    """Serve the log while the room is open; gives the port.

    Raises:
        SafeRoomError: `BAD_CONFIG` if the address cannot be bound.
    """
    try:
        server = _Server(split_address(address), _Pages(tiles, checkpoint, log))
    except OSError as error:
        detail = f"tiles.address: cannot listen on {address}: {error.strerror}"
        raise SafeRoomError(Reason.BAD_CONFIG, detail) from error
    thread = Thread(target=server.serve_forever, name="tiles", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
