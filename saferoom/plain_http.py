"""Pages in plain HTTP, each server on an address of its own, for few connections at a time.

A connection holds a thread and a file. For one more than there may be the oldest is closed, so
whoever says little, or never reads, keeps nobody out for longer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, SOCK_STREAM, getaddrinfo, socket
from threading import BoundedSemaphore, Lock, Thread
from typing import Final

from saferoom.config import split_address
from saferoom.logs import Log
from saferoom_proto.reasons import Reason, SafeRoomError

IDLE_SECONDS: Final = 10.0
"""After which a connection that says nothing, or takes nothing, is closed: a handler's timeout."""
_ROOM_SECONDS: Final = 0.1
"""So long the end of the oldest is waited for; else the new one is closed."""

Handler = Callable[[socket, object, ThreadingHTTPServer], BaseHTTPRequestHandler]


class _Server(ThreadingHTTPServer):
    """Serves in threads, a bounded number of them."""

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], handler: Handler, most: int, failed: Callable[[str], None]
    ) -> None:
        # Else a crowd's sixth connection waits for its first packet to be sent again: a second.
        self.request_queue_size = most
        self.address_family = getaddrinfo(*address, type=SOCK_STREAM)[0][0]
        self._failed: Final = failed
        self._places: Final = BoundedSemaphore(most)
        self._open: Final = dict[socket, None]()
        """In the order in which they came."""
        self._lock: Final = Lock()
        super().__init__(address, handler)

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
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # there is no thread left to start
            self._leave(request)
            raise

    def process_request_thread(  # pyright: ignore[reportIncompatibleMethodOverride] - TCP only
        self, request: socket, client_address: object
    ) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(request)

    def _leave(self, request: socket) -> None:
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
            self._failed(type(error).__name__)


@contextmanager
def serving_pages(
    handler: Handler, address: str, log: Log, *, what: str, most: int
) -> Generator[int]:
    """Serve pages while the room is open; gives the port.

    Args:
        handler: answers a connection.
        address: where, `HOST:PORT`.
        log: the operator's.
        what: the section of the settings that names the address.
        most: the most connections at a time.

    Raises:
        SafeRoomError: `BAD_CONFIG` if the address cannot be bound.
    """

    def failed(error: str) -> None:
        log.error("page not served", page=what, failed=error)

    try:
        server = _Server(split_address(address), handler, most, failed)
    except OSError as error:
        detail = f"{what}.address: cannot listen on {address}: {error.strerror}"
        raise SafeRoomError(Reason.BAD_CONFIG, detail) from error
    thread = Thread(target=server.serve_forever, name=what, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
