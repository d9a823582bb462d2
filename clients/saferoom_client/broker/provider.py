"""One request to a provider: GET, mutual TLS, no redirect, so many bytes, so many seconds.

The standard library's HTTP and TLS, in a thread. Its time-outs are for each read, so whoever sends
a byte a second would never end: the whole request has a time after which its socket is shut.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from threading import Timer
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from saferoom_client.broker.config import SourceConfig
from saferoom_client.files import bad_file, read_private
from saferoom_proto.encoding import parse_object
from saferoom_proto.reasons import SafeRoomError

MOST_BYTES: Final = 1 << 20
"""Of an answer, as the enclave takes them."""
_NOT_FOUND_BYTES: Final = 4096
_PIECE_BYTES: Final = 1 << 16
_HTTPS_PORT: Final = 443
_LEAST_SECONDS: Final = 0.05


class Outcome(StrEnum):
    """What became of a request, as the enclave is told it."""

    ANSWERED = "answered"
    NOBODY = "nobody"
    """The provider knows no such subject."""
    UNUSABLE = "unusable"
    """It answered with more than is read."""
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider said.

    Attributes:
        outcome: what became of the request.
        why: for the broker's log; never a part of an answer.
        data: the answer.
        again: whether another try may have more luck.
    """

    outcome: Outcome
    why: str = ""
    data: bytes = field(default=b"", repr=False)
    again: bool = False


def tls_of(folder: Path, source: SourceConfig) -> ssl.SSLContext:
    """Make the TLS of a source: who vouches for the provider, and what it knows the broker by.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the file.
    """
    key = folder / source.key
    read_private(key)
    try:
        context = ssl.create_default_context(cafile=str(folder / source.authorities))
    except OSError as error:
        raise bad_file(folder / source.authorities, "no certificates in PEM") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # As Python 3.13 does by itself: what one version refuses, the others do, too.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        context.load_cert_chain(folder / source.certificate, key)
    except OSError as error:
        rule = "no certificate in PEM that goes with the key"
        raise bad_file(folder / source.certificate, rule) from error
    return context


def get(source: SourceConfig, tls: ssl.SSLContext, subject: str, seconds: float) -> Reply:
    """Ask for one subject's record, once.

    Args:
        source: whom.
        tls: its TLS.
        subject: the subject's code, checked.
        seconds: the longest that all of it may take.
    """
    try:
        with _connected(source, tls, seconds) as connection:
            path = f"{urlsplit(source.url).path}/{subject}"
            headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
            connection.request("GET", path, headers=headers)
            return _read(connection.getresponse(), subject)
    except ssl.SSLCertVerificationError as error:
        return Reply(Outcome.UNAVAILABLE, f"its certificate: {error.verify_message}")
    except ssl.SSLError as error:
        return Reply(Outcome.UNAVAILABLE, f"TLS: {error.reason or 'cut off'}", again=True)
    except TimeoutError:
        return Reply(Outcome.UNAVAILABLE, "no answer in time", again=True)
    except OSError as error:
        return Reply(Outcome.UNAVAILABLE, error.strerror or "not reached", again=True)
    except http.client.HTTPException as error:
        return Reply(Outcome.UNAVAILABLE, f"no HTTP: {type(error).__name__}", again=True)


@contextmanager
def _connected(
    source: SourceConfig, tls: ssl.SSLContext, seconds: float
) -> Generator[http.client.HTTPSConnection]:
    """Connect; once the time is over, the socket is shut under whatever still uses it."""
    parts, end = urlsplit(source.url), monotonic() + seconds
    host, port = parts.hostname or "", parts.port or _HTTPS_PORT
    connection = http.client.HTTPSConnection(host, port, context=tls)
    plain = socket.create_connection((host, port), timeout=seconds)
    with tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False) as wrapped:
        timer = Timer(max(end - monotonic(), _LEAST_SECONDS), _shut, [wrapped])
        timer.daemon = True
        timer.start()
        try:
            wrapped.do_handshake()
            connection.sock = wrapped
            yield connection
        except OSError as error:
            if monotonic() >= end:
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()
            connection.close()


def _shut(wrapped: ssl.SSLSocket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(wrapped, socket.SHUT_RDWR)


def _read(response: http.client.HTTPResponse, subject: str) -> Reply:
    status = response.status
    if response.getheader("Content-Encoding", "identity") != "identity":
        return Reply(Outcome.UNAVAILABLE, "it compresses what was asked for as it is")
    if status == http.HTTPStatus.NOT_FOUND:
        if _knows_nobody(response.read(_NOT_FOUND_BYTES), subject):
            return Reply(Outcome.NOBODY)
        return Reply(Outcome.UNAVAILABLE, "status 404, and not about the subject")
    if status != http.HTTPStatus.OK:
        # A redirect is none of its interface: whoever is named there was not named by the owner.
        busy = status >= http.HTTPStatus.INTERNAL_SERVER_ERROR
        again = busy or status == http.HTTPStatus.TOO_MANY_REQUESTS
        return Reply(Outcome.UNAVAILABLE, f"status {status}", again=again)
    return _answer(response)


def _answer(response: http.client.HTTPResponse) -> Reply:
    kind = response.getheader("Content-Type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        return Reply(Outcome.UNAVAILABLE, "no JSON")
    pieces: list[bytes] = []
    left = MOST_BYTES + 1
    while left and (piece := response.read(min(left, _PIECE_BYTES))):
        pieces.append(piece)
        left -= len(piece)
    if not left:
        return Reply(Outcome.UNUSABLE, f"more than {MOST_BYTES} bytes")
    if response.length:
        return Reply(Outcome.UNAVAILABLE, "cut off", again=True)
    data = b"".join(pieces)
    return Reply(Outcome.ANSWERED, data=data) if data else Reply(Outcome.UNUSABLE, "empty")


def _knows_nobody(data: bytes, subject: str) -> bool:
    """Tell a provider that knows no such subject from one that knows no such path."""
    try:
        return parse_object(data, _NOT_FOUND_BYTES) == {"subject": subject, "known": False}
    except SafeRoomError:
        return False
