"""Consents at one enclave: kept sealed by subject and institution, verified once, counted as used.

A consent counts from its arrival while it is valid, its signer's certificate is valid and was not
revoked before it came, and nobody took it back. A revocation counts for good, also for a consent
that comes later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from cryptography import x509
from pydantic import Field, ValidationError

from saferoom_enclaves.rowform import pack, unpack, unpack_arrival
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import Row, State
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Consent,
    ConsentRevocation,
    Digest,
    Feature,
    Instant,
    Purpose,
    load,
)
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.request import SubjectRequest
from saferoom_proto.verification import require_consent_covers, verify_subject_statement

_COUNT_BYTES: Final = 8


class _Known(Part):
    """A consent as it was verified when it came: what it covers, and who signed it.

    The rest of it, and its own bytes, stand with the other statements.
    """

    sequence: Annotated[int, Field(ge=1)]
    digest: Digest
    arrived: Instant
    charter: Digest
    """The charter it was verified under."""
    fingerprint: Digest
    """Its signer's certificate, and when that is valid."""
    signer_from: Instant
    signer_to: Instant
    purposes: tuple[Purpose, ...]
    features: tuple[str, ...]
    information_types: tuple[str, ...]
    uses: int | None
    valid_from: Instant
    valid_to: Instant

    def consent(self, room: str, subject: str, institution: str) -> Consent:
        """Give the consent again, as far as it says what it covers."""
        # Verified when it came, and kept under seal: nothing is checked a second time.
        return Consent.model_construct(
            room=room,
            subject=subject,
            institution=institution,
            purposes=self.purposes,
            features=self.features,
            information_types=self.information_types,
            uses=self.uses,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
        )


@dataclass(frozen=True, slots=True)
class Covering:
    """A consent that covers a request, and how often it may still be used."""

    digest: str
    limited: bool


class Consents:
    """Takes consents and their revocations, and finds the one that covers a request.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
        standing: what else is in force.
    """

    def __init__(self, state: State, standing: Standing) -> None:
        self._state: Final = state
        self._standing: Final = standing
        self._revoked: Final[set[bytes]] = set()
        self.reload()

    def reload(self) -> None:
        """Read again which consents were taken back; after a commit that failed."""
        self._revoked.clear()
        self._revoked.update(self._state.keys("revoked"))

    def take(self, statement: Envelope, sequence: int, arrived: datetime) -> None:
        """Keep a consent from the stream.

        Raises:
            SafeRoomError: it has no effect, and why.
        """
        consent = load(statement, Consent)
        charter = self._standing.charter
        signer = verify_subject_statement(statement, consent, charter, arrived)
        self._require_unrevoked(signer.fingerprint, arrived)
        if consent.room != charter.charter.room:
            raise SafeRoomError(Reason.BAD_CHARTER, "a consent of another room")
        certificate = x509.load_der_x509_certificate(unb64(consent.certificate))
        known = _Known(
            sequence=sequence,
            digest=statement.digest,
            arrived=arrived,
            charter=charter.digest,
            fingerprint=signer.fingerprint,
            signer_from=certificate.not_valid_before_utc,
            signer_to=certificate.not_valid_after_utc,
            purposes=consent.purposes,
            features=consent.features,
            information_types=consent.information_types,
            uses=consent.uses,
            valid_from=consent.valid_from,
            valid_to=consent.valid_to,
        )
        key = self._key(consent.subject, consent.institution)
        row = self._state.get("consent", key)
        kept = _read(row)
        if all(other.digest != known.digest for other in kept):
            live = [other for other in kept if other.valid_to > arrived]
            items = [each.model_dump_json().encode() for each in (*live, known)]
            self._state.put("consent", key, pack(*items), row)

    def revoke(self, statement: Envelope, arrived: datetime) -> ConsentRevocation:
        """Let a revocation count from now on.

        Raises:
            SafeRoomError: it has no effect, and why.
        """
        revocation = load(statement, ConsentRevocation)
        charter = self._standing.charter
        signer = verify_subject_statement(statement, revocation, charter, arrived)
        self._require_unrevoked(signer.fingerprint, arrived)
        if revocation.room != charter.charter.room:
            raise SafeRoomError(Reason.BAD_CHARTER, "a revocation of another room")
        key = self._revoked_key(revocation.consent, revocation.subject)
        if key not in self._revoked:
            self._state.put("revoked", key, b"")
            self._revoked.add(key)
        return revocation

    def covering(
        self, request: SubjectRequest, features: Sequence[Feature], now: datetime
    ) -> Covering:
        """Find the consent that covers a request, the newest first.

        Raises:
            SafeRoomError: `NO_CONSENT`, or `CONSENT_USED_UP` if only such would have covered it.
        """
        row = self._state.get("consent", self._key(request.subject, request.institution))
        refusal = SafeRoomError(Reason.NO_CONSENT, "the subject gave this institution none")
        room = self._standing.charter.charter.room
        for known in reversed(_read(row)):
            consent = known.consent(room, request.subject, request.institution)
            try:
                require_consent_covers(consent, request, features, now)
                self._require_live(known, request.subject, now)
                self._require_unused(known)
            except SafeRoomError as error:
                if refusal.reason is not Reason.CONSENT_USED_UP:
                    refusal = error
                continue
            return Covering(known.digest, known.uses is not None)
        raise SafeRoomError(refusal.reason, refusal.detail)

    def use(self, covering: Covering) -> None:
        """Count one use of a consent that has a number of them."""
        if covering.limited:
            key = self._state.cipher.find("uses", covering.digest)
            row = self._state.get("uses", key)
            used = 0 if row is None else int.from_bytes(row.content, "big")
            self._state.put("uses", key, (used + 1).to_bytes(_COUNT_BYTES, "big"), row)

    def _require_live(self, known: _Known, subject: str, now: datetime) -> None:
        if self._revoked_key(known.digest, subject) in self._revoked:
            raise SafeRoomError(Reason.NO_CONSENT, "taken back")
        self._require_unrevoked(known.fingerprint, known.arrived, Reason.NO_CONSENT)
        if not known.signer_from <= now <= known.signer_to:
            raise SafeRoomError(Reason.NO_CONSENT, "its signer's certificate is not valid now")
        if known.charter != self._standing.charter.digest:
            self._verify_again(known, now)

    def _verify_again(self, known: _Known, now: datetime) -> None:
        """Hold a consent to a charter that came after it, which may know other issuers."""
        row = self._state.get("subject_statement", known.sequence)
        if row is None:
            raise SafeRoomError(Reason.STORE_DAMAGED, f"statement {known.sequence} is missing")
        statement, _ = unpack_arrival(row.content)
        charter = self._standing.charter
        try:
            verify_subject_statement(statement, load(statement, Consent), charter, now)
        except SafeRoomError as error:
            raise SafeRoomError(Reason.NO_CONSENT, error.detail) from error

    def _require_unused(self, known: _Known) -> None:
        if known.uses is None:
            return
        row = self._state.get("uses", self._state.cipher.find("uses", known.digest))
        if row is not None and int.from_bytes(row.content, "big") >= known.uses:
            raise SafeRoomError(Reason.CONSENT_USED_UP, f"{known.uses} uses")

    def _require_unrevoked(
        self, fingerprint: str, arrived: datetime, reason: Reason = Reason.CERTIFICATE_REVOKED
    ) -> None:
        revoked = self._standing.revoked_certificates.get(fingerprint)
        if revoked is not None and revoked <= arrived:
            raise SafeRoomError(reason, "its signer's certificate was revoked before it came")

    def _key(self, subject: str, institution: str) -> bytes:
        return self._state.cipher.find("consent", subject, institution)

    def _revoked_key(self, consent: str, subject: str) -> bytes:
        # With the subject: nobody takes back what another gave.
        return self._state.cipher.find("revoked", consent, subject)


def _read(row: Row | None) -> list[_Known]:
    if row is None:
        return []
    try:
        return [_Known.model_validate_json(item) for item in unpack(row.content)]
    except ValidationError as error:
        raise SafeRoomError(Reason.STORE_DAMAGED, "a consent is not readable") from error
