"""Consents at one enclave: kept sealed by subject and institution, verified once, counted as used.

A consent counts from its arrival while it is valid, its signer's certificate is valid and was not
revoked before it came, and nobody took it back. A revocation counts for good, also for a consent
that comes later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Final

import numpy as np
from cryptography import x509
from numpy.typing import NDArray
from pydantic import Field

from saferoom_enclaves.consent_index import (
    ConsentIndex,
    Digests,
    Scope,
    Summary,
    milliseconds,
)
from saferoom_enclaves.rowform import pack, read_part, unpack, unpack_arrival
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import Row, State
from saferoom_proto.batch import CODES
from saferoom_proto.covering import require_consent_covers
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    BatchRequest,
    Consent,
    ConsentRevocation,
    Digest,
    Feature,
    Instant,
    Purpose,
    load,
)
from saferoom_proto.statements.base import Fingerprint, Part
from saferoom_proto.statements.batch import row_question
from saferoom_proto.statements.request import SubjectRequest
from saferoom_proto.verification import verify_subject_statement

_COUNT_BYTES: Final = 8
_WHOSE: Final = 2
"""A row begins with its institution and subject."""
_INSTANT: Final = timedelta(milliseconds=1)
_NO: Final = 0
_YES: Final = 1
_PERHAPS: Final = 2


class _Known(Part):
    """A consent as it was verified when it came: what it covers, and who signed it.

    The rest of it, and its own bytes, stand with the other statements.
    """

    sequence: Annotated[int, Field(ge=1)]
    digest: Digest
    arrived: Instant
    charter: Digest
    """The charter it was verified under."""
    fingerprint: Fingerprint
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
    """A consent that covers a request, and whether its uses are limited."""

    digest: str
    limited: bool


@dataclass(frozen=True, slots=True)
class RowConsents:
    """The consents that cover some rows of a batch.

    Attributes:
        digests: of shape (rows, 32); zeros where none covers.
        codes: 0 where one covers, else the code of the refusal; of shape (rows,).
        limited: those with a number of uses, by row.
    """

    digests: Digests
    codes: NDArray[np.uint8]
    limited: Mapping[int, Covering]


class Consents:
    """Takes consents and their revocations, and finds the one that covers a request.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
        standing: what else is in force.
    """

    def __init__(self, state: State, standing: Standing) -> None:
        self._state: Final = state
        self._standing: Final = standing
        self._revoked: Final[set[bytes]] = set(state.keys("revoked"))
        self._newest: Final = ConsentIndex(state)
        for row in state.found("consent"):
            self._index(row)

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
            whose = (consent.institution.encode(), consent.subject.encode())
            self._state.put("consent", key, pack(*whose, *items), row)
            self._newest.put(consent.institution, whose[1], self._summary(whose[1], known, live))

    def revoke(self, statement: Envelope, arrived: datetime) -> ConsentRevocation:
        """Let a revocation count from now on.

        Raises:
            SafeRoomError: it has no effect, and why.
        """
        revocation = load(statement, ConsentRevocation)
        # Its issuer may be none of the charter's with which a fresh folder is started.
        signer = self._standing.by_either(
            lambda charter: verify_subject_statement(statement, revocation, charter, arrived)
        )
        self._require_unrevoked(signer.fingerprint, arrived)
        if revocation.room != self._standing.charter.charter.room:
            raise SafeRoomError(Reason.BAD_CHARTER, "a revocation of another room")
        key = self._revoked_key(revocation.consent, revocation.subject)
        if key not in self._revoked:
            self._state.put("revoked", key, b"")
            self._state.undoing(partial(self._revoked.discard, key))
            self._revoked.add(key)
            self._newest.revoke(revocation.subject.encode(), revocation.consent)
        return revocation

    def covering(
        self,
        request: SubjectRequest,
        features: Sequence[Feature],
        now: datetime,
        used: str | None = None,
    ) -> Covering:
        """Find the consent that covers a request, the newest first.

        Args:
            request: the request.
            features: what it asks about.
            now: the instant.
            used: the digest of a consent that a use was taken of for this request already: that
                one must still cover it.

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
                self._require_use_of(known, used)
            except SafeRoomError as error:
                if refusal.reason is not Reason.CONSENT_USED_UP:
                    refusal = error
                continue
            return Covering(known.digest, known.uses is not None)
        raise SafeRoomError(refusal.reason, refusal.detail)

    def covering_rows(
        self,
        request: BatchRequest,
        subjects: Sequence[bytes],
        features: Sequence[Feature],
        now: datetime,
    ) -> RowConsents:
        """Find the consents that cover one question about each of many subjects.

        What the newest consent does not decide by itself goes the way of a single question.
        """
        found = self._newest.find(
            request.institution, subjects, now, tuple(self._standing.revoked_certificates)
        )
        # 1: which of the wordings met cover the question, under the charter in force.
        met, which = np.unique(found.scopes[found.there], return_inverse=True)
        numbers: list[int] = met.tolist()
        wordings = [self._newest.scopes[number] for number in numbers]
        covers = [self._covers(scope, request, features, now) for scope in wordings]
        worded = np.full(len(subjects), _NO, dtype=np.int8)
        worded[found.there] = np.array(covers, dtype=np.int8)[which]
        covered = found.there & found.live & (worded == _YES) & ~found.suspect
        # 2: no consent at all, or one that does not count and none before it.
        clear = ~found.there | ~(found.suspect | found.older | (worded == _PERHAPS))
        digests = np.where(covered[:, None], found.digests, 0).astype(np.uint8)
        codes = np.where(covered, 0, CODES[Reason.NO_CONSENT]).astype(np.uint8)
        limited: dict[int, Covering] = {}
        # 3: the others, each by itself.
        for at in np.flatnonzero(~covered & ~clear).tolist():
            question = row_question(request, subjects[at].decode(), 0)
            try:
                covering = self.covering(question, features, now)
            except SafeRoomError as refusal:
                codes[at] = CODES[refusal.reason]
                continue
            codes[at] = 0
            digests[at] = np.frombuffer(bytes.fromhex(covering.digest[-64:]), np.uint8)
            if covering.limited:
                limited[at] = covering
        return RowConsents(digests, codes, limited)

    def use(self, covering: Covering) -> None:
        """Count one use of a consent that has a number of them."""
        if covering.limited:
            key = self._state.cipher.find("uses", covering.digest)
            row = self._state.get("uses", key)
            used = 0 if row is None else int.from_bytes(row.content, "big")
            self._state.put("uses", key, (used + 1).to_bytes(_COUNT_BYTES, "big"), row)

    def _covers(
        self, scope: Scope, request: BatchRequest, features: Sequence[Feature], now: datetime
    ) -> int:
        """Tell whether a wording covers a question, or whether each consent's row has to tell."""
        charter = self._standing.charter
        if scope.limited or scope.charter != charter.digest:
            return _PERHAPS
        worded = Consent.model_construct(
            room=charter.charter.room,
            subject="",
            institution=request.institution,
            purposes=scope.purposes,
            features=scope.features,
            information_types=scope.information_types,
            valid_from=now,
            valid_to=now + _INSTANT,
        )
        try:
            require_consent_covers(worded, row_question(request, "", 0), features, now)
        except SafeRoomError:
            return _NO
        return _YES

    def _index(self, row: Row) -> None:
        institution, subject, *_ = unpack(row.content)
        *older, newest = _read(row)
        self._newest.load(institution.decode(), subject, self._summary(subject, newest, older))

    def _summary(self, subject: bytes, known: _Known, older: Sequence[_Known]) -> Summary:
        revoked = bool(self._revoked) and (
            self._revoked_key(known.digest, subject.decode()) in self._revoked
        )
        scope = Scope(
            known.charter,
            known.purposes,
            known.features,
            known.information_types,
            known.uses is not None,
        )
        return Summary(
            known.digest,
            known.fingerprint,
            max(milliseconds(known.valid_from), milliseconds(known.signer_from)),
            min(milliseconds(known.valid_to), milliseconds(known.signer_to) + 1),
            scope,
            bool(older),
            revoked,
        )

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

    def _require_use_of(self, known: _Known, used: str | None) -> None:
        if used is None:
            self._require_unused(known)
        elif known.digest != used:
            raise SafeRoomError(Reason.NO_CONSENT, "another consent than was used")

    def _require_unused(self, known: _Known) -> None:
        if known.uses is None:
            return
        if known.valid_from <= self._state.marks.forgotten_until:
            # Nobody knows any more how often it was used by then.
            raise SafeRoomError(Reason.CONSENT_USED_UP, "its uses were forgotten")
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
    return [read_part(item, _Known) for item in unpack(row.content)[_WHOSE:]]
