"""The one maker of `Caller`: who calls, by the certificate of the connection and nothing else.

TLS has checked that a known identity issuer made the certificate. What a call brings in its
metadata names nobody. A connection outlives its certificate's revocation and its end, and its
issuer's being shut out, so all three are looked at with every call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from saferoom.evidence import Caller
from saferoom.register import Register
from saferoom_proto.identity import Identity, read_identity
from saferoom_proto.reasons import Reason, SafeRoomError

_CERTIFICATE: Final = "x509_pem_cert"
"""gRPC's name for the peer's certificate in a call's authentication context."""

_KEPT: Final = 1024
"""Certificates read before are kept; reading one takes 100 microseconds."""

_CALLER: Final[ContextVar[Caller]] = ContextVar("caller")


@dataclass(frozen=True, slots=True)
class _Certificate:
    identity: Identity
    valid_from: datetime
    valid_to: datetime
    parsed: x509.Certificate


class Callers:
    """Makes callers of certificates.

    Args:
        register: knows organisations' roles and revoked certificates.
        clock: gives the instant of the call.
        met: told of every caller, and its certificate.
        issuers: gives the certificates, PEM, of the issuers that are let in.
    """

    def __init__(
        self,
        register: Register,
        clock: Callable[[], datetime],
        met: Callable[[Caller, x509.Certificate], None],
        issuers: Callable[[], tuple[str, ...]],
    ) -> None:
        self._issuers: Final = issuers
        self._issued_by: tuple[str, ...] = ()
        self._met: Final = met
        self._register: Final = register
        self._clock: Final = clock
        self._read: Final[OrderedDict[bytes, _Certificate]] = OrderedDict()

    def authenticate(self, context: Mapping[str, Iterable[bytes]]) -> Caller:
        """Name the caller of a connection.

        Args:
            context: the authentication context of the call, as gRPC made it of the TLS handshake.

        Raises:
            SafeRoomError: `UNAUTHENTICATED` without a certificate that names somebody and is valid
                now; `CERTIFICATE_REVOKED`.
        """
        certificates = list(context.get(_CERTIFICATE, ()))
        if len(certificates) != 1:
            raise SafeRoomError(Reason.UNAUTHENTICATED, "no client certificate")
        certificate = self._certificate(certificates[0])
        now = self._clock()
        if not certificate.valid_from <= now <= certificate.valid_to:
            raise SafeRoomError(Reason.UNAUTHENTICATED, "the certificate is not valid now")
        identity = certificate.identity
        self._register.require_not_revoked(identity.fingerprint, now)
        caller = Caller(identity, self._register.roles(identity))
        self._met(caller, certificate.parsed)
        return caller

    def _certificate(self, pem: bytes) -> _Certificate:
        issuers = self._issuers()
        if issuers != self._issued_by:
            self._read.clear()
            self._issued_by = issuers
        known = self._read.get(pem)
        if known is None:
            known = self._read[pem] = _read(pem, issuers)
            if len(self._read) > _KEPT:
                self._read.popitem(last=False)
        return known


def _read(pem: bytes, issuers: Iterable[str]) -> _Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise SafeRoomError(Reason.UNAUTHENTICATED, "not a certificate") from error
    if not any(_issued(certificate, issuer) for issuer in issuers):
        raise SafeRoomError(Reason.UNAUTHENTICATED, "its issuer is not let in any more")
    return _Certificate(
        read_identity(certificate.public_bytes(Encoding.DER)),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        certificate,
    )


def _issued(certificate: x509.Certificate, issuer: str) -> bool:
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(issuer.encode()))
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False  # also under an issuer that signs with SM2: it names nobody's connections
    return True


@contextmanager
def calling(caller: Caller) -> Generator[None]:
    """Let `current_caller` give this caller to whatever runs inside."""
    token = _CALLER.set(caller)
    try:
        yield
    finally:
        _CALLER.reset(token)


def current_caller() -> Caller:
    """Give the caller of the call under way.

    Raises:
        SafeRoomError: `UNAUTHENTICATED` outside of any call.
    """
    try:
        return _CALLER.get()
    except LookupError as error:
        raise SafeRoomError(Reason.UNAUTHENTICATED, "no call is under way") from error
