"""Who asks for what is held about a subject: the subject itself, by its own certified key.

No consent, agreement or template lets anybody else do it, and nothing the server says counts: not a
registrar, not a bank, not the owner's own people. A request is answered once; its repeat gets the
same bytes. Each is counted: past so many in a day, the next one waits.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, final

from pydantic import Field, ValidationError

from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import Row, State
from saferoom_proto import hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Digest, HoldingsRequest, Instant
from saferoom_proto.statements.base import Part
from saferoom_proto.subject_verification import verify_by_subject

MOST_A_DAY: Final = 3
"""A reading, one after a correction, and one more: each goes through the whole store."""
_DAY: Final = timedelta(days=1)


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


class _Asked(Part):
    """One request of the last day, and the entry of the chain that answered it."""

    request_id: Digest
    nonce: str
    at: Instant
    entry: Annotated[int, Field(ge=0)]


class _Day(Part):
    asked: tuple[_Asked, ...] = ()


class Claims:
    """Remembers each subject's requests of the last day; none can be asked again after that.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state

    def answered(self, claimed: Claimed, now: datetime) -> int | None:
        """Tell which entry answered this very request; none if it is a new one that may be asked.

        Raises:
            SafeRoomError: `NONCE_REUSED`, or `TOO_MANY_REQUESTS` past so many in a day.
        """
        day = self._day(self._state.get("claims", self._key(claimed)), now)
        for earlier in day.asked:
            if earlier.request_id == claimed.request_id:
                return earlier.entry
            if earlier.nonce == claimed.request.nonce:
                raise SafeRoomError(Reason.NONCE_REUSED, "another request had this nonce")
        if len(day.asked) >= MOST_A_DAY:
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, f"{MOST_A_DAY} in a day")
        return None

    def remember(self, claimed: Claimed, entry: int, now: datetime) -> None:
        """Remember which entry answered a new request."""
        key = self._key(claimed)
        row = self._state.get("claims", key)
        own = _Asked(
            request_id=claimed.request_id, nonce=claimed.request.nonce, at=now, entry=entry
        )
        day = _Day(asked=(*self._day(row, now).asked, own))
        self._state.put("claims", key, day.model_dump_json().encode(), row)

    def _day(self, row: Row | None, now: datetime) -> _Day:
        if row is None:
            return _Day()
        try:
            kept = _Day.model_validate_json(row.content)
        except ValidationError as error:
            raise SafeRoomError(Reason.STORE_DAMAGED, "a claim is not readable") from error
        return _Day(asked=tuple(each for each in kept.asked if each.at > now - _DAY))

    def _key(self, claimed: Claimed) -> bytes:
        return self._state.cipher.find("claims", claimed.request.subject)
