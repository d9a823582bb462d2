"""A provider: a real HTTPS server with mutual TLS, that answers as it is told to."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

HOST: Final = "127.0.0.1"
Rows = Mapping[str, Sequence[Mapping[str, object]]]


_MAY_SIGN_CERTIFICATES: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Authority:
    """Vouches for both sides of the provider's TLS."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, name: str) -> Authority:
        """Make one."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        made = _begun(subject, subject, key.public_key())
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(_MAY_SIGN_CERTIFICATES, critical=True)
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        made = made.add_extension(own, critical=False)
        return cls(key, made.sign(key, SHA256()))

    def issue(
        self, name: str, address: str | None = None, *, strict: bool = True
    ) -> tuple[bytes, bytes]:
        """Make a certificate and its key, PEM; for a server if an address is given.

        One that is not strict lacks what RFC 5280 asks for: by which key it was signed.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        made = _begun(_name(name), self.certificate.subject, key.public_key())
        if strict:
            by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            made = made.add_extension(by, critical=False)
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
            made = made.add_extension(names, critical=False)
        certificate = made.sign(self.key, SHA256()).public_bytes(Encoding.PEM)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return certificate, private

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self.certificate.public_bytes(Encoding.PEM)


@cache
def authority(name: str = "provider's authority") -> Authority:
    """Give an authority, made once for all tests of a process."""
    return Authority.make(name)


def answer_of(subject: str, tables: Rows) -> bytes:
    """Write an answer as a provider's interface gives it."""
    return json.dumps({"subject": subject, "tables": tables}, ensure_ascii=False).encode()


class Exchange(BaseHTTPRequestHandler):
    """One request, as a test's behaviour answers it."""

    protocol_version = "HTTP/1.1"
    provider: Provider

    def do_GET(self) -> None:
        """Answer."""
        _, _, source, subject = self.path.split("/")
        self.provider.asked.append((source, subject))
        with suppress(OSError):  # who asked has gone
            self.provider.behaviour(self, source, subject)

    def send(
        self, body: bytes, status: int = 200, kind: str = "application/json", **headers: str
    ) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def nobody(self, subject: str) -> None:
        """Say that there is no such subject."""
        self.send(json.dumps({"subject": subject, "known": False}).encode(), 404)

    def drip(self, body: bytes, seconds: float) -> None:
        """Send an answer a byte at a time."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for at in range(len(body)):
            self.wfile.write(body[at : at + 1])
            time.sleep(seconds)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
        """Say nothing."""


Behaviour = Callable[[Exchange, str, str], None]


@dataclass(slots=True)
class Provider:
    """A provider that is up.

    Attributes:
        port: where.
        rows: what it holds: by subject, the rows of every table of a source.
        asked: source and subject of every request.
        behaviour: what it does; at first it answers what it holds.
    """

    port: int = 0
    rows: dict[str, Rows] = field(default_factory=dict[str, Rows])
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    behaviour: Behaviour = field(init=False)

    def __post_init__(self) -> None:
        """Answer what it holds, at first."""
        self.behaviour = self.honest

    def honest(self, exchange: Exchange, source: str, subject: str) -> None:
        """Answer what it holds."""
        del source
        held = self.rows.get(subject)
        if held is None:
            exchange.nobody(subject)
        else:
            exchange.send(answer_of(subject, held))


@contextmanager
def provider(folder: Path, shown: tuple[bytes, bytes] | None = None) -> Generator[Provider]:
    """Run a provider, and write what its broker needs beside it.

    Args:
        folder: for the broker's certificates: `ca.pem`, `client.pem`, `client.key`.
        shown: the provider's certificate and its key, if not as the broker wants them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = shown or authority().issue("provider", HOST)
    (folder / "server.pem").write_bytes(certificate + key)
    certificate, key = authority().issue("broker of tax")
    (folder / "ca.pem").write_bytes(authority().pem)
    (folder / "client.pem").write_bytes(certificate)
    (folder / "client.key").touch(mode=0o600)
    (folder / "client.key").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    running = Provider()
    handler = type("Handler", (Exchange,), {"provider": running})
    server = _Server((HOST, 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    running.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a broker that hangs up is what some tests are about."""


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
    )
