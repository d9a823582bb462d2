"""Requests for consent: a bank asks, and the subject grants from what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from saferoom_client.pages import all_pages
from saferoom_client.session import Session
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Consent, ConsentRequest, Purpose, load
from saferoom_proto.statements.base import fresh_nonce, whole_milliseconds
from saferoom_proto.subject_verification import verify_consent_request
from saferoom_proto.v1 import consent_pb2
from saferoom_proto.wire import Recorded, envelope_to_proto, recorded_from_proto

OPEN_DAYS: Final = 30
"""How long a subject has to answer."""


@dataclass(frozen=True, slots=True)
class AskedConsent:
    """A request for consent as it stands in the log.

    Attributes:
        request: what is asked for, with the risk notice.
        digest: names it.
        asker: the member of the institution who signed it.
        index: its entry of the log.
    """

    request: ConsentRequest
    digest: str
    asker: str
    index: int


async def request_consent(
    session: Session,
    subject: str,
    *,
    purposes: Sequence[Purpose],
    features: Sequence[str],
    notice: str,
    why: str,
    days: int,
    uses: int | None = None,
    open_days: int = OPEN_DAYS,
) -> Recorded:
    """Ask a subject for a consent; only the consent that it gives lets anybody do anything.

    Args:
        session: of the institution that asks.
        subject: its code.
        purposes: what answers would be for.
        features: `owner.name` of each feature that would be used.
        notice: the risk notice's text, which the subject is shown before it signs.
        why: what it is about, in a line.
        days: how long the consent is to last from when it is given.
        uses: how many questions at most; none for as many as come.
        open_days: how long the subject has to answer.
    """
    profile, now = session.profile, whole_milliseconds(session.clock())
    request = ConsentRequest(
        room=profile.card.origin,
        valid_from=now,
        valid_to=now + timedelta(days=open_days),
        institution=profile.member.organisation,
        signer=b64(profile.signing_certificate),
        subject=subject,
        purposes=tuple(purposes),
        features=tuple(features),
        uses=uses,
        days=days,
        why=why,
        notice=profile.suite.digest(notice.encode()),
        notice_text=notice,
        nonce=fresh_nonce(),
    )
    statement = session.sign(request)
    ask = consent_pb2.RequestConsentRequest(request=envelope_to_proto(statement))
    told = await session.call(session.consents.RequestConsent, ask)
    return session.recorded(statement, told.recorded)


async def list_consent_requests(session: Session) -> tuple[AskedConsent, ...]:
    """List requests for consent: a subject those made to it, an institution its own.

    Raises:
        SafeRoomError: the room lists what the institution did not sign, what is not in the log, or
            what concerns others; `BAD_CHARTER` where no root of a named owner is pinned.
    """

    async def page(before: int) -> tuple[list[AskedConsent], int]:
        ask = consent_pb2.ListConsentRequestsRequest(before=before)
        told = await session.call(session.consents.ListConsentRequests, ask)
        listed = [await _opened(session, recorded_from_proto(each)) for each in told.requests]
        return listed, told.next

    return await all_pages(page)


async def get_consent_request(session: Session, digest: str) -> AskedConsent:
    """Give one request for consent, verified.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` if there is none for the caller.
    """
    for asked in await list_consent_requests(session):
        if asked.digest == digest:
            return asked
    raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no such request for consent")


def consent_of(session: Session, asked: AskedConsent) -> Consent:
    """Write the consent that a request asks for, to be signed by its subject.

    Raises:
        SafeRoomError: `EXPIRED` if it is too late to answer; `NOT_ALLOWED` for another subject's.
    """
    profile, now = session.profile, whole_milliseconds(session.clock())
    request = asked.request
    if request.subject != profile.member.organisation:
        raise SafeRoomError(Reason.NOT_ALLOWED, "another subject was asked")
    request.require_valid(now)
    return Consent(
        room=profile.card.origin,
        valid_from=now,
        valid_to=now + timedelta(days=request.days),
        subject=request.subject,
        certificate=b64(profile.signing_certificate),
        institution=request.institution,
        purposes=request.purposes,
        features=request.features,
        uses=request.uses,
        notice=request.notice,
        nonce=fresh_nonce(),
    )


async def _opened(session: Session, recorded: Recorded) -> AskedConsent:
    _, index = session.grounds.require_recorded(recorded)
    said = load(recorded.statement, ConsentRequest)
    # The issuers that the owners trust name the asker: the same that name who asks questions.
    owner = said.features[0].partition(".")[0]
    charter = await session.grounds.charter(owner)
    request, signer = verify_consent_request(
        recorded.statement,
        session.profile.card.origin,
        charter.issuer_certificates,
        said.valid_from,
    )
    if session.profile.member.organisation not in (request.subject, request.institution):
        raise SafeRoomError(Reason.BAD_PROOF, "the room lists a request for consent of others")
    return AskedConsent(request, recorded.statement.digest, signer.name, index)
