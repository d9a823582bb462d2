"""Who asks for what is held about a subject: the subject itself, by its own certified key.

No consent, agreement or template lets anybody else do it, and nothing the server says counts: not a
registrar, not a bank, not the owner's own people. A request is answered once; its repeat gets the
same bytes. Each reading is counted before it begins, whatever becomes of it: past so many in a day,
the next one waits.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, final

from saferoom_enclaves.days import Days, Earlier
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_proto import hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import HoldingsRequest
from saferoom_proto.subject_verification import verify_by_subject

MOST_A_DAY: Final = 3
"""A reading, one after a correction, and one more: each goes through the whole store."""


class _Claiming(Right):
    __slots__ = ()


_CLAIMED: Final = _Claiming()


@final
@dataclass(frozen=True, slots=True, eq=False)
class Claimed(Evidence):
    """A subject's own request for what is held about it."""

    right: InitVar[_Claiming]
    request: HoldingsRequest
    request_id: str
    reply_key: bytes

    def __post_init__(self, right: _Claiming) -> None:
        _CLAIMED.require(right)


def claim(envelope: Envelope, standing: Standing, now: datetime) -> Claimed:
    """Verify that a subject itself asks, now.

    Raises:
        SafeRoomError: `MALFORMED`, `BAD_CHARTER`, `UNAUTHENTICATED`, `NOT_ALLOWED`,
            `BAD_SIGNATURE`, `CERTIFICATE_REVOKED`, `BAD_SEAL`, `NOT_YET_VALID`, `EXPIRED`. None of
            these is recorded: nobody is known to have asked, or nothing was decided.
    """
    request, signer = verify_by_subject(envelope, HoldingsRequest, standing.charter, now)
    revoked = standing.revoked_certificates.get(signer.fingerprint)
    if revoked is not None and revoked <= now:
        raise SafeRoomError(Reason.CERTIFICATE_REVOKED, "the subject's")
    reply_key = unb64(request.reply_key)
    hpke.require_public(reply_key)
    if now < request.not_before:
        raise SafeRoomError(Reason.NOT_YET_VALID, "the request")
    if now >= request.not_after:
        raise SafeRoomError(Reason.EXPIRED, "the request")
    return Claimed(_CLAIMED, request, envelope.digest, reply_key)


class Claims:
    """Remembers each subject's requests of the last day; none can be asked again after that.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._days: Final = Days(state, "claims")

    def answered(self, claimed: Claimed, now: datetime) -> int | None:
        """Tell which entry answered this very request; none if none did.

        Raises:
            SafeRoomError: `NONCE_REUSED`.
        """
        for earlier in self._days.of(claimed.request.subject, now):
            same = earlier.request_id == claimed.request_id
            if same and earlier.entry is not None:
                return earlier.entry
            if not same and earlier.nonce == claimed.request.nonce:
                raise SafeRoomError(Reason.NONCE_REUSED, "another request had this nonce")
        return None

    def require_another(self, claimed: Claimed, now: datetime) -> None:
        """Refuse a subject that has had its readings of the day: `TOO_MANY_REQUESTS`."""
        if len(self._days.of(claimed.request.subject, now)) >= MOST_A_DAY:
            fault = FieldFault("request", "this day's readings are used up: ask again tomorrow")
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, f"{MOST_A_DAY} in a day", [fault])

    def count(self, claimed: Claimed, now: datetime) -> None:
        """Write a request down before it is answered: whatever becomes of it, it counts."""
        self._write(claimed, None, now)

    def remember(self, claimed: Claimed, entry: int, now: datetime) -> None:
        """Remember which entry answered a request that was counted."""
        self._write(claimed, entry, now)

    def _write(self, claimed: Claimed, entry: int | None, now: datetime) -> None:
        request, subject = claimed.request_id, claimed.request.subject
        day = list(self._days.of(subject, now))
        own = Earlier(request_id=request, nonce=claimed.request.nonce, at=now, entry=entry)
        counted = [at for at, each in enumerate(day) if each.request_id == request]
        if entry is None or not counted:
            day.append(own)
        else:
            day[counted[-1]] = own
        self._days.write(subject, tuple(day))
